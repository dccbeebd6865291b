//! System calls that nix does not wrap.
#![expect(unsafe_code, reason = "the edge to the kernel")]

pub(crate) mod aio;
pub(crate) mod memory;
pub(crate) mod operations;
pub(crate) mod rdma;
pub(crate) mod ring;

use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap};
use nix::sys::signal::Signal;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The name of an open file in /proc.
pub(crate) fn proc_path(file: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// A count, or an error as the kernel passes it inside.
fn check_count(result: i64) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw(-result as i32))
}

fn check(result: libc::c_int) -> Result<(), Errno> {
    Errno::result(result).map(|_| ())
}

/// Gives this thread a table of descriptors of its own, with nothing in it but the standard three.
pub(crate) fn own_descriptors() -> Result<(), Errno> {
    // SAFETY: the call takes numbers. What it closes stays open in the table that this thread leaves.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
    Errno::result(result).map(|_| ())
}

/// Makes the kernel send SIGKILL to a program when the thread that starts it ends.
pub(crate) fn end_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let bind = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have ended already.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec the closure makes two system calls, and takes neither memory nor locks.
    unsafe { command.pre_exec(bind) };
}

/// The flags with which swapon(2) prefers a swap area to others: SWAP_FLAG_PREFER with the highest priority.
pub(crate) const PREFERRED: i32 = 0x8000 | 0x7fff;

pub(crate) fn swapon(path: &Path, flags: i32) -> Result<(), Errno> {
    let path = c_path(path)?;
    // SAFETY: the path is a terminated string that lives during the call.
    check(unsafe { libc::swapon(path.as_ptr(), flags) })
}

pub(crate) fn swapoff(path: &Path) -> Result<(), Errno> {
    let path = c_path(path)?;
    // SAFETY: the path is a terminated string that lives during the call.
    check(unsafe { libc::swapoff(path.as_ptr()) })
}

