//! The file system: its state, and the way every call takes through the rules.

use crate::cache::Store;
use crate::call::{Call, Caller, Fd, MapId, Outcome, Reply};
use crate::disk::{Disk, FileDisk, MemoryDisk, VolatileDisk};
use crate::durability::{Commits, format, growth};
use crate::image::{ImageError, Layout, Options};
use crate::inode::{Ino, Inode, Kind};
use crate::rules::{Answer, Op, Request, rule_for};
use crate::store::{Address, Allocator, BLOCK};
use crate::tracked::Tracked;
use crate::violation::{How, Quirk, Violation};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub(crate) const ROOT: Ino = 1;

/// An open file description.
#[derive(Clone, Debug)]
pub(crate) struct Descriptor {
    pub(crate) ino: Ino,
    pub(crate) flags: OFlag,
    pub(crate) position: u64,
}

impl Descriptor {
    pub(crate) fn readable(&self) -> bool {
        self.flags & OFlag::O_ACCMODE != OFlag::O_WRONLY
    }

    pub(crate) fn writable(&self) -> bool {
        self.flags & OFlag::O_ACCMODE != OFlag::O_RDONLY
    }
}

/// A mapping. `private` has the pages that were stored to when it is private.
#[derive(Debug)]
pub(crate) struct Mapping {
    pub(crate) ino: Ino,
    pub(crate) len: usize,
    pub(crate) shared: bool,
    pub(crate) write: bool,
    pub(crate) private: BTreeMap<usize, u8>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) allocator: Allocator,
    pub(crate) inodes: Tracked<Ino, Inode>,
    pub(crate) names: Tracked<String, Ino>,
    pub(crate) descriptors: BTreeMap<Fd, Descriptor>,
    pub(crate) mappings: BTreeMap<MapId, Mapping>,
    pub(crate) registrations: BTreeMap<MapId, Ino>,
    pub(crate) commits: Commits,
    pub(crate) losing_power: bool,
    /// What a violation lets happen between the check of a call and its effect, and what came of it.
    intruder: Option<(Caller, Call)>,
    intruded: Option<Outcome>,
    pub(crate) next: u64,
    pub(crate) clock: i128,
    pub(crate) read_only: bool,
    violation: Option<Violation>,
}

/// A file system, in memory or on an image. Clones are the same file system.
#[derive(Clone, Debug)]
pub struct Fs(Arc<Mutex<State>>);

/// How many blocks a file system in memory has in its cache: 16 MiB.
const CACHE: usize = 4096;

impl Fs {
    /// An empty file system in memory, with so many blocks of [`BLOCK`] bytes for data.
    pub fn new(blocks: usize) -> Self {
        Self::with(blocks, None)
    }

    /// The same, but it breaks one clause.
    pub fn breaking(blocks: usize, violation: Violation) -> Self {
        Self::with(blocks, Some(violation))
    }

    fn with(blocks: usize, violation: Option<Violation>) -> Self {
        let mut disk = VolatileDisk::new(MemoryDisk::new(Layout::around(blocks as u64)));
        format(&mut disk, &Options::default())
            .and_then(|()| Self::begin(Box::new(disk), CACHE, false, violation))
            .expect("memory has no errors, and an image just made none either")
    }

    /// Mounts the image in a file or on a block device, with `cache` bytes of it in memory at most. The image is
    /// locked: no other process can open it. What is not committed when the last clone goes is lost, as with the power.
    ///
    /// Fails with what is wrong with the image, and where.
    pub fn open(path: &Path, cache: usize, read_only: bool) -> Result<Self, ImageError> {
        let disk = FileDisk::open(path, read_only)
            .map_err(|error| ImageError::io(format!("opening {}", path.display()), error))?;
        Self::mount(Box::new(disk), cache, read_only)
    }

    /// Mounts the image on a disk. Mounting writes nothing.
    pub fn mount(disk: Box<dyn Disk>, cache: usize, read_only: bool) -> Result<Self, ImageError> {
        Self::begin(disk, cache / BLOCK, read_only, None)
    }

    /// Makes everything durable. Descriptors are of no use any more.
    pub fn unmount(self) -> Result<(), Errno> {
        let mut state = self.state();
        state.descriptors.clear();
        state.commit()
    }

