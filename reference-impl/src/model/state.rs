//! The file system: its state, and the way every call takes through the rules.

use crate::call::caller::{Caller, Credentials};
use crate::call::route::Route;
use crate::call::system_call::{Call, Fd, MapId, Outcome, Reply};
use crate::model::descriptors::{Descriptor, Descriptors};
use crate::model::metadata::{Changes, SetTime};
use crate::model::quota::Quota;
use crate::names::entries::{Making, RENAME_EXCHANGE, RENAME_NOREPLACE};
use crate::rules::{Answer, Op, Request, View, rule_for};
use crate::storage::disk::{Disk, FileDisk, MemoryDisk, VolatileDisk};
use crate::storage::error::ImageError;
use crate::storage::image::{Layout, Options, share};
use crate::storage::inode::{Inode, Kind};
use crate::storage::log::{Log, Metadata};
use crate::storage::volume::{Volume, make};
use crate::units::{Address, BLOCK, Ino};
use crate::violation::{How, Quirk, Violation};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A mapping. `private` has the pages that were stored to when it is private.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) ino: Ino,
    pub(crate) len: usize,
    pub(crate) shared: bool,
    pub(crate) write: bool,
    pub(crate) private: BTreeMap<usize, u8>,
}

/// What a device may access: the pages of a mapping, which may be gone.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) pages: Mapping,
    /// The way that it was made.
    pub(crate) by: Option<Route>,
}

/// What tells the time: in nanoseconds since the epoch.
pub type Clock = fn() -> i128;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) volume: Volume,
    pub(crate) descriptors: Descriptors,
    pub(crate) mappings: BTreeMap<MapId, Mapping>,
    pub(crate) registrations: BTreeMap<MapId, Registration>,
    /// The addresses that active swap files had when they were activated.
    pub(crate) swap_places: BTreeMap<Ino, Vec<Address>>,
    /// What a violation lets happen between the check of a call and its effect, and what came of it.
    intruder: Option<(Credentials, Vec<Call>)>,
    intruded: Vec<Outcome>,
    /// How many races a violation has lost.
    races: usize,
    pub(crate) quotas: BTreeMap<u32, Quota>,
    /// Where the time comes from, if not from counting.
    time: Option<Clock>,
    violation: Option<Violation>,
    /// The way that the present call takes.
    pub(crate) route: Option<Route>,
}

/// A file system, in memory or on an image. Clones are the same file system.
#[derive(Clone, Debug)]
pub struct Fs(Arc<Mutex<State>>);

/// How many blocks a file system in memory has in its cache: 16 MiB.
const CACHE: usize = 4096;
/// How many blocks its metadata areas have at least: room for the names and files that tests make.
const AREA: u64 = 1024;

impl Fs {
    /// An empty file system in memory, with so many blocks of [`BLOCK`] bytes for data. Its time is the number of changes so far,
    /// so that the same calls give the same times.
    pub fn new(blocks: usize) -> Self {
        Self::with(blocks, None, None)
    }

    /// The same, but it breaks one clause.
    pub fn breaking(blocks: usize, violation: Violation) -> Self {
        Self::with(blocks, Some(violation), None)
    }

    /// The same as [`Self::new`], with times from a clock.
    pub fn timed(blocks: usize, clock: Clock) -> Self {
        Self::with(blocks, None, Some(clock))
    }

    fn with(blocks: usize, violation: Option<Violation>, time: Option<Clock>) -> Self {
        let area = share(blocks as u64).max(AREA);
        let mut disk = VolatileDisk::new(MemoryDisk::new(Layout::around(blocks as u64, area)));
        let now = time.map_or(0, |clock| clock());
        let options = Options { area_blocks: Some(area), time: now, ..Options::default() };
        let found = make(&mut disk, &options).expect("memory has no errors, and the areas are large enough");
        Self::begin(Box::new(disk), found, CACHE, false, (violation, time))
    }

