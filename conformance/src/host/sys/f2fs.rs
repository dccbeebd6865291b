//! ioctls of f2fs.

use super::ioctl::{Request, ioctl};
use iomap_reference::BLOCK;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, IntoBytes};

const F2FS_IOC_START_ATOMIC_WRITE: Request<()> = Request::bare(0xf5, 1);
const F2FS_IOC_COMMIT_ATOMIC_WRITE: Request<()> = Request::bare(0xf5, 2);
const F2FS_IOC_ABORT_ATOMIC_WRITE: Request<()> = Request::bare(0xf5, 5);
const F2FS_IOC_DEFRAGMENT: Request<[u64; 2]> = Request::read_write(0xf5, 8);
const F2FS_IOC_MOVE_RANGE: Request<MoveRange> = Request::read_write(0xf5, 9);
const F2FS_IOC_GARBAGE_COLLECT_RANGE: Request<CollectRange> = Request::write(0xf5, 11);
const F2FS_IOC_SET_PIN_FILE: Request<u32> = Request::write(0xf5, 13);
const F2FS_IOC_SEC_TRIM_FILE: Request<[i64; 3]> = Request::write(0xf5, 20);

/// F2FS_IOC_SET_PIN_FILE.
pub(crate) fn pin(file: BorrowedFd, on: bool) -> Result<(), Errno> {
    ioctl(&file, &F2FS_IOC_SET_PIN_FILE, &mut u32::from(on))
}

/// F2FS_IOC_DEFRAGMENT of all blocks.
pub(crate) fn defragment(file: BorrowedFd) -> Result<(), Errno> {
    let len = (nix::sys::stat::fstat(file)?.st_size as u64).next_multiple_of(BLOCK as u64);
    ioctl(&file, &F2FS_IOC_DEFRAGMENT, &mut [0, len])
}

/// `struct f2fs_move_range` of <linux/f2fs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct MoveRange {
    to_file: i32,
    pad: u32,
    from: u64,
    to: u64,
    len: u64,
}

/// F2FS_IOC_MOVE_RANGE: the first `len` bytes of a file become those of another, and leave a hole.
pub(crate) fn move_range(from: BorrowedFd, to: BorrowedFd, len: u64) -> Result<(), Errno> {
    let mut range = MoveRange { to_file: to.as_raw_fd(), pad: 0, from: 0, to: 0, len };
    ioctl(&from, &F2FS_IOC_MOVE_RANGE, &mut range)
}

/// `struct f2fs_gc_range` of <linux/f2fs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct CollectRange {
    synchronous: u32,
    pad: u32,
    start: u64,
    len: u64,
}

/// F2FS_IOC_GARBAGE_COLLECT_RANGE of the section that contains a block.
pub(crate) fn collect(root: BorrowedFd, block: u64) -> Result<(), Errno> {
    let mut range = CollectRange { synchronous: 1, pad: 0, start: block, len: 1 };
    ioctl(&root, &F2FS_IOC_GARBAGE_COLLECT_RANGE, &mut range)
}

/// F2FS_IOC_SEC_TRIM_FILE with F2FS_TRIM_FILE_ZEROOUT: zeros replace some data on the storage.
pub(crate) fn erase(file: BorrowedFd, start: i64, len: i64) -> Result<(), Errno> {
    const ZEROOUT: i64 = 2;
    ioctl(&file, &F2FS_IOC_SEC_TRIM_FILE, &mut [start, len, ZEROOUT])
}

/// F2FS_IOC_START_ATOMIC_WRITE, then `write`, then F2FS_IOC_COMMIT_ATOMIC_WRITE if `write` succeeds.
pub(crate) fn atomic<T>(file: BorrowedFd, write: impl FnOnce() -> Result<T, Errno>) -> Result<T, Errno> {
    ioctl(&file, &F2FS_IOC_START_ATOMIC_WRITE, &mut ())?;
    let written = write();
    let end = if written.is_ok() { F2FS_IOC_COMMIT_ATOMIC_WRITE } else { F2FS_IOC_ABORT_ATOMIC_WRITE };
    ioctl(&file, &end, &mut ())?;
    written
}