    fn begin(
        mut disk: Box<dyn Disk>,
        cache: usize,
        read_only: bool,
        violation: Option<Violation>,
    ) -> Result<Self, ImageError> {
        let (log, metadata) = crate::fsck::open(&mut *disk)?;
        let mut state = State {
            store: Store::new(disk, log.layout.first_data(), log.layout.data_blocks(), cache),
            allocator: Allocator::of(Vec::new()),
            inodes: Tracked::settled(BTreeMap::new()),
            names: Tracked::settled(BTreeMap::new()),
            descriptors: BTreeMap::new(),
            mappings: BTreeMap::new(),
            registrations: BTreeMap::new(),
            commits: Commits::new(log.clone(), Vec::new(), read_only),
            losing_power: false,
            intruder: None,
            intruded: None,
            next: 0,
            clock: metadata.clock,
            read_only,
            violation,
        };
        state.adopt(log, metadata);
        Ok(Self(Arc::new(Mutex::new(state))))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread in the middle of a call is a bug that its own case reports.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a system call.
    pub fn call(&self, caller: Caller, call: &Call) -> Outcome {
        self.state().call(caller, call)
    }

    /// Makes two system calls at the same time.
    pub fn race(&self, caller: Caller, one: &Call, other: &Call) -> (Outcome, Outcome) {
        if self.state().has(Quirk::RaceLost) {
            let mut state = self.state();
            state.intruder = Some((caller, other.clone()));
            let outcome = state.call(caller, one);
            let intruded = state.intruded.take();
            state.intruder = None;
            return (outcome, intruded.unwrap_or_else(|| state.call(caller, other)));
        }
        std::thread::scope(|scope| {
            let second = scope.spawn(|| self.call(caller, other));
            let first = self.call(caller, one);
            // A thread that panics is a bug of the model, which the case reports as an error.
            (first, second.join().unwrap_or(Err(Errno::EIO)))
        })
    }

    /// Gives access to the storage of a file as it is now. The agent is not a hold: it stands for a device that was
    /// told once where the file lives and does not ask again.
    ///
    /// Fails with EBADF for a bad descriptor and with EINVAL for a file that has a hole.
    pub fn agent(&self, fd: Fd) -> Result<Agent, Errno> {
        let state = self.state();
        let file = state.inode(state.descriptor(fd)?.ino);
        let place = |block| file.map.get(block).map(|extent| extent.address).ok_or(Errno::EINVAL);
        let places = (0..file.blocks()).map(place).collect::<Result<_, _>>()?;
        Ok(Agent { fs: self.clone(), places })
    }
}

/// Direct access to what was the storage of a file when the access was given.
#[derive(Debug)]
pub struct Agent {
    fs: Fs,
    places: Vec<Address>,
}

impl Agent {
    /// Reads `len` bytes that were at `offset` of the file; both are multiples of [`BLOCK`]. Nothing comes back if the
    /// disk fails.
    pub fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut state = self.fs.state();
        let blocks = self.span(offset, len).iter().map(|at| state.agent_reads(*at));
        blocks.collect::<io::Result<Vec<_>>>().unwrap_or_default().concat()
    }

    /// Writes to what was at `offset` of the file; `offset` and the length are multiples of [`BLOCK`].
    pub fn write(&self, offset: usize, data: &[u8]) {
        let mut state = self.fs.state();
        for (at, bytes) in self.span(offset, data.len()).iter().zip(data.as_chunks::<BLOCK>().0) {
            // A device that fails tells its own driver, not the file system.
            let _ = state.agent_wrote(*at, bytes);
        }
    }

    /// Where the blocks of the file were, in the order of the file.
    pub fn places(&self) -> &[Address] {
        &self.places
    }

    fn span(&self, offset: usize, len: usize) -> &[Address] {
        self.places.get(offset / BLOCK..(offset + len) / BLOCK).unwrap_or_default()
    }
}