    /// Mounts the image in a file or on a block device, with `cache` bytes of it in memory at most. The image is
    /// locked: no other process can open it. What is not committed when the last clone goes is lost, as with the power.
    ///
    /// Fails with what is wrong with the image, and where.
    pub fn open_image(path: &Path, cache: usize, read_only: bool) -> Result<Self, ImageError> {
        let disk = FileDisk::open(path, read_only).map_err(|error| ImageError::io("opening", error))?;
        Self::mount(Box::new(disk), cache, read_only)
    }

    /// Mounts the image on a disk. Mounting writes nothing. Time goes on by counting from the last commit on, unless
    /// [`Self::set_clock`] says otherwise.
    pub fn mount(mut disk: Box<dyn Disk>, cache: usize, read_only: bool) -> Result<Self, ImageError> {
        let found = crate::storage::fsck::open(&mut *disk)?;
        Ok(Self::begin(disk, found, cache / BLOCK, read_only, (None, None)))
    }

    /// Takes times from a clock from now on.
    pub fn set_clock(&self, clock: Clock) {
        self.state().time = Some(clock);
    }

    /// Makes everything durable. Descriptors are of no use any more.
    pub fn unmount(self) -> Result<(), Errno> {
        let mut state = self.state();
        state.descriptors.clear();
        state.volume.commit()
    }

