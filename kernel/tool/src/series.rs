//! The directory of the series: patches, mutants and new files.

use crate::digest::short;
use crate::finding::{Finding, Findings, Place};
use crate::script::{Kind, Script};
use iomap_command::Error;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// All scripts, and the new files.
#[derive(Debug)]
pub(crate) struct Series {
    pub(crate) directory: PathBuf,
    /// In the order of their numbers.
    pub(crate) patches: Vec<Script>,
    pub(crate) mutants: Vec<Script>,
    /// The new files, by their path in the kernel.
    pub(crate) files: BTreeMap<String, String>,
}

impl Series {
    /// Reads the directory.
    pub(crate) fn read(directory: &Path) -> Result<Self, Error> {
        let (patches, mut findings) = scripts(&directory.join("patches"), Kind::Patch)?;
        let (mutants, more) = scripts(&directory.join("mutants"), Kind::Mutant)?;
        findings.extend(more);
        for pair in patches.windows(2) {
            if number(&pair[0]) == number(&pair[1]) {
                let message = format!("{} has the same number", pair[0].name);
                findings.push(Finding { place: Place::start(&pair[1].path), message });
            }
        }
        for patch in patches.iter().filter(|patch| number(patch).is_none()) {
            let message = "the name of a patch begins with a number and a dash".into();
            findings.push(Finding { place: Place::start(&patch.path), message });
        }
        let mut files = BTreeMap::new();
        let top = directory.join("files");
        for path in below(&top)? {
            let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
            files.insert(path.strip_prefix(&top).unwrap_or(&path).to_string_lossy().into_owned(), text);
        }
        if patches.is_empty() && findings.is_empty() {
            return Err(Error::environment(format!("{}: there are no patches", directory.join("patches").display())));
        }
        Ok(Findings::or(findings, Self { directory: directory.to_owned(), patches, mutants, files })?)
    }

    /// The patches up to the one with this number; none for 0.
    pub(crate) fn upto(&self, last: Option<u32>) -> Result<&[Script], Error> {
        let last = match last {
            None => return Ok(&self.patches),
            Some(0) => return Ok(&[]),
            Some(last) => last,
        };
        let len = self.patches.iter().position(|patch| number(patch) == Some(last));
        let len = len.ok_or_else(|| Error::usage(format!("there is no patch {last:02}")))?;
        Ok(&self.patches[..=len])
    }

    /// The digest of the patches and the new files, without the words of the mails.
    pub(crate) fn digest(&self) -> String {
        let patches: Vec<String> = self.patches.iter().map(Script::digest).collect();
        let files = self.files.iter().flat_map(|(name, text)| [name, text]);
        short(patches.iter().chain(files).map(String::as_bytes))
    }

    /// The mutant with this name.
    pub(crate) fn mutant(&self, name: &str) -> Result<&Script, Error> {
        let found = self.mutants.iter().find(|mutant| mutant.name == name);
        found.ok_or_else(|| {
            let near = iomap_spec::nearest(name, self.mutants.iter().map(|mutant| mutant.name.as_str()));
            let hint = near.first().map_or(String::new(), |near| format!("; did you mean {near}?"));
            Error::usage(format!("there is no mutant {name}{hint}"))
        })
    }
}

/// The number at the beginning of the name of a patch.
pub(crate) fn number(patch: &Script) -> Option<u32> {
    patch.name.split_once('-')?.0.parse().ok()
}

/// The scripts of a directory that may be missing, by name, and what is wrong with others.
fn scripts(directory: &Path, kind: Kind) -> Result<(Vec<Script>, Vec<Finding>), Error> {
    let (mut scripts, mut findings) = (vec![], vec![]);
    for path in below(directory)? {
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
        match Script::parse(&path, &text, kind) {
            Ok(script) => scripts.push(script),
            Err(more) => findings.extend(more.0),
        }
    }
    Ok((scripts, findings))
}

/// The files below a directory that may be missing, sorted.
fn below(top: &Path) -> Result<Vec<PathBuf>, Error> {
    let (mut files, mut open) = (vec![], vec![top.to_owned()]);
    while let Some(directory) = open.pop() {
        if !directory.exists() {
            continue;
        }
        let failed = |error| Error::file(&directory, error);
        for entry in fs::read_dir(&directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.is_dir() { open.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    Ok(files)
}
