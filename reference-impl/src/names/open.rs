//! Opening files and closing them.

use crate::call::caller::{Credentials, EXECUTE, READ, WRITE};
use crate::call::flags::FLAG_VERITY;
use crate::call::system_call::Fd;
use crate::model::descriptors::Descriptor;
use crate::model::state::State;
use crate::names::entries::{Making, Place};
use crate::rules::Op;
use crate::storage::inode::Kind;
use crate::units::{Ino, ROOT};
use nix::errno::Errno;
use nix::fcntl::OFlag;

impl State {
    /// Opens an existing file.
    pub(crate) fn open(&mut self, who: &Credentials, ino: Ino, flags: OFlag) -> Result<Fd, Errno> {
        let write = flags & OFlag::O_ACCMODE != OFlag::O_RDONLY;
        let file = self.inode(ino);
        let empties = flags.contains(OFlag::O_TRUNC);
        // Other types have no data to truncate, but need the same permission.
        let truncate = empties && matches!(file.kind, Kind::Regular | Kind::Directory);
        match file.kind {
            Kind::Directory if write || truncate => return Err(Errno::EISDIR),
            Kind::Directory => (),
            _ if flags.contains(OFlag::O_DIRECTORY) => return Err(Errno::ENOTDIR),
            Kind::Symlink => return Err(Errno::ELOOP),
            _ => (),
        }
        let read = flags & OFlag::O_ACCMODE != OFlag::O_WRONLY;
        let wanted = if read { READ } else { 0 } | if write || empties { WRITE } else { 0 };
        self.permits(who, ino, wanted)?;
        let file = self.inode(ino);
        let appends = flags.contains(OFlag::O_APPEND);
        match file.kind {
            _ if file.is_append_only() && (write && !appends || truncate) => return Err(Errno::EPERM),
            _ if write && file.flags & FLAG_VERITY != 0 => return Err(Errno::EPERM),
            _ if flags.contains(OFlag::O_NOATIME) && !who.owns(file) => return Err(Errno::EPERM),
            // The kernel serves sockets and devices, not this file system.
            Kind::Socket | Kind::Character | Kind::Block => return Err(Errno::ENXIO),
            _ => (),
        }
        if truncate {
            self.guarded(who, ino, true, Op::OpenToTruncate, |fs| {
                fs.break_leases(ino);
                fs.drop_privileges(who, ino);
                fs.resize(ino, 0)
            })?;
        } else if write {
            self.guarded(who, ino, true, Op::OpenToWrite, |fs| {
                fs.break_leases(ino);
                Ok(())
            })?;
        }
        self.opened(ino, flags)
    }

    /// Makes a file and opens it. The mode of the new file does not apply to this opening.
    pub(crate) fn create(
        &mut self,
        who: &Credentials,
        place: Place,
        flags: OFlag,
        mode: u32,
    ) -> Result<(Ino, Fd), Errno> {
        let ino = self.make(who, place, Making::of(Kind::Regular, mode))?;
        Ok((ino, self.opened(ino, flags)?))
    }

    /// Opens a new file without a name. The file can get a name later, unless the flags include O_EXCL.
    pub(crate) fn open_temporary(&mut self, who: &Credentials, dir: Ino, flags: OFlag, mode: u32) -> Result<Fd, Errno> {
        if self.inode(dir).kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.changeable()?;
        self.permits(who, dir, WRITE | EXECUTE)?;
        let ino = self.make_unnamed(who, dir, Making::of(Kind::Regular, mode))?;
        let file = self.inode_mut(ino);
        (file.links, file.linkable) = (0, !flags.contains(OFlag::O_EXCL));
        self.opened(ino, flags)
    }

    /// Opens a device or a socket that has no name here. A kernel has its own; this is for calls that refuse both.
    pub(crate) fn open_special(&mut self, who: &Credentials, socket: bool) -> Result<Fd, Errno> {
        self.changeable()?;
        let kind = if socket { Kind::Socket } else { Kind::Character };
        let ino = self.make_unnamed(who, ROOT, Making::of(kind, 0o666))?;
        self.inode_mut(ino).links = 0;
        self.opened(ino, OFlag::O_RDWR)
    }

    fn opened(&mut self, ino: Ino, flags: OFlag) -> Result<Fd, Errno> {
        let fd = self.descriptors.insert(Descriptor { ino, flags, position: 0 })?;
        self.held_mut(ino).descriptors += 1;
        Ok(fd)
    }

    pub(crate) fn close(&mut self, fd: Fd) -> Result<(), Errno> {
        let descriptor = self.descriptors.remove(fd).ok_or(Errno::EBADF)?;
        self.leases.remove(&fd);
        self.held_mut(descriptor.ino).descriptors -= 1;
        self.release_unused(descriptor.ino);
        Ok(())
    }
}
