//! Checks that a kernel's source tree has the names in the table.

use super::patch::{Definition, definition, words};
use super::table::{Entry, Kind, Table};
use iomap_vocabulary::Series;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The directories that are searched for other names: constants can be defined anywhere, and a name can have moved.
const DIRECTORIES: [&str; 7] = ["include", "fs", "mm", "block", "drivers", "io_uring", "kernel"];

pub(super) struct Checked {
    pub(super) version: Series,
    /// The missing names, one line each.
    pub(super) findings: Vec<String>,
    pub(super) found: usize,
    /// The number of entries for other kernel versions.
    pub(super) other_version: usize,
    /// By file: functions that functions of the table call in the same file, that can refuse something, and that are
    /// not in the table.
    pub(super) callees: BTreeMap<String, BTreeSet<String>>,
}

/// Searches the tree for the definition of every name in the table.
pub(super) fn check(table: &Table, tree: &Path) -> Result<Checked, String> {
    let version = version(tree)?;
    let sources = Sources::read(tree)?;
    let callees = sources.callees(table);
    let mut checked = Checked { version, findings: vec![], found: 0, other_version: 0, callees };
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

/// The kernel version: VERSION and PATCHLEVEL of the Makefile.
fn version(tree: &Path) -> Result<Series, String> {
    let file = tree.join("Makefile");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?;
        line.trim().parse().ok()
    };
    match (value("VERSION"), value("PATCHLEVEL")) {
        (Some(major), Some(minor)) => Ok(Series(major, minor)),
        _ => Err(format!("{} has no VERSION and PATCHLEVEL: name the top of a kernel's source", file.display())),
    }
}

/// The source files, and the files that contain each name.
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
                // Skip links, because a link could lead to a directory above.
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

    /// The functions that functions of the table call in the same file, that can refuse something, and that are not in
    /// the table.
    fn callees(&self, table: &Table) -> BTreeMap<String, BTreeSet<String>> {
        let is_function = |entry: &&Entry| matches!(entry.kind, Kind::Function | Kind::Syscall);
        let entries: Vec<&Entry> = table.entries.iter().filter(is_function).collect();
        let known: HashSet<&str> = entries.iter().flat_map(|entry| entry.names()).collect();
        let mut callees: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (file, text) in &self.texts {
            let listed: HashSet<&str> =
                entries.iter().filter(|entry| entry.is_in(file)).flat_map(|entry| entry.names()).collect();
            if listed.is_empty() {
                continue;
            }
            let functions = functions(text);
            let passed: HashSet<&str> = table.passed(file).collect();
            let bodies = functions.iter().filter(|(name, _)| listed.contains(name.as_str()));
            let called: BTreeSet<&str> = bodies.flat_map(|(_, body)| words(body)).collect();
            let is_missing = |name: &&str| {
                let is_new = !known.contains(name) && !passed.contains(name);
                is_new && functions.get(*name).is_some_and(|body| decides(body))
            };
            let missing: BTreeSet<String> = called.into_iter().filter(is_missing).map(str::to_owned).collect();
            if !missing.is_empty() {
                callees.insert(file.clone(), missing);
            }
        }
        callees
    }

    /// The fault of the entry in this tree, if there is one.
    fn problem(&self, entry: &Entry) -> Option<String> {
        if entry.kind == Kind::File {
            let is_there = self.texts.iter().any(|(file, _)| entry.is_in(file));
            return (!is_there).then(|| "there is no such file".to_owned());
        }
        if entry.kind == Kind::Word {
            // A word counts only if a change adds it, so it need not be in these files yet; but its name has to exist
            // in the tree.
            let is_there = self.names.keys().any(|name| entry.is_word(name));
            return (!is_there).then(|| "it occurs nowhere".to_owned());
        }
        let files = || entry.names().filter_map(|name| self.names.get(name)).flatten().map(|at| &self.texts[*at]);
        let is_defined = |text: &str| {
            entry.names().any(|name| match entry.kind {
                Kind::Function => defines_function(text, name),
                Kind::Syscall => defines_syscall(text, name),
                _ => defines_constant(text, name),
            })
        };
        if files().any(|(file, text)| entry.is_in(file) && is_defined(text)) {
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

/// The functions of a file with their bodies: function heads and lone braces begin in the first column.
fn functions(text: &str) -> HashMap<String, String> {
    let mut functions: HashMap<String, String> = HashMap::new();
    let (mut head, mut body): (Option<Definition>, Option<String>) = (None, None);
    for line in text.lines() {
        match (&mut body, line) {
            (Some(_), _) if line.starts_with('}') => {
                if let (Some(head), Some(body)) = (head.take(), body.take()) {
                    functions.entry(head.name).or_default().push_str(&body);
                }
            }
            (Some(body), _) => {
                body.push_str(line);
                body.push('\n');
            }
            (None, "{") => body = Some(String::new()),
            (None, _) => head = definition(line).or(head),
        }
    }
    functions
}

/// Whether the function can refuse something: it returns an error of its own, or tests a privilege.
fn decides(body: &str) -> bool {
    let errors = body.match_indices("-E").any(|(at, _)| body[at + 2..].starts_with(|c: char| c.is_ascii_uppercase()));
    errors || words(body).any(|word| word == "capable" || word == "ns_capable" || word == "inode_owner_or_capable")
}

/// Each occurrence of the name as a whole word: the line before it, and the text after it.
fn mentions<'a>(text: &'a str, name: &str) -> impl Iterator<Item = (&'a str, &'a str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).filter_map(move |(at, name)| {
        let (before, after) = (&text[..at], &text[at + name.len()..]);
        let line = &before[before.rfind('\n').map_or(0, |end| end + 1)..];
        (!before.ends_with(is_part) && !after.starts_with(is_part)).then_some((line, after))
    })
}

/// Whether a line begins in the first column with the name and its parameters, and a body follows; or a macro has the
/// name.
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

/// Whether a macro or an enumeration defines the name.
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
