//! The context of a case: the calls that it makes, and the files that it uses until it ends.

use crate::case::file::File;
use crate::case::prepare::{make_by, make_pinned, make_written, open, pattern, setup};
use crate::case::situated::{AHEAD, Unfit};
use crate::case::trace::{Recorder, Trace};
use crate::mechanism::{BLOCK_LEN, DEVICE, Mechanism, SIZE};
use crate::situation::axes::{Holders, Names, Past, Situation};
use crate::system::{CLOSED, Outcomes, Ready, StorageAgent, System};
use crate::verdict::{Observation, Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::{Clause, Errno};
use iomap_reference::{Call, Caller, Fd, MapId, Mode, Outcome, Reply, Stat};
use nix::fcntl::OFlag;
use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

/// One run of one case.
pub(crate) struct Context<'a> {
    pub(crate) system: Recorder<'a>,
    pub(super) mechanism: Mechanism,
    pub(super) cleanup: RefCell<Vec<Undo>>,
    /// The clause of the case; without one, nothing is judged.
    pub(super) clause: Option<&'a Clause>,
    /// The number of files so far that are not sealed and were asked for the same.
    pub(super) twins: Cell<usize>,
    /// The situation in which the case runs.
    pub(super) situation: Situation,
    /// The values of the situation that had an effect so far.
    pub(super) applied: Cell<Situation>,
    /// Whether the company of the situation is there.
    pub(super) accompanied: Cell<bool>,
    /// Whether the calls at this moment are those of the preparation.
    pub(super) preparing: Cell<bool>,
    /// A file that was made before the case began.
    pub(super) made_ahead: RefCell<Option<Ready>>,
    /// The names that the situation has removed.
    pub(super) gone: RefCell<Vec<String>>,
    /// The descriptors that the situation has opened in its own way.
    pub(super) opened: RefCell<Vec<Fd>>,
    /// The reason why the case cannot run in the situation.
    pub(super) unfit: RefCell<Option<Unfit>>,
}

/// An action to undo when the case ends.
pub(super) enum Undo {
    Unmap(MapId),
    Retire(Ready),
    Close(Fd),
    Remount,
    Limit(u32),
    Unregister(MapId),
    Swapoff(Fd),
}

impl Undo {
    /// The file that is taken care of.
    pub(super) fn file(&self) -> Option<&Ready> {
        match self {
            Self::Retire(ready) => Some(ready),
            _ => None,
        }
    }
}

impl<'a> Context<'a> {
    /// A run of a case on a system with a mechanism. `trace` records its calls.
    pub(crate) fn new(system: &'a dyn System, mechanism: Mechanism, trace: Trace) -> Self {
        let system = Recorder::new(system, trace);
        Self {
            system,
            mechanism,
            cleanup: RefCell::default(),
            clause: None,
            twins: Cell::default(),
            situation: Situation::PLAIN,
            applied: Cell::new(Situation::PLAIN),
            accompanied: Cell::default(),
            preparing: Cell::default(),
            made_ahead: RefCell::default(),
            gone: RefCell::default(),
            opened: RefCell::default(),
            unfit: RefCell::default(),
        }
    }

    /// The same run in this situation.
    pub(crate) fn within(mut self, situation: Situation) -> Self {
        self.situation = situation;
        self
    }

    /// The same run, judged by this clause.
    pub(crate) fn about(mut self, clause: &'a Clause) -> Self {
        self.clause = Some(clause);
        self
    }

    /// Whether the case is about this clause.
    pub(crate) fn is_about(&self, clause: &Clause) -> bool {
        self.clause.is_some_and(|mine| mine.id == clause.id)
    }

    /// The mappings that last until the case ends.
    pub(super) fn mappings(&self) -> Vec<MapId> {
        let map = |undo: &Undo| if let Undo::Unmap(map) = undo { Some(*map) } else { None };
        self.cleanup.borrow().iter().filter_map(map).collect()
    }

    /// Undoes this when the case ends.
    pub(super) fn undo(&self, undo: Undo) {
        self.cleanup.borrow_mut().push(undo);
    }