/// A buffer whose data begins on a block boundary, as O_DIRECT wants it.
pub(crate) struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(crate) fn new(len: usize) -> Self {
        let bytes = vec![0_u8; len + iomap_reference::BLOCK];
        let start = bytes.as_ptr().align_offset(iomap_reference::BLOCK).min(iomap_reference::BLOCK);
        Self { bytes, start, len }
    }

    pub(crate) fn of(data: &[u8]) -> Self {
        let mut aligned = Self::new(data.len());
        aligned.get_mut().copy_from_slice(data);
        aligned
    }

    pub(crate) fn get(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    pub(crate) fn get_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

/// pwritev2(2) with RWF_APPEND.
pub(crate) const APPEND: i32 = libc::RWF_APPEND;

/// pwritev2(2) with RWF_DSYNC.
pub(crate) const DSYNC: i32 = libc::RWF_DSYNC;

/// pwritev2(2) with RWF_DONTCACHE, since Linux 6.14.
pub(crate) const UNCACHED: i32 = 0x80;

/// pwritev2(2) with RWF_ATOMIC, since Linux 6.11.
pub(crate) const ATOMIC: i32 = 0x40;

/// pwritev2(2). Returns the bytes written.
pub(crate) fn pwritev2(file: BorrowedFd, parts: &[&[u8]], offset: i64, flags: i32) -> Result<usize, Errno> {
    let vectors: Vec<libc::iovec> = parts
        .iter()
        .map(|part| libc::iovec { iov_base: part.as_ptr().cast_mut().cast(), iov_len: part.len() })
        .collect();
    // SAFETY: the vectors point to the parts, which live during the call and are only read.
    let count = unsafe { libc::pwritev2(file.as_raw_fd(), vectors.as_ptr(), vectors.len() as i32, offset, flags) };
    Errno::result(count).map(|count| count as usize)
}

mod ioctls {
    use super::{FsXattr, LoopConfig};
    nix::ioctl_read_bad!(get_flags, 0x8008_6601, libc::c_int);
    nix::ioctl_write_ptr_bad!(set_flags, 0x4008_6602, libc::c_int);
    nix::ioctl_read_bad!(get_xattr, 0x801c_581f, FsXattr);
    nix::ioctl_write_ptr_bad!(set_xattr, 0x401c_5820, FsXattr);
    nix::ioctl_write_int_bad!(clone, 0x4004_9409);
    nix::ioctl_write_ptr_bad!(clone_range, 0x4020_940d, super::CloneRange);
    nix::ioctl_readwrite_bad!(dedupe, 0xc018_9436_u32 as i64, super::DedupeRange);
    nix::ioctl_readwrite_bad!(fiemap, 0xc020_660b_u32 as i64, super::Fiemap);
    nix::ioctl_readwrite!(xfs_swapext, b'X', 109, super::SwapExtents);
    nix::ioctl_readwrite!(ext4_move_ext, b'f', 15, super::MoveExtent);
    nix::ioctl_write_int_bad!(btrfs_defrag, 0x5000_9402);
    nix::ioctl_write_ptr!(btrfs_snap_create, 0x94, 1, super::VolumeArgs);
    nix::ioctl_write_ptr!(btrfs_subvol_create, 0x94, 14, super::VolumeArgs);
    nix::ioctl_write_ptr!(btrfs_snap_destroy, 0x94, 15, super::VolumeArgs);
    nix::ioctl_readwrite!(btrfs_balance, 0x94, 32, super::BalanceArgs);
    nix::ioctl_write_ptr!(xfs_growfs, b'X', 110, super::GrowArgs);
    nix::ioctl_write_ptr!(btrfs_resize, 0x94, 3, super::VolumeArgs);
    nix::ioctl_write_ptr!(btrfs_add_dev, 0x94, 10, super::VolumeArgs);
    nix::ioctl_write_ptr!(btrfs_rm_dev, 0x94, 11, super::VolumeArgs);
    nix::ioctl_readwrite!(btrfs_dev_replace, 0x94, 53, super::ReplaceArgs);
    nix::ioctl_read!(shutdown, b'X', 125, u32);
    nix::ioctl_write_ptr!(f2fs_set_pin_file, 0xf5, 13, u32);
    nix::ioctl_none_bad!(loop_ctl_get_free, 0x4c82);
    nix::ioctl_write_ptr_bad!(loop_configure, 0x4c0a, LoopConfig);
}

/// FS_IOC_GETFLAGS, then FS_IOC_SETFLAGS with `set` added and `clear` taken out.
pub(crate) fn change_flags(file: &impl AsFd, set: u32, clear: u32) -> Result<(), Errno> {
    let fd = file.as_fd().as_raw_fd();
    let mut flags: libc::c_int = 0;
    // SAFETY: the kernel writes an int, whatever the number of the call says (ioctl_iflags(2)).
    unsafe { ioctls::get_flags(fd, &mut flags) }?;
    flags = (flags as u32 | set).cast_signed() & !clear.cast_signed();
    // SAFETY: the kernel reads an int.
    unsafe { ioctls::set_flags(fd, &flags) }.map(|_| ())
}

/// `struct fsxattr` of <linux/fs.h>.
#[repr(C)]
#[derive(Default)]
pub(crate) struct FsXattr {
    xflags: u32,
    extsize: u32,
    nextents: u32,
    projid: u32,
    cowextsize: u32,
    pad: [u8; 8],
}

fn fs_xattr(file: BorrowedFd) -> Result<FsXattr, Errno> {
    let mut attributes = FsXattr::default();
    // SAFETY: the kernel writes a struct fsxattr, whose layout this is.
    unsafe { ioctls::get_xattr(file.as_raw_fd(), &mut attributes) }?;
    Ok(attributes)
}

/// FS_IOC_FSGETXATTR: `fsx_xflags`.
pub(crate) fn xflags(file: BorrowedFd) -> Result<u32, Errno> {
    fs_xattr(file).map(|attributes| attributes.xflags)
}

/// FS_IOC_FSGETXATTR, then FS_IOC_FSSETXATTR with `set` added and `clear` taken out.
pub(crate) fn change_xflags(file: BorrowedFd, set: u32, clear: u32) -> Result<(), Errno> {
    let mut attributes = fs_xattr(file)?;
    attributes.xflags = (attributes.xflags | set) & !clear;
    // SAFETY: the kernel reads a struct fsxattr, whose layout this is.
    unsafe { ioctls::set_xattr(file.as_raw_fd(), &attributes) }.map(|_| ())
}

/// fallocate(2). Only [`crate::host::calls::Calls`], which asks `reach.rs` before, and the question of
/// `host/sealing.rs` call it.
pub(crate) fn fallocate(file: BorrowedFd, mode: iomap_reference::Mode, offset: i64, len: i64) -> Result<(), Errno> {
    let mode = nix::fcntl::FallocateFlags::from_bits_retain(mode.0.cast_signed());
    nix::fcntl::fallocate(file, mode, offset, len)
}

/// sync_file_range(2) of the whole file, as databases use it.
pub(crate) fn sync_range(file: BorrowedFd) -> Result<(), Errno> {
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE | libc::SYNC_FILE_RANGE_WRITE | libc::SYNC_FILE_RANGE_WAIT_AFTER;
    // SAFETY: the call takes numbers.
    check(unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, all) })
}

