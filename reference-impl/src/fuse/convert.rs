//! Conversions between the types of the model and those of the crate fuser.

use crate::call::system_call::Fd;
use crate::model::metadata::{Attributes, SetTime};
use crate::storage::inode::Kind;
use crate::units::{BLOCK, Ino};
use fuser::{
    FileAttr, FileHandle, FileType, FopenFlags, Generation, INodeNo, ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry,
    ReplyOpen, ReplyWrite, ReplyXattr, TimeOrNow,
};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time for which the kernel may cache names and attributes of directories, which change only through the kernel.
/// It must not cache attributes of other files, because a call by ioctl changes their times.
const NAMES_LAST: Duration = Duration::from_secs(60);

pub(crate) fn code(errno: Errno) -> fuser::Errno {
    fuser::Errno::from_i32(errno as i32)
}

pub(crate) fn place(dir: INodeNo, name: &OsStr) -> (Ino, &[u8]) {
    (dir.0, name.as_bytes())
}

pub(crate) fn descriptor(handle: FileHandle) -> Fd {
    // The kernel only returns values that `handle` made.
    handle.0 as Fd
}

pub(crate) fn handle(fd: Fd) -> FileHandle {
    FileHandle(fd.unsigned_abs().into())
}

pub(crate) fn flags(bits: i32) -> OFlag {
    OFlag::from_bits_retain(bits)
}

pub(crate) fn time(nanoseconds: i128) -> SystemTime {
    let from_epoch = nanoseconds.unsigned_abs();
    let (seconds, rest) = ((from_epoch / 1_000_000_000) as u64, (from_epoch % 1_000_000_000) as u32);
    let distance = Duration::new(seconds, rest);
    let time = if nanoseconds < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    time.unwrap_or(UNIX_EPOCH)
}

/// Nanoseconds since the epoch.
pub(crate) fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

pub(crate) fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::SpecificTime(time) => SetTime::At(nanoseconds(time)),
        TimeOrNow::Now => SetTime::Now,
    }
}

pub(crate) const TYPES: [(Kind, FileType, u32); 7] = [
    (Kind::Regular, FileType::RegularFile, libc::S_IFREG),
    (Kind::Directory, FileType::Directory, libc::S_IFDIR),
    (Kind::Symlink, FileType::Symlink, libc::S_IFLNK),
    (Kind::Fifo, FileType::NamedPipe, libc::S_IFIFO),
    (Kind::Socket, FileType::Socket, libc::S_IFSOCK),
    (Kind::Character, FileType::CharDevice, libc::S_IFCHR),
    (Kind::Block, FileType::BlockDevice, libc::S_IFBLK),
];

pub(crate) fn file_type(kind: Kind) -> FileType {
    // The table has a row for each type.
    TYPES.iter().find(|row| row.0 == kind).map_or(FileType::RegularFile, |row| row.1)
}

pub(crate) fn shown(attributes: &Attributes) -> FileAttr {
    FileAttr {
        ino: INodeNo(attributes.ino),
        size: attributes.size,
        blocks: attributes.blocks,
        atime: time(attributes.atime),
        mtime: time(attributes.mtime),
        ctime: time(attributes.ctime),
        crtime: time(attributes.birth),
        kind: file_type(attributes.kind),
        perm: attributes.mode as u16,
        nlink: attributes.links as u32,
        uid: attributes.uid,
        gid: attributes.gid,
        rdev: attributes.rdev as u32,
        blksize: BLOCK as u32,
        flags: 0,
    }
}

/// The time for which the kernel may cache the attributes of a file.
pub(crate) fn lasts(attributes: &Attributes) -> Duration {
    if attributes.kind == Kind::Directory { NAMES_LAST } else { Duration::ZERO }
}

pub(crate) fn entry(reply: ReplyEntry, result: Result<Attributes, Errno>) {
    match result {
        Ok(found) => reply.entry_with_ttls(&lasts(&found), &NAMES_LAST, &shown(&found), Generation(0)),
        Err(errno) => reply.error(code(errno)),
    }
}

pub(crate) fn attributes(reply: ReplyAttr, result: Result<Attributes, Errno>) {
    match result {
        Ok(found) => reply.attr(&lasts(&found), &shown(&found)),
        Err(errno) => reply.error(code(errno)),
    }
}

pub(crate) fn empty(reply: ReplyEmpty, result: Result<(), Errno>) {
    match result {
        Ok(()) => reply.ok(),
        Err(errno) => reply.error(code(errno)),
    }
}

pub(crate) fn data(reply: ReplyData, result: Result<Vec<u8>, Errno>) {
    match result {
        Ok(data) => reply.data(&data),
        Err(errno) => reply.error(code(errno)),
    }
}

pub(crate) fn written(reply: ReplyWrite, result: Result<usize, Errno>) {
    match result {
        Ok(count) => reply.written(count as u32),
        Err(errno) => reply.error(code(errno)),
    }
}

pub(crate) fn opened(reply: ReplyOpen, result: Result<Fd, Errno>) {
    match result {
        // Data change only through the kernel, so its cached pages stay valid.
        Ok(fd) => reply.opened(handle(fd), FopenFlags::FOPEN_KEEP_CACHE),
        Err(errno) => reply.error(code(errno)),
    }
}

/// Replies with a value to a caller with room for `size` bytes; a size of 0 asks for the length only.
pub(crate) fn value(reply: ReplyXattr, size: u32, result: Result<Vec<u8>, Errno>) {
    match result {
        Ok(value) if size == 0 => reply.size(value.len() as u32),
        Ok(value) if value.len() > size as usize => reply.error(fuser::Errno::ERANGE),
        Ok(value) => reply.data(&value),
        Err(errno) => reply.error(code(errno)),
    }
}
