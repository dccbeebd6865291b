//! The system calls, as data.
//!
//! The model, the kernel and the reports share this vocabulary: a program can make a [`Call`], print it, and make it
//! again on another system.

use crate::call::mode::Mode;
use crate::call::route::Route;
use nix::fcntl::OFlag;
use std::fmt;

/// An open file descriptor, numbered by the system under test.
pub type Fd = i32;

/// A mapping of a file, numbered by the system under test.
pub type MapId = u64;

/// An offset in an open file, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct At {
    /// The descriptor of the file.
    pub fd: Fd,
    /// The offset.
    pub offset: u64,
}

/// A system call with its arguments. Offsets and lengths are in bytes; names are relative to the directory of the case,
/// or to the root of the model.
#[rustfmt::skip] // One call, one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are the arguments of the system calls, under their names")]
pub enum Call {
    Open { name: String, flags: OFlag, mode: u32 },
    Close { fd: Fd },
    Read { fd: Fd, len: usize },
    Pread { fd: Fd, offset: i64, len: usize },
    Write { fd: Fd, data: Vec<u8> },
    Pwrite { fd: Fd, offset: i64, data: Vec<u8> },
    /// pwritev2(2): `append` is RWF_APPEND or RWF_NOAPPEND.
    Pwritev { fd: Fd, offset: i64, parts: Vec<Vec<u8>>, append: Option<bool> },
    /// pwrite(2) by a process whose RLIMIT_FSIZE is `limit`. A process that gets SIGXFSZ ends: EFBIG.
    PwriteLimited { fd: Fd, offset: i64, data: Vec<u8>, limit: u64 },
    Seek { fd: Fd, offset: i64, whence: Whence },
    /// fcntl(2) with F_GETFL: the reply is the access mode and the status flags.
    StatusFlags { fd: Fd },
    Fsync { fd: Fd },
    Ftruncate { fd: Fd, size: i64 },
    Truncate { name: String, size: i64 },
    Fallocate { fd: Fd, mode: Mode, offset: i64, len: i64 },
    CopyRange { from: Fd, from_offset: i64, to: Fd, to_offset: i64, len: usize },
    /// pwritev2(2) with RWF_ATOMIC.
    PwriteAtomic { fd: Fd, offset: i64, data: Vec<u8> },
    /// FICLONE: `to` shares all contents of `from`.
    Clone { from: Fd, to: Fd },
    /// FICLONERANGE.
    CloneRange { from: Fd, from_offset: i64, to: Fd, to_offset: i64, len: i64 },
    /// FIDEDUPERANGE; an error is the status of the destination.
    Dedupe { from: Fd, from_offset: i64, to: Fd, to_offset: i64, len: usize },
    /// XFS_IOC_EXCHANGE_RANGE, XFS_IOC_SWAPEXT: exchanges the contents of both files completely.
    Exchange { one: Fd, other: Fd },
    /// BTRFS_IOC_SNAP_CREATE of the whole file system.
    Snapshot,
    /// BTRFS_IOC_DEFRAG, or the calls of xfs_fsr(8) and e4defrag(8).
    Defragment { fd: Fd },
    /// Garbage collection or balancing, which may move any unsealed file.
    Collect,
    /// Shrinks the file system to `size` bytes.
    Shrink { size: i64 },
    /// BTRFS_IOC_RM_DEV: adds another device to the file system and removes its present one.
    RemoveDevice,
    /// BTRFS_IOC_DEV_REPLACE: replaces the present device by another one.
    ReplaceDevice,
    /// F_SETLEASE of fcntl(2): the lease that the descriptor allows, or none. Its holder never answers.
    SetLease { fd: Fd, on: bool },
    /// F_GETLEASE: the reply is 1 while the descriptor has a lease that nobody wants back.
    GetLease { fd: Fd },
    Map { fd: Fd, len: usize, shared: bool, write: bool },
    /// mprotect(2) of a whole mapping.
    Protect { map: MapId, write: bool },
    /// Registers a mapping for long-term access by a device, as IORING_REGISTER_BUFFERS and RDMA do.
    Register { map: MapId },
    Unregister { registration: MapId },
    /// The device writes to the registered memory: IORING_OP_READ_FIXED, or RDMA WRITE by a peer.
    DeviceStore { registration: MapId, offset: usize, data: Vec<u8> },
    /// The device reads from the registered memory: IORING_OP_WRITE_FIXED, or RDMA READ.
    DeviceLoad { registration: MapId, offset: usize, len: usize },
    Load { map: MapId, offset: usize, len: usize },
    Store { map: MapId, offset: usize, data: Vec<u8> },
    Unmap { map: MapId },
    Unlink { name: String },
    Rename { from: String, to: String, exchange: bool },
    /// renameat2(2) with RENAME_NOREPLACE.
    RenameNew { from: String, to: String },
    Link { from: String, to: String },
    /// linkat(2) of a descriptor with AT_EMPTY_PATH: also a file of O_TMPFILE gets a name.
    LinkFd { fd: Fd, to: String },
    Symlink { target: String, name: String },
    Mkdir { name: String, mode: u32 },
    /// BTRFS_IOC_SUBVOL_CREATE: makes a directory that is the root of a nested file system.
    Subvolume { name: String },
    Rmdir { name: String },
    Mkfifo { name: String },
    /// A descriptor of something that is no file of a file system: socket(2), or open(2) of /dev/null.
    Special { socket: bool },
    Chmod { name: String, mode: u32 },
    Chown { name: String, uid: u32, gid: u32 },
    /// utimensat(2), both times, in seconds since the epoch.
    Utimes { name: String, atime: i64, mtime: i64 },
    SetXattr { name: String, key: String, value: Vec<u8> },
    RemoveXattr { name: String, key: String },
    Stat { fd: Fd },
    /// statx(2) by name: the reply is `stx_attributes_mask`, or else `stx_attributes`.
    Statx { name: String, mask: bool },
    /// statx(2) by name: the reply is `stx_atomic_write_unit_max`.
    AtomicMax { name: String },
    /// The call, while inotify(7) watches a file: the reply is 1 if it reports IN_MODIFY.
    Watched { name: String, call: Box<Call> },
    /// FS_IOC_FSGETXATTR: the reply is `fsx_xflags`.
    GetXflags { fd: Fd },
    /// FS_IOC_FSGETXATTR, then FS_IOC_FSSETXATTR with the bits of `set` added to `fsx_xflags` and those of `clear`
    /// removed.
    ChangeXflags { fd: Fd, set: u32, clear: u32 },
    /// FS_IOC_GETFLAGS, then FS_IOC_SETFLAGS with the flags changed in the same way.
    ChangeFlags { fd: Fd, set: u32, clear: u32 },
    /// statfs(2): the reply is the free space in bytes.
    FreeSpace,
    Remount { read_only: bool },
    /// quotactl(2) with Q_SETQUOTA: limits the data of a user's files; 0 means no limit. On btrfs the limit is for all
    /// users.
    SetQuota { uid: u32, bytes: u64 },
    /// umount(2), then mount(2). No file may be open.
    Cycle,
    /// The same, with one more option of mount(2). If the mount is refused, the options stay as they were.
    CycleWith { option: String },
    /// A loss of power, perhaps during a call, and a restart. No file is open afterwards.
    PowerLoss { during: Option<Box<Call>> },
    /// A loss of power when `call` has returned and `begun`, which began before it, perhaps has not. The reply is that
    /// of `call`.
    PowerLossAfter { begun: Box<Call>, call: Box<Call> },
    /// swapon(2) and swapoff(2) of the file behind a descriptor, by its name in /proc/self/fd.
    Swapon { fd: Fd },
    Swapoff { fd: Fd },
    /// Swaps memory with these data out to the active swap file behind a descriptor: MADV_PAGEOUT.
    SwapOut { fd: Fd, data: Vec<u8> },
    /// Reads the first bytes of that memory, which the kernel swaps in again.
    SwapIn { fd: Fd, len: usize },
    /// F2FS_IOC_SET_PIN_FILE with 1, or with 0.
    Pin { fd: Fd, on: bool },
    /// The call, made in another way.
    Via { route: Route, call: Box<Call> },
}

