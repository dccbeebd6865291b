//! Finds the entries of the table that a hunk matches, and how closely.

use super::patch::{Definition, Hunk, Line, words};
use super::table::{Entry, Kind, Table};
use std::collections::HashMap;

/// How closely an entry matches, the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// The function itself is changed.
    Changed,
    /// A changed line has the name.
    Touched,
    /// A line near the change has the name.
    Near,
    /// Only the file is the same.
    File,
}

impl How {
    /// The phrase for people.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            How::Changed => "changed",
            How::Touched => "in a changed line",
            How::Near => "near the change",
            How::File => "in this file",
        }
    }

    /// The word for programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            How::Changed => "changed",
            How::Touched => "touched",
            How::Near => "near",
            How::File => "file",
        }
    }
}

impl How {
    /// Whether the change itself is meant, not only its surroundings.
    pub(super) fn is_close(self) -> bool {
        matches!(self, How::Changed | How::Touched)
    }
}

#[derive(Debug)]
pub(super) struct Hit<'a> {
    pub(super) how: How,
    pub(super) entry: &'a Entry,
    /// The index of the line of the hunk that matches best.
    pub(super) at: usize,
}

/// The table, indexed by name.
pub(super) struct Lookup<'a> {
    names: HashMap<&'a str, Vec<&'a Entry>>,
    words: Vec<&'a Entry>,
    files: Vec<&'a Entry>,
}

/// Files with code: documentation names functions without changing them.
const CODE: [&str; 4] = [".c", ".h", ".S", ".rs"];

impl<'a> Lookup<'a> {
    pub(super) fn new(table: &'a Table) -> Lookup<'a> {
        let mut lookup = Lookup { names: HashMap::new(), words: vec![], files: vec![] };
        for entry in &table.entries {
            match entry.kind {
                Kind::File => lookup.files.push(entry),
                Kind::Word => lookup.words.push(entry),
                _ => entry.names().for_each(|name| lookup.names.entry(name).or_default().push(entry)),
            }
        }
        lookup
    }

    fn named(&self, name: &str) -> impl Iterator<Item = &'a Entry> {
        self.names.get(name).into_iter().flatten().copied()
    }

    /// The entries for words that match this name in this file.
    fn words(&self, name: &str, file: Option<&str>) -> impl Iterator<Item = &'a Entry> {
        self.words.iter().copied().filter(move |entry| entry.is_word(name) && entry.is_in(file.unwrap_or_default()))
    }

    /// The entries that the hunk matches, each once, the closest first.
    pub(super) fn hits(&self, hunk: &Hunk) -> Vec<Hit<'a>> {
        let file = hunk.file.as_deref();
        if file.is_some_and(|file| !CODE.iter().any(|suffix| file.ends_with(suffix))) {
            return vec![];
        }
        if is_written_in_another_way(&hunk.lines) {
            return vec![];
        }
        let labels = Labels::of(&hunk.lines);
        let (mut changed, mut near): (Vec<Placed<'a>>, Vec<Placed<'a>>) = (vec![], vec![]);
        for (Definition { name, is_syscall }, at) in hunk.changed() {
            let kind = if is_syscall { Kind::Syscall } else { Kind::Function };
            let entries = self.named(&name).filter(|entry| entry.kind == kind && can_be_in(entry, file));
            // A function that only dispatches to cases says little if the case is unknown, and nothing if the case is
            // known.
            let (apart, own): (Vec<&Entry>, Vec<&Entry>) = entries.partition(|entry| entry.tells_cases);
            changed.extend(own.into_iter().chain(self.words(&name, file)).map(|entry| (entry, at)));
            near.extend(apart.into_iter().filter(|_| !labels.are_there).map(|entry| (entry, at)));
        }
        let is_label = |entry: &&Entry| matches!(entry.kind, Kind::Ioctl | Kind::Flag);
        for (label, at) in labels.of_changes {
            changed.extend(self.named(label).filter(is_label).map(|entry| (entry, at)));
        }
        let mut hits: Vec<Hit<'a>> = vec![];
        for (how, entries) in [(How::Changed, changed), (How::Near, near)] {
            for (entry, at) in entries {
                if !hits.iter().any(|hit| std::ptr::eq(hit.entry, entry)) {
                    hits.push(Hit { how, entry, at });
                }
            }
        }
        // Entries are in the order in which they are first named. The balance is the number of changed lines that add
        // the name, minus the number that remove it: a call that is only rewritten has the balance 0. The words of one
        // entry are counted separately: another test of privilege is another test.
        let mut named: Vec<Named<'a>> = vec![];
        for (at, line) in hunk.lines.iter().enumerate() {
            let weight = match line.sign {
                _ if is_comment(&line.text) => 0,
                '+' => 1,
                '-' => -1,
                _ => 0,
            };
            for name in words(&without_strings(&line.text)) {
                for entry in self.named(name).chain(self.words(name, file)) {
                    let name = if entry.kind == Kind::Word { name } else { "" };
                    match named.iter_mut().find(|it| std::ptr::eq(it.entry, entry) && it.name == name) {
                        Some(known) => known.lines.push((at, weight)),
                        None => named.push(Named { entry, name: name.to_owned(), lines: vec![(at, weight)] }),
                    }
                }
            }
        }
        for Named { entry, lines, .. } in named {
            let balance: i64 = lines.iter().map(|(_, weight)| weight).sum();
            let is_known = hits.iter().any(|hit| std::ptr::eq(hit.entry, entry));
            // A word near a change is too common to mean anything.
            let counts = entry.kind != Kind::Syscall && (entry.kind != Kind::Word || balance != 0);
            if counts && !is_known {
                let tips = lines.iter().find(|(_, weight)| weight.signum() == balance.signum());
                let at = tips.or(lines.first()).map_or(0, |(at, _)| *at);
                hits.push(Hit { how: if balance == 0 { How::Near } else { How::Touched }, entry, at });
            }
        }
        // If the function is not known, the entries of its file are better than nothing.
        if hits.iter().all(|hit| hit.how != How::Changed) {
            let files = self.files.iter().filter(|entry| file.is_some_and(|file| entry.is_in(file)));
            hits.extend(files.map(|entry| Hit { how: How::File, entry, at: hunk.first_change() }));
        }
        hits.sort_by_key(|hit| hit.how);
        hits
    }
}

