//! ioctls of btrfs, and subvolumes by path.

use super::ioctl::{Number, Request, ioctl, ioctl_with_number};
use super::vfs::{self, c_path};
use nix::errno::Errno;
use std::ffi::{CStr, CString};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use zerocopy::{FromBytes, IntoBytes};

const BTRFS_IOC_SNAP_CREATE: Request<VolumeArgs> = Request::write(0x94, 1);
/// Without an argument it takes the whole file.
const BTRFS_IOC_DEFRAG: Request<Number> = Request::numbered(0x5000_9402);
const BTRFS_IOC_RESIZE: Request<VolumeArgs> = Request::write(0x94, 3);
const BTRFS_IOC_ADD_DEV: Request<VolumeArgs> = Request::write(0x94, 10);
const BTRFS_IOC_RM_DEV: Request<VolumeArgs> = Request::write(0x94, 11);
const BTRFS_IOC_SUBVOL_CREATE: Request<VolumeArgs> = Request::write(0x94, 14);
const BTRFS_IOC_SNAP_DESTROY: Request<VolumeArgs> = Request::write(0x94, 15);
const BTRFS_IOC_DEFRAG_RANGE: Request<DefragmentRange> = Request::write(0x94, 16);
const BTRFS_IOC_SCRUB: Request<Scrub> = Request::read_write(0x94, 27);
const BTRFS_IOC_BALANCE_V2: Request<BalanceArgs> = Request::read_write(0x94, 32);
const BTRFS_IOC_DEV_REPLACE: Request<ReplaceArgs> = Request::read_write(0x94, 53);

const BTRFS_IOC_ENCODED_WRITE: Request<EncodedWrite> = Request::write(0x94, 64);

/// BTRFS_IOC_SNAP_CREATE, and the snapshot goes again.
pub(crate) fn snapshot(root: &Path) -> Result<(), Errno> {
    let root = File::open(root).map_err(vfs::errno)?;
    create_snapshot(root.as_fd(), root.as_fd(), c"snapshot")?;
    destroy(root.as_fd(), c"snapshot")
}

/// BTRFS_IOC_SUBVOL_CREATE.
pub(crate) fn subvolume(path: &Path) -> Result<(), Errno> {
    let (parent, name) = place_of(path)?;
    create_subvolume(parent.as_fd(), &name)
}

/// BTRFS_IOC_SNAP_DESTROY of the subvolume that a file is in.
pub(crate) fn destroy_subvolume_of(file: &Path) -> Result<(), Errno> {
    let (parent, name) = place_of(file.parent().ok_or(Errno::EINVAL)?)?;
    destroy(parent.as_fd(), &name)
}

/// The directory that contains a path, and the name in it.
fn place_of(path: &Path) -> Result<(File, CString), Errno> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::EINVAL)?;
    Ok((File::open(parent).map_err(vfs::errno)?, CString::new(name.as_encoded_bytes()).map_err(|_| Errno::EINVAL)?))
}

/// `struct btrfs_ioctl_vol_args` of <linux/btrfs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct VolumeArgs {
    fd: i64,
    name: [u8; 4088],
}

impl VolumeArgs {
    fn new(fd: i64, name: &CStr) -> Self {
        let mut args = Self { fd, name: [0; 4088] };
        // Names have 255 bytes at most.
        args.name.iter_mut().zip(name.to_bytes()).for_each(|(to, from)| *to = *from);
        args
    }
}

/// BTRFS_IOC_SNAP_CREATE: a snapshot of a subvolume, in a directory.
fn create_snapshot(dir: BorrowedFd, of: BorrowedFd, name: &CStr) -> Result<(), Errno> {
    let mut args = VolumeArgs::new(of.as_raw_fd().into(), name);
    ioctl(&dir, &BTRFS_IOC_SNAP_CREATE, &mut args)
}

/// BTRFS_IOC_SUBVOL_CREATE.
fn create_subvolume(dir: BorrowedFd, name: &CStr) -> Result<(), Errno> {
    let mut args = VolumeArgs::new(0, name);
    ioctl(&dir, &BTRFS_IOC_SUBVOL_CREATE, &mut args)
}

/// BTRFS_IOC_SNAP_DESTROY.
fn destroy(dir: BorrowedFd, name: &CStr) -> Result<(), Errno> {
    let mut args = VolumeArgs::new(0, name);
    ioctl(&dir, &BTRFS_IOC_SNAP_DESTROY, &mut args)
}

/// BTRFS_IOC_DEFRAG.
pub(crate) fn defragment(file: BorrowedFd) -> Result<(), Errno> {
    ioctl_with_number(&file, &BTRFS_IOC_DEFRAG, 0).map(|_| ())
}

/// `struct btrfs_ioctl_defrag_range_args` of <linux/btrfs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct DefragmentRange {
    start: u64,
    len: u64,
    flags: u64,
    threshold: u32,
    compression: u32,
    unused: [u32; 4],
}

/// BTRFS_IOC_DEFRAG_RANGE of the whole file, with compression.
pub(crate) fn defragment_range(file: BorrowedFd) -> Result<(), Errno> {
    const COMPRESS_AND_START_IO: u64 = 1 | 2;
    const ZLIB: u32 = 1;
    let mut range = DefragmentRange {
        start: 0,
        len: u64::MAX,
        flags: COMPRESS_AND_START_IO,
        threshold: 0,
        compression: ZLIB,
        unused: [0; 4],
    };
    ioctl(&file, &BTRFS_IOC_DEFRAG_RANGE, &mut range)
}

