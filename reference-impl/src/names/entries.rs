//! Names in directories: making, changing and removing them, and the end of files.

use crate::call::caller::{Capabilities, Credentials, EXECUTE, WRITE};
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::{Inode, Kind};
use crate::units::{Ino, NAME_MAX, ROOT};
use crate::violation::Quirk;
use nix::errno::Errno;

/// A directory, and a name in it.
pub type Place<'a> = (Ino, &'a [u8]);

/// The maximum number of names of a file; a directory can have one subdirectory less than this.
pub(crate) const LINK_MAX: u64 = 65_000;

/// RENAME_NOREPLACE of renameat2(2).
pub const RENAME_NOREPLACE: u32 = 1;
/// RENAME_EXCHANGE of renameat2(2).
pub const RENAME_EXCHANGE: u32 = 2;
/// RENAME_WHITEOUT of renameat2(2).
pub const RENAME_WHITEOUT: u32 = 4;

/// The file to make by mknod(2), mkdir(2) or symlink(2).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Making<'a> {
    pub(crate) kind: Kind,
    pub(crate) mode: u32,
    pub(crate) rdev: u64,
    pub(crate) target: &'a [u8],
}

impl Making<'static> {
    pub(crate) fn of(kind: Kind, mode: u32) -> Self {
        Self { kind, mode, rdev: 0, target: b"" }
    }
}

impl State {
    /// The inode of a name. Fails with ENOTDIR, EACCES, ENAMETOOLONG and ENOENT.
    pub(crate) fn lookup(&self, who: &Credentials, (dir, name): Place) -> Result<Ino, Errno> {
        let directory = self.inode(dir);
        if directory.kind != Kind::Directory {
            return Err(Errno::ENOTDIR);
        }
        self.permits(who, dir, EXECUTE)?;
        match name {
            b"." => Ok(dir),
            b".." => Ok(directory.directory.parent),
            _ if name.len() > NAME_MAX => Err(Errno::ENAMETOOLONG),
            _ => directory.directory.get(name).ok_or(Errno::ENOENT),
        }
    }

    /// Like [`Self::lookup`], but returns `None` for a missing name.
    fn find(&self, who: &Credentials, place: Place) -> Result<Option<Ino>, Errno> {
        match self.lookup(who, place) {
            Err(Errno::ENOENT) => Ok(None),
            found => found.map(Some),
        }
    }

    /// Whether a new name can be added to the directory.
    fn may_add(&self, who: &Credentials, dir: Ino) -> Result<(), Errno> {
        if self.inode(dir).links == 0 {
            return Err(Errno::ENOENT);
        }
        self.permits(who, dir, WRITE | EXECUTE)
    }

    /// Whether a name can be removed from a file.
    fn may_remove(&self, who: &Credentials, dir: Ino, victim: Ino, as_directory: bool) -> Result<(), Errno> {
        self.permits(who, dir, WRITE | EXECUTE)?;
        let (directory, file) = (self.inode(dir), self.inode(victim));
        let sticky = directory.mode & 0o1000 != 0 && who.uid != file.uid && who.uid != directory.uid;
        match file.kind == Kind::Directory {
            _ if directory.is_append_only() => Err(Errno::EPERM),
            _ if sticky && !who.has(Capabilities::FOWNER) => Err(Errno::EPERM),
            _ if file.is_append_only() || file.is_immutable() => Err(Errno::EPERM),
            false if as_directory => Err(Errno::ENOTDIR),
            true if !as_directory => Err(Errno::EISDIR),
            _ if victim == ROOT => Err(Errno::EBUSY),
            _ => Ok(()),
        }
    }

    /// Makes a file with a name. Fails like open(2), mkdir(2), mknod(2) and symlink(2).
    pub(crate) fn make(&mut self, who: &Credentials, place: Place, making: Making) -> Result<Ino, Errno> {
        if self.find(who, named(place)?)?.is_some() {
            return Err(Errno::EEXIST);
        }
        self.changeable()?;
        let (dir, name) = place;
        self.may_add(who, dir)?;
        let (directory, device) =
            (making.kind == Kind::Directory, matches!(making.kind, Kind::Character | Kind::Block));
        // A rename can leave a whiteout behind, which is the character device 0:0: every caller may make it.
        let whiteout = making.kind == Kind::Character && making.rdev == 0;
        if device && !whiteout && !who.has(Capabilities::MKNOD) {
            return Err(Errno::EPERM);
        }
        if directory && self.inode(dir).links >= LINK_MAX {
            return Err(Errno::EMLINK);
        }
        self.volume.reserve_bytes(name.len())?;
        let ino = self.make_unnamed(who, dir, making)?;
        self.put(dir, name, ino);
        if directory {
            self.inode_mut(dir).links += 1;
        }
        Ok(ino)
    }

