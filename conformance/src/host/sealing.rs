//! Whether a kernel knows sealing. The kernel is asked once, as the page says.

use super::sys::vfs;
use iomap_reference::{Mode, XFLAG_SEALED};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::OnceLock;

/// The answer of a kernel on one file system: `None`, or the reason why it does not know sealing.
#[derive(Default)]
pub(crate) struct Sealing(OnceLock<Option<String>>);

impl Sealing {
    /// The answer. The first question makes a file in this directory.
    pub(crate) fn lack(&self, directory: &Path) -> Option<String> {
        self.0.get_or_init(|| ask(directory)).clone()
    }

    /// An answer for a test.
    #[cfg(test)]
    pub(crate) fn answered(answer: Option<String>) -> Self {
        Self(OnceLock::from(answer))
    }
}

/// Asks with an empty file whose name is removed. Such a file has no data to lose, whatever the mode means to the
/// kernel.
fn ask(directory: &Path) -> Option<String> {
    let path = directory.join("asks-for-sealing");
    let made = File::options().read(true).write(true).create_new(true).open(&path);
    let file = made.and_then(|file| std::fs::remove_file(&path).map(|()| file));
    let file = match file {
        Ok(file) => file,
        Err(error) => return Some(format!("no file can be made: {error}")),
    };
    // A length of 0 would be EINVAL on every kernel.
    let came = vfs::fallocate(file.as_fd(), Mode::SEAL, 0, 1);
    let shown = vfs::xflags(file.as_fd()).map(|flags| flags & XFLAG_SEALED != 0);
    match came {
        Err(Errno::EINVAL) if shown == Ok(false) => None,
        // The kernel seals, although it should not seal this file: seal.empty has a case.
        Ok(()) if shown == Ok(true) => None,
        Err(Errno::EPERM) => Some("sealing takes CAP_LINUX_IMMUTABLE".into()),
        Err(Errno::EOPNOTSUPP) => Some("fallocate(2) answers EOPNOTSUPP to FALLOC_FL_SEAL_BLOCK_MAP".into()),
        other => {
            let came = other.map_or_else(crate::words::name, |()| "success".into());
            Some(format!("mode {:#x} of fallocate(2) means something else here: {came}", Mode::SEAL.0))
        }
    }
}
