//! Changes for people, for documents and for programs.

use crate::index;
use iomap_command::count;
use iomap_spec::diff::{Change, Kind};
use iomap_spec::{Clause, Moved, Spec};
use serde::Serialize;
use similar::{Algorithm, DiffOp, capture_diff_slices};

/// Both sides, and their names on the command line.
pub(super) struct Sides<'a> {
    pub(super) old: (&'a str, &'a Spec),
    pub(super) new: (&'a str, &'a Spec),
}

/// Kinds of change, with their words in the summary and their headings in a document.
const KINDS: [(Kind, &str, &str); 5] = [
    (Kind::Meaning, "changed in meaning", "Changed in meaning"),
    (Kind::Removed, "removed", "Removed"),
    (Kind::Added, "added", "Added"),
    (Kind::Wording, "changed in wording", "Changed in wording"),
    (Kind::Moved, "moved", "Moved"),
];

/// The columns of a line in mail.
const WIDTH: usize = 72;
const INDENT: usize = 4;
/// The columns for the name of a fact.
const FACT: usize = 9;

pub(super) fn human(sides: &Sides<'_>, changes: &[Change<'_>], colour: bool) -> String {
    let mut out = String::new();
    for (sign, (name, side)) in [("---", sides.old), ("+++", sides.new)] {
        out += &format!("{sign} {name}  {} {}\n", side.version, side.digest());
    }
    for change in changes {
        let kinds: Vec<&str> = change.kinds.iter().map(|kind| kind.as_str()).collect();
        out += &format!("\n{}  {}\n", change.id(), kinds.join(", "));
        for (name, value) in facts(change, sides) {
            out += &format!("{:INDENT$}{name:<FACT$}{value}\n", "");
        }
        fill(&mut out, &pieces(change), colour);
    }
    out + "\n" + &summary(sides, changes) + "\n"
}

/// The differences besides the text, and the hashes.
fn facts(change: &Change<'_>, sides: &Sides<'_>) -> Vec<(&'static str, String)> {
    let mut facts = vec![];
    let mut fact = |name, of: &dyn Fn(&Clause) -> String| match (change.old.map(of), change.new.map(of)) {
        (Some(old), Some(new)) if old != new => facts.push((name, format!("{old} -> {new}"))),
        (None, Some(one)) | (Some(one), None) => facts.push((name, one)),
        _ => {}
    };
    if change.old.is_some() && change.new.is_some() {
        fact("id", &|clause| clause.id.clone());
    }
    fact("outcome", &|clause| clause.envelope());
    fact("observed", &|clause| clause.observe.iter().map(|it| it.as_str()).collect::<Vec<_>>().join(", "));
    fact("place", &|clause| format!("{}, {}", clause.page, clause.section));
    fact("hash", &|clause| clause.hash.clone());
    if let Some(fate) = fate(change, sides) {
        facts.push(("now", fate));
    }
    facts
}

/// The reason for the removal of a clause, or its successor.
fn fate(change: &Change<'_>, sides: &Sides<'_>) -> Option<String> {
    let Moved { old, reason, since, .. } = change.record.filter(|_| change.new.is_none())?;
    Some(match (reason, sides.new.1.successor(old)) {
        (Some(reason), _) => format!("withdrawn since {since}: {reason}"),
        (None, new) => format!("part of {new} since {since}"),
    })
}

/// Whether a word is in both sides, or only in one.
#[derive(Clone, Copy, PartialEq)]
enum Stand {
    Kept,
    Gone,
    New,
}

/// Runs of words. Removed words come before the words that replace them.
fn pieces<'a>(change: &Change<'a>) -> Vec<(Stand, Vec<&'a str>)> {
    let words = |clause: Option<&'a Clause>| -> Vec<&'a str> {
        clause.map_or(vec![], |clause| clause.text.split_whitespace().collect())
    };
    let (old, new) = (words(change.old), words(change.new));
    match (change.old, change.new) {
        (None, _) => vec![(Stand::Kept, new)],
        (_, None) => vec![(Stand::Kept, old)],
        _ => {
            let mut pieces: Vec<(Stand, Vec<&str>)> = vec![];
            for op in capture_diff_slices(Algorithm::Patience, &old, &new) {
                match op {
                    DiffOp::Equal { .. } => pieces.push((Stand::Kept, old[op.old_range()].to_vec())),
                    _ => {
                        pieces.push((Stand::Gone, old[op.old_range()].to_vec()));
                        pieces.push((Stand::New, new[op.new_range()].to_vec()));
                    }
                }
            }
            pieces.retain(|(_, words)| !words.is_empty());
            pieces
        }
    }
}