/// An entry, and the index of the line that leads to it.
type Placed<'a> = (&'a Entry, usize);

/// The lines of a hunk that have a name of an entry, each with its part of the balance.
struct Named<'a> {
    entry: &'a Entry,
    name: String,
    lines: Vec<(usize, i64)>,
}

/// Whether the entry can be about this file. If the file is unknown, the name is enough.
fn can_be_in(entry: &Entry, file: Option<&str>) -> bool {
    file.is_none_or(|file| entry.is_in(file))
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("/*") || line == "*" || line.starts_with("* ")
}

/// The labels of a `switch` in a hunk.
struct Labels<'h> {
    /// Whether the hunk has labels.
    are_there: bool,
    /// The labels above changed lines, each with the index of such a line.
    of_changes: Vec<(&'h str, usize)>,
}

impl Labels<'_> {
    fn of(lines: &[Line]) -> Labels<'_> {
        let mut labels = Labels { are_there: false, of_changes: vec![] };
        let (mut above, mut is_after_label): (Vec<&str>, bool) = (vec![], false);
        for (at, line) in lines.iter().enumerate() {
            let text = line.text.trim();
            let label = text.strip_prefix("case ").and_then(|rest| words(rest).next());
            if label.is_none() && line.is_change() && !text.is_empty() && !is_comment(text) {
                labels.of_changes.extend(above.iter().map(|label| (*label, at)));
            }
            // Several labels can stand together above statements that they share.
            if label.is_some() && !is_after_label || text.starts_with("default:") || line.text.starts_with('}') {
                above.clear();
            }
            above.extend(label);
            labels.are_there |= label.is_some();
            is_after_label = label.is_some();
        }
        labels
    }
}

/// Whether the change only rewrites the code: other line breaks, another text of a message, or a trace call.
fn is_written_in_another_way(lines: &[Line]) -> bool {
    let mut runs = lines.split(|line| !line.is_change());
    runs.all(|run| {
        let tokens = |sign| tokens(run.iter().filter(move |line| line.sign == sign));
        tokens('-') == tokens('+')
    })
}

/// Words and operators, without comments, contents of strings, and calls of tracepoints.
fn tokens<'h>(lines: impl Iterator<Item = &'h Line>) -> Vec<String> {
    let (mut tokens, mut is_trace): (Vec<String>, bool) = (vec![], false);
    for line in lines.filter(|line| !is_comment(&line.text)) {
        let code = line.text.split("/*").next().unwrap_or_default();
        is_trace |= code.trim_start().starts_with("trace_");
        if !is_trace {
            tokens.extend(words_and_signs(&without_strings(code)));
        }
        is_trace &= !code.trim_end().ends_with(';');
    }
    tokens
}

/// Drops every second piece between quotes, which is a string; an escaped quote only ends the string early.
fn without_strings(code: &str) -> String {
    code.split('"').step_by(2).collect::<Vec<_>>().join("\"")
}

fn words_and_signs(code: &str) -> Vec<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut tokens: Vec<String> = vec![];
    let mut is_in_word = false;
    for c in code.chars() {
        match tokens.last_mut().filter(|_| is_in_word && is_part(c)) {
            Some(word) => word.push(c),
            None if !c.is_whitespace() => tokens.push(c.to_string()),
            None => {}
        }
        is_in_word = is_part(c);
    }
    // 0 and 1 are other spellings of these constants.
    tokens
        .into_iter()
        .map(|token| match token.as_str() {
            "false" => "0".into(),
            "true" => "1".into(),
            _ => token,
        })
        .collect()
}
