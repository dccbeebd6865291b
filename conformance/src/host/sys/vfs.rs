//! Calls that every file system has.

use super::ioctl::{Number, Request, ioctl, ioctl_with_number};
use nix::errno::Errno;
use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use zerocopy::{FromBytes, IntoBytes};

/// The kernel writes and reads an int, whatever the numbers say (ioctl_iflags(2)).
const FS_IOC_GETFLAGS: Request<libc::c_int> = Request::numbered(0x8008_6601);
const FS_IOC_SETFLAGS: Request<libc::c_int> = Request::numbered(0x4008_6602);
const FS_IOC_FSGETXATTR: Request<FsXattr> = Request::read(b'X', 31);
const FS_IOC_FSSETXATTR: Request<FsXattr> = Request::write(b'X', 32);
const FICLONE: Request<Number> = Request::numbered(0x4004_9409);
const FS_IOC_ENABLE_VERITY: Request<EnableVerity> = Request::write(b'f', 133);
const FICLONERANGE: Request<CloneRange> = Request::write(0x94, 13);
/// The number has only the size of the head, `struct file_dedupe_range`.
const FIDEDUPERANGE: Request<DedupeRange> = Request::numbered(0xc018_9436);
/// The number has only the size of the head, `struct fiemap`.
const FS_IOC_FIEMAP: Request<Fiemap> = Request::numbered(0xc020_660b);
/// The kernel reads a 32-bit number, whatever the number of the request says.
const FS_IOC_SHUTDOWN: Request<u32> = Request::read(b'X', 125);
/// The kernel ignores the argument.
const FIFREEZE: Request<Number> = Request::numbered(0xc004_5877);
const FITHAW: Request<Number> = Request::numbered(0xc004_5878);
const FITRIM: Request<[u64; 3]> = Request::read_write(b'X', 121);

/// The errno of an error of the standard library.
pub(crate) fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// The path of an open file in /proc.
pub(crate) fn proc_path(file: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

pub(super) fn c_path(path: &Path) -> Result<CString, Errno> {
    CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::EINVAL)
}

/// A count, or a negative errno as the kernel uses it inside.
pub(super) fn check_count(result: i64) -> Result<usize, Errno> {
    usize::try_from(result).map_err(|_| Errno::from_raw(-result as i32))
}

pub(super) fn check(result: libc::c_int) -> Result<(), Errno> {
    Errno::result(result).map(|_| ())
}

/// pwritev2(2) with RWF_APPEND.
pub(crate) const APPEND: i32 = libc::RWF_APPEND;

/// pwritev2(2) with RWF_NOAPPEND, since Linux 6.9.
pub(crate) const NO_APPEND: i32 = libc::RWF_NOAPPEND;

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

/// fallocate(2). Only two places call it: [`crate::host::calls::Calls`], which asks `reach.rs` before, and the question
/// of `host/sealing.rs`.
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

/// FS_IOC_GETFLAGS, then FS_IOC_SETFLAGS with `set` added and `clear` taken out.
pub(crate) fn change_flags(file: &impl AsFd, set: u32, clear: u32) -> Result<(), Errno> {
    let mut flags: libc::c_int = 0;
    ioctl(file, &FS_IOC_GETFLAGS, &mut flags)?;
    flags = (flags as u32 | set).cast_signed() & !clear.cast_signed();
    ioctl(file, &FS_IOC_SETFLAGS, &mut flags)
}

/// `struct fsxattr` of <linux/fs.h>.
#[repr(C)]
#[derive(Default, FromBytes, IntoBytes)]
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
    ioctl(&file, &FS_IOC_FSGETXATTR, &mut attributes)?;
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
    ioctl(&file, &FS_IOC_FSSETXATTR, &mut attributes)
}

/// `struct file_attr` of <linux/fs.h>.
#[repr(C)]
#[derive(Default)]
struct FileAttr {
    xflags: u64,
    rest: [u32; 4],
}

/// file_getattr(2), since Linux 6.17: `fa_xflags`.
pub(crate) fn file_getattr(file: BorrowedFd) -> Result<u64, Errno> {
    const SYS_FILE_GETATTR: libc::c_long = 468;
    let mut shown = FileAttr::default();
    let (descriptor, place) = (file.as_raw_fd(), &raw mut shown);
    // SAFETY: the kernel writes as many bytes as the struct has, and the path is a terminated string.
    let result = unsafe {
        libc::syscall(SYS_FILE_GETATTR, descriptor, c"".as_ptr(), place, size_of::<FileAttr>(), libc::AT_EMPTY_PATH)
    };
    Errno::result(result).map(|_| shown.xflags)
}

/// statx(2): `stx_attributes` and `stx_attributes_mask`.
pub(crate) fn statx(path: &Path) -> Result<(u64, u64), Errno> {
    statx_of(path, 0).map(|shown| (shown.stx_attributes, shown.stx_attributes_mask))
}

