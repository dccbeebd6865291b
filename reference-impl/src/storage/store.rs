//! The store: the data blocks of a disk behind a cache of bounded size.

use crate::storage::disk::Disk;
use crate::units::{Address, BLOCK};
use std::collections::HashMap;
use std::io;

/// The maximum number of blocks in one write call.
const BATCH: usize = 256;

/// The minimum number of blocks that are written past the cache.
const LONG: usize = 16;

/// The data blocks of a disk. Addresses count from the first data block, so that no address is a metadata block.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Box<dyn Disk>,
    /// The block of the disk that has address 0.
    first: u64,
    blocks: usize,
    /// The maximum number of cached blocks.
    capacity: usize,
    slots: Vec<Slot>,
    index: HashMap<Address, usize>,
    hand: usize,
    /// Whether there are writes that no flush has made durable.
    unflushed: bool,
}

#[derive(Debug)]
struct Slot {
    /// The address of the cached block; `None` after the block was freed.
    at: Option<Address>,
    data: Box<[u8; BLOCK]>,
    dirty: bool,
    /// Whether the slot was used since the clock hand last passed it.
    used: bool,
}

impl Store {
    pub(crate) fn new(disk: Box<dyn Disk>, first: u64, blocks: usize, capacity: usize) -> Self {
        let (slots, index) = (Vec::new(), HashMap::new());
        Self { disk, first, blocks, capacity: capacity.max(8), slots, index, hand: 0, unflushed: false }
    }

    /// The disk, for metadata.
    pub(crate) fn disk(&mut self) -> &mut dyn Disk {
        &mut *self.disk
    }

    /// Forgets all cached data, and takes the borders from the image.
    pub(crate) fn restart(&mut self, first: u64, blocks: usize) {
        self.slots.clear();
        self.index.clear();
        (self.first, self.blocks, self.hand, self.unflushed) = (first, blocks, 0, false);
    }

    pub(crate) fn truncate(&mut self, blocks: usize) {
        (blocks..self.blocks).for_each(|at| self.forget(at));
        self.blocks = self.blocks.min(blocks);
    }

    /// The contents of a block.
    pub(crate) fn read(&mut self, at: Address) -> io::Result<&[u8; BLOCK]> {
        let slot = self.slot(at, true)?;
        Ok(&self.slots[slot].data)
    }

    /// Appends `len` bytes to a buffer, starting at byte `within` of a block and continuing in the next blocks.
    /// Contiguous blocks that are not cached are read with one call, and evict no block.
    pub(crate) fn read_run(&mut self, at: Address, within: usize, len: usize, data: &mut Vec<u8>) -> io::Result<()> {
        let (mut at, mut within, end) = (at, within, data.len() + len);
        while data.len() < end {
            let left = end - data.len();
            let whole = if within == 0 { left / BLOCK } else { 0 };
            let uncached = (at..at + whole).take_while(|at| !self.index.contains_key(at)).count();
            if uncached > 1 {
                self.disk.read_onto(self.place(at, uncached)?, uncached, data)?;
                at += uncached;
            } else {
                let until = BLOCK.min(within + left);
                data.extend_from_slice(&self.read(at)?[within..until]);
                (at, within) = (at + 1, 0);
            }
        }
        Ok(())
    }

    /// Writes contiguous whole blocks. Many blocks go to the disk at once. Blocks that the disk refuses stay in the
    /// cache, as with [`Self::write`], and a commit tries again.
    pub(crate) fn write_run(&mut self, at: Address, data: &[u8]) -> io::Result<()> {
        let (blocks, _) = data.as_chunks::<BLOCK>();
        if blocks.len() >= LONG {
            let place = self.place(at, blocks.len())?;
            self.unflushed = true;
            if self.disk.write(place, data).is_ok() {
                (at..at + blocks.len()).for_each(|at| self.forget(at));
                return Ok(());
            }
        }
        (at..).zip(blocks).try_for_each(|(at, block)| self.write(at, 0, block))
    }

    /// Writes a part of a block.
    pub(crate) fn write(&mut self, at: Address, within: usize, bytes: &[u8]) -> io::Result<()> {
        let slot = self.slot(at, bytes.len() < BLOCK)?;
        self.slots[slot].data[within..within + bytes.len()].copy_from_slice(bytes);
        self.slots[slot].dirty = true;
        Ok(())
    }

    /// Fills a block with zeros.
    pub(crate) fn zero(&mut self, at: Address) -> io::Result<()> {
        let slot = self.slot(at, false)?;
        self.slots[slot].data.fill(0);
        self.slots[slot].dirty = true;
        Ok(())
    }