    fn begin(
        disk: Box<dyn Disk>,
        found: (Log, Metadata),
        cache: usize,
        read_only: bool,
        (violation, time): (Option<Violation>, Option<Clock>),
    ) -> Self {
        let mut state = State {
            volume: Volume::new(disk, found, cache, read_only),
            descriptors: Descriptors::default(),
            mappings: BTreeMap::new(),
            registrations: BTreeMap::new(),
            swap_places: BTreeMap::new(),
            intruder: None,
            intruded: Vec::new(),
            races: 0,
            quotas: BTreeMap::new(),
            time,
            violation,
            route: None,
        };
        state.begin_again();
        Self(Arc::new(Mutex::new(state)))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic of another thread in the middle of a call is a bug that its own case reports.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a system call of the suite.
    pub fn call(&self, caller: Caller, call: &Call) -> Outcome {
        self.call_as(caller.credentials(), call)
    }

    /// Makes a system call as somebody. Paths lead from the root.
    pub fn call_as(&self, who: &Credentials, call: &Call) -> Outcome {
        self.state().call(who, call)
    }

    /// Makes two series of system calls at the same time.
    pub fn race(&self, caller: Caller, one: &[Call], other: &[Call]) -> (Vec<Outcome>, Vec<Outcome>) {
        let mut state = self.state();
        if state.has(Quirk::RaceLost) || state.has(Quirk::RaceBusy) {
            return state.lose_race(caller.credentials(), one, other);
        }
        drop(state);
        let make = |calls: &[Call]| calls.iter().map(|call| self.call(caller, call)).collect();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| make(other));
            let first = make(one);
            // A thread that panics is a bug of the model: no outcome at all is one that no case expects.
            (first, second.join().unwrap_or_default())
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

impl View for State {
    fn is_shared(&self, at: Address) -> bool {
        self.volume.is_shared(at)
    }

    fn is_full(&self, uid: u32) -> bool {
        self.volume.free() == 0 || self.at_limit(uid)
    }

    fn is_read_only(&self) -> bool {
        self.volume.read_only
    }
}

impl State {
    pub(crate) fn call(&mut self, who: &Credentials, call: &Call) -> Outcome {
        match call {
            Call::Open { name, flags, mode } => {
                self.open_at(who, name.as_bytes(), *flags, *mode).map(|fd| number(fd.into()))
            }
            Call::Close { fd } => self.close(*fd).map(zero),
            Call::Read { fd, len } => self.read(who, *fd, None, *len).map(Reply::Data),
            Call::Pread { fd, offset, len } => self.read(who, *fd, Some(*offset), *len).map(Reply::Data),
            Call::Write { fd, data } => self.write(who, *fd, None, data, false).map(length),
            Call::Pwrite { fd, offset, data } => self.write(who, *fd, Some(*offset), data, false).map(length),
            Call::Pwritev { fd, offset, parts, append } => {
                self.write(who, *fd, Some(*offset), &parts.concat(), *append).map(length)
            }
            Call::Seek { fd, offset, whence } => self.seek(who, *fd, *offset, *whence).map(number),
            Call::Fsync { fd } => self.sync(who, *fd).map(zero),
            Call::Ftruncate { fd, size } => self.ftruncate(who, *fd, *size).map(zero),
            Call::Truncate { name, size } => self.truncate_at(who, name.as_bytes(), *size).map(zero),
            Call::Fallocate { fd, mode, offset, len } => self.fallocate(who, *fd, *mode, *offset, *len).map(zero),
            Call::CopyRange { from, from_offset, to, to_offset, len } => {
                self.copy_range(who, (*from, *from_offset), (*to, *to_offset), *len).map(length)
            }
            Call::PwriteAtomic { fd, offset, data } => self.write_atomic(who, *fd, *offset, data).map(length),
            Call::Dedupe { from, to, len } => self.dedupe(who, *from, *to, *len).map(length),
            Call::Exchange { one, other } => self.exchange_contents(who, *one, *other).map(zero),
            Call::Snapshot => self.snapshot(who).map(zero),
            Call::Defragment { fd } => self.defragment(who, *fd).map(zero),
            Call::Via { route, call } => self.by(who, *route, call),
            Call::Collect => {
                self.collect();
                Ok(number(0))
            }
            Call::Shrink { size } => self.shrink(who, *size).map(zero),
            Call::RemoveDevice | Call::ReplaceDevice => self.evacuate(who).map(zero),
            Call::Register { map } => self.register(who, *map).map(|id| number(id as i64)),
            Call::Unregister { registration } => self.unregister(*registration).map(zero),
            Call::DeviceStore { registration, offset, data } => {
                self.device_stores(*registration, *offset, data).map(zero)
            }
            Call::DeviceLoad { registration, offset, len } => {
                self.device_loads(*registration, *offset, *len).map(Reply::Data)
            }
            Call::Cycle => self.cycle().map(zero),
            Call::PowerLoss { during } => self.power_loss(who, during.as_deref()).map(zero),
            Call::Clone { from, to } => self.clone_file(who, *from, *to).map(zero),
            Call::CloneRange { from, from_offset, to, to_offset, len } => {
                let (source, target) = ((*from, from_offset.cast_unsigned()), (*to, to_offset.cast_unsigned()));
                self.clone_range(who, source, target, len.cast_unsigned()).map(zero)
            }
            Call::Map { fd, len, shared, write } => {
                self.map(who, *fd, *len, *shared, *write).map(|id| number(id as i64))
            }
            Call::Load { map, offset, len } => self.load(*map, *offset, *len).map(Reply::Data),
            Call::Store { map, offset, data } => self.store_through(*map, *offset, data).map(zero),
            Call::Unmap { map } => self.unmap(*map).map(zero),
            Call::Unlink { name } => {
                self.unlink_at(who, name.as_bytes())?;
                if self.has(Quirk::MoveOnUnlink) {
                    self.relocate_sealed();
                }
                Ok(number(0))
            }
            Call::Rename { from, to, exchange } => {
                let flags = if *exchange { RENAME_EXCHANGE } else { 0 };
                self.rename_at(who, from.as_bytes(), to.as_bytes(), flags).map(zero)
            }
            Call::RenameNew { from, to } => {
                self.rename_at(who, from.as_bytes(), to.as_bytes(), RENAME_NOREPLACE).map(zero)
            }
            Call::Link { from, to } => self.link_at(who, from.as_bytes(), to.as_bytes()).map(zero),
            Call::Symlink { target, name } => {
                self.symlink_at(who, target.as_bytes(), name.as_bytes()).map(|_| number(0))
            }
            Call::Mkdir { name, mode } => {
                self.make_at(who, name.as_bytes(), Making::of(Kind::Directory, *mode)).map(|_| number(0))
            }
            // Only file systems that have subvolumes say what a subvolume is.
            Call::Subvolume { name } => {
                self.make_at(who, name.as_bytes(), Making::of(Kind::Directory, 0o700)).map(|_| number(0))
            }
            Call::Rmdir { name } => self.rmdir_at(who, name.as_bytes()).map(zero),
            Call::Mkfifo { name } => {
                self.make_at(who, name.as_bytes(), Making::of(Kind::Fifo, 0o600)).map(|_| number(0))
            }
            Call::Chmod { name, mode } => {
                self.change_at(who, name, Changes { mode: Some(*mode), ..Changes::default() }).map(zero)
            }
            Call::Chown { name, uid: u32::MAX, gid: u32::MAX } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                self.chown_to_nobody(who, ino).map(zero)
            }
            Call::Chown { name, uid, gid } => {
                // -1 is no change.
                let given = |id: u32| Some(id).filter(|id| *id != u32::MAX);
                self.change_at(who, name, Changes { uid: given(*uid), gid: given(*gid), ..Changes::default() })
                    .map(zero)
            }
            Call::Utimes { name, atime, mtime } => {
                let at = |seconds: i64| Some(SetTime::At(i128::from(seconds) * 1_000_000_000));
                self.change_at(who, name, Changes { atime: at(*atime), mtime: at(*mtime), ..Changes::default() })
                    .map(zero)
            }
            Call::SetXattr { name, key, value } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                self.set_xattr(who, ino, key.as_bytes(), value, 0).map(zero)
            }
            Call::RemoveXattr { name, key } => {
                let ino = self.resolve(who, name.as_bytes(), true)?;
                self.remove_xattr(who, ino, key.as_bytes()).map(zero)
            }
            Call::Stat { fd } => self.stat(*fd).map(|stat| Reply::Stat(Box::new(stat))),
            Call::GetXflags { fd } => self.xflags(who, *fd).map(|flags| number(flags.into())),
            Call::ChangeXflags { fd, set, clear } => self.change_xflags(who, *fd, *set, *clear).map(zero),
            Call::ChangeFlags { fd, set, clear } => self.change_flags(who, *fd, *set, *clear).map(zero),
            Call::FreeSpace => Ok(length(self.volume.free() * BLOCK)),
            Call::SetQuota { uid, bytes } => self.limit(who, *uid, *bytes).map(zero),
            Call::Remount { read_only } => self.remount(*read_only).map(zero),
            Call::Swapon { fd } => self.swapon(who, *fd).map(zero),
            Call::Swapoff { fd } => self.swapoff(who, *fd).map(zero),
            Call::SwapOut { fd, data } => self.swap_out(*fd, data).map(zero),
            Call::SwapIn { fd, len } => self.swap_in(*fd, *len).map(Reply::Data),
            // An ioctl of another file system.
            Call::Pin { .. } => Err(Errno::ENOTTY),
        }
    }