fn statx_of(path: &Path, mask: libc::c_uint) -> Result<libc::statx, Errno> {
    let path = c_path(path)?;
    // SAFETY: zeros are valid for each field.
    let mut shown: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a terminated string, and the kernel writes the struct.
    check(unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), 0, mask, &raw mut shown) })?;
    Ok(shown)
}

/// statx(2): `stx_atomic_write_unit_max`, or 0 on kernels before Linux 6.11.
pub(crate) fn atomic_write_max(path: &Path) -> Result<u32, Errno> {
    const STATX_WRITE_ATOMIC: libc::c_uint = 0x1_0000;
    statx_of(path, STATX_WRITE_ATOMIC).map(|shown| shown.stx_atomic_write_unit_max)
}

/// F_GETFL: the access mode and the status flags of a descriptor.
pub(crate) fn status_flags(file: BorrowedFd) -> Result<libc::c_int, Errno> {
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_GETFL)
}

/// The lease that a descriptor allows: to be told of all other uses, or of those that write.
fn lease_of(file: BorrowedFd) -> Result<libc::c_int, Errno> {
    let flags = status_flags(file)?;
    Ok(if flags & libc::O_ACCMODE == libc::O_RDONLY { libc::F_RDLCK } else { libc::F_WRLCK })
}

/// F_SETLEASE. The kernel asks for the lease back with SIGURG, which the process ignores: SIGIO would end it.
pub(crate) fn set_lease(file: BorrowedFd, on: bool) -> Result<(), Errno> {
    const F_SETSIG: libc::c_int = 10;
    let kind = if on { lease_of(file)? } else { libc::F_UNLCK };
    // SAFETY: both calls take numbers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) })?;
    // SAFETY: as above.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) })
}

/// F_GETLEASE: whether the lease is there and nobody wants it back.
pub(crate) fn has_lease(file: BorrowedFd) -> Result<bool, Errno> {
    // SAFETY: the call takes numbers.
    let kind = Errno::result(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) })?;
    Ok(kind == lease_of(file)?)
}

/// Makes a call while inotify(7) watches a file for IN_MODIFY. Returns whether it reported such an event.
pub(crate) fn is_modified(path: &Path, act: impl FnOnce() -> Result<(), Errno>) -> Result<bool, Errno> {
    let path = c_path(path)?;
    // SAFETY: the call takes a number.
    let watch = Errno::result(unsafe { libc::inotify_init1(libc::IN_NONBLOCK | libc::IN_CLOEXEC) })?;
    // SAFETY: the descriptor is new, and nobody else has it.
    let watch = unsafe { std::os::fd::OwnedFd::from_raw_fd(watch) };
    // SAFETY: the path is a terminated string.
    check(unsafe { libc::inotify_add_watch(watch.as_raw_fd(), path.as_ptr(), libc::IN_MODIFY) })?;
    act()?;
    match nix::unistd::read(&watch, &mut [0; 4096]) {
        Err(Errno::EAGAIN) => Ok(false),
        count => count.map(|count| count > 0),
    }
}

/// The attributes besides flags that FS_IOC_FSSETXATTR can change; sizes are in bytes.
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
    ioctl(&file, &FS_IOC_FSSETXATTR, &mut all)
}

/// `struct fsverity_enable_arg` of <linux/fsverity.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct EnableVerity {
    version: u32,
    hash_algorithm: u32,
    block_size: u32,
    salt_size: u32,
    salt: u64,
    signature_size: u32,
    reserved: u32,
    signature: u64,
    rest: [u64; 11],
}

/// FS_IOC_ENABLE_VERITY, with SHA-256 and without salt. Nobody may have the file open for writing.
pub(crate) fn enable_verity(file: BorrowedFd) -> Result<(), Errno> {
    const SHA256: u32 = 1;
    let mut args = EnableVerity {
        version: 1,
        hash_algorithm: SHA256,
        block_size: 4096,
        salt_size: 0,
        salt: 0,
        signature_size: 0,
        reserved: 0,
        signature: 0,
        rest: [0; 11],
    };
    ioctl(&file, &FS_IOC_ENABLE_VERITY, &mut args)
}

/// FICLONE.
pub(crate) fn clone(from: BorrowedFd, to: BorrowedFd) -> Result<(), Errno> {
    ioctl_with_number(&to, &FICLONE, from.as_raw_fd().unsigned_abs() as usize).map(|_| ())
}

/// `struct file_clone_range` of <linux/fs.h>.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct CloneRange {
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
    let mut range = CloneRange { source: from.as_raw_fd().into(), source_offset, source_length, destination_offset };
    ioctl(&to, &FICLONERANGE, &mut range)
}

/// `struct file_dedupe_range` of <linux/fs.h>, with one destination.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct DedupeRange {
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

