//! Reads unified diffs as mail programs and people change them: quoted, wrapped, with wrong counts.

use super::patch::{Hunk, Line, Patch, name, shown};
use crate::mail::{self, Flow};

/// A line of the text, without the mark of a quotation.
#[derive(Clone, Copy)]
struct Row<'a> {
    /// The number of the line in the text, from 1.
    number: usize,
    text: &'a str,
}

/// Reads the diffs in a text, which can have other text around them.
pub(super) fn read(text: &str, flow: Flow) -> Patch {
    let unstuffed = match flow {
        Flow::Fixed => None,
        Flow::Flowed { .. } => Some(mail::unstuffed(text)),
    };
    let text = unstuffed.as_deref().unwrap_or(text);
    let rows: Vec<Row<'_>> =
        text.lines().zip(1..).map(|(text, number)| Row { number, text: text.trim_end_matches('\r') }).collect();
    let mut patch = Patch::default();
    let marks = marks(&rows);
    for mark in &marks {
        let rows = quoted(&rows, mark, &marks);
        Reader { rows: &rows, flow, is_quoted: !mark.is_empty(), file: None, patch: &mut patch }.read();
    }
    patch.hunks.sort_by_key(|hunk| hunk.line);
    patch.damage.sort();
    patch.notes.sort();
    patch
}

/// The marks that the text can have before its diffs: the empty mark, and the quote marks of quoted diffs.
fn marks<'a>(rows: &[Row<'a>]) -> Vec<&'a str> {
    /// The limit of different quote marks in one text; real mail has fewer.
    const MOST: usize = 16;
    let mut marks = vec![""];
    for (at, row) in rows.iter().enumerate() {
        let Some((mark, _)) = row.text.split_once("@@ -") else { continue };
        // An indented diff begins with the names of its file, also indented; a diff at the margin can be part of a
        // file.
        let begins = |row: &Row<'_>, what| row.text.strip_prefix(mark).is_some_and(|rest| rest.starts_with(what));
        let is_set_in =
            mark.trim().is_empty() && at >= 2 && begins(&rows[at - 2], "--- ") && begins(&rows[at - 1], "+++ ");
        let is_quote = !mark.trim().is_empty() && mail::marks(mark) == mark.trim_end().len();
        if (is_quote || is_set_in) && !marks.contains(&mark) && marks.len() < MOST {
            marks.push(mark);
        }
    }
    marks
}

/// The lines with this mark and no further mark, without the mark; for the empty mark, the lines without a mark.
fn quoted<'a>(rows: &[Row<'a>], mark: &str, marks: &[&str]) -> Vec<Row<'a>> {
    fn inner<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
        // Empty lines are quoted without a space at their end.
        text.strip_prefix(mark).or((text == mark.trim_end()).then_some(""))
    }
    // An indented line can also be text of a file.
    let is_deeper = |other: &&&str| other.len() > mark.len() && other.starts_with(mark) && !other.trim().is_empty();
    let deeper: Vec<&str> = marks.iter().filter(is_deeper).copied().collect();
    let row = |row: &Row<'a>| {
        let text = inner(row.text, mark)?;
        let is_deeper = deeper.iter().any(|deeper| inner(row.text, deeper).is_some())
            || (mark.contains('>') && text.starts_with('>'));
        (!is_deeper).then_some(Row { text, ..*row })
    };
    rows.iter().filter_map(row).collect()
}

/// The numbers before the second `@@` of a hunk's header.
struct Counts {
    old: u64,
    new: u64,
    /// The first line after the change.
    start: u64,
}

struct Reader<'a, 'b> {
    rows: &'b [Row<'a>],
    flow: Flow,
    is_quoted: bool,
    file: Option<String>,
    patch: &'b mut Patch,
}

/// Lines of a hunk, and the row after them.
struct Body {
    lines: Vec<Line>,
    next: usize,
}

impl Body {
    fn counts(&self) -> Counts {
        let count = |other| self.lines.iter().filter(|line| line.sign != other).count() as u64;
        Counts { old: count('+'), new: count('-'), start: 0 }
    }
}