    /// Ends the case unless the mechanism is the specified call. `reason` completes "seal has …, the mechanism has
    /// not".
    pub(crate) fn needs_seal(&self, reason: &str) -> Result<(), Trouble> {
        match self.mechanism {
            Mechanism::Seal => Ok(()),
            other => Err(Trouble::NotOffered(format!("{}: no {reason}", other.name()))),
        }
    }

    /// Ends the case unless the mechanism has a query for the state. Returns the bit that the query shows.
    pub(crate) fn needs_query(&self) -> Result<u32, Trouble> {
        let why = || Trouble::NotOffered(format!("{}: no call asks a file for the state", self.mechanism.name()));
        self.mechanism.state_bit().ok_or_else(why)
    }

    /// Ends the case unless statx(2) shows the state. Returns the bit.
    pub(crate) fn needs_statx(&self) -> Result<u64, Trouble> {
        let why = || Trouble::NotOffered(format!("{}: statx(2) does not show the state", self.mechanism.name()));
        let bit = self.mechanism.statx_bit().ok_or_else(why)?;
        self.reach(&Call::Statx { name: String::new(), mask: false }).map(|()| bit)
    }

    /// Makes a call that has to succeed; a failure ends the case with an error.
    pub(crate) fn setup(&self, call: &Call) -> Result<Reply, Trouble> {
        self.concerns(call);
        let done = setup(&self.system, call);
        for errno in [Errno::ENOSPC, Errno::EDQUOT] {
            if matches!(&done, Err(Trouble::Setup(why)) if why.ends_with(&words::failure(errno))) {
                self.failed(errno);
            }
        }
        done
    }

    /// Like [`Self::setup`], for a call that returns a number.
    pub(crate) fn setup_number(&self, call: &Call) -> Result<i64, Trouble> {
        match self.setup(call)? {
            Reply::Number(number) => Ok(number),
            other => Err(Trouble::Setup(format!("{call} = {}", words::reply(&other)))),
        }
    }

    pub(crate) fn setup_data(&self, call: &Call) -> Result<Vec<u8>, Trouble> {
        match self.setup(call)? {
            Reply::Data(data) => Ok(data),
            other => Err(Trouble::Setup(format!("{call} = {}", words::reply(&other)))),
        }
    }

    /// Opens a file for the rest of the case.
    pub(crate) fn open(&self, name: &str, flags: OFlag) -> Result<Fd, Trouble> {
        self.concerns(&Call::Open { name: name.into(), flags, mode: 0 });
        let fd = open(&self.system, name, flags)?;
        self.undo(Undo::Close(fd));
        Ok(fd)
    }

    /// Opens a device or a socket for the rest of the case.
    pub(crate) fn special(&self, socket: bool) -> Result<Fd, Trouble> {
        let fd = self.setup_number(&Call::Special { socket })? as Fd;
        self.undo(Undo::Close(fd));
        Ok(fd)
    }