/// `struct btrfs_ioctl_balance_args` of <linux/btrfs.h>: the flags, and room for filters.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct BalanceArgs {
    flags: u64,
    rest: [u64; 127],
}

/// BTRFS_IOC_BALANCE_V2 of all data and metadata, or of chunks only that have nothing in them, which then are free.
pub(crate) fn balance(root: BorrowedFd, empty: bool) -> Result<(), Errno> {
    const DATA_AND_METADATA: u64 = 1 << 0 | 1 << 2;
    const BALANCE_ARGS_USAGE: u64 = 1 << 1;
    let mut args = BalanceArgs { flags: DATA_AND_METADATA, rest: [0; 127] };
    if empty {
        // After the state, two `struct btrfs_balance_args` of 17 numbers, the ninth of which says that the second, a
        // percentage, counts. It stays 0.
        [1, 18].iter().for_each(|start| args.rest[start + 8] = BALANCE_ARGS_USAGE);
    }
    ioctl(&root, &BTRFS_IOC_BALANCE_V2, &mut args)
}

/// `struct btrfs_ioctl_scrub_args` of <linux/btrfs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct Scrub {
    device: u64,
    start: u64,
    end: u64,
    flags: u64,
    progress: [u64; 15],
    unused: [u64; 109],
}

/// BTRFS_IOC_SCRUB of the first device.
pub(crate) fn scrub(root: BorrowedFd) -> Result<(), Errno> {
    let mut scrub = Scrub { device: 1, start: 0, end: u64::MAX, flags: 0, progress: [0; 15], unused: [0; 109] };
    ioctl(&root, &BTRFS_IOC_SCRUB, &mut scrub)
}

/// `struct btrfs_ioctl_encoded_io_args` of <linux/btrfs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct EncodedWrite {
    parts: u64,
    count: u64,
    offset: i64,
    flags: u64,
    len: u64,
    unencoded_len: u64,
    unencoded_offset: u64,
    compression: u32,
    encryption: u32,
    reserved: [u8; 64],
}

/// BTRFS_IOC_ENCODED_WRITE of a page of zeros, compressed by zlib.
pub(crate) fn write_encoded_zeros(file: BorrowedFd, offset: i64) -> Result<(), Errno> {
    const LEN: u64 = 4096;
    const ZLIB: u32 = 1;
    const ZEROS: &[u8] =
        b"\x78\xda\xed\xc1\x01\x0d\x00\x00\x00\xc2\xa0\xf7\x4f\x6d\x0f\x07\x14\x00\x00\x00\xf0\x6e\x10\x00\x00\x01";
    let part = IoSlice::new(ZEROS);
    let mut args = EncodedWrite {
        parts: (&raw const part).addr() as u64,
        count: 1,
        offset,
        flags: 0,
        len: LEN,
        unencoded_len: LEN,
        unencoded_offset: 0,
        compression: ZLIB,
        encryption: 0,
        reserved: [0; 64],
    };
    ioctl(&file, &BTRFS_IOC_ENCODED_WRITE, &mut args)
}

/// BTRFS_IOC_RESIZE of the first device to a size in bytes.
pub(crate) fn resize(root: BorrowedFd, size: i64) -> Result<(), Errno> {
    let mut args = VolumeArgs::new(0, &CString::new(size.to_string()).map_err(|_| Errno::EINVAL)?);
    ioctl(&root, &BTRFS_IOC_RESIZE, &mut args)
}

/// BTRFS_IOC_ADD_DEV.
pub(crate) fn add_device(root: BorrowedFd, device: &Path) -> Result<(), Errno> {
    let mut args = VolumeArgs::new(0, &c_path(device)?);
    ioctl(&root, &BTRFS_IOC_ADD_DEV, &mut args)
}

/// BTRFS_IOC_RM_DEV, which first moves what is there.
pub(crate) fn remove_device(root: BorrowedFd, device: &Path) -> Result<(), Errno> {
    let mut args = VolumeArgs::new(0, &c_path(device)?);
    ioctl(&root, &BTRFS_IOC_RM_DEV, &mut args)
}

/// `struct btrfs_ioctl_dev_replace_args` of <linux/btrfs.h>, with the parameters of the command that starts.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct ReplaceArgs {
    command: u64,
    result: u64,
    source_id: u64,
    reading_mode: u64,
    source: [u8; 1025],
    target: [u8; 1025],
    pad: [u8; 6],
    rest: [u64; 64],
}

/// BTRFS_IOC_DEV_REPLACE, until it has finished. Whatever keeps it from starting is EBUSY.
pub(crate) fn replace_device(root: BorrowedFd, from: &Path, to: &Path) -> Result<(), Errno> {
    let name = |path: &Path| {
        let mut name = [0; 1025];
        name.iter_mut().zip(path.as_os_str().as_bytes()).for_each(|(to, from)| *to = *from);
        name
    };
    let (source, target) = (name(from), name(to));
    let mut args = ReplaceArgs {
        command: 0,
        result: 0,
        source_id: 0,
        reading_mode: 0,
        source,
        target,
        pad: [0; 6],
        rest: [0; 64],
    };
    ioctl(&root, &BTRFS_IOC_DEV_REPLACE, &mut args)?;
    if args.result == 0 { Ok(()) } else { Err(Errno::EBUSY) }
}
