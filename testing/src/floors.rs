//! The floor plan of a workspace, and the imports in its sources.
//!
//! The plan is a table in Markdown: a room (a file, or a folder with `/` at its end), its floor, and one line about it.
//! A file belongs to the room with the longest name that matches. An import may go to a room on a lower floor or on the
//! same floor, if that makes no circle. Files of one room may import each other.

use crate::files;
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// The header of the table.
const HEADER: [&str; 2] = ["room", "floor"];

/// A row of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// The path from the top of the workspace; a folder has `/` at its end.
    pub path: String,
    /// The floor: higher floors import lower ones.
    pub floor: u32,
    /// The line of the row, from 1.
    pub line: usize,
}

/// The floor plan.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    rooms: Vec<Room>,
}

/// One place that does not agree with the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file, from the top of the workspace.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// How the place disagrees with the plan.
    pub message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file, self.line, self.message)
    }
}

impl Plan {
    /// Reads the table of a page. The error names the line that is not a row, or says that there is no table.
    pub fn parse(page: &str) -> Result<Self, Finding> {
        let finding = |line, message: &str| Finding { file: "ARCHITECTURE.md".into(), line, message: message.into() };
        let cells = |line: &str| -> Vec<String> {
            line.trim().trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`').to_owned()).collect()
        };
        let mut lines = page.lines().enumerate().skip_while(|(_, line)| {
            let cells = cells(line);
            !HEADER.iter().zip(&cells).all(|(wanted, cell)| wanted == cell) || cells.len() < 3
        });
        if lines.next().is_none() {
            return Err(finding(1, "no table with the header | room | floor | …"));
        }
        let mut rooms: Vec<Room> = Vec::new();
        for (number, line) in lines.skip(1).take_while(|(_, line)| line.starts_with('|')) {
            let line_number = number + 1;
            let cells = cells(line);
            let [path, floor, about] = cells.as_slice() else {
                return Err(finding(line_number, "a row has three cells: room, floor, one line"));
            };
            let floor = floor.parse().map_err(|_| finding(line_number, "the floor is a number"))?;
            if about.is_empty() {
                return Err(finding(line_number, "the room has no line about it"));
            }
            if rooms.iter().any(|room| room.path == *path) {
                return Err(finding(line_number, "the room has two rows"));
            }
            rooms.push(Room { path: path.clone(), floor, line: line_number });
        }
        Ok(Self { rooms })
    }

    /// The room of a file.
    fn room(&self, file: &str) -> Option<usize> {
        let fits = |room: &Room| match room.path.ends_with('/') {
            true => file.starts_with(&room.path),
            false => file == room.path,
        };
        let rooms = self.rooms.iter().enumerate().filter(|(_, room)| fits(room));
        rooms.max_by_key(|(_, room)| room.path.len()).map(|(at, _)| at)
    }

    /// Every place where the workspace disagrees with the plan.
    pub fn check(&self, sources: &Sources) -> Vec<Finding> {
        let mut findings = Vec::new();
        let mut found = BTreeSet::new();
        for file in sources.files.keys() {
            match self.room(file) {
                Some(room) => drop(found.insert(room)),
                None => findings.push(Finding { file: file.clone(), line: 1, message: "no room has this file".into() }),
            }
        }
        for (at, room) in self.rooms.iter().enumerate() {
            if !found.contains(&at) {
                let message = format!("the room {} has no file", room.path);
                findings.push(Finding { file: "ARCHITECTURE.md".into(), line: room.line, message });
            }
        }
        let mut level: BTreeMap<usize, BTreeMap<usize, Import>> = BTreeMap::new();
        for import in sources.imports() {
            let (Some(from), Some(to)) = (self.room(&import.from), self.room(&import.to)) else { continue };
            let [a, b] = [from, to].map(|at| &self.rooms[at]);
            if a.floor < b.floor {
                let message = format!("{} (floor {}) imports {} (floor {})", a.path, a.floor, b.path, b.floor);
                findings.push(Finding { file: import.from, line: import.line, message });
            } else if from != to && a.floor == b.floor {
                level.entry(from).or_default().entry(to).or_insert(import);
            }
        }
        findings.extend(self.circles(&level));
        findings
    }

    /// A finding for each import that closes a circle between rooms of one floor.
    fn circles(&self, imports: &BTreeMap<usize, BTreeMap<usize, Import>>) -> Vec<Finding> {
        let reaches = |from: usize, goal: usize| {
            let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
            while let Some(at) = open.pop() {
                if at == goal {
                    return true;
                }
                if seen.insert(at) {
                    open.extend(imports.get(&at).into_iter().flat_map(BTreeMap::keys));
                }
            }
            false
        };
        let edges = imports.iter().flat_map(|(from, to)| to.iter().map(move |(to, import)| (*from, *to, import)));
        let closing = edges.filter(|(from, to, _)| reaches(*to, *from));
        closing
            .map(|(from, to, import)| Finding {
                file: import.from.clone(),
                line: import.line,
                message: format!("{} and {} import each other", self.rooms[from].path, self.rooms[to].path),
            })
            .collect()
    }
}

/// An import of a file of the workspace by another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import {
    /// The file that imports.
    pub from: String,
    /// The line of the path, from 1.
    pub line: usize,
    /// The file that is imported.
    pub to: String,
}

/// The sources of a workspace.
#[derive(Debug, Default)]
pub struct Sources {
    /// The text of each file, by its path from the top.
    files: BTreeMap<String, String>,
    /// The roots of the libraries, by the name of the crate.
    libraries: BTreeMap<String, String>,
}

impl Sources {
    /// Sources for a test: paths with their contents, and the roots of libraries by name.
    pub fn of(files: &[(&str, &str)], libraries: &[(&str, &str)]) -> Self {
        let owned = |pairs: &[(&str, &str)]| pairs.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        Self { files: owned(files), libraries: owned(libraries) }
    }

    /// All Rust files of the workspace.
    pub fn read(top: &Path) -> std::io::Result<Self> {
        let mut sources = Self::default();
        for path in files::below(top)? {
            let name = path.to_string_lossy().into_owned();
            if name.ends_with(".rs") {
                sources.files.insert(name, std::fs::read_to_string(top.join(&path))?);
            } else if path.ends_with("Cargo.toml") {
                let manifest = std::fs::read_to_string(top.join(&path))?;
                let root = path.with_file_name("src").join("lib.rs");
                if let Some(name) = package_name(&manifest)
                    && top.join(&root).exists()
                {
                    sources.libraries.insert(name.replace('-', "_"), root.to_string_lossy().into_owned());
                }
            }
        }
        Ok(sources)
    }

    /// Every import of a file by another file.
    pub fn imports(&self) -> Vec<Import> {
        self.files.iter().flat_map(|(file, text)| self.imports_of(file, text)).collect()
    }

    fn imports_of(&self, file: &str, text: &str) -> Vec<Import> {
        let Ok(tokens) = TokenStream::from_str(text) else { return Vec::new() };
        let mut paths = Vec::new();
        collect(tokens, &mut Vec::new(), &mut paths);
        let place = Place::of(file);
        let mut imports: Vec<Import> = paths
            .into_iter()
            .filter_map(|path| {
                let to = self.resolve(&place, &path)?;
                (to != file).then(|| Import { from: file.to_owned(), line: path.line, to })
            })
            .collect();
        imports.dedup();
        imports
    }

    /// The file that a path leads to.
    fn resolve(&self, place: &Place, path: &Named) -> Option<String> {
        let segments: Vec<&str> = path.segments.iter().map(String::as_str).collect();
        let here: Vec<&str> = place.module.iter().chain(&path.inside).map(String::as_str).collect();
        let (root, absolute) = match segments.as_slice() {
            ["crate", rest @ ..] => (place.root.clone(), rest.to_vec()),
            ["self", rest @ ..] => (place.root.clone(), [&here, rest].concat()),
            ["super", ..] => {
                let ups = segments.iter().take_while(|segment| **segment == "super").count();
                let parent = here.get(..here.len().checked_sub(ups)?)?;
                (place.root.clone(), [parent, &segments[ups..]].concat())
            }
            [name, rest @ ..] => match self.libraries.get(*name) {
                Some(root) => (root.clone(), rest.to_vec()),
                // A path that begins with a child of this module; only an import can have one here.
                None if path.is_import => {
                    let child = [&here[..], &segments].concat();
                    let found = self.file_of(&place.root, &child)?;
                    return (found.1 > here.len()).then_some(found.0);
                }
                None => return None,
            },
            [] => return None,
        };
        self.file_of(&root, &absolute).map(|(file, _)| file)
    }

    /// The file of the longest module that begins the path from a crate's root, and the length of that module's path.
    fn file_of(&self, root: &str, path: &[&str]) -> Option<(String, usize)> {
        let directory = root.rsplit_once('/').map_or("", |(directory, _)| directory);
        for len in (1..=path.len()).rev() {
            let module = path[..len].join("/");
            let candidates = [format!("{directory}/{module}.rs"), format!("{directory}/{module}/mod.rs")];
            if let Some(file) = candidates.into_iter().find(|file| self.files.contains_key(file)) {
                return Some((file, len));
            }
        }
        self.files.contains_key(root).then(|| (root.to_owned(), 0))
    }
}

/// The name in the `package` section of a manifest.
fn package_name(manifest: &str) -> Option<String> {
    let package = manifest.split("\n[").find(|section| section.trim_start_matches('[').starts_with("package]"))?;
    let name = package.lines().find_map(|line| line.strip_prefix("name = \""))?;
    name.strip_suffix('"').map(str::to_owned)
}

/// The module of a file.
struct Place {
    /// The root of its crate.
    root: String,
    module: Vec<String>,
}

impl Place {
    fn of(file: &str) -> Self {
        let parts: Vec<&str> = file.split('/').collect();
        let at = |name: &str| parts.iter().rposition(|part| *part == name);
        // Each src/bin/NAME/… and src/bin/NAME.rs is a crate of its own, and so is each file in tests, benches and
        // examples.
        let (root, first) =
            match (at("src"), parts.iter().rposition(|part| ["tests", "benches", "examples"].contains(part))) {
                (Some(src), _) if parts.get(src + 1) == Some(&"bin") && parts.len() > src + 3 => {
                    (format!("{}/main.rs", parts[..src + 3].join("/")), src + 3)
                }
                (Some(src), _) => {
                    let root = if parts.get(src + 1..) == Some(&["main.rs"]) { "main.rs" } else { "lib.rs" };
                    (format!("{}/{root}", parts[..=src].join("/")), src + 1)
                }
                (None, Some(tests)) => match parts.len() - tests {
                    2 => (file.to_owned(), parts.len()),
                    _ => (format!("{}/main.rs", parts[..tests + 2].join("/")), tests + 1),
                },
                (None, None) => (file.to_owned(), parts.len()),
            };
        let mut module: Vec<String> =
            parts[first..].iter().map(|part| part.trim_end_matches(".rs").to_owned()).collect();
        if module.last().is_some_and(|last| ["mod", "lib", "main"].contains(&last.as_str())) {
            module.pop();
        }
        Self { root, module }
    }
}

/// A path in the sources.
struct Named {
    segments: Vec<String>,
    line: usize,
    /// The inline modules around the path.
    inside: Vec<String>,
    /// Whether the path stands after `use`.
    is_import: bool,
}

/// Collects the paths of a token stream, with the inline modules around them.
fn collect(tokens: TokenStream, inside: &mut Vec<String>, paths: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    let mut is_import = false;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Ident(word) if *word == "use" => {
                is_import = true;
                at += 1;
            }
            TokenTree::Ident(word) if *word == "mod" => {
                if let (Some(TokenTree::Ident(name)), Some(TokenTree::Group(body))) =
                    (tokens.get(at + 1), tokens.get(at + 2))
                {
                    inside.push(name.to_string());
                    collect(body.stream(), inside, paths);
                    inside.pop();
                    at += 3;
                } else {
                    at += 2;
                }
            }
            TokenTree::Ident(_) => at = path(&tokens, at, &[], is_import, inside, paths),
            TokenTree::Group(group) if is_import && group.delimiter() == Delimiter::Brace => {
                tree(group.stream(), &[], inside, paths);
                at += 1;
            }
            TokenTree::Group(group) => {
                collect(group.stream(), inside, paths);
                at += 1;
            }
            TokenTree::Punct(punct) => {
                is_import &= punct.as_char() != ';';
                at += 1;
            }
            TokenTree::Literal(_) => at += 1,
        }
    }
}

/// Reads one path from its first word, and the paths of the group at its end. Returns the position after it.
fn path(
    tokens: &[TokenTree],
    mut at: usize,
    prefix: &[String],
    is_import: bool,
    inside: &mut Vec<String>,
    paths: &mut Vec<Named>,
) -> usize {
    let mut segments = prefix.to_vec();
    let line = tokens[at].span().start().line;
    loop {
        match tokens.get(at) {
            Some(TokenTree::Ident(word)) => segments.push(word.to_string()),
            Some(TokenTree::Group(group)) if is_import && group.delimiter() == Delimiter::Brace => {
                tree(group.stream(), &segments, inside, paths);
                return at + 1;
            }
            _ => break,
        }
        let colon = |at: usize| matches!(tokens.get(at), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
        if colon(at + 1) && colon(at + 2) {
            at += 3;
        } else {
            at += 1;
            break;
        }
    }
    if segments.len() > 1 {
        paths.push(Named { segments, line, inside: inside.clone(), is_import });
    }
    at
}

/// Reads the paths in the braces of an import.
fn tree(tokens: TokenStream, prefix: &[String], inside: &mut Vec<String>, paths: &mut Vec<Named>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        at = match &tokens[at] {
            // `self` in braces is the module itself.
            TokenTree::Ident(word) if *word == "self" && !prefix.is_empty() => {
                let (segments, line) = (prefix.to_vec(), word.span().start().line);
                paths.push(Named { segments, line, inside: inside.clone(), is_import: true });
                at + 1
            }
            TokenTree::Ident(word) if *word == "as" => at + 2,
            TokenTree::Ident(_) => path(&tokens, at, prefix, true, inside, paths),
            _ => at + 1,
        };
    }
}
