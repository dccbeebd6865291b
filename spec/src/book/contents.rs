//! The contents of the book: the pages, their files, and the results beside their clauses.

use super::cost::Rates;
use super::series::Series;
use crate::model::{Moved, Page, Spec};
use iomap_results::Results;
use std::collections::BTreeMap;

/// The measurements in a book: verdicts, the rates of a machine, and a kernel series.
#[derive(Clone, Copy, Default)]
pub struct Measured<'a> {
    /// The results beside the clauses.
    pub results: &'a [Results],
    /// The rates from which the costs are computed.
    pub rates: Option<&'a Rates>,
    /// The patches that keep the clauses.
    pub series: Option<&'a Series>,
}

/// The back end. It knows the file of each page and clause, and the results.
pub struct Book<'a> {
    pub(super) spec: &'a Spec,
    pub(super) results: &'a [Results],
    pub(super) rates: Option<&'a Rates>,
    pub(super) series: Option<&'a Series>,
    pub(super) digest: String,
    /// The file of each clause, by id.
    pub(super) clauses: BTreeMap<&'a str, String>,
    /// The file of each page, by name and section: `iomap_immutable(7)`.
    pub(super) pages: BTreeMap<String, String>,
}

impl<'a> Book<'a> {
    /// The book of these pages, with these results, rates and patches.
    pub fn new(spec: &'a Spec, Measured { results, rates, series }: Measured<'a>) -> Self {
        let file = |page: &Page| page.stem() + ".html";
        let of_page = |page: &'a Page| page.clauses().map(move |clause| (clause.id.as_str(), file(page)));
        Book {
            spec,
            results,
            rates,
            series,
            digest: spec.digest(),
            clauses: spec.pages.iter().flat_map(of_page).collect(),
            pages: spec.pages.iter().map(|page| (page.reference(), file(page))).collect(),
        }
    }

    /// The link to the clause: `iomap_immutable.7.html#truncate.shrink`.
    pub(super) fn link(&self, id: &str) -> Option<String> {
        self.clauses.get(id).map(|file| format!("{file}#{id}"))
    }

    /// The id of the clause that replaces this withdrawn clause, if there is one.
    pub(super) fn successor(&self, moved: &'a Moved) -> Option<&'a str> {
        Some(self.spec.successor(&moved.old)).filter(|id| self.clauses.contains_key(id))
    }
}