    pub(crate) fn copy(&mut self, from: Address, to: Address) -> io::Result<()> {
        let data = *self.read(from)?;
        self.write(to, 0, &data)
    }

    /// The block was freed: drops its cached contents.
    pub(crate) fn forget(&mut self, at: Address) {
        if let Some(slot) = self.index.remove(&at) {
            let slot = &mut self.slots[slot];
            (slot.at, slot.dirty, slot.used) = (None, false, false);
        }
    }

    /// The slot of a block; its contents are read if `contents` is set.
    fn slot(&mut self, at: Address, contents: bool) -> io::Result<usize> {
        if let Some(slot) = self.index.get(&at) {
            self.slots[*slot].used = true;
            return Ok(*slot);
        }
        let place = self.place(at, 1)?;
        let slot = self.vacate()?;
        if contents {
            self.disk.read(place, &mut self.slots[slot].data[..])?;
        }
        (self.slots[slot].at, self.slots[slot].used) = (Some(at), true);
        self.index.insert(at, slot);
        Ok(slot)
    }

    /// The first block of `count` blocks, counted on the disk.
    fn place(&self, at: Address, count: usize) -> io::Result<u64> {
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, format!("block {at} of {}", self.blocks));
        let end = at.checked_add(count).filter(|end| *end <= self.blocks);
        end.map(|_| self.first + at as u64).ok_or_else(outside)
    }

    /// An empty slot: a new one, or that of a clean block that was not used recently.
    fn vacate(&mut self) -> io::Result<usize> {
        if self.slots.len() < self.capacity {
            self.slots.push(Slot { at: None, data: Box::new([0; BLOCK]), dirty: false, used: false });
            return Ok(self.slots.len() - 1);
        }
        // Round one clears the marks of use, round two finds a clean slot. If there is none, everything is written
        // back, and round three finds one.
        for step in 0..=3 * self.slots.len() {
            let slot = self.hand;
            self.hand = (self.hand + 1) % self.slots.len();
            let found = &mut self.slots[slot];
            if !std::mem::take(&mut found.used) && !found.dirty {
                if let Some(at) = found.at.take() {
                    self.index.remove(&at);
                }
                return Ok(slot);
            }
            if step == 2 * self.slots.len() {
                self.write_back()?;
            }
        }
        Err(io::Error::other("no block of the cache is clean after all were written"))
    }

    /// Writes all dirty blocks, in the order of the disk. A block that cannot be written stays dirty.
    pub(crate) fn write_back(&mut self) -> io::Result<()> {
        let dirty = |(slot, found): (usize, &Slot)| found.at.filter(|_| found.dirty).map(|at| (at, slot));
        let mut dirty: Vec<(Address, usize)> = self.slots.iter().enumerate().filter_map(dirty).collect();
        dirty.sort_unstable();
        let mut buffer = Vec::new();
        for adjacent in dirty.chunk_by(|a, b| a.0 + 1 == b.0) {
            for batch in adjacent.chunks(BATCH) {
                buffer.clear();
                batch.iter().for_each(|(_, slot)| buffer.extend_from_slice(&self.slots[*slot].data[..]));
                let place = self.place(batch[0].0, batch.len())?;
                self.unflushed = true;
                self.disk.write(place, &buffer)?;
                batch.iter().for_each(|(_, slot)| self.slots[*slot].dirty = false);
            }
        }
        Ok(())
    }

    /// Makes the blocks that were written back durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.unflushed {
            self.disk.flush()?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Reads past the cache, as an agent does. A dirty block in the cache is written to the disk first.
    pub(crate) fn read_direct(&mut self, at: Address) -> io::Result<Vec<u8>> {
        let place = self.place(at, 1)?;
        if let Some(slot) = self.index.get(&at).map(|slot| &mut self.slots[*slot]).filter(|slot| slot.dirty) {
            self.unflushed = true;
            self.disk.write(place, &slot.data[..])?;
            slot.dirty = false;
        }
        let mut data = vec![0; BLOCK];
        self.disk.read(place, &mut data)?;
        Ok(data)
    }

    /// Writes past the cache, which drops its copy.
    pub(crate) fn write_direct(&mut self, at: Address, data: &[u8; BLOCK], durable: bool) -> io::Result<()> {
        let place = self.place(at, 1)?;
        self.forget(at);
        if durable {
            return self.disk.write_fua(place, data);
        }
        self.unflushed = true;
        self.disk.write(place, data)
    }
}