/// Writes the words in lines, with changes as `[-gone-]{+new+}`, or in red and green.
fn fill(out: &mut String, pieces: &[(Stand, Vec<&str>)], colour: bool) {
    let mut used = 0;
    let mut after_gone = false;
    for (stand, words) in pieces {
        for (index, word) in words.iter().enumerate() {
            let (first, last) = (index == 0, index + 1 == words.len());
            let (before, after, start, end) = match (stand, colour) {
                (Stand::Kept, _) => ("", "", "", ""),
                (Stand::Gone, true) => ("", "", "\x1b[31m", "\x1b[0m"),
                (Stand::New, true) => ("", "", "\x1b[32m", "\x1b[0m"),
                (Stand::Gone, false) => (if first { "[-" } else { "" }, if last { "-]" } else { "" }, "", ""),
                (Stand::New, false) => (if first { "{+" } else { "" }, if last { "+}" } else { "" }, "", ""),
            };
            let shown = format!("{before}{word}{after}");
            let width = shown.chars().count();
            let joined = first && *stand == Stand::New && after_gone && !colour;
            let gap = if used == 0 || joined { 0 } else { 1 };
            if used == 0 || INDENT + used + gap + width > WIDTH {
                *out += &format!("{}{:INDENT$}", if used == 0 { "" } else { "\n" }, "");
                used = 0;
            } else {
                *out += if gap == 1 { " " } else { "" };
                used += gap;
            }
            used += width;
            *out += &format!("{start}{shown}{end}");
        }
        after_gone = *stand == Stand::Gone;
    }
    out.push('\n');
}

fn summary(sides: &Sides<'_>, changes: &[Change<'_>]) -> String {
    let with = |kind: Kind| changes.iter().filter(|change| change.kinds.contains(&kind)).count();
    let parts: Vec<String> = KINDS
        .iter()
        .filter_map(|(kind, words, _)| Some((with(*kind), words)).filter(|(number, _)| *number > 0))
        .map(|(number, words)| format!("{number} {words}"))
        .collect();
    let same_order = sides.old.1.digest() == sides.new.1.digest();
    match (&parts[..], same_order) {
        ([], true) => "no clause differs".to_owned(),
        ([], false) => "no clause differs, but their order does".to_owned(),
        _ => format!("{}: {}", count(changes.len(), "clause"), parts.join(", ")),
    }
}

pub(super) fn markdown(sides: &Sides<'_>, changes: &[Change<'_>]) -> String {
    let identity = |side: &Spec| format!("{} ({})", side.version, side.digest());
    let mut out = format!("# Clauses from {} to {}\n\n", identity(sides.old.1), identity(sides.new.1));
    out += &format!("{}.\n", capital(&summary(sides, changes)));
    for (kind, _, heading) in KINDS {
        let of_kind: Vec<&Change<'_>> = changes.iter().filter(|change| change.kind() == kind).collect();
        if of_kind.is_empty() {
            continue;
        }
        out += &format!("\n## {heading}\n");
        for change in of_kind {
            out += &format!("\n- **{}**", escaped(change.id()));
            let facts: Vec<String> =
                facts(change, sides).iter().map(|(name, value)| format!("{name} {}", escaped(value))).collect();
            if !facts.is_empty() {
                out += &format!(" ({})", facts.join("; "));
            }
            out += "\n\n ";
            for (stand, words) in pieces(change) {
                let words = escaped(&words.join(" "));
                out += &match stand {
                    Stand::Kept => format!(" {words}"),
                    Stand::Gone => format!(" ~~{words}~~"),
                    Stand::New => format!(" **{words}**"),
                };
            }
            out.push('\n');
        }
    }
    out
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

/// The text with all markup escaped.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '~' | '#' | '|' | '&' | '!') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    old: State<'a>,
    new: State<'a>,
    changes: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct State<'a> {
    name: &'a str,
    #[serde(flatten)]
    identity: index::Identity<'a>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    kinds: Vec<&'static str>,
    old: Option<index::Entry<'a>>,
    new: Option<index::Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    moved: Option<Record<'a>>,
}

#[derive(Serialize)]
struct Record<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    since: &'a str,
}

fn state<'a>((name, side): (&'a str, &'a Spec)) -> State<'a> {
    State { name, identity: index::identity(side) }
}

pub(super) fn json(sides: &Sides<'_>, changes: &[Change<'_>]) -> String {
    let rows = changes.iter().map(|change| Row {
        id: change.id(),
        kinds: change.kinds.iter().map(|kind| kind.as_str()).collect(),
        old: change.old.map(index::entry),
        new: change.new.map(index::entry),
        moved: change.record.map(|Moved { new, reason, since, .. }| Record {
            new: new.as_deref(),
            reason: reason.as_deref(),
            since,
        }),
    });
    index::document(&Document { schema: 1, old: state(sides.old), new: state(sides.new), changes: rows.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// On a terminal, the same words are in lines of the same width, without brackets.
    #[test]
    fn colours() {
        let pieces = [(Stand::Kept, vec!["It"]), (Stand::Gone, vec!["should"]), (Stand::New, vec!["must", "be"])];
        let filled = |colour: bool| {
            let mut out = String::new();
            fill(&mut out, &pieces, colour);
            out
        };
        assert_eq!(filled(false), "    It [-should-]{+must be+}\n");
        let (red, green, end) = ("\x1b[31m", "\x1b[32m", "\x1b[0m");
        assert_eq!(filled(true), format!("    It {red}should{end} {green}must{end} {green}be{end}\n"));
    }

    #[test]
    fn lines_are_broken_between_words() {
        let word = "x".repeat(20);
        let pieces = [(Stand::Gone, vec![word.as_str(); 4]), (Stand::New, vec![word.as_str(); 4])];
        for colour in [false, true] {
            let mut out = String::new();
            fill(&mut out, &pieces, colour);
            let bare = out.replace("\x1b[31m", "").replace("\x1b[32m", "").replace("\x1b[0m", "");
            assert!(bare.lines().all(|line| line.len() <= WIDTH && line.starts_with("    ")), "{bare}");
            assert_eq!(bare.matches('x').count(), 160);
        }
    }
}
