//! Data: reading, writing, and where it all goes.

use crate::call::{Caller, Fd, Whence};
use crate::durability::errno;
use crate::extents::{Extent, Run};
use crate::fs::State;
use crate::inode::{INLINE, Ino, Kind};
use crate::rules::Op;
use crate::store::{Address, BLOCK};
use crate::violation::Quirk;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ops::Range;

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
            fs.read_at(descriptor.ino, at, len)
        })?;
        if offset.is_none() {
            self.advance(fd, at + data.len() as u64);
        }
        Ok(data)
    }

    /// The bytes of [at, at + len) that are inside the size.
    pub(crate) fn read_at(&mut self, ino: Ino, at: u64, len: usize) -> Result<Vec<u8>, Errno> {
        // Only the field, so that the store can be used beside it.
        let file = &self.inodes[&ino];
        let end = at.saturating_add(len as u64).min(file.size);
        let mut data = Vec::new();
        let mut position = at;
        if let Some(inline) = &file.inline {
            return Ok(inline.get(at as usize..end as usize).unwrap_or_default().to_vec());
        }
        while position < end {
            let (block, within) = (position / BLOCK as u64, (position % BLOCK as u64) as usize);
            let count = (BLOCK - within).min((end - position) as usize);
            match file.map.get(block).filter(|extent| extent.written) {
                Some(extent) => {
                    let contents = self.store.read(extent.address).map_err(errno)?;
                    data.extend_from_slice(&contents[within..within + count]);
                }
                None => data.resize(data.len() + count, 0),
            }
            position += count as u64;
        }
        Ok(data)
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

    /// pwritev2(2) with RWF_ATOMIC: one block, in place.
    pub(crate) fn write_atomic(&mut self, caller: Caller, fd: Fd, offset: i64, data: &[u8]) -> Result<usize, Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        let at = u64::try_from(offset).map_err(|_| Errno::EINVAL)?;
        if data.len() != BLOCK || !at.is_multiple_of(BLOCK as u64) {
            return Err(Errno::EINVAL);
        }
        let op = Op::WriteAtomic { offset: at, len: data.len() as u64 };
        self.guarded(caller, descriptor.ino, descriptor.writable(), op, |fs| {
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
        let needed = touched.clone().filter(|block| self.overwritable(ino, *block).is_none()).count();
        let wanted = if self.has(Quirk::SpaceForOverwrite) { touched.clone().count() } else { needed };
        if wanted > self.free() {
            return Err(Errno::ENOSPC);
        }
        self.make_room(needed)?;
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
            self.store.write(address, within, bytes).map_err(errno)?;
            if self.has(Quirk::PunchZeros) && bytes.len() == BLOCK && bytes.iter().all(|byte| *byte == 0) {
                self.release_block(ino, block);
            }
        }
        self.written(ino, end);
        Ok(data.len())
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
        if end.max(file.size) > INLINE || !file.map.is_empty() || (file.inline.is_none() && file.size > 0) {
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
            self.make_room(1)?;
            let address = self.place(ino, 0)?;
            self.store.write(address, 0, &data).map_err(errno)?;
        }
        self.inode_mut(ino).inline = None;
        Ok(())
    }

    /// The block can be overwritten where it is: written, and of this file alone.
    fn overwritable(&self, ino: Ino, block: u64) -> Option<Address> {
        let extent = self.inode(ino).map.get(block)?;
        // A block that another file has given up is still that file's, if the power goes now.
        (self.allocator.references(extent.address) == 1).then_some(extent.address)
    }

    /// A place of its own for a block of a file, with what it held.
    pub(crate) fn place(&mut self, ino: Ino, block: u64) -> Result<Address, Errno> {
        let old = self.inode(ino).map.get(block);
        let address = match self.overwritable(ino, block) {
            Some(address) => address,
            None => {
                // Most callers have seen to it for the whole call.
                if self.allocator.free() == 0 {
                    self.make_room(1)?;
                }
                self.allocator.allocate().ok_or(Errno::ENOSPC)?
            }
        };
        match old.filter(|extent| extent.written) {
            Some(extent) if extent.address == address => return Ok(address),
            Some(extent) => self.store.copy(extent.address, address).map_err(errno)?,
            None => self.store.zero(address).map_err(errno)?,
        }
        if let Some(extent) = old.filter(|extent| extent.address != address) {
            self.release(extent.address);
        }
        self.inode_mut(ino).map.insert(block, Extent { address, written: true });
        Ok(address)
    }

    pub(crate) fn release_block(&mut self, ino: Ino, block: u64) {
        self.release_range(ino, block..block + 1);
    }

    fn release_range(&mut self, ino: Ino, blocks: Range<u64>) {
        let runs = self.inode_mut(ino).map.remove(blocks);
        runs.iter().flat_map(Run::addresses).for_each(|at| self.release(at));
    }

    pub(crate) fn release_all(&mut self, ino: Ino) {
        self.release_range(ino, 0..u64::MAX);
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
                let hole = file.map.hole(from..file.blocks());
                Ok(hole.map_or(size, |block| (block * BLOCK as u64).max(offset as u64)) as i64)
            })?,
        };
        self.advance(fd, u64::try_from(position).map_err(|_| Errno::EINVAL)?);
        Ok(position)
    }

    pub(crate) fn sync(&mut self, caller: Caller, fd: Fd) -> Result<(), Errno> {
        let descriptor = self.descriptor(fd)?.clone();
        self.guarded(caller, descriptor.ino, descriptor.writable(), Op::Sync, |fs| {
            if fs.has(Quirk::SyncNeedsSpace) && fs.free() == 0 {
                return Err(Errno::ENOSPC);
            }
            if fs.has(Quirk::MoveOnSync) && fs.inode(descriptor.ino).sealed {
                fs.relocate(descriptor.ino);
            }
            fs.commit()
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
        self.spill(ino)?;
        if size < old {
            self.zero_within_block(ino, size, size.next_multiple_of(BLOCK as u64))?;
            let beyond = size.div_ceil(BLOCK as u64);
            self.release_range(ino, beyond..u64::MAX);
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
        if from < to && self.inode(ino).map.get(block).is_some_and(|extent| extent.written) {
            let address = self.place(ino, block)?;
            self.store.write(address, (from - start) as usize, &vec![0; (to - from) as usize]).map_err(errno)?;
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
            fs.read_at(source.ino, from_offset, len)
        })?;
        let op = Op::CopyInto { offset: to_offset, len: data.len() as u64 };
        let shares = |fs: &Self| {
            (fs.has(Quirk::ShareOnCopyInto) && fs.inode(target.ino).sealed)
                || (fs.has(Quirk::ShareOnCopyFrom) && fs.inode(source.ino).sealed)
        };
        self.guarded(caller, target.ino, target.writable(), op, |fs| {
            if fs.has(Quirk::CopyInherits) && fs.inode(source.ino).sealed {
                fs.write_at(target.ino, to_offset, &data)?;
                fs.inode_mut(target.ino).sealed = true;
                return Ok(data.len());
            }
            if shares(fs) {
                let count = data.len().div_ceil(BLOCK) as u64;
                fs.share(source.ino, from_offset / BLOCK as u64, target.ino, to_offset / BLOCK as u64, count);
                return Ok(data.len());
            }
            fs.write_at(target.ino, to_offset, &data)
        })
    }
}
