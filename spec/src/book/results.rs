//! Documents of `iomap-conformance --format json`.

use super::output::Trouble;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

/// The schema that this program reads.
const SCHEMA: u64 = 1;

/// The results of one run of the suite.
#[derive(Debug, Clone, Deserialize)]
pub struct Results {
    pub(super) spec: Identity,
    pub(super) target: String,
    pub(super) mechanism: String,
    pub(super) fs: String,
    pub(super) kernel: Kernel,
    pub(super) not_offered: Option<String>,
    pub(super) clauses: Vec<ClauseResult>,
}

/// Which wording was measured.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Identity {
    pub(super) version: String,
    pub(super) digest: String,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct Kernel {
    pub(super) release: String,
}

/// What was found out about one clause.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct ClauseResult {
    pub(super) id: String,
    pub(super) verdict: Verdict,
    pub(super) reason: Option<String>,
    pub(super) cases: Vec<CaseResult>,
}

#[derive(Debug, Clone, Deserialize)]
pub(super) struct CaseResult {
    pub(super) name: String,
}

/// What the suite can say about a clause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Everything observed is allowed.
    Holds,
    /// Something was observed that the clause excludes.
    Violated,
    /// There is no such thing.
    NotOffered,
    /// The suite cannot make the call there.
    NotReachable,
    /// No case ran.
    Untested,
    /// The suite or the machine failed.
    Error,
}

impl Verdict {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Violated => "violated",
            Verdict::NotOffered => "not-offered",
            Verdict::NotReachable => "not-reachable",
            Verdict::Untested => "untested",
            Verdict::Error => "error",
        }
    }

    /// The word, with a colour to find it by.
    pub(super) fn html(self) -> String {
        format!("<span class=\"verdict {0}\">{0}</span>", self.as_str())
    }
}

/// How often each verdict occurs, in words: `holds 2, violated 1`.
pub(super) fn totals(verdicts: impl IntoIterator<Item = Verdict>) -> String {
    let mut counts: BTreeMap<Verdict, usize> = BTreeMap::new();
    verdicts.into_iter().for_each(|verdict| *counts.entry(verdict).or_default() += 1);
    counts.iter().map(|(verdict, count)| format!("{} {count}", verdict.html())).collect::<Vec<_>>().join(", ")
}

impl Results {
    /// Reads one document, a list of documents, or the output of the lab; `name` is the source of the text.
    ///
    /// # Errors
    /// A fault of the text.
    pub fn read(name: &Path, text: &[u8]) -> Result<Vec<Self>, Trouble> {
        Self::parse(text).map_err(|reason| {
            let mend = "give a file that `iomap-conformance --format json --output FILE` wrote";
            Trouble::Findings(vec![format!("{}: {reason}: {mend}", name.display())])
        })
    }

    fn parse(text: &[u8]) -> Result<Vec<Self>, String> {
        let no_json = |error| format!("not a results document: {error}");
        let document: Value = serde_json::from_slice(text).map_err(no_json)?;
        match document.get("runs").cloned().unwrap_or(document) {
            Value::Array(documents) if documents.is_empty() => Err("a list without any results".into()),
            Value::Array(documents) => documents.into_iter().map(Self::document).collect(),
            document => Self::document(document).map(|results| vec![results]),
        }
    }

    fn document(document: Value) -> Result<Self, String> {
        match document.get("schema").and_then(Value::as_u64) {
            Some(SCHEMA) => Self::deserialize(document)
                .map_err(|error| format!("not a results document of schema {SCHEMA}: {error}")),
            Some(other) => Err(format!("its schema is {other}, this program reads schema {SCHEMA}")),
            None => Err("not a results document: it names no schema".into()),
        }
    }

    /// What was measured, where, and how: `host, swapfile, xfs, 6.18.0`.
    pub(super) fn label(&self) -> String {
        format!("{}, {}, {}, {}", self.target, self.mechanism, self.fs, self.kernel.release)
    }

    pub(super) fn clause(&self, id: &str) -> Option<&ClauseResult> {
        self.clauses.iter().find(|clause| clause.id == id)
    }
}