    /// The power goes, perhaps during a call, and comes back.
    fn power_loss(&mut self, who: &Credentials, during: Option<&Call>) -> Result<(), Errno> {
        if let Some(call) = during {
            self.volume.losing_power = true;
            // The caller does not live to see the outcome.
            let _ = self.call(who, call);
            self.volume.losing_power = false;
        }
        self.lose_power()
    }

    fn series(&mut self, who: &Credentials, calls: &[Call]) -> Vec<Outcome> {
        calls.iter().map(|call| self.call(who, call)).collect()
    }

    /// What violations make of a race: all calls of one side happen between the check of a call of the other side and
    /// its effect. Which side and which call it is changes from race to race.
    fn lose_race(&mut self, who: &Credentials, one: &[Call], other: &[Call]) -> (Vec<Outcome>, Vec<Outcome>) {
        let turn = self.races;
        self.races += 1;
        let (torn, whole) = if turn.is_multiple_of(2) { (other, one) } else { (one, other) };
        let (before, rest) = torn.split_at(turn / 2 % torn.len());
        let mut outcomes = self.series(who, before);
        self.intruder = Some((who.clone(), whole.into()));
        outcomes.extend(self.series(who, rest));
        let intruded = match self.intruder.take() {
            // Nothing was carried out that it could come into.
            Some(_) => self.series(who, whole),
            None => std::mem::take(&mut self.intruded),
        };
        if turn.is_multiple_of(2) { (intruded, outcomes) } else { (outcomes, intruded) }
    }

