//! fallocate(2).

use crate::call::caller::Credentials;
use crate::call::mode::Mode;
use crate::call::system_call::Fd;
use crate::model::state::State;
use crate::rules::{Allocation, Op};
use crate::storage::extents::{Extent, LAST_BLOCK, Run};
use crate::storage::inode::{Inode, Kind};
use crate::storage::volume::errno;
use crate::units::{BLOCK, Ino, LARGEST};
use crate::violation::Quirk;
use nix::errno::Errno;

const PAGE: u64 = BLOCK as u64;

impl State {
    pub(crate) fn fallocate(
        &mut self,
        who: &Credentials,
        fd: Fd,
        mode: Mode,
        offset: i64,
        len: i64,
    ) -> Result<(), Errno> {
        let descriptor = *self.descriptor(fd)?;
        let (ino, writable) = (descriptor.ino, descriptor.writable());
        let call = Allocation { mode, offset, len };
        // Another caller's change to this state may not be durable yet.
        let again = |fs: &mut Self| if fs.has(Quirk::AgainEarly) { Ok(()) } else { fs.volume.commit() };
        let sealed = self.inode(ino).sealed;
        if mode.contains(Mode::SEAL) {
            let result = self.guarded(who, ino, writable, Op::Seal(call), |fs| fs.seal(fd, ino, len));
            if sealed && result.is_ok() {
                return again(self);
            }
            if result == Err(Errno::EINVAL) && self.has(Quirk::SealFillsHoles) {
                self.fill(ino, 0, self.inode(ino).blocks(), true)?;
            }
            if result == Err(Errno::EINVAL) && self.has(Quirk::SealUnshares) {
                (0..self.inode(ino).blocks()).try_for_each(|block| self.volume.place(ino, block).map(|_| ()))?;
            }
            return result;
        }
        if mode.contains(Mode::UNSEAL) {
            self.guarded(who, ino, writable, Op::Unseal(call), |fs| fs.unseal(ino))?;
            return if sealed { Ok(()) } else { again(self) };
        }
        self.guarded(who, ino, writable, Op::Fallocate(call), |fs| {
            possible(fs.inode(ino), mode)?;
            let end = offset.checked_add(len).ok_or(Errno::EFBIG)?;
            fs.drop_privileges(who, ino);
            if fs.inode(ino).sealed {
                fs.changed_nothing(ino, [Quirk::InsideWaits, Quirk::InsideTakesSpace, Quirk::InsideZeroes])?;
            }
            fs.allocate(ino, mode, offset.unsigned_abs(), end.unsigned_abs())
        })
    }

    /// Applies a mode to the range [from, to).
    fn allocate(&mut self, ino: Ino, mode: Mode, from: u64, to: u64) -> Result<(), Errno> {
        self.spill(ino)?;
        let size = self.inode(ino).size;
        let (first, last) = (from / PAGE, to.div_ceil(PAGE));
        let aligned = from.is_multiple_of(PAGE) && to.is_multiple_of(PAGE);
        match () {
            () if mode.contains(Mode::PUNCH_HOLE) => {
                // Clear the last block completely, because no bytes beyond the size are data.
                self.clear(ino, from, to.min(size.next_multiple_of(PAGE).max(from)), false)?
            }
            () if mode.contains(Mode::ZERO_RANGE) => {
                self.fill(ino, first, last, false)?;
                self.clear(ino, from, to, true)?;
            }
            () if mode.contains(Mode::COLLAPSE_RANGE) => {
                if !aligned || to >= size {
                    return Err(Errno::EINVAL);
                }
                self.clear(ino, from, to, false)?;
                self.inode_mut(ino).map.shift(last, first);
                self.resize(ino, size - (to - from))?;
                return self.volume.commit();
            }
            () if mode.contains(Mode::INSERT_RANGE) => {
                if !aligned || from >= size {
                    return Err(Errno::EINVAL);
                }
                let grown = size.checked_add(to - from).filter(|size| *size <= LARGEST).ok_or(Errno::EFBIG)?;
                // There can be blocks beyond the size, too.
                if self.inode(ino).map.end() + (last - first) > LAST_BLOCK + 1 {
                    return Err(Errno::EINVAL);
                }
                self.inode_mut(ino).map.shift(first, last);
                self.resize(ino, grown)?;
                return self.volume.commit();
            }
            () if mode.contains(Mode::UNSHARE_RANGE) => {
                for block in self.mapped(ino, first, last) {
                    self.volume.place(ino, block)?;
                }
            }
            () if mode.contains(Mode::WRITE_ZEROES) => {
                self.fill(ino, first, last, true)?;
                self.clear(ino, from, to, true)?;
                (first..last).try_for_each(|block| self.volume.place(ino, block).map(|_| ()))?;
            }
            () => self.fill(ino, first, last, false)?,
        }
        let now = self.now();
        let file = self.inode_mut(ino);
        file.modified += 1;
        // PUNCH_HOLE always comes with KEEP_SIZE.
        if !mode.contains(Mode::KEEP_SIZE) {
            file.size = file.size.max(to);
        }
        (file.mtime, file.ctime) = (now, now);
        Ok(())
    }

