//! Checks of style and consistency for pages that could be parsed.

use crate::attributes::is_errno;
use crate::backend::MEASURE;
use crate::confirmed;
use crate::diagnostic::Diagnostic;
use crate::frontmatter::is_title;
use crate::manual::Manual;
use crate::model::{Block, Clause, Inline, Page, Spec, plain};
use crate::spelling;
use crate::words::{sections, words};
use iomap_vocabulary::{Level, family};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::Path;
use unicode_width::UnicodeWidthStr;

/// The sections of a manual page in the order of man-pages(7).
const SECTIONS: [&str; 24] = [
    "NAME",
    "LIBRARY",
    "SYNOPSIS",
    "CONFIGURATION",
    "DESCRIPTION",
    "OPTIONS",
    "EXIT STATUS",
    "RETURN VALUE",
    "ERRORS",
    "ENVIRONMENT",
    "FILES",
    "ATTRIBUTES",
    "VERSIONS",
    "STANDARDS",
    "HISTORY",
    "RATIONALE",
    "NOTES",
    "CAVEATS",
    "BUGS",
    "EXAMPLES",
    "AUTHORS",
    "REPORTING BUGS",
    "COPYRIGHT",
    "SEE ALSO",
];

/// How to rewrite a sentence in which a level word would promise something without a clause.
const FACTS: [(Level, &str); 3] = [
    (Level::Must, "say \"has to\" or \"is to\", or state the fact"),
    (Level::Should, "say \"ought to\" or \"is expected to\", or state the fact"),
    (Level::May, "say \"can\" or \"might\", or state the fact"),
];

/// Words for the internals of a file system, about which the specification makes no statement.
const INNER_WORDS: [&str; 4] = ["block", "blocks", "extent", "extents"];

/// Abbreviations, whose full stop does not end a sentence. A single letter is an abbreviation, too.
const ABBREVIATIONS: [&str; 5] = ["al", "cf", "etc", "resp", "vs"];

/// Characters that can follow the full stop of a sentence.
const CLOSERS: [char; 4] = ['"', '\'', ')', '”'];

/// The longest source line, so that it fits on a terminal and in a patch.
const LINE: usize = 80;

const PAGE_LINTS: [fn(&Page, &mut Vec<Diagnostic>); 11] = [
    why_of_clauses,
    level_of_clauses,
    errnos_of_clauses,
    level_of_prose,
    inner_words,
    section_order,
    name,
    errors_order,
    see_also,
    line_width,
    semantic_newlines,
];

const SPEC_LINTS: [fn(&Spec, &mut Vec<Diagnostic>); 4] = [errors_closure, families, spelling::check, confirmed::check];

/// Every finding about pages that could be parsed, in their order. With a `manual`, SEE ALSO is checked against the
/// pages of others, too.
pub fn lint(spec: &Spec, manual: Option<&Manual>) -> Vec<Diagnostic> {
    let mut findings = vec![];
    for page in &spec.pages {
        PAGE_LINTS.iter().for_each(|lint| lint(page, &mut findings));
    }
    SPEC_LINTS.iter().for_each(|lint| lint(spec, &mut findings));
    if let Some(manual) = manual {
        see_also_exists(spec, manual, &mut findings);
    }
    // Order: the pages first, then the places that cite them.
    let order = |file: &Path| spec.pages.iter().position(|page| page.source.file == file).unwrap_or(spec.pages.len());
    findings.sort_by_cached_key(|it| (order(&it.file), it.file.clone(), it.line, it.column));
    findings
}

fn levels(inlines: &[Inline]) -> Vec<(Level, Range<usize>)> {
    words(inlines).into_iter().filter_map(|(word, span)| Some((Level::of(word)?, span))).collect()
}

fn why_of_clauses(page: &Page, findings: &mut Vec<Diagnostic>) {
    for clause in page.clauses().filter(|clause| clause.why.is_none()) {
        let message = format!("`{}` does not say why it is there", clause.id);
        let mend = "add why=\"who asked for it, or what it is good for\" to the marker";
        findings.push(page.source.diagnostic(clause.id_span(), "why-missing", message, mend));
    }
}

