//! `mutants.json` of the series: the outcomes of the mutants, for readers who do not run them.

use crate::apply::put;
use crate::outcome::{Outcome, Verdict};
use crate::recorded::NAME;
use crate::series::Series;
use iomap_command::{Error, Exit, Output};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

/// The document.
#[derive(Serialize, Deserialize)]
struct Record {
    /// How it is made.
    about: String,
    mutants: BTreeMap<String, Value>,
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

/// Writes the outcomes. A row that is there already stays if its mutant has no outcome here and the same edits: the row
/// says of which series it is.
pub(crate) fn record(series: &Series, outcomes: &[Outcome]) -> Result<Exit, Error> {
    let path = series.directory.join(NAME);
    let mut mutants = rows_of(series, &path)?;
    for outcome in outcomes {
        let row = serde_json::to_value(Row::of(outcome)).map_err(|error| Error::file(&path, error))?;
        mutants.insert(outcome.mutant.clone(), row);
    }
    let about = "Written by `iomap-kernel mutants --record` from the outcomes of `make kernel-mutants`".into();
    let record = Record { about, mutants };
    let text = serde_json::to_string_pretty(&record).map_err(|error| Error::file(&path, error))?;
    put(&path, &(text + "\n"))?;
    let of = series.mutants.len();
    Output::standard().write(&format!("{NAME}: {} of {of} mutants\n", record.mutants.len()))?;
    Ok(Exit::Fine)
}

/// The rows of a document about mutants whose edits are the same.
fn rows_of(series: &Series, path: &Path) -> Result<BTreeMap<String, Value>, Error> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::file(path, error)),
    };
    let Record { mut mutants, .. } = serde_json::from_str(&text).map_err(|error| Error::file(path, error))?;
    mutants.retain(|name, row| {
        let mutant = series.mutants.iter().find(|mutant| mutant.name == *name);
        mutant.is_some_and(|mutant| row["script"] == mutant.digest())
    });
    Ok(mutants)
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
