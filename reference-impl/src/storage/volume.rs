//! Commits, and recovery after a loss of power: committed changes, and data that agents wrote to the storage.
//!
//! A commit covers all changes: first the data, then one transaction of the log. Until it is durable, the blocks of the
//! last commit stay unchanged, except for data that are overwritten in place: a block that was given up since then is
//! not allocated again, and a block that was shared still counts as shared. [`Volume::make_room`] commits when it needs
//! blocks that only a commit makes free.

use crate::storage::allocator::Allocator;
use crate::storage::disk::Disk;
use crate::storage::error::ImageError;
use crate::storage::extents::Run;
use crate::storage::fsck;
use crate::storage::image::{Options, Superblock};
use crate::storage::inode::Inode;
use crate::storage::inode_table::Inodes;
use crate::storage::log::{self, Entry, Log, Metadata};
use crate::storage::store::Store;
use crate::units::{Address, ROOT};
use nix::errno::Errno;
use std::collections::{BTreeMap, HashMap};
use std::io;

/// The maximum number of bytes of metadata for one inode, without names, values and runs.
const INODE: u64 = 384;
/// The maximum number of bytes for one run, and for one name or value without its bytes.
const RUN: u64 = 40;
/// The maximum number of inodes that one call changes: a rename changes two files and their directories, and makes a
/// whiteout.
const CHANGES: u64 = 5;

/// A file system on a disk, with all its metadata in memory.
#[derive(Debug)]
pub(crate) struct Volume {
    pub(crate) store: Store,
    pub(crate) allocator: Allocator,
    pub(crate) inodes: Inodes,
    /// The time of the last change, in nanoseconds since the epoch.
    pub(crate) clock: i128,
    /// Whether the volume is read-only.
    pub(crate) read_only: bool,
    /// Whether the power is being lost: commits do not reach the disk any more.
    pub(crate) losing_power: bool,
    /// The number of snapshots of the metadata that were written to the log.
    pub(crate) checkpoints: u64,
    /// The last number that was given to an inode, a mapping or a registration.
    next: u64,
    log: Log,
    /// The references to each block that were given up since the last commit.
    given_up: HashMap<Address, u32>,
    /// The number of blocks that the next commit makes free.
    reclaimable: usize,
    /// The bytes by which the metadata may have grown since the last commit, without inodes.
    growth: u64,
    /// Runs that snapshots of the file system keep, and how many of these runs are in the log.
    kept: Vec<Run>,
    kept_logged: usize,
    /// The error after which nothing can be written any more.
    frozen: Option<Errno>,
}

/// The error that a call returns when the disk fails.
pub(crate) fn errno(error: io::Error) -> Errno {
    let full = error.kind() == io::ErrorKind::StorageFull;
    if full { Errno::ENOSPC } else { Errno::EIO }
}

/// Makes an empty file system on a disk, using all of its blocks.
pub fn format(disk: &mut dyn Disk, options: &Options) -> Result<(), ImageError> {
    make(disk, options).map(drop)
}

/// Like [`format()`], and returns the state that a mount would find.
pub(crate) fn make(disk: &mut dyn Disk, options: &Options) -> Result<(Log, Metadata), ImageError> {
    let superblock = Superblock::new(disk.blocks(), options)?;
    let mut root = Inode::directory(ROOT, 0o755, options.time);
    (root.uid, root.gid) = options.owner;
    let (next, clock) = (ROOT + 1, options.time);
    let snapshot = Metadata::snapshot((next, clock), [(ROOT, &root)].into_iter(), &[]);
    let log = log::create(disk, superblock, &snapshot)?;
    Ok((log, Metadata { next, clock, inodes: BTreeMap::from([(ROOT, Box::new(root))]), kept: Vec::new() }))
}

