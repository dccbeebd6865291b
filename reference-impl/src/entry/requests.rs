//! The entry by requests of a kernel: on inodes and names in directories, after the kernel has walked the path for a
//! caller.
//!
//! A kernel remembers inodes. Each function that returns [`Attributes`] of a name adds one reference of the kernel to
//! the inode, and [`Fs::forget`] removes references. An inode without a name exists while it is remembered or open.

use crate::call::caller::Credentials;
use crate::call::mode::Mode;
use crate::call::system_call::{At, Fd, Whence};
use crate::entry::fs::Fs;
use crate::model::data::Manner;
use crate::model::metadata::{Attributes, Changes};
use crate::model::quota::Quota;
use crate::model::state::State;
use crate::names::entries::{Making, Place};
use crate::names::paths::symlink;
use crate::storage::directory::{DOT, DOT_DOT};
use crate::storage::inode::Kind;
use crate::units::{Ino, NAME_MAX};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// One entry of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed<'a> {
    /// The inode.
    pub ino: Ino,
    /// Its type.
    pub kind: Kind,
    /// Its name: any bytes except `/` and NUL.
    pub name: &'a [u8],
    /// The position after this entry, from which a listing can continue. It stays valid when the directory changes.
    pub cookie: u64,
}

/// The numbers of statfs(2). The unit is [`BLOCK`](crate::units::BLOCK) bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// The total number of blocks.
    pub blocks: u64,
    /// The number of free blocks.
    pub free: u64,
    /// The number of inodes in use.
    pub inodes: u64,
    /// The longest name, in bytes.
    pub name_max: usize,
}

/// Each function fails with the errors of the system call of its name.
impl Fs {
    /// The root directory.
    pub const ROOT: Ino = crate::units::ROOT;

    /// The inode of a name in a directory; `..` is a name, too.
    pub fn lookup(&self, who: &Credentials, place: Place) -> Result<Attributes, Errno> {
        let mut state = self.state();
        state.exists(place.0)?;
        let ino = state.lookup(who, place)?;
        state.remembered(ino)
    }

    /// The kernel drops `times` references to an inode.
    pub fn forget(&self, ino: Ino, times: u64) {
        let mut state = self.state();
        if let Some(file) = state.volume.inodes.untracked(ino) {
            file.lookups = file.lookups.saturating_sub(times);
            state.release_unused(ino);
        }
    }

    /// The kernel has disconnected: closes all files, and drops all its references to inodes.
    pub fn disconnect(&self) {
        let mut state = self.state();
        for fd in state.descriptors.open() {
            // Each of these descriptors is open, so closing cannot fail.
            let _ = state.close(fd);
        }
        let remembered: Vec<Ino> =
            state.volume.inodes.iter().filter(|(_, file)| file.lookups > 0).map(|(ino, _)| *ino).collect();
        for ino in remembered {
            state.held_mut(ino).lookups = 0;
            state.release_unused(ino);
        }
    }

    /// The inode at the end of a path from the root. `follow` decides whether a symbolic link at the end is followed.
    /// This adds no reference of the kernel.
    pub fn resolve(&self, who: &Credentials, path: &[u8], follow: bool) -> Result<Ino, Errno> {
        self.state().resolve(who, path, follow)
    }

    /// stat(2).
    pub fn attributes(&self, ino: Ino) -> Result<Attributes, Errno> {
        self.state().attributes(ino)
    }

    /// chmod(2), chown(2), truncate(2) and utimensat(2), any of them combined; `through` is the descriptor of
    /// ftruncate(2).
    pub fn set_attributes(
        &self,
        who: &Credentials,
        ino: Ino,
        through: Option<Fd>,
        changes: Changes,
    ) -> Result<Attributes, Errno> {
        let mut state = self.state();
        state.set_attributes(who, ino, through, changes)?;
        state.attributes(ino)
    }

    /// access(2): [`READ`](crate::call::caller::READ), `WRITE` and `EXECUTE`.
    pub fn access(&self, who: &Credentials, ino: Ino, wanted: u32) -> Result<(), Errno> {
        let state = self.state();
        state.exists(ino)?;
        state.permits(who, ino, wanted)
    }

    /// readlink(2).
    pub fn readlink(&self, ino: Ino) -> Result<Vec<u8>, Errno> {
        let state = self.state();
        match state.volume.inodes.get(&ino) {
            None => Err(Errno::ENOENT),
            Some(file) if file.kind != Kind::Symlink => Err(Errno::EINVAL),
            Some(file) => Ok(file.target.clone()),
        }
    }

    /// mknod(2), of a regular file as well, and mkdir(2).
    pub fn mknod(
        &self,
        who: &Credentials,
        place: Place,
        kind: Kind,
        mode: u32,
        rdev: u64,
    ) -> Result<Attributes, Errno> {
        if kind == Kind::Symlink {
            return Err(Errno::EINVAL);
        }
        self.make(who, place, Making { kind, mode, rdev, target: b"" })
    }

