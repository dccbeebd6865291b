//! Directories: names, and an order in which they can be listed while they change.

use crate::inode::Ino;
use std::collections::BTreeMap;

/// A name: any bytes but `/` and NUL.
pub(crate) type Name = Vec<u8>;

/// The longest name, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// Where a listing is after `.` and after `..`; what has a name comes later.
pub(crate) const DOT: u64 = 1;
pub(crate) const DOT_DOT: u64 = 2;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) ino: Ino,
    /// Its place in a listing: never changed, never given to another name.
    pub(crate) cookie: u64,
}

/// The names in a directory, without `.` and `..`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Directory {
    /// What `..` is.
    pub(crate) parent: Ino,
    names: BTreeMap<Name, Entry>,
    order: BTreeMap<u64, Name>,
    /// The last cookie that was given out.
    last: u64,
}

impl Directory {
    /// A directory without names, in another one.
    pub(crate) fn within(parent: Ino) -> Self {
        Self { parent, last: DOT_DOT, ..Self::default() }
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<Ino> {
        self.names.get(name).map(|entry| entry.ino)
    }

    /// Gives a name to an inode. A name that was another's keeps its place.
    pub(crate) fn put(&mut self, name: &[u8], ino: Ino) {
        if let Some(entry) = self.names.get_mut(name) {
            entry.ino = ino;
            return;
        }
        self.last += 1;
        self.names.insert(name.to_vec(), Entry { ino, cookie: self.last });
        self.order.insert(self.last, name.to_vec());
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Some(entry) = self.names.remove(name) {
            self.order.remove(&entry.cookie);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Cookie, name and inode of each name after a cookie, in the order of the cookies.
    pub(crate) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &[u8], Ino)> {
        let later = self.order.range(cookie.saturating_add(1)..);
        later.filter_map(|(cookie, name)| Some((*cookie, name.as_slice(), self.get(name)?)))
    }
}
