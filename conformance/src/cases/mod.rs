//! The cases, by family.

mod agent;
mod allocation;
mod copies;
mod devices;
pub(crate) mod durability;
mod holds;
mod meanwhile;
mod metadata;
mod mover;
mod names;
mod query;
mod races;
mod read;
mod refuse;
mod routes;
mod seal;
mod share;
mod swap;
mod truncate;
mod unseal;
mod write;

use crate::case::context::Context;
use crate::verdict::Seen;
use iomap_clauses::Clause;

/// One check of one clause.
pub struct Case {
    /// The clause whose envelope judges what is observed.
    pub clause: &'static Clause,
    /// The name, unique among the cases of the clause's family.
    pub name: &'static str,
    /// What is expected, in one sentence.
    pub about: &'static str,
    /// The file system that the case needs.
    pub lane: Lane,
    /// What it does.
    pub run: fn(&Context) -> Seen,
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

impl Case {
    /// `truncate::shrink`.
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.clause.family(), self.name)
    }
}

const fn case(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, lane: Lane::Shared, run }
}

/// A case that needs a file system to itself.
const fn alone(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, lane: Lane::Alone, run }
}

/// A case whose file system loses its power.
const fn power(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, lane: Lane::Power, run }
}

/// A case whose file system loses its power in the middle of a call.
const fn moment(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, lane: Lane::Moment, run }
}

/// One that needs a file system with limits for users.
const fn limited(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, lane: Lane::Limits, run }
}

/// Every case, in the order of the page.
pub fn all() -> impl Iterator<Item = &'static Case> {
    [
        refuse::CASES,
        seal::CASES,
        unseal::CASES,
        holds::CASES,
        read::CASES,
        write::CASES,
        agent::CASES,
        devices::CASES,
        truncate::CASES,
        allocation::CASES,
        share::CASES,
        mover::CASES,
        names::CASES,
        metadata::CASES,
        query::CASES,
        swap::CASES,
        durability::CASES,
        copies::CASES,
        races::CASES,
    ]
    .into_iter()
    .chain(routes::CASES.iter().copied())
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_has_a_case_or_a_reason() {
        for clause in iomap_clauses::ALL {
            let cases = all().filter(|case| case.clause == *clause).count();
            match clause.uncased {
                None => assert!(cases > 0, "{clause} has no case and gives no reason"),
                Some(reason) => assert_eq!(cases, 0, "{clause} has cases, and a reason for having none: {reason}"),
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = all().map(Case::full_name).collect();
        names.sort();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
