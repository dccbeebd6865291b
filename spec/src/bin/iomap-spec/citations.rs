//! The citations in a mail, a patch or a chapter, and whether they are right.

use iomap_spec::{Clause, Diagnostic, Source, Spec};
use regex::{Captures, Regex};
use std::ops::Range;

/// A citation as `cite` prints it: in a sentence, above the text, or as an address in the book. White space between its
/// parts can be a new line, since mail is filled.
const FORMS: [&str; 3] = [
    r"(?<page>[A-Za-z][\w.-]*\([1-8][a-z]*\))\s+(?<id>ID)\s+\((?<version>\d[\d.]*),\s+(?<hash>[0-9A-Za-z]+)\)",
    r"(?m)^[ \t]*(?<id>ID)\s+\((?<level>must|should|may)\)\s+(?<page>[A-Za-z][\w.-]*\([1-8][a-z]*\))\s+(?<version>\d[\d.]*)\s+(?<hash>[0-9A-Za-z]+)[ \t]*$",
    r"/(?<title>[A-Za-z][\w.-]*)\.(?<section>[1-8][a-z]*)\.html\?(?<hash>[0-9A-Za-z]+)#(?<id>ID)",
];
const ID: &str = r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+";

/// What stands between quoted words that are left out.
const ELISIONS: [&str; 3] = ["[...]", "[…]", "…"];

/// What was found in one text.
pub(crate) struct Checked {
    pub(crate) source: Source,
    pub(crate) citations: usize,
    pub(crate) findings: Vec<Diagnostic>,
}

/// Looks for citations of clauses in `source` and compares them with the pages.
pub(crate) fn check(spec: &Spec, source: Source) -> Checked {
    let text = Unquoted::new(&source.text);
    let mut findings = vec![];
    let mut citations = 0;
    for form in FORMS {
        // The forms are constants, and a test uses each.
        let form = Regex::new(&form.replace("ID", ID)).expect("the forms are regular expressions");
        for cited in form.captures_iter(&text.text) {
            citations += 1;
            for (at, code, message, mend) in judge(spec, &text.text, &cited) {
                let (start, end) = (text.in_source(at.start), text.in_source(at.end - 1) + 1);
                let (line, column) = source.position(start);
                let spanned = source.text.get(start..end).unwrap_or_default();
                let length = spanned.lines().next().map_or(1, |line| line.chars().count().max(1));
                findings.push(Diagnostic { file: source.file.clone(), line, column, length, code, message, mend });
            }
        }
    }
    findings.sort_by_key(|finding| (finding.line, finding.column));
    Checked { source, citations, findings }
}