impl Volume {
    /// A volume in the state that a mount found on the disk. The cache has at most `cache` blocks.
    pub(crate) fn new(disk: Box<dyn Disk>, (log, metadata): (Log, Metadata), cache: usize, read_only: bool) -> Self {
        let mut volume = Self {
            store: Store::new(disk, log.layout.first_data(), log.layout.data_blocks(), cache),
            allocator: Allocator::new(0),
            inodes: Inodes::default(),
            clock: metadata.clock,
            read_only,
            losing_power: false,
            checkpoints: 0,
            next: 0,
            log: log.clone(),
            given_up: HashMap::new(),
            reclaimable: 0,
            growth: 0,
            kept: Vec::new(),
            kept_logged: 0,
            frozen: read_only.then_some(Errno::EROFS),
        };
        volume.adopt(log, metadata);
        volume
    }

    /// Replaces the state in memory by the state of the disk.
    fn adopt(&mut self, log: Log, metadata: Metadata) {
        self.allocator = Allocator::of(&metadata.references(log.layout.data_blocks()));
        self.inodes = Inodes::settled(metadata.inodes);
        (self.log, self.next) = (log, metadata.next);
        // Time must not go back.
        self.clock = self.clock.max(metadata.clock);
        (self.kept_logged, self.kept) = (metadata.kept.len(), metadata.kept);
        self.given_up.clear();
        (self.reclaimable, self.growth) = (0, 0);
    }

    /// The error with which every later change fails, if there is one.
    pub(crate) fn frozen(&self) -> Option<Errno> {
        self.frozen
    }

    /// The next number for an inode, a mapping or a registration.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Writes all changes to storage. If that fails, no change is lost, and the next commit tries again. After a failed
    /// flush there is no further commit, because the disk may have dropped any write.
    pub(crate) fn commit(&mut self) -> Result<(), Errno> {
        // The power is being lost, so nothing written now would arrive.
        if self.losing_power { Ok(()) } else { self.write_out(true) }
    }

    /// Writes all changes even while the power is being lost; without the data of files if `data` is false.
    pub(crate) fn write_out(&mut self, data: bool) -> Result<(), Errno> {
        match self.frozen {
            Some(Errno::EROFS) => return Ok(()),
            Some(frozen) => return Err(frozen),
            None => (),
        }
        if data {
            self.store.write_back().map_err(errno)?;
        }
        if let Err(error) = self.store.flush() {
            (self.frozen, self.read_only) = (Some(Errno::EIO), true);
            return Err(errno(error));
        }
        let changes = self.changes();
        if changes.is_empty() {
            return Ok(());
        }
        if !self.log.append(self.store.disk(), &changes).map_err(errno)? {
            self.write_snapshot()?;
        }
        self.committed();
        Ok(())
    }

    /// Commits, and writes the log anew.
    pub(crate) fn checkpoint(&mut self) -> Result<(), Errno> {
        self.commit()?;
        self.write_snapshot()
    }

    fn write_snapshot(&mut self) -> Result<(), Errno> {
        self.checkpoints += 1;
        let numbers = (self.next, self.clock);
        let inodes = self.inodes.iter().map(|(ino, file)| (*ino, &**file));
        let snapshot = Metadata::snapshot(numbers, inodes, &self.kept);
        self.log.replace(self.store.disk(), &snapshot).map_err(errno)
    }

