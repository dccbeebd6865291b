//! What a case works with: files, the calls on them, and what the harness checks around each call.

use crate::case::picture::Picture;
use crate::case::trace::{Recorder, Trace};
use crate::mechanism::Mechanism;
pub use crate::mechanism::{BLOCK_LEN, DEVICE, SIZE};
use crate::system::{Outcomes, Ready};
#[allow(unused_imports)]
pub(crate) use crate::system::{StorageAgent, System};
use crate::verdict::{Observation, Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{Call, Caller, Fd, MapId, Mode, Outcome, Reply, Route, Stat, Whence};
use nix::fcntl::OFlag;
use std::cell::RefCell;
use std::time::Instant;

/// What a successful call may change.
pub enum Effect<'a> {
    /// Nothing, times included.
    Nothing,
    /// The times of the file.
    Times,
    /// The times, and what this does to the picture from before the call.
    Change(&'a dyn Fn(&mut Picture)),
}

/// One run of one case.
pub struct Context<'a> {
    pub(crate) system: Recorder<'a>,
    mechanism: Mechanism,
    cleanup: RefCell<Vec<Undo>>,
}

enum Undo {
    Unmap(MapId),
    Retire(Ready),
    Close(Fd),
    Remount,
    Limit(u32),
    Unregister(MapId),
}

/// Bytes that differ from block to block and from seed to seed.
pub fn pattern(seed: u8, len: i64) -> Vec<u8> {
    // Each block has a period of bytes, which is computed once for it: every case makes patterns.
    const PERIOD: usize = 251;
    let mut bytes = Vec::with_capacity(len as usize);
    for block in 0..(len + BLOCK_LEN - 1) / BLOCK_LEN {
        let first = seed.wrapping_add(block as u8).wrapping_mul(31);
        let period: [u8; PERIOD] = std::array::from_fn(|at| first.wrapping_add(at as u8));
        let end = ((block + 1) * BLOCK_LEN).min(len) as usize;
        while bytes.len() < end {
            let from = bytes.len() % PERIOD;
            let take = (PERIOD - from).min(end - bytes.len());
            bytes.extend_from_slice(&period[from..from + take]);
        }
    }
    bytes
}

impl<'a> Context<'a> {
    /// A run on a system, with a mechanism, whose calls go to `trace`.
    pub fn new(system: &'a dyn System, mechanism: Mechanism, trace: Trace) -> Self {
        Self { system: Recorder::new(system, trace), mechanism, cleanup: RefCell::default() }
    }

    /// For clauses that speak of the specified call only. `reason` completes "seal has …, the mechanism has not".
    pub fn needs_seal(&self, reason: &str) -> Result<(), Trouble> {
        match self.mechanism {
            Mechanism::Seal => Ok(()),
            other => Err(Trouble::NotOffered(format!("{}: no {reason}", other.name()))),
        }
    }

    /// For clauses about the query.
    pub fn needs_query(&self) -> Result<u32, Trouble> {
        let why = || Trouble::NotOffered(format!("{}: no call asks a file for the state", self.mechanism.name()));
        self.mechanism.state_bit().ok_or_else(why)
    }

    /// A call that has to succeed for the case to make sense.
    pub fn setup(&self, call: &Call) -> Result<Reply, Trouble> {
        setup(&self.system, call)
    }

    /// The same where it has to give a number.
    pub fn setup_number(&self, call: &Call) -> Result<i64, Trouble> {
        match self.setup(call)? {
            Reply::Number(number) => Ok(number),
            other => Err(Trouble::Setup(format!("{call} = {}", words::reply(&other)))),
        }
    }

    fn setup_data(&self, call: &Call) -> Result<Vec<u8>, Trouble> {
        match self.setup(call)? {
            Reply::Data(data) => Ok(data),
            other => Err(Trouble::Setup(format!("{call} = {}", words::reply(&other)))),
        }
    }

    /// Opens a file for the rest of the case.
    pub fn open(&self, name: &str, flags: OFlag) -> Result<Fd, Trouble> {
        let fd = open(&self.system, name, flags)?;
        self.cleanup.borrow_mut().push(Undo::Close(fd));
        Ok(fd)
    }

