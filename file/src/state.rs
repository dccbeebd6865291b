//! The state of a file, and the calls that change it.
//!
//! A call that seals or unseals is made only where the file system has said that it knows the state: a kernel that does
//! not know it could give the numbers another meaning.

use iomap_reference::{Mode, XFLAG_SEALED, ioctl};
use iomap_vocabulary::STATX_ATTR_IOMAP_IMMUTABLE;
use nix::errno::Errno;
use nix::sys::statfs::{FUSE_SUPER_MAGIC, fstatfs};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The state of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// Files of this mount cannot be sealed, or the kernel does not know sealing.
    Unknown,
    /// The file is not sealed.
    Unsealed,
    /// The file is sealed.
    Sealed,
}

impl State {
    fn of(sealed: bool) -> Self {
        if sealed { State::Sealed } else { State::Unsealed }
    }
}

/// The way to a file system that knows the state.
enum Way {
    /// The system calls of the page.
    Kernel,
    /// The reference, mounted: its kernel does not let those calls pass.
    Reference,
}

/// Opens a file to ask about it or to change it. The call neither waits for another process nor has an effect on what
/// is no regular file.
pub(crate) fn open(path: &Path, write: bool) -> io::Result<File> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    OpenOptions::new().read(!write).write(write).custom_flags(libc::O_NONBLOCK).open(path)
}

/// The state of a file that is open for reading or writing.
pub(crate) fn state(file: &File) -> Result<State, Errno> {
    asked(file).map(|(state, _)| state)
}

fn asked(file: &File) -> Result<(State, Way), Errno> {
    if let state @ (State::Unsealed | State::Sealed) = attribute(file)? {
        return Ok((state, Way::Kernel));
    }
    let on_fuse = fstatfs(file)?.filesystem_type() == FUSE_SUPER_MAGIC;
    // Other file systems behind FUSE do not know this ioctl.
    let flags = if on_fuse { ioctl::xflags(file) } else { Err(Errno::ENOTTY) };
    Ok((flags.map_or(State::Unknown, |flags| State::of(flags & XFLAG_SEALED != 0)), Way::Reference))
}

/// The state of the file with this name, which is not opened if the kernel can answer without.
pub(crate) fn state_of_name(path: &Path) -> io::Result<State> {
    let name = File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path)?;
    match attribute(&name)? {
        State::Unknown if fstatfs(&name).map_err(io::Error::from)?.filesystem_type() == FUSE_SUPER_MAGIC => {
            Ok(state(&OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW).open(path)?)?)
        }
        known => Ok(known),
    }
}

/// The answer of statx(2), whose mask says whether the state is known.
fn attribute(file: &File) -> Result<State, Errno> {
    // SAFETY: zeros are valid for each field.
    #[expect(unsafe_code)]
    let mut shown: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is terminated, and the kernel writes a struct statx.
    #[expect(unsafe_code)]
    let done = unsafe { libc::statx(file.as_raw_fd(), c"".as_ptr(), libc::AT_EMPTY_PATH, 0, &raw mut shown) };
    Errno::result(done)?;
    Ok(match shown.stx_attributes_mask & STATX_ATTR_IOMAP_IMMUTABLE {
        0 => State::Unknown,
        _ => State::of(shown.stx_attributes & STATX_ATTR_IOMAP_IMMUTABLE != 0),
    })
}

/// The outcome of a call that changes the state.
pub(crate) enum Changed {
    Done,
    /// The state is not known here, so no call was made.
    Unknown,
}

/// Seals or unseals a file that is open for writing. `is_mapped` finds out whether a process has the file mapped,
/// which a mounted reference does not see.
pub(crate) fn change(file: &File, mode: Mode, is_mapped: impl FnOnce() -> bool) -> io::Result<Changed> {
    let way = match asked(file)? {
        (State::Unknown, _) => return Ok(Changed::Unknown),
        (State::Unsealed | State::Sealed, way) => way,
    };
    // Stores through mappings are still in the kernel's cache, and may fill a hole, so write them back first.
    file.sync_all()?;
    // Any sufficient length will do. The largest one stays sufficient even if the size changes before the call.
    match way {
        Way::Kernel => fallocate(file, mode),
        Way::Reference if is_mapped() => ioctl::fallocate_mapped(file, mode, 0, i64::MAX),
        Way::Reference => ioctl::fallocate(file, mode, 0, i64::MAX),
    }?;
    match state(file)? == State::of(mode == Mode::SEAL) {
        true => Ok(Changed::Done),
        false => Err(io::Error::other("the call succeeded, and the state is not the one asked for")),
    }
}

fn fallocate(file: &File, mode: Mode) -> Result<(), Errno> {
    // SAFETY: the call takes numbers only.
    #[expect(unsafe_code)]
    let done = unsafe { libc::fallocate(file.as_raw_fd(), mode.0.cast_signed(), 0, i64::MAX) };
    Errno::result(done).map(drop)
}