fn level_of_clauses(page: &Page, findings: &mut Vec<Diagnostic>) {
    for clause in page.clauses() {
        let level = clause.level;
        let mut found = levels(&clause.inlines).into_iter();
        let (span, message, mend) = match (found.next(), found.next()) {
            (Some((word, _)), None) if word == level => continue,
            (Some((word, span)), None) => (
                span,
                format!("the text says `{word}`, the marker level={level}"),
                format!("write `{level}` here, or level={word} in the marker"),
            ),
            (_, Some((word, span))) => (
                span,
                format!("`{word}` is the second level word in `{}`", clause.id),
                format!("{}, or make it a clause of its own", instead_of(word)),
            ),
            (None, None) => (
                clause.id_span(),
                format!("the text of `{}` does not say `{level}`", clause.id),
                format!("use the word `{level}` once"),
            ),
        };
        findings.push(page.source.diagnostic(span, "level-word", message, mend));
    }
}

/// A clause's text is quoted alone, so it must name the allowed errors.
fn errnos_of_clauses(page: &Page, findings: &mut Vec<Diagnostic>) {
    for clause in page.clauses() {
        let named: BTreeSet<&str> = clause.text.split(|c: char| !c.is_ascii_alphanumeric()).collect();
        for errno in clause.errnos.iter().filter(|errno| !named.contains(errno.as_str())) {
            let message = format!("the text of `{}` does not name {errno}, which its marker allows", clause.id);
            let mend = format!("write **{errno}** in the text, or remove it from the marker");
            findings.push(page.source.diagnostic(errno_span(page, clause, errno), "errno-unnamed", message, mend));
        }
    }
}

fn instead_of(word: Level) -> &'static str {
    FACTS.iter().find(|(level, _)| *level == word).map_or("", |(_, fact)| fact)
}

fn level_of_prose(page: &Page, findings: &mut Vec<Diagnostic>) {
    let mut check = |text: &[Inline]| {
        for (word, span) in levels(text) {
            let message = format!("`{word}` outside a clause is a promise that nobody can cite");
            let mend = format!("{}, or make the sentence a clause", instead_of(word));
            findings.push(page.source.diagnostic(span, "level-outside", message, mend));
        }
    };
    for (_, section) in sections(page).into_iter().filter(|(title, _)| title != "SYNOPSIS") {
        check(&section.heading);
        for block in &section.blocks {
            block.walk(0, &mut |block, _| {
                if !matches!(block, Block::Clause(_)) {
                    block.inlines().into_iter().for_each(&mut check);
                }
            });
        }
    }
}

fn inner_words(page: &Page, findings: &mut Vec<Diagnostic>) {
    for clause in page.clauses() {
        for (word, span) in words(&clause.inlines) {
            if INNER_WORDS.contains(&word.to_lowercase().as_str()) {
                let message = format!("a clause cannot speak of `{word}`: no caller can see one");
                let mend = "say storage or agent, or what the caller observes";
                findings.push(page.source.diagnostic(span, "inner-word", message, mend));
            }
        }
    }
}

fn section_order(page: &Page, findings: &mut Vec<Diagnostic>) {
    let mut last: Option<usize> = None;
    let mut report = |span: Range<usize>, code, message: String, mend: &str| {
        findings.push(page.source.diagnostic(span, code, message, mend));
    };
    match page.sections.first() {
        Some(first) if !first.is_subsection && first.title() == SECTIONS[0] => {}
        Some(first) => {
            report(first.span.clone(), "section-order", "the first section is not NAME".into(), "begin with # NAME")
        }
        None => report(0..3, "section-order", "the page has no sections".into(), "begin with # NAME"),
    }
    for section in page.sections.iter().filter(|section| !section.is_subsection) {
        let title = section.title();
        let known = SECTIONS.join(", ");
        let Some(place) = SECTIONS.iter().position(|known| *known == title) else {
            let mend = format!("make it a subsection (##) of one of {known}");
            report(section.span.clone(), "unknown-section", format!("man pages have no section `{title}`"), &mend);
            continue;
        };
        if let Some(last) = last.filter(|last| *last >= place) {
            let message = match last == place {
                true => format!("there are two sections {title}"),
                false => format!("{title} stands after {}", SECTIONS[last]),
            };
            report(section.span.clone(), "section-order", message, &format!("the order is {known}"));
        }
        last = last.max(Some(place));
    }
}

