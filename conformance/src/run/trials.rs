//! Runs cases and collects their results.

use crate::case::context::Context;
use crate::case::definition::Case;
use crate::case::trace::Trace;
use crate::cases;
use crate::lack::Lacking;
use crate::mechanism::Mechanism;
use crate::results::{CaseResult, ClauseResult, Results, own_spec};
use crate::run::expectations::Expectations;
use crate::run::watchdog::{Guard, locked};
use crate::system::{Lane, Step, Target};
use crate::verdict::{Seen, Trouble, judge};
use chrono::{DateTime, SecondsFormat, Utc};
use iomap_command::tell_line;
use iomap_results::{Kernel, SCHEMA, Verdict};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Builder;
use std::time::{Duration, Instant, SystemTime};

/// The subject of a run, for the head of its results.
#[derive(Clone, Debug)]
pub struct Subject<'a> {
    /// `reference`, `fuse`, `host` or `dir`.
    pub target: &'static str,
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The file system; `model` for the reference.
    pub fs: &'a str,
}

/// The progress of a case.
#[derive(Clone, Copy)]
pub enum Event<'a> {
    /// The case begins.
    Begins(&'a Case),
    /// The case has ended.
    Ended(&'a CaseResult),
}

/// A function that is told of the progress of each case.
pub type Progress = Arc<dyn Fn(Event) + Send + Sync>;

/// Runs one case without a time limit.
pub(crate) fn run_case(target: &dyn Target, mechanism: Mechanism, case: &Case) -> CaseResult {
    let (start, trace) = (Instant::now(), Trace::default());
    let (seen, lacks) = observe(target, mechanism, case, &trace);
    result(case, start.elapsed(), &seen, &lacks, &trace)
}

/// The observations of a case, and the lacks that it met. Removing its files afterwards is not part of the case.
fn observe(target: &dyn Target, mechanism: Mechanism, case: &Case, trace: &Trace) -> (Seen, Vec<Lacking>) {
    let outcome = catch_unwind(AssertUnwindSafe(|| match target.system(case.clause, case.lane) {
        Ok(system) => {
            let context = Context::new(&*system, mechanism, trace.clone()).about(case.clause);
            ((case.run)(&context), trace.lacks())
        }
        Err(trouble) => (Err(trouble), Vec::new()),
    }));
    let (seen, lacks) = outcome.unwrap_or_else(|_| (Err(Trouble::Setup("the case panicked".into())), trace.lacks()));
    let named = |why: String| match target.lacking().filter(|_| lacks.is_empty()) {
        Some(lack) => format!("{lack}\n{why}"),
        None => why,
    };
    let seen = seen.map_err(|trouble| match trouble {
        Trouble::Setup(why) => Trouble::Setup(named(why)),
        other => other,
    });
    (trusted(target, case, seen, &lacks), lacks)
}

/// These observations, if no lack of the machine can have made a violation of them.
fn trusted(target: &dyn Target, case: &Case, seen: Seen, lacks: &[Lacking]) -> Seen {
    match judge(case.clause, &seen, lacks) {
        (Verdict::Violated, why) => match target.spoilt() {
            Some(lack) => Err(Trouble::Setup(format!("{lack}\n{}", why.unwrap_or_default()))),
            None => seen,
        },
        _ => seen,
    }
}

fn result(case: &Case, took: Duration, seen: &Seen, lacks: &[Lacking], trace: &Trace) -> CaseResult {
    let (verdict, detail) = judge(case.clause, seen, lacks);
    let duration_ms = took.as_secs_f64() * 1000.0;
    let steps = match verdict {
        Verdict::Violated | Verdict::Error => trace.steps(),
        _ => Default::default(),
    };
    CaseResult { name: case.full_name(), verdict, duration_ms, detail, trace: lines(&steps.0, steps.1), steps: steps.0 }
}

/// Runs one case, and abandons it if it does not end in time.
fn run_guarded(target: &Arc<dyn Target>, mechanism: Mechanism, case: &'static Case, guard: &Guard) -> CaseResult {
    let trace = Trace::default();
    let work = {
        let (target, trace) = (target.clone(), trace.clone());
        move || observe(&*target, mechanism, case, &trace)
    };
    let (done, took) = guard.watch(case, work);
    let (seen, lacks) = done.unwrap_or_else(|why| (Err(Trouble::Setup(why)), trace.lacks()));
    result(case, took, &seen, &lacks, &trace)
}

/// A line for each step.
fn lines(steps: &[Step], left_out: usize) -> Vec<String> {
    let more = (left_out > 0).then(|| format!("and {left_out} more"));
    steps.iter().map(Step::to_string).chain(more).collect()
}

/// Cases as trials of libtest-mimic, for the tests of the suite.
pub fn trials(
    cases: impl IntoIterator<Item = &'static Case>,
    target: &Arc<dyn Target>,
    mechanism: Mechanism,
    guard: &Arc<Guard>,
) -> Vec<Trial> {
    let trial = |case: &'static Case| {
        let (target, guard) = (target.clone(), guard.clone());
        Trial::ignorable_test(case.full_name(), move || {
            completion(case, &run_guarded(&target, mechanism, case, &guard))
        })
    };
    cases.into_iter().map(trial).collect()
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

/// The command line of a test program of libtest-mimic. It refuses 0 threads, with which libtest-mimic would wait for
/// ever.
pub fn test_arguments() -> Arguments {
    let arguments = Arguments::from_args();
    if arguments.test_threads == Some(0) {
        tell_line(format_args!("error: --test-threads 0: a whole number, at least 1"));
        std::process::exit(2);
    }
    arguments
}

/// Runs these cases on `threads` threads. Cases that need a file system for themselves run beside the others, one of
/// each lane at a time, so that no other case waits for them; but not if `threads` is 1. Libtest-mimic is for tests: it
/// would want a file for its output, and the first process of a guest may have none.
pub fn run(
    target: &Arc<dyn Target>,
    subject: &Subject<'_>,
    (cases, threads): (&[&'static Case], usize),
    expectations: &Expectations,
    guard: &Arc<Guard>,
    progress: &Progress,
) -> Results {
    let started = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
    let not_offered = target.lacks(subject.mechanism);
    let found: Mutex<Vec<(&Case, CaseResult)>> = Mutex::default();
    let is_about_layers = |case: &&&Case| target.is_layer() && case.clause.family() == "foreign";
    let cases: Vec<_> = cases.iter().filter(|case| not_offered.is_none() || is_about_layers(case)).copied().collect();
    if !cases.is_empty() {
        let run_one = |case: &'static Case| {
            progress(Event::Begins(case));
            let result = run_guarded(target, subject.mechanism, case, guard);
            progress(Event::Ended(&result));
            locked(&found).push((case, result));
        };
        let run = |cases: Vec<&'static Case>, threads: usize| {
            let queue = Mutex::new(cases.into_iter());
            let next = || locked(&queue).next();
            let work = || std::iter::from_fn(next).for_each(run_one);
            std::thread::scope(|scope| {
                // The calling thread works too, also if there is no room for others.
                (1..threads).for_each(|_| drop(Builder::new().spawn_scoped(scope, work)));
                work();
            });
        };
        if threads == 1 {
            run(cases, 1);
        } else {
            let of = |lane: Lane| cases.iter().copied().filter(move |case| case.lane == lane).collect::<Vec<_>>();
            let mut shared = of(Lane::Shared);
            // Races have many rounds, so start the longest cases first.
            shared.sort_by_key(|case| case.clause.family() != "race");
            std::thread::scope(|scope| {
                for cases in Lane::IN_TURN.map(of).into_iter().filter(|cases| !cases.is_empty()) {
                    scope.spawn(|| run(cases, 1));
                }
                run(shared, threads);
            });
        }
    }
    let found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    let results = assemble(subject, started, not_offered, &found, expectations);
    Results { kernel_log: guard.alarms(), ..results }
}

/// The reason given when a `by_chance` violation did not occur in this run.
pub(crate) fn not_met(reason: Option<&str>) -> String {
    format!("a violation is expected, and this run did not meet its moment: {}", reason.unwrap_or_default())
}

/// The reason why an unexpected verdict is no surprise in a directory of the user: its file system lacks a feature that
/// the expectation assumes, as the result of a case shows. File systems that the suite makes have all these features.
fn lacking_there(subject: &Subject<'_>, expected: Verdict, verdict: Verdict, cases: &[CaseResult]) -> Option<String> {
    let is = |wanted: &[Verdict]| cases.iter().find(|case| wanted.contains(&case.verdict));
    let case = match (expected, verdict) {
        _ if subject.target != "dir" => None,
        (Verdict::NotOffered, _) => None,
        (_, Verdict::NotOffered | Verdict::NotReachable) => is(&[Verdict::NotOffered]),
        // The case that would show the violation may be one that could not run.
        (Verdict::Violated, Verdict::Holds) => is(&[Verdict::NotOffered, Verdict::NotReachable]),
        _ => None,
    }?;
    Some(format!("{expected} is expected where all of it is offered: {}", case.detail.as_deref().unwrap_or_default()))
}

/// Whether a missing mechanism is no surprise in a directory of the user.
fn is_lacking_there(subject: &Subject<'_>, not_offered: &Option<String>, expected: Verdict) -> bool {
    subject.target == "dir" && not_offered.is_some() && expected != Verdict::NotOffered
}

fn assemble(
    subject: &Subject<'_>,
    started: String,
    not_offered: Option<String>,
    found: &[(&Case, CaseResult)],
    expectations: &Expectations,
) -> Results {
    let clauses: Vec<ClauseResult> = iomap_clauses::ALL
        .iter()
        .filter(|clause| clause.is_testable())
        .map(|clause| {
            let all: Vec<&Case> = cases::list::all().filter(|case| case.clause == *clause).collect();
            let ran: Vec<CaseResult> = all
                .iter()
                .filter_map(|case| {
                    found.iter().find(|(c, _)| std::ptr::eq(*c, *case)).map(|(_, result)| result.clone())
                })
                .collect();
            let complete = clause.uncased.is_none() && ran.len() == all.len();
            let verdict = match &not_offered {
                Some(_) if clause.uncased.is_none() && ran.is_empty() => Verdict::NotOffered,
                _ => Verdict::of(ran.iter().map(|case| case.verdict)),
            };
            let (expected, reason) = expectations.expected(clause.id);
            let known =
                (complete || (not_offered.is_some() && clause.uncased.is_none())) && expectations.know(clause.id);
            let missed = (known && expectations.missed(clause.id, verdict)).then(|| not_met(reason));
            let missed = missed.or_else(|| lacking_there(subject, expected, verdict, &ran).filter(|_| known));
            let known = known && missed.is_none() && !is_lacking_there(subject, &not_offered, expected);
            let expected = known.then_some(expected);
            let reason = reason.filter(|_| expected.is_some()).or(not_offered.as_deref()).or(clause.uncased);
            // A clause that holds gets a reason only if another verdict was expected.
            let reason = reason.filter(|_| verdict != Verdict::Holds || expected != Some(verdict)).map(str::to_owned);
            ClauseResult { id: clause.id.into(), verdict, expected, reason: missed.or(reason), cases: ran }
        })
        .collect();
    let mut totals = BTreeMap::new();
    for clause in &clauses {
        *totals.entry(clause.verdict).or_insert(0) += 1;
    }
    Results {
        schema: SCHEMA,
        spec: own_spec(),
        target: subject.target.into(),
        mechanism: subject.mechanism.name().into(),
        fs: subject.fs.into(),
        kernel: Kernel { release: crate::kernel::release() },
        started: Some(started),
        not_offered,
        kernel_log: Vec::new(),
        clauses,
        totals,
    }
}
