//! The guard: every request goes through the rules before it is carried out.

use crate::call::caller::Credentials;
use crate::model::state::State;
use crate::rules::{Answer, Op, Request, View, rule_for};
use crate::units::{Address, Ino};
use crate::violation::{How, Quirk};
use nix::errno::Errno;

impl View for State {
    fn is_shared(&self, at: Address) -> bool {
        self.volume.is_shared(at)
    }

    fn is_full(&self, uid: u32) -> bool {
        self.volume.free() == 0 || self.at_limit(uid)
    }

    fn is_read_only(&self) -> bool {
        self.volume.read_only
    }
}

impl State {
    /// Checks a request against the rules, and carries it out if they allow it.
    pub(crate) fn guarded<T: Default>(
        &mut self,
        who: &Credentials,
        ino: Ino,
        writable: bool,
        op: Op,
        act: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        if self.misbehaviour.memory.is_none() {
            return self.decide(who, ino, writable, op, act);
        }
        let outer = self.attend(who, ino, op);
        let result = self.decide(who, ino, writable, op, act);
        self.resume(outer);
        result
    }

    fn decide<T: Default>(
        &mut self,
        who: &Credentials,
        ino: Ino,
        writable: bool,
        op: Op,
        act: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        let file = self.inode(ino);
        let request = Request { op, file, fs: self, who, writable };
        let Some(rule) = rule_for(&request) else {
            return self.answer(ino, Answer::Proceed, act);
        };
        let broken = self.misbehaviour.against(rule.clause);
        // A quirk asks for its condition where it has an effect.
        let broken = broken.filter(|how| !matches!(how, How::Quirk(_)) && self.condition_met());
        match broken {
            Some(How::Late(errno)) => {
                // The result does not matter: this violation does the damage and still reports the refusal.
                let _ = act(self);
                Err(errno)
            }
            Some(How::Answer(answer)) => self.answer(ino, answer, act),
            Some(How::Way(route, answer)) if self.route == Some(route) || self.is_registered_by(ino, route) => {
                self.answer(ino, answer, act)
            }
            Some(How::Quirk(_) | How::Way(..)) | None => self.answer(ino, rule.answer, act),
        }
    }

    /// Checks a request on several files, and carries it out if the rules allow it for all of them.
    pub(crate) fn guarded_all(
        &mut self,
        who: &Credentials,
        files: &[Ino],
        op: Op,
        act: &mut dyn FnMut(&mut Self) -> Result<(), Errno>,
    ) -> Result<(), Errno> {
        match files.split_first() {
            None => act(self),
            Some((file, rest)) => self.guarded(who, *file, true, op, |fs| fs.guarded_all(who, rest, op, act)),
        }
    }

    fn answer<T: Default>(
        &mut self,
        ino: Ino,
        answer: Answer,
        act: impl FnOnce(&mut Self) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        match answer {
            Answer::Proceed => {
                self.let_in()?;
                act(self)
            }
            Answer::Done => Ok(T::default()),
            Answer::Refuse(errno) => {
                match errno {
                    Errno::ETXTBSY => self.refused(ino),
                    Errno::EBUSY => self.wait_under(Quirk::BusyWaits),
                    _ => (),
                }
                Err(errno)
            }
        }
    }
}