impl Call {
    /// The same call, made in another way.
    #[must_use]
    pub fn via(self, route: Route) -> Self {
        Self::Via { route, call: Box::new(self) }
    }

    /// The call without its routes.
    #[must_use]
    pub fn bare(&self) -> &Self {
        match self {
            Self::Via { call, .. } => call.bare(),
            call => call,
        }
    }
}

/// The origin of an offset of lseek(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "SEEK_SET and its like")]
pub enum Whence {
    Set,
    Cur,
    Hole,
    Data,
}

/// The call as in C, with the length of its data in place of the data.
impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Open { name, flags, mode } if flags.contains(OFlag::O_CREAT) => {
                write!(f, "open({name:?}, {}, {mode:#o})", flag_names(*flags))
            }
            Self::Open { name, flags, .. } => write!(f, "open({name:?}, {})", flag_names(*flags)),
            Self::Close { fd } => write!(f, "close({fd})"),
            Self::Read { fd, len } => write!(f, "read({fd}, buf, {len})"),
            Self::Pread { fd, offset, len } => write!(f, "pread({fd}, buf, {len}, {offset})"),
            Self::Write { fd, data } => write!(f, "write({fd}, buf, {})", data.len()),
            Self::Pwrite { fd, offset, data } => write!(f, "pwrite({fd}, buf, {}, {offset})", data.len()),
            Self::Pwritev { fd, offset, parts, append } => {
                let lengths = parts.iter().map(|p| p.len().to_string()).collect::<Vec<_>>().join(" + ");
                let flags = append_flag(*append);
                write!(f, "pwritev2({fd}, [{lengths}], {}, {offset}, {flags})", parts.len())
            }
            Self::PwriteLimited { fd, offset, data, limit } => {
                write!(f, "pwrite({fd}, buf, {}, {offset}) with an RLIMIT_FSIZE of {limit}", data.len())
            }
            Self::Seek { fd, offset, whence } => {
                write!(f, "lseek({fd}, {offset}, SEEK_{})", format!("{whence:?}").to_uppercase())
            }
            Self::StatusFlags { fd } => write!(f, "fcntl({fd}, F_GETFL)"),
            Self::Fsync { fd } => write!(f, "fsync({fd})"),
            Self::Ftruncate { fd, size } => write!(f, "ftruncate({fd}, {size})"),
            Self::Truncate { name, size } => write!(f, "truncate({name:?}, {size})"),
            Self::Fallocate { fd, mode, offset, len } => write!(f, "fallocate({fd}, {mode}, {offset}, {len})"),
            Self::CopyRange { from, from_offset, to, to_offset, len } => {
                write!(f, "copy_file_range({from}, {from_offset}, {to}, {to_offset}, {len}, 0)")
            }
            Self::PwriteAtomic { fd, offset, data } => {
                write!(f, "pwritev2({fd}, [{}], 1, {offset}, RWF_ATOMIC)", data.len())
            }
            Self::Clone { from, to } => write!(f, "ioctl({to}, FICLONE, {from})"),
            Self::CloneRange { from, from_offset, to, to_offset, len } => {
                write!(f, "ioctl({to}, FICLONERANGE, {{{from}, {from_offset}, {len}, {to_offset}}})")
            }
            Self::Dedupe { from, from_offset, to, to_offset, len } => {
                write!(f, "ioctl({from}, FIDEDUPERANGE, {{{from_offset}, {len}, {{{to}, {to_offset}}}}})")
            }
            Self::Exchange { one, other } => write!(f, "exchange of the contents of {one} and {other}"),
            Self::Snapshot => write!(f, "snapshot"),
            Self::Defragment { fd } => write!(f, "defragmentation of {fd}"),
            Self::Collect => write!(f, "garbage collection"),
            Self::Shrink { size } => write!(f, "shrinking the file system to {size} bytes"),
            Self::RemoveDevice => write!(f, "removing the device"),
            Self::ReplaceDevice => write!(f, "replacing the device"),
            Self::Register { .. } => write!(f, "io_uring_register(ring, IORING_REGISTER_BUFFERS, map)"),
            Self::Unregister { .. } => write!(f, "io_uring_register(ring, IORING_UNREGISTER_BUFFERS)"),
            Self::DeviceStore { offset, data, .. } => {
                write!(f, "a device writes {} bytes to registration + {offset}", data.len())
            }
            Self::DeviceLoad { offset, len, .. } => {
                write!(f, "a device reads {len} bytes from registration + {offset}")
            }
            Self::Map { fd, len, shared, write } => {
                let protection = if *write { "PROT_READ | PROT_WRITE" } else { "PROT_READ" };
                let kind = if *shared { "MAP_SHARED" } else { "MAP_PRIVATE" };
                write!(f, "mmap(NULL, {len}, {protection}, {kind}, {fd}, 0)")
            }
            Self::SetLease { fd, on } => {
                write!(f, "fcntl({fd}, F_SETLEASE, {})", if *on { "its kind" } else { "F_UNLCK" })
            }
            Self::GetLease { fd } => write!(f, "fcntl({fd}, F_GETLEASE)"),
            Self::Protect { write, .. } => {
                write!(f, "mprotect(map, len, {})", if *write { "PROT_READ | PROT_WRITE" } else { "PROT_READ" })
            }
            Self::Load { offset, len, .. } => write!(f, "memcpy(buf, map + {offset}, {len})"),
            Self::Store { offset, data, .. } => write!(f, "memcpy(map + {offset}, buf, {})", data.len()),
            Self::Unmap { .. } => write!(f, "munmap(map, len)"),
            Self::Unlink { name } => write!(f, "unlink({name:?})"),
            Self::Rename { from, to, exchange: false } => write!(f, "rename({from:?}, {to:?})"),
            Self::Rename { from, to, exchange: true } => {
                write!(f, "renameat2(AT_FDCWD, {from:?}, AT_FDCWD, {to:?}, RENAME_EXCHANGE)")
            }
            Self::RenameNew { from, to } => {
                write!(f, "renameat2(AT_FDCWD, {from:?}, AT_FDCWD, {to:?}, RENAME_NOREPLACE)")
            }
            Self::Symlink { target, name } => write!(f, "symlink({target:?}, {name:?})"),
            Self::Mkdir { name, mode } => write!(f, "mkdir({name:?}, {mode:#o})"),
            Self::Subvolume { name } => write!(f, "ioctl(\".\", BTRFS_IOC_SUBVOL_CREATE, {name:?})"),
            Self::Rmdir { name } => write!(f, "rmdir({name:?})"),
            Self::Link { from, to } => write!(f, "link({from:?}, {to:?})"),
            Self::LinkFd { fd, to } => write!(f, "linkat({fd}, \"\", AT_FDCWD, {to:?}, AT_EMPTY_PATH)"),
            Self::Mkfifo { name } => write!(f, "mkfifo({name:?}, 0600)"),
            Self::Special { socket: true } => write!(f, "socket(AF_UNIX, SOCK_STREAM, 0)"),
            Self::Special { socket: false } => write!(f, "open(\"/dev/null\", O_RDWR)"),
            Self::Chmod { name, mode } => write!(f, "chmod({name:?}, {mode:#o})"),
            Self::Chown { name, uid, gid } => write!(f, "chown({name:?}, {uid}, {gid})"),
            Self::Utimes { name, atime, mtime } => write!(f, "utimensat(AT_FDCWD, {name:?}, {{{atime}, {mtime}}}, 0)"),
            Self::SetXattr { name, key, value } => write!(f, "setxattr({name:?}, {key:?}, value, {}, 0)", value.len()),
            Self::RemoveXattr { name, key } => write!(f, "removexattr({name:?}, {key:?})"),
            Self::Stat { fd } => write!(f, "fstat({fd}, &st)"),
            Self::Statx { name, mask } => {
                write!(f, "statx(AT_FDCWD, {name:?}, 0, 0, &st), {}", if *mask { "the mask" } else { "the attributes" })
            }
            Self::AtomicMax { name } => {
                write!(f, "statx(AT_FDCWD, {name:?}, 0, STATX_WRITE_ATOMIC, &st), stx_atomic_write_unit_max")
            }
            Self::Watched { name, call } => write!(f, "{call}, while inotify(7) watches {name:?}"),
            Self::GetXflags { fd } => write!(f, "ioctl({fd}, FS_IOC_FSGETXATTR, &attr)"),
            Self::ChangeXflags { fd, set, clear } => {
                write!(f, "ioctl({fd}, FS_IOC_FSSETXATTR, xflags | {set:#x} & ~{clear:#x})")
            }
            Self::ChangeFlags { fd, set, clear } => {
                write!(f, "ioctl({fd}, FS_IOC_SETFLAGS, flags | {set:#x} & ~{clear:#x})")
            }
            Self::FreeSpace => write!(f, "statfs(\".\", &st)"),
            Self::Remount { read_only } => write!(f, "mount(remount, {})", if *read_only { "ro" } else { "rw" }),
            Self::SetQuota { uid, bytes } => write!(f, "quotactl(Q_SETQUOTA) of user {uid}: {bytes} bytes"),
            Self::Cycle => write!(f, "umount and mount"),
            Self::CycleWith { option } => write!(f, "umount and mount with {option}"),
            Self::PowerLoss { during: None } => write!(f, "power loss"),
            Self::PowerLoss { during: Some(call) } => write!(f, "power loss during {call}"),
            Self::PowerLossAfter { begun, call } => write!(f, "power loss after {call}, begun during {begun}"),
            Self::Swapon { fd } => write!(f, "swapon(\"/proc/self/fd/{fd}\", 0)"),
            Self::Swapoff { fd } => write!(f, "swapoff(\"/proc/self/fd/{fd}\")"),
            Self::SwapOut { data, .. } => write!(f, "madvise(memory, {}, MADV_PAGEOUT)", data.len()),
            Self::SwapIn { len, .. } => write!(f, "memcpy(buf, memory, {len})"),
            Self::Via { route, call } => write!(f, "{route}, as {call}"),
            Self::Pin { fd, on } => write!(f, "ioctl({fd}, F2FS_IOC_SET_PIN_FILE, {})", u32::from(*on)),
        }
    }
}

/// The flag of pwritev2(2).
pub fn append_flag(append: Option<bool>) -> &'static str {
    match append {
        None => "0",
        Some(true) => "RWF_APPEND",
        Some(false) => "RWF_NOAPPEND",
    }
}

fn flag_names(flags: OFlag) -> String {
    let access = match flags & OFlag::O_ACCMODE {
        OFlag::O_RDWR => "O_RDWR",
        OFlag::O_WRONLY => "O_WRONLY",
        _ => "O_RDONLY",
    };
    let rest = flags - OFlag::O_ACCMODE;
    std::iter::once(access).chain(rest.iter_names().map(|(name, _)| name)).collect::<Vec<_>>().join(" | ")
}
