//! Races: two series of calls that run concurrently.

use crate::call::caller::{Caller, Credentials};
use crate::call::reply::Outcome;
use crate::call::system_call::Call;
use crate::entry::fs::Fs;
use crate::model::misbehaviour::Intruder;
use crate::model::state::State;
use crate::violation::Quirk;

impl Fs {
    /// Makes two series of system calls concurrently.
    pub fn race(&self, caller: Caller, one: &[Call], other: &[Call]) -> (Vec<Outcome>, Vec<Outcome>) {
        let mut state = self.state();
        let protects = state.has(Quirk::ProtectUnmaps) && one.iter().any(|call| matches!(call, Call::Protect { .. }));
        if protects || state.has(Quirk::RaceLost) || state.has(Quirk::RaceBusy) {
            return state.lose_race(caller.credentials(), one, other);
        }
        drop(state);
        let make = |calls: &[Call]| calls.iter().map(|call| self.call(caller, call)).collect();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| make(other));
            let first = make(one);
            // A panic is a bug of the model: an empty list of outcomes fails every case.
            (first, second.join().unwrap_or_default())
        })
    }
}

impl State {
    /// A race under a violation: all calls of one side happen between the check of one call of the other side and its
    /// effect. The side and the call change from race to race.
    fn lose_race(&mut self, who: &Credentials, one: &[Call], other: &[Call]) -> (Vec<Outcome>, Vec<Outcome>) {
        let turn = self.misbehaviour.next_race();
        let (torn, whole) = if turn.is_multiple_of(2) { (other, one) } else { (one, other) };
        let (before, rest) = torn.split_at(turn / 2 % torn.len());
        let mut outcomes = self.series(who, before);
        self.misbehaviour.send(Intruder { who: who.clone(), calls: whole.into(), make: Self::series });
        outcomes.extend(self.series(who, rest));
        // If no request was carried out, the intruder had no moment to run.
        let intruded = match self.misbehaviour.intruded() {
            Some(outcomes) => outcomes,
            None => self.series(who, whole),
        };
        if turn.is_multiple_of(2) { (intruded, outcomes) } else { (outcomes, intruded) }
    }
}
