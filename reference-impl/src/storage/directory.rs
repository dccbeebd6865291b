//! Directories: names, and an order for listings that stays valid while names change.

use crate::units::Ino;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A name: any bytes except `/` and NUL.
pub(crate) type Name = Vec<u8>;

/// The cookies after `.` and after `..`; names have larger cookies.
pub(crate) const DOT: u64 = 1;
pub(crate) const DOT_DOT: u64 = 2;

/// A name in a directory: its inode and its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) ino: Ino,
    /// The position in a listing: it never changes and is never reused.
    pub(crate) cookie: u64,
}

/// A name in the log: its cookie, and the name with its inode, or `None` if the name was removed.
pub(crate) type Line = (u64, Option<(Name, Ino)>);

/// The names in a directory, without `.` and `..`. The log has the names as [`Line`]s.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Directory {
    /// The inode of `..`.
    pub(crate) parent: Ino,
    #[serde(skip)]
    names: BTreeMap<Name, Entry>,
    #[serde(skip)]
    order: BTreeMap<u64, Name>,
    /// The last cookie that was assigned.
    last: u64,
    /// The largest cookie that the log can contain.
    #[serde(skip)]
    logged: u64,
    /// The cookies whose state differs from the log.
    #[serde(skip)]
    changed: BTreeSet<u64>,
}

impl Directory {
    /// An empty directory with this parent.
    pub(crate) fn within(parent: Ino) -> Self {
        Self { parent, last: DOT_DOT, ..Self::default() }
    }

    pub(crate) fn get(&self, name: &[u8]) -> Option<Ino> {
        self.names.get(name).map(|entry| entry.ino)
    }

    /// Gives a name to an inode. An existing name keeps its position.
    pub(crate) fn put(&mut self, name: &[u8], ino: Ino) {
        if let Some(entry) = self.names.get_mut(name) {
            entry.ino = ino;
            self.changed.insert(entry.cookie);
            return;
        }
        self.last += 1;
        self.changed.insert(self.last);
        self.names.insert(name.to_vec(), Entry { ino, cookie: self.last });
        self.order.insert(self.last, name.to_vec());
    }

    pub(crate) fn remove(&mut self, name: &[u8]) {
        if let Some(entry) = self.names.remove(name) {
            self.order.remove(&entry.cookie);
            // It was created since the last commit: the log need not mention it.
            let _ = match entry.cookie > self.logged {
                true => self.changed.remove(&entry.cookie),
                false => self.changed.insert(entry.cookie),
            };
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// The cookie, name and inode of each name after a cookie, in order.
    pub(crate) fn after(&self, cookie: u64) -> impl Iterator<Item = (u64, &[u8], Ino)> {
        let later = self.order.range(cookie.saturating_add(1)..);
        later.filter_map(|(cookie, name)| Some((*cookie, name.as_slice(), self.get(name)?)))
    }

    /// The last cookie that was assigned.
    pub(crate) fn last(&self) -> u64 {
        self.last
    }

    /// Every name, in the form of the log.
    pub(crate) fn all(&self) -> Vec<Line> {
        self.order.keys().map(|cookie| self.line(*cookie)).collect()
    }

    /// The changes that are not in the log yet.
    pub(crate) fn changes(&self) -> Vec<Line> {
        self.changed.iter().map(|cookie| self.line(*cookie)).collect()
    }

    fn line(&self, cookie: u64) -> Line {
        let named = self.order.get(&cookie).and_then(|name| Some((name.clone(), self.get(name)?)));
        (cookie, named)
    }

    /// Marks all changes as logged.
    pub(crate) fn settle(&mut self) {
        self.changed.clear();
        self.logged = self.last;
    }

    /// Takes the names of the directory's former state, and applies changes of the log to them. The error names the
    /// fault of the changes.
    pub(crate) fn apply(&mut self, before: Self, changes: Vec<Line>) -> Result<(), String> {
        (self.names, self.order) = (before.names, before.order);
        // Refuse a cookie after which too few are left.
        if self.last > u64::MAX >> 1 {
            return Err(format!("{} as the last place of a name", self.last));
        }
        if let Some(at) = self.order.keys().next_back().filter(|at| **at > self.last) {
            return Err(format!("a name at {at}, where {} is the last place", self.last));
        }
        for (cookie, named) in changes {
            if cookie <= DOT_DOT || cookie > self.last {
                return Err(format!("a name at {cookie}, outside of {DOT_DOT} to {}", self.last));
            }
            let old = self.order.remove(&cookie).inspect(|old| _ = self.names.remove(old));
            match (named, old) {
                (None, None) => return Err(format!("the end of a name at {cookie}, where there is none")),
                (None, Some(_)) => (),
                (Some((name, _)), Some(old)) if name != old => return Err(format!("another name at {cookie}")),
                (Some((name, ino)), _) => {
                    if self.names.insert(name.clone(), Entry { ino, cookie }).is_some() {
                        return Err(format!("the name {:?} twice", String::from_utf8_lossy(&name)));
                    }
                    self.order.insert(cookie, name);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// After any changes and commits, the lines of the log restore the directory.
    #[test]
    fn the_log_makes_the_directory_again() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut directory, mut durable) = (Directory::within(1), Directory::within(1));
        for step in 0..4000 {
            let name = [b'a' + random.u8(..12)];
            match random.u8(..2) {
                0 => directory.put(&name, random.u64(..5)),
                _ => directory.remove(&name),
            }
            if random.u8(..5) == 0 {
                let (changes, before) = (directory.changes(), durable);
                // Keep only the fields that a transaction has: the lines restore the rest.
                durable = Directory { last: directory.last, ..Directory::within(1) };
                durable.apply(before, changes).unwrap();
                directory.settle();
                assert_eq!(durable.all(), directory.all(), "step {step}");
                assert_eq!(directory.changes(), [], "step {step}");
            }
        }
    }

    #[test]
    fn forged_changes() {
        let line = |cookie, name: &str| (cookie, Some((name.as_bytes().to_vec(), 5)));
        let wrong = [
            vec![line(0, "a")],
            vec![line(2, "a")],
            vec![line(9, "a")],
            vec![(3, None)],
            vec![line(3, "a"), line(4, "a")],
            vec![line(3, "a"), line(3, "b")],
        ];
        let empty = || Directory { last: 8, ..Directory::within(1) };
        for changes in wrong {
            assert!(empty().apply(empty(), changes.clone()).is_err(), "{changes:?}");
        }
        let mut endless = Directory { last: u64::MAX, ..Directory::within(1) };
        assert!(endless.apply(empty(), Vec::new()).is_err());
        let mut before = empty();
        before.put(b"a", 5);
        assert!(empty().apply(before, Vec::new()).is_err());
        assert_eq!(empty().apply(empty(), vec![line(3, "a"), line(8, "b"), line(3, "a")]), Ok(()));
    }
}
