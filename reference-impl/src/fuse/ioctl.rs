//! The calls that a mounted reference receives by ioctl(2), because the kernel would refuse them before they reach a
//! daemon.
//!
//! The kernel checks the mode bits of fallocate(2), and since Linux 6.17 the flags of FS_IOC_FSGETXATTR: calls with
//! unknown bits do not reach the file system. These ioctls have the same arguments, and reach it.

use crate::call::mode::Mode;
use nix::errno::Errno;
use std::os::fd::{AsFd, AsRawFd};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The arguments of fallocate(2).
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub(crate) struct FallocateArgs {
    pub(crate) mode: u32,
    /// 1 if the caller has the file mapped, which a daemon cannot see; otherwise 0.
    pub(crate) mapped: u32,
    pub(crate) offset: i64,
    pub(crate) len: i64,
}

/// `struct fsxattr` of <linux/fs.h>.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
pub struct FsXattr {
    /// `fsx_xflags`.
    pub xflags: u32,
    /// `fsx_extsize`, `fsx_nextents`, `fsx_projid` and `fsx_cowextsize`, which the reference does not support, and
    /// padding.
    pub rest: [u32; 6],
}

/// The letter of the numbers below; the kernel's table of ioctls does not assign it.
const LETTER: u8 = 0xe6;

/// FS_IOC_GETFLAGS, as it reaches a daemon.
pub(crate) const FS_IOC_GETFLAGS: u32 = 0x8008_6601;
/// FS_IOC_SETFLAGS, as it reaches a daemon.
pub(crate) const FS_IOC_SETFLAGS: u32 = 0x4008_6602;
/// FS_IOC_FSGETXATTR of <linux/fs.h>.
pub const FS_IOC_FSGETXATTR: u32 = 0x801c_581f;
/// FS_IOC_FSSETXATTR of <linux/fs.h>.
pub const FS_IOC_FSSETXATTR: u32 = 0x401c_5820;

/// fallocate(2) with FALLOC_FL_SEAL_BLOCK_MAP or FALLOC_FL_UNSEAL_BLOCK_MAP among its modes.
pub const IOMAP_IOC_FALLOCATE: u32 = nix::request_code_write!(LETTER, 1, size_of::<FallocateArgs>()) as u32;
/// FS_IOC_FSGETXATTR with every flag.
pub const IOMAP_IOC_FSGETXATTR: u32 = nix::request_code_read!(LETTER, 2, size_of::<FsXattr>()) as u32;
/// FS_IOC_FSSETXATTR with every flag.
pub const IOMAP_IOC_FSSETXATTR: u32 = nix::request_code_write!(LETTER, 3, size_of::<FsXattr>()) as u32;

mod calls {
    use super::{FallocateArgs, FsXattr, LETTER};
    nix::ioctl_write_ptr!(fallocate, LETTER, 1, FallocateArgs);
    nix::ioctl_read!(get_xattr, LETTER, 2, FsXattr);
    nix::ioctl_write_ptr!(set_xattr, LETTER, 3, FsXattr);
}

/// fallocate(2) on a mounted reference, with a mode that seals or unseals. Fails with ENOTTY on other file systems, and
/// otherwise with the errors of the page.
pub fn fallocate(file: impl AsFd, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
    change(file, FallocateArgs { mode: mode.0, mapped: 0, offset, len })
}

/// Like [`fallocate`], for a caller that has the file mapped.
pub fn fallocate_mapped(file: impl AsFd, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
    change(file, FallocateArgs { mode: mode.0, mapped: 1, offset, len })
}

fn change(file: impl AsFd, args: FallocateArgs) -> Result<(), Errno> {
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    #[expect(unsafe_code)]
    unsafe { calls::fallocate(file.as_fd().as_raw_fd(), &args) }.map(|_| ())
}

/// `fsx_xflags` of a file on a mounted reference. Fails with ENOTTY on other file systems.
pub fn xflags(file: impl AsFd) -> Result<u32, Errno> {
    let mut attributes = FsXattr::default();
    // SAFETY: the kernel writes a struct fsxattr, whose layout this is.
    #[expect(unsafe_code)]
    unsafe { calls::get_xattr(file.as_fd().as_raw_fd(), &mut attributes) }?;
    Ok(attributes.xflags)
}

/// Sets `fsx_xflags` of a file on a mounted reference. Fails with ENOTTY on other file systems, and otherwise with the
/// errors of the page.
pub fn set_xflags(file: impl AsFd, xflags: u32) -> Result<(), Errno> {
    let attributes = FsXattr { xflags, ..FsXattr::default() };
    // SAFETY: the kernel reads a struct fsxattr, whose layout this is.
    #[expect(unsafe_code)]
    unsafe { calls::set_xattr(file.as_fd().as_raw_fd(), &attributes) }.map(|_| ())
}
