//! Commits, and what comes back after a loss of power: what was committed, and what agents put on storage.
//!
//! A commit takes everything at once: data first, then one transaction of the log. Until it is durable, what the last
//! commit refers to stays as it is, but for data that are overwritten in place: no block that was given up since is
//! handed out, and none that was shared is taken for unshared. [`State::make_room`] commits when that is all the free
//! space there is.

use crate::call::caller::Credentials;
use crate::call::system_call::Call;
use crate::model::state::State;
use crate::storage::allocator::Allocator;
use crate::storage::disk::Disk;
use crate::storage::error::ImageError;
use crate::storage::extents::Run;
use crate::storage::image::{Options, Superblock};
use crate::storage::inode::Inode;
use crate::storage::inode_table::Inodes;
use crate::storage::log::{self, Entry, Log, Metadata};
use crate::units::{Address, BLOCK, Ino, ROOT};
use crate::violation::Quirk;
use nix::errno::Errno;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// What one inode can need of the metadata at most, in bytes, apart from names, values and runs.
const INODE: u64 = 384;
/// The same for one run, and for one name or value apart from its bytes.
const RUN: u64 = 40;
/// How many inodes one call changes at most: a rename the two files, their directories, and what it leaves behind.
const CHANGES: u64 = 5;

/// What commits need to know.
#[derive(Debug)]
pub(crate) struct Commits {
    log: Log,
    /// References that were given up since the last commit, for each block.
    given_up: HashMap<Address, u32>,
    /// How many blocks become free with the next commit.
    reclaimable: usize,
    /// What the metadata can have grown by since the last commit, in bytes, apart from inodes.
    growth: u64,
    /// What snapshots of the file system keep, and how much of it the log has.
    kept: Vec<Run>,
    kept_logged: usize,
    /// Nothing can be written any more, and why.
    frozen: Option<Errno>,
}

/// The error that a call returns when the disk fails.
pub(crate) fn errno(error: io::Error) -> Errno {
    let full = error.kind() == io::ErrorKind::StorageFull;
    if full { Errno::ENOSPC } else { Errno::EIO }
}

/// Makes an empty file system on a disk, of which it takes all blocks.
pub fn format(disk: &mut dyn Disk, options: &Options) -> Result<(), ImageError> {
    make(disk, options).map(drop)
}

/// The same, and returns what a mount would find.
pub(crate) fn make(disk: &mut dyn Disk, options: &Options) -> Result<(Log, Metadata), ImageError> {
    let superblock = Superblock::new(disk.blocks(), options)?;
    let mut root = Inode::directory(ROOT, 0o755, options.time);
    (root.uid, root.gid) = options.owner;
    let (next, clock) = (ROOT + 1, options.time);
    let snapshot = Metadata::snapshot((next, clock), [(ROOT, &root)].into_iter(), &[]);
    let log = log::create(disk, superblock, &snapshot)?;
    Ok((log, Metadata { next, clock, inodes: BTreeMap::from([(ROOT, Box::new(root))]), kept: Vec::new() }))
}

impl Commits {
    pub(crate) fn new(log: Log, kept: Vec<Run>, read_only: bool) -> Self {
        let frozen = read_only.then_some(Errno::EROFS);
        let kept_logged = kept.len();
        Self { log, given_up: HashMap::new(), reclaimable: 0, growth: 0, kept, kept_logged, frozen }
    }

    pub(crate) fn frozen(&self) -> Option<Errno> {
        self.frozen
    }
}

impl State {
    /// Puts everything on storage. If that fails nothing is forgotten, and the next commit tries again; after a flush
    /// that failed there is no next commit, for nobody knows what the disk dropped.
    pub(crate) fn commit(&mut self) -> Result<(), Errno> {
        // The power is going: what is written now does not arrive.
        if self.losing_power { Ok(()) } else { self.write_out(true) }
    }

    /// Commits the change of a file's state; the violations leave out what they are named for.
    pub(crate) fn commit_state(&mut self, ino: Ino) -> Result<(), Errno> {
        let sealed = self.inode(ino).sealed;
        let skipped = if sealed { Quirk::SealNotCommitted } else { Quirk::UnsealNotCommitted };
        if self.has(skipped) {
            return Ok(());
        }
        if self.losing_power && self.has(Quirk::TornSeal) {
            let size = self.inode(ino).size;
            self.inode_mut(ino).size = size / 2;
            let result = self.write_out(true);
            self.inode_mut(ino).size = size;
            return result;
        }
        if sealed && self.has(Quirk::SealCommitsNoData) {
            return self.write_out(false);
        }
        self.commit()
    }

