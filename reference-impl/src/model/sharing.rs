//! Calls with two files: copies, shared storage, and exchanges.

use crate::call::caller::{Capabilities, Credentials, WRITE};
use crate::call::route::Route;
use crate::call::system_call::{At, Fd};
use crate::model::data::TRANSFER_MAX;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::extents::Run;
use crate::storage::inode::Kind;
use crate::units::{BLOCK, Ino, LARGEST};
use crate::violation::Quirk;
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The requests to both files of a call, which can be the same file.
fn roles(same: bool, from: Op, into: Op) -> (Op, Op) {
    if same { (Op::ShareWithin, Op::ShareWithin) } else { (from, into) }
}

/// A part of one file that another file is to share: offsets and length in bytes.
pub(crate) struct Shared {
    pub(crate) source: Ino,
    pub(crate) from: u64,
    pub(crate) target: Ino,
    pub(crate) to: u64,
    pub(crate) len: u64,
}

/// The number of bytes that a pipe holds: the piece in which Linux copies where it cannot share.
const PIPE: usize = 1 << 16;

impl State {
    /// copy_file_range(2).
    pub(crate) fn copy_range(&mut self, who: &Credentials, from: At, to: At, len: usize) -> Result<usize, Errno> {
        let (source, target) = (*self.descriptor(from.fd)?, *self.descriptor(to.fd)?);
        if !source.readable() {
            return Err(Errno::EBADF);
        }
        // The offsets of this call are signed.
        if from.offset > LARGEST || to.offset > LARGEST {
            return Err(Errno::EINVAL);
        }
        for ino in [source.ino, target.ino] {
            self.inode(ino).must_be_regular()?;
        }
        if target.flags.contains(OFlag::O_APPEND) {
            return Err(Errno::EBADF);
        }
        let len = len.min(TRANSFER_MAX);
        if source.ino == target.ino && from.offset.abs_diff(to.offset) < len as u64 {
            return Err(Errno::EINVAL);
        }
        let data = self.guarded(who, source.ino, source.writable(), Op::CopyFrom, |fs| {
            let data = fs.volume.read_at(source.ino, from.offset, len)?;
            fs.accessed(source.ino, source.flags);
            Ok(data)
        })?;
        let sealed = |fs: &Self, ino| fs.inode(ino).sealed;
        if sealed(self, source.ino) || sealed(self, target.ino) {
            self.wait_under(Quirk::CopyWaits);
        }
        let inside = self.inode(target.ino).size.saturating_sub(to.offset).min(data.len() as u64) as usize;
        let pieces = inside - inside % PIPE;
        if sealed(self, target.ino)
            && inside < data.len()
            && pieces > 0
            && self.has_for(Quirk::CopyInPieces, target.ino)
        {
            return self.write_at(target.ino, to.offset, &data[..pieces]);
        }
        let op = Op::CopyInto { offset: to.offset, len: data.len() as u64 };
        let shares = |fs: &Self| {
            (sealed(fs, target.ino) && fs.has(Quirk::ShareOnCopyInto))
                || (sealed(fs, source.ino) && fs.has_for(Quirk::ShareOnCopyFrom, source.ino))
        };
        self.guarded(who, target.ino, target.writable(), op, |fs| {
            if fs.inode(source.ino).sealed && fs.has_for(Quirk::CopyInherits, source.ino) {
                fs.write_at(target.ino, to.offset, &data)?;
                fs.inode_mut(target.ino).sealed = true;
                return Ok(data.len());
            }
            if shares(fs) {
                let (source, target, len) = (source.ino, target.ino, data.len() as u64);
                fs.share(&Shared { source, from: from.offset, target, to: to.offset, len })?;
                return Ok(data.len());
            }
            fs.write_for(who, &target, to.offset, &data)
        })
    }

    /// FICLONE.
    pub(crate) fn clone_file(&mut self, who: &Credentials, from: Fd, to: Fd) -> Result<(), Errno> {
        self.clone_range(who, At { fd: from, offset: 0 }, At { fd: to, offset: 0 }, 0)
    }

    /// FICLONERANGE: a part of one file becomes a part of another, or of itself.
    pub(crate) fn clone_range(&mut self, who: &Credentials, from: At, to: At, len: u64) -> Result<(), Errno> {
        let (source, target) = (*self.descriptor(from.fd)?, *self.descriptor(to.fd)?);
        if !source.readable() || !target.writable() || target.flags.contains(OFlag::O_APPEND) {
            return Err(Errno::EBADF);
        }
        let (from_op, into_op) = roles(source.ino == target.ino, Op::CloneFrom, Op::CloneInto);
        self.guarded(who, source.ino, source.writable(), from_op, |fs| {
            fs.guarded(who, target.ino, true, into_op, |fs| {
                let range = fs.range((source.ino, from.offset), (target.ino, to.offset), len)?;
                if range.len == 0 {
                    return Ok(());
                }
                fs.share(&range)?;
                fs.drop_privileges(who, target.ino);
                let now = fs.now();
                let file = fs.inode_mut(target.ino);
                file.size = file.size.max(to.offset + range.len);
                (file.mtime, file.ctime) = (now, now);
                Ok(())
            })
        })
    }