/// FICLONE.
pub(crate) fn clone(from: BorrowedFd, to: BorrowedFd) -> Result<(), Errno> {
    // SAFETY: the argument is the number of a descriptor that is open.
    unsafe { ioctls::clone(to.as_raw_fd(), from.as_raw_fd()) }.map(|_| ())
}

/// The errno of an error of the standard library.
pub(crate) fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// `struct xfs_swapext` of <linux/xfs_fs.h>, with the beginning of the `struct xfs_bstat` at its end.
#[repr(C)]
pub(crate) struct SwapExtents {
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
    size: i64,
    /// Seconds and nanoseconds of access, modification and status change.
    times: [[i64; 2]; 3],
    rest: [u64; 6],
}

/// XFS_IOC_SWAPEXT of two files as a whole.
pub(crate) fn xfs_swap_extents(target: BorrowedFd, temporary: BorrowedFd) -> Result<(), Errno> {
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
        size: stat.st_size,
        times: [
            [stat.st_atime, stat.st_atime_nsec],
            [stat.st_mtime, stat.st_mtime_nsec],
            [stat.st_ctime, stat.st_ctime_nsec],
        ],
        rest: [0; 6],
    };
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::xfs_swapext(target.as_raw_fd(), &mut range) }.map(|_| ())
}

/// `struct move_extent` of the kernel's fs/ext4/ext4.h, in blocks.
#[repr(C)]
pub(crate) struct MoveExtent {
    reserved: u32,
    donor: u32,
    start: u64,
    donor_start: u64,
    len: u64,
    moved: u64,
}

/// EXT4_IOC_MOVE_EXT of the first blocks of a file to the storage of another.
pub(crate) fn ext4_move_extents(file: BorrowedFd, donor: BorrowedFd, blocks: u64) -> Result<(), Errno> {
    let donor = donor.as_raw_fd().unsigned_abs();
    let mut range = MoveExtent { reserved: 0, donor, start: 0, donor_start: 0, len: blocks, moved: 0 };
    // SAFETY: the kernel reads and writes a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::ext4_move_ext(file.as_raw_fd(), &mut range) }.map(|_| ())
}

/// BTRFS_IOC_DEFRAG.
pub(crate) fn btrfs_defragment(file: BorrowedFd) -> Result<(), Errno> {
    // SAFETY: without an argument it takes the whole file.
    unsafe { ioctls::btrfs_defrag(file.as_raw_fd(), 0) }.map(|_| ())
}

/// `struct btrfs_ioctl_vol_args` of <linux/btrfs.h>.
#[repr(C)]
pub(crate) struct VolumeArgs {
    fd: i64,
    name: [u8; 4088],
}

impl VolumeArgs {
    fn new(fd: i64, name: &std::ffi::CStr) -> Self {
        let mut args = Self { fd, name: [0; 4088] };
        // Names have 255 bytes at most.
        args.name.iter_mut().zip(name.to_bytes()).for_each(|(to, from)| *to = *from);
        args
    }
}

/// BTRFS_IOC_SNAP_CREATE: a snapshot of a subvolume, in a directory.
pub(crate) fn btrfs_snapshot(dir: BorrowedFd, of: BorrowedFd, name: &std::ffi::CStr) -> Result<(), Errno> {
    let args = VolumeArgs::new(of.as_raw_fd().into(), name);
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_snap_create(dir.as_raw_fd(), &args) }.map(|_| ())
}

