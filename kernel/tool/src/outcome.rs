//! The outcome of a mutant, its file, and the table of all.

use crate::apply::put;
use crate::make::time;
use crate::script::Script;
use iomap_command::{Error, Exit};
use iomap_results::{Results, Verdict as Finding};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs;
use std::path::Path;
use std::time::Duration;

/// The word about a mutant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// An expected clause is violated.
    Killed,
    /// Another clause is violated.
    Noticed,
    /// No clause is violated.
    Lives,
    /// No clause is violated, as the mutant says.
    Equivalent,
    /// The mutant does not compile, or a guest brought no results.
    Failed,
}

impl Verdict {
    fn word(self) -> &'static str {
        match self {
            Self::Killed => "killed",
            Self::Noticed => "noticed",
            Self::Lives => "lives",
            Self::Equivalent => "equivalent",
            Self::Failed => "failed",
        }
    }
}

/// A clause that a case found violated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Notice {
    pub(crate) clause: String,
    pub(crate) case: String,
    pub(crate) detail: Option<String>,
}

/// A part of the suite, for one guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A family in plain situations.
    Family(String),
    /// The same, and so many runs from all pairs of values.
    Pairs(String, usize),
    /// Every case in the plain situation.
    Whole,
}

impl Part {
    /// The family, if it is not the whole suite.
    pub(crate) fn family(&self) -> Option<&str> {
        match self {
            Self::Family(family) | Self::Pairs(family, _) => Some(family),
            Self::Whole => None,
        }
    }

    /// The number of runs in situations beside the plain ones.
    pub(crate) fn budget(&self) -> Option<usize> {
        match self {
            Self::Pairs(_, budget) => Some(*budget),
            Self::Family(_) | Self::Whole => None,
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Family(family) => f.write_str(family),
            Self::Pairs(family, _) => write!(f, "pairs of {family}"),
            Self::Whole => f.write_str("all"),
        }
    }
}

/// One guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) fs: String,
    /// The family; null for the whole suite.
    filter: Option<String>,
    /// The number of runs in situations, if there were any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    budget: Option<usize>,
    /// Whether a clause has a verdict.
    pub(crate) ran: bool,
    pub(crate) notices: Vec<Notice>,
    /// Clauses without a verdict, because the suite or the guest failed.
    pub(crate) errors: usize,
    /// Lines of the kernel's log that mean trouble.
    pub(crate) log: Vec<String>,
    #[serde(default)]
    seconds: u64,
}

impl Stage {
    /// The verdict of the results.
    pub(crate) fn of(fs: &str, part: &Part, runs: &[Results], time: Duration) -> Self {
        let clauses = || runs.iter().flat_map(|run| &run.clauses);
        let notices = clauses().filter(|clause| clause.verdict == Finding::Violated).map(|clause| {
            let case = clause.cases.iter().find(|case| case.verdict == Finding::Violated);
            Notice {
                clause: clause.id.clone(),
                case: case.map_or(String::new(), |case| case.name.clone()),
                detail: case.and_then(|case| case.detail.clone()),
            }
        });
        Self {
            fs: fs.to_owned(),
            filter: part.family().map(str::to_owned),
            budget: part.budget(),
            ran: clauses().any(|clause| matches!(clause.verdict, Finding::Holds | Finding::Violated)),
            notices: notices.collect(),
            errors: clauses().filter(|clause| clause.verdict == Finding::Error).count(),
            log: runs.iter().flat_map(|run| &run.kernel_log).map(|line| line.text.clone()).collect(),
            seconds: time.as_secs(),
        }
    }

    /// Whether it ran all of this part.
    fn is(&self, fs: &str, part: &Part) -> bool {
        self.fs == fs && self.filter.as_deref() == part.family() && self.budget >= part.budget()
    }
}

/// All that is known about a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) mutant: String,
    pub(crate) title: String,
    /// The digest of its edits.
    #[serde(default)]
    pub(crate) script: String,
    /// The identity of the mutant's kernel.
    kernel: String,
    /// The digest of the series without the mutant.
    #[serde(default)]
    pub(crate) series: String,
    /// The SHA-256 of the suite's program.
    pub(crate) suite: String,
    pub(crate) fs: Vec<String>,
    pub(crate) verdict: Verdict,
    pub(crate) expected: Vec<String>,
    /// The reason why no program can notice the mutant.
    #[serde(default)]
    pub(crate) equivalent: Option<String>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) seconds: u64,
}

impl Outcome {
    /// A mutant about which nothing is known yet.
    pub(crate) fn new(mutant: &Script, series: &str, kernel: String, suite: &str, fs: &[String]) -> Self {
        Self {
            mutant: mutant.name.clone(),
            title: mutant.title.value.clone(),
            script: mutant.digest(),
            kernel,
            series: series.to_owned(),
            suite: suite.to_owned(),
            fs: fs.to_vec(),
            verdict: Verdict::Failed,
            expected: expected(mutant),
            equivalent: mutant.equivalent.clone(),
            stages: vec![],
            seconds: 0,
        }
    }

