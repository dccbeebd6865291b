//! The document of the lab, and the results of runs that did not end.

use crate::lab::protocol::Run;
use crate::results::{ClauseResult, Results, own_spec};
use crate::system::Step;
use iomap_results::{Kernel, SCHEMA, Verdict};
use std::collections::BTreeMap;

/// The document that `lab --format json` writes.
pub(crate) type LabDocument = iomap_results::Lab<Step>;

/// The results of a run that failed: each clause has this reason.
pub(crate) fn failed(run: &Run, kernel: &Kernel, reason: &str) -> Results {
    let mut results = untested(run, kernel);
    for clause in &mut results.clauses {
        (clause.verdict, clause.reason) = (Verdict::Error, Some(reason.into()));
    }
    results.count_again();
    results
}

/// The results of a run in which no clause was tested.
pub(crate) fn untested(run: &Run, kernel: &Kernel) -> Results {
    let clause = |id: &str| ClauseResult {
        id: id.into(),
        verdict: Verdict::Untested,
        expected: None,
        reason: None,
        cases: Vec::new(),
    };
    let clauses: Vec<ClauseResult> =
        iomap_clauses::ALL.iter().filter(|it| it.is_testable()).map(|it| clause(it.id)).collect();
    Results {
        schema: SCHEMA,
        spec: own_spec(),
        target: "lab".into(),
        mechanism: run.mechanism.name().into(),
        fs: run.fs.name().into(),
        kernel: kernel.clone(),
        started: None,
        not_offered: None,
        kernel_log: Vec::new(),
        left_out: Default::default(),
        totals: BTreeMap::from([(Verdict::Untested, clauses.len())]),
        clauses,
    }
}
