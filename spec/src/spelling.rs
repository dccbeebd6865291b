//! Spelling: every word of prose is on the list beside the pages.

use crate::diagnostic::{Diagnostic, IO, Source};
use crate::model::{Inline, Page, Spec, plain};
use crate::words::{sections, words};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The list: lower case, one word a line, sorted. Pages without a list beside them are not checked.
const LIST: &str = "words.txt";

/// The maximum difference in length between a misspelled word and a proposal.
const SLIP: usize = 2;

/// The maximum number of proposals.
const PROPOSALS: usize = 3;

pub(crate) fn check(spec: &Spec, findings: &mut Vec<Diagnostic>) {
    let mut lists: BTreeMap<PathBuf, Option<BTreeSet<String>>> = BTreeMap::new();
    for page in &spec.pages {
        let path = page.source.file.with_file_name(LIST);
        if let Some(known) = lists.entry(path.clone()).or_insert_with(|| list(spec, &path, findings)) {
            unknown(page, known, &path, findings);
        }
    }
}

fn list(spec: &Spec, path: &Path, findings: &mut Vec<Diagnostic>) -> Option<BTreeSet<String>> {
    let source = match spec.read_beside(path) {
        Ok(text) => Source { file: path.to_owned(), text },
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => {
            let message = format!("cannot be read: {error}");
            findings.push(Diagnostic::whole(path, IO, message, "mend or remove the file"));
            return None;
        }
    };
    let mut last = "";
    let mut at = 0;
    for line in source.text.split_inclusive('\n') {
        let word = line.trim_end_matches('\n');
        let mut report = |message: String, mend| {
            findings.push(source.diagnostic(at..at + word.len(), "word-list", message, mend));
        };
        if !word.chars().all(|c| c.is_lowercase() || c == '\'') || word.is_empty() {
            report(format!("this line is no word: `{word}`"), "write one word a line, in lower case");
        } else if word <= last {
            report(format!("`{word}` stands after `{last}`"), "sort the list, each word once: LC_ALL=C sort -u");
        }
        last = last.max(word);
        at += line.len();
    }
    Some(source.text.lines().map(str::to_owned).collect())
}

fn unknown(page: &Page, known: &BTreeSet<String>, list: &Path, findings: &mut Vec<Diagnostic>) {
    let mut found = vec![];
    for (_, section) in sections(page) {
        prose(&section.heading, &mut found);
        for block in &section.blocks {
            block.walk(0, &mut |block, _| block.inlines().into_iter().for_each(|text| prose(text, &mut found)));
        }
    }
    let mut reported = BTreeSet::new();
    for (word, span) in found {
        let folded = word.to_lowercase().replace('’', "'");
        let identifier = word.contains(|c: char| c == '_' || c.is_numeric()) || is_path(&page.source.text, &span);
        // One finding for each word is enough.
        if identifier || word.chars().count() == 1 || known.contains(&folded) || !reported.insert(folded.clone()) {
            continue;
        }
        let add = format!("add it to {}", list.display());
        let similar = known.iter().map(String::as_str).filter(|known| known.len().abs_diff(folded.len()) <= SLIP);
        let mend = match &nearest(&folded, similar)[..] {
            [] => format!("correct it, or {add}"),
            near => format!("did you mean {}? Otherwise {add}", near.join(", ")),
        };
        findings.push(page.source.diagnostic(span, "spelling", format!("`{word}` is not in the word list"), mend));
    }
}

/// Whether the word is a part of a path such as `man/moved.toml`.
fn is_path(text: &str, word: &Range<usize>) -> bool {
    // An entity can be longer than its source, so the position may be outside the text.
    let after = text.get(word.end..).unwrap_or_default();
    text.get(..word.start).is_some_and(|before| before.ends_with(['/', '.']))
        || after.starts_with('/')
        || after.strip_prefix('.').is_some_and(|rest| rest.starts_with(char::is_alphanumeric))
}

/// The words of prose: without bold text, which is a name, and without links whose address is their text.
fn prose<'a>(inlines: &'a [Inline], found: &mut Vec<(&'a str, Range<usize>)>) {
    for inline in inlines {
        match inline {
            Inline::Text { .. } => found.extend(words(std::slice::from_ref(inline))),
            Inline::Strong(_) => {}
            Inline::Link { url, content } if plain(content) == *url => {}
            other => prose(other.content(), found),
        }
    }
}

/// The names nearest to `wanted`, the most likely first.
pub fn nearest<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut near: Vec<(usize, &str)> =
        known.map(|name| (likeness(wanted, name), name)).filter(|(likeness, _)| likeness * 2 >= wanted.len()).collect();
    near.sort_by_key(|(likeness, name)| (Reverse(*likeness), name.len().abs_diff(wanted.len()), *name));
    near.into_iter().take(PROPOSALS).map(|(_, name)| name).collect()
}

/// The number of characters that both have in common at both ends, or all of `wanted` if `name` contains it.
fn likeness(wanted: &str, name: &str) -> usize {
    if name.contains(wanted) {
        return wanted.len();
    }
    let start = wanted.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
    let end = wanted.bytes().rev().zip(name.bytes().rev()).take_while(|(a, b)| a == b).count();
    start + end
}
