//! The chapters that are made of the pages: lists of clauses, errors and terms, and the table of results.

use super::contents::Book;
use super::html::{breakable, escape, in_markdown, scrolling};
use super::results::{html, label, totals};
use super::{cost, series, terms};
use crate::model::{Clause, Page};
use std::collections::BTreeMap;

/// A chapter that is generated, not read from a file.
pub(super) struct Chapter {
    pub(super) name: &'static str,
    pub(super) file: &'static str,
    pub(super) text: String,
}

/// The name of a chapter, its file, and the function that makes its text.
type Entry = (&'static str, &'static str, fn(&Book<'_>) -> String);

const CHAPTERS: [Entry; 6] = [
    ("Clause index", "clauses.md", clauses),
    ("Errno index", "errnos.md", errnos),
    ("Term index", "terms.md", terms),
    ("Results", "results.md", results),
    ("The series, clause by clause", "series.md", series::chapter),
    ("What a wide run costs", "cost.md", |book| cost::chapter(book.rates)),
];

/// The files of these chapters.
pub(super) fn files() -> impl Iterator<Item = &'static str> {
    CHAPTERS.iter().map(|(_, file, _)| *file)
}

pub(super) fn all(book: &Book<'_>) -> impl Iterator<Item = Chapter> {
    CHAPTERS.iter().map(|(name, file, text)| Chapter { name, file, text: text(book) })
}

/// The number of words of a clause that an index shows.
const FIRST_WORDS: usize = 9;

pub(super) fn first_words(clause: &Clause) -> String {
    let words: Vec<&str> = clause.text.split(' ').collect();
    match words.get(..FIRST_WORDS) {
        Some(first) if words.len() > FIRST_WORDS => format!("{} …", first.join(" ")),
        _ => clause.text.clone(),
    }
}

/// The id of the clause, as a link to it.
pub(super) fn link(book: &Book<'_>, id: &str) -> String {
    match book.link(id) {
        Some(link) => format!("<a href=\"{link}\">{}</a>", breakable(id)),
        None => breakable(id),
    }
}

fn clauses(book: &Book<'_>) -> String {
    let mut out = format!(
        "# Clause index\n\n{} clauses of version {}. Their hashes together make `{}`.\n",
        book.clauses.len(),
        book.spec.version,
        book.digest
    );
    for page in &book.spec.pages {
        if page.clauses().next().is_some() {
            out += &format!("\n## {}\n\n{}\n", in_markdown(&page.reference()), clauses_of(book, page));
        }
    }
    out + &out_of_use(book)
}

fn clauses_of(book: &Book<'_>, page: &Page) -> String {
    let rows: String = page
        .clauses()
        .map(|clause| {
            let found = book.results.iter().filter_map(|it| it.clause(&clause.id)).map(|result| result.verdict);
            format!(
                "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                link(book, &clause.id),
                clause.level,
                escape(&clause.outcomes()),
                escape(&first_words(clause)),
                totals(found)
            )
        })
        .collect();
    let verdicts = if book.results.is_empty() { "" } else { "verdicts" };
    let table = format!(
        "<table class=\"index\"><thead><tr><th>clause</th><th>level</th><th>outcomes</th><th>begins</th>\
         <th>{verdicts}</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    scrolling(&format!("Clauses of {}", page.reference()), &table)
}

/// The ids that are out of use. Each has an anchor, because other documents may cite it.
fn out_of_use(book: &Book<'_>) -> String {
    let items: Vec<String> = book
        .spec
        .moved
        .iter()
        .map(|moved| {
            let fate = match (book.successor(moved), &moved.reason) {
                (Some(new), _) => format!("now {}", link(book, new)),
                (None, Some(reason)) => escape(reason),
                (None, None) => "withdrawn with its successor".into(),
            };
            let old = escape(&moved.old);
            format!(
                "<li id=\"{old}\"><strong>{}</strong>, until {}: {fate}</li>",
                breakable(&moved.old),
                escape(&moved.since)
            )
        })
        .collect();
    if items.is_empty() { String::new() } else { format!("\n## Out of use\n\n<ul>{}</ul>\n", items.concat()) }
}

fn errnos(book: &Book<'_>) -> String {
    let mut errnos: BTreeMap<&str, Vec<&Clause>> = BTreeMap::new();
    for clause in book.spec.clauses() {
        clause.errnos.iter().for_each(|errno| errnos.entry(errno).or_default().push(clause));
    }
    let mut out = "# Errno index\n\nThe errors that clauses allow, and which clauses do.\n".to_owned();
    for (errno, clauses) in errnos {
        let items: String = clauses
            .iter()
            .map(|it| format!("<li>{} ({}): {}</li>", link(book, &it.id), it.envelope(), escape(&first_words(it))))
            .collect();
        out += &format!("\n## {errno}\n\n<ul class=\"index\">{items}</ul>\n");
    }
    out
}

fn terms(book: &Book<'_>) -> String {
    let mut terms: Vec<(String, String)> = vec![];
    for page in &book.spec.pages {
        let file = &book.pages[&page.reference()];
        for term in terms::of_page(page) {
            let item = format!(
                "<li><a href=\"{file}#{}\">{}</a>, in {}</li>",
                term.anchor,
                escape(&term.word),
                escape(&page.reference())
            );
            terms.push((term.word.to_lowercase(), item));
        }
    }
    terms.sort();
    let items: String = terms.into_iter().map(|(_, item)| item).collect();
    format!(
        "# Term index\n\nThe words to which the pages give a meaning of their own.\n\n<ul class=\"index\">{items}</ul>\n"
    )
}

/// How to make results; shown in a book without results.
const NO_RESULTS: &str = "\
This book was built without results. The suite writes them, and the book takes them:

```sh
iomap-conformance --format json --output results.json
iomap-spec book --results results.json
```
";

fn results(book: &Book<'_>) -> String {
    let mut out = "# Results\n\n".to_owned();
    if book.results.is_empty() {
        return out + NO_RESULTS;
    }
    out += "What each word means is said in [Reading a verdict](verdicts.md). Only *holds* is a pass.\n\n";
    let runs = book.results.iter().enumerate().map(|(index, results)| {
        let wording = if results.spec.digest == book.digest {
            "this one".into()
        } else {
            format!(
                "<strong class=\"other-wording\">measured against another state of the specification</strong>: {} of version {}; \
                 these pages are {}",
                escape(&results.spec.digest),
                escape(&results.spec.version),
                book.digest
            )
        };
        let unknown = results.clauses.iter().filter(|it| !book.clauses.contains_key(it.id.as_str())).count();
        let unknown = if unknown == 0 { String::new() } else { format!(", {unknown} of clauses that are not here") };
        format!(
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}{unknown}</td><td>{wording}</td></tr>",
            index + 1,
            escape(&label(results)),
            totals(results.clauses.iter().map(|clause| clause.verdict))
        )
    });
    let runs: String = runs.collect();
    let table = format!(
        "<table><thead><tr><th>run</th><th>target, mechanism, file system, kernel</th><th>verdicts</th>\
         <th>wording</th></tr></thead><tbody>{runs}</tbody></table>"
    );
    out += &format!("{}\n\n## By clause\n\n", scrolling("Runs", &table));
    out + &matrix(book) + "\n"
}

fn matrix(book: &Book<'_>) -> String {
    let heads: String = book
        .results
        .iter()
        .enumerate()
        .map(|(index, it)| {
            let [fs, mechanism, kernel] = [&it.fs, &it.mechanism, &it.kernel.release].map(|name| escape(name));
            format!("<th>{}: {fs}, {mechanism}, {kernel}</th>", index + 1)
        })
        .collect();
    let rows: String = book
        .spec
        .clauses()
        .map(|clause| {
            let cells: String = book
                .results
                .iter()
                .map(|results| match results.clause(&clause.id) {
                    Some(result) => format!("<td>{}</td>", html(result.verdict)),
                    None => "<td>not in the results</td>".into(),
                })
                .collect();
            format!("<tr><th scope=\"row\">{}</th>{cells}</tr>", link(book, &clause.id))
        })
        .collect();
    let table =
        format!("<table class=\"matrix\"><thead><tr><th>clause</th>{heads}</tr></thead><tbody>{rows}</tbody></table>");
    scrolling("Verdicts by clause and run", &table)
}
