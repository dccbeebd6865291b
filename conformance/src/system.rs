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

    /// Why no case can run, if the target does not have the mechanism at all.
    fn lacks(&self, mechanism: Mechanism) -> Option<String>;

    /// The lack at this moment, for a preparation that failed.
    fn lacking(&self) -> Option<String> {
        None
    }

    /// The block devices below it, as the kernel log names them. `None` where nothing of the kernel is tested.
    fn devices(&self) -> Option<Devices> {
        None
    }
}

/// The places where cases run. All lanes but the first are file systems that one case has to itself: the cases of such
/// a lane take turns, and those of different lanes do not disturb each other.
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

/// One place to work in: a directory of its own on a file system.
pub trait System {
    /// Makes a call.
    fn call(&self, caller: Caller, call: &Call) -> Outcome;

    /// Whether this system gets to see a call, and has what it is about.
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

    /// How long after a call its last effects may come about.
    fn patience(&self) -> Duration {
        Duration::from_secs(5)
    }

    /// Waits until what changes now gets a later time than this, in nanoseconds.
    fn tick(&self, _: i128) {}

    /// Gives access to the storage of a file, as a device has it.
    fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble>;

    /// A file of [`SIZE`] bytes that is in the state already, if the system keeps some ready, and how it came there.
    fn ready(&self) -> Option<(Ready, Vec<Step>)> {
        None
    }

    /// Takes a file out of the state and closes its descriptors, perhaps later.
    fn retire(&self, mechanism: Mechanism, file: Ready);
}

/// What two series of calls came to.
pub type Outcomes = (Vec<Outcome>, Vec<Outcome>);

/// A file with its descriptors, which were opened before it came into the state.
#[derive(Clone, Debug)]
pub struct Ready {
    /// Its name, relative to the directory of the case.
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

/// Direct access to what was the storage of a file when the access was given.
pub trait StorageAgent {
    /// Where that storage begins and ends, in bytes from the beginning of the file system.
    fn span(&self) -> Result<Range<i64>, Trouble>;
    /// Reads `len` bytes that were at `offset` of the file; both are multiples of [`BLOCK_LEN`].
    fn read(&self, offset: i64, len: usize) -> Result<Vec<u8>, Trouble>;
    /// Writes to what was at `offset` of the file.
    fn write(&self, offset: i64, data: &[u8]) -> Result<(), Trouble>;
}

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call.
    Call(Caller, Call),
    /// A call of the first of two threads that race. It is made at the same time as the next of [`Action::Beside`].
    Racing(Call),
    /// A call of the second thread.
    Beside(Call),
    /// The storage agent read so many bytes that were at an offset of the file.
    AgentRead(i64, usize),
    /// The storage agent wrote to what was at an offset of the file.
    AgentWrite(i64, Vec<u8>),
}

/// One call, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was done.
    pub action: Action,
    /// What it came to; nothing if it has not returned.
    pub outcome: Option<Result<Reply, String>>,
    /// Only the harness looked, to see what else a call changed.
    pub look: bool,
    /// How many times the same was done with the same outcome.
    pub times: usize,
    /// A new round of a race begins here, with files of its own.
    pub round: bool,
}

/// As strace(1) would print it: `ftruncate(3, 0) = -1 ETXTBSY`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.action {
            Action::Call(Caller::Privileged, call) | Action::Racing(call) => write!(f, "{call}")?,
            Action::Call(Caller::Unprivileged, call) => write!(f, "unprivileged: {call}")?,
            Action::Beside(call) => write!(f, "at the same time: {call}")?,
            Action::AgentRead(offset, len) => write!(f, "the agent reads {len} bytes at {offset}")?,
            Action::AgentWrite(offset, data) => write!(f, "the agent writes {} bytes at {offset}", data.len())?,
        }
        match &self.outcome {
            Some(Ok(reply)) => write!(f, " = {}", words::reply(reply))?,
            Some(Err(error)) => match self.action {
                Action::Call(..) | Action::Racing(_) | Action::Beside(_) => write!(f, " = -1 {error}")?,
                // An error of the agent is no error of a call, but a message.
                Action::AgentRead(..) | Action::AgentWrite(..) => write!(f, ": {error}")?,
            },
            None => write!(f, " does not return")?,
        }
        if self.times > 1 { write!(f, " ({} times)", self.times) } else { Ok(()) }
    }
}