    /// A file of `size` bytes, all written and on storage, and not in the state.
    pub fn file(&'a self, name: &str, size: i64) -> Result<File<'a>, Trouble> {
        Ok(self.holding(make_written(&self.system, self.mechanism, name, size)?))
    }

    /// Looks after a file until the case ends.
    fn holding(&'a self, ready: Ready) -> File<'a> {
        self.cleanup.borrow_mut().push(Undo::Retire(ready.clone()));
        File { context: self, ready }
    }

    /// An empty file with its descriptors, after `prepare` has had it.
    pub fn make(&self, name: &str, prepare: impl FnOnce(Fd) -> Result<(), Trouble>) -> Result<Ready, Trouble> {
        let ready = make(&self.system, self.mechanism, name, prepare)?;
        self.cleanup.borrow_mut().push(Undo::Retire(ready.clone()));
        Ok(ready)
    }

    /// A file of [`SIZE`] bytes in the state.
    pub fn sealed(&'a self) -> Result<File<'a>, Trouble> {
        if let Some((ready, _)) = self.system.ready() {
            return Ok(self.holding(ready));
        }
        match self.mechanism {
            Mechanism::DeviceDax => self.device(),
            _ => self.sealed_as("file"),
        }
    }

    /// The same with a name, which a device does not get.
    pub fn sealed_as(&'a self, name: &str) -> Result<File<'a>, Trouble> {
        if self.mechanism == Mechanism::F2fsPin {
            return Ok(self.holding(make_pinned(&self.system, name, SIZE)?));
        }
        let file = self.file(name, SIZE)?;
        self.setup(&file.enter_call()?)?;
        Ok(file)
    }

    /// The device, which is in the state, with the contents of a new file.
    fn device(&'a self) -> Result<File<'a>, Trouble> {
        let open = |flags| open(&self.system, DEVICE, flags);
        // No device is opened with O_DIRECT: EINVAL.
        let [fd, direct] = [open(OFlag::O_RDWR)?, open(OFlag::O_RDWR)?];
        let (append, reader) = (open(OFlag::O_RDWR | OFlag::O_APPEND)?, open(OFlag::O_RDONLY)?);
        let file = self.holding(Ready { name: DEVICE.into(), fd, append, direct, reader });
        let map =
            self.setup_number(&Call::Map { fd, len: file.at(SIZE) as usize, shared: true, write: true })? as MapId;
        self.setup(&Call::Store { map, offset: file.at(0) as usize, data: pattern(1, SIZE) })?;
        self.setup(&Call::Unmap { map })?;
        Ok(file)
    }

    /// Writes to another file, so that storage that was freed is used again.
    pub fn churn(&self) -> Result<Vec<u8>, Trouble> {
        let data = pattern(77, 16 * BLOCK_LEN);
        let fd = self.open("churn", OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.setup(&Call::Pwrite { fd, offset: 0, data: data.clone() })?;
        self.setup(&Call::Fsync { fd })?;
        Ok(data)
    }

    /// The file that [`Self::churn`] wrote still has its contents on storage.
    pub fn churn_intact(&self, data: &[u8]) -> Result<Observed, Trouble> {
        let fd = self.open("churn", OFlag::O_RDONLY | OFlag::O_DIRECT)?;
        let read = self.system.call(Caller::Privileged, &Call::Pread { fd, offset: 0, len: data.len() });
        Ok(self.fact("a file written in between has its own data", read == Ok(Reply::Data(data.into()))))
    }

    /// Uses up the free space, to the last block.
    pub fn fill(&self) -> Result<(), Trouble> {
        let fd = self.open("filler", OFlag::O_RDWR | OFlag::O_CREAT)?;
        // What is kept back for root and for metadata comes on top.
        let (limit, mut offset) = (2 * self.free_space()? + (1 << 30), 0);
        // A write can find a block where an allocation wants more than that: it comes last.
        for (writes, len) in
            [(false, 64 << 20), (false, 1 << 20), (false, 64 << 10), (false, BLOCK_LEN), (true, BLOCK_LEN)]
        {
            loop {
                if offset > limit {
                    return Err(Trouble::Setup("allocation takes no space".into()));
                }
                let call = match writes {
                    false => Call::Fallocate { fd, mode: Mode::ALLOCATE, offset, len },
                    true => Call::Pwrite { fd, offset, data: pattern(78, len) },
                };
                match self.system.call(Caller::Privileged, &call) {
                    Ok(_) => offset += len,
                    Err(Errno::ENOSPC) => break,
                    Err(errno) => return Err(Trouble::Setup(format!("{call} = {}", words::failure(errno)))),
                }
            }
        }
        Ok(())
    }

    /// Access to the storage of an open file as it is now.
    pub fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
        self.system.agent(fd)
    }

    /// The free space of the file system, in bytes.
    pub fn free_space(&self) -> Result<i64, Trouble> {
        self.setup_number(&Call::FreeSpace)
    }

    /// Waits until something is so. Not everything that a call brings about has happened when it returns.
    pub fn eventually(&self, mut is_so: impl FnMut() -> Result<bool, Trouble>) -> Result<bool, Trouble> {
        let deadline = Instant::now() + self.system.patience();
        while !is_so()? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::yield_now();
        }
        Ok(true)
    }

    /// Waits until what changes now gets later times than these.
    pub fn tick(&self, since: &Stat) {
        self.system.tick(since.mtime.max(since.ctime));
    }

    /// A call after which the case goes on, with what it came to.
    pub fn attempt(&self, call: &Call) -> Result<Outcome, Trouble> {
        self.reach(call)?;
        Ok(self.system.call(Caller::Privileged, call))
    }

    /// Two series of calls at the same time. What the first maps is mapped until the case ends.
    pub fn race(&self, one: &[Call], other: &[Call]) -> Result<Outcomes, Trouble> {
        one.iter().chain(other).try_for_each(|call| self.reach(call))?;
        let outcomes = self.system.race(one, other)?;
        for made in one.iter().zip(&outcomes.0) {
            if let (Call::Map { .. }, Ok(Reply::Number(id))) = made {
                self.cleanup.borrow_mut().push(Undo::Unmap(*id as MapId));
            }
        }
        Ok(outcomes)
    }

    /// A loss of power, perhaps during a call. Nothing is open afterwards.
    pub fn power_loss(&self, during: Option<Call>) -> Result<(), Trouble> {
        let call = Call::PowerLoss { during: during.map(Box::new) };
        self.reach(&call)?;
        self.setup(&call).map(|_| ())
    }

    /// Whether the file system can make two files share storage.
    pub fn needs_sharing(&self) -> Result<(), Trouble> {
        let from = self.open("sharing-source", OFlag::O_RDWR | OFlag::O_CREAT)?;
        let to = self.open("sharing-target", OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.setup(&Call::Pwrite { fd: from, offset: 0, data: pattern(3, BLOCK_LEN) })?;
        let clone = Call::Clone { from, to };
        self.reach(&clone)?;
        match self.system.call(Caller::Privileged, &clone) {
            Ok(_) => Ok(()),
            Err(Errno::EOPNOTSUPP) => Err(Trouble::NotOffered("the file system cannot share storage".into())),
            Err(errno) => Err(Trouble::Setup(format!("FICLONE: {}", words::name(errno)))),
        }
    }

    /// Makes the mount read-only until the case ends. No descriptor may be open for writing.
    pub fn read_only_mount(&self) -> Result<(), Trouble> {
        self.setup(&Call::Remount { read_only: true })?;
        self.cleanup.borrow_mut().push(Undo::Remount);
        Ok(())
    }

    /// Limits what the files of a user may come to until the case ends, in bytes. There has to be nothing left: `more`
    /// is a call that takes some space for that user.
    pub fn limit(&self, uid: u32, bytes: u64, more: &Call) -> Result<(), Trouble> {
        self.setup(&Call::SetQuota { uid, bytes })?;
        self.cleanup.borrow_mut().push(Undo::Limit(uid));
        match self.system.call(Caller::Unprivileged, more) {
            Err(Errno::EDQUOT) => Ok(()),
            other => Err(Trouble::NotOffered(format!("no limit is kept: {more} = {}", words::outcome(&other)))),
        }
    }

    /// A call without a file of its own to look at.
    pub fn observe(&self, call: &Call) -> Seen {
        self.observe_as(Caller::Privileged, call)
    }

    /// The same, as some caller.
    pub fn observe_as(&self, caller: Caller, call: &Call) -> Seen {
        self.reach(call)?;
        let outcome = self.system.call(caller, call);
        if let (Call::Open { .. }, Ok(Reply::Number(fd))) = (call, &outcome) {
            self.cleanup.borrow_mut().push(Undo::Close(*fd as Fd));
        }
        Ok(self.one(call.to_string(), Some(outcome.err()), Vec::new()))
    }

    /// A call that the clause takes for granted. Where it fails there is nothing to observe; `without` says what is
    /// missing then.
    pub fn given(&self, call: &Call, without: &str) -> Result<(), Trouble> {
        self.reach(call)?;
        let refused = |errno| Trouble::NotOffered(format!("{without}: {call} fails with {}", words::name(errno)));
        self.system.call(Caller::Privileged, call).map(|_| ()).map_err(refused)
    }

    /// An observation that was made just now.
    pub fn one(&self, what: String, outcome: Option<Option<Errno>>, faults: Vec<String>) -> Observed {
        Observed(vec![Observation { what, outcome, faults, lacks: self.system.lacks() }])
    }

    /// Something that has to be so, whatever the envelope says.
    pub fn fact(&self, what: &str, is_so: bool) -> Observed {
        let faults = if is_so { Vec::new() } else { vec!["it is not so".into()] };
        self.one(what.into(), None, faults)
    }

    /// For cases that make no sense without a call, before they prepare anything.
    pub fn reach(&self, call: &Call) -> Result<(), Trouble> {
        self.system.reach(call)
    }

    /// Which mechanism is in use.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }
}

fn setup(system: &dyn System, call: &Call) -> Result<Reply, Trouble> {
    system.reach(call)?;
    system.call(Caller::Privileged, call).map_err(|errno| match (call, errno) {
        (Call::Pin { .. }, Errno::EFBIG) => Trouble::NotOffered("f2fs pins a file only while it is empty".into()),
        _ => Trouble::Setup(format!("{call} = {}", words::failure(errno))),
    })
}

fn open(system: &dyn System, name: &str, flags: OFlag) -> Result<Fd, Trouble> {
    match setup(system, &Call::Open { name: name.into(), flags, mode: 0o600 })? {
        Reply::Number(fd) => Ok(fd as Fd),
        other => Err(Trouble::Setup(format!("open = {}", words::reply(&other)))),
    }
}

/// Makes an empty file, gives it to `prepare`, and opens it in every way that a case could want.
fn make(
    system: &dyn System,
    mechanism: Mechanism,
    name: &str,
    prepare: impl FnOnce(Fd) -> Result<(), Trouble>,
) -> Result<Ready, Trouble> {
    let fd = open(system, name, OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL)?;
    // A swap file on btrfs has to be marked before the first byte; elsewhere the attribute does not exist.
    if mechanism == Mechanism::Swapfile {
        let mark = Call::ChangeFlags { fd, set: iomap_reference::FLAG_NOCOW, clear: 0 };
        let _ = system.call(Caller::Privileged, &mark);
    }
    prepare(fd)?;
    others(system, name, fd, OFlag::O_RDWR)
}

/// Opens a file that is open in every other way that a case could want, with the same access.
fn others(system: &dyn System, name: &str, fd: Fd, access: OFlag) -> Result<Ready, Trouble> {
    Ok(Ready {
        name: name.into(),
        fd,
        append: open(system, name, access | OFlag::O_APPEND)?,
        direct: open(system, name, access | OFlag::O_DIRECT)?,
        reader: open(system, name, OFlag::O_RDONLY)?,
    })
}

/// Makes a file of `size` bytes after the mechanism's header, all written and on storage.
pub(crate) fn make_written(system: &dyn System, mechanism: Mechanism, name: &str, size: i64) -> Result<Ready, Trouble> {
    make(system, mechanism, name, |fd| {
        let mut data = mechanism.header();
        data.extend(pattern(1, size));
        if !data.is_empty() {
            setup(system, &Call::Pwrite { fd, offset: 0, data })?;
        }
        setup(system, &Call::Fsync { fd }).map(|_| ())
    })
}

/// Makes a file that was pinned while it was empty, which f2fs wants since Linux 6.9. Its storage comes with
/// fallocate(2), in whole sections; what is written then stays there.
fn make_pinned(system: &dyn System, name: &str, size: i64) -> Result<Ready, Trouble> {
    make(system, Mechanism::F2fsPin, name, |fd| {
        let allocate = Call::Fallocate { fd, mode: Mode::ALLOCATE, offset: 0, len: size };
        let write = Call::Pwrite { fd, offset: 0, data: pattern(1, size) };
        [Call::Pin { fd, on: true }, allocate, write, Call::Fsync { fd }]
            .iter()
            .try_for_each(|call| setup(system, call).map(|_| ()))
    })
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        // Last in, first out; the state goes before the descriptors, and nothing here can be reported any more.
        for undo in self.cleanup.take().into_iter().rev() {
            let call = match undo {
                Undo::Unmap(map) => Call::Unmap { map },
                Undo::Close(fd) => Call::Close { fd },
                Undo::Unregister(registration) => Call::Unregister { registration },
                Undo::Limit(uid) => Call::SetQuota { uid, bytes: 0 },
                Undo::Remount => Call::Remount { read_only: false },
                Undo::Retire(ready) => {
                    self.system.retire(self.mechanism, ready);
                    continue;
                }
            };
            let _ = self.system.call(Caller::Privileged, &call);
        }
    }
}

/// The call that registers a mapping: with io_uring, or in another way.
fn registration(map: MapId, by: Option<Route>) -> Call {
    let call = Call::Register { map };
    match by {
        Some(route) => call.via(route),
        None => call,
    }
}

/// A file of a case. Offsets and sizes count from the end of the mechanism's lead.
pub struct File<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) ready: Ready,
}

impl File<'_> {
    /// A file around descriptors that the case prepared itself.
    pub fn from_ready<'a>(context: &'a Context<'a>, ready: Ready) -> File<'a> {
        File { context, ready }
    }

    /// The name, for calls that take one.
    pub fn name(&self) -> String {
        self.ready.name.clone()
    }

    /// The descriptor for reading and writing.
    pub fn fd(&self) -> Fd {
        self.ready.fd
    }

    /// The descriptor for reading only.
    pub fn reader(&self) -> Fd {
        self.ready.reader
    }

    /// Where an offset of the case lies in the file.
    pub fn at(&self, offset: i64) -> i64 {
        self.context.mechanism.lead() as i64 + offset
    }

    fn size(&self) -> Result<i64, Trouble> {
        Ok(self.stat()?.size as i64)
    }

    /// fstat(2).
    pub fn stat(&self) -> Result<Stat, Trouble> {
        match self.context.setup(&Call::Stat { fd: self.ready.fd })? {
            Reply::Stat(stat) => Ok(*stat),
            other => Err(Trouble::Setup(format!("fstat = {}", words::reply(&other)))),
        }
    }

    /// The call that would bring the file into the state. Where the mechanism wants that, everything about the file is
    /// committed first: attributes, names and owners, too.
    pub fn enter_call(&self) -> Result<Call, Trouble> {
        let call = self.enter_call_uncommitted()?;
        self.commit()?;
        Ok(call)
    }

    /// Commits the changes of the file where the mechanism wants that.
    fn commit(&self) -> Result<(), Trouble> {
        match self.context.mechanism.wants_committed() {
            true => self.context.setup(&Call::Fsync { fd: self.ready.fd }).map(|_| ()),
            false => Ok(()),
        }
    }

    /// As [`Self::enter_call`], but nothing is committed first: for clauses about the changes that the call itself
    /// commits.
    pub fn enter_call_uncommitted(&self) -> Result<Call, Trouble> {
        self.context.mechanism.enter(self.ready.fd, self.size()?)
    }

    /// The call that would take it out.
    pub fn leave_call(&self) -> Result<Call, Trouble> {
        self.context.mechanism.leave(self.ready.fd, self.size()?)
    }

    /// Brings the file into the state: only the times may change.
    pub fn enter(&self) -> Seen {
        self.act(&self.enter_call_uncommitted()?, Effect::Change(&|after| after.state = after.state.map(|_| true)))
    }

    /// Takes it out again: only the times may change.
    pub fn leave(&self) -> Seen {
        self.act(&self.leave_call()?, Effect::Change(&|after| after.state = after.state.map(|_| false)))
    }

    /// Whether the state is shown, through some descriptor.
    pub fn state(&self, fd: Fd) -> Result<bool, Trouble> {
        let bit = self.context.needs_query()?;
        Ok(self.context.setup_number(&Call::GetXflags { fd })? as u32 & bit != 0)
    }

    /// Makes a call and checks everything about the file around it: a call that fails leaves all as it was, a call
    /// that succeeds changes what `effect` says and nothing else.
    pub fn act(&self, call: &Call, effect: Effect) -> Seen {
        self.act_as(Caller::Privileged, call, effect)
    }

    /// The same, as some caller.
    pub fn act_as(&self, caller: Caller, call: &Call, effect: Effect) -> Seen {
        self.context.reach(call)?;
        let before = Picture::take(self)?;
        self.context.tick(&before.stat);
        if matches!(call, Call::Swapon { .. }) {
            // The picture has read the file, which changes its access time.
            self.commit()?;
        }
        let outcome = self.context.system.call(caller, call);
        let after = Picture::take(self)?;
        let faults: Vec<String> = match (&outcome, effect) {
            (Err(_), _) | (Ok(_), Effect::Nothing) => before.differences(&after, true),
            (Ok(_), Effect::Times) => before.differences(&after, false),
            (Ok(_), Effect::Change(change)) => {
                let mut expected = before;
                change(&mut expected);
                expected.differences(&after, false)
            }
        };
        Ok(self.context.one(call.to_string(), Some(outcome.err()), faults))
    }

    /// Makes a call of which nothing may come, whether it is refused or not.
    pub fn refused(&self, call: &Call) -> Seen {
        self.act(call, Effect::Nothing)
    }

    /// pwrite(2) at an offset of the case.
    pub fn write(&self, offset: i64, data: &[u8]) -> Seen {
        self.write_with(Call::Pwrite { fd: self.ready.fd, offset: self.at(offset), data: data.into() }, offset, data)
    }

    /// A call that writes `data` at an offset of the case and nowhere else.
    pub fn write_with(&self, call: Call, offset: i64, data: &[u8]) -> Seen {
        self.act(&call, Effect::Change(&|after| after.patch(offset, data)))
    }

    /// fallocate(2) at an offset of the case: nothing may come of it.
    pub fn fallocate(&self, mode: Mode, offset: i64, len: i64) -> Seen {
        self.refused(&Call::Fallocate { fd: self.ready.fd, mode, offset: self.at(offset), len })
    }

    /// ftruncate(2) to a size of the case: nothing may come of it.
    pub fn truncate(&self, size: i64) -> Seen {
        self.refused(&Call::Ftruncate { fd: self.ready.fd, size: self.at(size) })
    }

    /// Reads through the page cache. A device is not read but mapped.
    pub fn read(&self, offset: i64, len: i64) -> Result<Vec<u8>, Trouble> {
        if self.context.mechanism == Mechanism::DeviceDax {
            let call = Call::Map { fd: self.ready.reader, len: self.size()? as usize, shared: true, write: false };
            let map = self.context.setup_number(&call)? as MapId;
            let call = Call::Load { map, offset: self.at(offset) as usize, len: len as usize };
            let data = self.context.setup_data(&call);
            self.context.setup(&Call::Unmap { map })?;
            return data;
        }
        let call = Call::Pread { fd: self.ready.reader, offset: self.at(offset), len: len as usize };
        self.context.setup_data(&call)
    }

    /// What storage has at an offset of the case, read with O_DIRECT, against what it has to have.
    pub fn holds(&self, offset: i64, data: &[u8]) -> Observed {
        let call = Call::Pread { fd: self.ready.direct, offset: self.at(offset), len: data.len() };
        let faults = match self.context.system.call(Caller::Privileged, &call) {
            Ok(Reply::Data(found)) if found == data => Vec::new(),
            Ok(_) => vec!["it returns something else".into()],
            Err(errno) => vec![format!("it fails with {}", words::name(errno))],
        };
        self.context.one(format!("{call} with O_DIRECT returns the expected data"), None, faults)
    }

    /// The file of this name, opened again after nothing was open any more.
    pub fn reopened<'a>(context: &'a Context<'a>, name: &str) -> Result<File<'a>, Trouble> {
        Self::survivor(context, name)?.ok_or_else(|| Trouble::Setup(format!("{name} is not there any more")))
    }

    /// The same after a loss of power, if the file is there. It is open for writing only where the mechanism lets a file
    /// in the state be opened for that.
    pub fn survivor<'a>(context: &'a Context<'a>, name: &str) -> Result<Option<File<'a>>, Trouble> {
        let access = context.mechanism.access();
        let call = Call::Open { name: name.into(), flags: access, mode: 0 };
        match context.attempt(&call)? {
            Ok(Reply::Number(fd)) => Ok(Some(context.holding(others(&context.system, name, fd as Fd, access)?))),
            Err(Errno::ENOENT) => Ok(None),
            other => Err(Trouble::Setup(format!("{call} = {}", words::outcome(&other)))),
        }
    }

    /// Registers the whole file for a device, by way of a mapping that is gone afterwards.
    pub fn register(&self, by: Option<Route>) -> Result<(Observed, Option<MapId>), Trouble> {
        self.context.reach(&registration(0, by))?;
        let (_, map) = self.map(true, true)?;
        let map = map.ok_or_else(|| Trouble::NotOffered("no shared writable mapping to register".into()))?;
        let registered = self.register_mapping(map, by)?;
        self.context.setup(&Call::Unmap { map })?;
        Ok(registered)
    }

    /// Registers a mapping of the file for a device.
    pub fn register_mapping(&self, map: MapId, by: Option<Route>) -> Result<(Observed, Option<MapId>), Trouble> {
        let call = registration(map, by);
        let outcome = self.context.attempt(&call)?;
        let registration = match outcome {
            Ok(Reply::Number(id)) => Some(id as MapId),
            _ => None,
        };
        if let Some(registration) = registration {
            self.context.cleanup.borrow_mut().push(Undo::Unregister(registration));
        }
        Ok((self.context.one(call.to_string(), Some(outcome.err()), Vec::new()), registration))
    }

    /// Closes every descriptor of the file.
    pub fn close(self) -> Result<(), Trouble> {
        let Ready { fd, append, direct, reader, .. } = self.ready;
        [fd, append, direct, reader].into_iter().try_for_each(|fd| self.context.setup(&Call::Close { fd }).map(|_| ()))
    }

    /// Takes the file out of the state, perhaps later, and closes its descriptors. Its result is not reported.
    pub fn retire(self) {
        self.context.system.retire(self.context.mechanism, self.ready);
    }

    /// Maps the whole file until the case ends, or says what came of it.
    pub fn map(&self, shared: bool, write: bool) -> Result<(Observed, Option<MapId>), Trouble> {
        let fd = if write { self.ready.fd } else { self.ready.reader };
        self.map_by(&Call::Map { fd, len: self.size()? as usize, shared, write })
    }

    /// Makes a call that maps the file, until the case ends.
    pub fn map_by(&self, call: &Call) -> Result<(Observed, Option<MapId>), Trouble> {
        let outcome = self.context.attempt(call)?;
        let map = match &outcome {
            Ok(Reply::Number(id)) => {
                self.context.cleanup.borrow_mut().push(Undo::Unmap(*id as MapId));
                Some(*id as MapId)
            }
            _ => None,
        };
        Ok((self.context.one(call.to_string(), Some(outcome.err()), Vec::new()), map))
    }

    /// Access to the storage of the file as it is now.
    pub fn agent(&self) -> Result<Box<dyn StorageAgent>, Trouble> {
        self.context.agent(self.ready.fd)
    }

    /// The descriptor with O_APPEND.
    pub fn append(&self) -> Fd {
        self.ready.append
    }

    /// The descriptor with O_DIRECT.
    pub fn direct(&self) -> Fd {
        self.ready.direct
    }

    /// The offset of the read-write descriptor.
    pub fn position(&self) -> Result<i64, Trouble> {
        self.context.setup_number(&Call::Seek { fd: self.ready.fd, offset: 0, whence: Whence::Cur })
    }
}
