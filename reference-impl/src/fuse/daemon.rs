//! The file system behind FUSE: passes requests of the kernel to `entry/requests.rs`.
//!
//! The kernel checks permissions (`default_permissions`), applies the umask, removes set-ID bits of files that are
//! written, and appends. It writes through, so that the caller gets the outcome of each write. Only stores through
//! mappings arrive later, when the kernel writes pages back.

use crate::call::caller::{Capabilities, Credentials};
use crate::call::mode::Mode;
use crate::call::system_call::{At, Fd, Whence};
use crate::entry::fs::Fs;
use crate::fuse::convert::{
    TYPES, attributes, code, data, descriptor, empty, entry, file_type, flags, handle, nanoseconds, opened, place,
    set_time, shown, value, written,
};
use crate::fuse::ioctl::{self, FallocateArgs, FsXattr};
use crate::model::metadata::Changes;
use crate::storage::inode::Kind;
use crate::units::BLOCK;
use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, FopenFlags, Generation, INodeNo, InitFlags, IoctlFlags,
    KernelConfig, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyIoctl, ReplyLseek, ReplyOpen, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};
use zerocopy::{FromBytes, IntoBytes};

/// The largest request: as large as sequential writes of applications, 256 pages.
const MAX_WRITE: u32 = 1 << 20;

pub(crate) struct Daemon {
    pub(crate) fs: Fs,
    /// A user who may seal without the capability.
    pub(crate) owner: Option<u32>,
}

impl Daemon {
    /// The caller of a request whose permissions the kernel has checked.
    fn checked(request: &Request) -> Credentials {
        Credentials {
            uid: request.uid(),
            gid: request.gid(),
            groups: Vec::new(),
            capabilities: Capabilities(!Capabilities::LINUX_IMMUTABLE.0),
        }
    }

    /// The caller of a request that the kernel does not know and has not checked.
    fn unchecked(&self, request: &Request) -> Credentials {
        let mut capabilities = capabilities(request.pid()).unwrap_or(Capabilities::NONE);
        if self.owner == Some(request.uid()) {
            capabilities.0 |= Capabilities::LINUX_IMMUTABLE.0;
        }
        Credentials { capabilities, ..Self::checked(request) }
    }

    /// The answer to an ioctl, or ENOTTY.
    fn control(&self, who: &Credentials, fd: Fd, request: u32, input: &[u8]) -> Result<Vec<u8>, Errno> {
        let number = || u32::read_from_prefix(input).map(|(number, _)| number).map_err(|_| Errno::EINVAL);
        let done = |()| Vec::new();
        match request {
            ioctl::IOMAP_IOC_FALLOCATE => {
                let args = FallocateArgs::read_from_bytes(input).map_err(|_| Errno::EINVAL)?;
                let mode = Mode(args.mode);
                // The other modes have a system call that the kernel passes on.
                if !mode.changes_state() {
                    return Err(Errno::ENOTTY);
                }
                let result = match args.mapped {
                    0 => self.fs.fallocate(who, fd, mode, args.offset, args.len),
                    1 => self.fs.fallocate_mapped(who, fd, mode, args.offset, args.len),
                    _ => Err(Errno::EINVAL),
                };
                result.map(done)
            }
            ioctl::FS_IOC_FSGETXATTR | ioctl::IOMAP_IOC_FSGETXATTR => {
                let xflags = self.fs.xflags(who, fd)?;
                Ok(FsXattr { xflags, ..FsXattr::default() }.as_bytes().to_vec())
            }
            ioctl::FS_IOC_FSSETXATTR | ioctl::IOMAP_IOC_FSSETXATTR => self.fs.set_xflags(who, fd, number()?).map(done),
            ioctl::FS_IOC_GETFLAGS => Ok(self.fs.flags(fd)?.as_bytes().to_vec()),
            ioctl::FS_IOC_SETFLAGS => self.fs.set_flags(who, fd, number()?).map(done),
            _ => Err(Errno::ENOTTY),
        }
    }
}

/// The capabilities of a process in our user namespace; capabilities in another namespace do not count.
fn capabilities(pid: u32) -> Option<Capabilities> {
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/user")).ok();
    let pid = pid.to_string();
    if namespace(&pid)? != namespace("self")? {
        return None;
    }
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(effective.trim(), 16).ok().map(Capabilities)
}