/// BTRFS_IOC_SUBVOL_CREATE.
pub(crate) fn btrfs_subvolume(dir: BorrowedFd, name: &std::ffi::CStr) -> Result<(), Errno> {
    let args = VolumeArgs::new(0, name);
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_subvol_create(dir.as_raw_fd(), &args) }.map(|_| ())
}

/// BTRFS_IOC_SNAP_DESTROY.
pub(crate) fn btrfs_destroy(dir: BorrowedFd, name: &std::ffi::CStr) -> Result<(), Errno> {
    let args = VolumeArgs::new(0, name);
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_snap_destroy(dir.as_raw_fd(), &args) }.map(|_| ())
}

/// `struct btrfs_ioctl_balance_args` of <linux/btrfs.h>: the flags, and room for filters.
#[repr(C)]
pub(crate) struct BalanceArgs {
    flags: u64,
    rest: [u64; 127],
}

/// BTRFS_IOC_BALANCE_V2 of all data and metadata, or of chunks only that have nothing in them, which then are free.
pub(crate) fn btrfs_balance(root: BorrowedFd, empty: bool) -> Result<(), Errno> {
    const DATA_AND_METADATA: u64 = 1 << 0 | 1 << 2;
    const BALANCE_ARGS_USAGE: u64 = 1 << 1;
    let mut args = BalanceArgs { flags: DATA_AND_METADATA, rest: [0; 127] };
    if empty {
        // After the state, two `struct btrfs_balance_args` of 17 numbers, the ninth of which says that the second, a
        // percentage, counts. It stays 0.
        [1, 18].iter().for_each(|start| args.rest[start + 8] = BALANCE_ARGS_USAGE);
    }
    // SAFETY: the kernel reads and writes a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_balance(root.as_raw_fd(), &mut args) }.map(|_| ())
}

/// `struct xfs_growfs_data` of <linux/xfs_fs.h>.
#[repr(C)]
pub(crate) struct GrowArgs {
    blocks: u64,
    inode_percent: u32,
}

/// XFS_IOC_FSGROWFSDATA to a size in blocks, smaller or larger. A quarter may be inodes, as mkfs.xfs has it.
pub(crate) fn xfs_resize(root: BorrowedFd, blocks: u64) -> Result<(), Errno> {
    let args = GrowArgs { blocks, inode_percent: 25 };
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::xfs_growfs(root.as_raw_fd(), &args) }.map(|_| ())
}

/// BTRFS_IOC_RESIZE of the first device to a size in bytes.
pub(crate) fn btrfs_resize(root: BorrowedFd, size: i64) -> Result<(), Errno> {
    let args = VolumeArgs::new(0, &CString::new(size.to_string()).map_err(|_| Errno::EINVAL)?);
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_resize(root.as_raw_fd(), &args) }.map(|_| ())
}

/// BTRFS_IOC_ADD_DEV.
pub(crate) fn btrfs_add_device(root: BorrowedFd, device: &Path) -> Result<(), Errno> {
    let args = VolumeArgs::new(0, &c_path(device)?);
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_add_dev(root.as_raw_fd(), &args) }.map(|_| ())
}

/// BTRFS_IOC_RM_DEV, which first moves what is there.
pub(crate) fn btrfs_remove_device(root: BorrowedFd, device: &Path) -> Result<(), Errno> {
    let args = VolumeArgs::new(0, &c_path(device)?);
    // SAFETY: the kernel reads a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_rm_dev(root.as_raw_fd(), &args) }.map(|_| ())
}

/// `struct btrfs_ioctl_dev_replace_args` of <linux/btrfs.h>, with the parameters of the command that starts.
#[repr(C)]
pub(crate) struct ReplaceArgs {
    command: u64,
    result: u64,
    source_id: u64,
    reading_mode: u64,
    source: [u8; 1025],
    target: [u8; 1025],
    rest: [u64; 64],
}

