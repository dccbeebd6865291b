//! The outcome of a mutant, its file, and the table of all.

use crate::apply::put;
use crate::make::time;
use crate::script::Script;
use iomap_command::{Error, Exit};
use iomap_results::{Results, Verdict as Finding};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
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

/// One guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stage {
    pub(crate) fs: String,
    /// The family; null for the whole suite.
    pub(crate) filter: Option<String>,
    /// Whether a clause has a verdict.
    pub(crate) ran: bool,
    pub(crate) notices: Vec<Notice>,
    /// Clauses without a verdict, because the suite or the guest failed.
    pub(crate) errors: usize,
    /// Lines of the kernel's log that mean trouble.
    pub(crate) log: Vec<String>,
}

impl Stage {
    /// The verdict of the results, without the clauses that are violated in any case.
    pub(crate) fn of(fs: &str, filter: Option<&str>, runs: &[Results], sound: &BTreeSet<String>) -> Self {
        let clauses = || runs.iter().flat_map(|run| &run.clauses);
        let is_new = |id: &String| !sound.contains(id);
        let violated = clauses().filter(|clause| clause.verdict == Finding::Violated && is_new(&clause.id));
        let notices = violated.map(|clause| {
            let case = clause.cases.iter().find(|case| case.verdict == Finding::Violated);
            Notice {
                clause: clause.id.clone(),
                case: case.map_or(String::new(), |case| case.name.clone()),
                detail: case.and_then(|case| case.detail.clone()),
            }
        });
        Self {
            fs: fs.to_owned(),
            filter: filter.map(str::to_owned),
            ran: clauses().any(|clause| matches!(clause.verdict, Finding::Holds | Finding::Violated)),
            notices: notices.collect(),
            errors: clauses().filter(|clause| clause.verdict == Finding::Error).count(),
            log: runs.iter().flat_map(|run| &run.kernel_log).map(|line| line.text.clone()).collect(),
        }
    }
}

/// All that is known about a mutant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) mutant: String,
    title: String,
    /// The identity of the mutant's kernel.
    kernel: String,
    /// The SHA-256 of the suite's program.
    suite: String,
    fs: Vec<String>,
    pub(crate) verdict: Verdict,
    expected: Vec<String>,
    pub(crate) stages: Vec<Stage>,
    pub(crate) seconds: u64,
}

impl Outcome {
    /// A mutant about which nothing is known yet.
    pub(crate) fn new(mutant: &Script, kernel: String, suite: &str, fs: &[String]) -> Self {
        Self {
            mutant: mutant.name.clone(),
            title: mutant.title.value.clone(),
            kernel,
            suite: suite.to_owned(),
            fs: fs.to_vec(),
            verdict: Verdict::Failed,
            expected: mutant.expected.iter().map(|id| id.value.clone()).collect(),
            stages: vec![],
            seconds: 0,
        }
    }

    /// The outcome in the file of a mutant.
    pub(crate) fn read(directory: &Path, mutant: &str) -> Option<Self> {
        serde_json::from_str(&fs::read_to_string(directory.join(format!("{mutant}.json"))).ok()?).ok()
    }

    /// Writes the file.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        let path = directory.join(format!("{}.json", self.mutant));
        let text = serde_json::to_string_pretty(self).map_err(|error| Error::file(&path, error))?;
        put(&path, &(text + "\n"))
    }

    /// Whether it is the outcome of the same kernel. A mutant that was killed stays so; others may not survive another
    /// suite.
    pub(crate) fn is_valid(&self, kernel: &str, suite: &str, fs: &[String]) -> bool {
        let is_final = match self.verdict {
            Verdict::Killed => true,
            Verdict::Noticed | Verdict::Lives | Verdict::Equivalent => self.suite == suite,
            Verdict::Failed => false,
        };
        is_final && self.kernel == kernel && self.fs == fs
    }

    fn notices(&self) -> impl Iterator<Item = (&Stage, &Notice)> {
        self.stages.iter().flat_map(|stage| stage.notices.iter().map(move |notice| (stage, notice)))
    }

    /// Whether an expected clause is violated.
    pub(crate) fn is_killed(&self, expected: &BTreeSet<&str>) -> bool {
        self.notices().any(|(_, notice)| expected.contains(notice.clause.as_str()))
    }

    /// Whether a clause is violated.
    pub(crate) fn is_noticed(&self) -> bool {
        self.notices().next().is_some()
    }

    /// Sets the verdict from the stages.
    pub(crate) fn decide(&mut self, expected: &BTreeSet<&str>, is_equivalent: bool) {
        self.verdict = match () {
            () if self.is_killed(expected) => Verdict::Killed,
            () if self.is_noticed() => Verdict::Noticed,
            () if self.stages.is_empty() || self.stages.iter().any(|stage| !stage.ran) => Verdict::Failed,
            () if is_equivalent => Verdict::Equivalent,
            () => Verdict::Lives,
        };
    }

    /// The notice for the table: of an expected clause if there is one.
    fn notice(&self) -> Option<(&Stage, &Notice)> {
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
