//! The differences between two states of the specification, clause by clause.

use crate::model::{Clause, Moved, Spec};
use std::collections::{BTreeMap, BTreeSet};

/// The kind of a difference between two states of a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The level or the envelope: other behavior conforms now.
    Meaning,
    /// The clause is not in the new state.
    Removed,
    /// The clause is not in the old state.
    Added,
    /// The text differs.
    Wording,
    /// The page, the section or the id differs.
    Moved,
}

impl Kind {
    /// The word for the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Kind::Meaning => "meaning",
            Kind::Removed => "removed",
            Kind::Added => "added",
            Kind::Wording => "wording",
            Kind::Moved => "moved",
        }
    }
}

/// A clause that differs between the two states.
#[derive(Debug)]
pub struct Change<'a> {
    /// The clause in the old state.
    pub old: Option<&'a Clause>,
    /// The clause in the new state.
    pub new: Option<&'a Clause>,
    /// The kinds of differences, the gravest first; never empty.
    pub kinds: Vec<Kind>,
    /// The record of `moved.toml` for the old id.
    pub record: Option<&'a Moved>,
}

impl Change<'_> {
    /// The gravest of the differences.
    pub fn kind(&self) -> Kind {
        self.kinds.first().copied().unwrap_or(Kind::Moved)
    }

    /// The id in the new state, or in the old one if the clause was removed.
    pub fn id(&self) -> &str {
        self.new.or(self.old).map_or("", |clause| &clause.id)
    }
}

/// The clauses that differ, the gravest differences first, in the order of the pages.
pub fn compare<'a>(old: &'a Spec, new: &'a Spec) -> Vec<Change<'a>> {
    let before: BTreeMap<&str, &Clause> = old.clauses().map(|clause| (clause.id.as_str(), clause)).collect();
    let after: BTreeMap<&str, &Clause> = new.clauses().map(|clause| (clause.id.as_str(), clause)).collect();
    let renamed = renamed(old, new, &before, &after);
    let former: BTreeMap<&str, &str> = renamed.iter().map(|(old, new)| (*new, *old)).collect();
    let mut changes = vec![];
    for clause in old.clauses() {
        if !after.contains_key(clause.id.as_str()) && !renamed.contains_key(clause.id.as_str()) {
            let record = new.moved.iter().find(|moved| moved.old == clause.id);
            changes.push(Change { old: Some(clause), new: None, kinds: vec![Kind::Removed], record });
        }
    }
    for clause in new.clauses() {
        let id = former.get(clause.id.as_str()).copied().unwrap_or(&clause.id);
        let Some(earlier) = before.get(id).copied() else {
            changes.push(Change { old: None, new: Some(clause), kinds: vec![Kind::Added], record: None });
            continue;
        };
        let kinds = differences(earlier, clause);
        if !kinds.is_empty() {
            let record = new.moved.iter().find(|moved| moved.old == earlier.id);
            changes.push(Change { old: Some(earlier), new: Some(clause), kinds, record });
        }
    }
    changes.sort_by_key(Change::kind);
    changes
}

/// Pairs of an old id and the id that replaced it, each pair once.
fn renamed<'a>(
    old: &'a Spec,
    new: &'a Spec,
    before: &BTreeMap<&str, &Clause>,
    after: &BTreeMap<&str, &Clause>,
) -> BTreeMap<&'a str, &'a str> {
    let mut renamed = BTreeMap::new();
    let mut taken = BTreeSet::new();
    let mut pair = |from: &'a str, to: &'a str| {
        let is_move = before.contains_key(from) && !after.contains_key(from);
        if is_move && after.contains_key(to) && !before.contains_key(to) && taken.insert(to) {
            renamed.entry(from).or_insert(to);
        }
    };
    for moved in &new.moved {
        pair(&moved.old, new.successor(&moved.old));
    }
    // The old side may be the later one: then follow its renamings backwards.
    for moved in &old.moved {
        pair(old.successor(&moved.old), &moved.old);
    }
    renamed
}

fn differences(old: &Clause, new: &Clause) -> Vec<Kind> {
    let envelope = |clause: &Clause| {
        let errnos: BTreeSet<String> = clause.errnos.iter().cloned().collect();
        let observe: BTreeSet<_> = clause.observe.iter().copied().collect();
        (clause.level, clause.ok, errnos, observe)
    };
    let place = |clause: &Clause| (clause.page.clone(), clause.section.clone(), clause.id.clone());
    let found = [
        (Kind::Meaning, envelope(old) != envelope(new)),
        (Kind::Wording, old.text != new.text),
        (Kind::Moved, place(old) != place(new)),
    ];
    found.into_iter().filter_map(|(kind, differs)| differs.then_some(kind)).collect()
}
