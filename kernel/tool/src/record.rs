//! `mutants.json` of the series: the outcomes of the mutants, for readers who do not run them.

use crate::apply::put;
use crate::outcome::{Outcome, Verdict};
use crate::recorded::NAME;
use crate::series::Series;
use iomap_command::{Error, Exit, Output};
use serde::Serialize;
use std::collections::BTreeMap;

/// The document.
#[derive(Serialize)]
struct Record {
    /// How it is made.
    about: String,
    mutants: BTreeMap<String, Row>,
}

/// A mutant.
#[derive(Serialize)]
struct Row {
    title: String,
    /// The digest of its edits.
    script: String,
    verdict: Verdict,
    /// The clauses of which one has to be violated.
    expected: Vec<String>,
    /// The clause that is violated, with the file system, the case and what it saw.
    #[serde(flatten)]
    notice: Option<Noticed>,
    /// The file systems on which it was run without a notice.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    survived: Vec<String>,
    /// The reason why no program can notice it.
    #[serde(skip_serializing_if = "Option::is_none")]
    equivalent: Option<String>,
    /// Whether the kernel's log has a warning.
    warning: bool,
    /// The digest of the series, and the beginning of the SHA-256 of the program of the suite.
    series: String,
    suite: String,
}

#[derive(Serialize)]
struct Noticed {
    clause: String,
    case: String,
    fs: String,
    detail: Option<String>,
}

/// Writes the outcomes.
pub(crate) fn record(series: &Series, outcomes: &[Outcome]) -> Result<Exit, Error> {
    let rows = outcomes.iter().map(|outcome| (outcome.mutant.clone(), Row::of(outcome)));
    let about = "Written by `iomap-kernel mutants --record` from the outcomes of `make kernel-mutants`".into();
    let record = Record { about, mutants: rows.collect() };
    let path = series.directory.join(NAME);
    let text = serde_json::to_string_pretty(&record).map_err(|error| Error::file(&path, error))?;
    put(&path, &(text + "\n"))?;
    let of = series.mutants.len();
    Output::standard().write(&format!("{NAME}: {} of {of} mutants\n", record.mutants.len()))?;
    Ok(Exit::Fine)
}

impl Row {
    fn of(outcome: &Outcome) -> Self {
        let notice = outcome.notice().map(|(stage, notice)| Noticed {
            clause: notice.clause.clone(),
            case: notice.case.clone(),
            fs: stage.fs.clone(),
            detail: notice.detail.as_ref().and_then(|detail| detail.lines().next()).map(str::to_owned),
        });
        Self {
            title: outcome.title.clone(),
            script: outcome.script.clone(),
            verdict: outcome.verdict,
            expected: outcome.expected.clone(),
            survived: if notice.is_none() { outcome.fs.clone() } else { vec![] },
            notice,
            equivalent: outcome.equivalent.clone(),
            warning: outcome.stages.iter().any(|stage| !stage.log.is_empty()),
            series: outcome.series.clone(),
            suite: outcome.suite.chars().take(16).collect(),
        }
    }
}
