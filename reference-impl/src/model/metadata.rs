//! Owner, mode, size and times: stat(2), and the calls that change them.

use crate::call::caller::{Capabilities, Credentials, WRITE};
use crate::call::reply::Stat;
use crate::call::system_call::Fd;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::{Inode, Kind};
use crate::units::{BLOCK, Ino};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The attributes of stat(2). Times are in nanoseconds since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of struct stat, under their names")]
pub struct Attributes {
    pub ino: Ino,
    pub kind: Kind,
    /// The permissions, the set-ID bits and the sticky bit, without the file type.
    pub mode: u32,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub size: u64,
    /// The space in units of 512 bytes.
    pub blocks: u64,
    pub atime: i128,
    pub mtime: i128,
    pub ctime: i128,
    pub birth: i128,
}

/// A time to set, of utimensat(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SetTime {
    /// UTIME_NOW.
    Now,
    /// Nanoseconds since the epoch.
    At(i128),
}

/// The attributes of a file to change; `None` means no change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of struct stat, under their names")]
pub struct Changes {
    pub mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub size: Option<u64>,
    pub atime: Option<SetTime>,
    pub mtime: Option<SetTime>,
}

/// A read updates an access time that is older than a day.
const DAY: i128 = 86_400_000_000_000;

impl State {
    pub(crate) fn attributes(&self, ino: Ino) -> Result<Attributes, Errno> {
        let file = self.volume.inodes.get(&ino).ok_or(Errno::ENOENT)?;
        Ok(Attributes {
            ino,
            kind: file.kind,
            mode: file.mode,
            links: file.links,
            uid: file.uid,
            gid: file.gid,
            rdev: file.rdev,
            size: if file.kind == Kind::Directory { BLOCK as u64 } else { file.size },
            blocks: file.map.len() * (BLOCK / 512) as u64,
            atime: file.atime,
            mtime: file.mtime,
            ctime: file.ctime,
            birth: file.birth,
        })
    }

    pub(crate) fn stat(&self, fd: Fd) -> Result<Stat, Errno> {
        let file = self.inode(self.descriptor(fd)?.ino);
        let shown = |(name, value): (&Vec<u8>, &Vec<u8>)| (String::from_utf8_lossy(name).into_owned(), value.clone());
        Ok(Stat {
            mode: file.mode,
            uid: file.uid,
            gid: file.gid,
            links: file.links,
            size: file.size,
            atime: file.atime,
            mtime: file.mtime,
            ctime: file.ctime,
            xattrs: file.xattrs.iter().map(shown).collect(),
        })
    }

    /// chmod(2), chown(2), truncate(2) and utimensat(2) of an inode. For the size, the write permission of the
    /// descriptor `through` counts. Changes nothing unless all changes are permitted.
    pub(crate) fn set_attributes(
        &mut self,
        who: &Credentials,
        ino: Ino,
        through: Option<Fd>,
        changes: Changes,
    ) -> Result<(), Errno> {
        self.may_change(who, ino, &changes)?;
        if let Some(size) = changes.size {
            let size = i64::try_from(size).map_err(|_| Errno::EFBIG)?;
            match through {
                Some(fd) => self.ftruncate(who, fd, size)?,
                None => {
                    self.permits(who, ino, WRITE)?;
                    self.set_size(who, ino, true, size, true)?;
                }
            }
        }
        if changes.uid.is_some() || changes.gid.is_some() {
            self.room_to_own(ino, changes.uid.unwrap_or(self.inode(ino).uid))?;
            self.change(who, ino, Op::Chown, |file| {
                file.uid = changes.uid.unwrap_or(file.uid);
                file.gid = changes.gid.unwrap_or(file.gid);
                if file.kind != Kind::Directory {
                    file.mode = without_set_id(who, file);
                }
            })?;
        }
        if let Some(mode) = changes.mode {
            self.change(who, ino, Op::Chmod, |file| {
                let setgid = if who.keeps_setgid(file.gid) { 0 } else { 0o2000 };
                file.mode = mode & 0o7777 & !setgid;
            })?;
        }
        if changes.atime.is_some() || changes.mtime.is_some() {
            self.change(who, ino, Op::Utimes, |file| {
                // The present time is that of the status change.
                let time = |set| if let SetTime::At(time) = set { time } else { file.ctime };
                let (atime, mtime) = (changes.atime.map(time), changes.mtime.map(time));
                (file.atime, file.mtime) = (atime.unwrap_or(file.atime), mtime.unwrap_or(file.mtime));
            })?;
        }
        Ok(())
    }