/// BTRFS_IOC_DEV_REPLACE, until it has finished. Whatever keeps it from starting is EBUSY.
pub(crate) fn btrfs_replace_device(root: BorrowedFd, from: &Path, to: &Path) -> Result<(), Errno> {
    let name = |path: &Path| {
        let mut name = [0; 1025];
        name.iter_mut().zip(path.as_os_str().as_bytes()).for_each(|(to, from)| *to = *from);
        name
    };
    let (source, target) = (name(from), name(to));
    let mut args = ReplaceArgs { command: 0, result: 0, source_id: 0, reading_mode: 0, source, target, rest: [0; 64] };
    // SAFETY: the kernel reads and writes a structure of this layout, whose size is in the number of the call.
    unsafe { ioctls::btrfs_dev_replace(root.as_raw_fd(), &mut args) }?;
    if args.result == 0 { Ok(()) } else { Err(Errno::EBUSY) }
}

/// FS_IOC_SHUTDOWN without writing the log: XFS_FSOP_GOING_FLAGS_NOLOGFLUSH, EXT4_GOING_FLAGS_NOLOGFLUSH.
pub(crate) fn shut_down(root: &impl AsFd) -> Result<(), Errno> {
    let mut how = 2;
    // SAFETY: the kernel reads a 32-bit number, whatever the number of the call says.
    unsafe { ioctls::shutdown(root.as_fd().as_raw_fd(), &mut how) }.map(|_| ())
}

/// F2FS_IOC_SET_PIN_FILE.
pub(crate) fn f2fs_pin(file: BorrowedFd, on: bool) -> Result<(), Errno> {
    // SAFETY: the kernel reads a number of 32 bits.
    unsafe { ioctls::f2fs_set_pin_file(file.as_raw_fd(), &u32::from(on)) }.map(|_| ())
}

/// `struct file_clone_range` of <linux/fs.h>.
#[repr(C)]
pub(crate) struct CloneRange {
    source: i64,
    source_offset: u64,
    source_length: u64,
    destination_offset: u64,
}

/// FICLONERANGE: a part of one file to a place in another.
pub(crate) fn clone_range(
    (from, source_offset): (BorrowedFd, u64),
    (to, destination_offset): (BorrowedFd, u64),
    source_length: u64,
) -> Result<(), Errno> {
    let range = CloneRange { source: from.as_raw_fd().into(), source_offset, source_length, destination_offset };
    // SAFETY: the kernel reads a struct file_clone_range, whose layout this is.
    unsafe { ioctls::clone_range(to.as_raw_fd(), &range) }.map(|_| ())
}

/// `struct file_dedupe_range` of <linux/fs.h>, with one destination.
#[repr(C)]
pub(crate) struct DedupeRange {
    source_offset: u64,
    source_length: u64,
    destinations: u16,
    reserved: [u16; 3],
    destination: i64,
    destination_offset: u64,
    deduped: u64,
    status: i32,
    reserved_too: u32,
}

/// FIDEDUPERANGE from the start of both files. Returns the bytes that are shared now, or the destination's error.
pub(crate) fn dedupe(from: BorrowedFd, to: BorrowedFd, len: usize) -> Result<usize, Errno> {
    let mut range = DedupeRange {
        source_offset: 0,
        source_length: len as u64,
        destinations: 1,
        reserved: [0; 3],
        destination: to.as_raw_fd().into(),
        destination_offset: 0,
        deduped: 0,
        status: 0,
        reserved_too: 0,
    };
    // SAFETY: the kernel reads and writes a struct file_dedupe_range with one destination, whose layout this is.
    unsafe { ioctls::dedupe(from.as_raw_fd(), &mut range) }?;
    match range.status {
        0 => Ok(range.deduped as usize),
        // FILE_DEDUPE_RANGE_DIFFERS
        1.. => Err(Errno::EBADE),
        errno => Err(Errno::from_raw(-errno)),
    }
}

/// How many pieces of a file are asked for: the files of the cases are small.
const PIECES: usize = 64;

/// `struct fiemap` of <linux/fiemap.h>, with room for the extents.
#[repr(C)]
pub(crate) struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped_extents: u32,
    extent_count: u32,
    reserved: u32,
    extents: [FiemapExtent; PIECES],
}

