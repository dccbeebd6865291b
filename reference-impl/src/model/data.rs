//! Data: reading and writing.

use crate::call::caller::Credentials;
use crate::call::route::Route;
use crate::call::system_call::Fd;
use crate::model::descriptors::Descriptor;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::{INLINE, Kind};
use crate::storage::volume::errno;
use crate::units::{BLOCK, Ino, LARGEST};
use crate::violation::Quirk;
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The maximum number of bytes that a call of Linux transfers: MAX_RW_COUNT.
pub(crate) const TRANSFER_MAX: usize = 0x7fff_f000;

/// The alignment for O_DIRECT: the logical block of a disk.
const SECTOR: u64 = 512;

/// The manner of a write, beside its descriptor.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// RWF_APPEND, or RWF_NOAPPEND.
    pub(crate) append: Option<bool>,
    /// RLIMIT_FSIZE.
    pub(crate) limit: Option<u64>,
}

impl Manner {
    /// The part of the data that the limit lets through.
    fn cut(self, at: u64, data: &[u8]) -> Result<&[u8], Errno> {
        let room =
            self.limit.map_or(Ok(u64::MAX), |limit| limit.checked_sub(at).filter(|n| *n > 0).ok_or(Errno::EFBIG));
        room.map(|room| &data[..room.min(data.len() as u64) as usize])
    }
}

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
            let data = fs.volume.read_at(descriptor.ino, at, len)?;
            if len > 0 {
                fs.accessed(descriptor.ino, descriptor.flags);
            }
            Ok(data)
        })?;
        if offset.is_none() {
            self.descriptors.advance(fd, at + data.len() as u64);
        }
        Ok(data)
    }

    pub(crate) fn write(
        &mut self,
        who: &Credentials,
        fd: Fd,
        offset: Option<i64>,
        mut data: &[u8],
        manner: Manner,
    ) -> Result<usize, Errno> {
        let descriptor = *self.descriptor(fd)?;
        let file = self.inode(descriptor.ino);
        let asked = manner.append.filter(|append| *append || !(file.sealed && self.has(Quirk::NoAppendIgnored)));
        let append = asked.unwrap_or(descriptor.flags.contains(OFlag::O_APPEND));
        match file.kind {
            Kind::Regular => (),
            Kind::Directory => return Err(Errno::EBADF),
            _ => return Err(Errno::ESPIPE),
        }
        let asked = offset.map_or(Ok(descriptor.position), |o| u64::try_from(o).map_err(|_| Errno::EINVAL))?;
        let (size, sealed) = (file.size, file.sealed);
        let at = if append { size } else { asked };
        if sealed && manner.limit.is_some() && self.has(Quirk::LimitFirst) {
            data = manner.cut(at, data)?;
        }
        let op = match self.route {
            // Data in another form need another place.
            Some(Route::BtrfsEncoded) => Op::Other,
            _ => Op::Write { offset: at, len: data.len() as u64, append },
        };
        let inside = &data[..size.saturating_sub(at).min(data.len() as u64) as usize];
        let crosses = !inside.is_empty() && inside.len() < data.len();
        if sealed && crosses && self.has(Quirk::ShortWrite) {
            return self.write_at(descriptor.ino, at, inside);
        }
        let count = self.guarded(who, descriptor.ino, descriptor.writable(), op, |fs| {
            aligned(&descriptor, at, data.len())?;
            fs.write_for(who, &descriptor, at, manner.cut(at, data)?)
        })?;
        if offset.is_none() && count > 0 {
            self.descriptors.advance(fd, at + count as u64);
        }
        Ok(count)
    }

    /// Writes for a caller through a descriptor. `data` is not empty: the rules answer a write of 0 bytes.
    pub(crate) fn write_for(
        &mut self,
        who: &Credentials,
        descriptor: &Descriptor,
        at: u64,
        data: &[u8],
    ) -> Result<usize, Errno> {
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
                fs.volume.relocate(descriptor.ino);
            }
            fs.write_at(descriptor.ino, at, data)
        })
    }

    /// The largest atomic write: the only one that there is, unless a violation tells of more.
    pub(crate) fn atomic_max(&self, ino: Ino) -> usize {
        if self.inode(ino).sealed && self.has(Quirk::AtomicSizeLarger) { 4 * BLOCK } else { BLOCK }
    }

    /// Writes all of `data`, or nothing if there is not enough space.
    pub(crate) fn write_at(&mut self, ino: Ino, at: u64, data: &[u8]) -> Result<usize, Errno> {
        let end = at.checked_add(data.len() as u64).filter(|end| *end <= LARGEST).ok_or(Errno::EFBIG)?;
        if data.is_empty() {
            return Ok(0);
        }
        if self.write_inline(ino, at, data) {
            return Ok(data.len());
        }
        self.spill(ino)?;
        if self.moves && (!self.inode(ino).sealed || self.has(Quirk::OptionsMove)) {
            self.volume.relocate(ino);
        }
        let touched = at / BLOCK as u64..end.div_ceil(BLOCK as u64);
        let (takes, grows) = self.volume.needs(ino, touched.clone());
        let all = touched.clone().count();
        let takes = if all > self.volume.free() && self.has(Quirk::SpaceForOverwrite) { all } else { takes };
        let grows = if !self.quotas.is_empty() && self.has(Quirk::QuotaForOverwrite) { all } else { grows };
        self.room_for(ino, takes, grows)?;
        let (sealed, shares) = (self.inode(ino).sealed, self.inode(ino).shares);
        if sealed && (self.has(Quirk::MoveOnOverwrite) || (shares && self.has(Quirk::MoveOnceShared))) {
            self.volume.relocate(ino);
        }
        let (mut rest, mut block) = (data, touched.start);
        while !rest.is_empty() {
            let within = at.saturating_sub(block * BLOCK as u64) as usize;
            let whole = if within == 0 { rest.len() / BLOCK } else { 0 };
            let (blocks, len) = if whole > 1 {
                let count = self.volume.write_blocks(ino, block, &rest[..whole * BLOCK])?;
                (count, count * BLOCK)
            } else {
                let len = (BLOCK - within).min(rest.len());
                let address = self.volume.place(ino, block)?;
                self.volume.store.write(address, within, &rest[..len]).map_err(errno)?;
                (1, len)
            };
            let (bytes, later) = rest.split_at(len);
            if self.misbehaviour.is(Quirk::PunchZeros) {
                let zeros = |bytes: &[u8]| bytes.len() == BLOCK && bytes.iter().all(|byte| *byte == 0);
                let punched =
                    (block..).zip(bytes.chunks(BLOCK)).filter(|(_, bytes)| zeros(bytes) && self.has(Quirk::PunchZeros));
                let punched: Vec<u64> = punched.map(|(block, _)| block).collect();
                punched.into_iter().for_each(|block| self.volume.release_block(ino, block));
            }
            (rest, block) = (later, block + blocks as u64);
        }
        self.written(ino, end);
        Ok(data.len())
    }

    /// Updates size and times after a write that ended at `end`.
    fn written(&mut self, ino: Ino, end: u64) {
        let now = self.now();
        let keeps_times = self.inode(ino).sealed && self.has(Quirk::WriteKeepsTimes);
        let file = self.inode_mut(ino);
        file.modified += 1;
        file.size = file.size.max(end);
        if !keeps_times {
            (file.mtime, file.ctime) = (now, now);
        }
    }

    /// Writes into the inode, if the file is small enough and has no blocks.
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

    /// Moves the data of a small file from the inode to a block.
    pub(crate) fn spill(&mut self, ino: Ino) -> Result<(), Errno> {
        let Some(data) = self.inode(ino).inline.clone() else { return Ok(()) };
        if !data.is_empty() {
            // Making room may commit. That commit must still find the data in the inode, because no block has them yet.
            self.room_for(ino, 1, 1)?;
            let address = self.volume.place(ino, 0)?;
            self.volume.store.write(address, 0, &data).map_err(errno)?;
        }
        self.inode_mut(ino).inline = None;
        Ok(())
    }
}

/// Checks that a transfer past the page cache begins and ends at a sector boundary.
fn aligned(descriptor: &Descriptor, at: u64, len: usize) -> Result<(), Errno> {
    let direct = descriptor.flags.contains(OFlag::O_DIRECT);
    if direct && !(at | len as u64).is_multiple_of(SECTOR) { Err(Errno::EINVAL) } else { Ok(()) }
}
