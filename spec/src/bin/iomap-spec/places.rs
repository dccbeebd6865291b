//! The places of a checkout that name clauses: by the id, by the constant made of it, or by its family.

use crate::pages::Pages;
use iomap_command::{Error, Exit};
use iomap_spec::confirmed::{MARKER, RECORD, words};
use iomap_spec::{Clause, Source, Spec};
use iomap_vocabulary::family;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The meaning of a place, in the order of reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Clause,
    Rule,
    Case,
    Violation,
    Expectation,
    EntryPoint,
    /// A patch or a mutant of a kernel that seals.
    Series,
    Page,
    Example,
    Chapter,
    Document,
    Code,
    /// The text of a test, which the command that writes snapshots writes again.
    Coverage,
    /// The record of citations that were read again.
    Record,
}

impl Kind {
    /// The heading of a list.
    pub(crate) const fn heading(self) -> &'static str {
        match self {
            Kind::Clause => "clause",
            Kind::Rule => "rules",
            Kind::Case => "cases",
            Kind::Violation => "violations",
            Kind::Expectation => "expectations",
            Kind::EntryPoint => "entry points of a kernel",
            Kind::Series => "series for a kernel",
            Kind::Page => "pages",
            Kind::Example => "pages, beside a C program",
            Kind::Chapter => "chapters of the book",
            Kind::Document => "documents",
            Kind::Code => "other code and its tests",
            Kind::Coverage => "coverage",
            Kind::Record => "record",
        }
    }
}

/// The coverage of each clause, as a test of the suite keeps it.
const COVERAGE: &str = "conformance/tests/snapshots/violations__coverage.snap";

/// Where clauses are named, below the top of the checkout. The longest path that fits counts. History (CHANGELOG.md,
/// moved.toml) is left out.
const PLACES: [(&str, Kind); 17] = [
    ("ARCHITECTURE.md", Kind::Document),
    ("CONTRIBUTING.md", Kind::Document),
    ("README.md", Kind::Document),
    ("book/src", Kind::Chapter),
    ("conformance/ci", Kind::Code),
    ("conformance/expectations", Kind::Expectation),
    ("conformance/src", Kind::Code),
    ("conformance/src/cases", Kind::Case),
    ("conformance/tests", Kind::Code),
    (COVERAGE, Kind::Coverage),
    ("kernel", Kind::Series),
    ("man", Kind::Page),
    ("reference-impl/src", Kind::Code),
    ("reference-impl/src/rules.rs", Kind::Rule),
    ("reference-impl/src/violation.rs", Kind::Violation),
    ("reference-impl/tests", Kind::Code),
    ("spec/entry-points.toml", Kind::EntryPoint),
];

/// The files that are read.
const EXTENSIONS: [&str; 5] = ["c", "md", "rs", "sh", "toml"];

/// One mention of a clause.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// The file, below the top of the checkout.
    pub(crate) file: PathBuf,
    pub(crate) span: Range<usize>,
    /// Line and column, from 1; the column counts characters.
    pub(crate) line: usize,
    pub(crate) column: usize,
    /// The text of the line.
    pub(crate) text: String,
    /// The spelling of the clause here.
    pub(crate) spelling: Spelling,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Spelling {
    Id,
    Constant,
    /// `truncate.*`, which stands for many.
    Family,
}

/// The texts of a checkout that can name clauses.
pub(crate) struct Checkout {
    /// The directory above that of the pages.
    pub(crate) top: PathBuf,
    sources: Vec<(Kind, Source)>,
}

impl Checkout {
    /// Reads the checkout around the pages.
    pub(crate) fn of(pages: &Pages) -> Result<Checkout, Error> {
        let Listed { top, name, files } = list(pages)?;
        let mut sources = vec![];
        for file in files {
            let kind = kind_of(&file, &name);
            let text = std::fs::read(top.join(&file)).map_err(|error| Error::file(&top.join(&file), error))?;
            sources.push((kind, Source { text: String::from_utf8_lossy(&text).into_owned(), file }));
        }
        Ok(Checkout { top, sources })
    }

    /// The time of the last change of a file; `None` without a checkout.
    pub(crate) fn changed(pages: &Pages) -> Option<SystemTime> {
        let Listed { top, files, .. } = list(pages).ok()?;
        files.iter().filter_map(|file| std::fs::metadata(top.join(file)).ok()?.modified().ok()).max()
    }

    /// Replaces the text of a file by the one that an editor has and has not written.
    pub(crate) fn overlay(&mut self, file: &Path, text: &str) {
        for (_, source) in self.sources.iter_mut().filter(|(_, source)| self.top.join(&source.file) == file) {
            source.text = text.to_owned();
        }
    }

    /// The text of a file below the top.
    pub(crate) fn text(&self, file: &Path) -> Option<&str> {
        self.sources.iter().find(|(_, source)| source.file == file).map(|(_, source)| source.text.as_str())
    }

    /// The record of citations that were read again, and its text.
    pub(crate) fn record(&self) -> Option<(&Path, &str)> {
        let (_, source) = self.sources.iter().find(|(kind, _)| *kind == Kind::Record)?;
        Some((&source.file, &source.text))
    }

