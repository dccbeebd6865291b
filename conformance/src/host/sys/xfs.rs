//! ioctls of XFS.

use super::ioctl::{Request, ioctl};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, IntoBytes};

const XFS_IOC_RESVSP64: Request<Space> = Request::write(b'X', 42);
const XFS_IOC_UNRESVSP64: Request<Space> = Request::write(b'X', 43);
const XFS_IOC_ZERO_RANGE: Request<Space> = Request::write(b'X', 57);
const XFS_IOC_SWAPEXT: Request<SwapExtents> = Request::read_write(b'X', 109);
const XFS_IOC_FSGROWFSDATA: Request<GrowArgs> = Request::write(b'X', 110);
const XFS_IOC_EXCHANGE_RANGE: Request<ExchangeRange> = Request::write(b'X', 129);

/// `struct xfs_flock64` of <linux/xfs_fs.h>: a range from the beginning of the file.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes)]
struct Space {
    kind: i16,
    whence: i16,
    pad: u32,
    start: i64,
    len: i64,
    system: i32,
    process: u32,
    rest: [i32; 4],
}

/// XFS_IOC_RESVSP64: allocates, and does not change the size.
pub(crate) fn reserve(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    ioctl(&file, &XFS_IOC_RESVSP64, &mut Space { start, len, ..Space::default() })
}

/// XFS_IOC_UNRESVSP64: punches a hole.
pub(crate) fn unreserve(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    ioctl(&file, &XFS_IOC_UNRESVSP64, &mut Space { start, len, ..Space::default() })
}

/// XFS_IOC_ZERO_RANGE.
pub(crate) fn zero(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    ioctl(&file, &XFS_IOC_ZERO_RANGE, &mut Space { start, len, ..Space::default() })
}

/// `struct xfs_swapext` of <linux/xfs_fs.h>, with the beginning of the `struct xfs_bstat` at its end.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct SwapExtents {
    version: i64,
    target: i64,
    temporary: i64,
    offset: i64,
    length: i64,
    pad: [u8; 16],
    ino: u64,
    mode: u16,
    links: u16,
    uid: u32,
    gid: u32,
    rdev: u32,
    block_size: i32,
    pad_too: u32,
    size: i64,
    /// Seconds and nanoseconds of access, modification and status change.
    times: [[i64; 2]; 3],
    rest: [u64; 6],
}

/// XFS_IOC_SWAPEXT of two files as a whole.
pub(crate) fn swap_extents(target: BorrowedFd, temporary: BorrowedFd) -> Result<(), Errno> {
    let stat = nix::sys::stat::fstat(target)?;
    let mut range = SwapExtents {
        version: 0,
        target: target.as_raw_fd().into(),
        temporary: temporary.as_raw_fd().into(),
        offset: 0,
        length: stat.st_size,
        pad: [0; 16],
        ino: stat.st_ino,
        mode: stat.st_mode as u16,
        links: 0,
        uid: 0,
        gid: 0,
        rdev: 0,
        block_size: 0,
        pad_too: 0,
        size: stat.st_size,
        times: [
            [stat.st_atime, stat.st_atime_nsec],
            [stat.st_mtime, stat.st_mtime_nsec],
            [stat.st_ctime, stat.st_ctime_nsec],
        ],
        rest: [0; 6],
    };
    ioctl(&target, &XFS_IOC_SWAPEXT, &mut range)
}

/// `struct xfs_growfs_data` of <linux/xfs_fs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct GrowArgs {
    blocks: u64,
    inode_percent: u32,
    pad: u32,
}

/// XFS_IOC_FSGROWFSDATA to a size in blocks, smaller or larger. Inodes may take a quarter of the space, as mkfs.xfs
/// sets it.
pub(crate) fn resize(root: BorrowedFd, blocks: u64) -> Result<(), Errno> {
    let mut args = GrowArgs { blocks, inode_percent: 25, pad: 0 };
    ioctl(&root, &XFS_IOC_FSGROWFSDATA, &mut args)
}

/// `struct xfs_exchange_range` of <linux/xfs_fs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct ExchangeRange {
    file: i32,
    pad: u32,
    offset: u64,
    other_offset: u64,
    len: u64,
    flags: u64,
}

/// XFS_IOC_EXCHANGE_RANGE of the first `len` bytes of two files.
pub(crate) fn exchange_range(one: BorrowedFd, other: BorrowedFd, len: u64) -> Result<(), Errno> {
    let mut range = ExchangeRange { file: one.as_raw_fd(), pad: 0, offset: 0, other_offset: 0, len, flags: 0 };
    ioctl(&other, &XFS_IOC_EXCHANGE_RANGE, &mut range)
}
