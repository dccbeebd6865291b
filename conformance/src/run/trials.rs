//! Runs cases and collects their results.

use crate::case::context::Context;
use crate::case::definition::Case;
use crate::case::situated::Unfit;
use crate::case::trace::Trace;
use crate::cases;
use crate::lack::Lacking;
use crate::mechanism::Mechanism;
use crate::results::{CaseResult, ClauseResult, Results, own_spec};
use crate::run::expectations::Expectations;
use crate::run::lacks::Lacks;
use crate::run::plan::{Ended, Place, Plan, Run, Situations};
use crate::run::watchdog::{Guard, locked};
use crate::system::{Lane, Step, Target};
use crate::verdict::{Seen, Trouble, judge};
use chrono::{DateTime, SecondsFormat, Utc};
use iomap_command::tell_line;
use iomap_results::{Kernel, SCHEMA, Verdict};
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use std::collections::{BTreeMap, HashMap, HashSet};
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
    /// The run of this name begins.
    Begins(&'a str),
    /// The run that began under this name has ended. Its result may be that of a simpler situation.
    Ended(&'a str),
}

/// A function that is told of the progress of each case.
pub type Progress = Arc<dyn Fn(Event) + Send + Sync>;

/// The observations of a case, the lacks that it met, and the reason why its situation does not fit.
type Observations = (Seen, Vec<Lacking>, Option<Unfit>);

/// Runs one case without a time limit and without a record of its calls.
pub(crate) fn run_case(target: &dyn Target, mechanism: Mechanism, run: &Run) -> Ended {
    let (start, trace) = (Instant::now(), Trace::mute());
    let observed = observe(target, mechanism, run, &trace);
    ended(run, start.elapsed(), observed, &trace)
}

/// The observations of a case. Removing its files afterwards is not part of the case.
fn observe(target: &dyn Target, mechanism: Mechanism, run: &Run, trace: &Trace) -> Observations {
    let case = run.case;
    let outcome = catch_unwind(AssertUnwindSafe(|| match target.system(case.clause, case.lane) {
        Ok(system) => {
            let context = Context::new(&*system, mechanism, trace.clone()).about(case.clause).within(run.situation);
            let seen = context.ahead().and_then(|()| (case.run)(&context));
            let verdict = judge(case.clause, &seen, &[]).0;
            let unfit = context.unfit(verdict);
            (seen, trace.lacks(), unfit)
        }
        Err(trouble) => (Err(trouble), Vec::new(), None),
    }));
    let panicked = || Err(Trouble::Setup("the case panicked".into()));
    let (seen, lacks, unfit) = outcome.unwrap_or_else(|_| (panicked(), trace.lacks(), None));
    let reason = || target.lacking().or_else(|| target.spoilt(case.lane));
    let named = |why: String| match reason().filter(|_| lacks.is_empty()) {
        Some(lack) => format!("{lack}\n{why}"),
        None => why,
    };
    let seen = seen.map_err(|trouble| match trouble {
        Trouble::Setup(why) => Trouble::Setup(named(why)),
        other => other,
    });
    (trusted(target, case, seen, &lacks), lacks, unfit)
}

/// These observations, if no lack of the machine can have made a violation of them.
fn trusted(target: &dyn Target, case: &Case, seen: Seen, lacks: &[Lacking]) -> Seen {
    match judge(case.clause, &seen, lacks) {
        (Verdict::Violated, why) => match target.spoilt(case.lane) {
            Some(lack) => Err(Trouble::Setup(format!("{lack}\n{}", why.unwrap_or_default()))),
            None => seen,
        },
        _ => seen,
    }
}

fn ended(run: &Run, took: Duration, (seen, lacks, unfit): Observations, trace: &Trace) -> Ended {
    let (verdict, detail) = judge(run.case.clause, &seen, &lacks);
    if let Some(why) = unfit {
        return Ended::Unfit(why);
    }
    let duration_ms = took.as_secs_f64() * 1000.0;
    let steps = match verdict {
        Verdict::Violated | Verdict::Error => trace.steps(),
        _ => Default::default(),
    };
    let (trace, name) = (lines(&steps.0, steps.1), run.name());
    Ended::Ran(Box::new(CaseResult { name, verdict, duration_ms, detail, trace, steps: steps.0 }))
}

/// Runs one case, and abandons it if it does not end in time. Where a run repeats, its calls are recorded only when it
/// has failed.
fn run_guarded(target: &Arc<dyn Target>, mechanism: Mechanism, run: &Run, guard: &Guard) -> Ended {
    let recorded = || run_recording(target, mechanism, run, guard, Trace::default());
    if !target.repeats() {
        return recorded();
    }
    match run_recording(target, mechanism, run, guard, Trace::mute()) {
        Ended::Ran(result) if matches!(result.verdict, Verdict::Violated | Verdict::Error) => recorded(),
        ended => ended,
    }
}

fn run_recording(target: &Arc<dyn Target>, mechanism: Mechanism, run: &Run, guard: &Guard, trace: Trace) -> Ended {
    let work = {
        let (target, trace, run) = (target.clone(), trace.clone(), *run);
        move || observe(&*target, mechanism, &run, &trace)
    };
    let (done, took) = guard.watch((&run.name(), run.case.lane), work);
    let observed = done.unwrap_or_else(|why| (Err(Trouble::Setup(why)), trace.lacks(), None));
    ended(run, took, observed, &trace)
}

/// Runs one case. If it fails, it runs in simpler situations: the result is that of the simplest one in which it fails
/// in the same way.
fn run_simplest(target: &Arc<dyn Target>, mechanism: Mechanism, run: &Run, guard: &Guard) -> Ended {
    let ended = run_guarded(target, mechanism, run, guard);
    let Ended::Ran(mut result) = ended else { return ended };
    let mut situation = run.situation;
    if matches!(result.verdict, Verdict::Violated | Verdict::Error) {
        for axis in run.situation.axes() {
            let simpler = Run { case: run.case, situation: situation.with(axis, 0) };
            if let Ended::Ran(again) = run_guarded(target, mechanism, &simpler, guard)
                && again.verdict == result.verdict
            {
                (situation, result) = (simpler.situation, again);
            }
        }
    }
    Ended::Ran(result)
}

/// A line for each step.
fn lines(steps: &[Step], left_out: usize) -> Vec<String> {
    let more = (left_out > 0).then(|| format!("and {left_out} more"));
    steps.iter().map(Step::to_string).chain(more).collect()
}

/// Cases as trials of libtest-mimic, for the tests of the suite: each case in all of its situations.
pub fn trials(
    cases: impl IntoIterator<Item = &'static Case>,
    target: &Arc<dyn Target>,
    (place, situations): (Place, Situations),
    guard: &Arc<Guard>,
) -> Vec<Trial> {
    let cases: Vec<&'static Case> = cases.into_iter().collect();
    let plan = Plan::new(&cases, place, situations);
    let trial = |case: &'static Case| {
        let (target, guard) = (target.clone(), guard.clone());
        let runs: Vec<Run> = plan.runs.iter().filter(|run| std::ptr::eq(run.case, case)).copied().collect();
        Trial::ignorable_test(case.full_name(), move || {
            let completed = |run: &Run| completion(run, &run_simplest(&target, place.mechanism, run, &guard));
            let all = runs.iter().map(completed).collect::<Result<Vec<_>, _>>()?;
            Ok(all.into_iter().find(|one| !matches!(one, Completion::Completed)).unwrap_or(Completion::Completed))
        })
    };
    cases.iter().map(|case| trial(case)).collect()
}