    /// The places of each of these clauses, by kind, file and line.
    pub(crate) fn places<'c>(&self, clauses: &[&'c Clause]) -> BTreeMap<&'c str, Vec<Place>> {
        let mut names: BTreeMap<String, (&'c str, Spelling)> = BTreeMap::new();
        let mut families: BTreeMap<&'c str, Vec<&'c str>> = BTreeMap::new();
        for clause in clauses {
            names.insert(clause.id.clone(), (&clause.id, Spelling::Id));
            names.insert(clause.constant(), (&clause.id, Spelling::Constant));
            families.entry(family(&clause.id)).or_default().push(&clause.id);
        }
        let mut places: BTreeMap<&'c str, Vec<Place>> = clauses.iter().map(|it| (it.id.as_str(), vec![])).collect();
        for (kind, source) in &self.sources {
            let examples = if *kind == Kind::Page { examples(&source.text) } else { vec![] };
            for (word, span) in words(&source.text) {
                let named: Vec<(&str, Spelling)> = match names.get(word) {
                    Some((id, spelling)) => vec![(*id, *spelling)],
                    // Only tables use families; `truncate.*` elsewhere is part of a sentence about all of them.
                    None if matches!(kind, Kind::Expectation | Kind::EntryPoint)
                        && source.text[span.end..].starts_with(".*") =>
                    {
                        families.get(word).into_iter().flatten().map(|id| (*id, Spelling::Family)).collect()
                    }
                    None => continue,
                };
                let is_marker = *kind == Kind::Page && source.text[..span.start].ends_with(MARKER);
                let in_example = examples.iter().any(|example| example.contains(&span.start));
                let kind = match kind {
                    _ if is_marker => Kind::Clause,
                    Kind::Page if in_example => Kind::Example,
                    kind => *kind,
                };
                let (line, column) = source.position(span.start);
                let text = source.text.lines().nth(line - 1).unwrap_or_default().trim().to_owned();
                for (id, spelling) in named {
                    let file = source.file.clone();
                    let place = Place { kind, file, span: span.clone(), line, column, text: text.clone(), spelling };
                    places.entry(id).or_default().push(place);
                }
            }
        }
        places.values_mut().for_each(|places| places.sort_by_key(|place| place.kind));
        places
    }

    /// The violations of a clause, as the coverage names them.
    pub(crate) fn violations(&self, id: &str) -> Vec<String> {
        let text = self.text(Path::new(COVERAGE)).unwrap_or_default();
        let of_clause = text.lines().skip_while(|line| line.split(' ').next() != Some(id)).skip(1);
        let mut lines = of_clause.take_while(|line| line.starts_with(' '));
        let manners = lines.find_map(|line| line.trim().strip_prefix("violations "));
        manners.into_iter().flat_map(str::split_whitespace).map(|manner| format!("{id}/{manner}")).collect()
    }
}

/// The files of a checkout that can name clauses.
struct Listed {
    top: PathBuf,
    /// The directory of the pages, which can have another name than `man`.
    name: PathBuf,
    files: BTreeSet<PathBuf>,
}

fn list(pages: &Pages) -> Result<Listed, Error> {
    let directory = pages.directory()?;
    let real = directory.canonicalize().map_err(|error| Error::file(directory, error))?;
    let top = real.parent().map_or_else(|| real.clone(), Path::to_owned);
    let name = real.strip_prefix(&top).unwrap_or(Path::new("man")).to_owned();
    let mut files = BTreeSet::new();
    let others = PLACES.iter().filter(|(_, kind)| *kind != Kind::Page).map(|(place, _)| Path::new(place));
    for place in others.chain([name.as_path()]) {
        collect(&top, place, &mut files).map_err(|error| Error::file(&top.join(place), error))?;
    }
    Ok(Listed { top, name, files })
}

/// The kind of a file below the top; `pages` is the directory of the pages.
fn kind_of(file: &Path, pages: &Path) -> Kind {
    if file.starts_with(pages) {
        return if file.ends_with(RECORD) { Kind::Record } else { Kind::Page };
    }
    let fits = PLACES.iter().filter(|(place, _)| file.starts_with(place));
    fits.max_by_key(|(place, _)| place.len()).map_or(Kind::Code, |(_, kind)| *kind)
}

/// Collects the files at `name` below the top; a place that this checkout does not have has none.
fn collect(top: &Path, name: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    let path = top.join(name);
    if path.is_dir() {
        for entry in std::fs::read_dir(&path)? {
            let entry = entry?;
            let inner = name.join(entry.file_name());
            let is_read = inner.extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known));
            if entry.file_type()?.is_dir() || (is_read && !inner.ends_with("moved.toml")) {
                collect(top, &inner, files)?;
            }
        }
    } else if path.is_file() {
        files.insert(name.to_owned());
    }
    Ok(())
}

/// The sections of a page that have a C program.
fn examples(text: &str) -> Vec<Range<usize>> {
    let (mut found, mut start, mut at) = (vec![], 0, 0);
    let (mut is_code, mut has_program) = (false, false);
    for line in text.split_inclusive('\n') {
        if line.starts_with("```") {
            has_program |= !is_code && line.trim_end() == "```c";
            is_code = !is_code;
        } else if line.starts_with('#') && !is_code {
            found.extend(std::mem::take(&mut has_program).then_some(start..at));
            start = at;
        }
        at += line.len();
    }
    found.extend(has_program.then_some(start..at));
    found
}

/// The error for pages that are built in, which have no places beside them.
pub(crate) fn no_checkout(command: &str) -> Error {
    let message =
        format!("{command} looks at the places of a checkout, and these pages are built in: name a checkout's");
    Error::new(Exit::Environment, message + " with --pages DIR")
}

/// The clauses with these ids, or the messages for the unknown ones.
pub(crate) fn named<'s>(spec: &'s Spec, ids: &[String]) -> Result<Vec<&'s Clause>, Error> {
    let unknown = ids.iter().filter(|id| spec.clause(id).is_none());
    let unknown: Vec<String> = unknown.map(|id| crate::index::unknown(spec, id)).collect();
    match unknown[..] {
        [] => Ok(ids.iter().filter_map(|id| spec.clause(id)).collect()),
        _ => Err(Error::report(Exit::Found, unknown.join("\n"))),
    }
}