    /// Makes a file without a name, with the attributes of a new file in the directory.
    pub(crate) fn make_unnamed(&mut self, who: &Credentials, dir: Ino, making: Making) -> Result<Ino, Errno> {
        self.room_for_inode(who.uid)?;
        self.volume.reserve_bytes(making.target.len())?;
        let (ino, now) = (self.volume.number(), self.now());
        let parent = self.inode(dir);
        let inherits = parent.mode & 0o2000 != 0;
        let gid = if inherits { parent.gid } else { who.gid };
        let mut mode = making.mode & 0o7777;
        let mut file = match making.kind {
            Kind::Directory => {
                mode = mode & 0o1777 | if inherits { 0o2000 } else { 0 };
                Inode::directory(dir, mode, now)
            }
            // A caller outside a group must not make a program that runs with that group.
            kind => {
                if inherits && mode & 0o2010 == 0o2010 && !who.keeps_setgid(gid) {
                    mode &= !0o2000;
                }
                Inode::new(kind, mode, now)
            }
        };
        // mknod(2) ignores the device number unless the file is a device.
        let rdev = if matches!(making.kind, Kind::Character | Kind::Block) { making.rdev } else { 0 };
        (file.uid, file.gid, file.rdev) = (who.uid, gid, rdev);
        (file.size, file.target) = (making.target.len() as u64, making.target.to_vec());
        file.sealed = self.misbehaviour.is(Quirk::NewFileInherits)
            && self.volume.inodes.iter().any(|(ino, file)| file.sealed && self.has_for(Quirk::NewFileInherits, *ino));
        self.volume.inodes.insert(ino, file);
        Ok(ino)
    }

    /// unlink(2).
    pub(crate) fn unlink(&mut self, who: &Credentials, place: Place) -> Result<(), Errno> {
        let ino = self.lookup(who, named(place)?)?;
        self.changeable()?;
        self.may_remove(who, place.0, ino, false)?;
        self.guarded(who, ino, true, Op::Unlink, |fs| {
            fs.take(place);
            fs.drop_name(ino);
            Ok(())
        })
    }

    /// rmdir(2).
    pub(crate) fn rmdir(&mut self, who: &Credentials, place: Place) -> Result<(), Errno> {
        let ino = self.lookup(who, named(place)?)?;
        self.changeable()?;
        self.may_remove(who, place.0, ino, true)?;
        if !self.inode(ino).directory.is_empty() {
            return Err(Errno::ENOTEMPTY);
        }
        self.take(place);
        self.inode_mut(place.0).links -= 1;
        self.drop_name(ino);
        Ok(())
    }

    /// link(2).
    pub(crate) fn link(&mut self, who: &Credentials, ino: Ino, place: Place) -> Result<(), Errno> {
        if self.find(who, named(place)?)?.is_some() {
            return Err(Errno::EEXIST);
        }
        self.changeable()?;
        let (dir, name) = place;
        self.may_add(who, dir)?;
        let file = self.inode(ino);
        match () {
            () if file.is_append_only() || file.is_immutable() => return Err(Errno::EPERM),
            () if file.kind == Kind::Directory => return Err(Errno::EPERM),
            () if file.links == 0 && !file.linkable => return Err(Errno::ENOENT),
            () if file.links >= LINK_MAX => return Err(Errno::EMLINK),
            () => (),
        }
        self.volume.reserve_bytes(name.len())?;
        self.guarded(who, ino, true, Op::Link, |fs| {
            fs.put(dir, name, ino);
            let now = fs.now();
            let file = fs.inode_mut(ino);
            file.links += 1;
            file.linkable = false;
            file.ctime = now;
            Ok(())
        })
    }

    /// renameat2(2).
    pub(crate) fn rename(&mut self, who: &Credentials, from: Place, to: Place, flags: u32) -> Result<(), Errno> {
        let exchange = flags & RENAME_EXCHANGE != 0;
        if flags & !(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT) != 0
            || (exchange && flags != RENAME_EXCHANGE)
        {
            return Err(Errno::EINVAL);
        }
        // First check that both directories can be searched, then whether the names exist.
        self.lookup(who, (from.0, b"."))?;
        self.lookup(who, (to.0, b"."))?;
        let ino = self.lookup(who, named(from)?)?;
        self.changeable()?;
        let target = self.find(who, named(to)?)?;
        match target {
            Some(_) if flags & RENAME_NOREPLACE != 0 => return Err(Errno::EEXIST),
            None if exchange => return Err(Errno::ENOENT),
            _ => (),
        }
        if self.is_within(to.0, ino) {
            return Err(Errno::EINVAL);
        }
        if target.is_some_and(|target| self.is_within(from.0, target)) {
            return Err(if exchange { Errno::EINVAL } else { Errno::ENOTEMPTY });
        }
        if target == Some(ino) {
            return Ok(());
        }
        self.may_rename(who, (from.0, ino), (to.0, target), exchange)?;
        self.volume.reserve_bytes(from.1.len() + to.1.len())?;
        // Make the whiteout before any change, because there may be no room for it.
        let whiteout = match flags & RENAME_WHITEOUT {
            0 => None,
            _ => Some(self.make_unnamed(who, from.0, Making::of(Kind::Character, 0))?),
        };
        let renamed = match target {
            Some(other) if exchange => self.exchange(who, (from, ino), (to, other)),
            _ => self.replace(who, (from, ino), (to, target)),
        };
        match (whiteout, renamed) {
            (Some(whiteout), Ok(())) => self.put(from.0, from.1, whiteout),
            (Some(whiteout), Err(_)) => self.drop_name(whiteout),
            (None, _) => (),
        }
        renamed
    }

