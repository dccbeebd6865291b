//! The reference in this process, as a target.

use crate::mechanism::BLOCK_LEN;
use crate::mechanism::Mechanism;
use crate::system::{Lane, Outcomes, Ready, StorageAgent, System, Target};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::Clause;
use iomap_reference::{Agent, Call, Caller, Fd, Fs, Outcome, Violation};
use std::ops::Range;
use std::time::Duration;

/// The in-process reference. Each case has its own file system.
pub struct Reference {
    violation: Option<Violation>,
}

/// The size of the reference's storage for one case, in blocks.
pub(crate) const BLOCKS: usize = 2048;

impl Reference {
    /// The reference, or a reference that breaks a clause.
    pub fn new(violation: Option<Violation>) -> Self {
        Self { violation }
    }

    pub(crate) fn file_system(&self) -> Fs {
        match &self.violation {
            Some(violation) => Fs::breaking(BLOCKS, violation.clone()),
            None => Fs::new(BLOCKS),
        }
    }
}

impl Target for Reference {
    fn system(&self, _: &Clause, _: Lane) -> Result<Box<dyn System + '_>, Trouble> {
        Ok(Box::new(self.file_system()))
    }

    fn lacks(&self, mechanism: Mechanism) -> Option<String> {
        (mechanism != Mechanism::Seal).then(|| "the reference has the specified interface only".into())
    }

    fn repeats(&self) -> bool {
        true
    }
}

impl System for Fs {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        Fs::call(self, caller, call)
    }

    fn race(&self, one: &[Call], other: &[Call]) -> Result<Outcomes, Trouble> {
        Ok(Fs::race(self, Caller::Privileged, one, other))
    }

    fn patience(&self) -> Duration {
        // Effects come with the calls, never later.
        Duration::ZERO
    }

    fn page_of_map(&self) -> i64 {
        // A run takes 32 bytes.
        130
    }

    fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
        match Fs::agent(self, fd) {
            Ok(agent) => Ok(Box::new(agent)),
            Err(errno) => Err(Trouble::Setup(format!("no access to the storage: {}", words::name(errno)))),
        }
    }

    fn retire(&self, _: Mechanism, file: Ready) {
        for fd in file.open() {
            let _ = Fs::call(self, Caller::Privileged, &Call::Close { fd });
        }
    }
}

impl StorageAgent for Agent {
    fn span(&self) -> Result<Range<i64>, Trouble> {
        let (Some(first), Some(last)) = (self.places().iter().min(), self.places().iter().max()) else {
            return Err(Trouble::Setup("the file has no storage".into()));
        };
        Ok(*first as i64 * BLOCK_LEN..(*last as i64 + 1) * BLOCK_LEN)
    }

    fn read(&self, offset: i64, len: usize) -> Result<Vec<u8>, Trouble> {
        Ok(Agent::read(self, offset as usize, len))
    }

    fn write(&self, offset: i64, data: &[u8]) -> Result<(), Trouble> {
        Agent::write(self, offset as usize, data);
        Ok(())
    }
}