    fn change_at(&mut self, who: &Credentials, path: &str, changes: Changes) -> Result<(), Errno> {
        let ino = self.resolve(who, path.as_bytes(), true)?;
        self.set_attributes(who, ino, None, changes)
    }

    /// A call made in another way: it comes to the same, but for violations.
    fn by(&mut self, who: &Credentials, route: Route, call: &Call) -> Outcome {
        let broken = self.violation.as_ref().filter(|v| matches!(v.how, How::Way(way, _) if way == route));
        match (broken.map(|v| v.clause), call) {
            // No rule is asked about a store: it is lost.
            (Some(_), Call::Store { .. }) => return Ok(number(0)),
            // No registration is refused by a rule.
            (Some(clause), Call::Register { .. }) if clause == &iomap_clauses::HOLD_REFUSAL => {
                return Err(Errno::ETXTBSY);
            }
            (Some(clause), _) if clause == &iomap_clauses::AGENT_WRITES => self.relocate_all(true),
            _ => {}
        }
        let outer = self.route.replace(route);
        let outcome = self.call(who, call);
        self.route = outer;
        if let (Route::Flush, Call::Store { map, offset, data }, Ok(_)) = (route, call, &outcome) {
            self.flush(*map, *offset, data.len())?;
        }
        outcome
    }

    /// Asks the rules, and carries the request out if they let it through.
    pub(crate) fn guarded<T: Default>(
        &mut self,
        who: &Credentials,
        ino: Ino,
        writable: bool,
        op: Op,
        act: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let file = self.inode(ino);
        let request = Request { op, file, fs: self, who, writable };
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
            Some(How::Way(route, answer)) if self.route == Some(route) || self.is_registered_by(ino, route) => {
                self.answer(ino, answer, act)
            }
            Some(How::Quirk(_) | How::Way(..)) | None => self.answer(ino, rule.answer, act),
        }
    }

    /// Asks the rules about several files, and carries the request out if they let it through for all.
    pub(crate) fn guarded_all(
        &mut self,
        who: &Credentials,
        files: &[Ino],
        op: Op,
        act: &mut dyn FnMut(&mut Self) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        match files.split_first() {
            None => act(self),
            Some((file, rest)) => self.guarded(who, *file, true, op, |fs| fs.guarded_all(who, rest, op, act)),
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
                if let Some((who, calls)) = self.intruder.take() {
                    self.intruded = self.series(&who, &calls);
                    if self.has(Quirk::RaceBusy) {
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
            let others = self.volume.inodes.iter().filter(|(other, _)| **other != ino);
            let places: Vec<Address> = others.flat_map(|(_, file)| file.map.addresses()).collect();
            places.into_iter().filter_map(|at| self.volume.store.zero(at).err()).for_each(drop);
        }
        if self.has(Quirk::RefusalWaits) {
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
        if self.has(Quirk::MoveOnRefusal) {
            self.volume.relocate(ino);
        }
    }

    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.violation.as_ref().is_some_and(|v| v.how == How::Quirk(quirk))
    }

    pub(crate) fn descriptor(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        self.descriptors.get(fd).ok_or(Errno::EBADF)
    }

    pub(crate) fn inode(&self, ino: Ino) -> &Inode {
        // Names, descriptors and mappings refer to inodes that exist: `release_unused` removes only the others.
        &self.volume.inodes[&ino]
    }

    pub(crate) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.volume.inodes.existing(ino)
    }

    /// The inode, for counting what refers to it: nothing that is stored.
    pub(crate) fn held_mut(&mut self, ino: Ino) -> &mut Inode {
        self.volume.inodes.untracked(ino).expect("names, descriptors and mappings refer to inodes that exist")
    }

    /// The next moment. Without a clock no two changes happen at the same time.
    pub(crate) fn now(&mut self) -> i128 {
        self.volume.clock = self.time.map_or(self.volume.clock + 1, |clock| clock());
        self.volume.clock
    }

    /// The moment that it is: looking at something takes no time.
    pub(crate) fn present(&self) -> i128 {
        self.time.map_or(self.volume.clock, |clock| clock())
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
