//! Misbehaviour: the effects of violations outside the table of rules.
//!
//! A quirk of one line is at the place of the call, behind [`State::has`]; the longer ones are here.

use crate::call::caller::Credentials;
use crate::call::flags::XFLAG_NODUMP;
use crate::call::reply::{Outcome, Reply};
use crate::call::route::Route;
use crate::call::system_call::Call;
use crate::conditions::Condition;
use crate::model::memory::Memory;
use crate::model::state::State;
use crate::rules::View;
use crate::units::{Address, BLOCK, Ino};
use crate::violation::{How, Quirk, Violation};
use iomap_clauses::{AGENT_MEMORY, AGENT_WRITES, Clause, HOLD_REFUSAL};
use nix::errno::Errno;
use nix::fcntl::OFlag;

/// The violation of the file system, and the state of the race that it loses.
#[derive(Debug, Default)]
pub(crate) struct Misbehaviour {
    violation: Option<Violation>,
    /// The side of a race that runs next.
    intruder: Option<Intruder>,
    /// The outcomes of the side that ran.
    intruded: Vec<Outcome>,
    /// The number of races so far.
    races: usize,
    /// For a violation with a condition only.
    pub(crate) memory: Option<Box<Memory>>,
}

/// One side of a race: it runs between the check of a request of the other side and its effect.
#[derive(Debug)]
pub(crate) struct Intruder {
    pub(crate) who: Credentials,
    pub(crate) calls: Vec<Call>,
    /// Makes the calls. This function pointer keeps the model independent of the entry that calls it.
    pub(crate) make: fn(&mut State, &Credentials, &[Call]) -> Vec<Outcome>,
}

impl Misbehaviour {
    pub(crate) fn new(violation: Option<Violation>) -> Self {
        let memory = violation.as_ref().and_then(|violation| violation.when).map(|_| Box::default());
        Self { violation, memory, ..Self::default() }
    }

    /// The condition of the violation.
    pub(crate) fn condition(&self) -> Option<&'static Condition> {
        self.violation.as_ref()?.when.map(|when| when.0)
    }

    /// The condition is met where the fault is: it shows.
    pub(crate) fn shows(&self) {
        self.violation.iter().for_each(Violation::shows);
    }

    /// How this clause is broken, if it is the broken clause.
    pub(crate) fn against(&self, clause: &Clause) -> Option<How> {
        self.violation.as_ref().filter(|violation| violation.clause == clause).map(|violation| violation.how)
    }

    /// The clause that is broken for calls by this route, if there is one.
    fn on(&self, route: Route) -> Option<&'static Clause> {
        let violation = self.violation.as_ref()?;
        matches!(violation.how, How::Way(way, _) if way == route).then_some(violation.clause)
    }

    /// Whether the file system misbehaves in this way at all: to be asked before its files are.
    pub(crate) fn is(&self, quirk: Quirk) -> bool {
        self.violation.as_ref().is_some_and(|violation| violation.how == How::Quirk(quirk))
    }

    /// The number of the next race, from 0.
    pub(crate) fn next_race(&mut self) -> usize {
        self.races += 1;
        self.races - 1
    }

    /// Registers one side of a race to run during the next request that is carried out.
    pub(crate) fn send(&mut self, intruder: Intruder) {
        self.intruder = Some(intruder);
    }

    /// The outcomes of the intruder; `None` if it did not run.
    pub(crate) fn intruded(&mut self) -> Option<Vec<Outcome>> {
        match self.intruder.take() {
            Some(_) => None,
            None => Some(std::mem::take(&mut self.intruded)),
        }
    }
}

impl State {
    /// Whether the file system misbehaves in this way about the present request.
    pub(crate) fn has(&self, quirk: Quirk) -> bool {
        self.misbehaviour.is(quirk) && self.condition_met()
    }

    /// Whether the file system misbehaves in this way about a file.
    pub(crate) fn has_for(&self, quirk: Quirk, ino: Ino) -> bool {
        self.misbehaviour.is(quirk) && self.condition_met_by(ino)
    }

    /// Runs the intruder, if there is one.
    pub(crate) fn let_in(&mut self) -> Result<(), Errno> {
        let Some(Intruder { who, calls, make }) = self.misbehaviour.intruder.take() else { return Ok(()) };
        self.misbehaviour.intruded = make(self, &who, &calls);
        if self.has(Quirk::RaceBusy) { Err(Errno::EBUSY) } else { Ok(()) }
    }

