//! What differs between two states of the specification, clause by clause.

use crate::model::{Clause, Moved, Spec};
use std::collections::{BTreeMap, BTreeSet};

/// In what a clause differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Level or envelope: what conforms is no longer the same.
    Meaning,
    /// There is no such clause any more.
    Removed,
    /// There was no such clause.
    Added,
    /// The text.
    Wording,
    /// The page, the section, or the id.
    Moved,
}

impl Kind {
    /// The word for it.
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

/// A clause that is not the same on both sides.
#[derive(Debug)]
pub struct Change<'a> {
    /// The clause as it was.
    pub old: Option<&'a Clause>,
    /// The clause as it is.
    pub new: Option<&'a Clause>,
    /// In what they differ, the gravest first; never empty.
    pub kinds: Vec<Kind>,
    /// What `moved.toml` says of the old id.
    pub record: Option<&'a Moved>,
}

impl Change<'_> {
    /// The gravest of the differences.
    pub fn kind(&self) -> Kind {
        self.kinds.first().copied().unwrap_or(Kind::Moved)
    }

    /// The id that it has, or last had.
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

/// Old ids and the ones that took their place, each of them once.
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
    // Backwards, when the old side is the later one.
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
