//! What a page that can be read still does wrong.

use crate::MEASURE;
use crate::attributes::is_errno;
use crate::diagnostic::Diagnostic;
use crate::frontmatter::is_title;
use crate::model::{Block, Clause, Inline, Level, Page, Section, Spec, plain};
use std::collections::BTreeSet;
use std::ops::Range;
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

/// What to write where a level word would sound like a promise that has no clause.
const FACTS: [(Level, &str); 3] = [
    (Level::Must, "say \"has to\" or \"is to\", or state the fact"),
    (Level::Should, "say \"ought to\" or \"is expected to\", or state the fact"),
    (Level::May, "say \"can\" or \"might\", or state the fact"),
];

/// How a file system does it is no business of the specification.
const INNER_WORDS: [&str; 4] = ["block", "blocks", "extent", "extents"];

/// Source lines fit on a terminal and in a patch.
const LINE: usize = 80;

const PAGE_LINTS: [fn(&Page, &mut Vec<Diagnostic>); 8] =
    [level_of_clauses, level_of_prose, inner_words, section_order, name, errors_order, see_also, line_width];

/// Every finding about pages that could be read, in their order.
pub fn lint(spec: &Spec) -> Vec<Diagnostic> {
    let mut findings = vec![];
    for page in &spec.pages {
        PAGE_LINTS.iter().for_each(|lint| lint(page, &mut findings));
    }
    errors_closure(spec, &mut findings);
    let order = |finding: &Diagnostic| spec.pages.iter().position(|page| page.source.file == finding.file);
    findings.sort_by_key(|finding| (order(finding), finding.line, finding.column));
    findings
}

/// The words of running text with their places; code is not running text.
fn words(inlines: &[Inline]) -> Vec<(&str, Range<usize>)> {
    let mut words = vec![];
    for inline in inlines {
        inline.walk(&mut |inline| {
            let Inline::Text { text, at } = inline else { return };
            for word in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty()) {
                // The word is a part of `text`, so the difference of the addresses is its offset.
                let start = at + (word.as_ptr() as usize - text.as_ptr() as usize);
                words.push((word, start..start + word.len()));
            }
        });
    }
    words
}

fn levels(inlines: &[Inline]) -> Vec<(Level, Range<usize>)> {
    let level = |word: &str| Level::ALL.iter().copied().find(|level| level.as_str() == word);
    words(inlines).into_iter().filter_map(|(word, span)| Some((level(word)?, span))).collect()
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

/// Sections and subsections, each with the title of its section.
fn sections(page: &Page) -> Vec<(String, &Section)> {
    let mut title = String::new();
    let titled = page.sections.iter().map(|section| {
        if !section.is_subsection {
            title = section.title();
        }
        (title.clone(), section)
    });
    titled.collect()
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

/// whatis(1) and apropos(1) read this line.
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

/// Where running text is in the source.
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

/// What clauses promise and what ERRORS sections list is the same.
fn errors_closure(spec: &Spec, findings: &mut Vec<Diagnostic>) {
    let listed: BTreeSet<String> =
        spec.pages.iter().flat_map(|page| errors(page).into_iter().flatten()).map(plain).collect();
    let mut promised = BTreeSet::new();
    for page in &spec.pages {
        for clause in page.clauses() {
            for errno in &clause.errnos {
                // One finding for each error is enough.
                if promised.insert(errno) && !listed.contains(errno) {
                    let message = format!("`{}` can fail with {errno}, and no ERRORS section says so", clause.id);
                    let mend = format!("add **{errno}** and its cause to ERRORS");
                    findings.push(page.source.diagnostic(
                        errno_span(page, clause, errno),
                        "errors-missing",
                        message,
                        mend,
                    ));
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

/// The name of the error in the clause's marker.
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
            let pages: Vec<(&str, &str)> = shown
                .split(',')
                .filter_map(|entry| entry.trim().trim_end_matches('.').strip_suffix(')')?.split_once('('))
                .map(|(name, section)| (section, name))
                .collect();
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
