//! `iomap-spec impact`: the places that a rewording of a clause touches.

use crate::format::Format;
use crate::index;
use crate::output::deliver;
use crate::pages::Pages;
use crate::places::{self, Checkout, Kind, Place};
use clap::Args;
use iomap_command::{Error, Exit, count};
use iomap_spec::{Clause, Spec};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "\
Example:
  iomap-spec impact truncate.shrink
  iomap-spec impact --format json truncate.shrink seal.keeps")]
pub(crate) struct Arguments {
    /// For people or for programs
    #[arg(long, default_value = "human")]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Clauses
    #[arg(required = true, value_name = "ID")]
    ids: Vec<String>,
}

pub(crate) fn run(pages: &Pages, arguments: &Arguments) -> Result<Exit, Error> {
    if matches!(pages, Pages::BuiltIn) {
        return Err(places::no_checkout("impact"));
    }
    let spec = pages.load()?;
    let clauses = places::named(&spec, &arguments.ids)?;
    let checkout = Checkout::of(pages)?;
    let mut found = checkout.places(&clauses);
    let touched: Vec<Touched<'_>> = clauses
        .into_iter()
        .map(|clause| {
            let mut places = found.remove(clause.id.as_str()).unwrap_or_default();
            // Neither is read beside the clause: the one is a test's text, the other the hashes of those that are.
            places.retain(|place| !matches!(place.kind, Kind::Coverage | Kind::Record));
            Touched { clause, places, violations: checkout.violations(&clause.id) }
        })
        .collect();
    let text = match arguments.format {
        Format::Human => touched.iter().map(human).collect::<Vec<_>>().join("\n"),
        Format::Json => json(&spec, &touched),
    };
    deliver(arguments.output.as_deref(), &text)
}

/// A clause and what hangs on it.
struct Touched<'a> {
    clause: &'a Clause,
    places: Vec<Place>,
    violations: Vec<String>,
}

fn human(touched: &Touched<'_>) -> String {
    let Touched { clause, places, violations } = touched;
    let mut text = format!("{} ({})  {}\n", clause.id, clause.envelope(), clause.hash);
    iomap_spec::text::hang(&mut text, 4, 4, &clause.text);
    let kinds: BTreeSet<Kind> = places.iter().map(|place| place.kind).collect();
    for kind in kinds {
        let of_kind: Vec<&Place> = places.iter().filter(|place| place.kind == kind).collect();
        text += &format!("\n{} ({})\n", kind.heading(), of_kind.len());
        for Place { file, line, column, text: on_line, .. } in of_kind {
            text += &format!("  {}:{line}:{column}: {}\n", file.display(), cut(on_line));
        }
    }
    if !violations.is_empty() {
        text += &format!("\nviolations that the cases notice ({})\n", violations.len());
        iomap_spec::text::hang(&mut text, 2, 2, &violations.join(" "));
    }
    let files: BTreeSet<&Path> = places.iter().map(|place| place.file.as_path()).collect();
    text += &format!("\n{} in {}\n", count(places.len(), "place"), count(files.len(), "file"));
    text
}

/// The beginning of a line that is too long for a list.
fn cut(line: &str) -> String {
    const MOST: usize = 90;
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}\u{2026}", &line[..end]),
        None => line.to_owned(),
    }
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    spec: index::Identity<'a>,
    clauses: Vec<ClauseRow<'a>>,
}

#[derive(Serialize)]
struct ClauseRow<'a> {
    #[serde(flatten)]
    clause: index::Entry<'a>,
    places: Vec<PlaceRow<'a>>,
    violations: &'a [String],
}

#[derive(Serialize)]
struct PlaceRow<'a> {
    kind: Kind,
    file: String,
    line: usize,
    column: usize,
    text: &'a str,
}

fn json(spec: &Spec, touched: &[Touched<'_>]) -> String {
    let rows = touched.iter().map(|Touched { clause, places, violations }| ClauseRow {
        clause: index::entry(clause),
        places: places
            .iter()
            .map(|Place { kind, file, line, column, text, .. }| {
                let file = file.display().to_string();
                PlaceRow { kind: *kind, file, line: *line, column: *column, text }
            })
            .collect(),
        violations,
    });
    index::document(&Document { schema: 1, spec: index::identity(spec), clauses: rows.collect() })
}