    /// symlink(2).
    pub fn symlink(&self, who: &Credentials, target: &[u8], place: Place) -> Result<Attributes, Errno> {
        self.make(who, place, symlink(target)?)
    }

    fn make(&self, who: &Credentials, place: Place, making: Making) -> Result<Attributes, Errno> {
        let mut state = self.state();
        state.exists(place.0)?;
        let ino = state.make(who, place, making)?;
        state.remembered(ino)
    }

    /// link(2), and linkat(2) for a file of [`Self::temporary`].
    pub fn link(&self, who: &Credentials, ino: Ino, place: Place) -> Result<Attributes, Errno> {
        let mut state = self.state();
        state.exists(ino)?;
        state.exists(place.0)?;
        state.link(who, ino, place)?;
        state.remembered(ino)
    }

    /// unlink(2).
    pub fn unlink(&self, who: &Credentials, place: Place) -> Result<(), Errno> {
        let mut state = self.state();
        state.exists(place.0)?;
        state.unlink(who, place)
    }

    /// rmdir(2).
    pub fn rmdir(&self, who: &Credentials, place: Place) -> Result<(), Errno> {
        let mut state = self.state();
        state.exists(place.0)?;
        state.rmdir(who, place)
    }

    /// renameat2(2), with any of its flags, such as [`RENAME_NOREPLACE`](crate::names::entries::RENAME_NOREPLACE).
    pub fn rename(&self, who: &Credentials, from: Place, to: Place, flags: u32) -> Result<(), Errno> {
        let mut state = self.state();
        state.exists(from.0)?;
        state.exists(to.0)?;
        state.rename(who, from, to, flags)
    }

    /// open(2) of an existing file, also of a directory.
    pub fn open(&self, who: &Credentials, ino: Ino, flags: OFlag) -> Result<Fd, Errno> {
        let mut state = self.state();
        state.exists(ino)?;
        state.open(who, ino, flags)
    }

    /// open(2) with O_CREAT of a file that does not exist.
    pub fn create(&self, who: &Credentials, place: Place, flags: OFlag, mode: u32) -> Result<(Attributes, Fd), Errno> {
        let mut state = self.state();
        state.exists(place.0)?;
        let (ino, fd) = state.create(who, place, flags, mode)?;
        Ok((state.remembered(ino)?, fd))
    }

    /// open(2) with O_TMPFILE.
    pub fn temporary(&self, who: &Credentials, dir: Ino, flags: OFlag, mode: u32) -> Result<(Attributes, Fd), Errno> {
        let mut state = self.state();
        state.exists(dir)?;
        let fd = state.open_temporary(who, dir, flags, mode)?;
        let ino = state.descriptor(fd)?.ino;
        Ok((state.remembered(ino)?, fd))
    }

    /// close(2).
    pub fn release(&self, fd: Fd) -> Result<(), Errno> {
        self.state().close(fd)
    }

    /// pread(2).
    pub fn read(&self, who: &Credentials, fd: Fd, offset: i64, len: usize) -> Result<Vec<u8>, Errno> {
        self.state().read(who, fd, Some(offset), len)
    }

    /// pwrite(2). Writes all bytes or fails.
    pub fn write(&self, who: &Credentials, fd: Fd, offset: i64, data: &[u8]) -> Result<usize, Errno> {
        self.state().write(who, fd, Some(offset), data, Manner::default())
    }

    /// Writes back pages of a kernel's cache, after stores by any process. Bytes beyond the size are not data.
    pub fn write_back(&self, ino: Ino, offset: u64, data: &[u8]) -> Result<(), Errno> {
        let mut state = self.state();
        state.exists(ino)?;
        let inside = state.inode(ino).size.saturating_sub(offset).min(data.len() as u64) as usize;
        state.write_at(ino, offset, &data[..inside]).map(|_| ())
    }

    /// fsync(2).
    pub fn sync(&self, who: &Credentials, fd: Fd) -> Result<(), Errno> {
        self.state().sync(who, fd)
    }

    /// lseek(2); a kernel asks for [`Whence::Hole`] and [`Whence::Data`] only.
    pub fn seek(&self, who: &Credentials, fd: Fd, offset: i64, whence: Whence) -> Result<i64, Errno> {
        self.state().seek(who, fd, offset, whence)
    }

    /// fallocate(2).
    pub fn fallocate(&self, who: &Credentials, fd: Fd, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
        self.state().fallocate(who, fd, mode, offset, len)
    }

    /// fallocate(2) by a caller that has the file mapped. A daemon does not see mappings, so the caller states this.
    pub fn fallocate_mapped(&self, who: &Credentials, fd: Fd, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
        let mut state = self.state();
        let ino = state.descriptor(fd)?.ino;
        state.held_mut(ino).mappings += 1;
        let result = state.fallocate(who, fd, mode, offset, len);
        state.held_mut(ino).mappings -= 1;
        result
    }

    /// copy_file_range(2).
    pub fn copy_range(&self, who: &Credentials, from: At, to: At, len: usize) -> Result<usize, Errno> {
        self.state().copy_range(who, from, to, len)
    }

