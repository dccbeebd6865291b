//! The scripts of the mutants against the outcomes in `mutants.json`.

use crate::finding::{Finding, Place};
use crate::series::Series;
use iomap_command::Error;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;

pub(crate) const NAME: &str = "mutants.json";

/// The parts of the document that have to agree with the scripts.
#[derive(Deserialize)]
struct Known {
    mutants: BTreeMap<String, Row>,
}

#[derive(Deserialize)]
struct Row {
    /// The digest of the edits.
    script: String,
}

/// The mutants that the document has with other edits, its rows without a mutant, and the number of mutants that it does
/// not have: it takes an hour to know more about them.
pub(crate) fn faults(series: &Series) -> Result<(Vec<Finding>, usize), Error> {
    let path = series.directory.join(NAME);
    if !path.exists() {
        return Ok((vec![], series.mutants.len()));
    }
    let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
    let known: Known = match serde_json::from_str(&text) {
        Ok(known) => known,
        Err(error) => {
            let finding = Finding { place: Place::of_json(&path, &error), message: error.to_string() };
            return Ok((vec![finding], 0));
        }
    };
    let row = |name: &String| known.mutants.get(name);
    let missing = series.mutants.iter().filter(|mutant| row(&mutant.name).is_none()).count();
    let stale = series.mutants.iter().filter(|it| row(&it.name).is_some_and(|row| row.script != it.digest()));
    let mut findings: Vec<Finding> = stale
        .map(|mutant| Finding {
            place: Place::start(&mutant.path),
            message: format!("{NAME} has the outcome of other edits: make kernel-mutants"),
        })
        .collect();
    let is_gone = |name: &&str| series.mutants.iter().all(|mutant| mutant.name != **name);
    let gone: Vec<&str> = known.mutants.keys().map(String::as_str).filter(is_gone).collect();
    if !gone.is_empty() {
        let message = format!("there is no mutant {}: iomap-kernel mutants --record", gone.join(", "));
        findings.push(Finding { place: Place::start(&path), message });
    }
    Ok((findings, missing))
}
