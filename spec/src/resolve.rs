//! What only the whole set of pages can show: ids and references that fit together.

use crate::diagnostic::{Diagnostic, IO};
use crate::model::{Clause, Inline, Page};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The file beside the pages that remembers the ids no longer in use.
pub(crate) const MOVED: &str = "moved.toml";

/// The code of the finding about a reference to a clause that is on none of the pages.
pub(crate) const UNDEFINED: &str = "undefined-reference";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MovedIds {
    #[serde(default)]
    moved: Vec<Moved>,
}

/// An id that is no longer in use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The id.
    pub old: String,
    /// The id that the clause has now, if it was renamed.
    pub new: Option<String>,
    /// Why there is no such clause any more, if it was withdrawn.
    pub reason: Option<String>,
    /// The first version without it.
    pub since: String,
}

/// What the text of `moved.toml` says.
pub(crate) fn moved_ids(text: &str) -> Result<Vec<Moved>, toml::de::Error> {
    toml::from_str::<MovedIds>(text).map(|ids| ids.moved)
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
                findings.push(page.source.diagnostic(span.clone(), UNDEFINED, message, mend));
            }
        });
    }
    let directories: BTreeSet<PathBuf> = pages.iter().map(|page| page.source.file.with_file_name(MOVED)).collect();
    for path in directories {
        moved(&path, pages, &clauses, findings);
    }
}

fn moved(path: &Path, pages: &[Page], clauses: &BTreeMap<&str, &Clause>, findings: &mut Vec<Diagnostic>) {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            return findings.push(Diagnostic::whole(path, IO, message, "mend or remove the file"));
        }
    };
    let form = "[[moved]] with old, since, and either new or reason";
    let entries = match moved_ids(&text) {
        Ok(entries) => entries,
        Err(error) => return findings.push(Diagnostic::whole(path, "moved", error.message(), form)),
    };
    for entry in entries {
        if entry.new.is_some() == entry.reason.is_some() {
            let message = format!("`{}` needs a new id or a reason, not both", entry.old);
            findings.push(Diagnostic::whole(path, "moved", message, form));
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