    /// FIDEDUPERANGE: makes two files share equal parts. The error is the status of the destination.
    pub(crate) fn dedupe_range(&mut self, who: &Credentials, from: At, to: At, len: u64) -> Result<u64, Errno> {
        let (source, target) = (*self.descriptor(from.fd)?, *self.descriptor(to.fd)?);
        if !source.readable() {
            return Err(Errno::EINVAL);
        }
        let may = target.writable() || who.has(Capabilities::SYS_ADMIN) || self.permits(who, target.ino, WRITE).is_ok();
        if !may {
            return Err(Errno::EPERM);
        }
        let (from_op, into_op) = roles(source.ino == target.ino, Op::DedupeFrom, Op::DedupeInto);
        self.guarded(who, source.ino, true, from_op, |fs| {
            fs.guarded(who, target.ino, true, into_op, |fs| {
                if len == 0 {
                    return Ok(0);
                }
                let range = fs.range((source.ino, from.offset), (target.ino, to.offset), len)?;
                if to.offset.checked_add(len).is_none_or(|end| end > fs.inode(target.ino).size) {
                    return Err(Errno::EINVAL);
                }
                let bytes = usize::try_from(len).map_err(|_| Errno::ENOMEM)?;
                if fs.volume.read_at(source.ino, from.offset, bytes)?
                    != fs.volume.read_at(target.ino, to.offset, bytes)?
                {
                    return Err(Errno::EBADE);
                }
                fs.share(&range)?;
                Ok(len)
            })
        })
    }

    /// The range to share, if it can be shared: whole blocks, except at the ends of files. A length of 0 means up to
    /// the end of the source.
    fn range(&self, (source, from): (Ino, u64), (target, to): (Ino, u64), len: u64) -> Result<Shared, Errno> {
        let (one, other) = (self.inode(source), self.inode(target));
        for file in [one, other] {
            file.must_be_regular()?;
            if file.swap {
                return Err(Errno::ETXTBSY);
            }
        }
        let len = if len == 0 { one.size.checked_sub(from).ok_or(Errno::EINVAL)? } else { len };
        let end = from.checked_add(len).filter(|end| *end <= one.size).ok_or(Errno::EINVAL)?;
        let there = to.checked_add(len).filter(|end| *end <= LARGEST).ok_or(Errno::EFBIG)?;
        let ends = len.is_multiple_of(BLOCK as u64) || (end == one.size && there >= other.size);
        let begins = from.is_multiple_of(BLOCK as u64) && to.is_multiple_of(BLOCK as u64);
        let overlaps = source == target && from.abs_diff(to) < len;
        if !begins || !ends || overlaps {
            return Err(Errno::EINVAL);
        }
        Ok(Shared { source, from, target, to, len })
    }

    /// Makes two files share blocks.
    pub(crate) fn share(&mut self, range: &Shared) -> Result<(), Errno> {
        let Shared { source, target, .. } = *range;
        self.spill(source)?;
        self.spill(target)?;
        let (first, at) = (range.from / BLOCK as u64, range.to / BLOCK as u64);
        let count = range.len.div_ceil(BLOCK as u64);
        let (here, there) = (first..first + count, at..at + count);
        let runs: Vec<Run> = self.inode(source).map.runs(here).collect();
        let comes: u64 = runs.iter().map(|run| run.count).sum();
        let goes: u64 = self.inode(target).map.runs(there.clone()).map(|run| run.count).sum();
        self.room_for(target, 0, comes.saturating_sub(goes) as usize)?;
        self.volume.reserve_runs(runs.len())?;
        (self.inode_mut(source).shares, self.inode_mut(target).shares) = (true, true);
        runs.iter().flat_map(Run::addresses).for_each(|address| self.volume.allocator.share(address));
        self.volume.release_range(target, there);
        let map = &mut self.inode_mut(target).map;
        runs.into_iter().for_each(|run| map.join(Run { start: run.start - first + at, ..run }));
        Ok(())
    }

    /// Exchanges the contents of two files by exchanging their maps.
    pub(crate) fn exchange_contents(&mut self, who: &Credentials, one: Fd, other: Fd) -> Result<(), Errno> {
        let (one, other) = (self.descriptor(one)?.ino, self.descriptor(other)?.ino);
        for ino in [one, other] {
            self.inode(ino).must_be_regular()?;
        }
        let op = if self.route == Some(Route::Ext4Boot) { Op::Convert } else { Op::ExchangeOne };
        self.guarded(who, one, true, op, |fs| {
            fs.guarded(who, other, true, Op::ExchangeOther, |fs| {
                let now = fs.now();
                let take = |fs: &mut Self, ino: Ino| {
                    let file = fs.inode_mut(ino);
                    (std::mem::take(&mut file.map), file.inline.take(), file.size, file.shares)
                };
                let (a, b) = (take(fs, one), take(fs, other));
                for (ino, (map, inline, size, shares)) in [(one, b), (other, a)] {
                    let file = fs.inode_mut(ino);
                    (file.map, file.inline, file.size, file.shares) = (map.given(), inline, size, shares);
                    (file.mtime, file.ctime) = (now, now);
                }
                // Commit now: before that, a write to one file could damage the other one after a loss of power.
                fs.volume.commit()
            })
        })
    }

    /// Makes a snapshot, which shares the storage of every file from now on.
    pub(crate) fn snapshot(&mut self, who: &Credentials) -> Result<(), Errno> {
        let files: Vec<Ino> =
            self.volume.inodes.iter().filter(|(_, i)| i.kind == Kind::Regular).map(|(ino, _)| *ino).collect();
        self.guarded_all(who, &files, Op::Snapshot, &mut |fs| {
            // Snapshots cannot be read, so it is enough to keep their storage.
            let runs = files.iter().flat_map(|ino| fs.inode(*ino).map.all().copied()).collect::<Vec<Run>>();
            files.iter().for_each(|ino| fs.inode_mut(*ino).shares = true);
            fs.volume.keep(runs);
            Ok(())
        })
    }
}
