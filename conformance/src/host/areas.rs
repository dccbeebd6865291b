//! The swap areas of the machine: there are few of them, and all processes share them.
//!
//! One run at a time activates swap files. A lock on /proc/swaps marks the run that has its turn. This file exists if
//! the kernel has swap, its lock needs no writable directory, and a lock ends with its process, however the process
//! ends. Within a run, each activation of a file first takes a place for it.

use super::proc;
use crate::error::{Error, Result};
use crate::verdict::Trouble;
use iomap_command::tell_line;
use iomap_reference::{Call, Fd};
use nix::fcntl::{Flock, FlockArg};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs::File;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The number of areas that every Linux has: MAX_SWAPFILES. That is 32, minus the areas for migration, for poisoned
/// memory, for devices and for markers. Kernels that lack some of these have room for more.
pub(crate) const LIMIT: usize = 23;

/// The largest number of swap files that the pool keeps active.
const POOLED: usize = 16;

/// The number of places that the pool leaves to cases that activate files themselves: the usual number of threads.
const OWN: usize = 8;

/// The smallest number of places with which a run works.
pub(crate) const FEWEST: usize = OWN + 2;

/// The time that a run waits for another one. A run takes seconds, unless one of its cases hangs.
const TURN: Duration = Duration::from_secs(600);

/// The time in which the areas of a killed run have to disappear, and in which a place has to become free.
const PATIENCE: Duration = Duration::from_secs(10);

/// Places for active swap files, as long as this run has its turn.
pub(crate) struct Areas {
    /// The number of places.
    room: usize,
    taken: Mutex<Taken>,
    fewer: Condvar,
    /// `None` if the kernel has no swap.
    _turn: Option<Flock<File>>,
}

#[derive(Default)]
struct Taken {
    pooled: usize,
    own: usize,
}

impl Areas {
    /// Waits for this run's turn, and until enough areas are free.
    pub(crate) fn new() -> Result<Self> {
        let turn = turn()?;
        let deadline = Instant::now() + PATIENCE;
        let mut said = false;
        while turn.is_some() && LIMIT.saturating_sub(proc::swaps().len()) < FEWEST && Instant::now() < deadline {
            if !said {
                tell_line(format_args!(
                    "iomap-conformance: waiting for swap areas: {} are active (/proc/swaps)",
                    proc::swaps().len()
                ));
            }
            said = true;
            std::thread::yield_now();
        }
        Ok(Self {
            room: LIMIT.saturating_sub(proc::swaps().len()),
            taken: Mutex::default(),
            fewer: Condvar::new(),
            _turn: turn,
        })
    }

    /// The places of a run that activates no swap file, or that has the machine to itself.
    pub(crate) fn unlimited() -> Self {
        Self { room: LIMIT, taken: Mutex::default(), fewer: Condvar::new(), _turn: None }
    }

    /// Waits for a place for a file of the pool.
    pub(crate) fn take_for_pool(self: &Arc<Self>) -> Place {
        let most = self.room.saturating_sub(OWN).clamp(1, POOLED);
        let mut taken = self.taken();
        while taken.pooled >= most || taken.pooled + taken.own >= self.room {
            taken = self.fewer.wait(taken).unwrap_or_else(PoisonError::into_inner);
        }
        taken.pooled += 1;
        Place { areas: self.clone(), pooled: true }
    }

    /// Takes a place for a file that a case activates itself.
    pub(crate) fn take(self: &Arc<Self>) -> std::result::Result<Place, Trouble> {
        let full = |taken: &mut Taken| taken.pooled + taken.own >= self.room;
        let waited = self.fewer.wait_timeout_while(self.taken(), PATIENCE, full);
        let (mut taken, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            let (pooled, own, active) = (taken.pooled, taken.own, proc::swaps().len());
            let why = format!(
                "lacking swap areas: {active} are active (/proc/swaps); of {} places, cases have {own} and the pool {pooled}",
                self.room
            );
            return Err(Trouble::Setup(why));
        }
        taken.own += 1;
        Ok(Place { areas: self.clone(), pooled: false })
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place for an active swap file, until the value is dropped.
pub(crate) struct Place {
    areas: Arc<Areas>,
    pooled: bool,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.areas.taken();
        match self.pooled {
            true => taken.pooled -= 1,
            false => taken.own -= 1,
        }
        self.areas.fewer.notify_all();
    }
}

/// The places of a case: of the active swap files, and those that are left from others.
#[derive(Default)]
pub(crate) struct Places {
    active: RefCell<BTreeMap<Fd, Place>>,
    left: RefCell<Vec<Place>>,
}

impl Places {
    /// Takes a place for the file that this call activates, if it activates one.
    pub(crate) fn make(&self, areas: &Arc<Areas>, call: &Call) -> std::result::Result<(), Trouble> {
        match call {
            Call::Swapon { fd } if !self.active.borrow().contains_key(fd) => {
                let left = self.left.borrow_mut().pop();
                self.add(*fd, left.map_or_else(|| areas.take(), Ok)?);
            }
            Call::Via { call, .. } => return self.make(areas, call),
            Call::PowerLoss { during: Some(call) } => return self.make(areas, call),
            _ => (),
        }
        Ok(())
    }

    /// Keeps the place of a file that is active.
    pub(crate) fn add(&self, fd: Fd, place: Place) {
        self.active.borrow_mut().insert(fd, place);
    }

    /// Whether the case has none.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.borrow().is_empty() && self.left.borrow().is_empty()
    }

    /// Leaves the place of a file that is not active any more to the next one, which may be the same.
    pub(crate) fn leave(&self, fd: Fd) {
        let place = self.active.borrow_mut().remove(&fd);
        self.left.borrow_mut().extend(place);
    }

    /// The place of a file that is deactivated later.
    pub(crate) fn remove(&self, fd: Fd) -> Option<Place> {
        let place = self.active.borrow_mut().remove(&fd);
        place.or_else(|| self.left.borrow_mut().pop())
    }
}

/// The lock of the run that has its turn.
fn turn() -> Result<Option<Flock<File>>> {
    let Ok(file) = File::open(proc::SWAPS) else { return Ok(None) };
    let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => return Ok(Some(lock)),
        Err((file, _)) => file,
    };
    tell_line(format_args!("iomap-conformance: waiting for another run, which has the swap areas of this machine"));
    let (sender, receiver) = channel();
    let waiting = std::thread::Builder::new().spawn(move || sender.send(Flock::lock(file, FlockArg::LockExclusive)));
    waiting.map_err(|error| Error::about("lacking memory: no thread", error))?;
    match receiver.recv_timeout(TURN) {
        Ok(Ok(lock)) => Ok(Some(lock)),
        Ok(Err((_, errno))) => Err(Error::about("/proc/swaps cannot be locked", errno)),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            Err(format!("lacking swap areas: another run has had them for {} s", TURN.as_secs()).into())
        }
    }
}
