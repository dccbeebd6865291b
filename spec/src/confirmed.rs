//! The record of the clause texts for which each citing place was written.
//!
//! `confirmed.toml` beside the pages names the places (files and directories, relative to the directory above the
//! pages). For each file it has the hash of each cited clause at the time when a person last compared the two. If the
//! clause has another hash now, the citation is *stale*, unless only the hash scheme differs. A citation is the
//! clause's id, or the constant made of the id.

use crate::diagnostic::{Diagnostic, IO, Source};
use crate::model::{Clause, Spec};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The file beside the pages.
pub const RECORD: &str = "confirmed.toml";

/// The text before the id in the marker of a clause.
pub const MARKER: &str = "r[";

/// Files of a directory that cite clauses.
const EXTENSIONS: [&str; 3] = ["md", "rs", "toml"];

const PREAMBLE: &str = "\
# The hash that each clause had when a place that cites it was last read beside it. `iomap-spec check` reports a place
# whose clause has another hash now; `iomap-spec confirm ID` records that the two were read together again.
";

/// The contents of the record.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Record {
    places: Vec<String>,
    /// File, then id, then hash.
    #[serde(default)]
    wording: BTreeMap<String, BTreeMap<String, String>>,
}

/// One file that cites clauses: its path in the record, its text, and the position of its first citation of each
/// clause.
struct Place<'a> {
    name: String,
    source: Source,
    cited: BTreeMap<&'a str, (&'a Clause, Range<usize>)>,
}

/// The clauses to confirm, besides those that were never confirmed.
#[derive(Clone, Copy, Debug)]
pub enum Which<'a> {
    /// All cited clauses.
    All,
    /// These clauses.
    Ids(&'a [String]),
}

impl Which<'_> {
    fn has(self, id: &str) -> bool {
        match self {
            Which::All => true,
            Which::Ids(ids) => ids.iter().any(|wanted| wanted == id),
        }
    }
}

pub(crate) fn check(spec: &Spec, findings: &mut Vec<Diagnostic>) {
    let pages: BTreeSet<PathBuf> = spec.pages.iter().map(|page| page.source.file.with_file_name(RECORD)).collect();
    for path in pages {
        let Some(record) = read(spec, &path, findings) else { continue };
        for place in places(spec, &path, &record, findings) {
            let known = record.wording.get(&place.name);
            for (id, (clause, span)) in place.cited {
                let (code, message, mend) = match known.and_then(|known| known.get(id)) {
                    Some(hash) if *hash == clause.hash => continue,
                    Some(hash) if *hash == clause.former_hash() => (
                        "former-hash",
                        format!(
                            "{hash} is the hash of `{id}` by the former scheme: same level and text, now {}",
                            clause.hash
                        ),
                        "run `iomap-spec confirm`, which replaces it".to_owned(),
                    ),
                    Some(hash) => (
                        "stale",
                        format!(
                            "this was written for `{id}` as of {hash}, which says something else now ({})",
                            clause.hash
                        ),
                        format!("read both, mend this if need be, then run `iomap-spec confirm {id}`"),
                    ),
                    None => (
                        "unconfirmed",
                        format!("there is no record for which state of `{id}` this was written"),
                        "run `iomap-spec confirm`".to_owned(),
                    ),
                };
                findings.push(place.source.diagnostic(span, code, message, mend));
            }
        }
    }
}

/// Records that the citing places agree with the present clauses of the pages in `dir`: for citations that were never
/// confirmed, and for `which`. Replaces hashes of the former scheme, and drops places that no longer cite a clause.
/// Returns one line for each change.
///
/// # Errors
/// Findings, if there is no record, or if a file cannot be read or written.
pub fn confirm(spec: &Spec, dir: &Path, which: Which<'_>) -> Result<Vec<String>, Vec<Diagnostic>> {
    let path = dir.join(RECORD);
    let mut findings = vec![];
    let Some(record) = read(spec, &path, &mut findings) else {
        if findings.is_empty() {
            let mend = "write one that names the places that cite clauses: places = [\"src\"]";
            findings.push(Diagnostic::whole(&path, IO, "does not exist", mend));
        }
        return Err(findings);
    };
    let places = places(spec, &path, &record, &mut findings);
    if !findings.is_empty() {
        return Err(findings);
    }
    let mut changes = vec![];
    let mut new = Record { places: record.places, wording: BTreeMap::new() };
    for place in &places {
        let old = record.wording.get(&place.name);
        let hashes = place.cited.iter().map(|(id, (clause, _))| {
            // A hash of the former scheme covers the same text, so this text needs no new reading.
            let is_kept = |hash: &&String| !which.has(id) && **hash != clause.former_hash();
            let kept = old.and_then(|old| old.get(*id)).filter(is_kept);
            let hash = kept.unwrap_or(&clause.hash).clone();
            if old.and_then(|old| old.get(*id)) != Some(&hash) {
                changes.push(format!("{}: {id} {hash}", place.name));
            }
            ((*id).to_owned(), hash)
        });
        let hashes = hashes.collect();
        new.wording.insert(place.name.clone(), hashes);
    }
    let text = toml::to_string_pretty(&new).map_err(|error| error.to_string());
    let written =
        text.and_then(|text| fs::write(&path, PREAMBLE.to_owned() + &text).map_err(|error| error.to_string()));
    let unwritable =
        |error| vec![Diagnostic::whole(&path, IO, format!("cannot be written: {error}"), "make it writable")];
    written.map_err(unwritable)?;
    Ok(changes)
}

