//! Calls that make files share storage, or exchange it.

use crate::call::{Caller, Fd};
use crate::extents::Run;
use crate::fs::State;
use crate::inode::{Ino, Kind};
use crate::rules::Op;
use crate::store::BLOCK;
use nix::errno::Errno;

impl State {
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
                fs.spill(source.ino)?;
                let (size, blocks) = (fs.inode(source.ino).size, fs.inode(source.ino).blocks());
                fs.resize(target.ino, 0)?;
                fs.share(source.ino, 0, target.ino, 0, blocks);
                fs.inode_mut(target.ino).size = size;
                Ok(())
            })
        })
    }

    /// Makes `count` blocks of one file blocks of another as well.
    pub(crate) fn share(&mut self, source: Ino, first: u64, target: Ino, at: u64, count: u64) {
        (self.inode_mut(source).shares, self.inode_mut(target).shares) = (true, true);
        for step in 0..count {
            self.release_block(target, at + step);
            if let Some(extent) = self.inode(source).map.get(first + step) {
                self.allocator.share(extent.address);
                self.inode_mut(target).map.insert(at + step, extent);
            }
        }
    }

    /// Makes equal blocks of two files one block each. The error is the status of the destination.
    pub(crate) fn dedupe(&mut self, caller: Caller, from: Fd, to: Fd, len: usize) -> Result<usize, Errno> {
        let (source, target) = (self.descriptor(from)?.ino, self.descriptor(to)?.ino);
        self.guarded(caller, source, true, Op::DedupeFrom, |fs| {
            fs.guarded(caller, target, true, Op::DedupeInto, |fs| {
                if fs.read_at(source, 0, len)? != fs.read_at(target, 0, len)? {
                    return Err(Errno::EBADE);
                }
                fs.spill(source)?;
                fs.spill(target)?;
                fs.share(source, 0, target, 0, (len / BLOCK) as u64);
                Ok(len)
            })
        })
    }

    /// Exchanges the contents of two files by exchanging where they live.
    pub(crate) fn exchange_contents(&mut self, caller: Caller, one: Fd, other: Fd) -> Result<(), Errno> {
        let (one, other) = (self.descriptor(one)?.ino, self.descriptor(other)?.ino);
        self.guarded(caller, one, true, Op::ExchangeOne, |fs| {
            fs.guarded(caller, other, true, Op::ExchangeOther, |fs| {
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
                // A write to one file must not reach what is the other's until this is committed.
                fs.commit()
            })
        })
    }

    /// Makes a snapshot: from now on every file shares its storage with it.
    pub(crate) fn snapshot(&mut self, caller: Caller) -> Result<(), Errno> {
        let files: Vec<Ino> =
            self.inodes.iter().filter(|(_, i)| i.kind == Kind::Regular).map(|(ino, _)| *ino).collect();
        self.guarded_all(caller, &files, Op::Snapshot, &mut |fs| {
            // Nothing here reads snapshots, so that the storage is kept is all there is to them.
            let runs = files.iter().flat_map(|ino| fs.inode(*ino).map.all().copied()).collect::<Vec<Run>>();
            files.iter().for_each(|ino| fs.inode_mut(*ino).shares = true);
            fs.keep(runs);
            Ok(())
        })
    }
}
