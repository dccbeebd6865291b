//! Data: reading, writing, and where it all goes.

use crate::call::caller::Credentials;
use crate::call::system_call::Fd;
use crate::model::descriptors::Descriptor;
use crate::model::sharing::Shared;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::extents::{Extent, Run};
use crate::storage::inode::{INLINE, Kind};
use crate::storage::volume::errno;
use crate::units::{Address, BLOCK, Ino, LARGEST};
use crate::violation::Quirk;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ops::Range;

/// No call of Linux transfers more: MAX_RW_COUNT.
const TRANSFER_MAX: usize = 0x7fff_f000;

/// What O_DIRECT is aligned to: the logical block of a disk.
const SECTOR: u64 = 512;

impl State {
    pub(crate) fn read(
        &mut self,
        who: &Credentials,
        fd: Fd,
        offset: Option<i64>,
        len: usize,
    ) -> Result<Vec<u8>, Errno> {
        let descriptor = *self.descriptor(fd)?;
        if !descriptor.readable() {
            return Err(Errno::EBADF);
        }
        match self.inode(descriptor.ino).kind {
            Kind::Regular => (),
            Kind::Directory => return Err(Errno::EISDIR),
            _ => return Err(Errno::ESPIPE),
        }
        let at = offset.map_or(Ok(descriptor.position), |o| u64::try_from(o).map_err(|_| Errno::EINVAL))?;
        let len = len.min(TRANSFER_MAX);
        let data = self.guarded(who, descriptor.ino, descriptor.writable(), Op::Read, |fs| {
            aligned(&descriptor, at, len)?;
            let data = fs.read_at(descriptor.ino, at, len)?;
            if len > 0 {
                fs.accessed(descriptor.ino, descriptor.flags);
            }
            Ok(data)
        })?;
        if offset.is_none() {
            self.advance(fd, at + data.len() as u64);
        }
        Ok(data)
    }

    /// The bytes of [at, at + len) that are inside the size. Fails with ENOMEM.
    pub(crate) fn read_at(&mut self, ino: Ino, at: u64, len: usize) -> Result<Vec<u8>, Errno> {
        // Only the field, so that the store can be used beside it.
        let file = &self.volume.inodes[&ino];
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
        // What is missing of the map, or was not written, reads as zeros.
        for run in file.map.runs(at / BLOCK as u64..end.div_ceil(BLOCK as u64)).filter(|run| run.written) {
            let start = run.start * BLOCK as u64;
            let (from, to) = (start.max(at), (run.end() * BLOCK as u64).min(end));
            data.resize((from - at) as usize, 0);
            let (block, within) = ((from - start) as usize / BLOCK, (from - start) as usize % BLOCK);
            self.volume.store.read_run(run.address + block, within, (to - from) as usize, &mut data).map_err(errno)?;
        }
        data.resize((end - at) as usize, 0);
        Ok(data)
    }

    pub(crate) fn write(
        &mut self,
        who: &Credentials,
        fd: Fd,
        offset: Option<i64>,
        data: &[u8],
        append: bool,
    ) -> Result<usize, Errno> {
        let descriptor = *self.descriptor(fd)?;
        let append = append || descriptor.flags.contains(OFlag::O_APPEND);
        let file = self.inode(descriptor.ino);
        match file.kind {
            Kind::Regular => (),
            Kind::Directory => return Err(Errno::EBADF),
            _ => return Err(Errno::ESPIPE),
        }
        let asked = offset.map_or(Ok(descriptor.position), |o| u64::try_from(o).map_err(|_| Errno::EINVAL))?;
        let (size, sealed) = (file.size, file.sealed);
        let at = if append { size } else { asked };
        let op = Op::Write { offset: at, len: data.len() as u64, append };
        let inside = &data[..size.saturating_sub(at).min(data.len() as u64) as usize];
        if sealed && self.has(Quirk::ShortWrite) && !inside.is_empty() {
            return self.write_at(descriptor.ino, at, inside);
        }
        let count = self.guarded(who, descriptor.ino, descriptor.writable(), op, |fs| {
            aligned(&descriptor, at, data.len())?;
            fs.write_for(who, &descriptor, at, data)
        })?;
        if offset.is_none() && count > 0 {
            self.advance(fd, at + count as u64);
        }
        Ok(count)
    }