fn read(spec: &Spec, path: &Path, findings: &mut Vec<Diagnostic>) -> Option<Record> {
    let text = match spec.read_beside(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            findings.push(Diagnostic::whole(path, IO, format!("cannot be read: {error}"), "mend or remove the file"));
            return None;
        }
    };
    match toml::from_str(&text) {
        Ok(record) => Some(record),
        Err(error) => {
            let source = Source { file: path.to_owned(), text };
            let span = error.span().unwrap_or_default();
            let mend = "write places = [\"file or directory\"]; `iomap-spec confirm` writes the rest";
            findings.push(source.diagnostic(span, "unconfirmed", error.message(), mend));
            None
        }
    }
}

/// The files of the record that cite clauses of `spec`, sorted, each once.
fn places<'a>(spec: &'a Spec, record: &Path, named: &Record, findings: &mut Vec<Diagnostic>) -> Vec<Place<'a>> {
    let directory = record.parent().unwrap_or(Path::new(""));
    // The pages may be reached by a symbolic link: use the directory above the link's target.
    let real = if spec.beside.is_none() && directory.is_symlink() { directory.canonicalize().ok() } else { None };
    let directory = real.as_deref().unwrap_or(directory);
    // The directory above `man` is the empty path, above `/x/man` it is `/x`. Only the disk can resolve `.` and `..`.
    let above = directory.join("..");
    let top = directory.file_name().and_then(|_| directory.parent()).unwrap_or(&above);
    let mut names = BTreeSet::new();
    for place in &named.places {
        if spec.beside.is_some() {
            // Pages that do not come from a disk have no other files beside them, so only the pages themselves are
            // examined.
            let files = spec.pages.iter().filter_map(|page| page.source.file.strip_prefix(top).ok());
            names.extend(files.filter(|it| it.starts_with(place)).map(|it| it.to_string_lossy().into_owned()));
        } else if let Err(error) = collect(top, place, &mut names) {
            let mend = format!("correct `places` in {}", record.display());
            findings.push(Diagnostic::whole(&top.join(place), IO, format!("cannot be read: {error}"), mend));
        }
    }
    let ids: BTreeMap<String, &Clause> =
        spec.clauses().flat_map(|it| [(it.id.clone(), it), (it.constant(), it)]).collect();
    let mut places = vec![];
    for name in names {
        let file = top.join(&name);
        let page = spec.pages.iter().find(|page| spec.beside.is_some() && page.source.file == file);
        match page.map_or_else(|| fs::read(&file), |page| Ok(page.source.text.clone().into_bytes())) {
            Ok(bytes) => {
                let source = Source { file, text: String::from_utf8_lossy(&bytes).into_owned() };
                let mut cited = BTreeMap::new();
                // The marker of a clause is not a citation of it.
                let cites = |span: &Range<usize>| !source.text[..span.start].ends_with(MARKER);
                for (word, span) in words(&source.text).filter(|(_, span)| cites(span)) {
                    if let Some(clause) = ids.get(word) {
                        cited.entry(clause.id.as_str()).or_insert((*clause, span));
                    }
                }
                places.push(Place { name, source, cited });
            }
            Err(error) => {
                findings.push(Diagnostic::whole(&file, IO, format!("cannot be read: {error}"), "make it readable"));
            }
        }
    }
    places.retain(|place| !place.cited.is_empty());
    places
}

/// Collects the file `name` below `top`, or the files in the directory of that name.
fn collect(top: &Path, name: &str, names: &mut BTreeSet<String>) -> std::io::Result<()> {
    let path = top.join(name);
    if !path.is_dir() {
        fs::metadata(&path)?;
        names.insert(name.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(&path)? {
        let entry = entry?;
        let inner = format!("{name}/{}", entry.file_name().to_string_lossy());
        let cites = entry.path().extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known));
        if entry.file_type()?.is_dir() || (cites && entry.file_name() != RECORD) {
            collect(top, &inner, names)?;
        }
    }
    Ok(())
}

/// Every word that could be an id or a constant, with its position.
pub fn words(text: &str) -> impl Iterator<Item = (&str, Range<usize>)> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.');
    words.filter_map(move |word| {
        // The word is a part of `text`, so the difference of the addresses is its offset.
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let word = word.trim_end_matches('.');
        (!word.is_empty()).then_some((word, start..start + word.len()))
    })
}
