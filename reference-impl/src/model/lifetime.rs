//! The end of files: the last name, descriptor, mapping and registration.

use crate::model::state::State;
use crate::storage::extents::Run;
use crate::storage::inode::Kind;
use crate::units::{Ino, ROOT};
use crate::violation::Quirk;

impl State {
    /// Removes a name of the file from its count of links. A directory loses the link of its `.` as well.
    pub(crate) fn drop_name(&mut self, ino: Ino) {
        let now = self.now();
        let file = self.inode_mut(ino);
        file.links = if file.kind == Kind::Directory { 0 } else { file.links - 1 };
        file.ctime = now;
        if file.links == 0 && self.has(Quirk::FreedWithName) {
            self.volume.release_all(ino);
        }
        self.release_unused(ino);
    }

    /// Frees the file if nothing refers to it: no name, descriptor, mapping, registration, or reference of a daemon's
    /// kernel.
    pub(crate) fn release_unused(&mut self, ino: Ino) {
        let runs = self.take_unused(ino);
        self.volume.release_runs(&runs);
    }

    /// Like [`Self::release_unused`], but the caller has to free the returned blocks.
    pub(crate) fn take_unused(&mut self, ino: Ino) -> Vec<Run> {
        let file = self.inode(ino);
        let mut runs = Vec::new();
        if file.links == 0 && !file.in_use() && ino != ROOT {
            if !(self.inode(ino).sealed && self.has(Quirk::NeverFreed)) {
                runs = self.inode_mut(ino).map.remove(0..u64::MAX);
            }
            self.volume.inodes.remove(ino);
        }
        runs
    }
}
