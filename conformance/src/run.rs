//! Runs cases and collects what they found.

use crate::cases::{self, Case};
use crate::context::Context;
use crate::expectations::Expectations;
use crate::mechanism::Mechanism;
use crate::results::{CaseResult, ClauseResult, Kernel, Results, SCHEMA, Spec};
use crate::target::Target;
use crate::verdict::{Trouble, Verdict, judge};
use chrono::{DateTime, SecondsFormat, Utc};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::{Instant, SystemTime};

/// What a run is about, for the head of its results.
#[derive(Clone, Debug)]
pub struct Subject {
    /// `reference` or `host`.
    pub target: &'static str,
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The file system; `model` for the reference.
    pub fs: &'static str,
}

/// Told about each case as it ends.
pub type Progress = Arc<dyn Fn(&CaseResult) + Send + Sync>;

/// Runs one case.
pub fn run_case(target: &dyn Target, mechanism: Mechanism, case: &Case) -> CaseResult {
    let start = Instant::now();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let system = target.system(case)?;
        let context = Context::new(&*system, mechanism);
        (case.run)(&context)
    }));
    let seen = outcome.unwrap_or_else(|_| Err(Trouble::Setup("the case panicked".into())));
    let (verdict, detail) = judge(case.clause, &seen);
    let duration_ms = start.elapsed().as_secs_f64() * 1000.0;
    CaseResult { name: case.full_name(), verdict, duration_ms, detail }
}

/// The cases as trials of libtest-mimic. Each sends its result, and tells the runner in the runner's own words.
pub fn trials(
    target: &Arc<dyn Target>,
    mechanism: Mechanism,
    prefix: &str,
    results: Option<&Sender<(&'static Case, CaseResult)>>,
    progress: Option<&Progress>,
) -> Vec<Trial> {
    let trial = |case: &'static Case| {
        let (target, results, progress) = (target.clone(), results.cloned(), progress.cloned());
        Trial::ignorable_test(format!("{prefix}{}", case.full_name()), move || {
            let result = run_case(&*target, mechanism, case);
            if let Some(progress) = progress {
                progress(&result);
            }
            let completion = completion(case, &result);
            if let Some(results) = results {
                // The receiver lives until every trial has ended.
                let _ = results.send((case, result));
            }
            completion
        })
    };
    cases::all().map(trial).collect()
}

fn completion(case: &Case, result: &CaseResult) -> Result<Completion, Failed> {
    let detail = result.detail.clone().unwrap_or_default();
    match result.verdict {
        Verdict::Holds => Ok(Completion::Completed),
        Verdict::NotOffered | Verdict::NotReachable | Verdict::Untested => {
            Ok(Completion::ignored_with(format!("{}: {detail}", result.verdict)))
        }
        Verdict::Violated | Verdict::Error => {
            Err(format!("{} {}: {detail}\n{}", case.clause, result.verdict, case.clause.text).into())
        }
    }
}

/// Runs the cases that `arguments` select. The output of libtest-mimic is not wanted: the caller reports.
pub fn run(
    target: &Arc<dyn Target>,
    subject: &Subject,
    arguments: &Arguments,
    expectations: &Expectations,
    progress: &Progress,
) -> Results {
    let started = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
    let not_offered = target.lacks(subject.mechanism);
    let mut found: Vec<(&Case, CaseResult)> = Vec::new();
    if not_offered.is_none() {
        let (sender, receiver) = channel();
        let trials = trials(target, subject.mechanism, "", Some(&sender), Some(progress));
        let quiet = Arguments { logfile: Some("/dev/null".into()), ..arguments.clone() };
        // Its conclusion counts passes and failures; the results have the verdicts.
        let _ = libtest_mimic::run(&quiet, trials);
        drop(sender);
        found = receiver.into_iter().collect();
    }
    assemble(subject, started, not_offered, &found, expectations)
}

fn assemble(
    subject: &Subject,
    started: String,
    not_offered: Option<String>,
    found: &[(&Case, CaseResult)],
    expectations: &Expectations,
) -> Results {
    let clauses: Vec<ClauseResult> = iomap_clauses::ALL
        .iter()
        .map(|clause| {
            let all: Vec<&Case> = cases::all().filter(|case| case.clause == *clause).collect();
            let ran: Vec<CaseResult> = all
                .iter()
                .filter_map(|case| {
                    found.iter().find(|(c, _)| std::ptr::eq(*c, *case)).map(|(_, result)| result.clone())
                })
                .collect();
            let complete = clause.uncased.is_none() && ran.len() == all.len();
            let verdict = match &not_offered {
                Some(_) if clause.uncased.is_none() => Verdict::NotOffered,
                _ => Verdict::of(ran.iter().map(|case| case.verdict)),
            };
            let (expected, reason) = expectations.expected(clause.id);
            let expected = (complete || (not_offered.is_some() && clause.uncased.is_none())).then_some(expected);
            let reason = reason.filter(|_| expected.is_some()).or(not_offered.as_deref()).or(clause.uncased);
            ClauseResult {
                id: clause.id.into(),
                verdict,
                expected,
                // A clause that holds has one if another verdict was expected.
                reason: reason.filter(|_| verdict != Verdict::Holds || expected != Some(verdict)).map(str::to_owned),
                cases: ran,
            }
        })
        .collect();
    let mut totals = BTreeMap::new();
    for clause in &clauses {
        *totals.entry(clause.verdict).or_insert(0) += 1;
    }
    Results {
        schema: SCHEMA,
        spec: Spec::own(),
        target: subject.target.into(),
        mechanism: subject.mechanism.name().into(),
        fs: subject.fs.into(),
        kernel: Kernel { release: crate::kernel_release(), complaints: Vec::new() },
        started: Some(started),
        not_offered,
        clauses,
        totals,
    }
}
