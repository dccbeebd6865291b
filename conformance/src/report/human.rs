//! The summary for people, in 80 columns.

use crate::kernel;
use crate::reproduce::origin::Origin;
use crate::reproduce::reproducer;
use crate::results::{self, CaseResult, ClauseResult, Errors, Results};
use crate::system::Step;
use iomap_command::{Exit, count, wrap};
use iomap_results::Verdict;
use std::collections::BTreeSet;
use std::fmt::Write as _;

const INDENT: usize = 14;

/// Writes the summary by clause.
pub(crate) fn write(results: &Results) -> String {
    report(results, true)
}

/// Writes only the unexpected results of the summary, and the sums.
pub(crate) fn terse(results: &Results) -> String {
    report(results, false)
}

fn report(results: &Results, whole: bool) -> String {
    let mut out = String::new();
    let Results { spec, target, fs, mechanism, kernel: of, .. } = results;
    if whole {
        let _ = writeln!(out, "specification {} ({}) on Linux {}", spec.version, spec.digest, of.release);
        if let Some(build) = kernel::build_in_words(of, results.started.as_deref()) {
            let _ = writeln!(out, "{build}");
        }
        let _ = writeln!(out, "target {target}, file system {fs}, mechanism {mechanism}\n");
    }
    if let Some(reason) = &results.not_offered {
        let _ = writeln!(out, "not offered: {reason}");
        if results.exit() != Exit::Fine {
            let _ = writeln!(out, "{}", results.sum());
        }
        return out;
    }
    if whole {
        holding(&mut out, results);
        for verdict in [Verdict::Violated, Verdict::NotReachable, Verdict::NotOffered, Verdict::Untested] {
            by_reason(&mut out, results, verdict);
        }
    }
    for clause in results.clauses.iter().filter(|clause| clause.is_surprise()) {
        explain(&mut out, clause);
    }
    for errors in results.errors() {
        could_not(&mut out, &errors);
    }
    for line in &results.kernel_log {
        let _ = writeln!(out, "the kernel log has:\n{}", wrap(&line.text, 4));
        let _ = writeln!(out, "{}\n", wrap(&format!("while this ran: {}", line.during.join(" ")), 2));
    }
    if !results.left_out.is_empty() {
        let _ = writeln!(out, "values and runs left out");
        for (why, number) in &results.left_out {
            let _ = writeln!(out, "  {number:>6}  {why}");
        }
        out.push('\n');
    }
    let counts: Vec<String> = Verdict::ALL
        .into_iter()
        .filter(|verdict| results.count(*verdict) > 0)
        .map(|verdict| format!("{} {verdict}", results.count(verdict)))
        .collect();
    let names = || results.clauses.iter().flat_map(|clause| &clause.cases).map(|case| case.name.as_str());
    let cases: BTreeSet<&str> = names().filter_map(|name| name.split('[').next()).collect();
    let (clauses, cases) = (count(iomap_clauses::ALL.len(), "clause"), count(cases.len(), "case"));
    // Without situations, a case is a run.
    let situated = names().any(|name| name.ends_with(']'));
    let cases = if situated { format!("{cases} in {}", count(names().count(), "run")) } else { cases };
    let all = format!("{clauses}, {} of them testable, {cases}: {}", results.clauses.len(), counts.join(", "));
    let _ = writeln!(out, "{}", wrap(&all, 0));
    let _ = writeln!(out, "{}", results.sum());
    out
}

/// The clauses that hold, by family, in running lines.
fn holding(out: &mut String, results: &Results) {
    if results.count(Verdict::Holds) == 0 {
        return;
    }
    let _ = writeln!(out, "holds");
    for (family, clauses) in results.families() {
        let names = clauses.iter().filter(|c| c.verdict == Verdict::Holds).filter_map(|c| c.id.split('.').next_back());
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            let lines = wrap(&names.join(" "), INDENT);
            let _ = writeln!(out, "  {family:<width$}{}", lines.trim_start(), width = INDENT - 2);
        }
    }
    out.push('\n');
}