fn completion(run: &Run, ended: &Ended) -> Result<Completion, Failed> {
    let result = match ended {
        Ended::Ran(result) => result,
        Ended::Unfit(why) => return Err(format!("{} does not fit: {}", run.name(), why.why()).into()),
    };
    let detail = result.detail.clone().unwrap_or_default();
    match result.verdict {
        Verdict::Holds => Ok(Completion::Completed),
        Verdict::NotOffered | Verdict::NotReachable | Verdict::Untested => {
            Ok(Completion::ignored_with(format!("{}: {}: {detail}", result.name, result.verdict)))
        }
        Verdict::Violated | Verdict::Error => {
            let clause = run.case.clause;
            Err(format!("{}: {clause} {}: {detail}\n{}", result.name, result.verdict, clause.text).into())
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

/// Makes these runs on `threads` threads. Cases that need a file system for themselves run beside the others, one of
/// each lane at a time, so that no other case waits for them; but not if `threads` is 1. Libtest-mimic is for tests: it
/// would want a file for its output, and the first process of a guest may have none.
pub fn run(
    target: &Arc<dyn Target>,
    subject: &Subject<'_>,
    (runs, threads): (&[Run], usize),
    expectations: &Expectations,
    guard: &Arc<Guard>,
    progress: &Progress,
) -> Results {
    let started = DateTime::<Utc>::from(SystemTime::now()).to_rfc3339_opts(SecondsFormat::Millis, true);
    let not_offered = target.lacks(subject.mechanism);
    let found: Mutex<Vec<(usize, Ended)>> = Mutex::default();
    let lacks = Lacks::default();
    let is_about_layers = |number: &usize| target.is_layer() && runs[*number].case.clause.family() == "foreign";
    let can_run = |number: &usize| not_offered.is_none() || is_about_layers(number);
    let numbers: Vec<usize> = (0..runs.len()).filter(can_run).collect();
    if !numbers.is_empty() {
        let run_one = |number: usize| {
            let run = &runs[number];
            let name = run.name();
            progress(Event::Begins(&name));
            let ended = lacks.run(run, &|run| run_simplest(target, subject.mechanism, run, guard));
            progress(Event::Ended(&name));
            locked(&found).push((number, ended));
        };
        let work_off = |numbers: Vec<usize>, threads: usize| {
            let queue = Mutex::new(numbers.into_iter());
            let next = || locked(&queue).next();
            let work = || std::iter::from_fn(next).for_each(run_one);
            std::thread::scope(|scope| {
                // The calling thread works too, also if there is no room for others.
                (1..threads).for_each(|_| drop(Builder::new().spawn_scoped(scope, work)));
                work();
            });
        };
        if threads == 1 {
            work_off(numbers, 1);
        } else {
            let of = |lane: Lane| {
                numbers.iter().copied().filter(|number| runs[*number].case.lane == lane).collect::<Vec<_>>()
            };
            let mut shared = of(Lane::Shared);
            // Races have many rounds, so start the longest cases first.
            shared.sort_by_key(|number| runs[*number].case.clause.family() != "race");
            std::thread::scope(|scope| {
                for numbers in Lane::IN_TURN.map(of).into_iter().filter(|numbers| !numbers.is_empty()) {
                    scope.spawn(|| work_off(numbers, 1));
                }
                work_off(shared, threads);
            });
        }
    }
    let mut found = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    found.sort_by_key(|(number, _)| *number);
    let results = assemble(subject, started, not_offered, (runs, found), lacks.left_out(), expectations);
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
    (runs, found): (&[Run], Vec<(usize, Ended)>),
    mut left_out: BTreeMap<String, usize>,
    expectations: &Expectations,
) -> Results {
    let mut of_case: HashMap<*const Case, Vec<CaseResult>> = HashMap::new();
    let mut names = HashSet::new();
    for (number, ended) in found {
        match ended {
            // Several situations may come down to the same one.
            Ended::Ran(result) if names.insert(result.name.clone()) => {
                of_case.entry(std::ptr::from_ref(runs[number].case)).or_default().push(*result);
            }
            Ended::Ran(_) => (),
            Ended::Unfit(why) => *left_out.entry(why.why().to_owned()).or_default() += 1,
        }
    }
    let clauses: Vec<ClauseResult> = iomap_clauses::ALL
        .iter()
        .filter(|clause| clause.is_testable())
        .map(|clause| {
            let all: Vec<&Case> = cases::list::all().filter(|case| case.clause == *clause).collect();
            let results = |case: &&Case| of_case.get(&std::ptr::from_ref::<Case>(case));
            let all_ran = clause.uncased.is_none() && all.iter().all(|case| results(case).is_some());
            let ran: Vec<CaseResult> = all.iter().filter_map(results).flatten().cloned().collect();
            let verdict = match &not_offered {
                Some(_) if clause.uncased.is_none() && ran.is_empty() => Verdict::NotOffered,
                _ => Verdict::of(ran.iter().map(|case| case.verdict)),
            };
            let (expected, reason) = expectations.expected(clause.id);
            // A clause that is expected to hold holds in each case, whether the others ran or not.
            let complete = all_ran || (expected, verdict) == (Verdict::Holds, Verdict::Violated);
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
        // A file system in this process never asks the kernel.
        kernel: match subject.target {
            "reference" => Kernel::of_release(crate::kernel::release()),
            _ => crate::kernel::running(),
        },
        started: Some(started),
        not_offered,
        kernel_log: Vec::new(),
        left_out,
        clauses,
        totals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::reference::Reference;
    use iomap_command::Exit;
    use iomap_reference::violations;

    /// A violation is a surprise whether the other cases of its clause ran or not.
    #[test]
    fn one_case_of_several_that_is_violated() {
        let violation = violations().into_iter().find(|it| it.clause.id == "write.crossing").unwrap();
        let cases: Vec<&Case> = cases::list::all().filter(|case| case.clause == violation.clause).take(1).collect();
        assert!(cases::list::all().filter(|case| case.clause == violation.clause).count() > 1);
        let target: Arc<dyn Target> = Arc::new(Reference::new(Some(violation)));
        let subject = Subject { target: "reference", mechanism: Mechanism::Seal, fs: "model" };
        let guard = Arc::new(Guard::new(Duration::from_secs(60), None));
        let progress: Progress = Arc::new(|_| ());
        let runs = Plan::plain(&cases).runs;
        let results = run(&target, &subject, (&runs, 1), &Expectations::all_hold(), &guard, &progress);
        assert_eq!((results.count(Verdict::Violated), results.exit()), (1, Exit::Found));
    }
}