impl<'a> Reader<'a, '_> {
    fn row(&self, at: usize) -> Option<&'a str> {
        self.rows.get(at).map(|row| row.text)
    }

    fn starts(&self, at: usize, what: &str) -> bool {
        self.row(at).is_some_and(|row| row.starts_with(what))
    }

    fn read(&mut self) {
        let mut at = 0;
        while let Some(row) = self.row(at) {
            if let Some((name, next)) = self.names(at) {
                self.file = Some(name);
                at = next;
            } else if row.starts_with("@@@") {
                let message = "a combined diff of a merge cannot be read: send the diff against one parent".to_owned();
                self.patch.damage.push((self.rows[at].number, message));
                at += 1;
            } else if row.starts_with("@@ ") {
                at = self.hunk(at);
            } else {
                if row.starts_with("diff --git ") {
                    // Git leaves the names out when only the mode of a file changes, and people leave them out when
                    // they quote.
                    self.file = row.rsplit_once(" b/").map(|(_, name)| shown(name));
                }
                at += 1;
            }
        }
    }

    /// The file that the lines `---` and `+++` name, and the row after them. Each line can be wrapped once.
    fn names(&self, at: usize) -> Option<(String, usize)> {
        let old = self.row(at)?.strip_prefix("--- ")?;
        for new in at + 1..at + 3 {
            if let Some(name) = self.row(new)?.strip_prefix("+++ ") {
                return Some((self::name(old, name), new + 1));
            }
            if self.starts(new, "@@ ") || self.row(new)?.is_empty() {
                return None;
            }
        }
        None
    }

    /// Whether a line outside of hunks begins here.
    fn is_boundary(&self, at: usize) -> bool {
        const HEADERS: [&str; 5] = ["@@ -", "@@@", "diff --git ", "diff -", "Index: "];
        HEADERS.iter().any(|header| self.starts(at, header)) || self.is_file(at) || self.is_signature(at)
    }

    /// Whether these two lines name a file: a hunk follows, and both lines name the same file. Removed and added lines
    /// of a hunk that begin with `-- ` and `++ ` could look the same.
    fn is_file(&self, at: usize) -> bool {
        let Some((_, next)) = self.names(at).filter(|(_, next)| self.starts(*next, "@@ ")) else { return false };
        let file = |at: usize| {
            let name = self.row(at).and_then(|row| row.get(4..)).unwrap_or_default();
            name.split(['\t', ' ']).next().unwrap_or_default().rsplit('/').next().unwrap_or_default()
        };
        let (old, new) = (file(at), file(next - 1));
        old == new || old == "null" || new == "null"
    }

    /// Whether the signature of a mail begins here; programs that send patches end each mail with a signature.
    fn is_signature(&self, at: usize) -> bool {
        self.row(at).is_some_and(|row| row.trim_end() == "--") && self.row(at + 1).is_some_and(|next| !is_line(next))
    }

    /// Whether a hunk must end here, unless its header promises more lines.
    fn is_end(&self, at: usize) -> bool {
        const SEPARATORS: [&str; 2] = ["--", "---"];
        self.is_boundary(at) || self.row(at).is_none_or(|row| SEPARATORS.contains(&row.trim_end()))
    }

    /// Reads the hunk whose header is here, and returns the row after it.
    fn hunk(&mut self, at: usize) -> usize {
        let number = self.rows[at].number;
        let (header, first) = self.header(at);
        let counts = ranges(&header);
        let heading = header.split_once(" @@").map_or("", |(_, heading)| heading.trim());
        // A file that is deleted has no lines after the change.
        let start = counts.as_ref().map(|counts| counts.start).filter(|start| *start > 0);
        let exact = counts.as_ref().and_then(|counts| self.exact(first, counts));
        let is_exact = exact.is_some();
        let mut body = exact.unwrap_or(Body { lines: vec![], next: first });
        if !is_exact || self.goes_on(body.next) {
            self.structural(&mut body);
        }
        let next = body.next;
        match counts {
            // Replies often cut the file names away; the function in the header is enough.
            _ if self.file.is_none() => {
                let message = "this hunk has no `---` and `+++` lines before it".to_owned();
                let told = if self.is_quoted { &mut self.patch.notes } else { &mut self.patch.damage };
                told.push((number, message));
            }
            None => {
                let message = format!("this is no header of a hunk: {}", shown(&header));
                let lost = if body.lines.is_empty() { &mut self.patch.damage } else { &mut self.patch.notes };
                lost.push((number, message));
            }
            _ if self.is_of_words(first, &body) => {
                let message = "this hunk has no lines that begin with + or -, as of git diff --word-diff, which cannot be \
                               read: make the diff without that";
                self.patch.damage.push((number, message.to_owned()));
                return next;
            }
            Some(Counts { old, new, .. }) => {
                let found = body.counts();
                if (found.old, found.new) == (old, new) {
                } else if (found.old < old || found.new < new) && !self.is_whole(next) {
                    let (old, new) = (old.saturating_sub(found.old), new.saturating_sub(found.new));
                    let message = format!("this hunk ends early: {old} old and {new} new lines are missing");
                    self.patch.damage.push((number, message));
                } else {
                    let message = format!(
                        "the header says that this hunk has {old} old and {new} new lines, and it has {} and {}",
                        found.old, found.new
                    );
                    self.patch.notes.push((number, message));
                }
            }
        }
        if !body.lines.is_empty() {
            let file = self.file.clone();
            let (heading, header) = (shown(heading), shown(&header));
            let hunk = Hunk { file, line: number, heading, header, start, lines: body.lines };
            self.patch.hunks.push(hunk);
        }
        next
    }

    /// Whether the diff marks words instead of lines. The changes may have been cut from a quoted hunk.
    fn is_of_words(&self, first: usize, body: &Body) -> bool {
        let mut rows = (first..body.next).filter_map(|at| self.row(at));
        let is_changed = body.lines.iter().any(Line::is_change);
        let marks = |line: &Line| line.text.contains("[-") || line.text.contains("{+");
        let is_porcelain = rows.any(|row| row == "~");
        is_porcelain || (!is_changed && !body.lines.is_empty() && (!self.is_quoted || body.lines.iter().any(marks)))
    }

    /// Whether a hunk that ends here is complete, or was shortened by a person, and the text was not cut off.
    fn is_whole(&self, at: usize) -> bool {
        let mut after = at;
        while self.row(after).is_some_and(str::is_empty) {
            after += 1;
        }
        // A mail that continues with words was not cut off.
        let goes_on = after > at && self.row(after).is_some_and(|row| !is_line(row));
        self.is_quoted || (!self.starts(after, "@@@") && (goes_on || (self.row(at).is_some() && self.is_boundary(at))))
    }

    /// The header, joined again if it was wrapped, and the row after it.
    fn header(&self, at: usize) -> (String, usize) {
        /// The heading of a hunk is not longer than this many lines.
        const WRAPPED: usize = 3;
        let mut header = self.row(at).unwrap_or_default().to_owned();
        let mut next = at + 1;
        while let Some(row) = self.row(next).filter(|row| next <= at + WRAPPED && !row.is_empty()) {
            let is_whole = header.matches("@@").count() >= 2;
            if (is_whole && is_line(row))
                || (self.is_boundary(next) && !row.starts_with("@@ "))
                || row.starts_with("@@ -")
            {
                break;
            }
            self.join(&mut header, row);
            next += 1;
        }
        (header, next)
    }

    /// Adds the text that was on this line before wrapping.
    fn join(&self, line: &mut String, rest: &str) {
        match self.flow {
            Flow::Flowed { del_sp: true } if line.ends_with(' ') => drop(line.pop()),
            Flow::Fixed if !line.ends_with(' ') => line.push(' '),
            _ => {}
        }
        line.push_str(rest);
    }

    /// The lines that the header promises, if one of the ways to wrap lines yields them.
    fn exact(&self, first: usize, counts: &Counts) -> Option<Body> {
        let ways: &[bool] = if self.flow == Flow::Fixed { &[false] } else { &[false, true] };
        ways.iter().find_map(|soft| self.exactly(first, counts, *soft))
    }

    /// Like `exact`, for one way of wrapping: with `soft`, a line that ends in a space continues in the next line,
    /// however that begins.
    fn exactly(&self, first: usize, &Counts { mut old, mut new, .. }: &Counts, soft: bool) -> Option<Body> {
        let mut body = Body { lines: vec![], next: first };
        while old > 0 || new > 0 {
            let row = self.row(body.next).filter(|_| !self.is_boundary(body.next))?;
            if !is_line(row) || (soft && body.lines.last().is_some_and(|line| line.text.ends_with(' '))) {
                self.join(&mut body.lines.last_mut()?.text, &shown(row));
                body.next += 1;
                continue;
            }
            match row.chars().next().unwrap_or(' ') {
                '-' if old > 0 => old -= 1,
                '+' if new > 0 => new -= 1,
                ' ' | '\t' if old > 0 && new > 0 => (old, new) = (old - 1, new - 1),
                '\\' => {}
                _ => return None,
            }
            body.lines.extend(line(row));
            body.next += 1;
        }
        // The last line can be wrapped, too; only in flowed text is the next line known to belong to it.
        while self.flow != Flow::Fixed
            && let Some(last) = body.lines.last_mut().filter(|line| line.text.ends_with(' ') && line.sign != ' ')
            && let Some(row) = self.row(body.next).filter(|row| !row.is_empty() && !is_line(row))
            && !self.is_boundary(body.next)
        {
            self.join(&mut last.text, &shown(row));
            body.next += 1;
        }
        if self.starts(body.next, "\\") {
            body.next += 1;
        }
        Some(body)
    }

    /// Whether more lines follow than the header promises: directly, or before the next hunk of the file.
    fn goes_on(&self, at: usize) -> bool {
        let is_more = |at: usize| self.row(at).is_some_and(|row| !row.is_empty() && is_line(row)) && !self.is_end(at);
        let mut end = at;
        while self.row(end).is_some_and(is_line) && !self.is_end(end) {
            end += 1;
        }
        is_more(at) || ((at..end).any(is_more) && self.starts(end, "@@ -"))
    }

    /// Adds the lines up to the first line that cannot be a part of the hunk.
    fn structural(&self, body: &mut Body) {
        while let Some(row) = self.row(body.next).filter(|_| !self.is_end(body.next)) {
            if row.is_empty() {
                // An empty line counts as a line of the hunk (that lost its space) only if the hunk continues after it.
                let mut after = body.next;
                while self.row(after).is_some_and(str::is_empty) {
                    after += 1;
                }
                if !self.row(after).is_some_and(is_line) || self.is_end(after) {
                    break;
                }
            }
            if is_line(row) {
                body.lines.extend(line(row));
            } else if let Some(last) = body.lines.last_mut()
                && self.row(body.next + 1).is_some_and(|next| !next.is_empty() && is_line(next))
                && !self.is_end(body.next + 1)
            {
                self.join(&mut last.text, &shown(row));
            } else {
                break;
            }
            body.next += 1;
        }
    }
}

