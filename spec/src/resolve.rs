//! Checks that need the whole set of pages: ids and references must agree.

use crate::diagnostic::Diagnostic;
use crate::model::{Clause, Inline, Moved, Page};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

/// The file beside the pages that records the ids that are out of use.
pub(crate) const MOVED: &str = "moved.toml";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MovedIds {
    #[serde(default)]
    moved: Vec<Moved>,
}

/// The form of an entry.
const FORM: &str = "[[moved]] with old, since, and either new or reason";

/// Reads `moved.toml`.
pub(crate) fn moved(path: &Path, bytes: &[u8], findings: &mut Vec<Diagnostic>) -> Vec<Moved> {
    let entries = match toml::from_str::<MovedIds>(&String::from_utf8_lossy(bytes)) {
        Ok(entries) => entries.moved,
        Err(error) => {
            findings.push(Diagnostic::whole(path, "moved", error.message(), FORM));
            return vec![];
        }
    };
    for entry in entries.iter().filter(|entry| entry.new.is_some() == entry.reason.is_some()) {
        let message = format!("`{}` needs a new id or a reason, not both", entry.old);
        findings.push(Diagnostic::whole(path, "moved", message, FORM));
    }
    entries
}

/// Checks ids and references. A page that stands `alone` may refer to clauses of other pages.
pub(crate) fn check(pages: &[&Page], moved: &[Moved], alone: bool, findings: &mut Vec<Diagnostic>) {
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
                && !alone
                && !clauses.contains_key(id.as_str())
            {
                let message = format!("no clause has the id `{id}`");
                let mend = "correct the id, or write \\[ if the brackets are meant as text";
                findings.push(page.source.diagnostic(span.clone(), "undefined-reference", message, mend));
            }
        });
    }
    for entry in moved {
        if let Some(clause) = clauses.get(entry.old.as_str())
            && let Some(page) = pages.iter().find(|page| page.source.file == clause.file)
        {
            let message = format!("`{}` was withdrawn in {}", entry.old, entry.since);
            let mend = format!("choose a new id: one in {MOVED} is never used again");
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