    /// Breaks the clause of the violation for a call by this route. Returns an outcome if the call needs nothing else.
    pub(crate) fn break_way(&mut self, route: Route, call: &Call) -> Option<Outcome> {
        let clause = self.misbehaviour.on(route)?;
        match call {
            // No rule covers a store, so the store is lost.
            Call::Store { .. } => Some(Ok(Reply::Number(0))),
            // No rule refuses a registration, so refuse it here.
            Call::Register { .. } if clause == &HOLD_REFUSAL => Some(Err(Errno::ETXTBSY)),
            // The layer above looks itself whether it breaks its clauses.
            _ if route == Route::Overlay => None,
            // Nor has a query by this route: it shows nothing.
            Call::GetXflags { .. } => Some(Ok(Reply::Number(0))),
            _ => {
                if [&AGENT_MEMORY, &AGENT_WRITES].contains(&clause) {
                    self.relocate_all(true);
                }
                None
            }
        }
    }

    /// Side effects of a refused call, under a violation only.
    pub(crate) fn refused(&mut self, ino: Ino) {
        if self.has(Quirk::RefusalTouchesMtime) {
            let now = self.now();
            self.inode_mut(ino).mtime = now;
        }
        if self.has(Quirk::RefusalMovesOffset) {
            self.descriptors.values_mut().filter(|d| d.ino == ino).for_each(|d| d.position += 1);
        }
        if self.has(Quirk::RefusalDropsAppend) {
            self.descriptors.values_mut().filter(|d| d.ino == ino).for_each(|d| d.flags.remove(OFlag::O_APPEND));
        }
        if self.has(Quirk::RefusalTouchesAtime) {
            let now = self.now();
            self.inode_mut(ino).atime = now;
        }
        if self.has(Quirk::RefusalChangesFlags) {
            self.inode_mut(ino).xflags ^= XFLAG_NODUMP;
        }
        if self.has(Quirk::RefusalTakesSpace) {
            let _ = self.volume.allocator.allocate();
        }
        if self.has(Quirk::RefusalUnmaps) {
            self.mappings.retain(|_, mapping| mapping.ino != ino);
        }
        if self.has(Quirk::RefusalHarmsOthers) {
            let others = self.volume.inodes.iter().filter(|(other, _)| **other != ino);
            let places: Vec<Address> = others.flat_map(|(_, file)| file.map.addresses()).collect();
            places.into_iter().filter_map(|at| self.volume.store.zero(at).err()).for_each(drop);
        }
        if self.is_leased(ino) && self.has(Quirk::RefusalBreaksLeases) {
            self.break_leases(ino);
        }
        self.wait_under(Quirk::RefusalWaits);
        if self.has(Quirk::MoveOnRefusal) {
            self.volume.relocate(ino);
        }
    }

    /// Waits as for a hold that does not end, under a violation only.
    pub(crate) fn wait_under(&self, quirk: Quirk) {
        if self.has(quirk) {
            std::thread::sleep(std::time::Duration::from_millis(1200));
        }
    }

    /// Side effects of a call that changes nothing about a sealed file, under a violation only.
    pub(crate) fn changed_nothing(&mut self, ino: Ino, [waits, takes_space, zeroes]: [Quirk; 3]) -> Result<(), Errno> {
        self.wait_under(waits);
        let (size, uid) = (self.inode(ino).size, self.inode(ino).uid);
        if self.is_full(uid) && self.has(takes_space) {
            self.room_for(ino, 1, 1)?;
        }
        if !size.is_multiple_of(BLOCK as u64) && self.has(zeroes) {
            self.zero_within_block(ino, size, size.next_multiple_of(BLOCK as u64))?;
        }
        Ok(())
    }

    /// Side effects of sealing and unsealing on others, under a violation only.
    pub(crate) fn change_of_state(&mut self, ino: Ino) {
        if self.has(Quirk::SealModifies) {
            self.inode_mut(ino).modified += 1;
        }
        if self.is_leased(ino) && self.has(Quirk::SealBreaksLeases) {
            self.break_leases(ino);
        }
        if self.is_leased(ino) {
            self.wait_under(Quirk::SealWaitsForLeases);
        }
    }

    /// Moves every sealed file, under a violation only.
    pub(crate) fn relocate_sealed(&mut self, quirk: Quirk) {
        if !self.misbehaviour.is(quirk) {
            return;
        }
        let broken = |ino: &Ino| self.has_for(quirk, *ino);
        let sealed = self.volume.inodes.iter().filter(|(ino, file)| file.sealed && broken(ino));
        let sealed: Vec<Ino> = sealed.map(|(ino, _)| *ino).collect();
        sealed.into_iter().for_each(|ino| self.volume.relocate(ino));
    }
}