/// `struct fiemap_extent`; offsets and lengths are in bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct FiemapExtent {
    /// Where it begins in the file.
    pub(crate) logical: u64,
    /// Where it begins in the address space of the file system.
    pub(crate) physical: u64,
    /// How long it is.
    pub(crate) length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

/// FS_IOC_FIEMAP over the whole file, after writing back what is dirty. Used to give an agent its access, as pNFS
/// servers and boot loaders do, and never for a verdict.
pub(crate) fn fiemap(file: BorrowedFd) -> Result<Vec<FiemapExtent>, Errno> {
    const FIEMAP_FLAG_SYNC: u32 = 1;
    let mut map = Fiemap {
        start: 0,
        length: u64::MAX,
        flags: FIEMAP_FLAG_SYNC,
        mapped_extents: 0,
        extent_count: PIECES as u32,
        reserved: 0,
        extents: [FiemapExtent::default(); PIECES],
    };
    // SAFETY: the kernel writes at most extent_count extents behind the header, and there is room for as many.
    unsafe { ioctls::fiemap(file.as_raw_fd(), &mut map) }?;
    Ok(map.extents[..map.mapped_extents as usize].to_vec())
}

/// `struct loop_config` of <linux/loop.h>.
#[repr(C)]
pub(crate) struct LoopConfig {
    fd: u32,
    block_size: u32,
    info: LoopInfo,
    reserved: [u64; 8],
}

/// `struct loop_info64`.
#[repr(C)]
struct LoopInfo {
    numbers: [u64; 5],
    number: u32,
    encrypt_type: u32,
    encrypt_key_size: u32,
    flags: u32,
    file_name: [u8; 64],
    crypt_name: [u8; 64],
    encrypt_key: [u8; 32],
    init: [u64; 2],
}

/// The number of a loop device that is free, or was a moment ago.
pub(crate) fn loop_free(control: &File) -> Result<i32, Errno> {
    // SAFETY: LOOP_CTL_GET_FREE takes no argument.
    unsafe { ioctls::loop_ctl_get_free(control.as_raw_fd()) }
}

/// LOOP_CONFIGURE with LO_FLAGS_AUTOCLEAR: the device detaches itself after its last use.
pub(crate) fn loop_attach(device: &File, backing: &File) -> Result<(), Errno> {
    const LO_FLAGS_AUTOCLEAR: u32 = 4;
    let mut file_name = [0; 64];
    let label = b"iomap-conformance";
    file_name[..label.len()].copy_from_slice(label);
    let config = LoopConfig {
        fd: backing.as_raw_fd() as u32,
        block_size: 0,
        info: LoopInfo {
            numbers: [0; 5],
            number: 0,
            encrypt_type: 0,
            encrypt_key_size: 0,
            flags: LO_FLAGS_AUTOCLEAR,
            file_name,
            crypt_name: [0; 64],
            encrypt_key: [0; 32],
            init: [0; 2],
        },
        reserved: [0; 8],
    };
    // SAFETY: the kernel reads a struct loop_config, whose layout this is.
    unsafe { ioctls::loop_configure(device.as_raw_fd(), &config) }.map(|_| ())
}

/// A mapping of a file, until it is dropped.
pub(crate) struct Mapping {
    start: std::ptr::NonNull<libc::c_void>,
    len: usize,
}

