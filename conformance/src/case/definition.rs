//! A case: one check of one clause.

use crate::case::context::Context;
use crate::system::Lane;
use crate::verdict::Seen;
use iomap_clauses::Clause;

/// One check of one clause.
pub struct Case {
    /// The clause whose envelope judges the observations.
    pub clause: &'static Clause,
    /// The name, unique among the cases of the clause's family.
    pub name: &'static str,
    /// The expectation, in one sentence that is printed without others.
    pub about: &'static str,
    /// The file system that the case needs.
    pub lane: Lane,
    /// The function that makes the observations.
    pub(crate) run: fn(&Context) -> Seen,
}

impl Case {
    /// The full name: `truncate::shrink`.
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.clause.family(), self.name)
    }
}

pub(crate) const fn case(
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Seen,
) -> Case {
    Case { clause, name, about, lane: Lane::Shared, run }
}

/// A case that needs a file system for itself.
pub(crate) const fn alone(
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Seen,
) -> Case {
    Case { clause, name, about, lane: Lane::Alone, run }
}

/// A case whose file system loses its power.
pub(crate) const fn power(
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Seen,
) -> Case {
    Case { clause, name, about, lane: Lane::Power, run }
}

/// A case whose file system loses its power in the middle of a call.
pub(crate) const fn moment(
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Seen,
) -> Case {
    Case { clause, name, about, lane: Lane::Moment, run }
}

/// A case that needs a file system with quotas for users.
pub(crate) const fn limited(
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    run: fn(&Context) -> Seen,
) -> Case {
    Case { clause, name, about, lane: Lane::Limits, run }
}
