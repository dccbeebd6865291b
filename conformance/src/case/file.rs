//! A file of a case, and the checks around each call on it.

use crate::case::context::{Context, Undo};
use crate::case::picture::Picture;
use crate::case::prepare::others;
use crate::mechanism::Mechanism;
use crate::system::{Ready, StorageAgent, System};
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{Call, Caller, Fd, MapId, Mode, Reply, Route, Stat, Whence};

/// What a successful call may change.
pub(crate) enum Effect<'a> {
    /// Nothing, times included.
    Nothing,
    /// The times of the file.
    Times,
    /// The times, and what this does to the picture from before the call.
    Change(&'a dyn Fn(&mut Picture)),
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
pub(crate) struct File<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) ready: Ready,
}

impl File<'_> {
    /// A file around descriptors that the case prepared itself.
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
        self.ready.reader
    }

    /// Where an offset of the case lies in the file.
    pub(crate) fn at(&self, offset: i64) -> i64 {
        self.context.mechanism.lead() as i64 + offset
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

    /// The call that would bring the file into the state. Where the mechanism wants that, everything about the file is
    /// committed first: attributes, names and owners, too.
    pub(crate) fn enter_call(&self) -> Result<Call, Trouble> {
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
    pub(crate) fn enter_call_uncommitted(&self) -> Result<Call, Trouble> {
        self.context.mechanism.enter(self.ready.fd, self.size()?)
    }

    /// The call that would take it out.
    pub(crate) fn leave_call(&self) -> Result<Call, Trouble> {
        self.context.mechanism.leave(self.ready.fd, self.size()?)
    }

    /// Brings the file into the state: only the times may change.
    pub(crate) fn enter(&self) -> Seen {
        self.act(&self.enter_call_uncommitted()?, Effect::Change(&|after| after.state = after.state.map(|_| true)))
    }

    /// Takes it out again: only the times may change.
    pub(crate) fn leave(&self) -> Seen {
        self.act(&self.leave_call()?, Effect::Change(&|after| after.state = after.state.map(|_| false)))
    }

    /// Whether the state is shown, through some descriptor.
    pub(crate) fn state(&self, fd: Fd) -> Result<bool, Trouble> {
        let bit = self.context.needs_query()?;
        Ok(self.context.setup_number(&Call::GetXflags { fd })? as u32 & bit != 0)
    }

    /// Makes a call and checks everything about the file around it: a call that fails leaves all as it was, a call
    /// that succeeds changes what `effect` says and nothing else.
    pub(crate) fn act(&self, call: &Call, effect: Effect) -> Seen {
        self.act_as(Caller::Privileged, call, effect)
    }

    /// The same, as some caller.
    pub(crate) fn act_as(&self, caller: Caller, call: &Call, effect: Effect) -> Seen {
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

    /// fallocate(2) at an offset of the case: nothing may come of it.
    pub(crate) fn fallocate(&self, mode: Mode, offset: i64, len: i64) -> Seen {
        self.refused(&Call::Fallocate { fd: self.ready.fd, mode, offset: self.at(offset), len })
    }

    /// ftruncate(2) to a size of the case: nothing may come of it.
    pub(crate) fn truncate(&self, size: i64) -> Seen {
        self.refused(&Call::Ftruncate { fd: self.ready.fd, size: self.at(size) })
    }

    /// Reads through the page cache. A device is not read but mapped.
    pub(crate) fn read(&self, offset: i64, len: i64) -> Result<Vec<u8>, Trouble> {
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
    pub(crate) fn holds(&self, offset: i64, data: &[u8]) -> Observed {
        let call = Call::Pread { fd: self.ready.direct, offset: self.at(offset), len: data.len() };
        let faults = match self.context.system.call(Caller::Privileged, &call) {
            Ok(Reply::Data(found)) if found == data => Vec::new(),
            Ok(_) => vec!["it returns something else".into()],
            Err(errno) => vec![format!("it fails with {}", words::name(errno))],
        };
        self.context.one(format!("{call} with O_DIRECT returns the expected data"), None, faults)
    }

    /// The file of this name, opened again after nothing was open any more.
    pub(crate) fn reopened<'a>(context: &'a Context<'a>, name: &str) -> Result<File<'a>, Trouble> {
        Self::survivor(context, name)?.ok_or_else(|| Trouble::Setup(format!("{name} is not there any more")))
    }

    /// The same after a loss of power, if the file is there. It is open for writing only where the mechanism lets a file
    /// in the state be opened for that.
    pub(crate) fn survivor<'a>(context: &'a Context<'a>, name: &str) -> Result<Option<File<'a>>, Trouble> {
        let access = context.mechanism.access();
        let call = Call::Open { name: name.into(), flags: access, mode: 0 };
        match context.attempt(&call)? {
            Ok(Reply::Number(fd)) => Ok(Some(context.holding(others(&context.system, name, fd as Fd, access)?))),
            Err(Errno::ENOENT) => Ok(None),
            other => Err(Trouble::Setup(format!("{call} = {}", words::outcome(&other)))),
        }
    }

    /// Registers the whole file for a device, by way of a mapping that is gone afterwards.
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
            self.context.cleanup.borrow_mut().push(Undo::Unregister(registration));
        }
        Ok((self.context.one(call.to_string(), Some(outcome.err()), Vec::new()), registration))
    }

    /// Closes every descriptor of the file.
    pub(crate) fn close(self) -> Result<(), Trouble> {
        let Ready { fd, append, direct, reader, .. } = self.ready;
        [fd, append, direct, reader].into_iter().try_for_each(|fd| self.context.setup(&Call::Close { fd }).map(|_| ()))
    }

    /// Takes the file out of the state, perhaps later, and closes its descriptors. Its result is not reported.
    pub(crate) fn retire(self) {
        self.context.system.retire(self.context.mechanism, self.ready);
    }

    /// Maps the whole file until the case ends, or says what came of it.
    pub(crate) fn map(&self, shared: bool, write: bool) -> Result<(Observed, Option<MapId>), Trouble> {
        let fd = if write { self.ready.fd } else { self.ready.reader };
        self.map_by(&Call::Map { fd, len: self.size()? as usize, shared, write })
    }

    /// Makes a call that maps the file, until the case ends.
    pub(crate) fn map_by(&self, call: &Call) -> Result<(Observed, Option<MapId>), Trouble> {
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
    pub(crate) fn agent(&self) -> Result<Box<dyn StorageAgent>, Trouble> {
        self.context.agent(self.ready.fd)
    }

    /// The descriptor with O_APPEND.
    pub(crate) fn append(&self) -> Fd {
        self.ready.append
    }

    /// The descriptor with O_DIRECT.
    pub(crate) fn direct(&self) -> Fd {
        self.ready.direct
    }

    /// The offset of the read-write descriptor.
    pub(crate) fn position(&self) -> Result<i64, Trouble> {
        self.context.setup_number(&Call::Seek { fd: self.ready.fd, offset: 0, whence: Whence::Cur })
    }
}
