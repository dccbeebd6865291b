//! Checks the citations in a mail, a patch or a chapter.

use crate::mail;
use crate::quotation::{self, Quotation};
use iomap_spec::{Clause, Diagnostic, Source, Spec};
use iomap_vocabulary::family;
use regex::{Captures, Regex};
use std::ops::Range;

/// A citation as `cite` prints it: in a sentence, above the text, or as an address in the book. White space between its
/// parts can be a newline, because mail is filled, and words can be emphasised.
const FORMS: [&str; 3] = [
    r"(?<page>PAGE)SEP(?<id>ID)SEP\((?<version>\d[\d.]*),\s+(?<hash>[0-9A-Za-z]+)\)",
    r"\b(?<id>ID)SEP\((?<level>must|should|may)\)SEP(?<page>PAGE)SEP(?<version>\d[\d.]*)\s+(?<hash>[0-9a-f]{8}|\w*\d\w*)\b",
    r"/(?<title>[A-Za-z][\w.-]*)\.(?<section>[1-8][a-z]*)\.html\?(?<hash>[0-9A-Za-z]+)#(?<id>ID)",
];

/// Text that is probably a broken citation: parts of one, close together.
const LIKE: [&str; 7] = [
    r"\b(?<id>ID)SEP?\((?i-u:must|should|may)\)[^()]{0,40}(?<page>PAGE)(?:SEP[\w.]+){0,2}",
    r"\b(?<id>ID)SEP?\((?i-u:must|should|may)\)\s+(?:v?\d[\d.]*\s+[0-9A-Fa-f]{4,}|[0-9A-Fa-f]{8}\b)",
    r"(?<page>PAGE),?SEP(?<id>ID),?SEP?[(\[]?v?\d+\.\d[\w.,;: …-]{0,40}[)\]]?",
    r"\b(?<id>ID)SEP?[(\[]v?\d+\.\d+[,;:\s]+[0-9A-Fa-f]{4,}[.…]*[)\]]?",
    r"/(?<title>[A-Za-z][\w.-]*)\.[1-8][a-z]*\.html\?[^\s#>)]*(?:#(?<id>ID))?",
    // The citation of a clause whose name is too misspelled to be an id.
    r"(?<page>PAGE)SEPv?\d[\d.]*,?\s+[0-9A-Fa-f]{8}\b",
    r"(?<page>PAGE),?SEP[!-~]{1,60}SEP?[(\[]v?\d[\d.]*[,;:\s]+[0-9A-Fa-f]{8}[)\]]",
];

/// Parts of the patterns above.
const PARTS: [(&str, &str); 3] = [
    ("PAGE", r"[A-Za-z][\w.-]*\([1-8][a-z]*\)"),
    ("SEP", r"(?:[*`]*\s+[*`]*)"),
    ("ID", r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)+"),
];

/// Hex digits of a hash.
const HASH: usize = 8;

fn pattern(form: &str) -> Regex {
    let form = PARTS.iter().fold(form.to_owned(), |form, (name, part)| form.replace(name, part));
    // The forms are constants, and a test uses each of them.
    Regex::new(&form).expect("the forms are regular expressions")
}

/// The citations found in one text.
pub(crate) struct Checked {
    pub(crate) source: Source,
    pub(crate) citations: usize,
    pub(crate) findings: Vec<Diagnostic>,
}

/// Looks for citations of clauses in `source` and compares them with the pages.
pub(crate) fn check(spec: &Spec, source: Source) -> Checked {
    let text = Unquoted::new(&source.text);
    let forms = FORMS.map(pattern);
    let mut cited: Vec<Captures<'_>> = forms.iter().flat_map(|form| form.captures_iter(&text.text)).collect();
    cited.sort_by_key(|cited| cited.get_match().start());
    let starts: Vec<usize> = cited.iter().map(|cited| cited.get_match().start()).collect();
    let mut found = vec![];
    for (number, cited) in cited.iter().enumerate() {
        let limit = starts.get(number + 1).copied().unwrap_or(text.text.len());
        found.extend(judge(spec, &text.text, cited, limit));
    }
    let ranges: Vec<Range<usize>> = cited.iter().map(|cited| cited.get_match().range()).collect();
    found.extend(alike(spec, &text.text, ranges));
    let finding = |(at, code, message, mend): Finding| {
        let (start, end) = (text.in_source(at.start), text.in_source(at.end - 1) + 1);
        let (line, column) = source.position(start);
        let spanned = source.text.get(start..end).unwrap_or_default();
        let length = spanned.lines().next().map_or(1, |line| line.chars().count().max(1));
        Diagnostic { file: source.file.clone(), line, column, length, code, message, mend }
    };
    let mut findings: Vec<Diagnostic> = found.into_iter().map(finding).collect();
    findings.sort_by_key(|finding| (finding.line, finding.column));
    Checked { citations: cited.len(), findings, source }
}

