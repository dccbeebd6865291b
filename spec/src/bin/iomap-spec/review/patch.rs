//! Unified diffs from any input: a part that cannot be parsed is skipped and reported, and never stops the reader.

/// The changes of one mail or one file.
#[derive(Debug, Default)]
pub(super) struct Patch {
    /// The subject of the mail.
    pub(super) subject: Option<String>,
    pub(super) hunks: Vec<Hunk>,
    /// Damaged places, each with its line in the decoded text.
    pub(super) damage: Vec<(usize, String)>,
    /// Faults of a patch that could be read completely, each with its line.
    pub(super) notes: Vec<(usize, String)>,
}

/// The name in a diff for a missing file.
const NO_FILE: &str = "/dev/null";

#[derive(Debug)]
pub(super) struct Hunk {
    /// The name of the file after the change, or before it if the file is deleted. Replies often leave it out.
    pub(super) file: Option<String>,
    /// The line of the header in the decoded text, from 1.
    pub(super) line: usize,
    pub(super) header: String,
    /// The first line of the hunk in the file after the change, if the header says it and the file still exists.
    pub(super) start: Option<u64>,
    /// The text of the header after the second `@@`.
    pub(super) heading: String,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Line {
    /// The first character of the line: ' ', '+' or '-'.
    pub(super) sign: char,
    pub(super) text: String,
}

impl Line {
    pub(super) fn is_change(&self) -> bool {
        self.sign != ' '
    }
}

/// The file in a source tree that the lines `---` and `+++` name: `a/fs/open.c<TAB>2026-01-01` is `fs/open.c`.
pub(super) fn name(old: &str, new: &str) -> String {
    // Git quotes names with unusual characters; no file in the table has such a name.
    let bare = |field: &str| field.split('\t').next().unwrap_or(field).trim_end().trim_matches('"').to_owned();
    let (old, new) = (bare(old), bare(new));
    let name = if new == NO_FILE { &old } else { &new };
    match name.split_once('/') {
        // This is the form of git diff --no-prefix, with two equal names.
        _ if old == new => shown(name),
        Some((_, rest)) if !rest.is_empty() => shown(rest),
        _ => shown(name),
    }
}

/// The text without control characters, which would act on a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A function definition, or that of a system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Definition {
    pub(super) name: String,
    pub(super) is_syscall: bool,
}

/// The function whose definition begins on this line, which is also the form of a hunk's heading.
pub(super) fn definition(line: &str) -> Option<Definition> {
    if !line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') || line.trim_end().ends_with(';') {
        return None;
    }
    let (before, after) = line.split_once('(')?;
    if before.contains(['=', '"', ':', '.', '>']) {
        return None;
    }
    let name = before.rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
    let digits = name.strip_prefix("COMPAT_").unwrap_or(name).strip_prefix("SYSCALL_DEFINE");
    let syscall = digits.filter(|digits| digits.chars().all(|c| c.is_ascii_digit())).and_then(|_| words(after).next());
    match (syscall, name) {
        (Some(name), _) => Some(Definition { name: name.to_owned(), is_syscall: true }),
        (None, "" | "if" | "for" | "while" | "switch" | "return" | "sizeof" | "__attribute__") => None,
        (None, name) => Some(Definition { name: name.to_owned(), is_syscall: false }),
    }
}

/// Whether the line is outside of functions: inside, only labels and preprocessor lines begin in the first column.
fn is_outside(line: &str) -> bool {
    let is_label = line.trim_end().ends_with(':');
    let is_declaration = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !is_label;
    is_declaration || line.starts_with("/*") || line.starts_with(" *")
}

/// The identifiers in the text.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

impl Hunk {
    /// The functions whose lines change, in order, each with the index of its first changed line.
    pub(super) fn changed(&self) -> Vec<(Definition, usize)> {
        let mut changed: Vec<(Definition, usize)> = vec![];
        let mut current = definition(&self.heading);
        for (at, line) in self.lines.iter().enumerate() {
            current = match definition(&line.text) {
                None if is_outside(&line.text) => None,
                found => found.or(current),
            };
            if line.is_change()
                && let Some(function) = &current
                && !changed.iter().any(|(known, _)| known == function)
            {
                changed.push((function.clone(), at));
            }
            if line.text.starts_with('}') {
                current = None;
            }
        }
        changed
    }

    /// The index of the first changed line.
    pub(super) fn first_change(&self) -> usize {
        self.lines.iter().position(Line::is_change).unwrap_or_default()
    }

    /// The line with this index, in the file after the change; for a removed line, the line that follows it there.
    pub(super) fn new_line(&self, at: usize) -> Option<u64> {
        let before = self.lines.iter().take(at).filter(|line| line.sign != '-').count() as u64;
        self.start?.checked_add(before)
    }

    /// The place of the line with this index, as compilers write it: `fs/open.c:263`.
    pub(super) fn place(&self, at: usize) -> Option<String> {
        Some(format!("{}:{}", self.file.as_ref()?, self.new_line(at)?))
    }
}
