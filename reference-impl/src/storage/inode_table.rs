//! The inodes, and the set of inodes that changed since the last commit.

use crate::storage::inode::Inode;
use crate::units::Ino;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// The table of inodes. Mutable access marks an inode as changed.
#[derive(Debug, Default)]
pub(crate) struct Inodes {
    /// Boxed, to keep the tree of inode numbers small.
    map: BTreeMap<Ino, Box<Inode>>,
    /// The inodes that differ from the log, or that are in the log and were removed. Each inode has a flag for this,
    /// too, so that repeated changes of an inode need no access to this set.
    changed: BTreeSet<Ino>,
}

impl Inodes {
    /// The inodes of the log, all unchanged.
    pub(crate) fn settled(mut map: BTreeMap<Ino, Box<Inode>>) -> Self {
        map.values_mut().for_each(|file| settle(file));
        Self { map, changed: BTreeSet::new() }
    }

    pub(crate) fn get_mut(&mut self, ino: Ino) -> Option<&mut Inode> {
        let file = self.map.get_mut(&ino)?;
        if !std::mem::replace(&mut file.changed, true) {
            self.changed.insert(ino);
        }
        Some(file)
    }

    /// An inode that must exist, because it is referenced.
    pub(crate) fn existing(&mut self, ino: Ino) -> &mut Inode {
        self.get_mut(ino).expect("names, descriptors and mappings refer to inodes that exist")
    }

    /// Mutable access for fields that are not stored, such as reference counts.
    pub(crate) fn untracked(&mut self, ino: Ino) -> Option<&mut Inode> {
        self.map.get_mut(&ino).map(|file| &mut **file)
    }

    pub(crate) fn insert(&mut self, ino: Ino, file: Inode) {
        self.changed.insert(ino);
        self.map.insert(ino, Box::new(Inode { changed: true, logged: false, ..file }));
    }

    pub(crate) fn remove(&mut self, ino: Ino) {
        match self.map.remove(&ino) {
            Some(file) if file.logged => _ = self.changed.insert(ino),
            // It was created since the last commit: the log need not mention it.
            _ => _ = self.changed.remove(&ino),
        }
    }

    pub(crate) fn changed(&self) -> impl ExactSizeIterator<Item = &Ino> {
        self.changed.iter()
    }

    /// Marks all inodes as logged.
    pub(crate) fn settle(&mut self) {
        for ino in std::mem::take(&mut self.changed) {
            self.map.get_mut(&ino).into_iter().for_each(|file| settle(file));
        }
    }
}

fn settle(file: &mut Inode) {
    (file.logged, file.changed) = (true, false);
    file.map.settle();
    file.directory.settle();
}

impl Deref for Inodes {
    type Target = BTreeMap<Ino, Box<Inode>>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}