    /// A plain file beside the one that the case is about: outside of the state, all written and on storage.
    pub(crate) fn beside(&'a self, name: &str, size: i64) -> Result<File<'a>, Trouble> {
        let made = make_written(&self.system, self.mechanism, name, &self.head(), size);
        if let Err(Trouble::Setup(_)) = &made {
            self.failed(Errno::ENOSPC);
            self.failed(Errno::EDQUOT);
        }
        Ok(self.holding(made?))
    }

    /// Takes care of a file: it is taken out of the state and closed when the case ends.
    pub(super) fn holding(&'a self, ready: Ready) -> File<'a> {
        self.undo(Undo::Retire(ready.clone()));
        File { context: self, ready }
    }

    /// An empty file with its descriptors, after `prepare` has changed it.
    pub(crate) fn make(&self, name: &str, prepare: impl FnOnce(Fd) -> Result<(), Trouble>) -> Result<Ready, Trouble> {
        self.drop_ahead()?;
        // The file that the case is about.
        let subject = name == AHEAD;
        if subject && !self.accompanied.get() {
            self.step(|| self.join())?;
        }
        let temporary = subject && self.situation.names == Names::Temporary;
        let prepare = |fd| {
            if temporary {
                self.step(|| self.given_its_name(fd, name))?;
            }
            if subject {
                self.former_life(name, fd)?;
            }
            prepare(fd)
        };
        let how = if temporary { OFlag::O_TMPFILE } else { OFlag::O_CREAT | OFlag::O_EXCL };
        let ready = make_by(&self.system, self.mechanism, name, how, prepare)?;
        self.undo(Undo::Retire(ready.clone()));
        Ok(ready)
    }

    /// A file of [`SIZE`] bytes in the state.
    pub(crate) fn sealed(&'a self) -> Result<File<'a>, Trouble> {
        if self.situation.is_plain()
            && let Some((ready, _)) = self.system.ready()
        {
            return Ok(self.holding(ready));
        }
        match self.mechanism {
            Mechanism::DeviceDax => self.device(),
            _ => self.sealed_as("file"),
        }
    }

    /// Like [`Self::sealed`], with a name; a device has no other name.
    pub(crate) fn sealed_as(&'a self, name: &str) -> Result<File<'a>, Trouble> {
        if self.mechanism == Mechanism::F2fsPin {
            return Ok(self.holding(make_pinned(&self.system, name, SIZE)?));
        }
        self.sealed_file(name, self.size())
    }

    /// The device, which is always in the state, with the contents of a new file.
    fn device(&'a self) -> Result<File<'a>, Trouble> {
        let open = |flags| open(&self.system, DEVICE, flags);
        // A device cannot be opened with O_DIRECT: EINVAL.
        let [fd, direct] = [open(OFlag::O_RDWR)?, open(OFlag::O_RDWR)?];
        let (append, reader) = (open(OFlag::O_RDWR | OFlag::O_APPEND)?, open(OFlag::O_RDONLY)?);
        let file = self.holding(Ready { name: DEVICE.into(), fd, append, direct, reader });
        let map =
            self.setup_number(&Call::Map { fd, len: file.at(SIZE) as usize, shared: true, write: true })? as MapId;
        self.setup(&Call::Store { map, offset: file.at(0) as usize, data: pattern(1, SIZE) })?;
        self.setup(&Call::Unmap { map })?;
        Ok(file)
    }

    /// Writes to another file, so that freed storage is used again. Returns the data.
    pub(crate) fn churn(&self) -> Result<Vec<u8>, Trouble> {
        let data = pattern(77, 16 * BLOCK_LEN);
        let fd = self.open("churn", OFlag::O_RDWR | OFlag::O_CREAT)?;
        self.setup(&Call::Pwrite { fd, offset: 0, data: data.clone() })?;
        self.setup(&Call::Fsync { fd })?;
        Ok(data)
    }

    /// Checks that the file of [`Self::churn`] still has its contents on storage.
    pub(crate) fn churn_intact(&self, data: &[u8]) -> Result<Observed, Trouble> {
        let fd = self.open("churn", OFlag::O_RDONLY | OFlag::O_DIRECT)?;
        let read = self.system.call(Caller::Privileged, &Call::Pread { fd, offset: 0, len: data.len() });
        Ok(self.fact("a file written in between has its own data", read == Ok(Reply::Data(data.into()))))
    }

    /// Allocates all free space, to the last block. Returns the descriptor of the file that has it.
    pub(super) fn fill(&self) -> Result<Fd, Trouble> {
        let fd = open(&self.system, "filler", OFlag::O_RDWR | OFlag::O_CREAT)?;
        // The limit includes the space reserved for root and for metadata.
        let (limit, mut offset) = (2 * self.free_space()? + (1 << 30), 0);
        // Write last: a write can find a block even if an allocation, which needs more, fails.
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
                    Err(Errno::ENOSPC | Errno::EDQUOT) => break,
                    Err(errno) => return Err(Trouble::Setup(format!("{call} = {}", words::failure(errno)))),
                }
            }
        }
        Ok(fd)
    }

    /// Allocates all free space until the case ends.
    pub(crate) fn full(&self) -> Result<(), Trouble> {
        self.fill().map(|fd| self.undo(Undo::Close(fd)))
    }

    /// Access to the present storage of an open file.
    pub(crate) fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
        // Unregistering makes the pages dirty too, some time later.
        let registers = matches!(self.situation.holders, Holders::Registration | Holders::Registrations)
            || self.situation.past == Past::Device;
        if registers && self.system.writes_registered_pages() {
            self.does_not_fit("writeback stores the pages of a registration after the agent (agent.writes)");
        }
        self.system.agent(fd)
    }

    /// The free space of the file system, in bytes.
    pub(crate) fn free_space(&self) -> Result<i64, Trouble> {
        self.setup_number(&Call::FreeSpace)
    }

    /// The time after which an effect does not come any more.
    pub(crate) fn patience(&self) -> Duration {
        self.system.patience()
    }

    /// Waits until a condition is true, because some effects come after the return of a call.
    pub(crate) fn eventually(&self, mut is_so: impl FnMut() -> Result<bool, Trouble>) -> Result<bool, Trouble> {
        let deadline = Instant::now() + self.patience();
        while !is_so()? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            std::thread::yield_now();
        }
        Ok(true)
    }

