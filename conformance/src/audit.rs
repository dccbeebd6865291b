//! Whether the suite notices: every violation of the reference against the cases of its clause.

use crate::cases;
use crate::mechanism::Mechanism;
use crate::run::run_case;
use crate::target::reference::Reference;
use crate::verdict::Verdict;
use iomap_reference::Violation;
use serde::Serialize;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What became of one violation.
#[derive(Clone, Debug, Serialize)]
pub struct Audited {
    /// The violation, such as `truncate.shrink/permitted`.
    pub id: String,
    /// The clause that it breaks.
    pub clause: String,
    /// `killed` if a case of the clause found the clause violated, else `survived`.
    pub verdict: &'static str,
    /// The cases of the clause that did.
    pub by: Vec<String>,
}

/// Runs the cases of its clause against each of these violations, on all processors.
pub fn audit(all: &[&Violation]) -> Vec<Audited> {
    let next = AtomicUsize::new(0);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        while let Some(violation) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push((violation.id.clone(), one(violation)));
        }
        done
    };
    let mut audited: Vec<(String, Audited)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    let place = |id: &str| all.iter().position(|violation| violation.id == id);
    audited.sort_by_key(|(id, _)| place(id));
    audited.into_iter().map(|(_, audited)| audited).collect()
}

fn one(violation: &Violation) -> Audited {
    let target = Reference::new(Some(violation.clone()));
    let of_clause = cases::all().filter(|case| case.clause == violation.clause);
    let results = of_clause.map(|case| run_case(&target, Mechanism::Seal, case));
    let by: Vec<String> = results.filter(|r| r.verdict == Verdict::Violated).map(|r| r.name).collect();
    Audited {
        id: violation.id.clone(),
        clause: violation.clause.id.into(),
        verdict: if by.is_empty() { "survived" } else { "killed" },
        by,
    }
}
