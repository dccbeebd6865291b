//! The interface between cases and targets: a place to make calls, and the record of a call.

use crate::kernel_log::Devices;
use crate::lack::Lacking;
use crate::mechanism::Mechanism;
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::{Clause, Errno};
use iomap_reference::{Call, Caller, Fd, Outcome, Reply};
use std::fmt;
use std::ops::Range;
use std::time::Duration;

/// A file system to run cases on.
pub trait Target: Send + Sync {
    /// A place for one case of a clause.
    fn system(&self, clause: &Clause, lane: Lane) -> Result<Box<dyn System + '_>, Trouble>;

    /// The reason why no case can run, if the target does not have the mechanism at all.
    fn lacks(&self, mechanism: Mechanism) -> Option<String>;

    /// Whether only the file system below has the mechanism. Then the cases about layers above run there.
    fn is_layer(&self) -> bool {
        false
    }

    /// The lack of the machine at this moment, to explain a failed preparation.
    fn lacking(&self) -> Option<String> {
        None
    }

    /// The reason why a violation in a lane proves nothing: a lack of the machine that may have changed data below the
    /// target, or an error after which the kernel permits no write.
    fn spoilt(&self, _: Lane) -> Option<String> {
        None
    }

    /// Whether a run has the same outcomes when it is made again.
    fn repeats(&self) -> bool {
        false
    }

    /// The block devices below the target, as the kernel log names them. `None` if the target does not test the kernel.
    fn devices(&self) -> Option<Devices> {
        None
    }
}

/// The places where cases run. Each lane but the first has a file system that only one case uses at a time: the cases
/// of one lane take turns, and cases of different lanes do not disturb each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Many cases use the file system at the same time.
    Shared,
    /// The case fills the file system, remounts it or counts its free space.
    Alone,
    /// The file system loses its power.
    Power,
    /// The file system loses its power in the middle of a call, in several rounds. This lane takes about as long as all
    /// other cases with a loss of power.
    Moment,
    /// The file system has limits for users.
    Limits,
}

impl Lane {
    /// The lanes whose cases take turns.
    pub const IN_TURN: [Self; 4] = [Self::Alone, Self::Power, Self::Moment, Self::Limits];
}

/// A place to work in: a directory on a file system, for one case.
pub trait System {
    /// Makes a call.
    fn call(&self, caller: Caller, call: &Call) -> Outcome;

    /// Makes a call as the privileged caller, and ends all registrations if it has not returned in this time. A call that
    /// waits for one would never return.
    fn call_beside_registrations(&self, call: &Call, _within: Duration) -> Outcome {
        self.call(Caller::Privileged, call)
    }

    /// Whether a call can be made on this system, and finds there the things that it needs. The error is the verdict of
    /// the case.
    fn reach(&self, _call: &Call) -> Result<(), Trouble> {
        Ok(())
    }

    /// The lack that made a call fail just now, if there is one.
    fn lacking(&self, _caller: Caller, _call: &Call, _errno: Errno) -> Option<Lacking> {
        None
    }

    /// Makes two series of calls at the same time. Only the first may map.
    fn race(&self, _one: &[Call], _other: &[Call]) -> Result<Outcomes, Trouble> {
        Err(Trouble::NotReachable("this target makes one call at a time".into()))
    }

    /// The longest time between a call and its last effects.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Whether fstat(2) after a read shows the access time at once. A client of a server shows it when it asks again.
    fn shows_access_times(&self) -> bool {
        true
    }

    /// A number of pieces of a file whose map takes more than one page of memory or block of storage. A block of ext4 has
    /// room for 340 (`ext4_ext_space_block`), a block of XFS for 254 (`xfs_bmbt_maxrecs`).
    fn page_of_map(&self) -> i64 {
        350
    }

    /// Whether registered pages are dirty, so that writeback may store them at any time.
    fn writes_registered_pages(&self) -> bool {
        false
    }

    /// Waits until a change gets a later time than this one, in nanoseconds.
    fn tick(&self, _: i128) {}

    /// Gives access to the storage of a file, as a device has access.
    fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble>;

