//! Reports the clauses that bear on a patch, for a reply and for programs.

use super::bearing::{Hit, How};
use super::patch::{Hunk, Patch};
use super::table::{self, Kind};
use crate::index;
use iomap_command::count;
use iomap_spec::{Clause, Spec, text};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The indentation of a sentence below its citation.
const INDENT: usize = 4;
/// The maximum number of changed lines that are quoted of one hunk, without --full.
const QUOTED: usize = 16;
/// The maximum number of sentences below one hunk, without --full; further clauses are only named.
const SENTENCES: usize = 6;

/// A patch, and the entries that bear on each of its hunks.
pub(super) struct Finding<'a> {
    pub(super) patch: &'a Patch,
    pub(super) hunks: Vec<(&'a Hunk, Vec<Hit<'a>>)>,
}

pub(super) fn human(spec: &Spec, findings: &[Finding<'_>], full: bool) -> String {
    let mut reply = Reply {
        spec,
        full,
        answered: BTreeMap::new(),
        cited: BTreeSet::new(),
        repeated: String::new(),
        out: String::new(),
    };
    for Finding { patch, hunks } in findings {
        let mut subject = patch.subject.as_ref().filter(|_| findings.len() > 1);
        let mut file = None;
        for (hunk, hits) in hunks {
            if !reply.matters(hits) {
                continue;
            }
            if let Some(subject) = subject.take() {
                reply.out += &format!("> {}\n>\n", subject.split_whitespace().collect::<Vec<_>>().join(" "));
            }
            if file != Some(&hunk.file) {
                reply.out += &match &hunk.file {
                    Some(name) => format!("> +++ b/{name}\n"),
                    None => "> [file not named]\n".to_owned(),
                };
                file = Some(&hunk.file);
            }
            reply.hunk(hunk, hits);
        }
    }
    reply.out
}

struct Reply<'a> {
    spec: &'a Spec,
    full: bool,
    /// The entries that were explained already, by line in the table, and how closely each matched then.
    answered: BTreeMap<usize, How>,
    /// The clauses whose sentences were printed already.
    cited: BTreeSet<&'a str>,
    /// The remark below the last hunk, if it had no new information.
    repeated: String,
    out: String,
}

impl<'a> Reply<'a> {
    /// Whether any hit is new, or closer than a word or a near match, which is not reported twice.
    fn matters(&self, hits: &[Hit<'_>]) -> bool {
        hits.iter().any(|hit| is_worth_repeating(hit) || self.is_new(hit))
    }

    /// Whether the hit is new; a hit that was only near before is new if it is close now.
    fn is_new(&self, hit: &Hit<'_>) -> bool {
        let before = self.answered.get(&hit.entry.line);
        self.full || before.is_none_or(|before| !before.is_close() && hit.how.is_close())
    }

    fn hunk(&mut self, hunk: &Hunk, hits: &'a [Hit<'a>]) {
        let (mut old, mut new): (Vec<&Hit<'_>>, Vec<&Hit<'_>>) = (vec![], vec![]);
        for hit in hits {
            if self.is_new(hit) {
                self.answered.insert(hit.entry.line, hit.how);
                new.push(hit);
            } else if is_worth_repeating(hit) {
                old.push(hit);
            }
        }
        let names: Vec<&str> = old.iter().map(|hit| hit.entry.name.as_str()).collect();
        let mut again = String::new();
        if !names.is_empty() {
            text::hang(&mut again, 0, INDENT, &format!("As above: {}.", names.join(", ")));
            again.push('\n');
        }
        if new.is_empty() {
            // Hunks with the same repeated remark are quoted together.
            let end = format!("\n{again}");
            if self.repeated == end && self.out.ends_with(&end) {
                self.out.truncate(self.out.len() - end.len());
            }
            self.out += &format!("> {}\n{end}", hunk.header);
            self.repeated = end;
        } else {
            self.repeated.clear();
            self.out += &format!("> {}\n", hunk.header);
            self.quote(hunk);
            self.out.push('\n');
            self.answer(hunk, &new);
            self.out += &again;
        }
    }

    fn quote(&mut self, hunk: &Hunk) {
        let changes: Vec<_> = hunk.lines.iter().filter(|line| line.is_change()).collect();
        let shown = if self.full || changes.len() <= QUOTED { changes.len() } else { QUOTED - 1 };
        for line in &changes[..shown] {
            self.out += format!("> {}{}", line.sign, line.text).trim_end();
            self.out.push('\n');
        }
        if shown < changes.len() {
            self.out += &format!("> [{} more]\n", count(changes.len() - shown, "changed line"));
        }
    }