impl Mapping {
    pub(crate) fn new(file: BorrowedFd, len: usize, shared: bool, write: bool) -> Result<Self, Errno> {
        let protection = if write { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        let flags = if shared { MapFlags::MAP_SHARED } else { MapFlags::MAP_PRIVATE };
        Self::with(file, len, protection, flags)
    }

    fn with(file: BorrowedFd, len: usize, protection: ProtFlags, flags: MapFlags) -> Result<Self, Errno> {
        Self::from(file, 0, len, protection, flags)
    }

    fn from(file: BorrowedFd, offset: i64, len: usize, protection: ProtFlags, flags: MapFlags) -> Result<Self, Errno> {
        let size = std::num::NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        // SAFETY: the kernel chooses the address, so no other memory is replaced.
        let start = unsafe { mmap(None, size, protection, flags, file, offset) }?;
        // A mapping consists of whole pages.
        Ok(Self { start, len: len.next_multiple_of(iomap_reference::BLOCK) })
    }

    fn at(&self, offset: usize, len: usize) -> Result<*mut libc::c_void, Errno> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Errno::EFAULT);
        }
        // SAFETY: the offset is inside the mapping.
        Ok(unsafe { self.start.as_ptr().byte_add(offset) })
    }

    /// Stores by way of the kernel, which reports a page that cannot be written as EFAULT where a store by the
    /// processor would be a SIGBUS. The fault that the file system sees is the same.
    pub(crate) fn store(&self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let scratch = scratch(data)?;
        let to = self.at(offset, data.len())?;
        // SAFETY: the kernel writes inside the mapping, to which no Rust reference exists.
        let count = unsafe { libc::pread(scratch.as_raw_fd(), to, data.len(), 0) };
        if Errno::result(count)? as usize == data.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Loads in the same way.
    pub(crate) fn load(&self, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let scratch = scratch(&[])?;
        let from = self.at(offset, len)?;
        // SAFETY: the kernel reads inside the mapping.
        let count = unsafe { libc::pwrite(scratch.as_raw_fd(), from, len, 0) };
        if Errno::result(count)? as usize != len {
            return Err(Errno::EFAULT);
        }
        let mut data = vec![0; len];
        std::os::unix::fs::FileExt::read_exact_at(&scratch, &mut data, 0).map_err(|_| Errno::EIO)?;
        Ok(data)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this is the mapping that `new` made, and nothing points into it.
        let _ = unsafe { nix::sys::mman::munmap(self.start, self.len) };
    }
}

/// What a device may access for the long term: the pages of a mapping, pinned (FOLL_LONGTERM) until this is dropped. The
/// mapping may go before.
pub(crate) trait Registration {
    /// A descriptor that is open as long as this lasts.
    fn number(&self) -> i32;

    /// Has the device write to the pages.
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), Errno>;

    /// Has the device read from the pages.
    fn read(&mut self, offset: usize, len: usize) -> Result<Vec<u8>, Errno>;
}

fn scratch(data: &[u8]) -> Result<File, Errno> {
    let fd = nix::sys::memfd::memfd_create("scratch", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let file = File::from(fd);
    std::os::unix::fs::FileExt::write_all_at(&file, data, 0).map_err(|_| Errno::EIO)?;
    Ok(file)
}

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

/// Runs something without CAP_LINUX_IMMUTABLE, CAP_SYS_ADMIN and CAP_SYS_RESOURCE, for which there are no quotas, in the effective set of this thread.
pub(crate) fn unprivileged<T>(act: impl FnOnce() -> T) -> Result<T, Errno> {
    const DROPPED: u64 = 1 << 9 | 1 << 21 | 1 << 24;
    let before = capabilities()?;
    let mut without = before;
    without.effective[0] &= !(DROPPED as u32);
    set_capabilities(&without)?;
    let result = act();
    set_capabilities(&before)?;
    Ok(result)
}

/// `struct __user_cap_data_struct[2]`, by set.
#[derive(Clone, Copy, Default)]
struct Capabilities {
    effective: [u32; 2],
    permitted: [u32; 2],
    inheritable: [u32; 2],
}

/// `_LINUX_CAPABILITY_VERSION_3`, for the calling thread.
const HEADER: [u32; 2] = [0x2008_0522, 0];

fn capabilities() -> Result<Capabilities, Errno> {
    let (mut header, mut data) = (HEADER, [0_u32; 6]);
    // SAFETY: version 3 has two structs of three words, for which there is room.
    let result = unsafe { libc::syscall(libc::SYS_capget, header.as_mut_ptr(), data.as_mut_ptr()) };
    Errno::result(result)?;
    let set = |index: usize| [data[index], data[index + 3]];
    Ok(Capabilities { effective: set(0), permitted: set(1), inheritable: set(2) })
}

fn set_capabilities(to: &Capabilities) -> Result<(), Errno> {
    let mut header = HEADER;
    let half = |index: usize| [to.effective[index], to.permitted[index], to.inheritable[index]];
    let data = [half(0), half(1)];
    // SAFETY: version 3 has two structs of three words, and the kernel only reads them.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, header.as_mut_ptr(), data.as_ptr()) }).map(|_| ())
}