impl Filesystem for Daemon {
    fn init(&mut self, _: &Request, config: &mut KernelConfig) -> io::Result<()> {
        let wanted = InitFlags::FUSE_HAS_IOCTL_DIR | InitFlags::FUSE_PARALLEL_DIROPS | InitFlags::FUSE_CACHE_SYMLINKS;
        // Old kernels lack these features; the daemon works without them.
        let _ = config.add_capabilities(wanted & config.capabilities());
        let _ = config.set_max_write(MAX_WRITE);
        self.fs.set_clock(|| nanoseconds(SystemTime::now()));
        Ok(())
    }

    fn destroy(&mut self) {
        // The kernel may not have reported the last files that were closed.
        self.fs.disconnect();
    }

    fn lookup(&self, request: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.fs.lookup(&Self::checked(request), place(dir, name)));
    }

    fn forget(&self, _: &Request, ino: INodeNo, times: u64) {
        self.fs.forget(ino.0, times);
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        attributes(reply, self.fs.attributes(ino.0));
    }

    fn setattr(
        &self,
        request: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _: Option<SystemTime>,
        through: Option<FileHandle>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let (atime, mtime) = (atime.map(set_time), mtime.map(set_time));
        let changes = Changes { mode, uid, gid, size, atime, mtime };
        let through = through.map(descriptor);
        attributes(reply, self.fs.set_attributes(&Self::checked(request), ino.0, through, changes));
    }

    fn readlink(&self, _: &Request, ino: INodeNo, reply: ReplyData) {
        data(reply, self.fs.readlink(ino.0));
    }

    fn mknod(&self, request: &Request, dir: INodeNo, name: &OsStr, mode: u32, _: u32, rdev: u32, reply: ReplyEntry) {
        let kind = TYPES.iter().find(|row| row.2 == mode & libc::S_IFMT).map_or(Kind::Regular, |row| row.0);
        let who = Self::checked(request);
        entry(reply, self.fs.mknod(&who, place(dir, name), kind, mode & 0o7777, rdev.into()));
    }

    fn mkdir(&self, request: &Request, dir: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        entry(reply, self.fs.mknod(&Self::checked(request), place(dir, name), Kind::Directory, mode & 0o7777, 0));
    }

    fn unlink(&self, request: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.fs.unlink(&Self::checked(request), place(dir, name)));
    }

    fn rmdir(&self, request: &Request, dir: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.fs.rmdir(&Self::checked(request), place(dir, name)));
    }

    fn symlink(&self, request: &Request, dir: INodeNo, name: &OsStr, target: &Path, reply: ReplyEntry) {
        entry(reply, self.fs.symlink(&Self::checked(request), target.as_os_str().as_bytes(), place(dir, name)));
    }

    fn rename(
        &self,
        request: &Request,
        dir: INodeNo,
        name: &OsStr,
        new_dir: INodeNo,
        new_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let (from, to) = (place(dir, name), place(new_dir, new_name));
        empty(reply, self.fs.rename(&Self::checked(request), from, to, flags.bits()));
    }

    fn link(&self, request: &Request, ino: INodeNo, dir: INodeNo, name: &OsStr, reply: ReplyEntry) {
        entry(reply, self.fs.link(&Self::checked(request), ino.0, place(dir, name)));
    }

    fn open(&self, request: &Request, ino: INodeNo, mode: OpenFlags, reply: ReplyOpen) {
        opened(reply, self.fs.open(&Self::checked(request), ino.0, flags(mode.0)));
    }

    fn create(&self, request: &Request, dir: INodeNo, name: &OsStr, mode: u32, _: u32, how: i32, reply: ReplyCreate) {
        match self.fs.create(&Self::checked(request), place(dir, name), flags(how), mode & 0o7777) {
            Ok((made, fd)) => {
                // The kernel uses one time for name and attributes; with zero it asks for the attributes sooner.
                let flags = FopenFlags::FOPEN_KEEP_CACHE;
                reply.created(&Duration::ZERO, &shown(&made), Generation(0), handle(fd), flags);
            }
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn release(
        &self,
        _: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        empty(reply, self.fs.release(descriptor(fh)));
    }

    fn read(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        data(reply, self.fs.read(&Self::checked(request), descriptor(fh), offset as i64, size as usize));
    }

    fn write(
        &self,
        request: &Request,
        ino: INodeNo,
        fh: FileHandle,
        offset: u64,
        bytes: &[u8],
        how: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let result = if how.contains(WriteFlags::FUSE_WRITE_CACHE) {
            // Any descriptor that is open for writing will do, because nothing tells which process stored the data.
            self.fs.write_back(ino.0, offset, bytes).map(|()| bytes.len())
        } else {
            self.fs.write(&Self::checked(request), descriptor(fh), offset as i64, bytes)
        };
        written(reply, result);
    }

    fn fsync(&self, request: &Request, _: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.fs.sync(&Self::checked(request), descriptor(fh)));
    }

    fn opendir(&self, request: &Request, ino: INodeNo, mode: OpenFlags, reply: ReplyOpen) {
        opened(reply, self.fs.open(&Self::checked(request), ino.0, flags(mode.0)));
    }

    fn readdir(&self, _: &Request, _: INodeNo, fh: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let listed = self.fs.list(descriptor(fh), offset, |line| {
            !reply.add(INodeNo(line.ino), line.cookie, file_type(line.kind), OsStr::from_bytes(line.name))
        });
        match listed {
            Ok(()) => reply.ok(),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn releasedir(&self, _: &Request, _: INodeNo, fh: FileHandle, _: OpenFlags, reply: ReplyEmpty) {
        empty(reply, self.fs.release(descriptor(fh)));
    }

    fn fsyncdir(&self, request: &Request, _: INodeNo, fh: FileHandle, _: bool, reply: ReplyEmpty) {
        empty(reply, self.fs.sync(&Self::checked(request), descriptor(fh)));
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let space = self.fs.space();
        let (size, name_max) = (BLOCK as u32, space.name_max as u32);
        reply.statfs(space.blocks, space.free, space.free, space.inodes, u64::from(u32::MAX), size, name_max, size);
    }

    fn setxattr(
        &self,
        request: &Request,
        ino: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _: u32,
        reply: ReplyEmpty,
    ) {
        let flags = flags.cast_unsigned();
        empty(reply, self.fs.set_xattr(&Self::checked(request), ino.0, name.as_bytes(), value, flags));
    }

    fn getxattr(&self, request: &Request, ino: INodeNo, name: &OsStr, size: u32, reply: ReplyXattr) {
        value(reply, size, self.fs.xattr(&Self::checked(request), ino.0, name.as_bytes()));
    }

    fn listxattr(&self, request: &Request, ino: INodeNo, size: u32, reply: ReplyXattr) {
        let names = self.fs.xattr_names(&self.unchecked(request), ino.0);
        value(reply, size, names.map(|names| names.iter().flat_map(|name| [name, &b"\0"[..]].concat()).collect()));
    }

    fn removexattr(&self, request: &Request, ino: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        empty(reply, self.fs.remove_xattr(&Self::checked(request), ino.0, name.as_bytes()));
    }

    fn fallocate(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        offset: u64,
        len: u64,
        mode: i32,
        reply: ReplyEmpty,
    ) {
        let mode = Mode(mode.cast_unsigned());
        let who = Self::checked(request);
        empty(reply, self.fs.fallocate(&who, descriptor(fh), mode, offset as i64, len as i64));
    }

    fn lseek(&self, request: &Request, _: INodeNo, fh: FileHandle, offset: i64, whence: i32, reply: ReplyLseek) {
        let result = match whence {
            libc::SEEK_HOLE => self.fs.seek(&Self::checked(request), descriptor(fh), offset, Whence::Hole),
            libc::SEEK_DATA => self.fs.seek(&Self::checked(request), descriptor(fh), offset, Whence::Data),
            _ => Err(Errno::EINVAL),
        };
        match result {
            Ok(offset) => reply.offset(offset),
            Err(errno) => reply.error(code(errno)),
        }
    }

    fn copy_file_range(
        &self,
        request: &Request,
        _: INodeNo,
        from: FileHandle,
        from_offset: u64,
        _: INodeNo,
        to: FileHandle,
        to_offset: u64,
        len: u64,
        _: CopyFileRangeFlags,
        reply: ReplyWrite,
    ) {
        let (from, to) = (descriptor(from), descriptor(to));
        let (from, to) = (At { fd: from, offset: from_offset }, At { fd: to, offset: to_offset });
        written(reply, self.fs.copy_range(&Self::checked(request), from, to, len as usize));
    }

    fn ioctl(
        &self,
        request: &Request,
        _: INodeNo,
        fh: FileHandle,
        _: IoctlFlags,
        command: u32,
        input: &[u8],
        room: u32,
        reply: ReplyIoctl,
    ) {
        match self.control(&self.unchecked(request), descriptor(fh), command, input) {
            Ok(output) => reply.ioctl(0, output.get(..room as usize).unwrap_or(&output)),
            Err(errno) => reply.error(code(errno)),
        }
    }
}
