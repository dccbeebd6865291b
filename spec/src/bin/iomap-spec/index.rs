//! Lists of clauses, for people and for programs, and hints for unknown ids.

use iomap_spec::{Clause, Moved, Spec};
use serde::Serialize;

pub(crate) fn human(spec: &Spec) -> String {
    let header = ["CLAUSE".into(), "LEVEL".into(), "OUTCOME".into(), "SECTION".into()];
    let row = |clause: &Clause| {
        [clause.id.clone(), clause.level.to_string(), clause.outcomes(), format!("{}, {}", clause.page, clause.section)]
    };
    let rows: Vec<[String; 4]> = std::iter::once(header).chain(spec.clauses().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (id, level, outcome) = (width(0), width(1), width(2));
    let lines = rows.iter().map(|row| format!("{:id$}  {:level$}  {:outcome$}  {}\n", row[0], row[1], row[2], row[3]));
    lines.collect()
}

#[derive(Serialize)]
struct Index<'a> {
    schema: u32,
    spec: Identity<'a>,
    clauses: Vec<Entry<'a>>,
}

/// The identity of a specification.
#[derive(Serialize)]
pub(crate) struct Identity<'a> {
    version: &'a str,
    digest: String,
}

pub(crate) fn identity(spec: &Spec) -> Identity<'_> {
    Identity { version: &spec.version, digest: spec.digest() }
}

/// A clause in the JSON documents.
#[derive(Serialize)]
pub(crate) struct Entry<'a> {
    id: &'a str,
    level: &'a str,
    page: &'a str,
    section: &'a str,
    text: &'a str,
    outcome: Outcome<'a>,
    hash: &'a str,
    since: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uncased: Option<&'a str>,
}

#[derive(Serialize)]
struct Outcome<'a> {
    ok: bool,
    errno: &'a [String],
    observe: Vec<&'a str>,
}

pub(crate) fn entry(clause: &Clause) -> Entry<'_> {
    Entry {
        id: &clause.id,
        level: clause.level.as_str(),
        page: &clause.page,
        section: &clause.section,
        text: &clause.text,
        outcome: Outcome {
            ok: clause.ok,
            errno: &clause.errnos,
            observe: clause.observe.iter().map(|it| it.as_str()).collect(),
        },
        hash: &clause.hash,
        since: &clause.since,
        why: clause.why.as_deref(),
        uncased: clause.uncased.as_deref(),
    }
}

pub(crate) fn json(spec: &Spec) -> String {
    document(&Index { schema: 1, spec: identity(spec), clauses: spec.clauses().map(entry).collect() })
}

/// A JSON document with a newline at its end.
pub(crate) fn document(value: &impl Serialize) -> String {
    // Strings, numbers and lists of them: JSON can hold all of them.
    serde_json::to_string_pretty(value).expect("plain data is JSON") + "\n"
}

/// The clauses that the user may have meant by `id`.
pub(crate) fn hint(spec: &Spec, id: &str) -> String {
    if let Some(Moved { since, reason: Some(reason), .. }) = spec.moved.iter().find(|moved| moved.old == id) {
        return format!("it was withdrawn in {since}: {reason}");
    }
    let now = spec.successor(id);
    if now != id {
        return format!("it is {now} now");
    }
    match iomap_spec::nearest(id, spec.clauses().map(|clause| clause.id.as_str()))[..] {
        [] => "`iomap-spec clauses` lists them all".to_owned(),
        ref near => format!("did you mean {}?", near.join(", ")),
    }
}

/// The message for an unknown id, with the clauses that the user may have meant.
pub(crate) fn unknown(spec: &Spec, id: &str) -> String {
    format!("iomap-spec: no clause has the id `{id}`: {}", hint(spec, id))
}
