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

use crate::context::Context;
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
    /// It fills the file system, remounts it or counts its free space, so no other case may be at work there.
    pub alone: bool,
    /// Its file system has limits for users.
    pub quotas: bool,
    /// What it does.
    pub run: fn(&Context) -> Seen,
}

impl Case {
    /// `truncate::shrink`.
    pub fn full_name(&self) -> String {
        format!("{}::{}", self.clause.family(), self.name)
    }
}

const fn case(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, alone: false, quotas: false, run }
}

/// A case that needs a file system to itself.
const fn alone(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, alone: true, quotas: false, run }
}

/// One that needs a file system with limits for users.
const fn limited(clause: &'static Clause, name: &'static str, about: &'static str, run: fn(&Context) -> Seen) -> Case {
    Case { clause, name, about, alone: true, quotas: true, run }
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