    /// Writes on behalf of somebody, through a descriptor. There is something to write: of 0 bytes the rules dispose.
    fn write_for(&mut self, who: &Credentials, descriptor: &Descriptor, at: u64, data: &[u8]) -> Result<usize, Errno> {
        let count = self.write_at(descriptor.ino, at, data)?;
        self.drop_privileges(who, descriptor.ino);
        if descriptor.synchronous() {
            self.volume.commit()?;
        }
        Ok(count)
    }

    /// pwritev2(2) with RWF_ATOMIC: one block, in place.
    pub(crate) fn write_atomic(&mut self, who: &Credentials, fd: Fd, offset: i64, data: &[u8]) -> Result<usize, Errno> {
        let descriptor = *self.descriptor(fd)?;
        let at = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        if data.len() != BLOCK || !at.is_multiple_of(BLOCK as u64) {
            return Err(Errno::EINVAL);
        }
        let op = Op::WriteAtomic { offset: at, len: data.len() as u64 };
        self.guarded(who, descriptor.ino, descriptor.writable(), op, |fs| {
            if fs.has(Quirk::MoveOnAtomicWrite) {
                fs.relocate(descriptor.ino);
            }
            fs.write_at(descriptor.ino, at, data)
        })
    }

    /// Writes all of `data` or, if there is not enough space, nothing.
    pub(crate) fn write_at(&mut self, ino: Ino, at: u64, data: &[u8]) -> Result<usize, Errno> {
        let end = at.checked_add(data.len() as u64).filter(|end| *end <= LARGEST).ok_or(Errno::EFBIG)?;
        if data.is_empty() {
            return Ok(0);
        }
        if self.write_inline(ino, at, data) {
            return Ok(data.len());
        }
        self.spill(ino)?;
        let touched = at / BLOCK as u64..end.div_ceil(BLOCK as u64);
        let (takes, grows) = self.needs(ino, touched.clone());
        let takes = if self.has(Quirk::SpaceForOverwrite) { touched.clone().count() } else { takes };
        let grows = if self.has(Quirk::QuotaForOverwrite) { touched.clone().count() } else { grows };
        self.room_for(ino, takes, grows)?;
        if self.inode(ino).sealed && self.has(Quirk::MoveOnOverwrite) {
            self.relocate(ino);
        }
        let (mut rest, mut block) = (data, touched.start);
        while !rest.is_empty() {
            let within = at.saturating_sub(block * BLOCK as u64) as usize;
            let whole = if within == 0 { rest.len() / BLOCK } else { 0 };
            let (blocks, len) = if whole > 1 {
                let count = self.write_blocks(ino, block, &rest[..whole * BLOCK])?;
                (count, count * BLOCK)
            } else {
                let len = (BLOCK - within).min(rest.len());
                let address = self.place(ino, block)?;
                self.volume.store.write(address, within, &rest[..len]).map_err(errno)?;
                (1, len)
            };
            let (bytes, later) = rest.split_at(len);
            if self.has(Quirk::PunchZeros) {
                let zeros = |bytes: &[u8]| bytes.len() == BLOCK && bytes.iter().all(|byte| *byte == 0);
                let punched = (block..).zip(bytes.chunks(BLOCK)).filter(|(_, bytes)| zeros(bytes));
                punched.for_each(|(block, _)| self.release_block(ino, block));
            }
            (rest, block) = (later, block + blocks as u64);
        }
        self.written(ino, end);
        Ok(data.len())
    }

    /// Writes whole blocks as far as they lie side by side on storage, and returns how many.
    fn write_blocks(&mut self, ino: Ino, block: u64, data: &[u8]) -> Result<usize, Errno> {
        let (address, count) = match self.own_stretch(ino, block, data.len() / BLOCK) {
            Some(there) => there,
            None => self.free_stretch(ino, block, data.len() / BLOCK)?,
        };
        if let Err(error) = self.volume.store.write_run(address, &data[..count * BLOCK]) {
            // Nothing refers to them yet, nor may it: who knows what is in them.
            if self.inode(ino).map.get(block).is_none_or(|extent| extent.address != address) {
                for at in address..address + count {
                    self.volume.store.forget(at);
                    self.volume.allocator.release(at, 1);
                }
            }
            return Err(errno(error));
        }
        let blocks = block..block + count as u64;
        let same = |run: Run| run.written && run.count == count as u64 && run.address == address;
        if !self.inode(ino).map.runs(blocks.clone()).next().is_some_and(same) {
            let old = self.inode_mut(ino).map.remove(blocks);
            let given_up = old.iter().flat_map(Run::addresses).filter(|at| !(address..address + count).contains(at));
            given_up.for_each(|at| self.volume.release(at));
            self.inode_mut(ino).map.join(Run { start: block, count: count as u64, address, written: true });
        }
        Ok(count)
    }