type Finding = (Range<usize>, &'static str, String, String);

fn judge(spec: &Spec, text: &str, cited: &Captures<'_>) -> Vec<Finding> {
    let range = |name| cited.name(name).map(|it| it.range()).unwrap_or_default();
    let id = &cited["id"];
    let Some(clause) = spec.clause(id) else {
        return vec![(
            range("id"),
            "unknown-citation",
            format!("no clause has the id `{id}`"),
            crate::index::hint(spec, id),
        )];
    };
    let hash = &cited["hash"];
    let (title, section) = clause.page.split_once('(').unwrap_or((&clause.page, ""));
    // The hash covers the level: with an older one, an older level is right.
    let level = if hash == clause.hash { clause.level.as_str() } else { "" };
    let facts =
        [("page", &*clause.page), ("title", title), ("section", section.trim_end_matches(')')), ("level", level)];
    let wrong = facts.into_iter().filter_map(|(name, right)| {
        let said = cited.name(name).filter(|said| said.as_str() != right && !right.is_empty())?;
        let message = format!("`{id}` is cited with {name} {}", said.as_str());
        Some((said.range(), "misquotation", message, format!("the {name} is {right}")))
    });
    let mut findings: Vec<Finding> = wrong.collect();
    if hash != clause.hash {
        let message = format!("`{id}` is cited as {hash}, and is {} in version {} now", clause.hash, spec.version);
        let mend = format!("see whether this still serves, and cite it again: {}", clause.text);
        findings.push((range("hash"), "stale-citation", message, mend));
        return findings;
    }
    let whole = cited.get_match().range();
    if let Some(quoted) = quotation(text, &whole).filter(|quoted| !quotes(&text[quoted.clone()], clause)) {
        let mend = format!("it says: {}", clause.text);
        findings.push((quoted, "misquotation", format!("this is not what `{id}` says"), mend));
    }
    findings
}

/// The words that are quoted with the citation at `cited`: set in below it, or above it where it ends a quotation.
fn quotation(text: &str, cited: &Range<usize>) -> Option<Range<usize>> {
    let line_start = text[..cited.start].rfind('\n').map_or(0, |at| at + 1);
    let before = text[line_start..cited.start].trim_start();
    if before.is_empty() {
        // The lines that are set in further, up to one that is not, or is empty, or has the address.
        let indent = |line: &str| line.len() - line.trim_start().len();
        let outer = cited.start - line_start;
        let first = cited.end + text[cited.end..].find(|c: char| !c.is_whitespace())?;
        let start = text[..first].rfind('\n').map_or(0, |at| at + 1);
        let quoted = text[start..]
            .split_inclusive('\n')
            .take_while(|line| indent(line) > outer && !line.trim().is_empty() && !line.trim_start().starts_with('<'));
        let length: usize = quoted.map(str::len).sum();
        return (length > 0).then(|| first..start + length);
    }
    // "— [" or "-- " after an empty line.
    let dash = before.trim_end_matches('[').trim_end();
    let above = text[..line_start].strip_suffix("\n\n").filter(|_| ["—", "--"].contains(&dash))?;
    Some(above.rfind("\n\n").map_or(0, |at| at + 2)..above.len())
}

/// Whether these are the clause's words, but for emphasis and for what is left out openly.
fn quotes(quoted: &str, clause: &Clause) -> bool {
    let words = |text: &str| -> Vec<String> {
        let bare = text.replace(['*', '`', '_', '[', ']', '\\'], "");
        bare.split_whitespace().map(str::to_owned).collect()
    };
    let elided = ELISIONS.iter().fold(quoted.to_owned(), |text, elision| text.replace(elision, "\0"));
    let said = words(&clause.text);
    let mut from = 0;
    let parts: Vec<Vec<String>> = elided.split('\0').map(words).collect();
    let whole = parts.len() == 1;
    parts.iter().all(|part| {
        if part.is_empty() {
            return true;
        }
        let found = (from..=said.len().saturating_sub(part.len())).find(|&at| said[at..].starts_with(part));
        from = found.map_or(from, |at| at + part.len());
        found.is_some()
    }) && (!whole || parts[0].len() == said.len())
}

/// A text without the marks of quoting in mail and of added lines in a patch.
struct Unquoted {
    text: String,
    /// For each line its start here and where that is in the source.
    lines: Vec<(usize, usize)>,
}

impl Unquoted {
    fn new(source: &str) -> Unquoted {
        let mut unquoted = Unquoted { text: String::new(), lines: vec![] };
        let mut at = 0;
        for line in source.split_inclusive('\n') {
            let bare = line.trim_end();
            let mut rest = bare.strip_prefix(['+', '-']).filter(|rest| !rest.starts_with(['-', '+'])).unwrap_or(bare);
            while let Some(inner) = rest.trim_start().strip_prefix('>') {
                rest = inner.strip_prefix(' ').unwrap_or(inner);
            }
            unquoted.lines.push((unquoted.text.len(), at + (bare.len() - rest.len())));
            unquoted.text += rest;
            unquoted.text.push('\n');
            at += line.len();
        }
        unquoted
    }

    fn in_source(&self, at: usize) -> usize {
        let line = self.lines.partition_point(|(start, _)| *start <= at).saturating_sub(1);
        self.lines.get(line).map_or(0, |(here, there)| there + (at - here))
    }
}
