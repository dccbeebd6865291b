//! The modes of fallocate(2) that reach a kernel. No other module of the suite makes that call.
//!
//! | mode | file systems that the suite makes | file systems of others |
//! |---|---|---|
//! | modes that Linux has | yes | yes |
//! | FALLOC_FL_WRITE_ZEROES | never: where it works, it wipes data | never |
//! | sealing and unsealing | where the kernel says that it knows them | where the kernel says that it knows them |
//! | any other bit | yes | never: a kernel may come to know it |

use super::sys;
use crate::verdict::Trouble;
use iomap_reference::{Mode, XFLAG_SEALED};
use nix::errno::Errno;
use nix::fcntl::FallocateFlags;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::OnceLock;

/// The modes that one file system gets.
#[derive(Default)]
pub(crate) struct Modes {
    others: bool,
    /// Whether its kernel knows sealing, or why not: the kernel is asked once, at the first such call.
    sealing: OnceLock<Result<(), String>>,
}

impl Modes {
    /// For a file system that others use.
    pub(crate) fn for_others() -> Self {
        Self { others: true, ..Self::default() }
    }

    /// Whether a mode may go to the kernel, which is asked in this directory whether it knows sealing.
    pub(crate) fn pass(&self, mode: Mode, directory: &Path) -> Result<(), Trouble> {
        let never = |why: &str| Err(Trouble::NotReachable(why.into()));
        if mode.contains(Mode::WRITE_ZEROES) {
            return never("the suite never passes FALLOC_FL_WRITE_ZEROES to a kernel: where it works, it wipes data");
        }
        if self.others && !mode.has_name() {
            return never("no unknown mode of fallocate(2) is tried where others work: a kernel may come to know it");
        }
        if !mode.changes_state() {
            return Ok(());
        }
        self.sealing.get_or_init(|| ask(directory)).clone().map_err(Trouble::NotOffered)
    }

    /// fallocate(2). A mode that may not go to the kernel gets the answer to an unknown mode: EOPNOTSUPP.
    pub(crate) fn fallocate(
        &self,
        directory: &Path,
        file: BorrowedFd,
        mode: Mode,
        offset: i64,
        len: i64,
    ) -> Result<(), Errno> {
        // Cases ask before they call (`System::reach`); this line is for a case that does not ask.
        self.pass(mode, directory).map_err(|_| Errno::EOPNOTSUPP)?;
        fallocate(file, mode, offset, len)
    }
}

fn fallocate(file: BorrowedFd, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
    nix::fcntl::fallocate(file, FallocateFlags::from_bits_retain(mode.0.cast_signed()), offset, len)
}

/// Asks a kernel whether it knows sealing, as the page says: with an empty file whose name is removed. Whatever the
/// kernel takes the mode for, such a file has no data to lose.
fn ask(directory: &Path) -> Result<(), String> {
    let path = directory.join("asks-for-sealing");
    let made = File::options().read(true).write(true).create_new(true).open(&path);
    let file = made.and_then(|file| std::fs::remove_file(&path).map(|()| file));
    let file = file.map_err(|error| format!("no file can be made: {error}"))?;
    // A length of 0 would be EINVAL on every kernel.
    match fallocate(file.as_fd(), Mode::SEAL, 0, 1) {
        Err(Errno::EINVAL) if sys::xflags(file.as_fd()).is_ok_and(|flags| flags & XFLAG_SEALED == 0) => Ok(()),
        Err(Errno::EPERM) => Err("sealing takes CAP_LINUX_IMMUTABLE".into()),
        Err(Errno::EOPNOTSUPP) => Err("fallocate(2) answers EOPNOTSUPP to FALLOC_FL_SEAL_BLOCK_MAP".into()),
        other => {
            let came = other.map_or_else(|errno| format!("{errno:?}"), |()| "success".into());
            Err(format!("mode {:#x} of fallocate(2) means something else here: {came}", Mode::SEAL.0))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The modes of a kernel that knows sealing, or does not.
    fn modes(others: bool, knows: bool) -> Modes {
        let sealing = if knows { Ok(()) } else { Err("unknown".to_owned()) };
        Modes { others, sealing: OnceLock::from(sealing) }
    }

    #[test]
    fn what_passes() {
        let both = Mode::PUNCH_HOLE | Mode::KEEP_SIZE;
        let rows = [
            (Mode::ALLOCATE, [true; 4]),
            (both, [true; 4]),
            (Mode::WRITE_ZEROES, [false; 4]),
            (Mode::WRITE_ZEROES | Mode::SEAL, [false; 4]),
            (Mode::SEAL, [false, true, false, true]),
            (Mode::UNSEAL | Mode::KEEP_SIZE, [false, true, false, true]),
            (Mode(1 << 20), [true, true, false, false]),
            (Mode(1 << 2), [true, true, false, false]),
            (Mode(1 << 20) | Mode::SEAL, [false, true, false, false]),
        ];
        for (mode, expected) in rows {
            let all = [(false, false), (false, true), (true, false), (true, true)];
            let passed = all.map(|(others, knows)| modes(others, knows).pass(mode, Path::new("/nowhere")).is_ok());
            assert_eq!(passed, expected, "{mode}");
        }
    }
}
