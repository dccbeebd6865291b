//! swapon(2) and swapoff(2).

use super::vfs::{c_path, check};
use nix::errno::Errno;
use std::path::Path;

/// The flags with which swapon(2) prefers a swap area to others: SWAP_FLAG_PREFER with the highest priority.
pub(crate) const PREFERRED: i32 = 0x8000 | 0x7fff;

/// swapon(2).
pub(crate) fn swapon(path: &Path, flags: i32) -> Result<(), Errno> {
    let path = c_path(path)?;
    // SAFETY: the path is a terminated string that lives during the call.
    check(unsafe { libc::swapon(path.as_ptr(), flags) })
}

/// swapoff(2).
pub(crate) fn swapoff(path: &Path) -> Result<(), Errno> {
    let path = c_path(path)?;
    // SAFETY: the path is a terminated string that lives during the call.
    check(unsafe { libc::swapoff(path.as_ptr()) })
}
