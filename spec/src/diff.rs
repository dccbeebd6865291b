//! What differs between two states of the specification, clause by clause.

use crate::diagnostic::Diagnostic;
use crate::model::{Clause, Spec};
use crate::resolve::{self, Moved};
use crate::{files, parse};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// One state of the specification, from wherever it was read.
#[derive(Debug)]
pub struct Side {
    /// Its pages.
    pub spec: Spec,
    /// The ids that were out of use by then.
    pub moved: Vec<Moved>,
}

impl Side {
    /// Reads a directory of pages, or one page, with the `moved.toml` there.
    ///
    /// # Errors
    /// What is wrong with the pages.
    pub fn read(path: &Path) -> Result<Side, Vec<Diagnostic>> {
        let alone = !path.is_dir();
        let (paths, directory) = match alone {
            true => (vec![path.to_owned()], path.parent().unwrap_or(Path::new(""))),
            false => (files(path)?, path),
        };
        let moved = directory.join(resolve::MOVED);
        let mut sources = vec![];
        for path in paths.into_iter().chain(moved.exists().then_some(moved)) {
            match fs::read(&path) {
                Ok(bytes) => sources.push((path, bytes)),
                Err(error) => {
                    let message = format!("cannot be read: {error}");
                    return Err(vec![Diagnostic::whole(&path, crate::IO, message, "name pages that can be read")]);
                }
            }
        }
        Side::from_sources(sources, alone)
    }

    /// Takes the files of a directory, named as messages are to name them. A page that stands `alone` may refer to
    /// clauses of others.
    ///
    /// # Errors
    /// What is wrong with the pages.
    pub fn from_sources(sources: Vec<(PathBuf, Vec<u8>)>, alone: bool) -> Result<Side, Vec<Diagnostic>> {
        let (mut paths, mut pages, mut findings, mut moved) = (vec![], vec![], vec![], vec![]);
        for (path, bytes) in sources {
            if path.file_name().is_some_and(|name| name == resolve::MOVED) {
                match resolve::moved_ids(&String::from_utf8_lossy(&bytes)) {
                    Ok(ids) => moved = ids,
                    Err(error) => {
                        let mend = "[[moved]] with old, since, and either new or reason";
                        findings.push(Diagnostic::whole(&path, "moved", error.message(), mend));
                    }
                }
            } else {
                pages.extend(parse::page(&path, bytes, &mut findings));
                paths.push(path);
            }
        }
        if alone {
            // The ones that the pages themselves cause would be found again; those about other pages say nothing here.
            let mut about_all = vec![];
            resolve::check(&pages, &mut about_all);
            findings.extend(about_all.into_iter().filter(|finding| finding.code != resolve::UNDEFINED));
            let version = pages.first().map(|page| page.version.clone()).unwrap_or_default();
            return if findings.is_empty() { Ok(Side { spec: Spec { version, pages }, moved }) } else { Err(findings) };
        }
        crate::resolved(&paths, pages, findings).map(|spec| Side { spec, moved }).map_err(|mut findings| {
            // A moved.toml that is on disk was read by the check of all pages too.
            findings.dedup();
            findings
        })
    }
}

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
pub fn compare<'a>(old: &'a Side, new: &'a Side) -> Vec<Change<'a>> {
    let before: BTreeMap<&str, &Clause> = old.spec.clauses().map(|clause| (clause.id.as_str(), clause)).collect();
    let after: BTreeMap<&str, &Clause> = new.spec.clauses().map(|clause| (clause.id.as_str(), clause)).collect();
    let renamed = renamed(old, new, &before, &after);
    let former: BTreeMap<&str, &str> = renamed.iter().map(|(old, new)| (*new, *old)).collect();
    let mut changes = vec![];
    for clause in old.spec.clauses() {
        if !after.contains_key(clause.id.as_str()) && !renamed.contains_key(clause.id.as_str()) {
            let record = new.moved.iter().find(|moved| moved.old == clause.id);
            changes.push(Change { old: Some(clause), new: None, kinds: vec![Kind::Removed], record });
        }
    }
    for clause in new.spec.clauses() {
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
    old: &'a Side,
    new: &'a Side,
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
        pair(&moved.old, successor(&moved.old, &new.moved));
    }
    // Backwards, when the old side is the later one.
    for moved in &old.moved {
        pair(successor(&moved.old, &old.moved), &moved.old);
    }
    renamed
}

/// The id at the end of a chain of renamings, which in a file that is wrong could have none.
pub fn successor<'a>(id: &'a str, moved: &'a [Moved]) -> &'a str {
    let next = |id: &str| moved.iter().find(|moved| moved.old == id).and_then(|moved| moved.new.as_deref());
    std::iter::successors(Some(id), |id| next(id)).take(moved.len() + 1).last().unwrap_or(id)
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
