//! The chapter about the kernel series: which patch, file and function keeps each clause, and which case shows it. It is
//! made of the edit scripts, the table of entry points and the results; no source of a kernel is needed.

use super::clause;
use super::contents::Book;
use super::html::{escape, in_markdown, scrolling};
use super::indexes::{first_words, link};
use super::mutants::Mutants;
use super::trouble::Trouble;
use crate::model::Clause;
use iomap_vocabulary::family;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// The patches of a series, its mutants, and what the kernel costs with it.
#[derive(Debug, Default)]
pub struct Series {
    patches: Vec<Patch>,
    mutants: Mutants,
    cost: Option<Cost>,
}

/// The facts of an edit script that the chapter shows.
#[derive(Debug, Deserialize)]
struct Patch {
    /// The name of the file without its extension.
    #[serde(skip)]
    name: String,
    title: String,
    clauses: Vec<String>,
    /// The files that the patch brings.
    #[serde(default)]
    files: Vec<String>,
    #[serde(default)]
    edit: Vec<Edit>,
}

#[derive(Debug, Deserialize)]
struct Edit {
    file: String,
    function: Option<String>,
}

/// The document of `iomap-conformance lab --scenario cost --format json`: first the kernel without the series.
#[derive(Debug, Deserialize)]
struct Cost {
    kernels: Vec<Counted>,
}

#[derive(Debug, Deserialize)]
struct Counted {
    kernel: Release,
    steps: Vec<Step>,
}

#[derive(Debug, Deserialize)]
struct Release {
    release: String,
}

/// The instructions of a call. The name is `SYSTEM, STATE: CALL`.
#[derive(Debug, Deserialize)]
struct Step {
    step: String,
    outcome: String,
}

/// The directory of the edit scripts, and the result of `make kernel-cost`.
const PATCHES: &str = "patches";
const COST: &str = "cost.json";

impl Series {
    /// Reads the directory of a series, `kernel/` of the project.
    ///
    /// # Errors
    /// The directory has no patches, or a file in it is not what it should be.
    pub fn read(directory: &Path) -> Result<Self, Trouble> {
        let patches = directory.join(PATCHES);
        let entries = fs::read_dir(&patches).map_err(|error| Trouble::io(&patches, &error))?;
        let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        let read = |path: &Path| fs::read_to_string(path).map_err(|error| Trouble::io(path, &error));
        let refuse = |path: &Path, error: String| Trouble::Findings(vec![format!("{}: {error}", path.display())]);
        let patch = |path: &std::path::PathBuf| {
            let patch: Patch = toml::from_str(&read(path)?).map_err(|error| refuse(path, error.to_string()))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            Ok(Patch { name, ..patch })
        };
        let patches = paths.iter().map(patch).collect::<Result<_, Trouble>>()?;
        let cost = directory.join(COST);
        let cost = match cost.exists() {
            true => Some(serde_json::from_str(&read(&cost)?).map_err(|error| refuse(&cost, error.to_string()))?),
            false => None,
        };
        Ok(Self { patches, mutants: Mutants::read(directory)?, cost })
    }

    /// The patches that cite a clause.
    fn of<'a>(&'a self, clause: &'a Clause) -> impl Iterator<Item = &'a Patch> {
        self.patches.iter().filter(|patch| patch.clauses.contains(&clause.id))
    }
}

impl Patch {
    /// The number in the series.
    fn number(&self) -> &str {
        self.name.split('-').next().unwrap_or_default()
    }

    /// The changed files, each with its functions, in the order of the script. A file that the patch brings has none.
    fn places(&self) -> Vec<(&str, Vec<&str>)> {
        let mut places: Vec<(&str, Vec<&str>)> = self.files.iter().map(|file| (file.as_str(), vec![])).collect();
        for Edit { file, function } in &self.edit {
            let at = places.iter().position(|(known, _)| known == file).unwrap_or_else(|| {
                places.push((file, vec![]));
                places.len() - 1
            });
            if let Some(function) = function.as_deref().filter(|function| !places[at].1.contains(function)) {
                places[at].1.push(function);
            }
        }
        places
    }

