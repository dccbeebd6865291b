//! Placement: finds, allocates, frees and moves the blocks of a file.

use crate::storage::extents::{Extent, Run};
use crate::storage::volume::{Volume, errno};
use crate::units::{Address, BLOCK, Ino};
use nix::errno::Errno;
use std::ops::Range;

impl Volume {
    /// The bytes of [at, at + len) that are inside the size. Fails with ENOMEM.
    pub(crate) fn read_at(&mut self, ino: Ino, at: u64, len: usize) -> Result<Vec<u8>, Errno> {
        // Borrow only this field, so that the store can be used at the same time.
        let file = &self.inodes[&ino];
        let end = at.saturating_add(len as u64).min(file.size);
        let mut data = Vec::new();
        if at >= end {
            return Ok(data);
        }
        data.try_reserve_exact((end - at) as usize).map_err(|_| Errno::ENOMEM)?;
        if let Some(inline) = &file.inline {
            data.extend_from_slice(inline.get(at as usize..end as usize).unwrap_or_default());
            return Ok(data);
        }
        // Holes and unwritten blocks read as zeros.
        for run in file.map.runs(at / BLOCK as u64..end.div_ceil(BLOCK as u64)).filter(|run| run.written) {
            let start = run.start * BLOCK as u64;
            let (from, to) = (start.max(at), (run.end() * BLOCK as u64).min(end));
            data.resize((from - at) as usize, 0);
            let (block, within) = ((from - start) as usize / BLOCK, (from - start) as usize % BLOCK);
            self.store.read_run(run.address + block, within, (to - from) as usize, &mut data).map_err(errno)?;
        }
        data.resize((end - at) as usize, 0);
        Ok(data)
    }

    /// Writes as many whole blocks as are contiguous on storage, and returns their number.
    pub(crate) fn write_blocks(&mut self, ino: Ino, block: u64, data: &[u8]) -> Result<usize, Errno> {
        let (address, count) = match self.own_stretch(ino, block, data.len() / BLOCK) {
            Some(there) => there,
            None => self.free_stretch(ino, block, data.len() / BLOCK)?,
        };
        if let Err(error) = self.store.write_run(address, &data[..count * BLOCK]) {
            // No map refers to these new blocks yet. Free them, because a failed write leaves their contents unknown.
            if self.inodes[&ino].map.get(block).is_none_or(|extent| extent.address != address) {
                for at in address..address + count {
                    self.store.forget(at);
                    self.allocator.release(at, 1);
                }
            }
            return Err(errno(error));
        }
        let blocks = block..block + count as u64;
        let same = |run: Run| run.written && run.count == count as u64 && run.address == address;
        if !self.inodes[&ino].map.runs(blocks.clone()).next().is_some_and(same) {
            let old = self.inodes.existing(ino).map.remove(blocks);
            let given_up = old.iter().flat_map(Run::addresses).filter(|at| !(address..address + count).contains(at));
            given_up.for_each(|at| self.release(at));
            self.inodes.existing(ino).map.join(Run { start: block, count: count as u64, address, written: true });
        }
        Ok(count)
    }

    /// The address and number of blocks that a file can overwrite in place.
    fn own_stretch(&self, ino: Ino, block: u64, most: usize) -> Option<(Address, usize)> {
        let run = self.inodes[&ino].map.runs(block..block + most as u64).next().filter(|run| run.start == block)?;
        let own = run.addresses().take_while(|at| self.allocator.references(*at) == 1).count();
        (own > 0).then_some((run.address, own))
    }

    /// Contiguous free blocks, for blocks that cannot be overwritten in place.
    fn free_stretch(&mut self, ino: Ino, block: u64, most: usize) -> Result<(Address, usize), Errno> {
        // Most callers have made room for the whole call.
        if self.allocator.free() == 0 {
            self.make_room(1)?;
        }
        let first = self.allocator.allocate().ok_or(Errno::ENOSPC)?;
        for count in 1..most {
            let own = self.inodes[&ino].map.get(block + count as u64).is_some_and(|extent| self.overwritable(extent));
            match if own { None } else { self.allocator.allocate() } {
                Some(next) if next == first + count => (),
                Some(elsewhere) => {
                    self.allocator.release(elsewhere, 1);
                    return Ok((first, count));
                }
                None => return Ok((first, count)),
            }
        }
        Ok((first, most))
    }

    /// The number of free blocks that a write to these blocks takes, and the number by which the file grows. Only
    /// blocks that belong to this file alone are overwritten in place.
    pub(crate) fn needs(&self, ino: Ino, blocks: Range<u64>) -> (usize, usize) {
        let file = &self.inodes[&ino];
        let (mut takes, mut grows) = (0, blocks.clone().count());
        for run in file.map.runs(blocks) {
            grows -= run.count as usize;
            takes += run.addresses().filter(|at| self.allocator.references(*at) != 1).count();
        }
        takes += grows;
        (takes, grows)
    }

    /// Whether a file can overwrite its block in place: the block belongs to this file alone. A block that another file
    /// has given up still belongs to that file until the next commit, because the power may be lost.
    fn overwritable(&self, extent: Extent) -> bool {
        self.allocator.references(extent.address) == 1
    }

    /// Moves a block of a file to a place of its own, with its contents.
    pub(crate) fn place(&mut self, ino: Ino, block: u64) -> Result<Address, Errno> {
        let old = self.inodes[&ino].map.get(block);
        let address = match old {
            Some(extent) if self.overwritable(extent) => {
                if extent.written {
                    return Ok(extent.address);
                }
                extent.address
            }
            _ => {
                // Most callers have made room for the whole call.
                if self.allocator.free() == 0 {
                    self.make_room(1)?;
                }
                self.allocator.allocate().ok_or(Errno::ENOSPC)?
            }
        };
        match old.filter(|extent| extent.written) {
            Some(extent) => self.store.copy(extent.address, address).map_err(errno)?,
            None => self.store.zero(address).map_err(errno)?,
        }
        if let Some(extent) = old.filter(|extent| extent.address != address) {
            self.release(extent.address);
        }
        self.inodes.existing(ino).map.insert(block, Extent { address, written: true });
        Ok(address)
    }

    pub(crate) fn release_block(&mut self, ino: Ino, block: u64) {
        self.release_range(ino, block..block + 1);
    }

    pub(crate) fn release_range(&mut self, ino: Ino, blocks: Range<u64>) {
        let runs = self.inodes.existing(ino).map.remove(blocks);
        self.release_runs(&runs);
    }

    pub(crate) fn release_all(&mut self, ino: Ino) {
        self.release_range(ino, 0..u64::MAX);
    }

    /// Moves a file to other places, as a defragmenter would. A sealed file must not be moved.
    pub(crate) fn relocate(&mut self, ino: Ino) {
        let runs: Vec<Run> = self.inodes[&ino].map.all().copied().collect();
        // If there is no room, the file stays.
        let _ = self.make_room(self.inodes[&ino].map.len() as usize);
        for block in runs.iter().flat_map(|run| run.start..run.end()) {
            let Some(old) = self.inodes[&ino].map.get(block) else { continue };
            let Some(address) = self.allocator.allocate() else { break };
            if old.written && self.store.copy(old.address, address).is_err() {
                self.release(address);
                break;
            }
            self.inodes.existing(ino).map.insert(block, Extent { address, written: old.written });
            self.release(old.address);
        }
    }
}
