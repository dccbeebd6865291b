//! The size of files, and the positions of data and holes.

use crate::call::caller::Credentials;
use crate::call::system_call::{Fd, Whence};
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::inode::{Inode, Kind};
use crate::storage::volume::errno;
use crate::units::{BLOCK, Ino};
use crate::violation::Quirk;
use nix::errno::Errno;

impl State {
    pub(crate) fn seek(&mut self, who: &Credentials, fd: Fd, offset: i64, whence: Whence) -> Result<i64, Errno> {
        let descriptor = *self.descriptor(fd)?;
        let file = self.inode(descriptor.ino);
        if !matches!(file.kind, Kind::Regular | Kind::Directory) {
            return Err(Errno::ESPIPE);
        }
        let inside = u64::try_from(offset).ok().filter(|offset| *offset < file.size).ok_or(Errno::ENXIO);
        let position = match whence {
            Whence::Set => offset,
            Whence::Cur => descriptor.position.checked_add_signed(offset).ok_or(Errno::EINVAL)?.cast_signed(),
            Whence::Data => data_from(file, inside?).ok_or(Errno::ENXIO)?.cast_signed(),
            Whence::Hole => {
                let from = inside?;
                self.guarded(who, descriptor.ino, descriptor.writable(), Op::SeekHole, |fs| {
                    Ok(hole_from(fs.inode(descriptor.ino), from).cast_signed())
                })?
            }
        };
        self.descriptors.advance(fd, u64::try_from(position).map_err(|_| Errno::EINVAL)?);
        Ok(position)
    }

    pub(crate) fn ftruncate(&mut self, who: &Credentials, fd: Fd, size: i64) -> Result<(), Errno> {
        let descriptor = *self.descriptor(fd)?;
        self.set_size(who, descriptor.ino, descriptor.writable(), size, false)
    }

    pub(crate) fn set_size(
        &mut self,
        who: &Credentials,
        ino: Ino,
        writable: bool,
        size: i64,
        by_name: bool,
    ) -> Result<(), Errno> {
        if self.inode(ino).kind != Kind::Regular {
            return Err(Errno::EINVAL);
        }
        self.guarded(who, ino, writable, Op::Truncate { size, by_name }, |fs| {
            if by_name {
                fs.break_leases(ino);
            }
            fs.drop_privileges(who, ino);
            fs.resize(ino, size.unsigned_abs())
        })
    }

    pub(crate) fn resize(&mut self, ino: Ino, size: u64) -> Result<(), Errno> {
        let old = self.inode(ino).size;
        if size == old && self.inode(ino).sealed {
            // Bytes that agents stored stay, even after the end.
            self.changed_nothing(ino, [Quirk::TruncateWaits, Quirk::TruncateTakesSpace, Quirk::TruncateZeroes])?;
            if !self.has(Quirk::TruncateKeepsTimes) {
                let now = self.now();
                let file = self.inode_mut(ino);
                (file.mtime, file.ctime) = (now, now);
            }
            return Ok(());
        }
        self.spill(ino)?;
        // Frees the blocks beyond the size, even if the size stays.
        if size <= old {
            self.zero_within_block(ino, size, size.next_multiple_of(BLOCK as u64))?;
            let beyond = size.div_ceil(BLOCK as u64);
            self.volume.release_range(ino, beyond..u64::MAX);
        }
        let now = self.now();
        let file = self.inode_mut(ino);
        file.modified += 1;
        file.size = size;
        (file.mtime, file.ctime) = (now, now);
        Ok(())
    }

    /// Zeros the bytes [from, to), which are inside one block, if that block has data.
    pub(crate) fn zero_within_block(&mut self, ino: Ino, from: u64, to: u64) -> Result<(), Errno> {
        let block = from / BLOCK as u64;
        let start = block * BLOCK as u64;
        if from != to && self.inode(ino).map.get(block).is_some_and(|extent| extent.written) {
            let address = self.volume.place(ino, block)?;
            self.volume.store.write(address, (from - start) as usize, &vec![0; (to - from) as usize]).map_err(errno)?;
        }
        Ok(())
    }
}

/// The first hole at or after an offset inside the size, or the size. An unwritten block counts as a hole.
fn hole_from(file: &Inode, from: u64) -> u64 {
    if file.inline.is_some() {
        return file.size;
    }
    let mut block = from / BLOCK as u64;
    for run in file.map.runs(block..u64::MAX) {
        if run.start != block || !run.written {
            break;
        }
        block = run.end();
    }
    block.saturating_mul(BLOCK as u64).clamp(from, file.size)
}

/// The first data at or after an offset inside the size.
fn data_from(file: &Inode, from: u64) -> Option<u64> {
    if file.inline.is_some() {
        return Some(from);
    }
    let run = file.map.runs(from / BLOCK as u64..u64::MAX).find(|run| run.written)?;
    Some((run.start * BLOCK as u64).max(from)).filter(|at| *at < file.size)
}
