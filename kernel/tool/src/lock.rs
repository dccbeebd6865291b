//! `lock` and `check`: whether the scripts are right, with and without a source.
//!
//! `anchors.lock` says for which source each edit was tried. Without a source, an edit of a file of the kernel is right
//! if it is the edit in the lock; edits of the series' own files are tried in any case.

use crate::apply::put;
use crate::digest;
use crate::fetch;
use crate::finding::{Finding, Findings, Place, shown};
use crate::recorded;
use crate::script::{Edit, Located, Script};
use crate::series::Series;
use crate::source::{package, suitable};
use crate::tree::{Tree, unused};
use clap::Args;
use iomap_command::{Error, Exit, Output, count};
use iomap_spec::Spec;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Lock {
    /// The version of the package, if the source does not have it from `fetch`
    #[arg(long, value_name = "VERSION")]
    package: Option<String>,
    /// The pristine source [default: the newest that `fetch` has unpacked]
    source: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct Check {
    /// A pristine source, of any version, in which each anchor has to match once
    source: Option<PathBuf>,
}

/// The contents of `anchors.lock`.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Anchors {
    package: String,
    version: String,
    files: BTreeMap<String, String>,
    edits: BTreeMap<String, Entry>,
}

/// An edit as it was tried.
#[derive(Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
struct Entry {
    file: String,
    #[serde(default)]
    function: Option<String>,
    matches: u32,
    edit: String,
}

const NAME: &str = "anchors.lock";

const HEAD: &str = "\
# Written by `make kernel-lock`: in this source each anchor has one place. `edit` is the beginning of a SHA-256 of the edit.
";

/// Tries every edit in the source, and writes the lock.
pub(crate) fn lock(series: &Series, spec: &Spec, arguments: &Lock) -> Result<Exit, Error> {
    let source = fetch::given(arguments.source.as_ref(), None)?;
    let version = suitable(&source, series, false)?;
    Findings::or(scripts(series, spec, Some(&source)), ())?;
    let package = arguments.package.clone().or_else(|| package(&source));
    let missing = "the version of the package is not known: --package VERSION";
    let package = package.ok_or_else(|| Error::usage(missing))?;
    let mut text = format!("{HEAD}package = {package:?}\nversion = {version:?}\n\n[files]\n");
    let files: BTreeSet<&str> = edits(series).map(|(_, edit)| edit.file.value.as_str()).collect();
    for file in files.into_iter().filter(|file| !series.files.contains_key(*file)) {
        let path = source.join(file);
        let digest = digest::of_file(&path).map_err(|error| Error::file(&path, error))?;
        text += &format!("{file:?} = {digest:?}\n");
    }
    text += "\n[edits]\n";
    for (name, edit) in edits(series) {
        let function = edit.function.as_ref().map_or(String::new(), |name| format!("function = {:?}, ", name.value));
        let (file, digest) = (&edit.file.value, edit.digest());
        text += &format!("{name:?} = {{ file = {file:?}, {function}matches = 1, edit = {digest:?} }}\n");
    }
    put(&series.directory.join(NAME), &text)?;
    report(series, &format!("{NAME}: {package}"))
}

/// Checks the scripts, and what they have in common with the pages, the lock and a source.
pub(crate) fn check(series: &Series, spec: &Spec, arguments: &Check) -> Result<Exit, Error> {
    let mut findings = scripts(series, spec, arguments.source.as_deref());
    let against = match &arguments.source {
        Some(source) => format!("Linux {}", suitable(source, series, true)?),
        None => {
            let (anchors, more) = agreement(series)?;
            findings.extend(more);
            let (more, missing) = recorded::faults(series)?;
            findings.extend(more);
            let without =
                if missing > 0 { format!(", {} without an outcome", count(missing, "mutant")) } else { String::new() };
            anchors.map_or(String::new(), |anchors| format!("{NAME}: {}{without}", anchors.package))
        }
    };
    Findings::or(findings, ())?;
    report(series, &against)
}

fn report(series: &Series, against: &str) -> Result<Exit, Error> {
    let (patches, mutants) = (format!("{} patches", series.patches.len()), count(series.mutants.len(), "mutant"));
    let edits = count(edits(series).count(), "edit");
    Output::standard().write(&format!("{patches}, {mutants}, {edits}: {against}\n"))?;
    Ok(Exit::Fine)
}

