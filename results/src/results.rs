//! The results of one run.

use crate::sum::{Errors, Sum};
use crate::verdict::Verdict;
use iomap_vocabulary::{Exit, Series, family};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The number of the schema of results. It was 1 while the digest of a specification left out the outcomes that its
/// clauses allow.
pub const SCHEMA: u32 = 2;

/// The names of all targets.
pub const TARGETS: [&str; 5] = ["reference", "fuse", "host", "dir", "lab"];

/// The names of all mechanisms.
pub const MECHANISMS: [&str; 5] = ["seal", "swapfile", "immutable-attr", "f2fs-pin", "device-dax"];

/// The form of the clause ids.
#[cfg(test)]
pub(crate) const CLAUSE_ID: &str = r"^[a-z_]+\.[a-z0-9_]+$";

/// The form of the names of cases.
#[cfg(test)]
pub(crate) const CASE_NAME: &str = r"^[a-z_]+::[a-z0-9_]+(\[[a-z_]+=[a-z_]+(,[a-z_]+=[a-z_]+)*\])?$";

/// The results of one run. `matrix --format json` writes a list of such documents. Members may be added without a new
/// number.
// `S` is the form in which a program keeps the calls of a case beside the document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound = "")]
#[cfg_attr(test, schemars(bound = "", rename = "results", title = "Results of iomap-conformance"))]
pub struct Results<S = ()> {
    /// The number of the schema.
    #[cfg_attr(test, schemars(with = "u32", extend("const" = SCHEMA)))]
    pub schema: u32,
    /// The specification whose cases ran.
    pub spec: Spec,
    /// Where the calls went.
    #[cfg_attr(test, schemars(extend("enum" = TARGETS)))]
    pub target: String,
    /// How files got into the state.
    #[cfg_attr(test, schemars(extend("enum" = MECHANISMS)))]
    pub mechanism: String,
    /// The file system; `model` for the reference.
    pub fs: String,
    /// The kernel that answered, or on which the reference ran.
    pub kernel: Kernel,
    /// When the run began, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub started: Option<String>,
    /// Why nothing was tested, if the target lacks the mechanism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub not_offered: Option<String>,
    /// The lines that the kernel wrote into its log while cases ran, and that no kernel should have to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_log: Vec<LogLine>,
    /// The situations that fit no case, each reason with the number of runs or values that it left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, usize>,
    /// Every clause, in the order of the pages.
    pub clauses: Vec<ClauseResult<S>>,
    /// How many clauses have each verdict.
    #[cfg_attr(test, schemars(schema_with = "totals"))]
    pub totals: BTreeMap<Verdict, usize>,
}

#[cfg(test)]
fn totals(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let verdict = generator.subschema_for::<Verdict>();
    schemars::json_schema!({
        "type": "object",
        "propertyNames": verdict,
        "additionalProperties": {"type": "integer", "minimum": 1},
    })
}

/// A line of the kernel log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "log_line"))]
pub struct LogLine {
    /// The line.
    pub text: String,
    /// The cases that ran at about that time.
    pub during: Vec<String>,
}

/// A state of the specification.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "spec"))]
pub struct Spec {
    /// The version of the pages.
    pub version: String,
    /// The identity of their clauses: text, level, outcomes and places of observation.
    #[cfg_attr(test, schemars(regex(pattern = "^[0-9a-f]{8}$")))]
    pub digest: String,
}

/// A kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "kernel"))]
pub struct Kernel {
    /// As `uname -r` prints it.
    pub release: String,
    /// The day of its build, from its version. Absent if the version has no date, or if no call reached the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String", regex(pattern = "^[0-9]{4}-[0-9]{2}-[0-9]{2}$")))]
    pub built: Option<String>,
    /// Its build id, in hexadecimal digits. Absent if it has none, or if no call reached the kernel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "String", regex(pattern = "^[0-9a-f]+$")))]
    pub build_id: Option<String>,
}

impl Kernel {
    /// A kernel of which only the release is known.
    pub fn of_release(release: impl Into<String>) -> Self {
        Self { release: release.into(), built: None, build_id: None }
    }

