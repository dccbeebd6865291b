//! The table of entry points: the functions, constants and files of a kernel, and the clauses that bear on each.

use glob::Pattern;
use iomap_spec::{Clause, Diagnostic, Source, Spec};
use iomap_vocabulary::{Series, family};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use toml::Spanned;

/// The table of the repository.
pub(super) const BUILT_IN: (&str, &str) = ("spec/entry-points.toml", include_str!("../../../../entry-points.toml"));

/// The suffix that turns the name of a family into all of its clauses.
const ALL: &str = ".*";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Function,
    Syscall,
    Flag,
    Ioctl,
    /// A word that counts if a change adds or removes it: an error, a test of privilege.
    Word,
    File,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Kind::Function => "function",
            Kind::Syscall => "syscall",
            Kind::Flag => "flag",
            Kind::Ioctl => "ioctl",
            Kind::Word => "word",
            Kind::File => "file",
        }
    }
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    pub(super) name: String,
    /// The names of the entry in other kernel versions.
    pub(super) also: Vec<String>,
    /// The names of a word, as patterns; entries of other kinds have none.
    words: Vec<Pattern>,
    /// The file that defines the name, or for a word, the files where it counts; an empty list means any file.
    pub(super) places: Vec<Pattern>,
    /// Ids, and families as `family.*`.
    pub(super) clauses: Vec<String>,
    pub(super) why: String,
    /// The first kernel version that has the name.
    pub(super) since: Option<Series>,
    /// The last kernel version that has the name.
    pub(super) until: Option<Series>,
    /// Whether the function only dispatches to cases.
    pub(super) tells_cases: bool,
    pub(super) line: usize,
}

impl Entry {
    /// The name of the entry, and its names in other kernel versions.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        std::iter::once(&self.name).chain(&self.also).map(String::as_str)
    }

    /// Whether an entry for a word matches this name.
    pub(super) fn is_word(&self, name: &str) -> bool {
        self.words.iter().any(|word| word.matches(name))
    }

    /// The clauses that bear on the entry, the most important ones first.
    pub(super) fn of<'s>(&self, spec: &'s Spec) -> impl Iterator<Item = &'s Clause> {
        self.clauses.iter().flat_map(|id| spec.clauses().filter(move |clause| is_named(id, &clause.id)))
    }

    /// Whether the entry is about this file.
    pub(super) fn is_in(&self, file: &str) -> bool {
        self.places.is_empty() || self.places.iter().any(|place| place.matches(file))
    }
}

#[derive(Debug)]
pub(super) struct Table {
    /// The file name of the table, for messages.
    pub(super) name: String,
    pub(super) entries: Vec<Entry>,
    passed: BTreeMap<String, String>,
}

impl Table {
    /// The names in this file that were examined and deliberately left out.
    pub(super) fn passed(&self, file: &str) -> impl Iterator<Item = &str> {
        self.passed.get(file).into_iter().flat_map(|names| names.split_whitespace())
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    function: Section,
    #[serde(default)]
    syscall: Section,
    #[serde(default)]
    flag: Section,
    #[serde(default)]
    ioctl: Section,
    #[serde(default)]
    word: Section,
    #[serde(default)]
    file: Section,
    /// By file: functions that entry points call, and that decide nothing that a clause states.
    #[serde(default)]
    passed: BTreeMap<String, String>,
    /// Families on which no entry point bears, and the reason.
    #[serde(default)]
    unreached: BTreeMap<String, Spanned<String>>,
}

type Section = BTreeMap<String, Spanned<Row>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// Patterns of file names, separated by spaces.
    #[serde(default, rename = "in")]
    places: String,
    #[serde(default)]
    also: String,
    clauses: String,
    why: String,
    since: Option<String>,
    until: Option<String>,
    #[serde(default)]
    cases: bool,
}

/// The family, if the id has the form `family.*`.
pub(super) fn whole_family(id: &str) -> Option<&str> {
    id.strip_suffix(ALL)
}