impl State {
    pub(crate) fn call(&mut self, caller: Caller, call: &Call) -> Outcome {
        match growth(call) {
            0 => (),
            bytes => self.reserve(bytes)?,
        }
        match call {
            Call::Open { name, flags, mode } => self.open(caller, name, *flags, *mode).map(|fd| number(fd.into())),
            Call::Close { fd } => self.close(*fd).map(zero),
            Call::Read { fd, len } => self.read(caller, *fd, None, *len).map(Reply::Data),
            Call::Pread { fd, offset, len } => self.read(caller, *fd, Some(*offset), *len).map(Reply::Data),
            Call::Write { fd, data } => self.write(caller, *fd, None, data, false).map(length),
            Call::Pwrite { fd, offset, data } => self.write(caller, *fd, Some(*offset), data, false).map(length),
            Call::Pwritev { fd, offset, parts, append } => {
                self.write(caller, *fd, Some(*offset), &parts.concat(), *append).map(length)
            }
            Call::Seek { fd, offset, whence } => self.seek(caller, *fd, *offset, *whence).map(number),
            Call::Fsync { fd } => self.sync(caller, *fd).map(zero),
            Call::Ftruncate { fd, size } => self.ftruncate(caller, *fd, *size).map(zero),
            Call::Truncate { name, size } => self.truncate(caller, name, *size).map(zero),
            Call::Fallocate { fd, mode, offset, len } => self.fallocate(caller, *fd, *mode, *offset, *len).map(zero),
            Call::CopyRange { from, from_offset, to, to_offset, len } => {
                self.copy_range(caller, (*from, *from_offset), (*to, *to_offset), *len).map(length)
            }
            Call::PwriteAtomic { fd, offset, data } => self.write_atomic(caller, *fd, *offset, data).map(length),
            Call::Dedupe { from, to, len } => self.dedupe(caller, *from, *to, *len).map(length),
            Call::Exchange { one, other } => self.exchange_contents(caller, *one, *other).map(zero),
            Call::Snapshot => self.snapshot(caller).map(zero),
            Call::Defragment { fd } => self.defragment(caller, *fd).map(zero),
            Call::Collect => {
                self.collect();
                Ok(number(0))
            }
            Call::Shrink { size } => self.shrink(caller, *size).map(zero),
            Call::Register { map } => self.register(caller, *map).map(|id| number(id as i64)),
            Call::Unregister { registration } => self.unregister(*registration).map(zero),
            Call::Cycle => self.cycle().map(zero),
            Call::PowerLoss { during } => self.power_loss(caller, during.as_deref()).map(zero),
            Call::Clone { from, to } => self.clone_file(caller, *from, *to).map(zero),
            Call::Map { fd, len, shared, write } => {
                self.map(caller, *fd, *len, *shared, *write).map(|id| number(id as i64))
            }
            Call::Load { map, offset, len } => self.load(*map, *offset, *len).map(Reply::Data),
            Call::Store { map, offset, data } => self.store_through(*map, *offset, data).map(zero),
            Call::Unmap { map } => self.unmap(*map).map(zero),
            Call::Unlink { name } => self.unlink(caller, name).map(zero),
            Call::Rename { from, to, exchange: false } => self.rename(caller, from, to).map(zero),
            Call::Rename { from, to, exchange: true } => self.exchange(caller, from, to).map(zero),
            Call::Link { from, to } => self.link(caller, from, to).map(zero),
            Call::Mkfifo { name } => self.make(name, Kind::Fifo, 0o600).map(|_| number(0)),
            Call::Chmod { name, mode } => self.change(caller, name, Op::Chmod, |i| i.mode = *mode).map(zero),
            Call::Chown { name, uid, gid } => {
                self.change(caller, name, Op::Chown, |i| (i.uid, i.gid) = (*uid, *gid)).map(zero)
            }
            Call::Utimes { name, mtime, .. } => {
                self.change(caller, name, Op::Utimes, |i| i.mtime = i128::from(*mtime) * 1_000_000_000).map(zero)
            }
            Call::SetXattr { name, key, value } => self
                .change(caller, name, Op::Xattr, |i| {
                    i.xattrs.insert(key.clone(), value.clone());
                })
                .map(zero),
            Call::RemoveXattr { name, key } => self.remove_xattr(caller, name, key).map(zero),
            Call::Stat { fd } => self.stat(*fd).map(|stat| Reply::Stat(Box::new(stat))),
            Call::GetXflags { fd } => self.xflags(caller, *fd).map(|flags| number(flags.into())),
            Call::ChangeXflags { fd, set, clear } => self.change_xflags(caller, *fd, *set, *clear).map(zero),
            Call::ChangeFlags { fd, set, clear } => self.change_flags(caller, *fd, *set, *clear).map(zero),
            Call::FreeSpace => Ok(length(self.free() * BLOCK)),
            Call::Remount { read_only } => self.remount(*read_only).map(zero),
            Call::Swapon { fd } => self.swapon(caller, *fd).map(zero),
            Call::Swapoff { fd } => self.swapoff(caller, *fd).map(zero),
        }
    }

