//! A map that knows which of its entries changed since the last commit.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// Reading goes to the map; what changes it writes the key down.
#[derive(Clone, Debug)]
pub(crate) struct Tracked<K, V> {
    map: BTreeMap<K, V>,
    changed: BTreeSet<K>,
}

impl<K: Ord + Clone, V> Tracked<K, V> {
    /// A map with no changes yet.
    pub(crate) fn settled(map: BTreeMap<K, V>) -> Self {
        Self { map, changed: BTreeSet::new() }
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let value = self.map.get_mut(key)?;
        // Most calls come to the same file again.
        if !self.changed.contains(key) {
            self.changed.insert(key.clone());
        }
        Some(value)
    }

    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        self.changed.insert(key.clone());
        self.map.insert(key, value)
    }

    pub(crate) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: std::borrow::Borrow<Q>,
    {
        let (key, value) = self.map.remove_entry(key)?;
        self.changed.insert(key);
        Some(value)
    }

    pub(crate) fn changed(&self) -> impl ExactSizeIterator<Item = &K> {
        self.changed.iter()
    }

    /// Everything is committed; `each` gets what was changed and is still there.
    pub(crate) fn settle(&mut self, mut each: impl FnMut(&mut V)) {
        for key in std::mem::take(&mut self.changed) {
            self.map.get_mut(&key).into_iter().for_each(&mut each);
        }
    }

    /// Every value, for a change that no commit needs to know of.
    pub(crate) fn values_untracked(&mut self) -> impl Iterator<Item = &mut V> {
        self.map.values_mut()
    }
}

impl<K, V> Deref for Tracked<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}