    /// The places that bear on a clause: the functions that the table of entry points names for it; else the files that
    /// the patch brings; else all.
    fn places_of(&self, id: &str, entries: &Entries) -> Vec<(&str, Vec<&str>)> {
        let all = self.places();
        let bearing = all.iter().map(|(file, functions)| {
            let functions = functions.iter().copied().filter(|name| entries.bears(name, id));
            (*file, functions.collect::<Vec<_>>())
        });
        let named: Vec<_> = bearing.filter(|(_, functions)| !functions.is_empty()).collect();
        match (named.is_empty(), self.files.is_empty()) {
            (false, _) => named,
            (true, false) => self.files.iter().map(|file| (file.as_str(), vec![])).collect(),
            (true, true) => all,
        }
    }
}

/// The table of entry points: the clauses that bear on each function.
struct Entries(BTreeMap<String, Vec<String>>);

impl Entries {
    fn read() -> Self {
        #[derive(Deserialize)]
        struct Table {
            function: BTreeMap<String, Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            clauses: String,
        }
        // The table is a part of this program, and its own tests read it.
        let table =
            toml::from_str(include_str!("../../entry-points.toml")).unwrap_or(Table { function: BTreeMap::new() });
        let words = |entry: Entry| entry.clauses.split_whitespace().map(str::to_owned).collect();
        Self(table.function.into_iter().map(|(name, entry)| (name, words(entry))).collect())
    }

    fn bears(&self, function: &str, id: &str) -> bool {
        let is_meant = |word: &String| word == id || word.strip_suffix(".*").is_some_and(|it| it == family(id));
        self.0.get(function).is_some_and(|clauses| clauses.iter().any(is_meant))
    }
}

/// How to show a series; in a book without one.
const NO_SERIES: &str = "\
This book was built without the series. Its directory is `kernel` of the project:

```sh
iomap-spec book --series kernel
```
";

/// The text of the chapter.
pub(super) fn chapter(book: &Book<'_>) -> String {
    let head = "# The series, clause by clause\n\n";
    let Some(series) = book.series else { return head.to_owned() + NO_SERIES };
    let cited: BTreeSet<&str> = series.patches.iter().flat_map(|patch| &patch.clauses).map(String::as_str).collect();
    let all = book.spec.clauses().count();
    let known = book.spec.clauses().filter(|clause| cited.contains(clause.id.as_str())).count();
    format!(
        "{head}The series for Linux has {} patches, and {known} of the {all} clauses are cited by one of them. \
         [A kernel that seals](sealing.md) says how it works. This chapter is made of its edit scripts: nothing here was \
         written by hand.\n\n## Patches\n\n{}\n\n## Clauses\n\nBeside each clause are the places that keep it: the functions \
         that the table of entry points names for the clause, if the patch changes such a function, or else the files that \
         the patch brings or changes.\n\n{}\n\n## Clauses without a patch\n\nNo patch cites these clauses. They say \
         what a kernel does in any case, or what the series does not have.\n\n{}\n\n{}\n{}",
        series.patches.len(),
        patches(series),
        by_clause(book, series),
        uncited(book, series),
        series.mutants.section(book),
        costs(series)
    )
}

/// The files with their functions, in HTML.
fn shown(places: &[(&str, Vec<&str>)]) -> String {
    let place = |(file, functions): &(&str, Vec<&str>)| {
        let functions: Vec<String> = functions.iter().map(|name| format!("<code>{}</code>", escape(name))).collect();
        let colon = if functions.is_empty() { "" } else { ": " };
        let file = escape(file).replace('/', "/<wbr>");
        format!("<code>{file}</code>{colon}{}", functions.join(", "))
    };
    places.iter().map(place).collect::<Vec<_>>().join("<br>")
}

