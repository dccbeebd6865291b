//! What survives a loss of power: what was committed, and what agents put on storage.
//!
//! A commit takes everything at once. Between commits, changes are in a volatile cache.

use crate::allocator::Allocator;
use crate::call::Call;
use crate::credentials::Credentials;
use crate::fs::{ROOT, State};
use crate::inode::{Ino, Inode};
use crate::store::{Address, BLOCK, Store};
use crate::violation::Quirk;
use nix::errno::Errno;
use std::collections::BTreeMap;

/// The file system as storage has it.
#[derive(Clone, Debug)]
pub(crate) struct Committed {
    store: Store,
    allocator: Allocator,
    inodes: BTreeMap<Ino, Box<Inode>>,
}

impl State {
    /// Puts everything on storage.
    pub(crate) fn commit(&mut self) {
        // The power is going: what is written now does not arrive.
        if self.losing_power {
            return;
        }
        self.committed = Some(Committed {
            store: self.store.clone(),
            allocator: self.allocator.clone(),
            inodes: self.inodes.clone(),
        });
    }

    /// Commits the change of a file's state; the violations leave out what they are named for.
    pub(crate) fn commit_state(&mut self, ino: Ino) {
        let sealed = self.inode(ino).sealed;
        let skipped = if sealed { Quirk::SealNotCommitted } else { Quirk::UnsealNotCommitted };
        if self.has(skipped) || (self.losing_power && !self.has(Quirk::TornSeal)) {
            return;
        }
        let empty = || Store::new(self.store.blocks());
        let old_store = self.committed.as_ref().map_or_else(empty, |committed| committed.store.clone());
        let losing_power = std::mem::replace(&mut self.losing_power, false);
        self.commit();
        self.losing_power = losing_power;
        let torn = losing_power;
        let without_data = sealed && self.has(Quirk::SealCommitsNoData);
        if let Some(committed) = &mut self.committed {
            if without_data {
                committed.store = old_store;
            }
            if let Some(file) = committed.inodes.get_mut(&ino).filter(|_| torn) {
                file.size /= 2;
            }
        }
    }

    /// An agent's data goes to storage at once.
    pub(crate) fn agent_wrote(&mut self, at: Address, bytes: &[u8; BLOCK]) {
        self.store.block_mut(at).copy_from_slice(bytes);
        let lost = self.has(Quirk::AgentDataLost);
        if let Some(committed) = self.committed.as_mut().filter(|_| !lost) {
            committed.store.block_mut(at).copy_from_slice(bytes);
        }
    }

    /// The power goes, perhaps during a call, and comes back.
    pub(crate) fn power_loss(&mut self, who: &Credentials, during: Option<&Call>) {
        if let Some(call) = during {
            self.losing_power = true;
            // Nobody learns what it would have returned.
            let _ = self.call(who, call);
            self.losing_power = false;
        }
        match self.committed.clone() {
            Some(Committed { store, allocator, inodes }) => {
                (self.store, self.allocator, self.inodes) = (store, allocator, inodes);
            }
            None => {
                self.inodes = BTreeMap::from([(ROOT, Box::new(Inode::directory(ROOT, 0o755, 0)))]);
                self.allocator = Allocator::new(self.store.blocks());
            }
        }
        self.mount();
    }

    /// umount(2) and mount(2).
    pub(crate) fn cycle(&mut self) -> Result<(), Errno> {
        if !self.descriptors.is_empty() || !self.mappings.is_empty() || !self.registrations.is_empty() {
            return Err(Errno::EBUSY);
        }
        self.commit();
        if self.has(Quirk::MountForgets) {
            self.inodes.values_mut().for_each(|file| file.sealed = false);
        }
        self.mount();
        Ok(())
    }

    /// Nothing is open after mounting, and files without a name are gone.
    fn mount(&mut self) {
        self.descriptors.clear();
        self.mappings.clear();
        self.registrations.clear();
        for file in self.inodes.values_mut() {
            (file.descriptors, file.mappings, file.registrations, file.lookups, file.swap) = (0, 0, 0, 0, false);
        }
        let unnamed: Vec<Ino> = self.inodes.iter().filter(|(_, file)| file.links == 0).map(|(ino, _)| *ino).collect();
        unnamed.into_iter().for_each(|ino| self.release_unused(ino));
    }
}