pub(super) fn read(name: &str, text: &str, spec: &Spec) -> Result<Table, Vec<Diagnostic>> {
    let source = Source { file: name.into(), text: text.to_owned() };
    let document: Document = toml::from_str(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        let mend = "a line is: name = { in = \"FILE...\", clauses = \"ID...\", why = \"...\" }";
        vec![finding(&source, at, "table", error.message().to_owned(), mend)]
    })?;
    let sections = [
        (Kind::Function, document.function),
        (Kind::Syscall, document.syscall),
        (Kind::Flag, document.flag),
        (Kind::Ioctl, document.ioctl),
        (Kind::Word, document.word),
        (Kind::File, document.file),
    ];
    let mut findings = vec![];
    let mut entries: Vec<Entry> = vec![];
    for (kind, section) in sections {
        for (name, row) in section {
            let at = row.span().start;
            let Row { places, also, clauses, why, since, until, cases } = row.into_inner();
            let mut report = |message: String, mend: &str| findings.push(finding(&source, at, "table", message, mend));
            // The name of a file is its own place.
            let places = if kind == Kind::File { name.clone() } else { places };
            let mut patterns = |texts: &str| -> Vec<Pattern> {
                let mut patterns = vec![];
                for text in texts.split_whitespace() {
                    match Pattern::new(text) {
                        Ok(pattern) => patterns.push(pattern),
                        Err(error) => {
                            report(format!("`{text}` is no pattern: {}", error.msg), "write it as for the shell")
                        }
                    }
                }
                patterns
            };
            let words = if kind == Kind::Word { patterns(&format!("{name} {also}")) } else { vec![] };
            let places = patterns(&places);
            if cases && kind != Kind::Function {
                report(format!("`{name}` has cases, but is no function"), "remove `cases`");
            }
            let version =
                |text: &Option<String>| text.as_deref().map(|text| Series::exact(text).ok_or(text.to_owned()));
            for bad in [version(&since), version(&until)].into_iter().flatten().filter_map(Result::err) {
                report(format!("`{bad}` is no version"), "write it as in 6.12");
            }
            if clauses.trim().is_empty() || why.trim().is_empty() {
                report(format!("`{name}` has no clauses or no reason"), "say which clauses bear on it, and why");
            }
            let clauses: Vec<String> = clauses.split_whitespace().map(str::to_owned).collect();
            for id in clauses.iter().filter(|id| !spec.clauses().any(|clause| is_named(id, &clause.id))) {
                let near = iomap_spec::nearest(id, spec.clauses().map(|clause| clause.id.as_str()));
                let mend = match near[..] {
                    [] => "`iomap-spec clauses` lists them all".to_owned(),
                    _ => format!("did you mean {}?", near.join(", ")),
                };
                report(format!("no clause has the id `{id}`, which `{name}` names"), &mend);
            }
            let (since, until) = (version(&since).and_then(Result::ok), version(&until).and_then(Result::ok));
            let line = source.position(at).0;
            let also = also.split_whitespace().map(str::to_owned).collect();
            let tells_cases = cases;
            entries.push(Entry { kind, name, also, words, places, clauses, why, since, until, tells_cases, line });
        }
    }
    let reached: BTreeSet<&str> = entries.iter().flat_map(|entry| &entry.clauses).map(|id| family(id)).collect();
    for missing in spec.clauses().map(|clause| family(&clause.id)).collect::<BTreeSet<_>>() {
        if !reached.contains(missing) && !document.unreached.contains_key(missing) {
            let message = format!("no entry point leads to the family `{missing}`");
            let mend = "add one, or say under [unreached] why there is none";
            findings.push(finding(&source, 0, "table", message, mend));
        }
    }
    for (name, reason) in &document.unreached {
        if reached.contains(name.as_str()) || !spec.clauses().any(|clause| family(&clause.id) == name) {
            let message = format!("`{name}` is reached, or is no family");
            findings.push(finding(&source, reason.span().start, "table", message, "remove it from [unreached]"));
        }
    }
    findings.sort_by_key(|finding| finding.line);
    if findings.is_empty() {
        Ok(Table { name: name.to_owned(), entries, passed: document.passed })
    } else {
        Err(findings)
    }
}