/// Whether a line of a hunk can begin this way. Mail programs drop the space of an empty line.
fn is_line(row: &str) -> bool {
    row.is_empty() || row.starts_with([' ', '\t', '+', '-', '\\'])
}

/// The line of a hunk; `None` for the line that says that a file has no newline at its end.
fn line(row: &str) -> Option<Line> {
    let sign = row.chars().next().unwrap_or(' ');
    match sign {
        '\\' => None,
        '\t' => Some(Line { sign: ' ', text: shown(row) }),
        sign => Some(Line { sign, text: shown(row.get(1..).unwrap_or_default()) }),
    }
}

/// The numbers of old and new lines, and where the new ones begin.
fn ranges(header: &str) -> Option<Counts> {
    let (ranges, _) = header.strip_prefix("@@ -")?.split_once(" @@")?;
    let (old, new) = ranges.split_once(" +")?;
    let range = |range: &str| -> Option<(u64, u64)> {
        let (start, count) = range.split_once(',').unwrap_or((range, "1"));
        Some((start.parse().ok()?, count.parse().ok()?))
    };
    let ((_, old), (start, new)) = (range(old)?, range(new)?);
    Some(Counts { old, new, start })
}

/// The kind of a text without a unified diff, if it can be recognized.
pub(super) fn kind(text: &str) -> Option<&'static str> {
    let any = |is: &dyn Fn(&str) -> bool| text.lines().any(is);
    let is_normal = |line: &str| {
        let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b',');
        line.split_once(['a', 'c', 'd']).is_some_and(|(old, new)| number(old) && number(new))
    };
    let kinds: [(bool, &str); 5] = [
        (text.contains("\n***************\n"), "this is a context diff (diff -c)"),
        (
            any(&|line| line.starts_with("diff --git ")),
            "this diff changes no lines (names, modes and binary files have none)",
        ),
        (
            any(&is_normal) && any(&|line| line.starts_with("< ") || line.starts_with("> ")),
            "this is a diff without names and context",
        ),
        (any(&|line| line.contains(" file") && line.contains(" changed, ")), "this is only a list of changed files"),
        (text.contains('\0'), "these are binary data"),
    ];
    kinds.iter().find(|(is, _)| *is).map(|(_, what)| *what)
}
