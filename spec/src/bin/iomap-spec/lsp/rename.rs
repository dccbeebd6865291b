//! The edits that give a clause another id.

use super::text::{range, uri};
use crate::places::{Checkout, Kind, Place, Spelling};
use iomap_spec::{Clause, Spec, is_id};
use lsp_types::{TextEdit, Uri, WorkspaceEdit};
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

/// The reason why a clause cannot have this id.
pub(super) fn refusal(spec: &Spec, id: &str) -> Option<String> {
    if !is_id(id) {
        return Some(format!("{id} is no id: two or more parts of a-z, 0-9 and _, at most 32 bytes: truncate.shrink"));
    }
    if spec.clause(id).is_some() {
        return Some(format!("another clause has the id {id}"));
    }
    let moved = spec.moved.iter().find(|moved| moved.old == id)?;
    Some(format!("{id} is out of use since {}, and an id is never used again", moved.since))
}

/// Every id, constant and record of the clause, the hash beside them, which covers the id, and a line for the old id in
/// moved.toml. The record stays as it was about whether a place was read again: the words are the same.
#[expect(clippy::mutable_key_type, reason = "the protocol wants a map of addresses")]
pub(super) fn edits(
    checkout: &Checkout,
    spec: &Spec,
    clause: &Clause,
    id: &str,
    moved: (&Path, &str),
) -> Option<WorkspaceEdit> {
    let renamed = clause.renamed(id);
    let mut changes: HashMap<Uri, Vec<TextEdit>> = HashMap::new();
    let mut hashed = BTreeSet::new();
    for Place { kind, file, span, line, spelling, .. } in checkout.places(&[clause]).remove(clause.id.as_str())? {
        let new_text = match spelling {
            Spelling::Id => renamed.id.clone(),
            Spelling::Constant => renamed.constant(),
            Spelling::Family => continue,
        };
        let text = checkout.text(&file)?;
        let edits = changes.entry(uri(&checkout.top.join(&file))?).or_default();
        edits.push(TextEdit { range: range(text, span.clone()), new_text });
        // A citation, or the record of one.
        if kind != Kind::Clause && hashed.insert((file.clone(), line)) {
            let start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
            let end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at);
            for (at, hash) in text[start..end].match_indices(clause.hash.as_str()) {
                let span = start + at..start + at + hash.len();
                edits.push(TextEdit { range: range(text, span), new_text: renamed.hash.clone() });
            }
        }
    }
    if let Some((file, edit)) = recorded(checkout, clause, &renamed) {
        changes.entry(uri(&checkout.top.join(file))?).or_default().push(edit);
    }
    let (file, text) = moved;
    let row = format!("\n[[moved]]\nold = \"{}\"\nnew = \"{id}\"\nsince = \"{}\"\n", clause.id, spec.version);
    let end = range(text, text.len()..text.len());
    changes.entry(uri(file)?).or_default().push(TextEdit { range: end, new_text: row });
    Some(WorkspaceEdit { changes: Some(changes), ..WorkspaceEdit::default() })
}

/// The line of the record for the new row of moved.toml, which cites the clause under its new id. The record keeps its
/// lines sorted. None is needed if the record does not cover moved.toml, or if moved.toml cited the clause before.
fn recorded<'c>(checkout: &'c Checkout, clause: &Clause, renamed: &Clause) -> Option<(&'c Path, TextEdit)> {
    let (file, text) = checkout.record()?;
    let header = text.match_indices("[wording.").find(|(at, _)| {
        text[*at..]
            .lines()
            .next()
            .is_some_and(|line| line.ends_with("/moved.toml\"]") || line.ends_with("\"moved.toml\"]"))
    })?;
    let mut at = header.0 + text[header.0..].find('\n')? + 1;
    let id = |line: &str| line.split('"').nth(1).unwrap_or_default().to_owned();
    let section: Vec<&str> = text[at..].split_inclusive('\n').take_while(|line| line.starts_with('"')).collect();
    if section.iter().any(|line| id(line) == clause.id) {
        return None;
    }
    at += section.iter().take_while(|line| id(line) < renamed.id).map(|line| line.len()).sum::<usize>();
    let new_text = format!("\"{}\" = \"{}\"\n", renamed.id, renamed.hash);
    Some((file, TextEdit { range: range(text, at..at), new_text }))
}
