//! The audit: runs the cases of a clause against each violation of that clause, to show that they detect it.

use crate::case::definition::Case;
use crate::cases;
use crate::mechanism::Mechanism;
use crate::run::plan::{Ended, Place, Plan};
use crate::run::trials::run_case;
use crate::target::reference::Reference;
use iomap_reference::Violation;
use iomap_results::{AuditedViolation, Verdict};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs, for each of these violations, the cases of its clause; uses all processors.
pub fn audit(all: &[&Violation]) -> Vec<AuditedViolation> {
    each(all, one)
}

/// The same for violations with conditions, up to the first case that notices. With `elsewhere`, the cases of the other
/// clauses run as well if no case of the clause notices.
pub fn audit_conditions(all: &[&Violation], elsewhere: bool) -> Vec<AuditedViolation> {
    each(all, |violation| conditional(violation, elsewhere))
}

/// Some of these violations, in their order. The same seed chooses the same ones.
pub fn sample<'a>(all: &[&'a Violation], number: usize, seed: u64) -> Vec<&'a Violation> {
    let mut places = fastrand::Rng::with_seed(seed).choose_multiple(0..all.len(), number);
    places.sort_unstable();
    places.into_iter().map(|place| all[place]).collect()
}

/// Audits these violations on all processors.
fn each(all: &[&Violation], one: impl Fn(&Violation) -> AuditedViolation + Sync) -> Vec<AuditedViolation> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            match all.get(place) {
                Some(violation) => done.push((place, one(violation))),
                None => return done,
            }
        }
    };
    let mut audited: Vec<(usize, AuditedViolation)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    audited.sort_by_key(|(place, _)| *place);
    audited.into_iter().map(|(_, audited)| audited).collect()
}

fn one(violation: &Violation) -> AuditedViolation {
    let own: Vec<&Case> = cases::list::all().filter(|case| case.clause == violation.clause).collect();
    let mut by: Vec<String> = noticing(violation, Plan::plain(&own)).collect();
    if by.is_empty() {
        by.extend(noticing(violation, in_situations(&own)).next());
    }
    judged(violation, if by.is_empty() { "survived" } else { "killed" }, by)
}

fn conditional(violation: &Violation, elsewhere: bool) -> AuditedViolation {
    let (own, others): (Vec<&Case>, Vec<&Case>) = cases::list::all().partition(|case| case.clause == violation.clause);
    let plain = |cases: &[&'static Case]| noticing(violation, Plan::plain(cases)).next();
    let (verdict, by) = match plain(&own).or_else(|| noticing(violation, in_situations(&own)).next()) {
        Some(by) => ("killed", Some(by)),
        None => match elsewhere.then(|| plain(&others)).flatten() {
            Some(by) => ("elsewhere", Some(by)),
            None => (if violation.was_met() { "survived" } else { "unmet" }, None),
        },
    };
    judged(violation, verdict, by.into_iter().collect())
}

fn judged(violation: &Violation, verdict: &'static str, by: Vec<String>) -> AuditedViolation {
    AuditedViolation { id: violation.id.clone(), clause: violation.clause.id.into(), verdict, by }
}

/// The situations in which a violation is looked for that no plain run notices.
fn in_situations(cases: &[&'static Case]) -> Plan {
    Plan::every_two(cases, Place { mechanism: Mechanism::Seal, kernel: false, inline: 0 })
}

/// The runs of a plan that notice a violation.
fn noticing(violation: &Violation, plan: Plan) -> impl Iterator<Item = String> {
    let target = Reference::new(Some(violation.clone()));
    plan.runs.into_iter().filter_map(move |run| match run_case(&target, Mechanism::Seal, &run) {
        Ended::Ran(result) if result.verdict == Verdict::Violated => Some(result.name),
        _ => None,
    })
}
