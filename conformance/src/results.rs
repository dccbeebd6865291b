//! The results of a run, as they are written and read.

use crate::trace::Step;
use crate::verdict::Verdict;
use crate::words::count;
use iomap_clauses::Clause;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The schema that this program writes and reads.
pub const SCHEMA: u32 = 1;

/// What a report of single cases says of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It held, as expected.
    Passed,
    /// It gave its clause a verdict that nobody expected, an unexpected pass included.
    Failed,
    /// It found the violation that is expected.
    Waived,
    /// It could not look.
    Skipped,
    /// It could not do its work.
    Broken,
}

/// The results of one run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Which specification.
    pub spec: Spec,
    /// `reference`, `fuse`, `host`, `dir` or `lab`.
    pub target: String,
    /// `seal`, `swapfile` or `immutable-attr`.
    pub mechanism: String,
    /// The file system; `model` for the reference.
    pub fs: String,
    /// The kernel that answered, or on which the reference ran.
    pub kernel: Kernel,
    /// When the run began: RFC 3339, in UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    /// Why nothing was tested, if the target lacks the mechanism.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_offered: Option<String>,
    /// What the kernel wrote into its log that no kernel should have to write.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kernel_log: Vec<LogLine>,
    /// Every clause, in the order of the pages.
    pub clauses: Vec<ClauseResult>,
    /// How many clauses have each verdict.
    pub totals: BTreeMap<Verdict, usize>,
}

/// A line of the kernel log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// The line.
    pub text: String,
    /// The cases that ran at about that time.
    pub during: Vec<String>,
}

/// Which specification the cases were compiled with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spec {
    /// The version of the pages.
    pub version: String,
    /// What identifies their wording.
    pub digest: String,
}

impl Spec {
    /// The one that this program was built with.
    pub fn own() -> Self {
        Self { version: iomap_clauses::SPEC_VERSION.into(), digest: iomap_clauses::SPEC_DIGEST.into() }
    }
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
    /// What was expected, if anything was: nothing is when a filter left cases of the clause out, or when a violation is
    /// expected at moments that the run did not meet.
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
    /// The calls that it made, with what came of each, if it is violated or could not do its work.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
    /// The same for this program, which can make reproducers of them.
    #[serde(skip)]
    pub steps: Vec<Step>,
}

impl ClauseResult {
    /// Whether the verdict is another than the expected one.
    pub fn is_surprise(&self) -> bool {
        self.expected.is_some_and(|expected| expected != self.verdict) && self.verdict != Verdict::Error
    }

    /// What a report says of one of its cases. Where the clause is a surprise, the cases that made it one failed, so that
    /// whatever ends with exit code 1 has something red.
    pub fn outcome(&self, case: &CaseResult) -> Outcome {
        match case.verdict {
            Verdict::Error => Outcome::Broken,
            verdict if self.is_surprise() && verdict == self.verdict => Outcome::Failed,
            Verdict::Violated if self.expected == Some(Verdict::Violated) => Outcome::Waived,
            Verdict::Violated => Outcome::Failed,
            Verdict::Holds => Outcome::Passed,
            Verdict::NotReachable | Verdict::NotOffered | Verdict::Untested => Outcome::Skipped,
        }
    }

    /// What there is to say of a case that does not simply pass: what it observed, and what else was expected.
    pub fn remark(&self, case: &CaseResult) -> String {
        let reason = self.reason.as_deref().unwrap_or_default();
        let detail = case.detail.as_deref().unwrap_or_default();
        let verdict = case.verdict;
        let remark = match (self.outcome(case), self.expected) {
            (Outcome::Passed, _) => String::new(),
            (Outcome::Waived, _) => format!("violated, as expected: {reason}\n{detail}"),
            (Outcome::Failed, Some(expected)) if expected != Verdict::Holds => {
                format!("{verdict}, but expected: {expected}, because {reason}\n{detail}")
            }
            (Outcome::Skipped | Outcome::Failed, _) if verdict != Verdict::Violated => format!("{verdict}: {detail}"),
            _ => detail.to_owned(),
        };
        remark.trim_end().to_owned()
    }

    /// The part of the id before the dot.
    pub fn family(&self) -> &str {
        self.id.split('.').next().unwrap_or(&self.id)
    }

    /// Its sentence, if this program was built with a specification that has it.
    pub fn clause(&self) -> Option<&'static Clause> {
        iomap_clauses::ALL.iter().copied().find(|clause| clause.id == self.id)
    }
}

