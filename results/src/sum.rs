//! The counts of results that are not as they should be, and the exit code that follows from them.

use crate::results::{CaseResult, ClauseResult, Results};
use crate::verdict::Verdict;
use iomap_vocabulary::Exit;
use std::fmt;

/// The cases that could not do their work for one reason.
#[derive(Debug)]
pub struct Errors<'a, S = ()> {
    /// The reason.
    pub reason: &'a str,
    /// The names of the cases, or of the clauses that have no cases.
    pub names: Vec<&'a str>,
    /// The first of the cases, with its calls.
    pub first: Option<&'a CaseResult<S>>,
}

impl<'a, S> Errors<'a, S> {
    pub(crate) fn of(results: &'a Results<S>) -> Vec<Self> {
        let mut errors: Vec<Self> = Vec::new();
        for clause in &results.clauses {
            let of_cases = clause.cases.iter().filter(|case| case.verdict == Verdict::Error);
            let mut found: Vec<_> =
                of_cases.map(|case| (case.name.as_str(), case.detail.as_deref(), Some(case))).collect();
            if found.is_empty() && clause.verdict == Verdict::Error {
                found.push((&clause.id, clause.reason.as_deref(), None));
            }
            for (name, reason, case) in found {
                let reason = reason.unwrap_or("no reason is known");
                let same = |known: &&mut Self| known.reason == reason && known.first.is_some() == case.is_some();
                match errors.iter_mut().find(same) {
                    Some(known) => known.names.push(name),
                    None => errors.push(Self { reason, names: vec![name], first: case }),
                }
            }
        }
        errors
    }
}

/// The counts of results that are not as they should be. They decide the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Clauses with another verdict than the expected one.
    pub surprises: usize,
    /// Cases that could not do their work, even if other cases of their clause had a verdict.
    pub errors: usize,
    /// Clauses of which no case could be started.
    pub unseen: usize,
    /// Lines of the kernel log that report a fault of the kernel.
    pub complaints: usize,
    /// Clauses that hold or are violated.
    pub looked: usize,
    /// Clauses that are violated, expectedly or not.
    pub violated: usize,
}

impl Sum {
    /// The sum of several results.
    pub fn of<S>(all: &[Results<S>]) -> Self {
        all.iter().map(Self::of_one).fold(Self::default(), |a, b| Self {
            surprises: a.surprises + b.surprises,
            errors: a.errors + b.errors,
            unseen: a.unseen + b.unseen,
            complaints: a.complaints + b.complaints,
            looked: a.looked + b.looked,
            violated: a.violated + b.violated,
        })
    }

    pub(crate) fn of_one<S>(results: &Results<S>) -> Self {
        let errors = results.errors();
        let of_cases =
            |cases: bool| errors.iter().filter(|it| it.first.is_some() == cases).map(|it| it.names.len()).sum();
        Self {
            surprises: results.clauses.iter().filter(|clause| ClauseResult::is_surprise(clause)).count(),
            errors: of_cases(true),
            unseen: of_cases(false),
            complaints: results.kernel_log.len(),
            looked: results.count(Verdict::Holds) + results.count(Verdict::Violated),
            violated: results.count(Verdict::Violated),
        }
    }

    /// 1 if a verdict is unexpected, because that verdict has its own evidence. Otherwise 3 if a case or clause has no
    /// verdict.
    pub fn exit(self) -> Exit {
        match self {
            Self { surprises: 1.., .. } => Exit::Found,
            Self { errors: 0, unseen: 0, complaints: 0, .. } => Exit::Fine,
            _ => Exit::Environment,
        }
    }
}

/// The last line of a report.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = |number: usize, one: &str, many: &str| match number {
            0 => None,
            1 => Some(format!("1 {one}")),
            _ => Some(format!("{number} {many}")),
        };
        let parts: Vec<String> = [
            count(self.surprises, "clause is not as expected", "clauses are not as expected"),
            count(self.errors, "case could not do its work", "cases could not do their work"),
            count(self.unseen, "clause could not be looked at", "clauses could not be looked at"),
            (self.complaints > 0).then(|| "the kernel is in trouble".to_owned()),
        ]
        .into_iter()
        .flatten()
        .collect();
        f.write_str(match self {
            _ if !parts.is_empty() => return f.write_str(&parts.join("; ")),
            Self { looked: 0, .. } => "nothing could be looked at, as expected",
            Self { violated: 0, .. } => "conforms",
            _ => "as expected of this mechanism",
        })
    }
}
