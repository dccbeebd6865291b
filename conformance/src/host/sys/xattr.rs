//! Extended attributes.

use super::vfs::{c_path, check};
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::path::Path;

/// The extended attributes in the user namespace, by name.
pub(crate) fn user_xattrs(file: BorrowedFd) -> Result<Vec<(String, Vec<u8>)>, Errno> {
    let mut names = vec![0_u8; 4096];
    // SAFETY: the kernel writes at most the length of the buffer.
    let len = unsafe { libc::flistxattr(file.as_raw_fd(), names.as_mut_ptr().cast(), names.len()) };
    let len = match Errno::result(len) {
        Err(Errno::EOPNOTSUPP) => 0,
        other => other? as usize,
    };
    let names = names[..len].split(|byte| *byte == 0).filter(|name| name.starts_with(b"user."));
    let mut all = Vec::new();
    for name in names {
        let key = CString::new(name).map_err(|_| Errno::EINVAL)?;
        let mut value = vec![0_u8; 4096];
        // SAFETY: the name is terminated, and the kernel writes at most the length of the buffer.
        let len = unsafe { libc::fgetxattr(file.as_raw_fd(), key.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
        value.truncate(Errno::result(len)? as usize);
        all.push((String::from_utf8_lossy(name).into_owned(), value));
    }
    all.sort();
    Ok(all)
}

/// setxattr(2).
pub(crate) fn set_xattr(path: &Path, key: &str, value: &[u8]) -> Result<(), Errno> {
    let (path, key) = (c_path(path)?, CString::new(key).map_err(|_| Errno::EINVAL)?);
    // SAFETY: the strings are terminated and the value has the length that is given.
    check(unsafe { libc::setxattr(path.as_ptr(), key.as_ptr(), value.as_ptr().cast(), value.len(), 0) })
}

/// removexattr(2).
pub(crate) fn remove_xattr(path: &Path, key: &str) -> Result<(), Errno> {
    let (path, key) = (c_path(path)?, CString::new(key).map_err(|_| Errno::EINVAL)?);
    // SAFETY: the strings are terminated.
    check(unsafe { libc::removexattr(path.as_ptr(), key.as_ptr()) })
}