    /// Waits until a change would get later times than these.
    pub(crate) fn tick(&self, since: &Stat) {
        self.system.tick(since.mtime.max(since.ctime));
    }

    /// Makes a call, and returns its outcome to the case.
    pub(crate) fn attempt(&self, call: &Call) -> Result<Outcome, Trouble> {
        self.reach(call)?;
        self.concerns(call);
        Ok(self.system.call(Caller::Privileged, call))
    }

    /// The same, and the time that it took. A registration that the call waits for ends after some seconds.
    pub(crate) fn attempt_beside_registrations(&self, call: &Call) -> Result<(Outcome, Duration), Trouble> {
        self.reach(call)?;
        self.concerns(call);
        let begin = Instant::now();
        let outcome = self.system.call_beside_registrations(call, self.system.patience());
        Ok((outcome, begin.elapsed()))
    }

    /// Makes two series of calls at the same time. Mappings of the first series last until the case ends.
    pub(crate) fn race(&self, one: &[Call], other: &[Call]) -> Result<Outcomes, Trouble> {
        one.iter().chain(other).try_for_each(|call| self.reach(call))?;
        one.iter().chain(other).for_each(|call| self.concerns(call));
        let outcomes = self.system.race(one, other)?;
        for made in one.iter().zip(&outcomes.0) {
            if let (Call::Map { .. }, Ok(Reply::Number(id))) = made {
                self.undo(Undo::Unmap(*id as MapId));
            }
        }
        Ok(outcomes)
    }

    /// A loss of power, perhaps during a call. No file is open afterwards.
    pub(crate) fn power_loss(&self, during: Option<Call>) -> Result<(), Trouble> {
        let call = Call::PowerLoss { during: during.map(Box::new) };
        self.reach(&call)?;
        self.setup(&call).map(|_| ())
    }

    /// Ends the case unless the file system can make two files share storage.
    pub(crate) fn needs_sharing(&self) -> Result<(), Trouble> {
        self.reach(&Call::Clone { from: CLOSED, to: CLOSED })?;
        let names = ["sharing-source", "sharing-target"];
        let [from, to] = names.map(|name| self.open(name, OFlag::O_RDWR | OFlag::O_CREAT));
        let (from, to) = (from?, to?);
        self.setup(&Call::Pwrite { fd: from, offset: 0, data: pattern(3, BLOCK_LEN) })?;
        let shared = self.system.call(Caller::Privileged, &Call::Clone { from, to });
        // They would keep the file system from being unmounted before the case begins.
        [from, to].into_iter().try_for_each(|fd| self.close(fd))?;
        names.into_iter().try_for_each(|name| self.setup(&Call::Unlink { name: name.into() }).map(drop))?;
        match shared {
            Ok(_) => Ok(()),
            Err(Errno::EOPNOTSUPP) => Err(Trouble::NotOffered("the file system cannot share storage".into())),
            Err(errno) => Err(Trouble::Setup(format!("FICLONE: {}", words::name(errno)))),
        }
    }

