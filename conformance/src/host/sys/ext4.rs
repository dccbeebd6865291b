//! ioctls of ext4.

use super::ioctl::{Request, ioctl};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use zerocopy::{FromBytes, IntoBytes};

const EXT4_IOC_MIGRATE: Request<()> = Request::bare(b'f', 9);
const EXT4_IOC_MOVE_EXT: Request<MoveExtent> = Request::read_write(b'f', 15);
const EXT4_IOC_SWAP_BOOT: Request<()> = Request::bare(b'f', 17);

/// `struct move_extent` of the kernel's fs/ext4/ext4.h, in blocks.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct MoveExtent {
    reserved: u32,
    donor: u32,
    start: u64,
    donor_start: u64,
    len: u64,
    moved: u64,
}

/// EXT4_IOC_MOVE_EXT of the first blocks of a file to the storage of another file.
pub(crate) fn move_extents(file: BorrowedFd, donor: BorrowedFd, blocks: u64) -> Result<(), Errno> {
    let donor = donor.as_raw_fd().unsigned_abs();
    let mut range = MoveExtent { reserved: 0, donor, start: 0, donor_start: 0, len: blocks, moved: 0 };
    ioctl(&file, &EXT4_IOC_MOVE_EXT, &mut range)
}

/// EXT4_IOC_SWAP_BOOT: exchanges the contents of a file with those of the boot loader's inode.
pub(crate) fn swap_boot(file: BorrowedFd) -> Result<(), Errno> {
    ioctl(&file, &EXT4_IOC_SWAP_BOOT, &mut ())
}

/// EXT4_IOC_MIGRATE: from a map of blocks to one of extents.
pub(crate) fn migrate(file: BorrowedFd) -> Result<(), Errno> {
    ioctl(&file, &EXT4_IOC_MIGRATE, &mut ())
}
