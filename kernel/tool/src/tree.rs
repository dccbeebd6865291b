//! The files of the kernel that the series changes, in memory.

use crate::finding::{Finding, Findings, Place, shown};
use crate::script::{Edit, Script};
use crate::series::Series;
use crate::text::{Misfit, Text, telling};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The files after some patches.
#[derive(Clone)]
pub(crate) struct Tree<'a> {
    series: &'a Series,
    /// The pristine source. Without one, only files of the series can be edited.
    pristine: Option<&'a Path>,
    files: BTreeMap<String, Text>,
    ours: BTreeSet<String>,
}

impl<'a> Tree<'a> {
    /// The tree before any patch.
    pub(crate) fn new(series: &'a Series, pristine: Option<&'a Path>) -> Self {
        Self { series, pristine, files: BTreeMap::new(), ours: BTreeSet::new() }
    }

    /// The tree after these patches and a mutant.
    pub(crate) fn after(
        series: &'a Series,
        pristine: Option<&'a Path>,
        patches: &[Script],
        mutant: Option<&Script>,
    ) -> Result<Self, Findings> {
        let mut tree = Self::new(series, pristine);
        let mut findings = Vec::new();
        for script in patches.iter().chain(mutant) {
            findings.extend(tree.apply(script));
        }
        Findings::or(findings, tree)
    }

    /// Applies a patch or a mutant, and returns what fails.
    pub(crate) fn apply(&mut self, script: &Script) -> Vec<Finding> {
        let mut findings = Vec::new();
        for file in &script.files {
            let refuse =
                |message: &str| Finding { place: file.place.clone(), message: format!("{}: {message}", file.value) };
            let Some(text) = self.series.files.get(&file.value) else {
                findings.push(refuse("there is no such file in `files`"));
                continue;
            };
            if self.pristine.is_some_and(|top| top.join(&file.value).exists()) {
                findings.push(refuse("the source has this file already"));
            } else if !self.ours.insert(file.value.clone()) {
                findings.push(refuse("an earlier patch brings this file"));
            } else {
                self.files.insert(file.value.clone(), Text::ours(text.clone()));
            }
        }
        for edit in &script.edits {
            if let Err(message) = self.edit(edit) {
                findings
                    .push(Finding { place: edit.anchor.place.clone(), message: format!("{}: {message}", said(edit)) });
            }
        }
        findings
    }

    fn edit(&mut self, edit: &Edit) -> Result<(), Misfit> {
        let name = &edit.file.value;
        if !self.files.contains_key(name) {
            if self.series.files.contains_key(name) {
                return Err(Misfit::new("a later patch brings this file"));
            }
            let Some(top) = self.pristine else { return Ok(()) };
            let text = fs::read_to_string(top.join(name)).map_err(|error| Misfit::new(error.to_string()))?;
            self.files.insert(name.clone(), Text::theirs(text));
        }
        self.files.get_mut(name).map_or(Ok(()), |text| text.edit(edit))
    }

    /// The files with their text.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|(name, text)| (name.as_str(), text.text.as_str()))
    }
}

/// The place in the kernel and the anchor of an edit, for people.
fn said(edit: &Edit) -> String {
    let function = edit.function.as_ref().map_or(String::new(), |name| format!(" {}:", name.value));
    let (anchor, line) = (edit.anchor.value.trim(), telling(&edit.anchor.value));
    let more = if anchor.contains('\n') { "…" } else { "" };
    format!("{}:{function} {} `{line}{more}`", edit.file.value, edit.side.key())
}

/// The files of the series that no patch brings.
pub(crate) fn unused(series: &Series) -> Vec<Finding> {
    let brought: BTreeSet<&str> =
        series.patches.iter().flat_map(|patch| &patch.files).map(|file| file.value.as_str()).collect();
    let unused = series.files.keys().filter(|name| !brought.contains(name.as_str()));
    let path = |name: &String| -> PathBuf { shown(&series.directory.join("files").join(name)) };
    unused
        .map(|name| Finding { place: Place::start(&path(name)), message: "no patch brings this file".into() })
        .collect()
}