    /// Makes the mount read-only until the case ends. No descriptor may be open for writing.
    pub(crate) fn read_only_mount(&self) -> Result<(), Trouble> {
        self.setup(&Call::Remount { read_only: true })?;
        self.undo(Undo::Remount);
        Ok(())
    }

    /// Limits the space for the files of a user, in bytes, until the case ends. The limit has to be reached already:
    /// `more` is a call that takes more space for that user, and must fail.
    pub(crate) fn limit(&self, uid: u32, bytes: u64, more: &Call) -> Result<(), Trouble> {
        self.setup(&Call::SetQuota { uid, bytes })?;
        self.undo(Undo::Limit(uid));
        match self.system.call(Caller::Unprivileged, more) {
            Err(Errno::EDQUOT) => Ok(()),
            other => Err(Trouble::NotOffered(format!("no limit is kept: {more} = {}", words::outcome(&other)))),
        }
    }

    /// Makes a call, and observes its outcome only, not a file.
    pub(crate) fn observe(&self, call: &Call) -> Seen {
        self.observe_as(self.caller(call), call)
    }

    /// Like [`Self::observe`], as this caller.
    pub(crate) fn observe_as(&self, caller: Caller, call: &Call) -> Seen {
        self.reach(call)?;
        self.concerns(call);
        let outcome = self.system.call(caller, call);
        if let (Call::Open { .. }, Ok(Reply::Number(fd))) = (call, &outcome) {
            self.undo(Undo::Close(*fd as Fd));
        }
        Ok(self.outcome(caller, call, outcome, Vec::new()))
    }

    /// Makes a call whose success the clause assumes. If it fails, the case cannot observe anything; `without` names
    /// the missing feature.
    pub(crate) fn given(&self, call: &Call, without: &str) -> Result<(), Trouble> {
        self.reach(call)?;
        self.concerns(call);
        let refused = |errno| {
            self.failed(errno);
            Trouble::NotOffered(format!("{without}: {call} fails with {}", words::name(errno)))
        };
        self.system.call(Caller::Privileged, call).map(|_| ()).map_err(refused)
    }

    /// An observation of the outcome of a call.
    pub(super) fn outcome(&self, caller: Caller, call: &Call, outcome: Outcome, faults: Vec<String>) -> Observed {
        let excused = |errno: Errno| self.is_other_reason(errno) || self.twins_fail(caller, call, errno);
        let ordinary = outcome.as_ref().err().is_some_and(|errno| excused(*errno));
        let mut seen = self.one(call.to_string(), Some(outcome.err()), faults);
        seen.0.iter_mut().for_each(|one| one.ordinary = ordinary);
        seen
    }

    /// An observation made at this moment.
    pub(crate) fn one(&self, what: String, outcome: Option<Option<Errno>>, faults: Vec<String>) -> Observed {
        Observed(vec![Observation { what, outcome, faults, lacks: self.system.lacks(), ordinary: false }])
    }

    /// Observes a fact that must be true, whatever the envelope says.
    pub(crate) fn fact(&self, what: &str, is_so: bool) -> Observed {
        let faults = if is_so { Vec::new() } else { vec!["it is not so".into()] };
        self.one(what.into(), None, faults)
    }

    /// Ends a case that needs a call which the target cannot make, before it prepares anything.
    pub(crate) fn reach(&self, call: &Call) -> Result<(), Trouble> {
        self.system.reach(call)
    }

    /// The mechanism in use.
    pub(crate) fn mechanism(&self) -> Mechanism {
        self.mechanism
    }
}

impl Drop for Context<'_> {
    fn drop(&mut self) {
        if let Some(ready) = self.made_ahead.take() {
            self.system.retire(self.mechanism, ready);
        }
        // Undo in reverse order: the state before the descriptors. Failures cannot be reported here.
        for undo in self.cleanup.take().into_iter().rev() {
            let call = match undo {
                Undo::Unmap(map) => Call::Unmap { map },
                Undo::Close(fd) => Call::Close { fd },
                Undo::Unregister(registration) => Call::Unregister { registration },
                Undo::Swapoff(fd) => Call::Swapoff { fd },
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