    /// Writes the text below a quoted hunk.
    fn answer(&mut self, hunk: &Hunk, hits: &[&'a Hit<'a>]) {
        let mut listed: BTreeSet<&str> = BTreeSet::new();
        let mut sentences = SENTENCES;
        let mut aside: Vec<(&Hit<'_>, Vec<&str>)> = vec![];
        for hit in hits {
            // A clause is listed below the closest entry that leads to it.
            let mut fresh: Vec<&'a str> = hit.entry.clauses.iter().map(String::as_str).collect();
            fresh.retain(|id| listed.insert(id));
            let unknown = fresh.iter().filter(|id| !self.cited.contains(*id)).count();
            if fresh.is_empty() {
                // The clauses of this entry are listed already, but this line may be the important one.
                if hit.how == How::Touched {
                    aside.push((hit, hit.entry.clauses.iter().map(String::as_str).collect()));
                }
                continue;
            }
            if !self.full && (!hit.how.is_close() || unknown > sentences) {
                aside.push((hit, fresh));
                continue;
            }
            sentences = sentences.saturating_sub(unknown);
            text::hang(&mut self.out, 0, INDENT, &format!("{}:", placed(hunk, hit)));
            fresh.into_iter().for_each(|id| self.cite(id));
            self.out.push('\n');
        }
        for (hit, ids) in &aside {
            let line = format!("{}: {}", placed(hunk, hit), ids.join(", "));
            text::hang(&mut self.out, 0, INDENT, &line);
        }
        if !aside.is_empty() {
            self.out.push('\n');
        }
    }

    fn cite(&mut self, id: &'a str) {
        let clauses: Vec<&'a Clause> = self.spec.clauses().filter(|clause| table::is_named(id, &clause.id)).collect();
        if let (Some(name), Some(first), false) = (table::whole_family(id), clauses.first(), self.full) {
            self.out += &format!("  {} {name}.* ({})\n", first.page, self.spec.version);
            let ids: Vec<&str> = clauses.iter().map(|clause| clause.id.as_str()).collect();
            return text::hang(&mut self.out, INDENT, INDENT, &ids.join(", "));
        }
        for clause in clauses {
            let citation = text::cite_on_one_line(self.spec, clause);
            if self.cited.insert(&clause.id) || self.full {
                self.out += &format!("  {citation}\n");
                text::hang(&mut self.out, INDENT, INDENT, &clause.text);
            } else {
                self.out += &format!("  {citation}, see above\n");
            }
        }
    }
}

fn is_worth_repeating(hit: &Hit<'_>) -> bool {
    hit.how.is_close() && hit.entry.kind != Kind::Word
}

/// The name, how closely it matches, and why it is in the table.
pub(super) fn reason(hit: &Hit<'_>) -> String {
    format!("{}, {} ({})", hit.entry.name, hit.how.phrase(), hit.entry.why)
}

/// The reason, after its place in the new file.
pub(super) fn placed(hunk: &Hunk, hit: &Hit<'_>) -> String {
    hunk.place(hit.at).map_or(String::new(), |place| place + ": ") + &reason(hit)
}

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    spec: index::Identity<'a>,
    patches: Vec<PatchRow<'a>>,
    /// Each clause that is named, once.
    clauses: BTreeMap<&'a str, ClauseRow<'a>>,
}

#[derive(Serialize)]
struct PatchRow<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    hunks: Vec<HunkRow<'a>>,
    damage: Vec<DamageRow<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<DamageRow<'a>>,
}

#[derive(Serialize)]
struct HunkRow<'a> {
    /// `None` if the patch does not name the file.
    file: Option<&'a str>,
    line: usize,
    header: &'a str,
    functions: Vec<String>,
    hits: Vec<HitRow<'a>>,
}

#[derive(Serialize)]
struct HitRow<'a> {
    kind: &'static str,
    name: &'a str,
    how: &'static str,
    /// The line in the file after the change; for a removed line, the line that follows it there.
    #[serde(skip_serializing_if = "Option::is_none")]
    line: Option<u64>,
    why: &'a str,
    clauses: Vec<&'a str>,
}

#[derive(Serialize)]
struct DamageRow<'a> {
    line: usize,
    message: &'a str,
}

#[derive(Serialize)]
struct ClauseRow<'a> {
    citation: String,
    #[serde(flatten)]
    clause: index::Entry<'a>,
}

fn told(lines: &[(usize, String)]) -> Vec<DamageRow<'_>> {
    lines.iter().map(|(line, message)| DamageRow { line: *line, message }).collect()
}

pub(super) fn json(spec: &Spec, findings: &[Finding<'_>]) -> String {
    let mut clauses = BTreeMap::new();
    let mut ids = |hit: &Hit<'_>| -> Vec<&str> {
        let named: Vec<&Clause> = hit.entry.of(spec).collect();
        for clause in &named {
            let row = || ClauseRow { citation: text::cite_on_one_line(spec, clause), clause: index::entry(clause) };
            clauses.entry(clause.id.as_str()).or_insert_with(row);
        }
        named.into_iter().map(|clause| clause.id.as_str()).collect()
    };
    let mut patches = vec![];
    for Finding { patch, hunks } in findings {
        let hunks = hunks.iter().map(|(hunk, hits)| HunkRow {
            file: hunk.file.as_deref(),
            line: hunk.line,
            header: &hunk.header,
            functions: hunk.changed().into_iter().map(|(function, _)| function.name).collect(),
            hits: hits
                .iter()
                .map(|hit| HitRow {
                    kind: hit.entry.kind.as_str(),
                    name: &hit.entry.name,
                    how: hit.how.as_str(),
                    line: hunk.new_line(hit.at),
                    why: &hit.entry.why,
                    clauses: ids(hit),
                })
                .collect(),
        });
        let (damage, notes) = (told(&patch.damage), told(&patch.notes));
        patches.push(PatchRow { subject: patch.subject.as_deref(), hunks: hunks.collect(), damage, notes });
    }
    index::document(&Document { schema: 1, spec: index::identity(spec), patches, clauses })
}
