//! Names, descriptors, and the end of files.

use crate::call::{Caller, Fd};
use crate::fs::{Descriptor, ROOT, State};
use crate::inode::{Ino, Inode, Kind};
use crate::rules::Op;
use crate::violation::Quirk;
use nix::errno::Errno;
use nix::fcntl::OFlag;

impl State {
    pub(crate) fn lookup(&self, name: &str) -> Result<Ino, Errno> {
        if name == "." { Ok(ROOT) } else { self.names.get(name).copied().ok_or(Errno::ENOENT) }
    }

    pub(crate) fn open(&mut self, caller: Caller, name: &str, flags: OFlag, mode: u32) -> Result<Fd, Errno> {
        let write = flags & OFlag::O_ACCMODE != OFlag::O_RDONLY;
        let ino = match self.lookup(name) {
            Ok(_) if flags.contains(OFlag::O_CREAT | OFlag::O_EXCL) => return Err(Errno::EEXIST),
            Ok(ino) => ino,
            Err(Errno::ENOENT) if flags.contains(OFlag::O_CREAT) => self.make(name, Kind::Regular, mode)?,
            Err(errno) => return Err(errno),
        };
        let file = self.inode(ino);
        match file.kind {
            Kind::Directory if write => return Err(Errno::EISDIR),
            Kind::Regular if write && self.read_only && !self.has(Quirk::ReadonlyMountSeals) => {
                return Err(Errno::EROFS);
            }
            _ if write && file.is_immutable() => return Err(Errno::EPERM),
            _ if write && file.is_append_only() && !flags.contains(OFlag::O_APPEND) => return Err(Errno::EPERM),
            _ => (),
        }
        if write && flags.contains(OFlag::O_TRUNC) {
            self.guarded(caller, ino, true, Op::OpenToTruncate, |fs| fs.resize(ino, 0))?;
        } else if write {
            self.guarded(caller, ino, true, Op::OpenToWrite, |_| Ok(()))?;
        }
        let fd = (3..).find(|fd| !self.descriptors.contains_key(fd)).ok_or(Errno::EMFILE)?;
        self.descriptors.insert(fd, Descriptor { ino, flags, position: 0 });
        self.inode_mut(ino).descriptors += 1;
        Ok(fd)
    }

    pub(crate) fn close(&mut self, fd: Fd) -> Result<(), Errno> {
        let descriptor = self.descriptors.remove(&fd).ok_or(Errno::EBADF)?;
        self.inode_mut(descriptor.ino).descriptors -= 1;
        self.release_unused(descriptor.ino);
        Ok(())
    }

    pub(crate) fn make(&mut self, name: &str, kind: Kind, mode: u32) -> Result<Ino, Errno> {
        if self.read_only {
            return Err(Errno::EROFS);
        }
        if self.lookup(name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let (ino, now) = (self.number(), self.now());
        let mut inode = Inode::new(kind, mode, now);
        inode.sealed = self.has(Quirk::NewFileInherits) && self.inodes.values().any(|file| file.sealed);
        self.inodes.insert(ino, inode);
        self.names.insert(name.to_owned(), ino);
        Ok(ino)
    }

    pub(crate) fn unlink(&mut self, caller: Caller, name: &str) -> Result<(), Errno> {
        let ino = self.named(name)?;
        self.guarded(caller, ino, true, Op::Unlink, |fs| {
            fs.names.remove(name);
            fs.drop_name(ino);
            Ok(())
        })
    }

    pub(crate) fn rename(&mut self, caller: Caller, from: &str, to: &str) -> Result<(), Errno> {
        let ino = self.named(from)?;
        let replaced = self.names.get(to).copied();
        if replaced == Some(ino) {
            return Ok(());
        }
        self.guarded(caller, ino, true, Op::Rename, |_| Ok(()))?;
        if let Some(target) = replaced {
            self.named(to)?;
            self.guarded(caller, target, true, Op::Replace, |fs| {
                fs.drop_name(target);
                Ok(())
            })?;
        }
        self.names.remove(from);
        self.names.insert(to.to_owned(), ino);
        let now = self.now();
        self.inode_mut(ino).ctime = now;
        if self.has(Quirk::MoveOnRename) {
            self.relocate(ino);
        }
        Ok(())
    }

    pub(crate) fn exchange(&mut self, caller: Caller, one: &str, other: &str) -> Result<(), Errno> {
        let (a, b) = (self.named(one)?, self.named(other)?);
        self.guarded(caller, a, true, Op::Exchange, |_| Ok(()))?;
        self.guarded(caller, b, true, Op::Exchange, |_| Ok(()))?;
        self.names.insert(one.to_owned(), b);
        self.names.insert(other.to_owned(), a);
        if self.has(Quirk::StateFollowsName) {
            let (sealed_a, sealed_b) = (self.inode(a).sealed, self.inode(b).sealed);
            self.inode_mut(a).sealed = sealed_b;
            self.inode_mut(b).sealed = sealed_a;
        }
        let now = self.now();
        self.inode_mut(a).ctime = now;
        self.inode_mut(b).ctime = now;
        Ok(())
    }

    pub(crate) fn link(&mut self, caller: Caller, from: &str, to: &str) -> Result<(), Errno> {
        let ino = self.named(from)?;
        if self.names.contains_key(to) {
            return Err(Errno::EEXIST);
        }
        self.guarded(caller, ino, true, Op::Link, |fs| {
            fs.names.insert(to.to_owned(), ino);
            let now = fs.now();
            let file = fs.inode_mut(ino);
            file.links += 1;
            file.ctime = now;
            Ok(())
        })
    }

    /// A name whose entry may be changed.
    pub(crate) fn named(&self, name: &str) -> Result<Ino, Errno> {
        let ino = self.lookup(name)?;
        match () {
            () if self.read_only => Err(Errno::EROFS),
            () if ino == ROOT => Err(Errno::EBUSY),
            () if self.inode(ino).is_immutable() => Err(Errno::EPERM),
            () => Ok(ino),
        }
    }

    fn drop_name(&mut self, ino: Ino) {
        let now = self.now();
        let file = self.inode_mut(ino);
        file.links -= 1;
        file.ctime = now;
        if file.links == 0 && self.has(Quirk::FreedWithName) {
            self.release_all(ino);
        }
        self.release_unused(ino);
    }

    /// Frees the file if neither a name nor a descriptor nor a mapping refers to it.
    pub(crate) fn release_unused(&mut self, ino: Ino) {
        let file = self.inode(ino);
        let references = file.descriptors + file.mappings + file.registrations;
        if file.links == 0 && references == 0 && ino != ROOT {
            if !(self.has(Quirk::NeverFreed) && self.inode(ino).sealed) {
                self.release_all(ino);
            }
            self.inodes.remove(&ino);
        }
    }

    pub(crate) fn remount(&mut self, read_only: bool) -> Result<(), Errno> {
        if read_only && self.descriptors.values().any(Descriptor::writable) {
            return Err(Errno::EBUSY);
        }
        match self.commits.frozen() {
            Some(frozen) if !read_only => return Err(frozen),
            _ => self.commit()?,
        }
        self.read_only = read_only;
        Ok(())
    }
}