/// The NAME section: whatis(1) and apropos(1) read its line.
fn name(page: &Page, findings: &mut Vec<Diagnostic>) {
    let Some(section) = page.sections.iter().find(|section| section.title() == "NAME") else { return };
    let fits = match &section.blocks[..] {
        [Block::Paragraph(text)] if text.iter().all(|it| matches!(it, Inline::Text { .. } | Inline::Newline)) => {
            plain(text).split_once(" - ").is_some_and(|(names, what)| {
                let mut names = names.split(", ");
                !what.is_empty() && names.clone().all(is_title) && names.any(|name| name == page.title)
            })
        }
        _ => false,
    };
    if !fits {
        let mend = format!("write one line below it: {} - what it is, without markup", page.title);
        let message = "NAME is not of the form `name[, name] - text`";
        findings.push(page.source.diagnostic(section.span.clone(), "name", message, mend));
    }
}

/// The terms of the definition lists in ERRORS, list by list.
fn errors(page: &Page) -> Vec<Vec<&[Inline]>> {
    let blocks = sections(page).into_iter().filter(|(title, _)| title == "ERRORS").flat_map(|(_, it)| &it.blocks);
    let terms = blocks.filter_map(|block| match block {
        Block::Definitions(list) => Some(list.iter().flat_map(|it| &it.terms).map(Vec::as_slice).collect()),
        _ => None,
    });
    terms.collect()
}

/// The span of running text in the source.
fn span(inlines: &[Inline]) -> Range<usize> {
    let all = words(inlines);
    match (all.first(), all.last()) {
        (Some((_, first)), Some((_, last))) => first.start..last.end,
        _ => 0..0,
    }
}

fn errors_order(page: &Page, findings: &mut Vec<Diagnostic>) {
    for list in errors(page) {
        let mut last = String::new();
        for term in list {
            let name = plain(term);
            let mut report = |code, message, mend| {
                findings.push(page.source.diagnostic(span(term), code, message, mend));
            };
            if !matches!(term, [Inline::Strong(_)]) || !is_errno(&name) {
                report("errors-term", format!("`{name}` is not the name of an error"), "write one error: **EINVAL**");
            } else if name < last {
                report("errors-order", format!("{name} stands after {last}"), "sort the errors by their names");
            }
            last = last.max(name);
        }
    }
}

/// The clauses and the ERRORS sections must have the same errors.
fn errors_closure(spec: &Spec, findings: &mut Vec<Diagnostic>) {
    let promised: BTreeSet<&String> = spec.clauses().flat_map(|clause| &clause.errnos).collect();
    for page in &spec.pages {
        let listed: BTreeSet<String> = errors(page).into_iter().flatten().map(plain).collect();
        let mut missing = BTreeSet::new();
        for clause in page.clauses().filter(|_| sections(page).iter().any(|(title, _)| title == "ERRORS")) {
            for errno in clause.errnos.iter().filter(|errno| !listed.contains(*errno)) {
                // One finding for each error is enough.
                if missing.insert(errno) {
                    let message =
                        format!("`{}` can fail with {errno}, and the ERRORS section does not say so", clause.id);
                    let mend = format!("add **{errno}** and its cause to ERRORS");
                    let span = errno_span(page, clause, errno);
                    findings.push(page.source.diagnostic(span, "errors-missing", message, mend));
                }
            }
        }
    }
    for page in &spec.pages {
        for term in errors(page).into_iter().flatten() {
            let name = plain(term);
            if is_errno(&name) && !promised.contains(&name) {
                let mend = "remove the entry, or add the error to the clause that allows it";
                findings.push(page.source.diagnostic(
                    span(term),
                    "errors-unused",
                    format!("no clause can fail with {name}"),
                    mend,
                ));
            }
        }
    }
}

/// The place of the error's name in the clause's marker.
fn errno_span(page: &Page, clause: &Clause, errno: &str) -> Range<usize> {
    let text = &page.source.text[clause.marker.clone()];
    let start =
        clause.marker.start + text.find("errno=").and_then(|at| Some(at + text[at..].find(errno)?)).unwrap_or(0);
    start..start + errno.len()
}

