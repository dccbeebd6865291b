//! The book: the pages as HTML, with what was measured beside each clause. mdBook sets it.
//!
//! [`Book`] makes a chapter of Markdown from a page, [`build`] makes the directory.

mod clause;
mod html;
mod indexes;
mod output;
mod page;
mod results;
mod terms;

pub use output::{Built, Trouble, build};
pub use results::{Results, Verdict};

use crate::model::{Page, Spec};
use crate::resolve::Moved;
use crate::{Backend, resolve};
use std::collections::BTreeMap;
use std::path::Path;

/// The back end: what the chapters have to know of each other, and of results.
pub struct Book<'a> {
    spec: &'a Spec,
    results: &'a [Results],
    digest: String,
    /// The file of each clause, by id.
    clauses: BTreeMap<&'a str, String>,
    /// The file of each page, by name and section: `iomap_immutable(7)`.
    pages: BTreeMap<String, String>,
    moved: Vec<Moved>,
}

impl<'a> Book<'a> {
    /// For these pages, with these results.
    ///
    /// # Errors
    /// What is wrong with the list of ids that are out of use.
    pub fn new(spec: &'a Spec, results: &'a [Results]) -> Result<Self, Trouble> {
        let file = |page: &Page| format!("{}.{}.html", page.title, page.section);
        let directory = spec.pages.first().and_then(|page| page.source.file.parent()).unwrap_or(Path::new("."));
        Ok(Book {
            spec,
            results,
            digest: spec.digest(),
            clauses: spec
                .pages
                .iter()
                .flat_map(|page| page.clauses().map(move |clause| (clause.id.as_str(), file(page))))
                .collect(),
            pages: spec.pages.iter().map(|page| (page.reference(), file(page))).collect(),
            moved: resolve::moved_ids(directory)?,
        })
    }

    /// Where the clause is: `iomap_immutable.7.html#truncate.shrink`.
    fn link(&self, id: &str) -> Option<String> {
        self.clauses.get(id).map(|file| format!("{file}#{id}"))
    }

    /// The clause that now says what this one said when it was withdrawn, if there is one.
    fn successor<'b>(&'b self, moved: &'b Moved) -> Option<&'b str> {
        let mut new = moved.new.as_deref();
        // As many steps as there are entries, because nothing keeps entries from forming a circle.
        for _ in &self.moved {
            match self.moved.iter().find(|it| Some(it.old.as_str()) == new) {
                Some(next) => new = next.new.as_deref(),
                None => return new.filter(|id| self.clauses.contains_key(id)),
            }
        }
        None
    }
}

impl Backend for Book<'_> {
    fn file_name(&self, page: &Page) -> String {
        format!("{}.{}.md", page.title, page.section)
    }

    fn page(&self, page: &Page) -> String {
        page::chapter(self, page)
    }
}
