//! Verdicts.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The finding about a clause. The order is the order of precedence when cases disagree: the first one wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[cfg_attr(test, schemars(rename = "verdict"))]
pub enum Verdict {
    /// An outcome or an effect that the clause excludes was observed.
    Violated,
    /// The suite or its environment failed; says nothing about the clause.
    Error,
    /// Everything observed is allowed.
    Holds,
    /// The transport cannot carry the call.
    NotReachable,
    /// The kernel, the file system or the mechanism has no such thing.
    NotOffered,
    /// No case ran.
    Untested,
}

impl Verdict {
    /// Every verdict, in the order of a legend.
    pub const ALL: [Self; 6] =
        [Self::Holds, Self::Violated, Self::NotOffered, Self::NotReachable, Self::Untested, Self::Error];

    /// The word of the verdict in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Violated => "violated",
            Self::Error => "error",
            Self::Holds => "holds",
            Self::NotReachable => "not-reachable",
            Self::NotOffered => "not-offered",
            Self::Untested => "untested",
        }
    }

    /// The mark of the verdict in the matrix.
    pub const fn mark(self) -> char {
        match self {
            Self::Violated => 'x',
            Self::Error => '!',
            Self::Holds => '+',
            Self::NotReachable => '~',
            Self::NotOffered => '-',
            Self::Untested => ' ',
        }
    }

    /// The verdict on a clause, from the verdicts of its cases.
    pub fn of(cases: impl IntoIterator<Item = Self>) -> Self {
        cases.into_iter().min().unwrap_or(Self::Untested)
    }
}

/// The words of the verdict for people: `not reachable`.
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.as_str().replace('-', " "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_holds_only_if_no_case_says_otherwise() {
        assert_eq!(Verdict::of([Verdict::Holds, Verdict::Violated, Verdict::Error]), Verdict::Violated);
        assert_eq!(Verdict::of([Verdict::Holds, Verdict::Error]), Verdict::Error);
        assert_eq!(Verdict::of([Verdict::NotOffered, Verdict::Holds]), Verdict::Holds);
        assert_eq!(Verdict::of([]), Verdict::Untested);
    }

    #[test]
    fn words_are_those_of_documents() {
        for verdict in Verdict::ALL {
            assert_eq!(serde_json::to_value(verdict).unwrap(), verdict.as_str());
        }
    }
}
