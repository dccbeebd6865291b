//! Unified diffs, read from anything: what cannot be understood is left out and told, never a reason to stop.

/// What one mail or one file changes.
#[derive(Debug, Default)]
pub(super) struct Patch {
    /// The subject of the mail.
    pub(super) subject: Option<String>,
    pub(super) hunks: Vec<Hunk>,
    /// What is damaged, with the line of the decoded text.
    pub(super) damage: Vec<(usize, String)>,
}

/// What a diff names where there is no file.
const NO_FILE: &str = "/dev/null";

#[derive(Debug)]
pub(super) struct Hunk {
    /// The file as it is named after the change, or before it if it is deleted.
    pub(super) file: String,
    /// The line of the header in the decoded text, from 1.
    pub(super) line: usize,
    pub(super) header: String,
    /// What stands in the header after the second `@@`.
    pub(super) heading: String,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug)]
pub(super) struct Line {
    /// ' ', '+' or '-'.
    pub(super) sign: char,
    pub(super) text: String,
}

impl Line {
    pub(super) fn is_change(&self) -> bool {
        self.sign != ' '
    }
}

/// Reads the diffs in a text that can have anything else around them.
pub(super) fn read(text: &str) -> Patch {
    let mut patch = Patch::default();
    let mut file: Option<String> = None;
    let mut lines = text.lines().map(|line| line.trim_end_matches('\r')).enumerate().peekable();
    while let Some((at, line)) = lines.next() {
        if let Some(old) = line.strip_prefix("--- ") {
            let Some(new) = lines.peek().and_then(|(_, next)| next.strip_prefix("+++ ")) else { continue };
            file = Some(name(old, new));
            lines.next();
        } else if line.starts_with("diff --git ") {
            file = None;
        } else if line.starts_with("@@@") {
            let message = "a combined diff of a merge cannot be read: send the diff against one parent".to_owned();
            patch.damage.push((at + 1, message));
        } else if line.starts_with("@@ ") {
            let Some((old, new, heading)) = ranges(line) else {
                patch.damage.push((at + 1, format!("this is no header of a hunk: {}", shown(line))));
                continue;
            };
            let (mut old, mut new) = (old, new);
            let mut hunk = Hunk {
                file: file.clone().unwrap_or_default(),
                line: at + 1,
                header: shown(line),
                heading: shown(heading),
                lines: vec![],
            };
            while old > 0 || new > 0 {
                let Some((_, line)) = lines.peek() else { break };
                // Mail programs drop the space of an empty context line.
                let sign = line.chars().next().unwrap_or(' ');
                match sign {
                    ' ' | '\t' if old > 0 && new > 0 => (old, new) = (old - 1, new - 1),
                    '-' if old > 0 => old -= 1,
                    '+' if new > 0 => new -= 1,
                    '\\' => {}
                    _ => break,
                }
                if sign != '\\' {
                    let text = if sign == '\t' { line } else { line.get(1..).unwrap_or_default() };
                    hunk.lines.push(Line { sign: if sign == '\t' { ' ' } else { sign }, text: shown(text) });
                }
                lines.next();
            }
            if old > 0 || new > 0 {
                let message = format!("this hunk ends early: {old} old and {new} new lines are missing");
                patch.damage.push((at + 1, message));
            }
            match file {
                Some(_) => patch.hunks.push(hunk),
                None => patch.damage.push((at + 1, "this hunk has no `---` and `+++` lines before it".to_owned())),
            }
        }
    }
    patch
}

/// The file in a source tree that the lines `---` and `+++` name: `a/fs/open.c<TAB>2026-01-01` is `fs/open.c`.
fn name(old: &str, new: &str) -> String {
    // Git quotes names with unusual letters, which no file of a table has.
    let bare = |field: &str| field.split('\t').next().unwrap_or(field).trim_end().trim_matches('"').to_owned();
    let (old, new) = (bare(old), bare(new));
    let name = if new == NO_FILE { &old } else { &new };
    match name.split_once('/') {
        // As of git diff --no-prefix, whose names are the same.
        _ if old == new => shown(name),
        Some((_, rest)) if !rest.is_empty() => shown(rest),
        _ => shown(name),
    }
}

/// The numbers of old and new lines, and what stands after them.
fn ranges(header: &str) -> Option<(u64, u64, &str)> {
    let (ranges, heading) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let count = |range: &str| match range.split_once(',') {
        Some((start, count)) => start.parse::<u64>().ok().and(count.parse().ok()),
        None => range.parse::<u64>().ok().map(|_| 1),
    };
    Some((count(old)?, count(new)?, heading.trim()))
}

/// Nothing in it acts on a terminal.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

/// A function, or a system call.
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

/// Whether the line stands between functions: in one, only labels and preprocessor lines begin at the left.
fn is_outside(line: &str) -> bool {
    let is_label = line.trim_end().ends_with(':');
    let is_declaration = line.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && !is_label;
    is_declaration || line.starts_with("/*") || line.starts_with(" *")
}

/// Identifiers.
pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

impl Hunk {
    /// The functions whose lines change, in order.
    pub(super) fn changed(&self) -> Vec<Definition> {
        let mut changed: Vec<Definition> = vec![];
        let mut current = definition(&self.heading);
        for line in &self.lines {
            current = match definition(&line.text) {
                None if is_outside(&line.text) => None,
                found => found.or(current),
            };
            if line.is_change()
                && let Some(function) = &current
                && !changed.contains(function)
            {
                changed.push(function.clone());
            }
            if line.text.starts_with('}') {
                current = None;
            }
        }
        changed
    }
}