    /// Where a file can overwrite its blocks where they are, and how many of them.
    fn own_stretch(&self, ino: Ino, block: u64, most: usize) -> Option<(Address, usize)> {
        let run = self.inode(ino).map.runs(block..block + most as u64).next().filter(|run| run.start == block)?;
        let own = run.addresses().take_while(|at| self.volume.allocator.references(*at) == 1).count();
        (own > 0).then_some((run.address, own))
    }

    /// Free blocks side by side for blocks that cannot be overwritten where they are.
    fn free_stretch(&mut self, ino: Ino, block: u64, most: usize) -> Result<(Address, usize), Errno> {
        // Most callers have seen to it for the whole call.
        if self.volume.allocator.free() == 0 {
            self.volume.make_room(1)?;
        }
        let first = self.volume.allocator.allocate().ok_or(Errno::ENOSPC)?;
        for count in 1..most {
            let own = self.inode(ino).map.get(block + count as u64).is_some_and(|extent| self.overwritable(extent));
            match if own { None } else { self.volume.allocator.allocate() } {
                Some(next) if next == first + count => (),
                Some(elsewhere) => {
                    self.volume.allocator.release(elsewhere, 1);
                    return Ok((first, count));
                }
                None => return Ok((first, count)),
            }
        }
        Ok((first, most))
    }

    /// Size and times after a write that ended at `end`.
    fn written(&mut self, ino: Ino, end: u64) {
        let now = self.now();
        let keeps_times = self.has(Quirk::WriteKeepsTimes) && self.inode(ino).sealed;
        let file = self.inode_mut(ino);
        file.size = file.size.max(end);
        if !keeps_times {
            (file.mtime, file.ctime) = (now, now);
        }
    }

    /// Writes into the inode, if the file is small enough and has no storage of its own.
    fn write_inline(&mut self, ino: Ino, at: u64, data: &[u8]) -> bool {
        let end = at + data.len() as u64;
        let file = self.inode(ino);
        let placeless = file.inline.is_some() || (file.size == 0 && file.map.is_empty());
        if !placeless || end.max(file.size) > INLINE {
            return false;
        }
        let inline = self.inode_mut(ino).inline.get_or_insert_default();
        inline.resize(inline.len().max(end as usize), 0);
        inline[at as usize..end as usize].copy_from_slice(data);
        self.written(ino, end);
        true
    }

    /// Gives the data of a small file a place on storage.
    pub(crate) fn spill(&mut self, ino: Ino) -> Result<(), Errno> {
        let Some(data) = self.inode(ino).inline.clone() else { return Ok(()) };
        if !data.is_empty() {
            // While the inode has the data it is all the file has, in the eyes of a commit that is made for the space.
            self.room_for(ino, 1, 1)?;
            let address = self.place(ino, 0)?;
            self.volume.store.write(address, 0, &data).map_err(errno)?;
        }
        self.inode_mut(ino).inline = None;
        Ok(())
    }

    /// How many free blocks writing to these blocks takes, and by how many the file grows. Only what is of this file
    /// alone is overwritten where it is.
    fn needs(&self, ino: Ino, blocks: Range<u64>) -> (usize, usize) {
        let file = self.inode(ino);
        let (mut takes, mut grows) = (0, blocks.clone().count());
        for run in file.map.runs(blocks) {
            grows -= run.count as usize;
            takes += run.addresses().filter(|at| self.volume.allocator.references(*at) != 1).count();
        }
        takes += grows;
        (takes, grows)
    }

    /// A file can overwrite its block where it is: the block is of this file alone. One that another file has given up
    /// is still that file's, if the power goes now.
    fn overwritable(&self, extent: Extent) -> bool {
        self.volume.allocator.references(extent.address) == 1
    }

