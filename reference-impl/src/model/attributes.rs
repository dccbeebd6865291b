//! The flags of files, and the query for the sealed state.

use crate::call::caller::{Capabilities, Credentials};
use crate::call::flags::{FLAG_APPEND, FLAG_IMMUTABLE, STATX_SEALED, XFLAG_APPEND, XFLAG_IMMUTABLE, XFLAG_SEALED};
use crate::call::route::Route;
use crate::call::system_call::Fd;
use crate::model::sealing::NOBODY;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::Kind;
use crate::units::Ino;
use crate::violation::Quirk;
use nix::errno::Errno;

impl State {
    pub(crate) fn xflags(&mut self, who: &Credentials, fd: Fd) -> Result<u32, Errno> {
        let descriptor = *self.descriptor(fd)?;
        self.guarded(who, descriptor.ino, descriptor.writable(), Op::Query, |fs| {
            let file = fs.inode(descriptor.ino);
            let mut flags = file.xflags;
            let shown = match () {
                () if file.sealed && fs.has(Quirk::StateHidden) => false,
                () if !file.sealed && fs.has(Quirk::StateAlwaysShown) => true,
                () if file.sealed_by == Some(NOBODY) => false,
                () if file.sealed && file.sealed_by != Some(fd) && fs.has(Quirk::SealPerDescriptor) => false,
                () => file.sealed,
            };
            flags |= if shown { XFLAG_SEALED } else { 0 };
            flags |= if file.is_immutable() { XFLAG_IMMUTABLE } else { 0 };
            flags |= if file.is_append_only() { XFLAG_APPEND } else { 0 };
            Ok(flags)
        })
    }

    /// `stx_attributes` and `stx_attributes_mask` of statx(2).
    pub(crate) fn statx(&self, ino: Ino) -> (u64, u64) {
        let file = self.inode(ino);
        let shown = (file.sealed && !self.has(Quirk::StatxHidden))
            || (file.kind == Kind::Directory && self.has(Quirk::StatxOfDirectories));
        let unknown = self.has(Quirk::MaskMissing) || (self.volume.read_only && self.has(Quirk::MaskOfWritable));
        let bit = |is_set| if is_set { STATX_SEALED } else { 0 };
        (bit(shown), bit(!unknown))
    }

    pub(crate) fn change_xflags(&mut self, who: &Credentials, fd: Fd, set: u32, clear: u32) -> Result<(), Errno> {
        let old = self.xflags(who, fd)?;
        let new = (old | set) & !clear;
        let ino = self.descriptor(fd)?.ino;
        let op = match self.route {
            Some(Route::ProjectId) => Op::SetProject,
            Some(Route::Dax) => Op::SetDax,
            _ => Op::SetXflags { old, new },
        };
        self.guarded(who, ino, true, op, |fs| {
            let guarded_flags = [(XFLAG_IMMUTABLE, FLAG_IMMUTABLE), (XFLAG_APPEND, FLAG_APPEND)];
            if !who.has(Capabilities::LINUX_IMMUTABLE) && guarded_flags.iter().any(|(x, _)| (old ^ new) & x != 0) {
                return Err(Errno::EPERM);
            }
            let now = fs.now();
            let sealed = match (fs.inode(ino).sealed, new & XFLAG_SEALED != 0) {
                (false, true) => fs.has(Quirk::AttributesSeal),
                (true, false) => !fs.has(Quirk::AttributesUnseal),
                (same, _) => same,
            };
            let sealed = sealed && !fs.has(Quirk::AttributesDropState);
            let file = fs.inode_mut(ino);
            file.xflags = new & !XFLAG_SEALED;
            for (xflag, flag) in guarded_flags {
                file.xflags &= !xflag;
                file.flags = if new & xflag != 0 { file.flags | flag } else { file.flags & !flag };
            }
            file.ctime = now;
            file.sealed = sealed;
            Ok(())
        })
    }

    pub(crate) fn change_flags(&mut self, who: &Credentials, fd: Fd, set: u32, clear: u32) -> Result<(), Errno> {
        let ino = self.descriptor(fd)?.ino;
        let new = (self.inode(ino).flags | set) & !clear;
        let old = self.inode(ino).flags;
        let changed = old ^ new;
        if changed & (FLAG_IMMUTABLE | FLAG_APPEND) != 0 && !who.has(Capabilities::LINUX_IMMUTABLE) {
            return Err(Errno::EPERM);
        }
        let op = match self.route {
            Some(Route::Verity) => Op::EnableVerity,
            _ => Op::SetFlags { old, new },
        };
        self.guarded(who, ino, true, op, |fs| {
            let now = fs.now();
            let file = fs.inode_mut(ino);
            file.flags = new;
            file.ctime = now;
            Ok(())
        })
    }
}
