//! ioctls of single file systems, and of all of them.

use super::{FsXattr, fs_xattr};
use iomap_reference::BLOCK;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

mod ioctls {
    nix::ioctl_write_ptr!(xfs_reserve, b'X', 42, super::Space);
    nix::ioctl_write_ptr!(xfs_unreserve, b'X', 43, super::Space);
    nix::ioctl_write_ptr!(xfs_zero, b'X', 57, super::Space);
    nix::ioctl_write_ptr!(xfs_exchange_range, b'X', 129, super::ExchangeRange);
    nix::ioctl_none!(ext4_swap_boot, b'f', 17);
    nix::ioctl_none!(ext4_migrate, b'f', 9);
    nix::ioctl_write_ptr!(btrfs_defrag_range, 0x94, 16, super::DefragmentRange);
    nix::ioctl_readwrite!(btrfs_scrub, 0x94, 27, super::Scrub);
    nix::ioctl_write_ptr_bad!(freeze, 0xc004_5877_u32 as i64, libc::c_int);
    nix::ioctl_write_ptr_bad!(thaw, 0xc004_5878_u32 as i64, libc::c_int);
    nix::ioctl_readwrite!(trim, b'X', 121, [u64; 3]);
    nix::ioctl_none!(f2fs_start_atomic_write, 0xf5, 1);
    nix::ioctl_none!(f2fs_commit_atomic_write, 0xf5, 2);
    nix::ioctl_none!(f2fs_abort_atomic_write, 0xf5, 5);
    nix::ioctl_readwrite!(f2fs_defragment, 0xf5, 8, [u64; 2]);
    nix::ioctl_readwrite!(f2fs_move_range, 0xf5, 9, super::MoveRange);
    nix::ioctl_write_ptr!(f2fs_collect_range, 0xf5, 11, super::CollectRange);
    nix::ioctl_write_ptr!(f2fs_erase, 0xf5, 20, [i64; 3]);
}

/// `struct xfs_flock64` of <linux/xfs_fs.h>: a range from the beginning of the file.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Space {
    kind: i16,
    whence: i16,
    start: i64,
    len: i64,
    system: i32,
    process: u32,
    pad: [i32; 4],
}

/// XFS_IOC_RESVSP64: allocates, and leaves the size alone.
pub(crate) fn xfs_reserve(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::xfs_reserve(file.as_raw_fd(), &Space { start, len, ..Space::default() }) }.map(|_| ())
}

/// XFS_IOC_UNRESVSP64: punches a hole.
pub(crate) fn xfs_unreserve(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    // SAFETY: as in `xfs_reserve`.
    unsafe { ioctls::xfs_unreserve(file.as_raw_fd(), &Space { start, len, ..Space::default() }) }.map(|_| ())
}

/// XFS_IOC_ZERO_RANGE.
pub(crate) fn xfs_zero(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    // SAFETY: as in `xfs_reserve`.
    unsafe { ioctls::xfs_zero(file.as_raw_fd(), &Space { start, len, ..Space::default() }) }.map(|_| ())
}

/// `struct xfs_exchange_range` of <linux/xfs_fs.h>.
#[repr(C)]
pub(crate) struct ExchangeRange {
    file: i32,
    pad: u32,
    offset: u64,
    other_offset: u64,
    len: u64,
    flags: u64,
}

/// XFS_IOC_EXCHANGE_RANGE of the first `len` bytes of two files.
pub(crate) fn xfs_exchange_range(one: BorrowedFd, other: BorrowedFd, len: u64) -> Result<(), Errno> {
    let range = ExchangeRange { file: one.as_raw_fd(), pad: 0, offset: 0, other_offset: 0, len, flags: 0 };
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::xfs_exchange_range(other.as_raw_fd(), &range) }.map(|_| ())
}

/// EXT4_IOC_SWAP_BOOT: exchanges the contents of a file with those of the boot loader's inode.
pub(crate) fn ext4_swap_boot(file: BorrowedFd) -> Result<(), Errno> {
    // SAFETY: it has no argument.
    unsafe { ioctls::ext4_swap_boot(file.as_raw_fd()) }.map(|_| ())
}

/// EXT4_IOC_MIGRATE: from a map of blocks to one of extents.
pub(crate) fn ext4_migrate(file: BorrowedFd) -> Result<(), Errno> {
    // SAFETY: it has no argument.
    unsafe { ioctls::ext4_migrate(file.as_raw_fd()) }.map(|_| ())
}

/// `struct btrfs_ioctl_defrag_range_args` of <linux/btrfs.h>.
#[repr(C)]
pub(crate) struct DefragmentRange {
    start: u64,
    len: u64,
    flags: u64,
    threshold: u32,
    compression: u32,
    unused: [u32; 4],
}

/// BTRFS_IOC_DEFRAG_RANGE of the whole file, with compression.
pub(crate) fn btrfs_defragment_range(file: BorrowedFd) -> Result<(), Errno> {
    const COMPRESS_AND_START_IO: u64 = 1 | 2;
    const ZLIB: u32 = 1;
    let range = DefragmentRange {
        start: 0,
        len: u64::MAX,
        flags: COMPRESS_AND_START_IO,
        threshold: 0,
        compression: ZLIB,
        unused: [0; 4],
    };
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_defrag_range(file.as_raw_fd(), &range) }.map(|_| ())
}

/// `struct btrfs_ioctl_scrub_args` of <linux/btrfs.h>.
#[repr(C)]
pub(crate) struct Scrub {
    device: u64,
    start: u64,
    end: u64,
    flags: u64,
    progress: [u64; 15],
    unused: [u64; 109],
}

