//! The list of all cases.

use crate::case::definition::Case;
use crate::cases::{
    agent, allocation, copies, devices, durability, foreign, holds, metadata, mover, names, query, races, read,
    reasons, refuse, routes, seal, share, swap, truncate, unseal, write,
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
        races::STORMS,
        foreign::CASES,
        reasons::CASES,
    ]
    .into_iter()
    .chain(routes::CASES.iter().copied())
    .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

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
        let mut names = HashSet::new();
        for case in all() {
            assert!(names.insert(case.full_name()), "two cases are called {}", case.full_name());
        }
    }

    /// Lists and reports print a sentence without the sentences around it.
    #[test]
    fn sentences_stand_alone() {
        const LEANING: [&str; 14] =
            ["so", "and", "nor", "or", "by", "in", "nobody", "also", "as", "but", "it", "neither", "one", "the same"];
        let mut sentences = HashSet::new();
        for case in all() {
            let (name, sentence) = (case.full_name(), case.about);
            for word in LEANING {
                assert!(
                    !sentence.starts_with(&format!("{word} ")),
                    "{name}: the sentence begins with {word:?}: {sentence}"
                );
            }
            assert!(sentence.split(' ').count() >= 4, "{name}: too short to stand alone: {sentence}");
            assert!(sentences.insert(sentence), "{name}: another case has the same sentence: {sentence}");
        }
    }
}
