//! A submission to KCIDB, the database of kernel test results: schema 5 of kcidb-io.
//!
//! The submission names the id of the kernel's build and does not describe it: that is the task of the CI system that
//! built it.

use crate::results::{self, CaseResult, ClauseResult, Results};
use iomap_results::Verdict;
use serde_json::{Value, json};

/// The submitting CI system, and the build.
#[derive(Clone, Debug)]
pub struct Submitter {
    /// The name of the CI system.
    pub origin: String,
    /// The id of the build; `None` means `ORIGIN:RELEASE`.
    pub build: Option<String>,
}

/// Checks the name of a CI system by the rules of kcidb-io.
pub(crate) fn origin(text: &str) -> Result<String, &'static str> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    match !text.is_empty() && text.chars().all(allowed) {
        true => Ok(text.into()),
        false => Err("lower-case letters, digits and _"),
    }
}

/// Checks the id of a build by the rules of kcidb-io.
pub(crate) fn build(text: &str) -> Result<String, &'static str> {
    match text.split_once(':') {
        Some((before, _)) if origin(before).is_ok() => Ok(text.into()),
        _ => Err("the name of a CI system, a colon, and what is unique there"),
    }
}

/// Writes results as a submission.
pub(crate) fn write(results: &Results, submitter: &Submitter) -> Value {
    let form = Form::new(results, submitter);
    let cases = || results.clauses.iter().flat_map(|clause| clause.cases.iter().map(move |case| (clause, case)));
    let mut tests: Vec<Value> = cases().map(|(clause, case)| form.test(clause, case)).collect();
    tests.extend(results.not_offered.as_deref().map(|reason| form.whole(reason)));
    // An expected violation is FAIL with a known issue: schema 5 has no `waived`, and a FAIL without an issue counts as
    // a regression. A passing case of such a clause has the issue, too, marked as absent.
    let known = |clause: &ClauseResult| clause.expected == Some(Verdict::Violated);
    let issues = results.clauses.iter().filter(|c| known(c) && !c.cases.is_empty()).map(|clause| form.issue(clause));
    let looked = |case: &CaseResult| matches!(case.verdict, Verdict::Violated | Verdict::Holds);
    let incidents = cases().filter(|(clause, case)| known(clause) && looked(case));
    json!({
        "version": {"major": 5, "minor": 0},
        "tests": tests,
        "issues": issues.collect::<Vec<_>>(),
        "incidents": incidents.map(|(clause, case)| form.incident(clause, case)).collect::<Vec<_>>(),
    })
}

/// The parts that all objects of a submission share.
struct Form<'a> {
    results: &'a Results,
    origin: &'a str,
    build: String,
    /// The unique part of the run's ids.
    run: String,
}

impl<'a> Form<'a> {
    fn new(results: &'a Results, submitter: &'a Submitter) -> Self {
        let Submitter { origin, build } = submitter;
        let Results { target, fs, mechanism, kernel, .. } = results;
        let started = results.started.as_deref().unwrap_or_default();
        Self {
            results,
            origin,
            build: build.clone().unwrap_or_else(|| format!("{origin}:{}", kernel.release)),
            run: format!("{origin}:iomap:{target}:{fs}:{mechanism}:{}:{started}", kernel.release),
        }
    }

    fn test(&self, clause: &ClauseResult, case: &CaseResult) -> Value {
        // The status depends on the verdict alone: a clause that holds unexpectedly is not a fault of the kernel.
        let status = match case.verdict {
            Verdict::Holds => "PASS",
            Verdict::Violated => "FAIL",
            Verdict::NotOffered | Verdict::NotReachable | Verdict::Untested => "SKIP",
            Verdict::Error => "ERROR",
        };
        let sentence = results::clause(clause).map(|clause| (clause.text, clause.hash));
        let mut test = json!({
            "id": format!("{}:{}", self.run, case.name),
            "path": path(&case.name),
            "status": status,
            "duration": case.duration_ms / 1000.0,
            "comment": sentence.map_or(clause.id.as_str(), |(text, _)| text),
            "misc": {
                "clause": clause.id,
                "hash": sentence.map(|(_, hash)| hash),
                "verdict": case.verdict,
                "expected": clause.expected,
                "reason": clause.reason,
            },
        });
        let remark = clause.remark(case);
        if !remark.is_empty() {
            // The schema limits the length.
            test["log_excerpt"] = remark.chars().filter(|c| *c != '\0').take(16384).collect::<String>().into();
        }
        self.on_build(test)
    }

    /// The only test of a run that could not test anything.
    fn whole(&self, reason: &str) -> Value {
        self.on_build(json!({
            "id": self.run,
            "path": "iomap",
            "status": "SKIP",
            "comment": format!("not offered: {reason}"),
        }))
    }

    fn on_build(&self, mut test: Value) -> Value {
        let Results { spec, target, fs, mechanism, kernel, .. } = self.results;
        test["origin"] = self.origin.into();
        test["build_id"] = self.build.as_str().into();
        // The start times of cases are not known, only their durations; the whole run takes seconds, so take its start.
        if let Some(started) = &self.results.started {
            test["start_time"] = started.as_str().into();
        }
        test["environment"] = json!({
            "comment": format!("{mechanism} on {fs}, target {target}, Linux {}", kernel.release),
            "misc": {"target": target, "fs": fs, "mechanism": mechanism, "kernel": kernel, "specification": spec},
        });
        test
    }

    /// The id of the issue. It is the same for every run, until the text of the clause changes.
    fn issue_id(&self, clause: &ClauseResult) -> String {
        let hash = results::clause(clause).map_or("", |clause| clause.hash);
        format!("{}:iomap:{}:{}:{}:{hash}", self.origin, self.results.fs, self.results.mechanism, clause.id)
    }

    fn issue(&self, clause: &ClauseResult) -> Value {
        json!({
            "id": self.issue_id(clause),
            "version": 1,
            "origin": self.origin,
            "culprit": {"code": true},
            "comment": format!("{}: {}", clause.id, clause.reason.as_deref().unwrap_or_default()),
        })
    }

    fn incident(&self, clause: &ClauseResult, case: &CaseResult) -> Value {
        json!({
            "id": format!("{}:{}:incident", self.run, case.name),
            "origin": self.origin,
            "issue_id": self.issue_id(clause),
            "issue_version": 1,
            "test_id": format!("{}:{}", self.run, case.name),
            "present": case.verdict == Verdict::Violated,
        })
    }
}

/// The path of a test, in which KCIDB has letters, digits, dots, hyphens and underscores only:
/// `iomap.CLAUSE.names-three`.
fn path(case: &str) -> String {
    let case = case.replace("::", ".").replace(['[', ','], ".").replace('=', "-");
    format!("iomap.{}", case.trim_end_matches(']'))
}