/// BTRFS_IOC_SCRUB of the first device.
pub(crate) fn btrfs_scrub(root: BorrowedFd) -> Result<(), Errno> {
    let mut scrub = Scrub { device: 1, start: 0, end: u64::MAX, flags: 0, progress: [0; 15], unused: [0; 109] };
    // SAFETY: the kernel reads and writes a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_scrub(root.as_raw_fd(), &mut scrub) }.map(|_| ())
}

/// `struct f2fs_move_range` of <linux/f2fs.h>.
#[repr(C)]
pub(crate) struct MoveRange {
    to_file: i32,
    from: u64,
    to: u64,
    len: u64,
}

/// F2FS_IOC_MOVE_RANGE: the first `len` bytes of a file become those of another, and leave a hole.
pub(crate) fn f2fs_move_range(from: BorrowedFd, to: BorrowedFd, len: u64) -> Result<(), Errno> {
    let mut range = MoveRange { to_file: to.as_raw_fd(), from: 0, to: 0, len };
    // SAFETY: the kernel reads and writes a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::f2fs_move_range(from.as_raw_fd(), &mut range) }.map(|_| ())
}

/// F2FS_IOC_DEFRAGMENT of all blocks.
pub(crate) fn f2fs_defragment(file: BorrowedFd) -> Result<(), Errno> {
    let len = (nix::sys::stat::fstat(file)?.st_size as u64).next_multiple_of(BLOCK as u64);
    // SAFETY: the kernel reads and writes a struct f2fs_defragment, which has this layout.
    unsafe { ioctls::f2fs_defragment(file.as_raw_fd(), &mut [0, len]) }.map(|_| ())
}

/// `struct f2fs_gc_range` of <linux/f2fs.h>.
#[repr(C)]
pub(crate) struct CollectRange {
    synchronous: u32,
    start: u64,
    len: u64,
}

/// F2FS_IOC_GARBAGE_COLLECT_RANGE of the section in which a block is.
pub(crate) fn f2fs_collect(root: BorrowedFd, block: u64) -> Result<(), Errno> {
    let range = CollectRange { synchronous: 1, start: block, len: 1 };
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::f2fs_collect_range(root.as_raw_fd(), &range) }.map(|_| ())
}

/// F2FS_IOC_SEC_TRIM_FILE with F2FS_TRIM_FILE_ZEROOUT: zeros, on storage, in place of some data.
pub(crate) fn f2fs_erase(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    const ZEROOUT: i64 = 2;
    // SAFETY: the kernel reads a struct f2fs_sectrim_range, which has this layout.
    unsafe { ioctls::f2fs_erase(file.as_raw_fd(), &[start, len, ZEROOUT]) }.map(|_| ())
}

/// F2FS_IOC_START_ATOMIC_WRITE, then what `write` does, and F2FS_IOC_COMMIT_ATOMIC_WRITE if it succeeds.
pub(crate) fn f2fs_atomic<T>(file: BorrowedFd, write: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    // SAFETY: it has no argument.
    unsafe { ioctls::f2fs_start_atomic_write(file.as_raw_fd()) }?;
    let written = write();
    // SAFETY: as above.
    unsafe {
        match written {
            Ok(_) => ioctls::f2fs_commit_atomic_write(file.as_raw_fd())?,
            Err(_) => ioctls::f2fs_abort_atomic_write(file.as_raw_fd())?,
        }
    };
    written
}

/// FIFREEZE. Nothing can be written until [`thaw`].
pub(crate) fn freeze(root: BorrowedFd) -> Result<(), Errno> {
    // SAFETY: the argument is not looked at.
    unsafe { ioctls::freeze(root.as_raw_fd(), &0) }.map(|_| ())
}

/// FITHAW.
pub(crate) fn thaw(root: BorrowedFd) -> Result<(), Errno> {
    // SAFETY: the argument is not looked at.
    unsafe { ioctls::thaw(root.as_raw_fd(), &0) }.map(|_| ())
}

/// FITRIM of all that is free.
pub(crate) fn trim(root: BorrowedFd) -> Result<(), Errno> {
    let mut range = [0, u64::MAX, 0];
    // SAFETY: the kernel reads and writes a struct fstrim_range, which has this layout.
    unsafe { ioctls::trim(root.as_raw_fd(), &mut range) }.map(|_| ())
}

/// What FS_IOC_FSSETXATTR can change besides flags; sizes in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Attribute {
    /// `fsx_projid`.
    Project(u32),
    /// `fsx_extsize`.
    ExtentSize(u32),
    /// `fsx_cowextsize`.
    CowExtentSize(u32),
    /// FS_XFLAG_DAX.
    Dax,
}

/// FS_IOC_FSGETXATTR, then FS_IOC_FSSETXATTR with one attribute changed.
pub(crate) fn set_attribute(file: BorrowedFd, attribute: Attribute) -> Result<(), Errno> {
    const FS_XFLAG_EXTSIZE: u32 = 0x800;
    const FS_XFLAG_DAX: u32 = 0x8000;
    const FS_XFLAG_COWEXTSIZE: u32 = 0x1_0000;
    let mut all: FsXattr = fs_xattr(file)?;
    match attribute {
        Attribute::Project(id) => all.projid = id,
        Attribute::ExtentSize(size) => (all.extsize, all.xflags) = (size, all.xflags | FS_XFLAG_EXTSIZE),
        Attribute::CowExtentSize(size) => (all.cowextsize, all.xflags) = (size, all.xflags | FS_XFLAG_COWEXTSIZE),
        Attribute::Dax => all.xflags |= FS_XFLAG_DAX,
    }
    // SAFETY: the kernel reads a struct fsxattr, whose layout this is.
    unsafe { super::ioctls::set_xattr(file.as_raw_fd(), &all) }.map(|_| ())
}
