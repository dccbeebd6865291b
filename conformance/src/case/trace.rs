//! The calls of a case, in order, with their outcomes.
//!
//! Every case is recorded, and the record of a case that holds is dropped; but where a case can be run again with the same
//! outcomes, it is recorded only after it has failed.

use crate::lack::Lacking;
use crate::mechanism::Mechanism;
use crate::system::{Action, Failure, Outcomes, Ready, Step, StorageAgent, System};
use crate::verdict::Trouble;
use iomap_clauses::Errno;
use iomap_reference::{BLOCK, Call, Caller, Fd, Outcome, Reply};
use std::cell::Cell;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The maximum number of steps that are kept; further steps are only counted, because a case that waits repeats its
/// calls.
const KEPT: usize = 1000;

/// The record of one case. Its clones are the same record, so that it can be read while the case runs.
#[derive(Clone, Default)]
pub(crate) struct Trace(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    steps: Vec<Step>,
    left_out: usize,
    /// Whether the next step begins a round.
    round: bool,
    lacks: Vec<Lacking>,
    /// Whether no step is kept or counted.
    mute: bool,
}

impl Trace {
    /// A record of the lacks only.
    pub(crate) fn mute() -> Self {
        Self(Arc::new(Mutex::new(Kept { mute: true, ..Kept::default() })))
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The steps so far, and the number of steps that were not kept.
    pub(crate) fn steps(&self) -> (Vec<Step>, usize) {
        let kept = self.kept();
        (kept.steps.clone(), kept.left_out)
    }

    /// The lacks that made calls fail, in the order of the calls.
    pub(crate) fn lacks(&self) -> Vec<Lacking> {
        self.kept().lacks.clone()
    }

    /// Records an action that is about to begin. Returns its place, if it is kept.
    fn begin(&self, action: impl FnOnce() -> Action, look: bool) -> Option<usize> {
        let mut kept = self.kept();
        if kept.mute {
            return None;
        }
        if kept.steps.len() == KEPT {
            kept.left_out += 1;
            return None;
        }
        let round = std::mem::take(&mut kept.round);
        kept.steps.push(Step { action: action(), outcome: None, look, times: 1, round });
        Some(kept.steps.len() - 1)
    }

    fn end(&self, place: Option<usize>, outcome: impl FnOnce() -> Result<Reply, Failure>) {
        let Some(place) = place else { return };
        let mut kept = self.kept();
        kept.steps[place].outcome = Some(outcome());
        if place + 1 == kept.steps.len()
            && let [.., before, last] = kept.steps.as_mut_slice()
            && (&before.action, &before.outcome, before.look) == (&last.action, &last.outcome, last.look)
            && !last.round
        {
            before.times += 1;
            kept.steps.pop();
        }
    }
}

fn recorded(outcome: &Outcome) -> Result<Reply, Failure> {
    outcome.clone().map_err(Failure::Call)
}

/// A system that records its calls.
pub(crate) struct Recorder<'a> {
    system: &'a dyn System,
    trace: Trace,
    looking: Cell<bool>,
}

impl<'a> Recorder<'a> {
    /// Records the calls to `system`.
    pub(crate) fn new(system: &'a dyn System, trace: Trace) -> Self {
        Self { system, trace, looking: Cell::new(false) }
    }

    /// Begins a new round of a race: the following calls do not need the calls before them.
    pub(crate) fn round(&self) {
        self.trace.kept().round = true;
    }

    /// The number of calls so far that failed because of a lack.
    pub(crate) fn lacks(&self) -> usize {
        self.trace.kept().lacks.len()
    }

    /// Asks for the lack behind a failure while the lack is still visible.
    fn ask(&self, caller: Caller, call: &Call, outcome: &Outcome) {
        if let Err(errno) = outcome
            && let Some(lack) = self.system.lacking(caller, call, *errno)
        {
            self.trace.kept().lacks.push(lack);
        }
    }

    /// Makes a call that is not recorded, because no program has to make it again.
    pub(crate) fn aside(&self, call: &Call) -> Outcome {
        self.system.call(Caller::Privileged, call)
    }

    fn recording(&self, caller: Caller, call: &Call, make: impl FnOnce() -> Outcome) -> Outcome {
        let place = self.trace.begin(|| Action::Call(caller, call.clone()), self.looking.get());
        let outcome = make();
        self.ask(caller, call, &outcome);
        self.trace.end(place, || recorded(&outcome));
        outcome
    }