fn see_also(page: &Page, findings: &mut Vec<Diagnostic>) {
    for (_, section) in sections(page).into_iter().filter(|(title, _)| title == "SEE ALSO") {
        for block in &section.blocks {
            let Block::Paragraph(text) = block else { continue };
            let shown = plain(text);
            let mut report = |message: String, mend| {
                findings.push(page.source.diagnostic(span(text), "see-also", message, mend));
            };
            if shown.ends_with('.') {
                report("SEE ALSO ends with a full stop".into(), "remove it: this is a list, not a sentence");
            }
            let pages = references(&shown);
            if let Some(pair) = pages.windows(2).find(|pair| pair[0] > pair[1]) {
                let [(first_section, first), (section, name)] = [pair[0], pair[1]];
                report(
                    format!("{name}({section}) stands after {first}({first_section})"),
                    "sort SEE ALSO by section, then by name",
                );
            }
        }
    }
}

/// Section and name of each page in `name(section), name(section)`.
fn references(shown: &str) -> Vec<(&str, &str)> {
    let entries = shown.split(',').filter_map(|entry| {
        entry.trim().trim_end_matches('.').strip_suffix(')')?.split_once('(').map(|(name, section)| (section, name))
    });
    entries.collect()
}

/// A page exists if it is one of these pages, if its source is beside them, or if the manual has it.
fn see_also_exists(spec: &Spec, manual: &Manual, findings: &mut Vec<Diagnostic>) {
    for page in &spec.pages {
        let see_also = sections(page).into_iter().filter(|(title, _)| title == "SEE ALSO");
        for block in see_also.flat_map(|(_, section)| &section.blocks) {
            let Block::Paragraph(text) = block else { continue };
            for (section, name) in references(&plain(text)) {
                let reference = format!("{name}({section})");
                let source = page.source.file.with_file_name(format!("{name}.{section}.md"));
                let own = spec.pages.iter().any(|page| page.reference() == reference) || source.exists();
                if !own && !manual.has(name, section) {
                    let message = format!("{reference} is none of these pages, and the manual here does not have it");
                    let mend = "correct the name or the section, or install the package that has the page";
                    let span = reference_span(page, span(text), name, section);
                    findings.push(page.source.diagnostic(span, "see-also-missing", message, mend));
                }
            }
        }
    }
}

/// The place of the name in `**name**(section)`, in a part of the source.
fn reference_span(page: &Page, part: Range<usize>, name: &str, section: &str) -> Range<usize> {
    let text = &page.source.text[part.start..];
    let suffix = format!("({section})");
    let is_whole = |at: &usize| {
        !text[..*at].ends_with(|c: char| c.is_alphanumeric() || "_.-".contains(c))
            && text[at + name.len()..].trim_start_matches('*').starts_with(&suffix)
    };
    match text.match_indices(name).map(|(at, _)| at).find(is_whole) {
        Some(at) => part.start + at..part.start + at + name.len(),
        None => part,
    }
}

/// The clauses of a family stand together, so that a reader who finds one finds all.
fn families(spec: &Spec, findings: &mut Vec<Diagnostic>) {
    let mut homes: BTreeMap<&str, String> = BTreeMap::new();
    for page in &spec.pages {
        for (title, section) in sections(page) {
            let place = format!("{}, {title}", page.reference());
            for block in &section.blocks {
                let Block::Clause(clause) = block else { continue };
                let family = family(&clause.id);
                let home = homes.entry(family).or_insert_with(|| place.clone());
                if *home != place {
                    let message = format!("the clauses `{family}.*` are in {home}, and `{}` is not", clause.id);
                    let mend = "move it there, or give it an id of another family if it is new";
                    findings.push(page.source.diagnostic(clause.id_span(), "scattered-family", message, mend));
                }
            }
        }
    }
}