    /// The series of the kernel, such as 6.18.
    pub fn series(&self) -> Option<Series> {
        Series::of_release(&self.release)
    }
}

/// The finding about one clause.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound = "")]
#[cfg_attr(test, schemars(bound = "", rename = "clause"))]
pub struct ClauseResult<S = ()> {
    /// The clause.
    #[cfg_attr(test, schemars(regex(pattern = CLAUSE_ID)))]
    pub id: String,
    /// The finding. `violated`: something was observed that the clause excludes. `error`: the suite or its environment
    /// failed, which says nothing about the clause.
    pub verdict: Verdict,
    /// The expected verdict; null when a filter left cases of the clause out, when it has none, or when a violation is
    /// expected at moments that the run did not meet.
    pub expected: Option<Verdict>,
    /// Why another verdict than `holds` is expected, or why nothing could be observed.
    pub reason: Option<String>,
    /// Its cases that ran.
    pub cases: Vec<CaseResult<S>>,
}

/// The finding of one case.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(bound = "")]
#[cfg_attr(test, schemars(bound = "", rename = "case"))]
pub struct CaseResult<S = ()> {
    /// Such as `truncate::shrink`, or `truncate::shrink[names=three]` in a situation.
    #[cfg_attr(test, schemars(regex(pattern = CASE_NAME)))]
    pub name: String,
    /// The finding.
    pub verdict: Verdict,
    /// How long it took, in milliseconds.
    #[cfg_attr(test, schemars(range(min = 0)))]
    pub duration_ms: f64,
    /// The observation that should not be, or the reason why there was none.
    pub detail: Option<String>,
    /// The calls that were made, in order and as strace(1) would print them, if the case is violated or in error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// The same calls in a form of the program that made them. No document has them.
    #[serde(skip)]
    pub steps: Vec<S>,
}

/// The outcome of a case, as a report of single cases says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseOutcome {
    /// The clause held, as expected.
    Passed,
    /// The case gave its clause an unexpected verdict; an unexpected pass counts too.
    Failed,
    /// The case found the violation that is expected.
    Waived,
    /// The case could not make its observation.
    Skipped,
    /// The case could not do its work.
    Broken,
}

impl<S> ClauseResult<S> {
    /// Whether the verdict is another than the expected one.
    pub fn is_surprise(&self) -> bool {
        self.expected.is_some_and(|expected| expected != self.verdict) && self.verdict != Verdict::Error
    }

    /// The outcome of one case of this clause, for a report. If the clause is a surprise, the cases that caused the
    /// surprise failed, so that every run that ends with exit code 1 shows a failed case.
    pub fn outcome(&self, case: &CaseResult<S>) -> CaseOutcome {
        match case.verdict {
            Verdict::Error => CaseOutcome::Broken,
            verdict if self.is_surprise() && verdict == self.verdict => CaseOutcome::Failed,
            Verdict::Violated if self.expected == Some(Verdict::Violated) => CaseOutcome::Waived,
            Verdict::Violated => CaseOutcome::Failed,
            Verdict::Holds => CaseOutcome::Passed,
            Verdict::NotReachable | Verdict::NotOffered | Verdict::Untested => CaseOutcome::Skipped,
        }
    }

    /// The remark on a case that does not simply pass: its observation, and the expectation that it contradicts.
    pub fn remark(&self, case: &CaseResult<S>) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        let detail = case.detail.as_deref().unwrap_or_default();
        let verdict = case.verdict;
        let remark = match (self.outcome(case), self.expected) {
            (CaseOutcome::Passed, _) => String::new(),
            (CaseOutcome::Waived, _) => format!("violated, as expected: {reason}\n{detail}"),
            (CaseOutcome::Failed, Some(expected)) if expected != Verdict::Holds => {
                format!("{verdict}, but expected: {expected}, because {reason}\n{detail}")
            }
            (CaseOutcome::Skipped | CaseOutcome::Failed, _) if verdict != Verdict::Violated => {
                format!("{verdict}: {detail}")
            }
            _ => detail.to_owned(),
        };
        remark.trim_end().to_owned()
    }

    /// The observation, or the reason why there was none, of the first case that gave the clause its verdict.
    pub fn detail(&self) -> Option<String> {
        let mut deciding = self.cases.iter().filter(|case| case.verdict == self.verdict);
        deciding.find_map(|case| case.detail.clone()).or_else(|| self.reason.clone())
    }

    /// The part of the id before the dot.
    pub fn family(&self) -> &str {
        family(&self.id)
    }
}

