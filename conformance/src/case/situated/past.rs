//! The calls and events that a file has behind it.

use crate::case::context::{Context, Undo};
use crate::case::prepare::{open, others, pattern, setup};
use crate::mechanism::{BLOCK_LEN, Mechanism};
use crate::situation::axes::{History, Past};
use crate::system::{CLOSED, Ready, System};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{BLOCK, Call, Caller, Fd, MapId, Mode, Reply, Route};
use nix::fcntl::OFlag;

impl Context<'_> {
    /// The calls that a file has behind it before it comes into the state. They leave its contents as they are.
    pub(super) fn lived(&self, name: &str, fd: Fd, data: &[u8]) -> Result<(), Trouble> {
        let other = |name: &str| open(&self.system, name, OFlag::O_RDWR | OFlag::O_CREAT);
        let write = |fd, offset, data: &[u8]| self.setup(&Call::Pwrite { fd, offset, data: data.into() }).map(drop);
        let past = self.situation.past;
        match past {
            Past::None | Past::Device | Past::Written => return Ok(()),
            Past::Moved => {
                let one = other(&format!("{name}-other"))?;
                write(one, 0, data)?;
                for _ in 0..2 {
                    self.given(&Call::Exchange { one, other: fd }, "no exchange")?;
                }
                self.close(one)?;
                self.given(&Call::Defragment { fd }, "no defragmentation")?;
            }
            Past::Copied => {
                let to = other(&format!("{name}-copy"))?;
                let copy = Call::CopyRange { from: fd, from_offset: 0, to, to_offset: 0, len: data.len() };
                self.given(&copy, "no copy")?;
                self.close(to)?;
                // Some file systems copy by sharing, which ends with the copy.
                self.setup(&Call::Unlink { name: format!("{name}-copy") })?;
            }
            Past::Stored => {
                let map = self.mapped(fd, data.len(), true, true)?;
                self.setup(&Call::Store { map, offset: 0, data: data[..1].into() })?;
                self.setup(&Call::Unmap { map })?;
            }
            Past::Leased => {
                for on in [true, false] {
                    self.given(&Call::SetLease { fd, on }, "no lease")?;
                }
            }
            Past::Swap => {
                // swapon(2) wants the header of a swap file on storage.
                write(fd, 0, &Mechanism::Swapfile.header())?;
                self.setup(&Call::Fsync { fd })?;
                self.given(&Call::Swapon { fd }, "no swap file")?;
                self.setup(&Call::Swapoff { fd })?;
                write(fd, 0, data)?;
                self.setup(&Call::Ftruncate { fd, size: data.len() as i64 })?;
            }
        }
        self.did(|done| done.past = past);
        Ok(())
    }

    /// The calls that a file in the state has behind it.
    pub(super) fn lived_in_state(&self, ready: &Ready, len: i64) -> Result<(), Trouble> {
        if !matches!(self.situation.past, Past::Written | Past::Device) {
            return Ok(());
        }
        let fd = open(&self.system, &ready.name, OFlag::O_RDWR)?;
        match self.situation.past {
            Past::Written => {
                let data = self.setup_data(&Call::Pread { fd, offset: 0, len: 1 })?;
                self.setup(&Call::Pwrite { fd, offset: 0, data })?;
            }
            _ => {
                let map = self.mapped(fd, len as usize, true, true)?;
                let registration = self.registered(map)?;
                let data = self.setup_data(&Call::Load { map, offset: 0, len: 1 })?;
                self.setup(&Call::DeviceStore { registration, offset: 0, data })?;
                self.setup(&Call::Unregister { registration })?;
                self.setup(&Call::Unmap { map })?;
                if len >= BLOCK_LEN {
                    self.setup(&Call::Fsync { fd })?;
                    let agent = self.system.agent(fd)?;
                    agent.write(0, &agent.read(0, BLOCK)?)?;
                }
            }
        }
        self.close(fd)?;
        self.did(|done| done.past = self.situation.past);
        Ok(())
    }

    /// A mapping, if the target offers one.
    pub(super) fn mapped(&self, fd: Fd, len: usize, shared: bool, write: bool) -> Result<MapId, Trouble> {
        let call = Call::Map { fd, len, shared, write };
        self.reach(&call)?;
        match self.system.call(Caller::Privileged, &call) {
            Ok(Reply::Number(map)) => Ok(map as MapId),
            other => Err(Trouble::NotOffered(format!("no mapping: {}", words::outcome(&other)))),
        }
    }

    /// A registration of a mapping, if the target offers one.
    pub(super) fn registered(&self, map: MapId) -> Result<MapId, Trouble> {
        let call = Call::Register { map };
        self.reach(&call)?;
        match self.system.call(Caller::Privileged, &call) {
            Ok(Reply::Number(registration)) => Ok(registration as MapId),
            other => Err(Trouble::NotOffered(format!("no registration: {}", words::outcome(&other)))),
        }
    }

    /// The former stays of a file in the state. With `anew`, the descriptors of the file are those of the last stay.
    pub(super) fn entered_before(&self, mut ready: Ready, data: &[u8], anew: bool) -> Result<Ready, Trouble> {
        let times = match self.situation.history {
            History::Again | History::Overwritten => 1,
            History::Thrice => 3,
            _ => return Ok(ready),
        };
        let len = data.len() as i64;
        for stay in 1..=times {
            if self.mechanism.wants_committed() {
                self.setup(&Call::Fsync { fd: ready.fd })?;
            }
            self.setup(&self.mechanism.enter(ready.fd, len)?)?;
            if self.mechanism == Mechanism::Seal {
                let first = data[..data.len().min(1)].to_vec();
                self.setup(&Call::Pwrite { fd: ready.fd, offset: 0, data: first })?;
                if stay == 3 {
                    self.refused_before(&ready, true)?;
                }
                if stay == 3 && anew {
                    let access = self.mechanism.access();
                    let fd = open(&self.system, &ready.name, access)?;
                    self.close_all(&ready)?;
                    ready = others(&self.system, &ready.name, fd, access)?;
                }
                if stay == 3 && len >= BLOCK_LEN {
                    self.setup(&Call::Fsync { fd: ready.fd })?;
                    let agent = self.system.agent(ready.fd)?;
                    agent.write(0, &agent.read(0, BLOCK)?)?;
                }
            }
            self.setup(&self.mechanism.leave(ready.fd, len)?)?;
        }
        if self.situation.history == History::Overwritten {
            for data in [[self.head(), pattern(203, len - self.lead())].concat(), data.to_vec()] {
                self.setup(&Call::Pwrite { fd: ready.fd, offset: 0, data })?;
                self.setup(&Call::Fsync { fd: ready.fd })?;
            }
        }
        self.did(|done| done.history = self.situation.history);
        Ok(ready)
    }

    /// The life of a file before its case prepares it: with other contents, which are gone then.
    pub(in crate::case) fn former_life(&self, name: &str, fd: Fd) -> Result<(), Trouble> {
        let stays = matches!(self.situation.history, History::Again | History::Thrice | History::Overwritten);
        if self.mechanism != Mechanism::Seal || (!stays && self.situation.past == Past::None) {
            return Ok(());
        }
        let data = [self.head(), pattern(207, 2 * BLOCK_LEN)].concat();
        let ready = Ready { name: name.into(), fd, append: CLOSED, direct: CLOSED, reader: CLOSED };
        let len = data.len() as i64;
        self.step(|| {
            self.setup(&Call::Pwrite { fd, offset: 0, data: data.clone() })?;
            self.setup(&Call::Fsync { fd })?;
            self.lived(name, fd, &data)?;
            let ready = self.entered_before(ready, &data, false)?;
            self.setup(&self.mechanism.enter(fd, len)?)?;
            self.lived_in_state(&ready, len)?;
            self.setup(&self.mechanism.leave(fd, len)?)?;
            self.setup(&Call::Ftruncate { fd, size: 0 }).map(drop)
        })
    }

    /// The events at the end of the history.
    pub(super) fn afterwards(&self, ready: Ready, entered: bool) -> Result<Ready, Trouble> {
        let ready = match self.situation.history {
            History::Refused => {
                self.refused_before(&ready, entered)?;
                ready
            }
            History::Remounted | History::PowerLoss => self.restarted(&ready)?,
            History::Frozen => {
                self.given(&Call::Fsync { fd: ready.fd }.via(Route::Freeze), "no freezing")?;
                ready
            }
            _ => return Ok(ready),
        };
        self.did(|done| done.history = self.situation.history);
        Ok(ready)
    }

    /// Makes calls that the specification refuses. If one is not refused, the situation is unfit: other cases judge
    /// that.
    pub(super) fn refused_before(&self, ready: &Ready, entered: bool) -> Result<(), Trouble> {
        let fd = self.writer(ready);
        let allocate = |mode, offset, len| Call::Fallocate { fd, mode, offset, len };
        let size = self.size_of(fd)?;
        let (calls, expected): (Vec<Call>, _) = match entered {
            true => (
                vec![
                    Call::Ftruncate { fd, size: size - 1 },
                    Call::Truncate { name: ready.name.clone(), size: size + 1 },
                    allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, 0, BLOCK_LEN),
                    allocate(Mode::KEEP_SIZE, size, BLOCK_LEN),
                    Call::Pwrite { fd, offset: size, data: vec![1] },
                    Call::Ftruncate { fd, size: size + BLOCK_LEN },
                    Call::Pwrite { fd, offset: size + 1, data: vec![1] },
                    Call::Pwrite { fd, offset: size + BLOCK_LEN, data: vec![1] },
                ],
                Errno::ETXTBSY,
            ),
            false => (vec![allocate(Mode::SEAL, BLOCK_LEN, size), allocate(Mode::SEAL, 0, size - 1)], Errno::EINVAL),
        };
        // Other cases judge these calls, and one that is not refused would hide what the case looks for.
        let own = |call: &Call| match call {
            Call::Ftruncate { .. } | Call::Truncate { .. } => "truncate",
            Call::Pwrite { .. } => "write",
            Call::Snapshot => "share.snapshot",
            _ if entered => "fallocate",
            _ => "",
        };
        // Most targets have no snapshots.
        let snapshot = (entered && self.reach(&Call::Snapshot).is_ok()).then_some(Call::Snapshot);
        let calls = calls.into_iter().chain(snapshot);
        let others = |call: &Call| self.clause.is_none_or(|it| ![it.family(), it.id].contains(&own(call)));
        let calls = calls.filter(others);
        for call in calls {
            self.reach(&call)?;
            let came = self.system.call(Caller::Privileged, &call);
            if came != Err(expected) {
                return Err(Trouble::NotOffered(format!("{call} is not refused: {}", words::outcome(&came))));
            }
        }
        Ok(())
    }

    pub(super) fn size_of(&self, fd: Fd) -> Result<i64, Trouble> {
        match self.setup(&Call::Stat { fd })? {
            Reply::Stat(stat) => Ok(stat.size as i64),
            other => Err(Trouble::Setup(format!("fstat = {}", words::reply(&other)))),
        }
    }

    /// The file after the file system was unmounted and mounted, or lost its power.
    pub(super) fn restarted(&self, ready: &Ready) -> Result<Ready, Trouble> {
        if !self.cleanup.borrow().is_empty() {
            if self.applied.get().history == self.situation.history {
                return Ok(ready.clone());
            }
            let why = "other files of the case are open";
            self.does_not_fit(why);
            return Err(Trouble::NotOffered(why.into()));
        }
        let call = match self.situation.history {
            History::PowerLoss => Call::PowerLoss { during: None },
            _ => Call::Cycle,
        };
        self.reach(&call)?;
        self.setup(&Call::Fsync { fd: ready.fd })?;
        self.close_all(ready)?;
        self.setup(&call)?;
        if call == Call::Cycle {
            for call in [Call::Remount { read_only: true }, Call::Remount { read_only: false }, Call::Cycle] {
                self.reach(&call)?;
                self.setup(&call)?;
            }
        }
        self.reopen(&ready.name)
    }

    /// All descriptors of a file that exists.
    pub(super) fn reopen(&self, name: &str) -> Result<Ready, Trouble> {
        let access = self.mechanism.access();
        let ready = others(&self.system, name, open(&self.system, name, access)?, access)?;
        self.with_access(ready)
    }

    /// Closes a descriptor before the case ends.
    pub(crate) fn close(&self, fd: Fd) -> Result<(), Trouble> {
        // The number can be that of another descriptor soon.
        self.cleanup.borrow_mut().retain(|undo| !matches!(undo, Undo::Close(closed) if *closed == fd));
        self.opened.borrow_mut().retain(|opened| *opened != fd);
        setup(&self.system, &Call::Close { fd }).map(drop)
    }

    pub(super) fn close_all(&self, ready: &Ready) -> Result<(), Trouble> {
        ready.open().try_for_each(|fd| self.close(fd))
    }
}