/// The faults of the scripts themselves.
fn scripts(series: &Series, spec: &Spec, source: Option<&Path>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for script in all(series) {
        let cited = script.clauses.iter().chain(&script.expected);
        findings.extend(cited.filter_map(|id| unknown(spec, id)));
    }
    for patch in series.patches.iter().filter(|patch| patch.clauses.is_empty() && patch.message.is_empty()) {
        findings.push(Finding {
            place: patch.title.place.clone(),
            message: "a patch without a clause has a message".into(),
        });
    }
    for mutant in series.mutants.iter().filter(|mutant| mutant.expected.is_empty() && mutant.equivalent.is_none()) {
        let message =
            "a mutant has `expected`, the clauses that it breaks, or `equivalent`, the reason why it breaks none";
        findings.push(Finding { place: Place::start(&mutant.path), message: message.into() });
    }
    findings.extend(unused(series));
    match Tree::after(series, source, &series.patches, None) {
        Err(more) => findings.extend(more.0),
        Ok(tree) => findings.extend(series.mutants.iter().flat_map(|mutant| tree.clone().apply(mutant))),
    }
    findings
}

fn unknown(spec: &Spec, id: &Located<String>) -> Option<Finding> {
    if spec.clauses().any(|clause| clause.id == id.value) {
        return None;
    }
    let near = iomap_spec::nearest(&id.value, spec.clauses().map(|clause| clause.id.as_str()));
    let hint = near.first().map_or(String::new(), |near| format!("; did you mean {near}?"));
    Some(Finding { place: id.place.clone(), message: format!("there is no clause {}{hint}", id.value) })
}

/// Where the scripts and the lock differ. Without a lock that can be read, that is the only difference.
fn agreement(series: &Series) -> Result<(Option<Anchors>, Vec<Finding>), Error> {
    let path = series.directory.join(NAME);
    let text = fs::read_to_string(&path).map_err(|error| Error::file(&shown(&path), error))?;
    let anchors: Anchors = match toml::from_str(&text) {
        Ok(anchors) => anchors,
        Err(error) => {
            let place = Place::of(&path, &text, &error.span().unwrap_or(0..0));
            return Ok((None, vec![Finding { place, message: error.message().to_owned() }]));
        }
    };
    let again = "write the lock again: make kernel-lock";
    let mut findings = Vec::new();
    let mut known: BTreeSet<&str> = anchors.edits.keys().map(String::as_str).collect();
    for (name, edit) in edits(series) {
        let is_listed = series.files.contains_key(&edit.file.value) || anchors.files.contains_key(&edit.file.value);
        known.remove(name.as_str());
        let wrong = match anchors.edits.get(&name) {
            None => "this edit is not in the lock",
            Some(entry) if *entry != entry_of(edit) || !is_listed => "this edit is not the one in the lock",
            Some(_) => continue,
        };
        findings.push(Finding { place: edit.place.clone(), message: format!("{wrong}; {again}") });
    }
    for name in known {
        let message = format!("there is no edit {name:?}; {again}");
        findings.push(Finding { place: Place::start(&path), message });
    }
    Ok((Some(anchors), findings))
}

fn entry_of(edit: &Edit) -> Entry {
    let function = edit.function.as_ref().map(|name| name.value.clone());
    Entry { file: edit.file.value.clone(), function, matches: 1, edit: edit.digest() }
}

fn all(series: &Series) -> impl Iterator<Item = &Script> {
    series.patches.iter().chain(&series.mutants)
}

/// All edits, with names such as `patches/03-truncate 2`.
fn edits(series: &Series) -> impl Iterator<Item = (String, &Edit)> {
    [("patches", &series.patches), ("mutants", &series.mutants)].into_iter().flat_map(|(kind, scripts)| {
        scripts.iter().flat_map(move |script| {
            let named = move |(number, edit)| (format!("{kind}/{} {}", script.name, number + 1), edit);
            script.edits.iter().enumerate().map(named)
        })
    })
}

/// The version of the package for which the lock was written, if there is one.
pub(crate) fn locked_version(series: &Series) -> Option<String> {
    let text = fs::read_to_string(series.directory.join(NAME)).ok()?;
    toml::from_str::<Anchors>(&text).ok().map(|anchors| anchors.package)
}
