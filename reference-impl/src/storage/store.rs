//! The store: the data blocks of a disk behind a cache of bounded size.

use crate::storage::disk::{Block, Disk};
use crate::units::{Address, BLOCK};
use std::collections::HashMap;
use std::io;

/// The most blocks that are written with one call.
const BATCH: usize = 256;

/// The least number of blocks that are written at once, past the cache.
const LONG: usize = 16;

/// The data blocks of a disk. Addresses count from the first of them, so that no address is one of metadata.
#[derive(Debug)]
pub(crate) struct Store {
    disk: Box<dyn Disk>,
    /// The block of the disk that has address 0.
    first: u64,
    blocks: usize,
    /// The most blocks that are cached.
    capacity: usize,
    slots: Vec<Slot>,
    index: HashMap<Address, usize>,
    hand: usize,
    /// Something was written that a flush has not made durable.
    unflushed: bool,
}

#[derive(Debug)]
struct Slot {
    /// The address of the cached block; None after the block was freed.
    at: Option<Address>,
    data: Block,
    dirty: bool,
    /// It was used since the hand came by.
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

    /// Forgets everything that is not on the disk, and takes the borders from the image.
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

    /// Adds `len` bytes to a buffer: those from `within` of a block on, and of the blocks after it. Blocks that lie
    /// side by side and are not cached are read with one call, and push no block out of the cache.
    pub(crate) fn read_run(&mut self, at: Address, within: usize, len: usize, data: &mut Vec<u8>) -> io::Result<()> {
        let (mut at, mut within, end) = (at, within, data.len() + len);
        while data.len() < end {
            let left = end - data.len();
            let whole = if within == 0 { left / BLOCK } else { 0 };
            let uncached = (at..at + whole).take_while(|at| !self.index.contains_key(at)).count();
            if uncached > 1 {
                let (place, from) = (self.place(at, uncached)?, data.len());
                data.resize(from + uncached * BLOCK, 0);
                self.disk.read(place, &mut data[from..])?;
                at += uncached;
            } else {
                let until = BLOCK.min(within + left);
                data.extend_from_slice(&self.read(at)?[within..until]);
                (at, within) = (at + 1, 0);
            }
        }
        Ok(())
    }

    /// Writes whole blocks that lie side by side. Many go to the disk at once; what the disk does not take stays in the
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

    /// Makes a block zeros.
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

    /// The block is free: what is cached of it need not be written.
    pub(crate) fn forget(&mut self, at: Address) {
        if let Some(slot) = self.index.remove(&at) {
            let slot = &mut self.slots[slot];
            (slot.at, slot.dirty, slot.used) = (None, false, false);
        }
    }

    /// The slot of a block, with its contents if they are wanted.
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

    /// The block of the disk where `count` blocks begin.
    fn place(&self, at: Address, count: usize) -> io::Result<u64> {
        let outside = || io::Error::new(io::ErrorKind::InvalidInput, format!("block {at} of {}", self.blocks));
        let end = at.checked_add(count).filter(|end| *end <= self.blocks);
        end.map(|_| self.first + at as u64).ok_or_else(outside)
    }

    /// A slot with nothing in it: a new one, or that of a clean block that was not used for long.
    fn vacate(&mut self) -> io::Result<usize> {
        if self.slots.len() < self.capacity {
            self.slots.push(Slot { at: None, data: Box::new([0; BLOCK]), dirty: false, used: false });
            return Ok(self.slots.len() - 1);
        }
        // Once round to forget who was used, once more to find a clean one; if there is none, all become clean.
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

    /// Writes everything that is dirty, in the order of the disk. A block that cannot be written stays dirty.
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

    /// Makes what was written back durable.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.unflushed {
            self.disk.flush()?;
            self.unflushed = false;
        }
        Ok(())
    }

    /// Reads past the cache, as an agent does. A dirty block of the cache is written to the disk first.
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

    /// Writes past the cache, which forgets what it has.
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
