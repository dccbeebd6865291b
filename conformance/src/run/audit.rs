//! The audit: runs the cases of a clause against each violation of that clause, to show that they detect it.

use crate::case::definition::Case;
use crate::cases;
use crate::mechanism::Mechanism;
use crate::run::plan::{Place, Plan, Run, Situations};
use crate::run::trials::{Ended, run_case};
use crate::target::reference::Reference;
use iomap_reference::Violation;
use iomap_results::{AuditedViolation, Verdict};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs, for each of these violations, the cases of its clause; uses all processors.
pub fn audit(all: &[&Violation]) -> Vec<AuditedViolation> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        while let Some(violation) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((violation.id.clone(), one(violation)));
        }
        done
    };
    let mut audited: Vec<(String, AuditedViolation)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let place = |id: &str| all.iter().position(|violation| violation.id == id);
    audited.sort_by_key(|(id, _)| place(id));
    audited.into_iter().map(|(_, audited)| audited).collect()
}

fn one(violation: &Violation) -> AuditedViolation {
    let target = Reference::new(Some(violation.clone()));
    let of_clause: Vec<&Case> = cases::list::all().filter(|case| case.clause == violation.clause).collect();
    let notices = |run: &Run| match run_case(&target, Mechanism::Seal, run) {
        Ended::Ran(result) if result.verdict == Verdict::Violated => Some(result.name),
        _ => None,
    };
    let mut by: Vec<String> = Plan::plain(&of_clause).runs.iter().filter_map(notices).collect();
    if by.is_empty() {
        let place = Place { mechanism: Mechanism::Seal, kernel: false };
        by = Plan::new(&of_clause, place, Situations::Pairs).runs.iter().find_map(notices).into_iter().collect();
    }
    AuditedViolation {
        id: violation.id.clone(),
        clause: violation.clause.id.into(),
        verdict: if by.is_empty() { "survived" } else { "killed" },
        by,
    }
}
