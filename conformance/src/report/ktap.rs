//! KTAP version 1: a subtest for each family, a line for each case. `kunit.py parse` accepts it.

use crate::results::{self, CaseResult, ClauseResult, Results};
use iomap_results::CaseOutcome;
use std::fmt::Write as _;

/// Writes results as KTAP.
pub(crate) fn write(results: &Results) -> String {
    let mut out = String::from("KTAP version 1\n");
    if let Some(reason) = &results.not_offered {
        // kunit.py rejects a plan of 0 tests, so write a plan of one test.
        let status = if results.lacks_unexpectedly() { "not ok 1 iomap #" } else { "ok 1 iomap # SKIP" };
        let _ = writeln!(out, "1..1\n{status} not offered: {}", described(reason));
        return out;
    }
    let families: Vec<_> =
        results.families().into_iter().filter(|(_, clauses)| clauses.iter().any(|c| !c.cases.is_empty())).collect();
    // Write this above the plan: below it, parsers would take it for a remark on the first family.
    let _ = writeln!(
        out,
        "# specification {} ({}), {} on {} of Linux {}",
        results.spec.version, results.spec.digest, results.mechanism, results.fs, results.kernel.release
    );
    let alarmed = !results.kernel_log.is_empty();
    let _ = writeln!(out, "1..{}", families.len() + usize::from(alarmed));
    for (number, (family, clauses)) in families.iter().enumerate() {
        let cases: Vec<(&ClauseResult, &CaseResult)> =
            clauses.iter().flat_map(|clause| clause.cases.iter().map(move |case| (*clause, case))).collect();
        let _ = writeln!(out, "  KTAP version 1\n  # Subtest: {family}\n  1..{}", cases.len());
        let mut passed = true;
        for (at, (clause, case)) in cases.iter().enumerate() {
            let (status, directive) = line(clause, case);
            passed &= status == "ok";
            if status != "ok" {
                let sentence = results::clause(clause).map_or("", |it| it.text);
                for remark in sentence.lines().chain(clause.remark(case).lines()) {
                    let _ = writeln!(out, "  # {}: {remark}", clause.id);
                }
            }
            let _ = writeln!(out, "  {status} {} {} {}{directive}", at + 1, clause.id, case.name);
        }
        let _ = writeln!(out, "{} {} {family}", if passed { "ok" } else { "not ok" }, number + 1);
    }
    if alarmed {
        for line in &results.kernel_log {
            let _ = writeln!(out, "# {}, while this ran: {}", line.text, line.during.join(" "));
        }
        let _ = writeln!(out, "not ok {} kernel_log", families.len() + 1);
    }
    let _ = writeln!(out, "# {}", results.sum());
    out
}

/// `ok` or `not ok`, and the directive.
fn line(clause: &ClauseResult, case: &CaseResult) -> (&'static str, String) {
    match clause.outcome(case) {
        CaseOutcome::Passed => ("ok", String::new()),
        CaseOutcome::Waived => ("ok", format!(" # XFAIL {}", described(clause.reason.as_deref().unwrap_or_default()))),
        CaseOutcome::Failed => ("not ok", String::new()),
        CaseOutcome::Broken => ("not ok", " # ERROR".into()),
        CaseOutcome::Skipped => ("ok", format!(" # SKIP {}", described(&clause.remark(case)))),
    }
}

/// A description without `#` and newlines, which have a meaning in KTAP.
fn described(text: &str) -> String {
    text.replace(['#', '\n'], " ")
}