/// FIDEDUPERANGE. Returns the bytes that are shared now, or the destination's error.
pub(crate) fn dedupe(
    (from, source_offset): (BorrowedFd, u64),
    (to, destination_offset): (BorrowedFd, u64),
    len: usize,
) -> Result<usize, Errno> {
    let mut range = DedupeRange {
        source_offset,
        source_length: len as u64,
        destinations: 1,
        reserved: [0; 3],
        destination: to.as_raw_fd().into(),
        destination_offset,
        deduped: 0,
        status: 0,
        reserved_too: 0,
    };
    ioctl(&from, &FIDEDUPERANGE, &mut range)?;
    match range.status {
        0 => Ok(range.deduped as usize),
        // FILE_DEDUPE_RANGE_DIFFERS
        1.. => Err(Errno::EBADE),
        errno => Err(Errno::from_raw(-errno)),
    }
}

/// The number of pieces of a file that one call asks for: most files of the cases have fewer.
const PIECES: usize = 64;

/// `struct fiemap` of <linux/fiemap.h>, with room for the extents.
#[repr(C)]
#[derive(FromBytes, IntoBytes)]
struct Fiemap {
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
#[derive(Clone, Copy, Debug, Default, FromBytes, IntoBytes)]
pub(crate) struct FiemapExtent {
    /// The offset in the file.
    pub(crate) logical: u64,
    /// The offset in the address space of the file system.
    pub(crate) physical: u64,
    /// The length.
    pub(crate) length: u64,
    reserved64: [u64; 2],
    flags: u32,
    reserved: [u32; 3],
}

impl FiemapExtent {
    /// Whether the data lie among the metadata, where no agent can be.
    pub(crate) fn is_inline(&self) -> bool {
        const FIEMAP_EXTENT_DATA_INLINE: u32 = 0x200;
        self.flags & FIEMAP_EXTENT_DATA_INLINE != 0
    }

    /// Whether no other follows.
    fn is_last(&self) -> bool {
        const FIEMAP_EXTENT_LAST: u32 = 1;
        self.flags & FIEMAP_EXTENT_LAST != 0
    }
}

/// FS_IOC_FIEMAP over the whole file, after the dirty data were written back. It gives an agent its access, as it does
/// for pNFS servers and boot loaders. No verdict uses it.
pub(crate) fn fiemap(file: BorrowedFd) -> Result<Vec<FiemapExtent>, Errno> {
    const FIEMAP_FLAG_SYNC: u32 = 1;
    let mut all: Vec<FiemapExtent> = Vec::new();
    loop {
        let start = all.last().map_or(0, |last| last.logical + last.length);
        let mut map = Fiemap {
            start,
            length: u64::MAX - start,
            flags: FIEMAP_FLAG_SYNC,
            mapped_extents: 0,
            extent_count: PIECES as u32,
            reserved: 0,
            extents: [FiemapExtent::default(); PIECES],
        };
        ioctl(&file, &FS_IOC_FIEMAP, &mut map)?;
        let some = &map.extents[..map.mapped_extents as usize];
        all.extend_from_slice(some);
        if some.last().is_none_or(FiemapExtent::is_last) {
            return Ok(all);
        }
    }
}

/// FS_IOC_SHUTDOWN without writing the log: XFS_FSOP_GOING_FLAGS_NOLOGFLUSH, EXT4_GOING_FLAGS_NOLOGFLUSH.
pub(crate) fn shut_down(root: &impl AsFd) -> Result<(), Errno> {
    let mut how = 2;
    ioctl(root, &FS_IOC_SHUTDOWN, &mut how)
}

/// FIFREEZE. Nothing can be written until [`thaw`].
pub(crate) fn freeze(root: BorrowedFd) -> Result<(), Errno> {
    ioctl_with_number(&root, &FIFREEZE, 0).map(|_| ())
}

/// FITHAW.
pub(crate) fn thaw(root: BorrowedFd) -> Result<(), Errno> {
    ioctl_with_number(&root, &FITHAW, 0).map(|_| ())
}

/// FITRIM of all free space.
pub(crate) fn trim(root: BorrowedFd) -> Result<(), Errno> {
    let mut range = [0, u64::MAX, 0];
    ioctl(&root, &FITRIM, &mut range)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    /// Each piece of a file with more pieces than one call gives.
    #[test]
    fn many_pieces() {
        const BLOCK: u64 = 4096;
        let all = 3 * PIECES as u64 + 1;
        let file = tempfile::tempfile().unwrap();
        for number in 0..all {
            file.write_all_at(&[1; BLOCK as usize], number * 16 * BLOCK).unwrap();
        }
        match fiemap(file.as_fd()) {
            Err(Errno::EOPNOTSUPP) => {
                iomap_testing::tools::not_tested("the file system for temporary files has no FIEMAP")
            }
            pieces => {
                let pieces = pieces.unwrap();
                let offsets: Vec<u64> = pieces.iter().map(|piece| piece.logical).collect();
                assert!(offsets.iter().copied().eq((0..all).map(|number| number * 16 * BLOCK)), "{offsets:?}");
                assert!(pieces[..pieces.len() - 1].iter().all(|piece| !piece.is_last()));
            }
        }
    }
}
