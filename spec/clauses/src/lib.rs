//! The clauses of the specification as constants.
//!
//! The constants are made from `man/*.md` when this crate is built. A clause `truncate.shrink` is
//! [`TRUNCATE_SHRINK`]:
//!
//! ```
//! assert_eq!(iomap_clauses::TRUNCATE_SHRINK.id, "truncate.shrink");
//! ```
//!
//! Code that cites an id which is on no page does not compile:
//!
//! ```compile_fail,E0425
//! assert_eq!(iomap_clauses::TRUNCATE_SIDEWAYS.id, "truncate.sideways");
//! ```
//!
//! The crate reads no pages at run time, and does not judge the result of a call: it has only the clauses and the
//! outcomes that they allow.

pub use iomap_vocabulary::{Level, Observe};
pub use nix::errno::Errno;
use std::fmt;

/// One sentence of the specification, with the outcomes that it allows.
#[derive(Debug)]
pub struct Clause {
    /// The name, such as `truncate.shrink`.
    pub id: &'static str,
    /// The level: must, should or may.
    pub level: Level,
    /// Whether success is an allowed outcome.
    pub ok: bool,
    /// The errors that are allowed outcomes.
    pub errnos: &'static [Errno],
    /// The places of observation.
    pub observe: &'static [Observe],
    /// The page of the clause, such as `iomap_immutable(7)`.
    pub page: &'static str,
    /// The heading above the clause.
    pub section: &'static str,
    /// The text, without markup.
    pub text: &'static str,
    /// Eight hex digits that change with the text, the level, the outcomes, or the places of observation.
    pub hash: &'static str,
    /// The reason for the clause.
    pub why: Option<&'static str>,
    /// The reason why no case cites the clause, if none does.
    pub uncased: Option<&'static str>,
}

impl Clause {
    /// Whether the clause allows this outcome: `None` is success.
    pub fn allows(&self, outcome: Option<Errno>) -> bool {
        outcome.map_or(self.ok, |errno| self.errnos.contains(&errno))
    }

    /// Whether anything that is observed can break it: a permission tells only what to be prepared for.
    pub fn is_testable(&self) -> bool {
        self.level != Level::May
    }

    /// Whether this error of a call is excused if the same call fails with it on any file (rule.ordinary). It is not, if
    /// the text excludes the error by its name, or says which error is reported before another.
    pub fn excuses(&self, errno: Errno) -> bool {
        let name = format!("{errno:?}");
        let mut words = self.text.split(|c: char| !c.is_ascii_alphanumeric());
        let named = !self.allows(Some(errno)) && words.any(|word| word == name);
        !named && !self.text.contains("reported before")
    }

    /// The part of the id before its first dot.
    pub fn family(&self) -> &'static str {
        iomap_vocabulary::family(self.id)
    }

    /// The allowed outcomes in words, such as `ok or ETXTBSY`.
    pub fn envelope(&self) -> String {
        let ok = self.ok.then(|| "ok".to_owned());
        ok.into_iter().chain(self.errnos.iter().map(|e| format!("{e:?}"))).collect::<Vec<_>>().join(" or ")
    }
}

impl PartialEq for Clause {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Clause {}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id)
    }
}

include!(concat!(env!("OUT_DIR"), "/clauses.rs"));
