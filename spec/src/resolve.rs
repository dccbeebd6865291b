//! What only the whole set of pages can show: ids and references that fit together.

use crate::diagnostic::{Diagnostic, IO};
use crate::model::{Clause, Inline, Page};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file beside the pages that remembers the ids no longer in use.
const MOVED: &str = "moved.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MovedIds {
    #[serde(default)]
    moved: Vec<Moved>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Moved {
    pub(crate) old: String,
    pub(crate) new: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) since: String,
}

/// The ids that are out of use; none, if there is no list of them in this directory.
#[cfg(feature = "book")]
pub(crate) fn moved_ids(directory: &Path) -> Result<Vec<Moved>, Diagnostic> {
    read_moved(&directory.join(MOVED))
}

pub(crate) fn check(pages: &[Page], findings: &mut Vec<Diagnostic>) {
    let mut clauses: BTreeMap<&str, &Clause> = BTreeMap::new();
    let mut titles: BTreeMap<String, &Path> = BTreeMap::new();
    for page in pages {
        if let Some(first) = titles.insert(page.reference(), &page.source.file) {
            let message = format!("{} is also the page in {}", page.reference(), first.display());
            findings.push(page.source.diagnostic(0..3, "duplicate-page", message, "give one of them another title"));
        }
        if page.version != pages[0].version {
            let message = format!("this page is of version {}, the first one of {}", page.version, pages[0].version);
            let mend = "the version is the specification's: the same on all pages";
            findings.push(page.source.diagnostic(0..3, "version", message, mend));
        }
        for clause in page.clauses() {
            if let Some(first) = clauses.insert(&clause.id, clause) {
                let message = format!("`{}` is already at {}:{}", clause.id, first.file.display(), first.line);
                let mend = "name the other behaviour: an id belongs to one clause";
                findings.push(page.source.diagnostic(clause.id_span(), "duplicate-id", message, mend));
            }
        }
    }
    for page in pages {
        for_each_inline(page, &mut |inline| {
            if let Inline::Reference { id, span } = inline
                && !clauses.contains_key(id.as_str())
            {
                let message = format!("no clause has the id `{id}`");
                let mend = "correct the id, or write \\[ if the brackets are meant as text";
                findings.push(page.source.diagnostic(span.clone(), "undefined-reference", message, mend));
            }
        });
    }
    let directories: BTreeSet<PathBuf> = pages.iter().map(|page| page.source.file.with_file_name(MOVED)).collect();
    for path in directories {
        moved(&path, pages, &clauses, findings);
    }
}

/// What an entry has.
const FORM: &str = "[[moved]] with old, since, and either new or reason";

fn read_moved(path: &Path) -> Result<Vec<Moved>, Diagnostic> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(vec![]),
        Err(error) => {
            let message = format!("cannot be read: {error}");
            return Err(Diagnostic::whole(path, IO, message, "mend or remove the file"));
        }
    };
    match toml::from_str::<MovedIds>(&text) {
        Ok(entries) => Ok(entries.moved),
        Err(error) => Err(Diagnostic::whole(path, "moved", error.message(), FORM)),
    }
}

fn moved(path: &Path, pages: &[Page], clauses: &BTreeMap<&str, &Clause>, findings: &mut Vec<Diagnostic>) {
    let entries = match read_moved(path) {
        Ok(entries) => entries,
        Err(finding) => return findings.push(finding),
    };
    for entry in entries {
        if entry.new.is_some() == entry.reason.is_some() {
            let message = format!("`{}` needs a new id or a reason, not both", entry.old);
            findings.push(Diagnostic::whole(path, "moved", message, FORM));
        }
        if let Some(clause) = clauses.get(entry.old.as_str())
            && let Some(page) = pages.iter().find(|page| page.source.file == clause.file)
        {
            let message = format!("`{}` was withdrawn in {}", entry.old, entry.since);
            let mend = format!("choose a new id: one in {} is never used again", path.display());
            findings.push(page.source.diagnostic(clause.id_span(), "reused-id", message, mend));
        }
    }
}

fn for_each_inline<'a>(page: &'a Page, visit: &mut dyn FnMut(&'a Inline)) {
    for section in &page.sections {
        section.heading.iter().for_each(|inline| inline.walk(visit));
        for block in &section.blocks {
            block.walk(0, &mut |block, _| {
                block.inlines().into_iter().flatten().for_each(|inline| inline.walk(visit));
            });
        }
    }
}
