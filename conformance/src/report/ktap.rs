//! KTAP version 1: a subtest for each family, a line for each case.

use crate::results::{CaseResult, ClauseResult, Results};
use crate::verdict::Verdict;
use std::fmt::Write as _;

/// Writes results as KTAP.
pub fn write(results: &Results) -> String {
    let mut out = String::from("KTAP version 1\n");
    if let Some(reason) = &results.not_offered {
        let _ = writeln!(out, "1..0 # SKIP not offered: {reason}");
        return out;
    }
    let families: Vec<_> =
        results.families().into_iter().filter(|(_, clauses)| clauses.iter().any(|c| !c.cases.is_empty())).collect();
    let _ = writeln!(out, "1..{}", families.len());
    let _ = writeln!(
        out,
        "# specification {} ({}), {} on {} of Linux {}",
        results.spec.version, results.spec.digest, results.mechanism, results.fs, results.kernel.release
    );
    for (number, (family, clauses)) in families.iter().enumerate() {
        let cases: Vec<(&ClauseResult, &CaseResult)> =
            clauses.iter().flat_map(|clause| clause.cases.iter().map(move |case| (*clause, case))).collect();
        let _ = writeln!(out, "  KTAP version 1\n  # Subtest: {family}\n  1..{}", cases.len());
        let mut passed = true;
        for (at, (clause, case)) in cases.iter().enumerate() {
            let (status, directive) = line(clause, case);
            passed &= status == "ok";
            for detail in case.detail.iter().filter(|_| status != "ok").flat_map(|detail| detail.lines()) {
                let _ = writeln!(out, "  # {}: {detail}", clause.id);
            }
            let _ = writeln!(out, "  {status} {} {} {}{directive}", at + 1, clause.id, case.name);
        }
        let _ = writeln!(out, "{} {} {family}", if passed { "ok" } else { "not ok" }, number + 1);
    }
    out
}

/// `ok` or `not ok`, and the directive. A `#` cannot stand in a description.
fn line(clause: &ClauseResult, case: &CaseResult) -> (&'static str, String) {
    let detail = || case.detail.as_deref().unwrap_or_default().replace(['#', '\n'], " ");
    let expected = clause.expected == Some(Verdict::Violated);
    match case.verdict {
        Verdict::Holds => ("ok", String::new()),
        Verdict::Violated if expected => {
            ("ok", format!(" # XFAIL {}", clause.reason.as_deref().unwrap_or_default().replace('#', " ")))
        }
        Verdict::Violated => ("not ok", String::new()),
        Verdict::Error => ("not ok", " # ERROR".into()),
        Verdict::NotOffered | Verdict::NotReachable | Verdict::Untested => {
            ("ok", format!(" # SKIP {}: {}", case.verdict, detail()))
        }
    }
}