    /// Marks the calls in `look` as calls of the harness, not of the case.
    pub(crate) fn looking<T>(&self, look: impl FnOnce() -> T) -> T {
        let before = self.looking.replace(true);
        let seen = look();
        self.looking.set(before);
        seen
    }
}

impl System for Recorder<'_> {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        self.recording(caller, call, || self.system.call(caller, call))
    }

    fn call_beside_registrations(&self, call: &Call, within: Duration) -> Outcome {
        self.recording(Caller::Privileged, call, || self.system.call_beside_registrations(call, within))
    }

    fn reach(&self, call: &Call) -> Result<(), Trouble> {
        self.system.reach(call)
    }

    fn race(&self, one: &[Call], other: &[Call]) -> Result<Outcomes, Trouble> {
        let ones = one.iter().map(|call| self.trace.begin(|| Action::Racing(call.clone()), false));
        let others = other.iter().map(|call| self.trace.begin(|| Action::Beside(call.clone()), false));
        let places: Vec<_> = ones.chain(others).collect();
        let outcomes = self.system.race(one, other)?;
        for (call, outcome) in one.iter().zip(&outcomes.0).chain(other.iter().zip(&outcomes.1)) {
            self.ask(Caller::Privileged, call, outcome);
        }
        for (place, outcome) in places.into_iter().zip(outcomes.0.iter().chain(&outcomes.1)) {
            self.trace.end(place, || recorded(outcome));
        }
        Ok(outcomes)
    }

    fn patience(&self) -> Duration {
        self.system.patience()
    }

    fn lacking(&self, caller: Caller, call: &Call, errno: Errno) -> Option<Lacking> {
        self.system.lacking(caller, call, errno)
    }

    fn page_of_map(&self) -> i64 {
        self.system.page_of_map()
    }

    fn writes_registered_pages(&self) -> bool {
        self.system.writes_registered_pages()
    }

    fn shows_access_times(&self) -> bool {
        self.system.shows_access_times()
    }

    fn tick(&self, since: i128) {
        self.system.tick(since);
    }

    fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
        let agent = self.system.agent(fd)?;
        Ok(Box::new(RecordedAgent { agent, trace: self.trace.clone() }))
    }

    fn ready(&self) -> Option<(Ready, Vec<Step>)> {
        let (ready, steps) = self.system.ready()?;
        self.trace.kept().steps.extend(steps);
        Some((ready, Vec::new()))
    }

    fn retire(&self, mechanism: Mechanism, file: Ready) {
        self.system.retire(mechanism, file);
    }
}

struct RecordedAgent {
    agent: Box<dyn StorageAgent>,
    trace: Trace,
}

impl RecordedAgent {
    fn done<T>(
        &self,
        action: impl FnOnce() -> Action,
        act: impl FnOnce() -> Result<T, Trouble>,
        came: fn(&T) -> Reply,
    ) -> Result<T, Trouble> {
        let place = self.trace.begin(action, false);
        let done = act();
        let outcome = || done.as_ref().map(came).map_err(|trouble| Failure::Agent(trouble.reason().to_owned()));
        self.trace.end(place, outcome);
        done
    }
}

impl StorageAgent for RecordedAgent {
    fn span(&self) -> Result<Range<i64>, Trouble> {
        self.agent.span()
    }

    fn read(&self, offset: i64, len: usize) -> Result<Vec<u8>, Trouble> {
        // An agent reads whole blocks.
        let whole = len.next_multiple_of(BLOCK);
        let read = || self.agent.read(offset, whole);
        let mut data = self.done(|| Action::AgentRead(offset, whole), read, |data| Reply::Data(data.clone()))?;
        data.truncate(len);
        Ok(data)
    }

    fn write(&self, offset: i64, data: &[u8]) -> Result<(), Trouble> {
        // An agent writes whole blocks.
        let last = data.len() / BLOCK * BLOCK;
        let mut whole = data.to_vec();
        if last < data.len() {
            let rest = self.agent.read(offset + last as i64, BLOCK)?;
            let rest = rest.get(data.len() - last..);
            whole.extend(rest.ok_or_else(|| Trouble::Setup("the file has no storage at its end".into()))?);
        }
        self.done(
            || Action::AgentWrite(offset, whole.clone()),
            || self.agent.write(offset, &whole),
            |()| Reply::Number(0),
        )
    }
}