impl Results {
    /// The column heading: `xfs/swapfile`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.fs, self.mechanism)
    }

    /// Reads a results document, a list of them as `matrix` writes it, or the document of `lab`, which has such a list.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, String> {
        let document: serde_json::Value =
            serde_json::from_str(text).map_err(|e| format!("not a results document: {e}"))?;
        let list = if document.is_array() { Some(&document) } else { document.get("runs") };
        match list.map(|list| list.as_array().ok_or("not a list of results documents")) {
            Some(list) => list?.iter().map(|one| Self::parse(&one.to_string())).collect(),
            None => Ok(vec![Self::parse(text)?]),
        }
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
            let family = clause.family();
            match families.iter_mut().find(|(name, _)| *name == family) {
                Some((_, clauses)) => clauses.push(clause),
                None => families.push((family, vec![clause])),
            }
        }
        families
    }

    /// Whether it is a surprise that the target lacks the mechanism: then there is no case to show it.
    pub fn lacks_unexpectedly(&self) -> bool {
        self.not_offered.is_some() && self.clauses.iter().any(ClauseResult::is_surprise)
    }

    /// Counts the verdicts of the clauses.
    pub(crate) fn count_again(&mut self) {
        self.totals.clear();
        for clause in &self.clauses {
            *self.totals.entry(clause.verdict).or_insert(0) += 1;
        }
    }

    /// How many clauses have a verdict.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.totals.get(&verdict).copied().unwrap_or(0)
    }

    /// 0 as expected, 1 a clause is violated (or holds) unexpectedly, 3 a case could not do its work, or the kernel is in
    /// trouble: then nobody knows what the verdicts are worth.
    pub fn exit_code(&self) -> u8 {
        self.sum().exit_code()
    }

    /// The numbers of results that are out of order.
    pub fn sum(&self) -> Sum {
        let errors = self.errors();
        let of_cases =
            |cases: bool| errors.iter().filter(|it| it.first.is_some() == cases).map(|it| it.names.len()).sum();
        Sum {
            surprises: self.clauses.iter().filter(|clause| clause.is_surprise()).count(),
            errors: of_cases(true),
            unseen: of_cases(false),
            complaints: self.kernel_log.len(),
            looked: self.count(Verdict::Holds) + self.count(Verdict::Violated),
            violated: self.count(Verdict::Violated),
        }
    }

    /// The cases that could not do their work, in their order; those with the same reason are together. For a clause
    /// without cases, the clause is named.
    pub fn errors(&self) -> Vec<Errors<'_>> {
        let mut errors: Vec<Errors> = Vec::new();
        for clause in &self.clauses {
            let of_cases = clause.cases.iter().filter(|case| case.verdict == Verdict::Error);
            let mut found: Vec<_> =
                of_cases.map(|case| (case.name.as_str(), case.detail.as_deref(), Some(case))).collect();
            if found.is_empty() && clause.verdict == Verdict::Error {
                found.push((&clause.id, clause.reason.as_deref(), None));
            }
            for (name, reason, case) in found {
                let reason = reason.unwrap_or("no reason is known");
                let same = |known: &&mut Errors| known.reason == reason && known.first.is_some() == case.is_some();
                match errors.iter_mut().find(same) {
                    Some(known) => known.names.push(name),
                    None => errors.push(Errors { reason, names: vec![name], first: case }),
                }
            }
        }
        errors
    }
}

/// The cases that could not do their work for one reason.
#[derive(Debug)]
pub struct Errors<'a> {
    /// The reason.
    pub reason: &'a str,
    /// The names of the cases, or of clauses that have none.
    pub names: Vec<&'a str>,
    /// The first of the cases, with its calls.
    pub first: Option<&'a CaseResult>,
}

/// The numbers of results that are out of order, which decide the exit code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Clauses with another verdict than the expected one.
    pub surprises: usize,
    /// Cases that could not do their work, even if other cases of their clause had a verdict.
    pub errors: usize,
    /// Clauses of which no case could be started.
    pub unseen: usize,
    /// Lines of the kernel log that report a fault of the kernel.
    pub complaints: usize,
    /// Clauses that hold or are violated.
    pub looked: usize,
    /// Clauses that are violated, expectedly or not.
    pub violated: usize,
}

impl Sum {
    /// The sum of several results.
    pub fn of(all: &[Results]) -> Self {
        all.iter().map(Results::sum).fold(Self::default(), |a, b| Self {
            surprises: a.surprises + b.surprises,
            errors: a.errors + b.errors,
            unseen: a.unseen + b.unseen,
            complaints: a.complaints + b.complaints,
            looked: a.looked + b.looked,
            violated: a.violated + b.violated,
        })
    }

    /// 1 if a verdict is unexpected: it has evidence of its own. Otherwise 3 if a case or clause has no answer.
    pub fn exit_code(self) -> u8 {
        match self {
            Self { surprises: 1.., .. } => 1,
            Self { errors: 0, unseen: 0, complaints: 0, .. } => 0,
            _ => 3,
        }
    }
}

/// The last line of a report.
impl fmt::Display for Sum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = Vec::new();
        if self.surprises > 0 {
            let verb = if self.surprises == 1 { "is" } else { "are" };
            parts.push(format!("{} {verb} not as expected", count(self.surprises, "clause")));
        }
        if self.errors > 0 {
            let whose = if self.errors == 1 { "its" } else { "their" };
            parts.push(format!("{} could not do {whose} work", count(self.errors, "case")));
        }
        if self.unseen > 0 {
            parts.push(format!("{} could not be looked at", count(self.unseen, "clause")));
        }
        if self.complaints > 0 {
            parts.push("the kernel is in trouble".into());
        }
        f.write_str(match self {
            _ if !parts.is_empty() => return f.write_str(&parts.join("; ")),
            Self { looked: 0, .. } => "nothing could be looked at, as expected",
            Self { violated: 0, .. } => "conforms",
            _ => "as expected of this mechanism",
        })
    }
}

/// The kernels that results are of, in the order in which they come.
pub fn releases(all: &[Results]) -> Vec<&str> {
    let mut releases: Vec<&str> = Vec::new();
    for results in all {
        if !releases.contains(&results.kernel.release.as_str()) {
            releases.push(&results.kernel.release);
        }
    }
    releases
}

#[derive(Deserialize)]
struct SchemaOnly {
    schema: u32,
}
