//! Which entries of the table a hunk meets, and how closely.

use super::patch::{Definition, Hunk, words};
use super::table::{Entry, Kind, Table};
use std::collections::HashMap;

/// How closely, the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum How {
    /// The function itself is changed.
    Changed,
    /// A changed line names it.
    Touched,
    /// A line near the change names it.
    Near,
    /// Only the file is the same.
    File,
}

impl How {
    /// For people.
    pub(super) const fn phrase(self) -> &'static str {
        match self {
            How::Changed => "changed",
            How::Touched => "in a changed line",
            How::Near => "near the change",
            How::File => "in this file",
        }
    }

    /// For programs.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            How::Changed => "changed",
            How::Touched => "touched",
            How::Near => "near",
            How::File => "file",
        }
    }
}

#[derive(Debug)]
pub(super) struct Hit<'a> {
    pub(super) how: How,
    pub(super) entry: &'a Entry,
}

/// The table by name.
pub(super) struct Lookup<'a> {
    names: HashMap<&'a str, Vec<&'a Entry>>,
    files: Vec<&'a Entry>,
}

/// What is code: documentation names functions that it does not change.
const CODE: [&str; 4] = [".c", ".h", ".S", ".rs"];

impl<'a> Lookup<'a> {
    pub(super) fn new(table: &'a Table) -> Lookup<'a> {
        let mut names: HashMap<&str, Vec<&Entry>> = HashMap::new();
        let (files, named): (Vec<&Entry>, Vec<&Entry>) = table.entries.iter().partition(|it| it.kind == Kind::File);
        for (name, entry) in named.into_iter().flat_map(|entry| entry.names().map(move |name| (name, entry))) {
            names.entry(name).or_default().push(entry);
        }
        Lookup { names, files }
    }

    /// The entries that the hunk meets, the closest first and each once.
    pub(super) fn hits(&self, hunk: &Hunk) -> Vec<Hit<'a>> {
        if !CODE.iter().any(|suffix| hunk.file.ends_with(suffix)) {
            return vec![];
        }
        let mut hits: Vec<Hit<'a>> = vec![];
        let entries = |name: &str| self.names.get(name).into_iter().flatten().copied();
        for Definition { name, is_syscall } in hunk.changed() {
            let kind = if is_syscall { Kind::Syscall } else { Kind::Function };
            let changed = entries(&name).filter(|entry| entry.kind == kind && entry.is_in(&hunk.file));
            hits.extend(changed.map(|entry| Hit { how: How::Changed, entry }));
        }
        // In the order in which they are first named, with how often a changed line adds them less how often one
        // removes them: a call that is only written in another way is as much there as before.
        let mut named: Vec<(&'a Entry, i64)> = vec![];
        for line in &hunk.lines {
            let weight = match line.sign {
                _ if is_comment(&line.text) => 0,
                '+' => 1,
                '-' => -1,
                _ => 0,
            };
            for entry in words(&line.text).flat_map(entries).filter(|entry| entry.kind != Kind::Syscall) {
                match named.iter_mut().find(|(known, _)| std::ptr::eq(*known, entry)) {
                    Some((_, balance)) => *balance += weight,
                    None => named.push((entry, weight)),
                }
            }
        }
        for (entry, balance) in named {
            let is_known = hits.iter().any(|hit| std::ptr::eq(hit.entry, entry));
            // An errno near a change is too common to mean anything.
            let counts = entry.kind != Kind::Errno || (balance != 0 && entry.is_in(&hunk.file));
            if counts && !is_known {
                hits.push(Hit { how: if balance == 0 { How::Near } else { How::Touched }, entry });
            }
        }
        // Where the function is not known, its file says something about it.
        if hits.iter().all(|hit| hit.how != How::Changed) {
            let files = self.files.iter().filter(|entry| entry.is_in(&hunk.file));
            hits.extend(files.map(|entry| Hit { how: How::File, entry }));
        }
        hits.sort_by_key(|hit| hit.how);
        hits
    }
}

fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("//") || line.starts_with("/*") || line == "*" || line.starts_with("* ")
}