    /// The outcome in the file of a mutant, by what the mutant says today.
    pub(crate) fn read(directory: &Path, mutant: &Script) -> Option<Self> {
        let path = directory.join(format!("{}.json", mutant.name));
        let known: Self = serde_json::from_str(&fs::read_to_string(path).ok()?).ok()?;
        let mut known = Self {
            title: mutant.title.value.clone(),
            expected: expected(mutant),
            equivalent: mutant.equivalent.clone(),
            ..known
        };
        known.decide();
        Some(known)
    }

    /// Writes the file.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(format!("{}.json", self.mutant));
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::file(&path, error))?;
        put(&path, &(text + "\n"))
    }

    /// Whether it is the outcome of the same kernel. A mutant that was killed stays so; others may not survive another
    /// suite, or another part of it.
    pub(crate) fn is_valid(&self, kernel: &str, suite: &str, fs: &[String], parts: &[Part]) -> bool {
        let needed = match self.verdict {
            Verdict::Killed => &[],
            Verdict::Noticed => parts.split_last().map_or(parts, |(_, before)| before),
            Verdict::Lives | Verdict::Equivalent => parts,
            Verdict::Failed => return false,
        };
        let has_run = |part: &Part| fs.iter().all(|fs| self.stages.iter().any(|stage| stage.is(fs, part)));
        let is_final = self.verdict == Verdict::Killed || self.suite == suite && needed.iter().all(has_run);
        is_final && self.kernel == kernel && self.fs == fs
    }

    fn notices(&self) -> impl Iterator<Item = (&Stage, &Notice)> {
        self.stages.iter().flat_map(|stage| stage.notices.iter().map(move |notice| (stage, notice)))
    }

    /// Whether an expected clause is violated.
    pub(crate) fn is_killed(&self) -> bool {
        self.notices().any(|(_, notice)| self.expected.contains(&notice.clause))
    }

    /// Whether a clause is violated.
    pub(crate) fn is_noticed(&self) -> bool {
        self.notices().next().is_some()
    }

    /// Sets the verdict from the stages.
    pub(crate) fn decide(&mut self) {
        self.verdict = match () {
            () if self.is_killed() => Verdict::Killed,
            () if self.is_noticed() => Verdict::Noticed,
            () if self.stages.is_empty() || self.stages.iter().any(|stage| !stage.ran) => Verdict::Failed,
            () if self.equivalent.is_some() => Verdict::Equivalent,
            () => Verdict::Lives,
        };
    }

    /// The notice for the table: of an expected clause if there is one.
    pub(crate) fn notice(&self) -> Option<(&Stage, &Notice)> {
        let expected = self.notices().find(|(_, notice)| self.expected.contains(&notice.clause));
        expected.or_else(|| self.notices().next())
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {}", self.mutant, self.verdict.word())?;
        if let Some((stage, notice)) = self.notice() {
            write!(f, ": {} on {}", notice.case, stage.fs)?;
        }
        write!(f, ", {}", time(Duration::from_secs(self.seconds)))
    }
}

/// The clauses that a mutant has to break.
fn expected(mutant: &Script) -> Vec<String> {
    mutant.expected.iter().map(|id| id.value.clone()).collect()
}

/// The table *mutant, verdict, clause, case*.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut rows = vec![["mutant", "verdict", "fs", "clause", "case", "log"].map(str::to_owned)];
    for outcome in outcomes {
        let (fs, clause, case) = match outcome.notice() {
            Some((stage, notice)) => (stage.fs.clone(), notice.clause.clone(), notice.case.clone()),
            None => (outcome.fs.join(" "), format!("({})", outcome.expected.join(", ")), "-".into()),
        };
        let log = if outcome.stages.iter().any(|stage| !stage.log.is_empty()) { "warning" } else { "" };
        rows.push([outcome.mutant.clone(), outcome.verdict.word().into(), fs, clause, case, log.into()]);
    }
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..6).map(width).collect();
    let line = |row: &[String; 6]| {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// The number of mutants with each verdict.
pub(crate) struct Count([usize; 5]);

const ALL: [Verdict; 5] = [Verdict::Killed, Verdict::Noticed, Verdict::Lives, Verdict::Equivalent, Verdict::Failed];

impl Count {
    pub(crate) fn of(outcomes: &[Outcome]) -> Self {
        Self(ALL.map(|verdict| outcomes.iter().filter(|outcome| outcome.verdict == verdict).count()))
    }

    /// A survivor and one that only other clauses notice are findings; a mutant without results is a fault of the machine.
    pub(crate) fn exit(&self, missing: usize) -> Exit {
        let [_, noticed, lives, _, failed] = self.0;
        match (noticed + lives, failed + missing) {
            (0, 0) => Exit::Fine,
            (0, _) => Exit::Environment,
            _ => Exit::Found,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let parts: Vec<String> = ALL.iter().zip(self.0).map(|(it, count)| format!("{count} {}", it.word())).collect();
        f.write_str(&parts.join(", "))
    }
}