    /// The changes since the last commit, as entries; empty if there are none.
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
        for run in &self.kept[self.kept_logged..] {
            payload = Entry::<&Inode>::Kept(*run).append(payload);
        }
        if !payload.is_empty() {
            payload = Entry::<&Inode>::Volume { next: self.next, clock: self.clock }.append(payload);
        }
        payload
    }

    /// Marks everything as stored, and frees the blocks that were given up.
    fn committed(&mut self) {
        self.inodes.settle();
        (self.kept_logged, self.growth, self.reclaimable) = (self.kept.len(), 0, 0);
        for (at, count) in std::mem::take(&mut self.given_up) {
            self.allocator.release(at, count);
            if self.allocator.references(at) == 0 {
                self.store.forget(at);
            }
        }
    }

    /// A file gives up a block. The block is free after the next commit.
    pub(crate) fn release(&mut self, at: Address) {
        self.release_times(at, 1);
    }

    /// Gives up `times` references to a block.
    fn release_times(&mut self, at: Address, times: u32) {
        let count = self.given_up.entry(at).or_default();
        *count += times;
        self.reclaimable += usize::from(*count == self.allocator.references(at));
        self.growth += RUN * u64::from(times);
    }

    /// Files give up runs, in which the same blocks can occur many times. The time depends on the number of runs and of
    /// distinct blocks, not on the sum of the runs' lengths.
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
                // The number of references was counted as u32 before, so it fits.
                let times = u32::try_from(times).unwrap_or(u32::MAX);
                (from..border).for_each(|at| self.release_times(at, times));
            }
            (from, times) = (border, times + change);
        }
    }

    /// Whether more than one file refers to the block now, even if the last commit has only one.
    pub(crate) fn is_shared(&self, at: Address) -> bool {
        let given_up = self.given_up.get(&at).copied().unwrap_or_default();
        self.allocator.references(at) - given_up > 1
    }

    /// The number of blocks that can be allocated, if need be after a commit.
    pub(crate) fn free(&self) -> usize {
        self.allocator.free() + self.reclaimable
    }

    /// Makes sure that `blocks` blocks can be allocated. Called at the beginning of a call, so that a commit stores no
    /// incomplete change.
    pub(crate) fn make_room(&mut self, blocks: usize) -> Result<(), Errno> {
        if blocks > self.free() {
            return Err(Errno::ENOSPC);
        }
        if blocks > 0 {
            self.reserve_runs(blocks)?;
        }
        if blocks > self.allocator.free() { self.commit() } else { Ok(()) }
    }

    /// Makes sure that the metadata can still be committed after they grow by `bytes` bytes.
    fn reserve(&mut self, bytes: u64) -> Result<(), Errno> {
        self.growth += bytes;
        if self.has_metadata_room() || self.losing_power {
            return Ok(());
        }
        // The bound is rough; a commit with a snapshot makes it exact.
        self.growth -= bytes;
        self.commit()?;
        self.write_snapshot()?;
        self.growth += bytes;
        if self.has_metadata_room() { Ok(()) } else { Err(Errno::ENOSPC) }
    }

    fn has_metadata_room(&self) -> bool {
        let changed = self.inodes.changed().len() as u64 + CHANGES;
        self.log.has_room(self.growth + changed * INODE)
    }

    /// Makes sure, before a call changes anything, that a name, target or value of `bytes` bytes can be committed.
    pub(crate) fn reserve_bytes(&mut self, bytes: usize) -> Result<(), Errno> {
        self.reserve(RUN + bytes as u64)
    }

    /// Makes sure of the same for runs of blocks.
    pub(crate) fn reserve_runs(&mut self, runs: usize) -> Result<(), Errno> {
        self.reserve(RUN * runs as u64)
    }

    /// Keeps these blocks for ever, for a snapshot of the file system.
    pub(crate) fn keep(&mut self, runs: Vec<Run>) {
        runs.iter().flat_map(Run::addresses).for_each(|at| self.allocator.share(at));
        self.growth += runs.len() as u64 * RUN;
        self.kept.extend(runs);
    }

    /// Gives the end of the storage back. Neither memory nor storage refers to it any more.
    pub(crate) fn give_back(&mut self, blocks: usize) -> Result<(), Errno> {
        // The old log can contain blocks beyond the new end, which a mount would refuse.
        self.write_snapshot()?;
        self.log.shrink(self.store.disk(), blocks).map_err(errno)?;
        self.allocator.truncate(blocks);
        self.store.truncate(blocks);
        Ok(())
    }

    /// Loses all changes that are not durable.
    pub(crate) fn lose_power(&mut self) -> Result<(), Errno> {
        self.store.disk().lose_power();
        self.reload()
    }

    /// Replaces the state in memory by the state of the disk.
    pub(crate) fn reload(&mut self) -> Result<(), Errno> {
        let Ok((log, metadata)) = fsck::open(self.store.disk()) else {
            self.frozen = Some(Errno::EIO);
            return Err(Errno::EIO);
        };
        self.store.restart(log.layout.first_data(), log.layout.data_blocks());
        self.adopt(log, metadata);
        Ok(())
    }
}
