//! Calls that move files: defragmentation, garbage collection, shrinking.

use crate::call::caller::Credentials;
use crate::call::route::Route;
use crate::call::system_call::Fd;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::{Inode, Kind};
use crate::units::{BLOCK, Ino};
use crate::violation::Quirk;
use nix::errno::Errno;

impl State {
    pub(crate) fn defragment(&mut self, who: &Credentials, fd: Fd) -> Result<(), Errno> {
        let ino = self.descriptor(fd)?.ino;
        let op = if self.route == Some(Route::Ext4Migrate) { Op::Convert } else { Op::Defragment };
        self.guarded(who, ino, true, op, |fs| {
            fs.volume.relocate(ino);
            Ok(())
        })
    }

    /// Moves every file that may be moved.
    pub(crate) fn collect(&mut self) {
        self.relocate_all(false);
    }

    /// Moves every file; with `sealed_too`, for a violation, also sealed files.
    pub(crate) fn relocate_all(&mut self, sealed_too: bool) {
        let moves = |ino: Ino| sealed_too || self.has_for(Quirk::CollectMoves, ino);
        let may_move =
            |ino: Ino, file: &Inode| file.kind == Kind::Regular && !file.swap && (!file.sealed || moves(ino));
        let movable = self.volume.inodes.iter().filter(|(ino, file)| may_move(**ino, file)).map(|(ino, _)| *ino);
        let movable: Vec<Ino> = movable.collect();
        movable.into_iter().for_each(|ino| self.volume.relocate(ino));
    }

    /// Gives up the storage from byte `size` on, after moving the blocks there.
    pub(crate) fn shrink(&mut self, who: &Credentials, size: i64) -> Result<(), Errno> {
        let limit = usize::try_from(size).map_err(|_| Errno::EINVAL)? / BLOCK;
        // Refuse an image without data blocks, and growth: the disk may have no more blocks.
        if limit == 0 || limit > self.volume.allocator.blocks() {
            return Err(Errno::EINVAL);
        }
        let in_the_way = self
            .volume
            .inodes
            .iter()
            .filter(|(_, file)| file.map.addresses().any(|at| at >= limit))
            .map(|(ino, _)| *ino)
            .collect::<Vec<_>>();
        self.guarded_all(who, &in_the_way, Op::ShrinkAway, &mut |fs| {
            fs.changeable()?;
            in_the_way.iter().for_each(|ino| fs.volume.relocate(*ino));
            fs.volume.commit()?;
            if fs.volume.allocator.used_from(limit) > 0 {
                return Err(Errno::ENOSPC);
            }
            fs.volume.give_back(limit)
        })
    }

    /// Moves all data to other storage, as before a device is removed.
    pub(crate) fn evacuate(&mut self, who: &Credentials) -> Result<(), Errno> {
        let stored = self.volume.inodes.iter().filter(|(_, file)| file.map.addresses().next().is_some());
        let stored: Vec<Ino> = stored.map(|(ino, _)| *ino).collect();
        self.guarded_all(who, &stored, Op::ShrinkAway, &mut |fs| {
            fs.changeable()?;
            stored.iter().for_each(|ino| fs.volume.relocate(*ino));
            fs.volume.commit()
        })
    }
}