fn patches(series: &Series) -> String {
    let row = |patch: &Patch| {
        format!(
            "<tr id=\"patch-{0}\"><th scope=\"row\">{0}</th><td>{1}</td><td>{2}</td><td>{3}</td></tr>",
            escape(patch.number()),
            escape(&patch.title),
            shown(&patch.places()),
            patch.clauses.len()
        )
    };
    let rows: String = series.patches.iter().map(row).collect();
    let head = "<tr><th>patch</th><th>title</th><th>places</th><th>clauses</th></tr>";
    scrolling("Patches", &format!("<table class=\"series\"><thead>{head}</thead><tbody>{rows}</tbody></table>"))
}

fn by_clause(book: &Book<'_>, series: &Series) -> String {
    let entries = Entries::read();
    let cell = |patch: &Patch, clause: &Clause| {
        let number = escape(patch.number());
        format!("<a href=\"#patch-{number}\">{number}</a> {}", shown(&patch.places_of(&clause.id, &entries)))
    };
    let rows = |page: &crate::model::Page| -> String {
        let cited = page.clauses().filter(|clause| series.of(clause).next().is_some());
        cited
            .map(|clause| {
                let places: Vec<String> = series.of(clause).map(|patch| cell(patch, clause)).collect();
                let (id, cases) = (link(book, &clause.id), clause::cases(book, clause));
                format!("<tr><th scope=\"row\">{id}</th><td>{}</td><td>{cases}</td></tr>", places.join("<br>"))
            })
            .collect()
    };
    let head = "<tr><th>clause</th><th>patch and places</th><th>cases</th></tr>";
    let tables = book.spec.pages.iter().map(|page| (page.reference(), rows(page))).filter(|(_, rows)| !rows.is_empty());
    let tables = tables.map(|(page, rows)| {
        let table = format!("<table class=\"series\"><thead>{head}</thead><tbody>{rows}</tbody></table>");
        format!("### {}\n\n{}", in_markdown(&page), scrolling(&format!("Places of the clauses of {page}"), &table))
    });
    tables.collect::<Vec<_>>().join("\n\n")
}

fn uncited(book: &Book<'_>, series: &Series) -> String {
    let rows: String = book
        .spec
        .clauses()
        .filter(|clause| series.of(clause).next().is_none())
        .map(|clause| {
            let (id, cases) = (link(book, &clause.id), clause::cases(book, clause));
            format!("<tr><th scope=\"row\">{id}</th><td>{}</td><td>{cases}</td></tr>", escape(&first_words(clause)))
        })
        .collect();
    let head = "<tr><th>clause</th><th>begins</th><th>cases</th></tr>";
    scrolling(
        "Clauses without a patch",
        &format!("<table class=\"series\"><thead>{head}</thead><tbody>{rows}</tbody></table>"),
    )
}

/// The states of a file in the names of steps.
const PLAIN: &str = "not sealed";
const SEALED: &str = "sealed";

