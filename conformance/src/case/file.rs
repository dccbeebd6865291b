//! A file of a case, and the checks around each call on it.

use crate::case::context::{Context, Undo};
use crate::case::picture::Picture;
use crate::case::prepare::others;
use crate::mechanism::Mechanism;
use crate::system::{CLOSED, Ready, StorageAgent, System};
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{BLOCK, Call, Caller, Fd, MapId, Mode, Reply, Route, Stat, Whence};
use nix::fcntl::OFlag;

/// The changes that a successful call may make.
pub(crate) enum Effect<'a> {
    /// No changes, not even of times.
    Nothing,
    /// The times of the file.
    Times,
    /// Changes of the times, and this change of the picture from before the call.
    Change(&'a dyn Fn(&mut Picture)),
}

/// The call that registers a mapping: with io_uring, or by another route.
fn registration(map: MapId, by: Option<Route>) -> Call {
    let call = Call::Register { map };
    match by {
        Some(route) => call.via(route),
        None => call,
    }
}

/// A file of a case. Offsets and sizes of the case do not count the mechanism's header.
pub(crate) struct File<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) ready: Ready,
}

impl File<'_> {
    /// A file with descriptors that the case prepared itself.
    pub(crate) fn from_ready<'a>(context: &'a Context<'a>, ready: Ready) -> File<'a> {
        File { context, ready }
    }

    /// The name, for calls that take one.
    pub(crate) fn name(&self) -> String {
        self.ready.name.clone()
    }

    /// The descriptor for reading and writing.
    pub(crate) fn fd(&self) -> Fd {
        self.ready.fd
    }

    /// The descriptor for reading only.
    pub(crate) fn reader(&self) -> Fd {
        self.context.further(self.ready.reader)
    }

    /// Descriptors for reading only: the plain one and, while the file has a name and is no device, one with O_DIRECT
    /// and one with O_DSYNC.
    pub(crate) fn readers(&self) -> Result<Vec<Fd>, Trouble> {
        let named = !self.context.gone.borrow().contains(&self.ready.name);
        let others = named && self.context.mechanism != Mechanism::DeviceDax;
        let further = [OFlag::O_DIRECT, OFlag::O_DSYNC].into_iter().filter(|_| others);
        let further = further.map(|flag| self.context.open(&self.ready.name, OFlag::O_RDONLY | flag));
        std::iter::once(Ok(self.reader())).chain(further).collect()
    }

    /// Closes every descriptor, and opens one for reading.
    pub(crate) fn only_reader(self) -> Result<Fd, Trouble> {
        let (context, name) = (self.context, self.name());
        self.close()?;
        context.open(&name, OFlag::O_RDONLY)
    }

    /// A descriptor that reads.
    fn reads(&self) -> Fd {
        if self.ready.reader == CLOSED { self.ready.fd } else { self.ready.reader }
    }

    /// The offset in the file for an offset of the case.
    pub(crate) fn at(&self, offset: i64) -> i64 {
        self.context.lead() + offset
    }

    /// The length of the part in which the case acts.
    pub(crate) fn len(&self) -> i64 {
        self.context.size()
    }

    fn size(&self) -> Result<i64, Trouble> {
        Ok(self.stat()?.size as i64)
    }

    /// fstat(2).
    pub(crate) fn stat(&self) -> Result<Stat, Trouble> {
        match self.context.setup(&Call::Stat { fd: self.ready.fd })? {
            Reply::Stat(stat) => Ok(*stat),
            other => Err(Trouble::Setup(format!("fstat = {}", words::reply(&other)))),
        }
    }

    /// The call that would bring the file into the state. If the mechanism needs it, all changes of the file are
    /// committed first, including attributes, names and owners.
    pub(crate) fn enter_call(&self) -> Result<Call, Trouble> {
        let call = self.enter_call_uncommitted()?;
        self.commit()?;
        Ok(call)
    }

    /// Commits the changes of the file, if the mechanism needs that.
    fn commit(&self) -> Result<(), Trouble> {
        match self.context.mechanism.wants_committed() {
            true => self.context.setup(&Call::Fsync { fd: self.ready.fd }).map(|_| ()),
            false => Ok(()),
        }
    }

    /// Like [`Self::enter_call`], without the commit: for clauses about the changes that the call itself commits.
    pub(crate) fn enter_call_uncommitted(&self) -> Result<Call, Trouble> {
        self.context.mechanism.enter(self.ready.fd, self.size()?)
    }

    /// The call that would take the file out of the state.
    pub(crate) fn leave_call(&self) -> Result<Call, Trouble> {
        self.context.leaves();
        self.context.mechanism.leave(self.ready.fd, self.size()?)
    }

    /// The other users of the situation, for a file that the case has brought into the state itself.
    pub(crate) fn held(&self) -> Result<(), Trouble> {
        self.context.held_in_state(&self.ready, self.size()?)
    }

    /// Brings the file into the state: only the times may change.
    pub(crate) fn enter(&self) -> Seen {
        self.act(&self.enter_call_uncommitted()?, Effect::Change(&|after| after.state = after.state.map(|_| true)))
    }

    /// Takes the file out of the state: only the times may change.
    pub(crate) fn leave(&self) -> Seen {
        self.act(&self.leave_call()?, Effect::Change(&|after| after.state = after.state.map(|_| false)))
    }

    /// Whether a query through this descriptor shows the state.
    pub(crate) fn state(&self, fd: Fd) -> Result<bool, Trouble> {
        let bit = self.context.needs_query()?;
        Ok(self.flags(fd)? & bit != 0)
    }

    /// `fsx_xflags`.
    pub(crate) fn flags(&self, fd: Fd) -> Result<u32, Trouble> {
        Ok(self.context.setup_number(&Call::GetXflags { fd })? as u32)
    }

    /// The offsets of the descriptors with O_APPEND and O_DIRECT.
    pub(crate) fn further_positions(&self) -> Result<Vec<i64>, Trouble> {
        let others = [self.ready.append, self.ready.direct].into_iter().filter(|fd| *fd != CLOSED);
        let offset = |fd| self.context.setup_number(&Call::Seek { fd, offset: 0, whence: Whence::Cur });
        others.map(offset).collect()
    }

    /// The access modes and status flags of all descriptors of the file.
    pub(crate) fn status_flags(&self) -> Result<Vec<i64>, Trouble> {
        let status = |fd| self.context.setup_number(&Call::StatusFlags { fd });
        self.ready.open().map(status).collect()
    }

    /// Makes a call and compares the whole file before and after it. A call that fails must change nothing; a call that
    /// succeeds may make only the changes of `effect`.
    pub(crate) fn act(&self, call: &Call, effect: Effect) -> Seen {
        self.act_as(self.context.caller(call), call, effect)
    }

    /// Like [`Self::act`], as this caller.
    pub(crate) fn act_as(&self, caller: Caller, call: &Call, effect: Effect) -> Seen {
        self.context.reach(call)?;
        self.context.concerns(call);
        let mut before = Picture::take_before(self)?;
        self.context.tick(&before.stat);
        if matches!(call, Call::Swapon { .. }) {
            // Taking the picture has read the file, which changes its access time, so commit.
            self.commit()?;
        }
        let outcome = self.context.system.call(caller, call);
        let after = Picture::take(self)?;
        if outcome.is_ok() {
            before.pass_over(&after);
        }
        let faults: Vec<String> = match (&outcome, effect) {
            (Err(_), _) | (Ok(_), Effect::Nothing) => before.differences(&after, true),
            (Ok(_), Effect::Times) => before.differences(&after, false),
            (Ok(_), Effect::Change(change)) => {
                let mut expected = before;
                change(&mut expected);
                expected.differences(&after, false)
            }
        };
        Ok(self.context.outcome(caller, call, outcome, faults))
    }

    /// Makes a call that must not change the file, whether it succeeds or fails.
    pub(crate) fn refused(&self, call: &Call) -> Seen {
        self.act(call, Effect::Nothing)
    }

    /// pwrite(2) at an offset of the case.
    pub(crate) fn write(&self, offset: i64, data: &[u8]) -> Seen {
        self.write_with(Call::Pwrite { fd: self.ready.fd, offset: self.at(offset), data: data.into() }, offset, data)
    }

    /// A call that writes `data` at an offset of the case and nowhere else.
    pub(crate) fn write_with(&self, call: Call, offset: i64, data: &[u8]) -> Seen {
        self.act(&call, Effect::Change(&|after| after.patch(offset, data)))
    }

    /// fallocate(2) at an offset of the case, which must not change the file.
    pub(crate) fn fallocate(&self, mode: Mode, offset: i64, len: i64) -> Seen {
        self.refused(&Call::Fallocate { fd: self.ready.fd, mode, offset: self.at(offset), len })
    }

    /// ftruncate(2) to a size of the case, which must not change the file.
    pub(crate) fn truncate(&self, size: i64) -> Seen {
        self.refused(&Call::Ftruncate { fd: self.ready.fd, size: self.at(size) })
    }

    /// Reads through the page cache; a device is mapped instead.
    pub(crate) fn read(&self, offset: i64, len: i64) -> Result<Vec<u8>, Trouble> {
        if self.context.mechanism == Mechanism::DeviceDax {
            let call = Call::Map { fd: self.reads(), len: self.size()? as usize, shared: true, write: false };
            let map = self.context.setup_number(&call)? as MapId;
            let call = Call::Load { map, offset: self.at(offset) as usize, len: len as usize };
            let data = self.context.setup_data(&call);
            self.context.setup(&Call::Unmap { map })?;
            return data;
        }
        let call = Call::Pread { fd: self.reads(), offset: self.at(offset), len: len as usize };
        self.context.setup_data(&call)
    }

    /// Compares the storage at an offset of the case, read with O_DIRECT, with the expected data.
    pub(crate) fn holds(&self, offset: i64, data: &[u8]) -> Observed {
        // O_DIRECT reads whole blocks.
        let len = data.len().next_multiple_of(BLOCK);
        let call = Call::Pread { fd: self.direct(), offset: self.at(offset), len };
        let faults = match self.context.system.call(Caller::Privileged, &call) {
            Ok(Reply::Data(found)) if found.starts_with(data) => Vec::new(),
            Ok(Reply::Data(found)) => {
                let same = found.iter().zip(data).take_while(|(found, expected)| found == expected).count();
                vec![format!("it returns something else from byte {same} on")]
            }
            Ok(_) => vec!["it returns something else".into()],
            Err(errno) => vec![format!("it fails with {}", words::name(errno))],
        };
        self.context.one(format!("{call} with O_DIRECT returns the expected data"), None, faults)
    }

    /// Opens the file of this name again, after all its descriptors were closed.
    pub(crate) fn reopened<'a>(context: &'a Context<'a>, name: &str) -> Result<File<'a>, Trouble> {
        Self::survivor(context, name)?.ok_or_else(|| Trouble::Setup(format!("{name} is not there any more")))
    }

    /// Like [`Self::reopened`], after a loss of power, which may have removed the file. It is open for writing only if
    /// the mechanism permits that for a file in the state.
    pub(crate) fn survivor<'a>(context: &'a Context<'a>, name: &str) -> Result<Option<File<'a>>, Trouble> {
        let access = context.mechanism.access();
        let call = Call::Open { name: name.into(), flags: access, mode: 0 };
        match context.attempt(&call)? {
            Ok(Reply::Number(fd)) => Ok(Some(context.holding(others(&context.system, name, fd as Fd, access)?))),
            Err(Errno::ENOENT) => Ok(None),
            other => Err(Trouble::Setup(format!("{call} = {}", words::outcome(&other)))),
        }
    }

    /// Registers the whole file for a device, through a mapping that ends at once.
    pub(crate) fn register(&self, by: Option<Route>) -> Result<(Observed, Option<MapId>), Trouble> {
        self.context.reach(&registration(0, by))?;
        let (_, map) = self.map(true, true)?;
        let map = map.ok_or_else(|| Trouble::NotOffered("no shared writable mapping to register".into()))?;
        let registered = self.register_mapping(map, by)?;
        self.context.setup(&Call::Unmap { map })?;
        Ok(registered)
    }

    /// Registers a mapping of the file for a device.
    pub(crate) fn register_mapping(&self, map: MapId, by: Option<Route>) -> Result<(Observed, Option<MapId>), Trouble> {
        let call = registration(map, by);
        let outcome = self.context.attempt(&call)?;
        let registration = match outcome {
            Ok(Reply::Number(id)) => Some(id as MapId),
            _ => None,
        };
        if let Some(registration) = registration {
            self.context.undo(Undo::Unregister(registration));
        }
        Ok((self.context.one(call.to_string(), Some(outcome.err()), Vec::new()), registration))
    }

    /// Closes every descriptor of the file.
    pub(crate) fn close(self) -> Result<(), Trouble> {
        self.ready.open().try_for_each(|fd| self.context.setup(&Call::Close { fd }).map(|_| ()))
    }

    /// Takes the file out of the state, perhaps later, and closes its descriptors. A failure is not reported.
    pub(crate) fn retire(self) {
        self.context.system.retire(self.context.mechanism, self.ready);
    }

    /// Maps the whole file until the case ends. If the mapping fails, only the observation is returned.
    pub(crate) fn map(&self, shared: bool, write: bool) -> Result<(Observed, Option<MapId>), Trouble> {
        let fd = if write { self.ready.fd } else { self.reads() };
        self.map_by(&Call::Map { fd, len: self.size()? as usize, shared, write })
    }

    /// Makes a call that maps the file until the case ends.
    pub(crate) fn map_by(&self, call: &Call) -> Result<(Observed, Option<MapId>), Trouble> {
        let outcome = self.context.attempt(call)?;
        let map = match &outcome {
            Ok(Reply::Number(id)) => {
                self.context.undo(Undo::Unmap(*id as MapId));
                Some(*id as MapId)
            }
            _ => None,
        };
        Ok((self.context.one(call.to_string(), Some(outcome.err()), Vec::new()), map))
    }

    /// Access to the present storage of the file.
    pub(crate) fn agent(&self) -> Result<Box<dyn StorageAgent>, Trouble> {
        self.context.agent(self.ready.fd)
    }

    /// The descriptor with O_APPEND.
    pub(crate) fn append(&self) -> Fd {
        self.context.further(self.ready.append)
    }

    /// The descriptor with O_DIRECT.
    pub(crate) fn direct(&self) -> Fd {
        self.context.further(self.ready.direct)
    }

    /// The first hole, or the size. The offset of the read-write descriptor stays as it is.
    pub(crate) fn hole(&self) -> Result<i64, Trouble> {
        let position = (self.ready.reader == CLOSED).then(|| self.position()).transpose()?;
        let fd = self.reads();
        let hole = self.context.system.call(Caller::Privileged, &Call::Seek { fd, offset: 0, whence: Whence::Hole });
        if let Some(offset) = position {
            self.context.setup(&Call::Seek { fd, offset, whence: Whence::Set })?;
        }
        Ok(match hole {
            Ok(Reply::Number(at)) => at,
            // The call fails for an empty file, whose first hole is at 0.
            _ => 0,
        })
    }

    /// The offset of the read-write descriptor.
    pub(crate) fn position(&self) -> Result<i64, Trouble> {
        self.context.setup_number(&Call::Seek { fd: self.ready.fd, offset: 0, whence: Whence::Cur })
    }
}