    /// Asks the rules, and carries the request out if they let it through.
    pub(crate) fn guarded<T: Default>(
        &mut self,
        caller: Caller,
        ino: Ino,
        writable: bool,
        op: Op,
        act: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let file = self.inode(ino);
        let request = Request {
            op,
            file,
            // Only sealing looks at it, and it takes a look at every block.
            shared: matches!(op, Op::Seal(_)) && file.map.addresses().any(|at| self.is_shared(at)),
            caller,
            writable,
            full: self.free() == 0,
            read_only: self.read_only,
        };
        let Some(rule) = rule_for(&request) else {
            return self.answer(ino, Answer::Proceed, act);
        };
        let broken = self.violation.as_ref().filter(|v| v.clause == rule.clause).map(|v| v.how);
        match broken {
            Some(How::Late(errno)) => {
                // The result does not matter: this file system does the damage and reports the refusal.
                let _ = act(self);
                Err(errno)
            }
            Some(How::Answer(answer)) => self.answer(ino, answer, act),
            Some(How::Quirk(_)) | None => self.answer(ino, rule.answer, act),
        }
    }

    /// Asks the rules about several files, and carries the request out if they let it through for all.
    pub(crate) fn guarded_all(
        &mut self,
        caller: Caller,
        files: &[Ino],
        op: Op,
        act: &mut dyn FnMut(&mut Self) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        match files.split_first() {
            None => act(self),
            Some((file, rest)) => self.guarded(caller, *file, true, op, |fs| fs.guarded_all(caller, rest, op, act)),
        }
    }

    fn answer<T: Default>(
        &mut self,
        ino: Ino,
        answer: Answer,
        act: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match answer {
            Answer::Proceed => {
                if let Some((caller, call)) = self.intruder.take() {
                    let outcome = self.call(caller, &call);
                    self.intruded = Some(outcome);
                    if self.breaks(&iomap_clauses::RACE_SEALS) {
                        return Err(Errno::EBUSY);
                    }
                }
                act(self)
            }
            Answer::Done => Ok(T::default()),
            Answer::Refuse(errno) => {
                if errno == Errno::ETXTBSY {
                    self.refused(ino);
                }
                Err(errno)
            }
        }
    }

    /// What a refusal does only when a violation wants it to.
    fn refused(&mut self, ino: Ino) {
        if self.has(Quirk::RefusalTouchesMtime) {
            let now = self.now();
            self.inode_mut(ino).mtime = now;
        }
        if self.has(Quirk::RefusalMovesOffset) {
            self.descriptors.values_mut().filter(|d| d.ino == ino).for_each(|d| d.position += 1);
        }
        if self.has(Quirk::RefusalHarmsOthers) {
            let others = self.inodes.iter().filter(|(other, _)| **other != ino);
            let places: Vec<Address> = others.flat_map(|(_, file)| file.map.addresses()).collect();
            places.into_iter().filter_map(|at| self.store.zero(at).err()).for_each(drop);
        }
        if self.has(Quirk::RefusalWaits) {
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
        if self.has(Quirk::MoveOnRefusal) {
            self.relocate(ino);
        }
    }

    fn breaks(&self, clause: &iomap_clauses::Clause) -> bool {
        self.violation.as_ref().is_some_and(|v| v.clause == clause)
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.violation.as_ref().is_some_and(|v| v.how == How::Quirk(quirk))
    }

    pub(crate) fn descriptor(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        self.descriptors.get(&fd).ok_or(Errno::EBADF)
    }

    pub(crate) fn inode(&self, ino: Ino) -> &Inode {
        // Names, descriptors and mappings refer to inodes that exist: `release_unused` removes only the others.
        &self.inodes[&ino]
    }

    pub(crate) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.inodes.get_mut(&ino).expect("names, descriptors and mappings refer to inodes that exist")
    }

    /// The next moment: no two changes happen at the same time.
    pub(crate) fn now(&mut self) -> i128 {
        self.clock += 1;
        self.clock
    }

    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

fn number(value: i64) -> Reply {
    Reply::Number(value)
}

fn zero((): ()) -> Reply {
    Reply::Number(0)
}

fn length(value: usize) -> Reply {
    Reply::Number(value as i64)
}
