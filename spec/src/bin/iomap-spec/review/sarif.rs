//! SARIF 2.1.0, which editors and code scanning services read: a rule for each clause, and a result for each place of a
//! clause in the patch.
//!
//! <https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html>

use super::report::{Finding, reason};
use crate::uri;
use iomap_spec::{Clause, Spec, text};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// One run with the results of all patches. A clause that bears on the change itself is a note; one that stands near is
/// for information.
pub(super) fn document(spec: &Spec, findings: &[Finding<'_>], url: Option<&str>) -> String {
    let mut rules: Vec<&Clause> = vec![];
    let mut seen = BTreeSet::new();
    let mut results = vec![];
    for Finding { patch, hunks } in findings {
        for (hunk, hits) in hunks {
            for hit in hits {
                let place = hunk.new_line(hit.at);
                for clause in hit.entry.of(spec) {
                    if !seen.insert((&patch.subject, &hunk.file, place, &clause.id, &hit.entry.name)) {
                        continue;
                    }
                    let index = rules.iter().position(|known| known.id == clause.id).unwrap_or_else(|| {
                        rules.push(clause);
                        rules.len() - 1
                    });
                    let message = format!("{}: {}", reason(hit), clause.text);
                    let (kind, level) = if hit.how.is_close() { ("fail", "note") } else { ("informational", "none") };
                    let mut result = json!({
                        "ruleId": clause.id,
                        "ruleIndex": index,
                        "kind": kind,
                        "level": level,
                        "message": { "text": message },
                    });
                    if let Some(file) = &hunk.file {
                        result["locations"] = json!([{ "physicalLocation": location(file, place) }]);
                    }
                    results.push(result);
                }
            }
        }
    }
    crate::index::document(&json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "iomap-spec",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules.iter().map(|clause| rule(clause, url)).collect::<Vec<_>>(),
            } },
            "properties": { "specification": spec.version, "digest": spec.digest() },
            "results": results,
        }],
    }))
}

fn location(file: &str, line: Option<u64>) -> Value {
    let mut location = json!({ "artifactLocation": { "uri": uri::path(file), "uriBaseId": "SRCROOT" } });
    if let Some(line) = line {
        location["region"] = json!({ "startLine": line });
    }
    location
}

fn rule(clause: &Clause, url: Option<&str>) -> Value {
    let mut rule = json!({
        "id": clause.id,
        "shortDescription": { "text": clause.text },
        "help": { "text": format!("{} ({}): {}", clause.id, clause.envelope(), clause.text) },
        "defaultConfiguration": { "level": "note" },
        "properties": { "level": clause.level, "hash": clause.hash, "page": clause.page, "section": clause.section },
    });
    if let Some(base) = url {
        rule["helpUri"] = json!(text::permalink(base, clause));
    }
    rule
}
