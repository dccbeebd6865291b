//! Whether what the table names is in a kernel's source tree.

use super::patch::words;
use super::table::{Entry, Kind, Table, Version};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the rest of the table is looked for: constants can be defined anywhere, a missing name can have moved.
const DIRECTORIES: [&str; 7] = ["include", "fs", "mm", "block", "drivers", "io_uring", "kernel"];

pub(super) struct Checked {
    pub(super) version: Version,
    /// What is missing, a line for each.
    pub(super) findings: Vec<String>,
    pub(super) found: usize,
    /// Entries that are not about this version.
    pub(super) other_version: usize,
}

/// Looks for the definition of everything in the table.
pub(super) fn check(table: &Table, tree: &Path) -> Result<Checked, String> {
    let version = version(tree)?;
    let sources = Sources::read(tree)?;
    let mut checked = Checked { version, findings: vec![], found: 0, other_version: 0 };
    for entry in &table.entries {
        let is_later = entry.since.is_some_and(|since| version < since);
        if is_later || entry.until.is_some_and(|until| until < version) {
            checked.other_version += 1;
            continue;
        }
        match sources.problem(entry) {
            None => checked.found += 1,
            Some(problem) => {
                let (line, kind, name) = (entry.line, entry.kind.as_str(), &entry.name);
                checked.findings.push(format!("{}:{line}: {kind} {name}: {problem}", table.name));
            }
        }
    }
    Ok(checked)
}

/// VERSION and PATCHLEVEL of the Makefile.
fn version(tree: &Path) -> Result<Version, String> {
    let file = tree.join("Makefile");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
        line.trim().parse().ok()
    };
    match (value("VERSION"), value("PATCHLEVEL")) {
        (Some(major), Some(minor)) => Ok(Version(major, minor)),
        _ => Err(format!("{} has no VERSION and PATCHLEVEL: name the top of a kernel's source", file.display())),
    }
}

/// The source files, and in which of them each name stands.
struct Sources {
    texts: Vec<(String, String)>,
    names: HashMap<String, Vec<usize>>,
}

impl Sources {
    fn read(tree: &Path) -> Result<Sources, String> {
        let mut texts = vec![];
        let mut left: Vec<PathBuf> = DIRECTORIES.iter().map(|name| tree.join(name)).filter(|it| it.is_dir()).collect();
        while let Some(directory) = left.pop() {
            let failed = |error: std::io::Error| format!("{}: {error}", directory.display());
            for entry in fs::read_dir(&directory).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = entry.path();
                // A link could lead back up.
                if entry.file_type().map_err(failed)?.is_dir() {
                    left.push(path);
                } else if path.extension().is_some_and(|extension| extension == "c" || extension == "h")
                    && let Ok(bytes) = fs::read(&path)
                {
                    let name = path.strip_prefix(tree).unwrap_or(&path).to_string_lossy().into_owned();
                    texts.push((name, String::from_utf8_lossy(&bytes).into_owned()));
                }
            }
        }
        texts.sort();
        let mut names: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, (_, text)) in texts.iter().enumerate() {
            for name in words(text).collect::<HashSet<_>>() {
                match names.get_mut(name) {
                    Some(files) => files.push(at),
                    None => drop(names.insert(name.to_owned(), vec![at])),
                }
            }
        }
        Ok(Sources { texts, names })
    }

    /// Why the entry is wrong in this tree.
    fn problem(&self, entry: &Entry) -> Option<String> {
        if entry.kind == Kind::File {
            let is_there = self.texts.iter().any(|(file, _)| entry.is_in(file));
            return (!is_there).then(|| "there is no such file".to_owned());
        }
        let files = || entry.names().filter_map(|name| self.names.get(name)).flatten().map(|at| &self.texts[*at]);
        let is_defined = |text: &str| {
            entry.names().any(|name| match entry.kind {
                Kind::Function => defines_function(text, name),
                Kind::Syscall => defines_syscall(text, name),
                _ => defines_constant(text, name),
            })
        };
        // An errno counts in its places but is defined elsewhere.
        let is_placed = |file: &str| entry.kind == Kind::Errno || entry.is_in(file);
        if files().any(|(file, text)| is_placed(file) && is_defined(text)) {
            return None;
        }
        let elsewhere: BTreeSet<&str> =
            files().filter(|(_, text)| is_defined(text)).map(|(file, _)| file.as_str()).collect();
        let first = files().next();
        Some(match (elsewhere.is_empty(), first) {
            (false, _) => format!("defined in {}", elsewhere.into_iter().collect::<Vec<_>>().join(" ")),
            (true, Some((file, text))) => {
                let line = text
                    .lines()
                    .position(|line| words(line).any(|word| entry.names().any(|name| name == word)))
                    .unwrap_or_default();
                format!("defined nowhere; it is mentioned at {file}:{}", line + 1)
            }
            (true, None) => "its name occurs nowhere".to_owned(),
        })
    }
}

/// The parts of the text after each mention of the name that a whole word is, with the line up to it.
fn mentions<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).filter_map(move |(at, name)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let line = &before[before.rfind('\n').map_or(0, |end| end + 1)..];
        (!before.ends_with(is_part) && !after.starts_with(is_part)).then_some((line, after))
    })
}

/// A line that begins at the left with the name and its parameters, and a body after them; or a macro.
fn defines_function(text: &str, name: &str) -> bool {
    mentions(text, name).any(|(line, after)| {
        if is_define(line) {
            return after.starts_with('(');
        }
        let starts = line.is_empty() || line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let is_head = starts && !line.contains(['=', '(', ';', '"']) && after.trim_start().starts_with('(');
        is_head && after.chars().find(|c| matches!(c, '{' | ';' | '}')) == Some('{')
    })
}

fn defines_syscall(text: &str, name: &str) -> bool {
    mentions(text, name).any(|(line, after)| {
        let opened = line.strip_suffix('(').and_then(|line| line.get(..line.len().checked_sub(1)?));
        opened == Some("SYSCALL_DEFINE") && after.starts_with([',', ')'])
    })
}

/// A macro, or a name in an enumeration.
fn defines_constant(text: &str, name: &str) -> bool {
    mentions(text, name).any(|(line, after)| {
        let next = after.trim_start().chars().next();
        is_define(line) || (line.trim().is_empty() && matches!(next, Some(',' | '=' | '/' | '}')))
    })
}

fn is_define(line: &str) -> bool {
    let words: Vec<&str> = line.split_whitespace().collect();
    matches!(words[..], ["#define"] | ["#", "define"])
}