    /// The checks of rename(2) after both names were looked up.
    fn may_rename(
        &self,
        who: &Credentials,
        (from, ino): (Ino, Ino),
        (to, target): (Ino, Option<Ino>),
        exchange: bool,
    ) -> Result<(), Errno> {
        let is_directory = |ino| self.inode(ino).kind == Kind::Directory;
        let moved = is_directory(ino);
        self.may_remove(who, from, ino, moved)?;
        match target {
            None => self.may_add(who, to)?,
            Some(other) if exchange => self.may_remove(who, to, other, is_directory(other))?,
            Some(other) => self.may_remove(who, to, other, moved)?,
        }
        let comes = target.filter(|_| exchange).filter(|other| is_directory(*other));
        if from != to {
            // A directory that gets another parent has its `..` changed, so it must be writable.
            for directory in [Some(ino).filter(|_| moved), comes].into_iter().flatten() {
                self.permits(who, directory, WRITE)?;
            }
            let grows = |there: bool, dir: Ino| there && self.inode(dir).links >= LINK_MAX;
            let leaves = target.is_some_and(is_directory);
            if grows(moved && !leaves, to) || grows(comes.is_some() && !moved, from) {
                return Err(Errno::EMLINK);
            }
        }
        match target {
            Some(other) if !exchange && !self.inode(other).directory.is_empty() => Err(Errno::ENOTEMPTY),
            _ => Ok(()),
        }
    }

    fn replace(
        &mut self,
        who: &Credentials,
        (from, ino): (Place, Ino),
        (to, target): (Place, Option<Ino>),
    ) -> Result<(), Errno> {
        self.guarded(who, ino, true, Op::Rename, |_| Ok(()))?;
        let moved = self.inode(ino).kind == Kind::Directory;
        if let Some(target) = target {
            self.guarded(who, target, true, Op::Replace, |fs| {
                if moved {
                    fs.inode_mut(to.0).links -= 1;
                }
                fs.drop_name(target);
                Ok(())
            })?;
        }
        self.take(from);
        self.put(to.0, to.1, ino);
        self.moved(ino, from.0, to.0);
        if self.has(Quirk::MoveOnRename) {
            self.volume.relocate(ino);
        }
        Ok(())
    }

    fn exchange(&mut self, who: &Credentials, (one, a): (Place, Ino), (other, b): (Place, Ino)) -> Result<(), Errno> {
        self.guarded(who, a, true, Op::Exchange, |_| Ok(()))?;
        self.guarded(who, b, true, Op::Exchange, |_| Ok(()))?;
        self.put(one.0, one.1, b);
        self.put(other.0, other.1, a);
        let (sealed_a, sealed_b) = (self.inode(a).sealed, self.inode(b).sealed);
        if sealed_a != sealed_b && self.has(Quirk::StateFollowsName) {
            self.inode_mut(a).sealed = sealed_b;
            self.inode_mut(b).sealed = sealed_a;
        }
        self.moved(a, one.0, other.0);
        self.moved(b, other.0, one.0);
        Ok(())
    }

    /// Updates an inode that moved from one directory to another.
    fn moved(&mut self, ino: Ino, from: Ino, to: Ino) {
        let now = self.now();
        let file = self.inode_mut(ino);
        file.ctime = now;
        if file.kind == Kind::Directory && from != to {
            file.directory.parent = to;
            self.inode_mut(from).links -= 1;
            self.inode_mut(to).links += 1;
        }
    }

    /// Whether a directory is the same as another one, or below it.
    fn is_within(&self, directory: Ino, ancestor: Ino) -> bool {
        // The parent of a removed directory may no longer exist.
        let up = |ino: &Ino| Some(self.volume.inodes.get(ino)?.directory.parent).filter(|parent| parent != ino);
        self.inode(ancestor).kind == Kind::Directory
            && std::iter::successors(Some(directory), up).any(|d| d == ancestor)
    }

    fn put(&mut self, dir: Ino, name: &[u8], ino: Ino) {
        self.directory_changed(dir).put(name, ino);
    }

    fn take(&mut self, (dir, name): Place) {
        self.directory_changed(dir).remove(name);
    }

    fn directory_changed(&mut self, dir: Ino) -> &mut crate::storage::directory::Directory {
        let now = self.now();
        let directory = self.inode_mut(dir);
        (directory.mtime, directory.ctime) = (now, now);
        &mut directory.directory
    }
}

/// Checks that the name has only valid bytes. Paths were split into names before.
fn named(place: Place) -> Result<Place, Errno> {
    match place.1 {
        b"" => Err(Errno::ENOENT),
        b"." | b".." => Err(Errno::EINVAL),
        name if name.iter().any(|byte| matches!(byte, b'/' | 0)) => Err(Errno::EINVAL),
        _ => Ok(place),
    }
}
