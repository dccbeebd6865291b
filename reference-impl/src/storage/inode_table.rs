//! The inodes, and which of them changed since the last commit.

use crate::storage::inode::Inode;
use crate::units::Ino;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// Reading goes to the map; what changes an inode writes its number down.
#[derive(Debug, Default)]
pub(crate) struct Inodes {
    /// Boxed, so that the tree of the numbers is small.
    map: BTreeMap<Ino, Box<Inode>>,
    /// The inodes that differ from the log, or are gone and in the log. An inode knows it too, so that most changes,
    /// which come to the same inodes again, need not look here.
    changed: BTreeSet<Ino>,
}

impl Inodes {
    /// The inodes of the log, without changes.
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

    /// An inode that something refers to, and that exists therefore.
    pub(crate) fn existing(&mut self, ino: Ino) -> &mut Inode {
        self.get_mut(ino).expect("names, descriptors and mappings refer to inodes that exist")
    }

    /// For what is not stored: counts of what refers to the inode.
    pub(crate) fn untracked(&mut self, ino: Ino) -> Option<&mut Inode> {
        self.map.get_mut(&ino).map(|file| &mut **file)
    }

    /// Every inode, for a change that no commit needs to know of.
    pub(crate) fn values_untracked(&mut self) -> impl Iterator<Item = &mut Inode> {
        self.map.values_mut().map(|file| &mut **file)
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

    /// The log has everything.
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