/// A line ends where its sentence ends (man-pages(7)), so that a patch shows which sentence it changes.
fn semantic_newlines(page: &Page, findings: &mut Vec<Diagnostic>) {
    for block in page.sections.iter().flat_map(|section| &section.blocks) {
        block.walk(0, &mut |block, _| {
            let (Block::Paragraph(_) | Block::Clause(_)) = block else { return };
            for line in block.inlines().into_iter().flat_map(lines) {
                for at in sentence_starts(&line) {
                    let message = "a sentence begins in the middle of the line";
                    let mend = "begin it on the next line: in the source a line ends where a sentence does";
                    findings.push(page.source.diagnostic(at..at + 1, "semantic-newline", message, mend));
                }
            }
        });
    }
}

/// The source lines of running text without markup: each character and its position. Code and ids count as one
/// character.
fn lines(inlines: &[Inline]) -> Vec<Vec<(char, usize)>> {
    let mut lines = vec![vec![]];
    let mut at = 0;
    let mut add = |inline: &Inline| {
        let characters: Vec<(char, usize)> = match inline {
            Inline::Newline | Inline::Break => return lines.push(vec![]),
            Inline::Text { text, at } => text.char_indices().map(|(offset, c)| (c, at + offset)).collect(),
            Inline::Code(_) => vec![('`', at)],
            Inline::Reference { span, .. } => vec![('`', span.start)],
            Inline::Strong(_)
            | Inline::Emphasis(_)
            | Inline::Strike(_)
            | Inline::Link { .. }
            | Inline::Image { .. } => return,
        };
        at = characters.last().map_or(at, |(c, at)| at + c.len_utf8());
        lines.last_mut().into_iter().for_each(|line| line.extend(&characters));
    };
    inlines.iter().for_each(|inline| inline.walk(&mut add));
    lines
}

/// The positions of sentences that do not begin a line.
fn sentence_starts(line: &[(char, usize)]) -> Vec<usize> {
    let words: Vec<_> = line.split(|(c, _)| c.is_whitespace()).filter(|word| !word.is_empty()).collect();
    let ends_sentence = |word: &[(char, usize)]| {
        let word: String = word.iter().map(|(c, _)| c).collect();
        let word = word.trim_end_matches(CLOSERS);
        let stem = word.trim_end_matches('.');
        let last = stem.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        let initial = last.len() == 1 && last.chars().all(char::is_alphabetic);
        let full_stop = word.len() == stem.len() + 1;
        word.ends_with(['?', '!']) || (full_stop && !initial && !ABBREVIATIONS.contains(&last))
    };
    words.windows(2).filter(|pair| ends_sentence(pair[0])).map(|pair| pair[1][0].1).collect()
}

fn line_width(page: &Page, findings: &mut Vec<Diagnostic>) {
    let text = &page.source.text;
    let mut exempt: Vec<Range<usize>> = page.clauses().map(|clause| clause.marker.clone()).collect();
    for block in page.sections.iter().flat_map(|section| &section.blocks) {
        block.walk(0, &mut |block, inset| match block {
            Block::Table(table) => exempt.push(table.span.clone()),
            Block::Code { text: code, span, .. } => {
                exempt.push(span.clone());
                let lines = code.lines().zip(line_spans(text, span.clone()).skip(1));
                for (code, line) in lines.filter(|(code, _)| code.width() + inset > MEASURE) {
                    let message =
                        format!("this line of code ends in column {}, beyond {MEASURE}", code.width() + inset);
                    let mend = "break it: with the margins of the page it would not fit on a terminal";
                    findings.push(page.source.diagnostic(line, "wide-code", message, mend));
                }
            }
            _ => {}
        });
    }
    for line in line_spans(text, page.body..text.len()) {
        let one_word = text[line.clone()].split_whitespace().nth(1).is_none();
        let width = text[line.clone()].width();
        if width > LINE && !one_word && !exempt.iter().any(|span| span.start < line.end && line.start < span.end) {
            let message = format!("this line is {width} columns wide, more than {LINE}");
            findings.push(page.source.diagnostic(line, "long-line", message, "break it where the sentence pauses"));
        }
    }
}

/// The lines of a part of the text, without their newlines.
fn line_spans(text: &str, part: Range<usize>) -> impl Iterator<Item = Range<usize>> {
    let mut start = part.start;
    text[part].split_inclusive('\n').map(move |line| {
        let from = start;
        start += line.len();
        from..from + line.trim_end().len()
    })
}