    /// Allocates every hole of [first, last), as zeros that count as written or not.
    fn fill(&mut self, ino: Ino, first: u64, last: u64, written: bool) -> Result<(), Errno> {
        let present: u64 = self.inode(ino).map.runs(first..last).map(|run| run.count).sum();
        let more = usize::try_from(last - first - present).map_err(|_| Errno::ENOSPC)?;
        self.room_for(ino, more, more)?;
        while let Some(gap) = self.inode(ino).map.gap(first..last) {
            let stretch = self.volume.allocator.allocate_stretch(gap.end - gap.start).ok_or(Errno::ENOSPC)?;
            if written {
                stretch.clone().try_for_each(|address| self.volume.store.zero(address)).map_err(errno)?;
            }
            let run = Run { start: gap.start, count: stretch.len() as u64, address: stretch.start, written };
            self.inode_mut(ino).map.join(run);
        }
        Ok(())
    }

    /// Makes [from, to) read as zeros: whole blocks become unwritten if `keep` is set, otherwise holes.
    fn clear(&mut self, ino: Ino, from: u64, to: u64, keep: bool) -> Result<(), Errno> {
        // Holes read as zeros already.
        for block in self.mapped(ino, from / PAGE, to.div_ceil(PAGE)) {
            let (start, end) = ((block * PAGE).max(from), ((block + 1) * PAGE).min(to));
            if end - start < PAGE {
                self.zero_within_block(ino, start, end)?;
            } else if !keep {
                self.volume.release_block(ino, block);
            } else if let Some(extent) = self.inode(ino).map.get(block) {
                if self.volume.allocator.references(extent.address) > 1 {
                    self.volume.make_room(1)?;
                    self.volume.release_block(ino, block);
                    self.fill(ino, block, block + 1, false)?;
                } else {
                    self.inode_mut(ino).map.insert(block, Extent { written: false, ..extent });
                }
            }
        }
        Ok(())
    }

    /// The blocks of [first, last) that are not holes. The blocks can be too many for memory; their runs are not.
    fn mapped(&self, ino: Ino, first: u64, last: u64) -> impl Iterator<Item = u64> + use<> {
        let runs: Vec<Run> = self.inode(ino).map.runs(first..last).collect();
        runs.into_iter().flat_map(|run| run.start..run.end())
    }
}

/// The errors of fallocate(2) that do not depend on the sealed state.
fn possible(file: &Inode, mode: Mode) -> Result<(), Errno> {
    match file.kind {
        _ if !exclusive(mode) => Err(Errno::EOPNOTSUPP),
        _ if file.is_immutable() => Err(Errno::EPERM),
        _ if file.is_append_only() && mode.0 & !Mode::KEEP_SIZE.0 != 0 => Err(Errno::EPERM),
        _ if file.swap => Err(Errno::ETXTBSY),
        Kind::Fifo => Err(Errno::ESPIPE),
        Kind::Directory => Err(Errno::EISDIR),
        Kind::Regular => Ok(()),
        _ => Err(Errno::ENODEV),
    }
}

/// Whether Linux accepts this combination of modes: one mode at a time; some allow KEEP_SIZE and PUNCH_HOLE needs it.
fn exclusive(mode: Mode) -> bool {
    let keep = Mode::KEEP_SIZE;
    [
        Mode::ALLOCATE,
        keep,
        Mode::PUNCH_HOLE | keep,
        Mode::ZERO_RANGE,
        Mode::ZERO_RANGE | keep,
        Mode::COLLAPSE_RANGE,
        Mode::INSERT_RANGE,
        Mode::UNSHARE_RANGE,
        Mode::UNSHARE_RANGE | keep,
        Mode::WRITE_ZEROES,
    ]
    .contains(&mode)
}