fn costs(series: &Series) -> String {
    let head = "## What it costs\n\n";
    let Some([without, with]) = series.cost.as_ref().map(|cost| &cost.kernels[..]) else {
        return format!("{head}`make kernel-cost` has not measured that.\n");
    };
    let of = |kernel: &Counted, name: &str| -> Option<f64> {
        kernel.steps.iter().find(|step| step.step == name)?.outcome.parse().ok()
    };
    let rows = without.steps.iter().filter_map(|step| {
        let (place, call) = step.step.split_once(": ")?;
        let fs = place.strip_suffix(PLAIN)?.trim_end_matches(", ");
        let (before, after) = (of(without, &step.step)?, of(with, &step.step)?);
        let sealed = of(with, &format!("{fs}, {SEALED}: {call}"));
        let ratio = |count: f64| format!("{:.3}", count / before);
        Some(format!(
            "<tr><th scope=\"row\">{}: {}</th><td>{before}</td><td>{after}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(fs),
            escape(call),
            ratio(after),
            sealed.map_or(String::new(), |count| count.to_string()),
            sealed.map_or(String::new(), |count| format!("{:.3}", count / after)),
        ))
    });
    let head_row = "<tr><th>call</th><th>without the series</th><th>with it</th><th>ratio</th><th>sealed file</th>\
                    <th>to not sealed</th></tr>";
    let rows: String = rows.collect();
    format!(
        "{head}The instructions of a call in a guest whose clock counts them (QEMU, `-icount shift=0`): a tenth of \
         1024 calls cost less, on Linux {} without the series and {} with it, in the same configuration. The wall \
         time on hardware is not shown by this.\n\n{}\n",
        escape(&without.kernel.release),
        escape(&with.kernel.release),
        scrolling("Instructions", &format!("<table><thead>{head_row}</thead><tbody>{rows}</tbody></table>"))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"
title = "fs: refuse <it>"
message = ""
clauses = ["truncate.shrink"]
files = ["fs/own.c"]
[[edit]]
file = "fs/open.c"
function = "do_truncate"
before = "x"
text = "y"
[[edit]]
file = "fs/open.c"
function = "other"
before = "x"
text = "y"
"#;

    fn of(patch: &str) -> Result<Series, String> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join(PATCHES)).unwrap();
        fs::write(directory.path().join("patches/01-it.toml"), patch).unwrap();
        Series::read(directory.path()).map_err(|trouble| trouble.to_string())
    }

    #[test]
    fn functions_of_the_table_come_first() {
        let series = of(ONE).unwrap();
        let (patch, entries) = (&series.patches[0], Entries::read());
        assert_eq!((patch.name.as_str(), patch.number()), ("01-it", "01"));
        assert_eq!(patch.places(), [("fs/own.c", vec![]), ("fs/open.c", vec!["do_truncate", "other"])]);
        // The table names the family.
        assert_eq!(patch.places_of("truncate.shrink", &entries), [("fs/open.c", vec!["do_truncate"])]);
        assert_eq!(patch.places_of("seal.sealed", &entries), [("fs/own.c", vec![])]);
        assert_eq!(
            shown(&patch.places_of("truncate.shrink", &entries)),
            "<code>fs/<wbr>open.c</code>: <code>do_truncate</code>"
        );
        let brings_none = of(&ONE.replace("files = [\"fs/own.c\"]", "")).unwrap();
        assert_eq!(brings_none.patches[0].places_of("seal.sealed", &entries), brings_none.patches[0].places());
    }

    #[test]
    fn what_is_no_series() {
        assert!(of("title = 3").unwrap_err().contains("01-it.toml: "));
        assert!(Series::read(Path::new("/nowhere")).unwrap_err().to_string().starts_with("/nowhere/patches: "));
    }

    #[test]
    fn costs_are_compared_by_call() {
        let steps = |plain: &str, sealed: &str| {
            let sealed = match sealed {
                "" => String::new(),
                _ => format!(r#", {{"step": "xfs, sealed: open", "outcome": "{sealed}"}}"#),
            };
            format!(r#"[{{"step": "xfs, not sealed: open", "outcome": "{plain}"}}{sealed}]"#)
        };
        let cost = format!(
            r#"{{"kernels": [{{"kernel": {{"release": "6.12"}}, "steps": {}}},
            {{"kernel": {{"release": "6.12-sealed"}}, "steps": {}}}]}}"#,
            steps("2000", ""),
            steps("2010", "2211")
        );
        let text = costs(&Series { cost: serde_json::from_str(&cost).unwrap(), ..Series::default() });
        let row = "xfs: open</th><td>2000</td><td>2010</td><td>1.005</td><td>2211</td><td>1.100</td>";
        assert!(text.contains(row), "{text}");
        assert!(costs(&Series::default()).contains("has not measured"));
    }
}
