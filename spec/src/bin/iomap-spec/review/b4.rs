//! The array that the review window of b4 takes from a check command: one result for each tool and patch.
//!
//! <https://b4.docs.kernel.org/en/latest/maintainer/review.html>, "CI check integration".

use super::report::{Finding, placed};
use crate::index::document;
use iomap_command::count;
use iomap_spec::{Clause, Spec, text};
use serde::Serialize;

/// The heading of the column in b4's table.
const TOOL: &str = "iomap-spec";

#[derive(Serialize)]
struct Check {
    tool: &'static str,
    status: &'static str,
    summary: String,
    /// Empty without the address of the book.
    url: String,
    details: String,
}

/// The result for one patch: a warning if clauses bear on the change itself, and a failure if part of it is damaged.
pub(super) fn array(spec: &Spec, findings: &[Finding<'_>], damage: &[String], url: Option<&str>) -> String {
    let mut details: Vec<String> = damage.to_vec();
    // The most important clauses of the first hunk stand first.
    let (mut close, mut near): (Vec<&Clause>, Vec<&Clause>) = (vec![], vec![]);
    for Finding { hunks, .. } in findings {
        for (hunk, hits) in hunks {
            for hit in hits {
                details.push(placed(hunk, hit));
                for clause in hit.entry.of(spec) {
                    let known = if hit.how.is_close() { &mut close } else { &mut near };
                    let is_new = !known.iter().any(|known| known.id == clause.id);
                    if is_new {
                        known.push(clause);
                    }
                    let sentence = match (hit.how.is_close(), is_new) {
                        (true, true) => format!(": {}", clause.text),
                        (true, false) => ", see above".to_owned(),
                        (false, _) => String::new(),
                    };
                    details.push(format!("    {} ({}){sentence}", clause.id, clause.level));
                }
            }
        }
    }
    near.retain(|clause| !close.iter().any(|known| known.id == clause.id));
    let (status, summary) = match (damage, close.len(), near.len()) {
        ([], 0, 0) => ("pass", "no clause bears on this patch".to_owned()),
        ([], 0, near) => ("pass", format!("no clause bears on the change itself, {near} on what stands near")),
        ([], many, _) => ("warn", format!("{} to read: {}", count(many, "clause"), listed(&close))),
        (_, many, _) => ("fail", format!("part of this patch is damaged; {} found", count(many, "clause"))),
    };
    let url = url.zip(close.first()).map(|(base, clause)| text::permalink(base, clause)).unwrap_or_default();
    document(&[Check { tool: TOOL, status, summary, url, details: details.join("\n") }])
}

/// The result for a mail without a diff that can be read. That is no failure: a patch can change names and modes only.
pub(super) fn unread(notes: &[String]) -> String {
    let summary = "no unified diff in this mail".to_owned();
    document(&[Check { tool: TOOL, status: "warn", summary, url: String::new(), details: notes.join("\n") }])
}

/// The first few ids, because a summary is one line.
fn listed(clauses: &[&Clause]) -> String {
    const MOST: usize = 3;
    let ids: Vec<&str> = clauses.iter().take(MOST).map(|clause| clause.id.as_str()).collect();
    let rest = if clauses.len() > MOST { ", \u{2026}" } else { "" };
    ids.join(", ") + rest
}
