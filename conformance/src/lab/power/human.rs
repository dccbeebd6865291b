//! The verdicts about losses of power, as text for people.

use crate::lab::document::LabDocument;
use crate::report::matrix::trouble_of;
use iomap_command::wrap;
use iomap_results::Verdict;
use std::fmt::Write as _;

/// The clauses about losses of power in each run, and their verdicts.
pub(crate) fn human(document: &LabDocument) -> String {
    let mut out = String::new();
    for run in &document.runs {
        let _ = writeln!(out, "Linux {}, {}", run.kernel.release, run.label());
        for clause in run.clauses.iter().filter(|clause| !clause.cases.is_empty()) {
            let expected = match (clause.verdict, clause.is_surprise()) {
                (Verdict::Violated, false) => ", as expected",
                (_, true) => ", which was not expected",
                _ => "",
            };
            let _ = writeln!(out, "  {:16}{}{expected}", clause.id, clause.verdict);
            // The reason of an error is printed once, below.
            let known = clause.verdict != Verdict::Error;
            let details = clause.cases.iter().filter_map(|case| case.detail.as_deref()).chain(clause.reason.as_deref());
            details.filter(|_| known).for_each(|detail| out += &(wrap(detail, 4) + "\n"));
        }
        out += &trouble_of(run);
        out += "\n";
    }
    out
}