    /// chown(2) with -1 and -1: changes no owner, but removes the set-ID bits.
    pub(crate) fn chown_to_nobody(&mut self, who: &Credentials, ino: Ino) -> Result<(), Errno> {
        self.changeable()?;
        let file = self.inode(ino);
        let mode = if file.kind == Kind::Directory { file.mode } else { without_set_id(who, file) };
        if mode != file.mode && (!who.owns(file) || file.is_immutable() || file.is_append_only()) {
            return Err(Errno::EPERM);
        }
        self.change(who, ino, Op::Chown, |file| file.mode = mode)
    }

    /// Checks the permission for all changes except the size: EROFS, EPERM and EACCES.
    fn may_change(&self, who: &Credentials, ino: Ino, changes: &Changes) -> Result<(), Errno> {
        let file = self.volume.inodes.get(&ino).ok_or(Errno::ENOENT)?;
        let times = [changes.atime, changes.mtime];
        let sets_time = times.iter().any(|time| matches!(time, Some(SetTime::At(_))));
        let touches = !sets_time && times == [Some(SetTime::Now); 2];
        let owner = changes.uid.is_some() || changes.gid.is_some();
        let gives = changes.uid.is_some_and(|uid| uid != file.uid || who.uid != file.uid);
        let regroups = |gid| who.uid != file.uid || (gid != file.gid && !who.in_group(gid));
        let flagged = file.is_immutable() || file.is_append_only();
        let changed = owner || changes.mode.is_some() || times != [None; 2];
        if changed {
            self.changeable()?;
        }
        match () {
            () if (owner || changes.mode.is_some() || sets_time) && flagged => Err(Errno::EPERM),
            () if touches && file.is_immutable() => Err(Errno::EPERM),
            () if (gives || changes.gid.is_some_and(regroups)) && !who.has(Capabilities::CHOWN) => Err(Errno::EPERM),
            () if changes.mode.is_some() && !who.owns(file) => Err(Errno::EPERM),
            // A caller with write permission may set the present time, but no other time.
            () if touches && !who.owns(file) => self.permits(who, ino, WRITE),
            () if times != [None; 2] && !who.owns(file) => Err(Errno::EPERM),
            () => Ok(()),
        }
    }

    /// Changes an inode, after a check against the rules, and sets the status change time.
    pub(crate) fn change(
        &mut self,
        who: &Credentials,
        ino: Ino,
        op: Op,
        act: impl FnOnce(&mut Inode),
    ) -> Result<(), Errno> {
        self.guarded(who, ino, true, op, |fs| {
            let now = fs.now();
            let file = fs.inode_mut(ino);
            file.ctime = now;
            act(file);
            Ok(())
        })
    }

    /// Removes the set-ID bits of a file whose data change, unless the caller has CAP_FSETID.
    pub(crate) fn drop_privileges(&mut self, who: &Credentials, ino: Ino) {
        let file = self.inode(ino);
        if file.mode & 0o6000 != 0 && file.kind == Kind::Regular && !who.has(Capabilities::FSETID) {
            self.inode_mut(ino).mode = without_set_id(who, file);
        }
    }

    /// Sets the access time as with the mount option relatime: at the first access after a change, and once a day.
    pub(crate) fn accessed(&mut self, ino: Ino, flags: OFlag) {
        if self.volume.read_only || flags.contains(OFlag::O_NOATIME) {
            return;
        }
        let now = self.present();
        let file = self.inode(ino);
        if file.atime <= file.mtime || file.atime <= file.ctime || now.saturating_sub(file.atime) >= DAY {
            self.inode_mut(ino).atime = now;
        }
    }
}

/// The mode without the set-user-ID bit, and without the set-group-ID bit if the group may execute the file or if the
/// caller is not in the group.
fn without_set_id(who: &Credentials, file: &Inode) -> u32 {
    let keeps = file.mode & 0o010 == 0 && who.keeps_setgid(file.gid);
    file.mode & if keeps { !0o4000 } else { !0o6000 }
}
