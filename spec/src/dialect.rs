//! Rewrites syntax of other dialects, which pulldown-cmark cannot parse, as Markdown that it can parse.

use pulldown_cmark::{Event, Options, Parser, Tag};
use std::borrow::Cow;
use std::ops::Range;

/// The text in which fenced divs (`::: note`) are quotations with a label, and in which each row of a table has as many
/// cells as the table has columns.
pub(crate) fn known(text: &str, options: Options) -> Cow<'_, str> {
    let text = if text.contains(":::") { Cow::Owned(without_divs(text)) } else { Cow::Borrowed(text) };
    if !text.contains('|') {
        return text;
    }
    let edits = bars(&text, options);
    if edits.is_empty() {
        return text;
    }
    let mut edited = text.into_owned();
    edits.into_iter().rev().for_each(|at| edited.insert(at, '\\'));
    Cow::Owned(edited)
}

/// The role of a line in a fenced div.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Other,
    Opens,
    Closes,
    /// The line looks like a fence, but has no partner.
    Alone,
}

fn without_divs(text: &str) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let mut kinds = vec![Line::Other; lines.len()];
    let mut open = vec![];
    let mut code: Option<&str> = None;
    for (number, line) in lines.iter().enumerate() {
        let trimmed = line.trim();
        match code {
            Some(fence) if trimmed.starts_with(fence) => code = None,
            Some(_) => {}
            None if line.starts_with("    ") || line.starts_with('\t') => {}
            None if trimmed.starts_with("```") || trimmed.starts_with("~~~") => {
                let fence = trimmed.trim_start_matches(&trimmed[..1]);
                code = Some(&trimmed[..trimmed.len() - fence.len()]);
            }
            None if !trimmed.starts_with(":::") => {}
            None if trimmed.trim_matches(':').is_empty() => match open.pop() {
                Some(opening) => {
                    kinds[opening] = Line::Opens;
                    kinds[number] = Line::Closes;
                }
                None => kinds[number] = Line::Alone,
            },
            None => {
                open.push(number);
                kinds[number] = Line::Alone;
            }
        }
    }
    let mut out = String::with_capacity(text.len() + 64);
    let mut depth = 0;
    for (line, kind) in lines.into_iter().zip(kinds) {
        match kind {
            Line::Other => {}
            Line::Opens => {
                out = out + &"> ".repeat(depth) + "\n";
                depth += 1;
                let label = label(line);
                if !label.is_empty() {
                    out = out + &"> ".repeat(depth) + "**" + &label + "**\n" + &"> ".repeat(depth) + "\n";
                }
                continue;
            }
            Line::Closes => {
                depth -= 1;
                out = out + &"> ".repeat(depth) + "\n";
                continue;
            }
            Line::Alone => {
                out = out + &"> ".repeat(depth) + "\\" + line.trim_start();
                continue;
            }
        }
        out += &"> ".repeat(depth);
        out += line;
    }
    out
}

/// `warning` of `::: warning`, `:::{warning}` or `::: {.warning #id}`, and a title after it.
fn label(line: &str) -> String {
    let text = line.trim().trim_matches(':').trim();
    let (class, title) = match text.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((attributes, title)) => {
            let mut words = attributes.split_whitespace();
            let class =
                words.find(|word| word.starts_with('.') || word.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            (class.unwrap_or_default().trim_start_matches('.'), title)
        }
        None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
    };
    match title.trim() {
        "" => class.to_owned(),
        title if class.is_empty() => title.to_owned(),
        title => format!("{class}: {title}"),
    }
}

/// The places where bars need a backslash, so that no row has more cells than its table has columns: the parser would
/// leave out further cells. Bars in code come first, because authors forget that a bar ends a cell; the last bars of
/// the row follow.
fn bars(text: &str, options: Options) -> Vec<usize> {
    let mut edits = vec![];
    let mut columns = 0;
    for (event, span) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(Tag::Table(alignment)) => columns = alignment.len(),
            Event::Start(Tag::TableRow) => {
                let row = row(text, &span);
                let inner = separators(row);
                let excess = (inner.len() + 1).saturating_sub(columns);
                if excess == 0 {
                    continue;
                }
                let (code, others): (Vec<usize>, Vec<usize>) = inner.into_iter().partition(|at| in_code(row, *at));
                let mut chosen: Vec<usize> =
                    code.into_iter().chain(others.into_iter().rev()).take(excess).map(|at| span.start + at).collect();
                chosen.sort_unstable();
                edits.extend(chosen);
            }
            _ => {}
        }
    }
    edits
}

/// The line of a row.
fn row<'a>(text: &'a str, span: &Range<usize>) -> &'a str {
    text[span.start..].lines().next().unwrap_or_default()
}

/// The number of cells in the line of a row at `span`, as it is written.
pub(crate) fn cells(text: &str, span: &Range<usize>) -> usize {
    separators(row(text, span)).len() + 1
}

/// The bars between two cells: not those at the ends, and none after a backslash.
fn separators(row: &str) -> Vec<usize> {
    let start = row.len() - row.trim_start().len();
    let end = row.trim_end().len();
    let bars = row.match_indices('|').map(|(at, _)| at).filter(|at| !row[..*at].ends_with('\\'));
    bars.filter(|at| *at > start && at + 1 < end).collect()
}

/// Whether the place is in code: an odd number of backquotes is before it, and at least one is after it.
fn in_code(row: &str, at: usize) -> bool {
    row[..at].matches('`').count() % 2 == 1 && row[at..].contains('`')
}