    /// A place of its own for a block of a file, with what it held.
    pub(crate) fn place(&mut self, ino: Ino, block: u64) -> Result<Address, Errno> {
        let old = self.inode(ino).map.get(block);
        let address = match old {
            Some(extent) if self.overwritable(extent) => {
                if extent.written {
                    return Ok(extent.address);
                }
                extent.address
            }
            _ => {
                // Most callers have seen to it for the whole call.
                if self.volume.allocator.free() == 0 {
                    self.volume.make_room(1)?;
                }
                self.volume.allocator.allocate().ok_or(Errno::ENOSPC)?
            }
        };
        match old.filter(|extent| extent.written) {
            Some(extent) => self.volume.store.copy(extent.address, address).map_err(errno)?,
            None => self.volume.store.zero(address).map_err(errno)?,
        }
        if let Some(extent) = old.filter(|extent| extent.address != address) {
            self.volume.release(extent.address);
        }
        self.inode_mut(ino).map.insert(block, Extent { address, written: true });
        Ok(address)
    }

    pub(crate) fn release_block(&mut self, ino: Ino, block: u64) {
        self.release_range(ino, block..block + 1);
    }

    pub(crate) fn release_range(&mut self, ino: Ino, blocks: Range<u64>) {
        let runs = self.inode_mut(ino).map.remove(blocks);
        self.volume.release_runs(&runs);
    }

    pub(crate) fn release_all(&mut self, ino: Ino) {
        self.release_range(ino, 0..u64::MAX);
    }

    pub(crate) fn advance(&mut self, fd: Fd, position: u64) {
        if let Some(descriptor) = self.descriptors.get_mut(fd) {
            descriptor.position = position;
        }
    }

    pub(crate) fn sync(&mut self, who: &Credentials, fd: Fd) -> Result<(), Errno> {
        let descriptor = *self.descriptor(fd)?;
        self.guarded(who, descriptor.ino, descriptor.writable(), Op::Sync, |fs| {
            if fs.has(Quirk::SyncNeedsSpace) && fs.volume.free() == 0 {
                return Err(Errno::ENOSPC);
            }
            if fs.has(Quirk::MoveOnSync) && fs.inode(descriptor.ino).sealed {
                fs.relocate(descriptor.ino);
            }
            fs.volume.commit()
        })
    }

    pub(crate) fn copy_range(
        &mut self,
        who: &Credentials,
        (from, from_offset): (Fd, i64),
        (to, to_offset): (Fd, i64),
        len: usize,
    ) -> Result<usize, Errno> {
        let (source, target) = (*self.descriptor(from)?, *self.descriptor(to)?);
        if !source.readable() {
            return Err(Errno::EBADF);
        }
        let from_offset = u64::try_from(from_offset).map_err(|_| Errno::EINVAL)?;
        let to_offset = u64::try_from(to_offset).map_err(|_| Errno::EINVAL)?;
        for ino in [source.ino, target.ino] {
            self.inode(ino).must_be_regular()?;
        }
        if target.flags.contains(OFlag::O_APPEND) {
            return Err(Errno::EBADF);
        }
        let len = len.min(TRANSFER_MAX);
        if source.ino == target.ino && from_offset.abs_diff(to_offset) < len as u64 {
            return Err(Errno::EINVAL);
        }
        let data = self.guarded(who, source.ino, source.writable(), Op::CopyFrom, |fs| {
            let data = fs.read_at(source.ino, from_offset, len)?;
            fs.accessed(source.ino, source.flags);
            Ok(data)
        })?;
        let op = Op::CopyInto { offset: to_offset, len: data.len() as u64 };
        let shares = |fs: &Self| {
            (fs.has(Quirk::ShareOnCopyInto) && fs.inode(target.ino).sealed)
                || (fs.has(Quirk::ShareOnCopyFrom) && fs.inode(source.ino).sealed)
        };
        self.guarded(who, target.ino, target.writable(), op, |fs| {
            if fs.has(Quirk::CopyInherits) && fs.inode(source.ino).sealed {
                fs.write_at(target.ino, to_offset, &data)?;
                fs.inode_mut(target.ino).sealed = true;
                return Ok(data.len());
            }
            if shares(fs) {
                let (source, target, len) = (source.ino, target.ino, data.len() as u64);
                fs.share(&Shared { source, from: from_offset, target, to: to_offset, len })?;
                return Ok(data.len());
            }
            fs.write_for(who, &target, to_offset, &data)
        })
    }
}

/// Transfers past the page cache begin and end with sectors.
fn aligned(descriptor: &Descriptor, at: u64, len: usize) -> Result<(), Errno> {
    let direct = descriptor.flags.contains(OFlag::O_DIRECT);
    if direct && !(at | len as u64).is_multiple_of(SECTOR) { Err(Errno::EINVAL) } else { Ok(()) }
}