type Finding = (Range<usize>, &'static str, String, String);

fn judge(spec: &Spec, text: &str, cited: &Captures<'_>, limit: usize) -> Vec<Finding> {
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
    let is_former = hash == clause.former_hash();
    let is_now = hash == clause.hash || is_former;
    let (title, section) = clause.page.split_once('(').unwrap_or((&clause.page, ""));
    // The hash covers the level, so a citation of an old hash rightly has an old level.
    let level = if is_now { clause.level.as_str() } else { "" };
    let facts =
        [("page", &*clause.page), ("title", title), ("section", section.trim_end_matches(')')), ("level", level)];
    let wrong = facts.into_iter().filter_map(|(name, right)| {
        let said = cited.name(name).filter(|said| said.as_str() != right && !right.is_empty())?;
        let message = format!("`{id}` is cited with {name} {}", said.as_str());
        Some((said.range(), "misquotation", message, format!("the {name} is {right}")))
    });
    let mut findings: Vec<Finding> = wrong.collect();
    // A citation may be of an old text. But its version must not be older than the clause or newer than its
    // specification.
    if let Some(version) = cited.name("version").filter(|said| is_now && !is_between(said.as_str(), clause, spec)) {
        let message = format!("`{id}` is cited with version {}", version.as_str());
        findings.push((version.range(), "misquotation", message, format!("the version is {}", spec.version)));
    }
    let whole = cited.get_match().range();
    let quoted = match cited.name("level") {
        Some(_) => quotation::below(text, &whole, limit, clause),
        None => quotation::above(text, &whole, clause),
    };
    if is_former {
        let message =
            format!("`{id}` is cited as {hash}, its hash by the former scheme, with the present level and text");
        findings.push((range("hash"), "former-hash", message, format!("its hash is {} now", clause.hash)));
    }
    if !is_now {
        let message = format!("`{id}` is cited as {hash}, and is {} in version {} now", clause.hash, spec.version);
        let is_cut = hash.len() != HASH || !hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        findings.push(match quoted {
            _ if is_cut => {
                let message = format!("`{id}` is cited as {hash}, which is no whole hash: {HASH} hex digits");
                (range("hash"), "broken-citation", message, format!("its hash is {}", clause.hash))
            }
            Quotation::Right => (range("hash"), "stale-citation", message, "its words are the present ones".to_owned()),
            _ => {
                let mend = format!("see whether this still serves, and cite it again: {}", clause.text);
                (range("hash"), "stale-citation", message, mend)
            }
        });
    }
    if let Quotation::Wrong(at) = quoted {
        let now = if is_now { "" } else { " now" };
        let mend = format!("it says: {}", clause.text);
        findings.push((at, "misquotation", format!("this is not what `{id}` says{now}"), mend));
    }
    findings
}

/// Whether this version has the clause, as far as is known.
fn is_between(version: &str, clause: &Clause, spec: &Spec) -> bool {
    let parts = |version: &str| -> Option<Vec<u64>> { version.split('.').map(|part| part.parse().ok()).collect() };
    match (parts(version), parts(&clause.since), parts(&spec.version)) {
        (Some(version), Some(first), Some(last)) => first <= version && version <= last,
        _ => version == spec.version,
    }
}

/// Finds texts that look like citations but cannot be read as one. The citations at `known` are left out.
fn alike(spec: &Spec, text: &str, mut known: Vec<Range<usize>>) -> Vec<Finding> {
    let mut findings = vec![];
    for form in LIKE.map(pattern) {
        for like in form.captures_iter(text) {
            let at = like.get_match().range();
            let id = like.name("id").map(|id| id.as_str());
            let is_ours = id.is_some_and(|id| is_known(spec, id))
                || spec.pages.iter().any(|page| {
                    let is = |name: &str, right: &str| like.name(name).is_some_and(|said| said.as_str() == right);
                    is("page", &page.reference()) || is("title", &page.title)
                });
            if !is_ours || known.iter().any(|other| other.start < at.end && at.start < other.end) {
                continue;
            }
            let (of, mend) = match (id, id.and_then(|id| spec.clause(id))) {
                (Some(id), Some(clause)) => {
                    (format!(" of `{id}`"), format!("write {}", iomap_spec::text::cite_on_one_line(spec, clause)))
                }
                (Some(id), None) => (format!(" of `{id}`"), crate::index::hint(spec, id)),
                (None, _) => (String::new(), "take it from `iomap-spec cite`".to_owned()),
            };
            let message = format!("this looks like a citation{of}, and cannot be read as one");
            known.push(at.clone());
            findings.push((at, "broken-citation", message, mend));
        }
    }
    findings
}

/// Whether the id is or was that of a clause, or has the family of a clause.
fn is_known(spec: &Spec, id: &str) -> bool {
    spec.moved.iter().any(|moved| moved.old == id) || spec.clauses().any(|clause| family(&clause.id) == family(id))
}

/// The line without the signs that make it a comment in a program.
fn uncommented(line: &str) -> &str {
    const LEADERS: [&str; 6] = ["/**", "/*", "*/", "*", "///", "//"];
    let is_word = |rest: &&str| rest.is_empty() || rest.starts_with([' ', '\t']);
    let bare = line.trim_start();
    let rest = LEADERS.iter().find_map(|leader| bare.strip_prefix(leader).filter(is_word));
    rest.map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
}

/// A text without the marks of quoting in mail, of added lines in a patch and of comments in a program.
struct Unquoted {
    text: String,
    /// For each line, its start in this text and its start in the source.
    lines: Vec<(usize, usize)>,
}

impl Unquoted {
    fn new(source: &str) -> Unquoted {
        let mut unquoted = Unquoted { text: String::new(), lines: vec![] };
        let (mut at, mut depth) = (0, 0);
        for line in source.split_inclusive('\n') {
            let bare = line.trim_end();
            let rest = bare.strip_prefix(['+', '-']).filter(|rest| !rest.starts_with(['-', '+'])).unwrap_or(bare);
            let (quotations, rest) = rest.split_at(mail::marks(rest));
            let rest = rest.strip_prefix(' ').filter(|_| !quotations.is_empty()).unwrap_or(rest);
            let rest = uncommented(rest);
            // An answer is not part of the paragraph above it.
            let quotations = quotations.matches(|c: char| !c.is_whitespace()).count();
            if std::mem::replace(&mut depth, quotations) != quotations {
                unquoted.text.push('\n');
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
