//! The list of all cases.

use crate::case::definition::Case;
use crate::cases::{
    agent, allocation, copies, devices, durability, holds, metadata, mover, names, query, races, read, refuse, routes,
    seal, share, swap, truncate, unseal, write,
};

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