impl<S> Results<S> {
    /// The file system and the mechanism: `xfs/swapfile`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.fs, self.mechanism)
    }

    /// The finding about a clause.
    pub fn clause(&self, id: &str) -> Option<&ClauseResult<S>> {
        self.clauses.iter().find(|clause| clause.id == id)
    }

    /// The clauses by family. The families are in the order of their first clauses.
    pub fn families(&self) -> Vec<(&str, Vec<&ClauseResult<S>>)> {
        let mut families: Vec<(&str, Vec<&ClauseResult<S>>)> = Vec::new();
        for clause in &self.clauses {
            let of = clause.family();
            match families.iter_mut().find(|(name, _)| *name == of) {
                Some((_, clauses)) => clauses.push(clause),
                None => families.push((of, vec![clause])),
            }
        }
        families
    }

    /// Whether the target lacks the mechanism although verdicts were expected. No case ran, so no case can show it.
    pub fn lacks_unexpectedly(&self) -> bool {
        self.not_offered.is_some() && self.clauses.iter().any(ClauseResult::is_surprise)
    }

    /// Counts the verdicts of the clauses.
    pub fn count_again(&mut self) {
        self.totals.clear();
        for clause in &self.clauses {
            *self.totals.entry(clause.verdict).or_insert(0) += 1;
        }
    }

    /// How many clauses have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.totals.get(&verdict).copied().unwrap_or(0)
    }

    /// The exit code: 0 if all is as expected; 1 if a clause is violated (or holds) unexpectedly; 3 if a case could not
    /// do its work, or if the kernel reported a fault of its own: the verdicts are then unreliable.
    pub fn exit(&self) -> Exit {
        self.sum().exit()
    }

    /// The counts of unexpected verdicts, errors and kernel faults.
    pub fn sum(&self) -> Sum {
        Sum::of_one(self)
    }

    /// The cases that could not do their work, in order, grouped by reason. A clause without cases is named itself.
    pub fn errors(&self) -> Vec<Errors<'_, S>> {
        Errors::of(self)
    }
}

/// The kernel releases of the results, in the order of the results.
pub fn releases<S>(all: &[Results<S>]) -> Vec<&str> {
    let mut releases: Vec<&str> = Vec::new();
    for results in all {
        if !releases.contains(&results.kernel.release.as_str()) {
            releases.push(&results.kernel.release);
        }
    }
    releases
}

/// The reason why results do not fit into one table.
#[derive(Debug, PartialEq, Eq)]
pub enum Incomparable {
    /// There are no results.
    NoResults,
    /// The results are of different specifications, in which one clause may allow different outcomes.
    Specifications(Spec, Spec),
}

impl fmt::Display for Incomparable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoResults => f.write_str("no results"),
            Self::Specifications(first, other) => write!(
                f,
                "results of different specifications: {} {} and {} {}",
                first.version, first.digest, other.version, other.digest
            ),
        }
    }
}

impl std::error::Error for Incomparable {}

/// Whether results fit into one table: all must be of one specification.
///
/// # Errors
/// There are no results, or two specifications.
pub fn comparable<S>(all: &[Results<S>]) -> Result<(), Incomparable> {
    let Some(first) = all.first() else { return Err(Incomparable::NoResults) };
    match all.iter().find(|results| results.spec != first.spec) {
        Some(other) => Err(Incomparable::Specifications(first.spec.clone(), other.spec.clone())),
        None => Ok(()),
    }
}