/// Whether `id` in the table includes this clause.
pub(super) fn is_named(id: &str, clause: &str) -> bool {
    match whole_family(id) {
        Some(name) => family(clause) == name,
        None => clause == id,
    }
}

fn finding(source: &Source, at: usize, code: &'static str, message: String, mend: &str) -> Diagnostic {
    let (line, column) = source.position(at);
    let file = Path::new(&source.file).to_owned();
    Diagnostic { file, line, column, length: 1, code, message, mend: mend.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pages() -> Option<Spec> {
        // In a build without the pages beside it, as from a package, there is nothing to compare with.
        iomap_spec::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../man")).ok()
    }

    /// Unknown ids, families without an entry, wrong versions and patterns: `read` finds them all.
    #[test]
    fn the_table_fits_the_pages() {
        let Some(spec) = pages() else { return eprintln!("not tested, ../man is missing") };
        let findings = read(BUILT_IN.0, BUILT_IN.1, &spec).err().unwrap_or_default();
        assert_eq!(findings, []);
    }

    /// One line for each entry, in the order of LC_ALL=C sort, so that a merge shows added lines. TOML refuses
    /// duplicates.
    #[test]
    fn the_table_is_sorted() {
        let mut last = "";
        for line in BUILT_IN.1.lines() {
            let name = line.split(" = ").next().unwrap_or_default().trim_matches('"');
            match line.chars().next() {
                None | Some('#') => {}
                Some('[') => last = "",
                _ => {
                    assert!(last < name, "{last} stands before {name}");
                    last = name;
                }
            }
        }
        assert_ne!(last, "");
    }

    /// A name that was left out must not have a line of its own.
    #[test]
    fn passed_functions_are_not_listed() {
        let Some(spec) = pages() else { return eprintln!("not tested, ../man is missing") };
        let table = read(BUILT_IN.0, BUILT_IN.1, &spec).expect("the table fits the pages");
        let passed: BTreeSet<&str> = table.passed.values().flat_map(|names| names.split_whitespace()).collect();
        let is_function = |entry: &&Entry| entry.kind == Kind::Function;
        let listed = table.entries.iter().filter(is_function).flat_map(Entry::names);
        assert_eq!(listed.filter(|name| passed.contains(name)).collect::<Vec<_>>(), [""; 0]);
        assert!(!passed.is_empty());
    }

    #[test]
    fn a_fault_of_a_table_has_its_line() {
        let Some(spec) = pages() else { return eprintln!("not tested, ../man is missing") };
        let messages = |text: &str| -> Vec<String> {
            let findings = read("t", text, &spec).map(|_| ()).expect_err("this table is wrong");
            let about_lines = findings.iter().filter(|finding| !finding.message.contains("leads to the family"));
            about_lines.map(|finding| format!("{}: {}", finding.line, finding.message)).collect()
        };
        let rows = "[function]\na = { clauses = \"truncate.shrank nothing.*\", why = \"x\", since = \"6\" }\n";
        assert_eq!(
            messages(rows),
            [
                "2: `6` is no version",
                "2: no clause has the id `truncate.shrank`, which `a` names",
                "2: no clause has the id `nothing.*`, which `a` names"
            ]
        );
        assert_eq!(messages("[file]\n\"a[\" = { clauses = \"\", why = \"\" }\n").len(), 2);
        assert_eq!(messages("[unreached]\nnothing = \"x\"\n"), ["2: `nothing` is reached, or is no family"]);
        assert_eq!(messages("[function]\na = 1\n").len(), 1);
        let families: BTreeSet<&str> = spec.clauses().map(|clause| family(&clause.id)).collect();
        assert_eq!(read("t", "", &spec).expect_err("nothing is reached").len(), families.len());
    }
}