    /// FICLONERANGE. A length of 0 reaches to the end of the source.
    pub fn clone_range(&self, who: &Credentials, from: At, to: At, len: u64) -> Result<(), Errno> {
        self.state().clone_range(who, from, to, len)
    }

    /// FIDEDUPERANGE with one destination; the error is the destination's status, and EBADE is
    /// FILE_DEDUPE_RANGE_DIFFERS.
    pub fn dedupe_range(&self, who: &Credentials, from: At, to: At, len: u64) -> Result<u64, Errno> {
        self.state().dedupe_range(who, from, to, len)
    }

    /// getdents(2): passes the entries after a cookie to `take`, until it returns false; 0 starts from the beginning.
    pub fn list(&self, fd: Fd, cookie: u64, mut take: impl FnMut(Listed) -> bool) -> Result<(), Errno> {
        let mut state = self.state();
        let descriptor = *state.descriptor(fd)?;
        if state.inode(descriptor.ino).kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        state.accessed(descriptor.ino, descriptor.flags);
        let directory = &state.inode(descriptor.ino).directory;
        // A removed directory is empty: it has no `.` and no `..`.
        let there = state.inode(descriptor.ino).links > 0;
        let dots = [(DOT, &b"."[..], descriptor.ino), (DOT_DOT, b"..", directory.parent)];
        let dots = dots.into_iter().filter(|(at, ..)| there && *at > cookie);
        for (cookie, name, ino) in dots.chain(directory.after(cookie.max(DOT_DOT))) {
            if !take(Listed { ino, kind: state.inode(ino).kind, name, cookie }) {
                break;
            }
        }
        Ok(())
    }

    /// setxattr(2), with its flags.
    pub fn set_xattr(&self, who: &Credentials, ino: Ino, name: &[u8], value: &[u8], flags: u32) -> Result<(), Errno> {
        self.state().set_xattr(who, ino, name, value, flags)
    }

    /// getxattr(2).
    pub fn xattr(&self, who: &Credentials, ino: Ino, name: &[u8]) -> Result<Vec<u8>, Errno> {
        self.state().xattr(who, ino, name).map(<[u8]>::to_vec)
    }

    /// listxattr(2).
    pub fn xattr_names(&self, who: &Credentials, ino: Ino) -> Result<Vec<Vec<u8>>, Errno> {
        self.state().xattr_names(who, ino)
    }

    /// removexattr(2).
    pub fn remove_xattr(&self, who: &Credentials, ino: Ino, name: &[u8]) -> Result<(), Errno> {
        self.state().remove_xattr(who, ino, name)
    }

    /// FS_IOC_FSGETXATTR: `fsx_xflags`.
    pub fn xflags(&self, who: &Credentials, fd: Fd) -> Result<u32, Errno> {
        self.state().xflags(who, fd)
    }

    /// FS_IOC_FSSETXATTR: sets `fsx_xflags`.
    pub fn set_xflags(&self, who: &Credentials, fd: Fd, xflags: u32) -> Result<(), Errno> {
        self.state().change_xflags(who, fd, xflags, !xflags)
    }

    /// FS_IOC_GETFLAGS.
    pub fn flags(&self, fd: Fd) -> Result<u32, Errno> {
        let state = self.state();
        Ok(state.inode(state.descriptor(fd)?.ino).flags)
    }

    /// FS_IOC_SETFLAGS: sets the flags.
    pub fn set_flags(&self, who: &Credentials, fd: Fd, flags: u32) -> Result<(), Errno> {
        self.state().change_flags(who, fd, flags, !flags)
    }

    /// sync(2): makes all changes durable.
    pub fn commit(&self) -> Result<(), Errno> {
        self.state().volume.commit()
    }

    /// statfs(2).
    pub fn space(&self) -> Space {
        let state = self.state();
        Space {
            blocks: state.volume.allocator.blocks() as u64,
            free: state.volume.free() as u64,
            inodes: state.volume.inodes.len() as u64,
            name_max: NAME_MAX,
        }
    }

    /// Limits the files of a user from now on; `None` removes the limits.
    pub fn set_quota(&self, uid: u32, quota: Option<Quota>) {
        let quotas = &mut self.state().quotas;
        match quota {
            Some(quota) => _ = quotas.insert(uid, quota),
            None => _ = quotas.remove(&uid),
        }
    }
}

impl State {
    /// The inode numbers come from a kernel; the error for an inode that no longer exists is ESTALE.
    fn exists(&self, ino: Ino) -> Result<(), Errno> {
        if self.volume.inodes.contains_key(&ino) { Ok(()) } else { Err(Errno::ESTALE) }
    }

    fn remembered(&mut self, ino: Ino) -> Result<Attributes, Errno> {
        // `..` of a removed directory may name a parent that no longer exists.
        self.volume.inodes.untracked(ino).ok_or(Errno::ESTALE)?.lookups += 1;
        self.attributes(ino)
    }
}
