//! The log: commits write it, and a mount finds the last commit in it.
//!
//! Each transaction is durable before the next one is written. So the log ends with an incomplete record at most, and
//! no record of the same generation follows that. If one does, a record in between was damaged later; then the image is
//! refused, instead of going back to the state before the damage.

use crate::storage::directory::Line;
use crate::storage::disk::Disk;
use crate::storage::error::ImageError;
use crate::storage::extents::Run;
use crate::storage::image::{AreaHeader, Layout, RecordHeader, Superblock};
use crate::storage::inode::Inode;
use crate::units::{BLOCK, Ino};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;

/// A part of a snapshot or of a transaction.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Entry<I> {
    /// The next free number, and the time.
    Volume { next: u64, clock: i128 },
    /// An inode, the runs of its map between the blocks `from` and `to`, and the changed names.
    Inode { ino: Ino, inode: I, from: u64, to: u64, runs: Vec<Run>, names: Vec<Line> },
    /// The inode was removed.
    Gone(Ino),
    /// Storage that a snapshot of the file system keeps.
    Kept(Run),
}

impl<I: Serialize> Entry<I> {
    /// Adds the entry to a payload.
    pub(crate) fn append(&self, payload: Vec<u8>) -> Vec<u8> {
        // Serialising these types into memory cannot fail: lengths are known, and no map has unusual keys.
        postcard::to_extend(self, payload).expect("entries can be serialised")
    }
}

/// All metadata, as in the log.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    pub(crate) next: u64,
    pub(crate) clock: i128,
    pub(crate) inodes: BTreeMap<Ino, Box<Inode>>,
    pub(crate) kept: Vec<Run>,
}

impl Metadata {
    /// Applies the entries of a payload, which begins at `block`.
    fn apply(&mut self, mut payload: &[u8], block: u64, storage: usize) -> Result<(), ImageError> {
        let wrong = |expected: &str, found: String| ImageError::wrong(block, "entry", expected, found);
        while !payload.is_empty() {
            let (entry, rest) = postcard::take_from_bytes::<Entry<Inode>>(payload)
                .map_err(|error| wrong("an entry", format!("{error}, {} bytes before its end", payload.len())))?;
            payload = rest;
            match entry {
                Entry::Volume { next, clock } => (self.next, self.clock) = (next, clock),
                Entry::Inode { ino, mut inode, from, to, runs, names } => {
                    let old = self.inodes.remove(&ino).map(|old| (old.map, old.directory));
                    let (map, directory) = old.unwrap_or_default();
                    inode.map = map;
                    let what = |error| wrong("a map inside file and storage", format!("inode {ino} with {error}"));
                    inode.map.apply(from..to, runs, storage).map_err(what)?;
                    let what = |error| wrong("the names of a directory", format!("inode {ino} with {error}"));
                    inode.directory.apply(directory, names).map_err(what)?;
                    self.inodes.insert(ino, Box::new(inode));
                }
                Entry::Gone(ino) => {
                    let missing = || wrong("an inode that exists", format!("the end of inode {ino}"));
                    self.inodes.remove(&ino).map(|_| ()).ok_or_else(missing)?;
                }
                Entry::Kept(run) => {
                    if run.count > storage as u64 || run.address > storage - run.count as usize {
                        return Err(wrong("blocks of the storage", format!("{} at {}", run.count, run.address)));
                    }
                    self.kept.push(run);
                }
            }
        }
        Ok(())
    }

    /// Counts the references to each block of the storage.
    pub(crate) fn references(&self, blocks: usize) -> Vec<u32> {
        // Count the starts and ends of runs, then sum them up, because runs can overlap many times.
        let mut borders = vec![0_i64; blocks + 1];
        for run in self.inodes.values().flat_map(|file| file.map.all()).chain(&self.kept) {
            borders[run.addresses().start] += 1;
            borders[run.addresses().end] -= 1;
        }
        let sum = |sum: &mut i64, border: i64| {
            *sum += border;
            Some(u32::try_from(*sum).unwrap_or(u32::MAX))
        };
        borders.into_iter().take(blocks).scan(0, sum).collect()
    }

    /// All metadata as entries.
    pub(crate) fn snapshot<'a>(
        volume: (u64, i128),
        inodes: impl Iterator<Item = (Ino, &'a Inode)>,
        kept: &[Run],
    ) -> Vec<u8> {
        let mut payload = Entry::<&Inode>::Volume { next: volume.0, clock: volume.1 }.append(Vec::new());
        for (ino, inode) in inodes {
            let runs = inode.map.all().copied().collect();
            let names = inode.directory.all();
            payload = Entry::Inode { ino, inode, from: 0, to: u64::MAX, runs, names }.append(payload);
        }
        kept.iter().fold(payload, |payload, run| Entry::<&Inode>::Kept(*run).append(payload))
    }
}

/// The end of the log, where the next transaction goes.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    pub(crate) superblock: Superblock,
    pub(crate) layout: Layout,
    area: usize,
    generation: u64,
    sequence: u64,
    /// The block of the area that is written next.
    next: u64,
    /// An upper bound of the size of the metadata in bytes.
    bound: u64,
}

impl Log {
    /// Writes a transaction and makes it durable. Returns false if the area has no room for it.
    pub(crate) fn append(&mut self, disk: &mut dyn Disk, payload: &[u8]) -> io::Result<bool> {
        let record = RecordHeader::record(&self.layout, self.generation, self.sequence + 1, payload);
        let blocks = (record.len() / BLOCK) as u64;
        if blocks > self.layout.area_blocks - self.next {
            return Ok(false);
        }
        disk.write_fua(self.layout.area(self.area) + self.next, &record)?;
        self.sequence += 1;
        self.next += blocks;
        // A change can split a run in three, so it adds at most a few times its own size.
        self.bound += 4 * payload.len() as u64;
        Ok(true)
    }