    fn write_out(&mut self, data: bool) -> Result<(), Errno> {
        match self.commits.frozen {
            Some(Errno::EROFS) => return Ok(()),
            Some(frozen) => return Err(frozen),
            None => (),
        }
        if data {
            self.store.write_back().map_err(errno)?;
        }
        if let Err(error) = self.store.flush() {
            (self.commits.frozen, self.read_only) = (Some(Errno::EIO), true);
            return Err(errno(error));
        }
        let changes = self.changes();
        if changes.is_empty() {
            return Ok(());
        }
        if !self.commits.log.append(self.store.disk(), &changes).map_err(errno)? {
            self.write_snapshot()?;
        }
        self.committed();
        Ok(())
    }

    fn write_snapshot(&mut self) -> Result<(), Errno> {
        let volume = (self.next, self.clock);
        let inodes = self.inodes.iter().map(|(ino, file)| (*ino, &**file));
        let snapshot = Metadata::snapshot(volume, inodes, &self.commits.kept);
        self.commits.log.replace(self.store.disk(), &snapshot).map_err(errno)
    }

    /// What changed since the last commit, as entries; nothing if nothing did.
    fn changes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        for ino in self.inodes.changed() {
            let entry = match self.inodes.get(ino) {
                Some(inode) => {
                    let (range, runs) = inode.map.changes();
                    let names = inode.directory.changes();
                    Entry::Inode { ino: *ino, inode: &**inode, from: range.start, to: range.end, runs, names }
                }
                None => Entry::Gone(*ino),
            };
            payload = entry.append(payload);
        }
        for run in &self.commits.kept[self.commits.kept_logged..] {
            payload = Entry::<&Inode>::Kept(*run).append(payload);
        }
        if !payload.is_empty() {
            payload = Entry::<&Inode>::Volume { next: self.next, clock: self.clock }.append(payload);
        }
        payload
    }

    /// The storage has everything: blocks that were given up are free now.
    fn committed(&mut self) {
        self.inodes.settle();
        let commits = &mut self.commits;
        (commits.kept_logged, commits.growth, commits.reclaimable) = (commits.kept.len(), 0, 0);
        for (at, count) in std::mem::take(&mut commits.given_up) {
            self.allocator.release(at, count);
            if self.allocator.references(at) == 0 {
                self.store.forget(at);
            }
        }
    }

    /// A file gives up a block. It is free after the next commit.
    pub(crate) fn release(&mut self, at: Address) {
        self.release_times(at, 1);
    }

    /// So many references to a block are given up.
    fn release_times(&mut self, at: Address, times: u32) {
        let count = self.commits.given_up.entry(at).or_default();
        *count += times;
        self.commits.reclaimable += usize::from(*count == self.allocator.references(at));
        self.commits.growth += RUN * u64::from(times);
    }

    /// Files give up runs, which can have the same blocks many times: what takes time is how many runs and blocks there
    /// are, not how many blocks all runs have together.
    pub(crate) fn release_runs(&mut self, runs: &[Run]) {
        if let [run] = runs {
            return run.addresses().for_each(|at| self.release(at));
        }
        let mut borders: BTreeMap<Address, i64> = BTreeMap::new();
        for run in runs {
            *borders.entry(run.addresses().start).or_default() += 1;
            *borders.entry(run.addresses().end).or_default() -= 1;
        }
        let (mut from, mut times) = (0, 0);
        for (border, change) in borders {
            if times > 0 {
                // As many as references were counted.
                let times = u32::try_from(times).unwrap_or(u32::MAX);
                (from..border).for_each(|at| self.release_times(at, times));
            }
            (from, times) = (border, times + change);
        }
    }

    /// More than one file refers to the block now, whatever the last commit says.
    pub(crate) fn is_shared(&self, at: Address) -> bool {
        let given_up = self.commits.given_up.get(&at).copied().unwrap_or_default();
        self.allocator.references(at) - given_up > 1
    }

    /// How many blocks can be had.
    pub(crate) fn free(&self) -> usize {
        self.allocator.free() + self.commits.reclaimable
    }

    /// Sees to it that so many blocks can be allocated, at the beginning of a call, when a commit finds no half-done
    /// change.
    pub(crate) fn make_room(&mut self, blocks: usize) -> Result<(), Errno> {
        if blocks > self.free() {
            return Err(Errno::ENOSPC);
        }
        if blocks > 0 {
            self.reserve_runs(blocks)?;
        }
        if blocks > self.allocator.free() { self.commit() } else { Ok(()) }
    }

    /// Sees to it that the metadata may grow by so many bytes and can still be committed.
    fn reserve(&mut self, bytes: u64) -> Result<(), Errno> {
        self.commits.growth += bytes;
        if self.has_metadata_room() || self.losing_power {
            return Ok(());
        }
        // The bound is rough. A snapshot makes it exact.
        self.commits.growth -= bytes;
        self.commit()?;
        self.write_snapshot()?;
        self.commits.growth += bytes;
        if self.has_metadata_room() { Ok(()) } else { Err(Errno::ENOSPC) }
    }

    fn has_metadata_room(&self) -> bool {
        let changed = self.inodes.changed().len() as u64 + CHANGES;
        self.commits.log.has_room(self.commits.growth + changed * INODE)
    }

    /// Sees to it that a name, target or value of so many bytes can be committed, before a call changes anything.
    pub(crate) fn reserve_bytes(&mut self, bytes: usize) -> Result<(), Errno> {
        self.reserve(RUN + bytes as u64)
    }

    /// The same for runs of blocks.
    pub(crate) fn reserve_runs(&mut self, runs: usize) -> Result<(), Errno> {
        self.reserve(RUN * runs as u64)
    }

    /// Snapshots of the file system keep these blocks for ever.
    pub(crate) fn keep(&mut self, runs: Vec<Run>) {
        runs.iter().flat_map(Run::addresses).for_each(|at| self.allocator.share(at));
        self.commits.growth += runs.len() as u64 * RUN;
        self.commits.kept.extend(runs);
    }

    /// An agent reads what the storage has.
    pub(crate) fn agent_reads(&mut self, at: Address) -> io::Result<Vec<u8>> {
        self.store.read_direct(at)
    }

    /// An agent's data goes to storage at once, and stays there.
    pub(crate) fn agent_wrote(&mut self, at: Address, bytes: &[u8; BLOCK]) -> io::Result<()> {
        let durable = !self.has(Quirk::AgentDataLost);
        self.store.write_direct(at, bytes, durable)
    }

    /// The power goes, perhaps during a call, and comes back.
    pub(crate) fn power_loss(&mut self, who: &Credentials, during: Option<&Call>) -> Result<(), Errno> {
        if let Some(call) = during {
            self.losing_power = true;
            // Nobody learns what it would have returned.
            let _ = self.call(who, call);
            self.losing_power = false;
        }
        self.store.disk().lose_power();
        self.reload()
    }

    /// umount(2) and mount(2).
    pub(crate) fn cycle(&mut self) -> Result<(), Errno> {
        if !self.descriptors.is_empty() || !self.mappings.is_empty() || !self.registrations.is_empty() {
            return Err(Errno::EBUSY);
        }
        self.commit()?;
        self.reload()?;
        if self.has(Quirk::MountForgets) {
            self.inodes.values_untracked().for_each(|file| file.sealed = false);
        }
        Ok(())
    }

    /// Gives the end of the storage back. Nothing refers to it any more, on the storage either.
    pub(crate) fn give_back(&mut self, blocks: usize) -> Result<(), Errno> {
        // The log of before can have what was beyond the new end, and a mount would refuse it.
        self.write_snapshot()?;
        self.commits.log.shrink(self.store.disk(), blocks).map_err(errno)?;
        self.allocator.truncate(blocks);
        self.store.truncate(blocks);
        Ok(())
    }

    /// Takes the file system from the disk again, in place of what is in memory.
    fn reload(&mut self) -> Result<(), Errno> {
        let frozen = self.commits.frozen;
        let Ok((log, metadata)) = crate::storage::fsck::open(self.store.disk()) else {
            self.commits.frozen = Some(Errno::EIO);
            return Err(Errno::EIO);
        };
        self.store.restart(log.layout.first_data(), log.layout.data_blocks());
        self.adopt(log, metadata, false);
        self.commits.frozen = frozen;
        Ok(())
    }

    /// Begins with what a mount found. Nothing is open, and files without a name are gone.
    pub(crate) fn adopt(&mut self, log: Log, metadata: Metadata, read_only: bool) {
        self.allocator = Allocator::of(&metadata.references(log.layout.data_blocks()));
        self.commits = Commits::new(log, metadata.kept, read_only);
        self.inodes = Inodes::settled(metadata.inodes);
        self.next = metadata.next;
        // Time does not go back.
        self.clock = self.clock.max(metadata.clock);
        self.descriptors.clear();
        self.mappings.clear();
        self.registrations.clear();
        self.swap_places.clear();
        let unnamed: Vec<Ino> = self.inodes.iter().filter(|(_, file)| file.links == 0).map(|(ino, _)| *ino).collect();
        let runs: Vec<Run> = unnamed.into_iter().flat_map(|ino| self.take_unused(ino)).collect();
        self.release_runs(&runs);
    }
}