    /// A file of `SIZE` bytes that is already in the state, and the steps that made it; `None` if the system keeps no
    /// such files.
    fn ready(&self) -> Option<(Ready, Vec<Step>)> {
        None
    }

    /// Takes a file out of the state and closes its descriptors, perhaps later.
    fn retire(&self, mechanism: Mechanism, file: Ready);
}

/// The outcomes of two series of calls.
pub type Outcomes = (Vec<Outcome>, Vec<Outcome>);

/// A file with its descriptors, which were opened before the file came into the state.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The name, relative to the directory of the case.
    pub name: String,
    /// Read and write.
    pub fd: Fd,
    /// Read and write with O_APPEND.
    pub append: Fd,
    /// Read and write with O_DIRECT.
    pub direct: Fd,
    /// Read only.
    pub reader: Fd,
}

/// In the place of a descriptor of [`Ready`] that is closed.
pub(crate) const CLOSED: Fd = -1;

impl Ready {
    /// The descriptors that are open.
    pub fn open(&self) -> impl Iterator<Item = Fd> + use<> {
        [self.fd, self.append, self.direct, self.reader].into_iter().filter(|fd| *fd != CLOSED)
    }
}

/// Direct access to the storage that a file had when the access was given.
pub trait StorageAgent {
    /// The beginning and the end of that storage, in bytes from the beginning of the file system.
    fn span(&self) -> Result<Range<i64>, Trouble>;
    /// Reads `len` bytes from the place of `offset`; both are multiples of `BLOCK_LEN`.
    fn read(&self, offset: i64, len: usize) -> Result<Vec<u8>, Trouble>;
    /// Writes to the place of `offset`.
    fn write(&self, offset: i64, data: &[u8]) -> Result<(), Trouble>;
}

/// An action on a system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call.
    Call(Caller, Call),
    /// A call of the first of two threads that race. It is made at the same time as the next call of
    /// [`Action::Beside`].
    Racing(Call),
    /// A call of the second thread.
    Beside(Call),
    /// The storage agent read this number of bytes from the place of this offset.
    AgentRead(i64, usize),
    /// The storage agent wrote these bytes to the place of this offset.
    AgentWrite(i64, Vec<u8>),
}

/// The way in which an action failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// A call failed with this errno.
    Call(Errno),
    /// The storage agent failed for this reason.
    Agent(String),
}

/// `-1 ETXTBSY`, or the reason of the agent.
impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call(errno) => f.write_str(&words::failure(*errno)),
            Self::Agent(why) => f.write_str(why),
        }
    }
}

/// An action with its outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// The action.
    pub action: Action,
    /// The outcome; `None` if the action has not returned.
    pub outcome: Option<Result<Reply, Failure>>,
    /// Whether the harness acted, not the case: it looks for other changes by a call.
    pub look: bool,
    /// The number of times that the same action had the same outcome.
    pub times: usize,
    /// Whether a new round of a race begins here. Each round has its own files.
    pub round: bool,
}

/// The step as strace(1) would print it: `ftruncate(3, 0) = -1 ETXTBSY`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Call(Caller::Privileged, call) | Action::Racing(call) => write!(f, "{call}")?,
            Action::Call(Caller::Unprivileged, call) => write!(f, "unprivileged: {call}")?,
            Action::Call(Caller::Owner, call) => write!(f, "without capabilities: {call}")?,
            Action::Beside(call) => write!(f, "at the same time: {call}")?,
            Action::AgentRead(offset, len) => write!(f, "the agent reads {len} bytes at {offset}")?,
            Action::AgentWrite(offset, data) => write!(f, "the agent writes {} bytes at {offset}", data.len())?,
        }
        match &self.outcome {
            Some(Ok(reply)) => write!(f, " = {}", words::reply(reply))?,
            Some(Err(failure @ Failure::Call(_))) => write!(f, " = {failure}")?,
            Some(Err(failure @ Failure::Agent(_))) => write!(f, ": {failure}")?,
            None => write!(f, " does not return")?,
        }
        if self.times > 1 { write!(f, " ({} times)", self.times) } else { Ok(()) }
    }
}