    /// Writes a snapshot into the other area, and makes that area current.
    pub(crate) fn replace(&mut self, disk: &mut dyn Disk, snapshot: &[u8]) -> io::Result<()> {
        if snapshot.len() as u64 > self.layout.capacity() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let area = 1 - self.area;
        let place = self.layout.area(area);
        let mut data = snapshot.to_vec();
        data.resize(data.len().next_multiple_of(BLOCK), 0);
        disk.write(place + 1, &data)?;
        disk.flush()?;
        let header = AreaHeader::new(&self.layout, self.generation + 1, true, snapshot);
        disk.write_fua(place, &header.block())?;
        let old = std::mem::replace(&mut self.area, area);
        self.generation += 1;
        self.sequence = 0;
        self.next = header.log();
        self.bound = snapshot.len() as u64;
        self.retire(disk, old)
    }

    /// Marks an area as retired, so that no mount takes it for current if the other area is damaged.
    fn retire(&self, disk: &mut dyn Disk, area: usize) -> io::Result<()> {
        let header = AreaHeader::new(&self.layout, self.generation - 1, false, &[]);
        disk.write(self.layout.area(area), &header.block())
    }

    /// Whether the metadata still fit if they grow by `growth` bytes.
    pub(crate) fn has_room(&self, growth: u64) -> bool {
        self.bound + growth <= self.layout.capacity()
    }

    /// Reduces the size of the image in the superblock.
    pub(crate) fn shrink(&mut self, disk: &mut dyn Disk, data_blocks: usize) -> io::Result<()> {
        let blocks = self.layout.first_data() + data_blocks as u64;
        let superblock = self.superblock.resized(blocks);
        superblock.write(disk)?;
        (self.superblock, self.layout.blocks) = (superblock, blocks);
        Ok(())
    }
}

/// Makes an image with these metadata, and returns its log.
pub(crate) fn create(disk: &mut dyn Disk, superblock: Superblock, snapshot: &[u8]) -> Result<Log, ImageError> {
    let failed = |error| ImageError::io("writing the new image", error);
    // Erase the superblocks first and write them last: without a superblock there is no image.
    disk.write_fua(0, &[0; BLOCK]).map_err(failed)?;
    disk.write_fua(1, &[0; BLOCK]).map_err(failed)?;
    let layout = superblock.layout();
    let mut log = Log { superblock, layout, area: 1, generation: 0, sequence: 0, next: 0, bound: 0 };
    log.replace(disk, snapshot).and_then(|()| disk.flush()).map_err(failed)?;
    superblock.write(disk).map_err(failed)?;
    Ok(log)
}

/// Reads an image. Harmless inconsistencies are added to `notes`.
pub(crate) fn recover(disk: &mut dyn Disk, notes: &mut Vec<ImageError>) -> Result<(Log, Metadata), ImageError> {
    let (superblock, layout) = match (Superblock::read(disk, 0), Superblock::read(disk, 1)) {
        // The copy is written first, so it can be newer.
        (Ok(main), Ok(copy)) => {
            if main.0 != copy.0 && Some(copy.0.sequence()) != main.0.sequence().checked_add(1) {
                let found = format!("that of change {}", copy.0.sequence());
                notes.push(ImageError::wrong(1, "copy of the superblock", "that of block 0 or the next", found));
            }
            if copy.0.sequence() > main.0.sequence() { copy } else { main }
        }
        (Ok(one), Err(error)) | (Err(error), Ok(one)) => {
            notes.push(error);
            one
        }
        (Err(error), Err(_)) => return Err(error),
    };
    let headers = [AreaHeader::read(disk, &layout, 0)?, AreaHeader::read(disk, &layout, 1)?];
    let current = |area: &usize| headers[*area].is_current();
    let newest = (0..2).filter(current).max_by_key(|area| headers[*area].generation());
    let none = || ImageError::wrong(layout.area(0), "area headers", "one that is current", "two that are retired");
    let area = newest.ok_or_else(none)?;
    let (header, other) = (headers[area], headers[1 - area]);
    if other.generation() >= header.generation() {
        let found = format!("{} in the other", other.generation());
        return Err(ImageError::wrong(layout.area(area), "generations", header.generation(), found));
    }
    let mut metadata = Metadata::default();
    let place = layout.area(area);
    metadata.apply(&header.snapshot(disk, &layout, area)?, place + 1, layout.data_blocks())?;
    let mut log = Log {
        superblock,
        layout,
        area,
        generation: header.generation(),
        sequence: 0,
        next: header.log(),
        bound: (header.log() - 1) * BLOCK as u64,
    };
    while log.next < layout.area_blocks {
        let (block, room) = (place + log.next, layout.area_blocks - log.next);
        let record = RecordHeader::read(disk, &layout, log.generation, block, room)?;
        let Some((sequence, payload, blocks)) = record else { break };
        if sequence != log.sequence + 1 {
            return Err(ImageError::wrong(block, "transaction, sequence", log.sequence + 1, sequence));
        }
        metadata.apply(&payload, block, layout.data_blocks())?;
        log.sequence = sequence;
        log.next += blocks;
        log.bound += 4 * payload.len() as u64;
    }
    for block in place + log.next + 1..place + layout.area_blocks {
        if disk.is_blank(block) {
            continue;
        }
        let later = RecordHeader::peek(disk, &layout, log.generation, block)?;
        if let Some(sequence) = later.filter(|sequence| *sequence > log.sequence) {
            let expected = format!("transaction {}", log.sequence + 1);
            let found = format!("something else, and transaction {sequence} in block {block}");
            return Err(ImageError::wrong(place + log.next, "log", expected, found));
        }
    }
    Ok((log, metadata))
}
