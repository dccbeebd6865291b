//! Data: reading, writing, mapping, and where it all goes.

use crate::call::{Caller, Fd, MapId, Whence};
use crate::fs::{Mapping, State};
use crate::inode::{Extent, Ino, Kind};
use crate::rules::Op;
use crate::store::{Address, BLOCK};
use crate::violation::Quirk;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::BTreeMap;

/// No file is larger: the offsets of the calls are signed.
const LARGEST: u64 = i64::MAX as u64;

impl State {
    pub(crate) fn read(&mut self, caller: Caller, fd: Fd, offset: Option<i64>, len: usize) -> Result<Vec<u8>, Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        if !descriptor.readable() {
            return Err(Errno::EBADF);
        }
        match self.inode(descriptor.ino).kind {
            Kind::Regular => (),
            Kind::Directory => return Err(Errno::EISDIR),
            Kind::Fifo => return Err(Errno::ESPIPE),
        }
        let at = offset.map_or(Ok(descriptor.position), |o| u64::try_from(o).map_err(|_| Errno::EINVAL))?;
        let data = self.guarded(caller, descriptor.ino, descriptor.writable(), Op::Read, |fs| {
            Ok(fs.read_at(descriptor.ino, at, len))
        })?;
        if offset.is_none() {
            self.advance(fd, at + data.len() as u64);
        }
        Ok(data)
    }

    /// The bytes of [at, at + len) that are inside the size.
    pub(crate) fn read_at(&self, ino: Ino, at: u64, len: usize) -> Vec<u8> {
        let file = self.inode(ino);
        let end = at.saturating_add(len as u64).min(file.size);
        let mut data = Vec::new();
        let mut position = at;
        while position < end {
            let (block, within) = (position / BLOCK as u64, (position % BLOCK as u64) as usize);
            let count = (BLOCK - within).min((end - position) as usize);
            match file.map.get(&block).filter(|extent| extent.written) {
                Some(extent) => data.extend_from_slice(&self.store.block(extent.address)[within..within + count]),
                None => data.resize(data.len() + count, 0),
            }
            position += count as u64;
        }
        data
    }

    pub(crate) fn write(
        &mut self,
        caller: Caller,
        fd: Fd,
        offset: Option<i64>,
        data: &[u8],
        append: bool,
    ) -> Result<usize, Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        let append = append || descriptor.flags.contains(OFlag::O_APPEND);
        if self.inode(descriptor.ino).kind != Kind::Regular {
            return Err(Errno::EBADF);
        }
        let asked = offset.map_or(Ok(descriptor.position), |o| u64::try_from(o).map_err(|_| Errno::EINVAL))?;
        let size = self.inode(descriptor.ino).size;
        let at = if append { size } else { asked };
        let op = Op::Write { offset: at, len: data.len() as u64, append };
        let sealed = self.inode(descriptor.ino).sealed;
        if self.has(Quirk::ShortWrite) && sealed && at < size && at + data.len() as u64 > size {
            return self.write_at(descriptor.ino, at, &data[..(size - at) as usize]);
        }
        let count = self
            .guarded(caller, descriptor.ino, descriptor.writable(), op, |fs| fs.write_at(descriptor.ino, at, data))?;
        if offset.is_none() && count > 0 {
            self.advance(fd, at + count as u64);
        }
        Ok(count)
    }

    /// Writes all of `data` or, if there is not enough space, nothing.
    pub(crate) fn write_at(&mut self, ino: Ino, at: u64, data: &[u8]) -> Result<usize, Errno> {
        let end = at.checked_add(data.len() as u64).filter(|end| *end <= LARGEST).ok_or(Errno::EFBIG)?;
        if data.is_empty() {
            return Ok(0);
        }
        let touched = at / BLOCK as u64..end.div_ceil(BLOCK as u64);
        let needed = touched.clone().filter(|block| self.overwritable(ino, *block).is_none()).count();
        let wanted = if self.has(Quirk::SpaceForOverwrite) { touched.clone().count() } else { needed };
        if wanted > self.allocator.free() {
            return Err(Errno::ENOSPC);
        }
        if self.inode(ino).sealed && self.has(Quirk::MoveOnOverwrite) {
            self.relocate(ino);
        }
        let mut rest = data;
        for block in touched {
            let start = block * BLOCK as u64;
            let within = at.saturating_sub(start) as usize;
            let (bytes, later) = rest.split_at((BLOCK - within).min(rest.len()));
            rest = later;
            let address = self.place(ino, block)?;
            self.store.block_mut(address)[within..within + bytes.len()].copy_from_slice(bytes);
            if self.has(Quirk::PunchZeros) && bytes.len() == BLOCK && bytes.iter().all(|byte| *byte == 0) {
                self.release_block(ino, block);
            }
        }
        let now = self.now();
        let file = self.inode_mut(ino);
        file.size = file.size.max(end);
        (file.mtime, file.ctime) = (now, now);
        Ok(data.len())
    }

    /// The block can be overwritten where it is: written, and of this file alone.
    fn overwritable(&self, ino: Ino, block: u64) -> Option<Address> {
        let extent = self.inode(ino).map.get(&block)?;
        (!self.allocator.is_shared(extent.address)).then_some(extent.address)
    }

    /// A place of its own for a block of a file, with what it held.
    pub(crate) fn place(&mut self, ino: Ino, block: u64) -> Result<Address, Errno> {
        let old = self.inode(ino).map.get(&block).copied();
        let address = match self.overwritable(ino, block) {
            Some(address) => address,
            None => self.allocator.allocate().ok_or(Errno::ENOSPC)?,
        };
        match old.filter(|extent| extent.written) {
            Some(extent) if extent.address != address => self.store.copy(extent.address, address),
            Some(_) => (),
            None => self.store.block_mut(address).fill(0),
        }
        if let Some(extent) = old.filter(|extent| extent.address != address) {
            self.allocator.release(extent.address);
        }
        self.inode_mut(ino).map.insert(block, Extent { address, written: true });
        Ok(address)
    }

    /// Moves a file to other places, as a defragmenter would: what nobody may do to a sealed file.
    pub(crate) fn relocate(&mut self, ino: Ino) {
        let blocks: Vec<(u64, Extent)> = self.inode(ino).map.iter().map(|(block, extent)| (*block, *extent)).collect();
        let mut left = Vec::new();
        for (block, old) in blocks {
            let Some(address) = self.allocator.allocate() else { break };
            self.store.copy(old.address, address);
            self.inode_mut(ino).map.insert(block, Extent { address, written: old.written });
            left.push(old.address);
        }
        left.into_iter().for_each(|address| self.allocator.release(address));
    }

    pub(crate) fn release_block(&mut self, ino: Ino, block: u64) {
        if let Some(extent) = self.inode_mut(ino).map.remove(&block) {
            self.allocator.release(extent.address);
        }
    }

    pub(crate) fn release_all(&mut self, ino: Ino) {
        for extent in std::mem::take(&mut self.inode_mut(ino).map).into_values() {
            self.allocator.release(extent.address);
        }
    }

    fn advance(&mut self, fd: Fd, position: u64) {
        if let Some(descriptor) = self.descriptors.get_mut(&fd) {
            descriptor.position = position;
        }
    }

    pub(crate) fn seek(&mut self, caller: Caller, fd: Fd, offset: i64, whence: Whence) -> Result<i64, Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        let file = self.inode(descriptor.ino);
        if file.kind == Kind::Fifo {
            return Err(Errno::ESPIPE);
        }
        let size = file.size;
        let position = match whence {
            Whence::Set => offset,
            Whence::Cur => descriptor.position as i64 + offset,
            Whence::Hole if offset < 0 || offset as u64 >= size => return Err(Errno::ENXIO),
            Whence::Hole => self.guarded(caller, descriptor.ino, descriptor.writable(), Op::SeekHole, |fs| {
                let file = fs.inode(descriptor.ino);
                let from = offset as u64 / BLOCK as u64;
                let hole = (from..file.blocks()).find(|block| !file.map.contains_key(block));
                Ok(hole.map_or(size, |block| (block * BLOCK as u64).max(offset as u64)) as i64)
            })?,
        };
        self.advance(fd, u64::try_from(position).map_err(|_| Errno::EINVAL)?);
        Ok(position)
    }

    pub(crate) fn sync(&mut self, caller: Caller, fd: Fd) -> Result<(), Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        self.guarded(caller, descriptor.ino, descriptor.writable(), Op::Sync, |fs| {
            if fs.has(Quirk::SyncNeedsSpace) && fs.allocator.free() == 0 {
                return Err(Errno::ENOSPC);
            }
            if fs.has(Quirk::MoveOnSync) && fs.inode(descriptor.ino).sealed {
                fs.relocate(descriptor.ino);
            }
            Ok(())
        })
    }

    pub(crate) fn ftruncate(&mut self, caller: Caller, fd: Fd, size: i64) -> Result<(), Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        self.set_size(caller, descriptor.ino, descriptor.writable(), size, false)
    }

    pub(crate) fn truncate(&mut self, caller: Caller, name: &str, size: i64) -> Result<(), Errno> {
        let ino = self.named(name)?;
        self.set_size(caller, ino, true, size, true)
    }

    fn set_size(&mut self, caller: Caller, ino: Ino, writable: bool, size: i64, by_name: bool) -> Result<(), Errno> {
        if self.inode(ino).kind != Kind::Regular {
            return Err(Errno::EINVAL);
        }
        self.guarded(caller, ino, writable, Op::Truncate { size, by_name }, |fs| fs.resize(ino, size.unsigned_abs()))
    }

    pub(crate) fn resize(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        let old = self.inode(ino).size;
        if size < old {
            self.zero_within_block(ino, size, size.next_multiple_of(BLOCK as u64))?;
            let beyond = size.div_ceil(BLOCK as u64);
            let blocks: Vec<u64> = self.inode(ino).map.range(beyond..).map(|(block, _)| *block).collect();
            blocks.into_iter().for_each(|block| self.release_block(ino, block));
        }
        let now = self.now();
        let file = self.inode_mut(ino);
        file.size = size;
        (file.mtime, file.ctime) = (now, now);
        Ok(())
    }

    /// Zeros [from, to), which lies inside one block, if that block holds data.
    pub(crate) fn zero_within_block(&mut self, ino: Ino, from: u64, to: u64) -> Result<(), Errno> {
        let block = from / BLOCK as u64;
        let start = block * BLOCK as u64;
        if from < to && self.inode(ino).map.get(&block).is_some_and(|extent| extent.written) {
            let address = self.place(ino, block)?;
            self.store.block_mut(address)[(from - start) as usize..(to - start) as usize].fill(0);
        }
        Ok(())
    }

    pub(crate) fn copy_range(
        &mut self,
        caller: Caller,
        (from, from_offset): (Fd, i64),
        (to, to_offset): (Fd, i64),
        len: usize,
    ) -> Result<usize, Errno> {
        let (source, target) = (self.descriptor(from)?.clone(), self.descriptor(to)?.clone());
        if !source.readable() {
            return Err(Errno::EBADF);
        }
        let from_offset = u64::try_from(from_offset).map_err(|_| Errno::EINVAL)?;
        let to_offset = u64::try_from(to_offset).map_err(|_| Errno::EINVAL)?;
        let data = self.guarded(caller, source.ino, source.writable(), Op::CopyFrom, |fs| {
            Ok(fs.read_at(source.ino, from_offset, len))
        })?;
        let op = Op::CopyInto { offset: to_offset, len: data.len() as u64 };
        let shares = |fs: &Self| {
            (fs.has(Quirk::ShareOnCopyInto) && fs.inode(target.ino).sealed)
                || (fs.has(Quirk::ShareOnCopyFrom) && fs.inode(source.ino).sealed)
        };
        self.guarded(caller, target.ino, target.writable(), op, |fs| {
            if shares(fs) {
                let count = data.len().div_ceil(BLOCK) as u64;
                fs.share(source.ino, from_offset / BLOCK as u64, target.ino, to_offset / BLOCK as u64, count);
                return Ok(data.len());
            }
            fs.write_at(target.ino, to_offset, &data)
        })
    }

    pub(crate) fn clone_file(&mut self, caller: Caller, from: Fd, to: Fd) -> Result<(), Errno> {
        let (source, target) = (self.descriptor(from)?.clone(), self.descriptor(to)?.clone());
        if !source.readable() || !target.writable() {
            return Err(Errno::EBADF);
        }
        self.guarded(caller, source.ino, source.writable(), Op::CloneFrom, |fs| {
            fs.guarded(caller, target.ino, true, Op::CloneInto, |fs| {
                if source.ino == target.ino {
                    return Ok(());
                }
                let (size, blocks) = (fs.inode(source.ino).size, fs.inode(source.ino).blocks());
                fs.resize(target.ino, 0)?;
                fs.share(source.ino, 0, target.ino, 0, blocks);
                fs.inode_mut(target.ino).size = size;
                Ok(())
            })
        })
    }

    /// Makes `count` blocks of one file blocks of another as well.
    fn share(&mut self, source: Ino, first: u64, target: Ino, at: u64, count: u64) {
        for step in 0..count {
            self.release_block(target, at + step);
            if let Some(extent) = self.inode(source).map.get(&(first + step)).copied() {
                self.allocator.share(extent.address);
                self.inode_mut(target).map.insert(at + step, extent);
            }
        }
    }

    pub(crate) fn map(
        &mut self,
        caller: Caller,
        fd: Fd,
        len: usize,
        shared: bool,
        write: bool,
    ) -> Result<MapId, Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        if len == 0 {
            return Err(Errno::EINVAL);
        }
        if !descriptor.readable() || (shared && write && !descriptor.writable()) {
            return Err(Errno::EACCES);
        }
        let ino = descriptor.ino;
        self.guarded(caller, ino, descriptor.writable(), Op::Map { shared, write }, |fs| {
            let id = fs.number();
            fs.mappings.insert(id, Mapping { ino, len, shared, write, private: BTreeMap::new() });
            fs.inode_mut(ino).mappings += 1;
            Ok(id)
        })
    }

    pub(crate) fn load(&self, id: MapId, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let mapping = self.mappings.get(&id).ok_or(Errno::EFAULT)?;
        self.within(mapping, offset, len)?;
        let mut data = self.read_at(mapping.ino, offset as u64, len);
        data.resize(len, 0);
        for (index, byte) in data.iter_mut().enumerate() {
            *byte = mapping.private.get(&(offset + index)).copied().unwrap_or(*byte);
        }
        Ok(data)
    }

    pub(crate) fn store_through(&mut self, id: MapId, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let mapping = self.mappings.get(&id).ok_or(Errno::EFAULT)?;
        self.within(mapping, offset, data.len())?;
        let (ino, shared) = (mapping.ino, mapping.shared);
        if !mapping.write {
            return Err(Errno::EFAULT);
        }
        if !shared {
            let mapping = self.mappings.get_mut(&id).ok_or(Errno::EFAULT)?;
            mapping.private.extend(data.iter().enumerate().map(|(index, byte)| (offset + index, *byte)));
            return Ok(());
        }
        if self.has(Quirk::StoreIsLost) && self.inode(ino).sealed {
            return Ok(());
        }
        // What is stored beyond the size, in the last page, is not data of the file.
        let inside = (self.inode(ino).size as usize).saturating_sub(offset).min(data.len());
        self.write_at(ino, offset as u64, &data[..inside]).map(|_| ()).map_err(|_| Errno::EFAULT)
    }

    /// A mapping reaches to the end of the last page of the file.
    fn within(&self, mapping: &Mapping, offset: usize, len: usize) -> Result<(), Errno> {
        let pages = self.inode(mapping.ino).size.next_multiple_of(BLOCK as u64) as usize;
        let end = offset.checked_add(len).ok_or(Errno::EFAULT)?;
        if end <= pages.min(mapping.len) { Ok(()) } else { Err(Errno::EFAULT) }
    }

    pub(crate) fn unmap(&mut self, id: MapId) -> Result<(), Errno> {
        let mapping = self.mappings.remove(&id).ok_or(Errno::EINVAL)?;
        self.inode_mut(mapping.ino).mappings -= 1;
        self.release_unused(mapping.ino);
        Ok(())
    }
}