/// The clauses with another verdict, each reason once.
fn by_reason(out: &mut String, results: &Results, verdict: Verdict) {
    let mut groups: Vec<(&str, Vec<&str>)> = Vec::new();
    for clause in results.clauses.iter().filter(|clause| clause.verdict == verdict) {
        let Some(reason) = clause.reason.as_deref().filter(|_| !clause.is_surprise()) else { continue };
        match groups.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, list)) => list.push(&clause.id),
            None => groups.push((reason, vec![&clause.id])),
        }
    }
    if groups.is_empty() {
        return;
    }
    let _ = writeln!(out, "{verdict}");
    for (reason, clauses) in groups {
        let _ = writeln!(out, "{}\n{}", wrap(&clauses.join(" "), 2), wrap(reason, INDENT));
    }
    out.push('\n');
}

/// Writes an unexpected verdict on a clause: the expectation, the text, and the observations.
fn explain(out: &mut String, result: &ClauseResult) {
    let Some(clause) = results::clause(result) else { return };
    let is = if result.verdict == Verdict::Holds { "" } else { "is " };
    let _ = writeln!(out, "{} {is}{}", clause.id, result.verdict);
    if let Some(expected) = result.expected.filter(|expected| *expected != Verdict::Holds) {
        let why = result.reason.as_deref().unwrap_or_default();
        let _ = writeln!(out, "{}", wrap(&format!("expected: {expected}, because {why}"), 2));
    }
    let _ = writeln!(out, "{}", wrap(clause.text, 4));
    let _ = writeln!(out, "    {}, {} [{}]", clause.page, clause.section, clause.hash);
    // Cases in error are listed once, in a list of their own, for every verdict of their clause.
    for case in result.cases.iter().filter(|case| !matches!(case.verdict, Verdict::Holds | Verdict::Error)) {
        let _ = writeln!(out, "  {} ({})", case.name, case.verdict);
        for line in case.detail.iter().flat_map(|detail| detail.lines()) {
            let _ = writeln!(out, "{}", wrap(line, 4));
        }
        calls(out, case);
        programs(out, clause.id, case);
    }
    out.push('\n');
}

/// Writes the cases that could not do their work for one reason, and the calls of the first of them.
fn could_not(out: &mut String, errors: &Errors) {
    let _ = writeln!(out, "error\n{}", wrap(&errors.names.join(" "), 2));
    for line in errors.reason.lines() {
        let _ = writeln!(out, "{}", wrap(line, 4));
    }
    if let Some(case) = errors.first {
        calls(out, case);
    }
    out.push('\n');
}

/// Writes the calls of a case, without the calls of the harness that compare a file before and after.
fn calls(out: &mut String, case: &CaseResult) {
    let made: Vec<&Step> = case.steps.iter().filter(|step| !step.look).collect();
    if !made.is_empty() {
        let _ = writeln!(out, "    calls:");
    }
    for step in made {
        let line = wrap(&step.to_string(), 8);
        let _ = writeln!(out, "      {}", line.trim_start());
    }
}

/// Writes how to get the programs that repeat the calls.
fn programs(out: &mut String, clause: &str, case: &CaseResult) {
    if case.steps.is_empty() {
        return;
    }
    let made = reproducer::reproducer(&Origin::default(), clause, case);
    let line = match (&made.c, made.xfs_io.is_some()) {
        (Ok(_), true) => format!("--reproducers DIR writes {0}.c and {0}.xfs_io.sh", made.name),
        (Ok(_), false) => format!("--reproducers DIR writes {}.c", made.name),
        (Err(why), _) => format!("no program can do it again: {why}"),
    };
    let _ = writeln!(out, "{}", wrap(&line, 4));
}

/// Wraps text into lines of at most 80 columns, all of them indented.
pub(crate) fn timings(results: &Results, elapsed: std::time::Duration, ready: std::time::Duration) -> String {
    let mut out = String::from("family      cases   ms in cases\n");
    let mut total = 0;
    for (family, clauses) in results.families() {
        let cases: Vec<f64> = clauses.iter().flat_map(|c| &c.cases).map(|case| case.duration_ms).collect();
        total += cases.len();
        if !cases.is_empty() {
            let _ = writeln!(out, "{family:<12}{:>5}{:>14.1}", cases.len(), cases.iter().sum::<f64>());
        }
    }
    let seconds = elapsed.as_secs_f64();
    let _ = writeln!(
        out,
        "{total} cases in {:.0} ms: {:.0} cases a second; set-up before them {:.0} ms",
        seconds * 1000.0,
        total as f64 / seconds,
        ready.as_secs_f64() * 1000.0
    );
    out
}
