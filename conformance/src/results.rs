//! The results of a run, as they are written and read.

use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The schema that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which specification.
    pub spec: Spec,
    /// `reference` or `host`.
    pub target: String,
    /// `seal`, `swapfile` or `immutable-attr`.
    pub mechanism: String,
    /// The file system; `model` for the reference.
    pub fs: String,
    /// The kernel that answered, or on which the reference ran.
    pub kernel: Kernel,
    /// Why nothing was tested, if the target lacks the mechanism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
    /// Every clause, in the order of the pages.
    pub clauses: Vec<ClauseResult>,
    /// How many clauses have each verdict.
    pub totals: BTreeMap<Verdict, usize>,
}

/// Which specification the cases were compiled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The version of the pages.
    pub version: String,
    /// What identifies their wording.
    pub digest: String,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
}

/// What was found out about one clause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClauseResult {
    /// The clause.
    pub id: String,
    /// What was found.
    pub verdict: Verdict,
    /// What was expected, if anything was: nothing is when a filter left cases of the clause out.
    pub expected: Option<Verdict>,
    /// Why another verdict than `holds` is expected, or why nothing could be observed.
    pub reason: Option<String>,
    /// Its cases that ran.
    pub cases: Vec<CaseResult>,
}

/// What was found out by one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    /// Such as `truncate::shrink`.
    pub name: String,
    /// What was found.
    pub verdict: Verdict,
    /// How long it took.
    pub duration_ms: f64,
    /// What was observed that should not be, or why nothing was.
    pub detail: Option<String>,
}

impl ClauseResult {
    /// Whether the verdict is another than the expected one.
    pub fn is_surprise(&self) -> bool {
        self.expected.is_some_and(|expected| expected != self.verdict) && self.verdict != Verdict::Error
    }
}

impl Results {
    /// The column heading: `xfs/swapfile`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.fs, self.mechanism)
    }

    /// Reads a results document. The error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let schema: SchemaOnly = serde_json::from_str(text).map_err(|e| format!("not a results document: {e}"))?;
        if schema.schema != SCHEMA {
            return Err(format!("its schema is {}, this program reads schema {SCHEMA}", schema.schema));
        }
        serde_json::from_str(text).map_err(|e| format!("not a results document of schema {SCHEMA}: {e}"))
    }

    /// The clauses by family, each family where its first clause is.
    pub fn families(&self) -> Vec<(&str, Vec<&ClauseResult>)> {
        let mut families: Vec<(&str, Vec<&ClauseResult>)> = Vec::new();
        for clause in &self.clauses {
            let family = clause.id.split('.').next().unwrap_or(&clause.id);
            match families.iter_mut().find(|(name, _)| *name == family) {
                Some((_, clauses)) => clauses.push(clause),
                None => families.push((family, vec![clause])),
            }
        }
        families
    }

    /// How many clauses have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.totals.get(&verdict).copied().unwrap_or(0)
    }

    /// 0 as expected, 1 a clause is violated (or holds) unexpectedly, 3 a case could not do its work.
    pub fn exit_code(&self) -> u8 {
        match () {
            () if self.clauses.iter().any(ClauseResult::is_surprise) => 1,
            () if self.clauses.iter().any(|clause| clause.verdict == Verdict::Error) => 3,
            () => 0,
        }
    }
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: u32,
}
