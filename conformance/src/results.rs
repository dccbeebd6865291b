//! The results of a run, with the calls of its cases in the form of this program.

use crate::system::Step;
use iomap_clauses::Clause;

/// The results of one run.
pub type Results = iomap_results::Results<Step>;

/// The finding about one clause.
pub type ClauseResult = iomap_results::ClauseResult<Step>;

/// The finding of one case.
pub type CaseResult = iomap_results::CaseResult<Step>;

/// The cases that could not do their work for one reason.
pub(crate) type Errors<'a> = iomap_results::Errors<'a, Step>;

/// The specification that this program was built with.
pub(crate) fn own_spec() -> iomap_results::Spec {
    iomap_results::Spec { version: iomap_clauses::SPEC_VERSION.into(), digest: iomap_clauses::SPEC_DIGEST.into() }
}

/// The clause of a result, if this program was built with a specification that has it.
pub(crate) fn clause(result: &ClauseResult) -> Option<&'static Clause> {
    iomap_clauses::ALL.iter().copied().find(|clause| clause.id == result.id)
}
