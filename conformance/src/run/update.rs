//! Adds observed verdicts to a file of expectations, for review.
//!
//! Rows are only added, as text, so that the rest of the file stays unchanged. The first row that names a clause
//! counts: so a new row before an old one replaces it for this clause, from this kernel on.

use crate::results::{ClauseResult, Results};
use crate::run::expectations::{Expectations, Unreadable};
use iomap_command::{Error, count};
use iomap_results::Verdict;
use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A file of expectations to update. It is opened before the run, because the run may hide its directory.
#[derive(Debug)]
pub(crate) struct Update {
    path: PathBuf,
    file: File,
    text: String,
}

impl Update {
    /// Opens the file of these expectations in a checkout.
    pub(crate) fn open(directory: &Path, name: &str) -> Result<Self, Error> {
        let path = directory.join(format!("{name}.toml"));
        let open = || {
            let mut file = File::options().read(true).write(true).open(&path)?;
            let mut text = String::new();
            file.read_to_string(&mut text).map(|_| (file, text))
        };
        let (file, text) = open().map_err(|error: std::io::Error| {
            Error::environment(format!("{}: {error}: --expectations says where the checkout has it", path.display()))
        })?;
        Ok(Self { path, file, text })
    }

    /// Adds the rows, and returns a line with their number.
    pub(crate) fn write(&mut self, results: &Results, others: &Expectations) -> Result<String, Error> {
        let path = self.path.display();
        let (text, rows) = updated(&self.text, results, others).map_err(|error| Error::file(&self.path, error))?;
        if rows == 0 {
            return Ok(format!("{path}: nothing to add"));
        }
        let mut write = || {
            self.file.rewind()?;
            self.file.set_len(0)?;
            self.file.write_all(text.as_bytes())
        };
        write().map_err(|error| Error::file(&self.path, error))?;
        Ok(format!("{path}: {} added, to be explained and committed", count(rows, "row")))
    }
}

/// The reason why a file of expectations gets no rows.
#[derive(Debug)]
enum NoUpdate {
    NotOffered(String),
    NoPlace(String),
    NoRelease(String),
    Unreadable(Unreadable),
}

impl fmt::Display for NoUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered(reason) => write!(f, "nothing was observed: {reason}"),
            Self::NoPlace(clause) => write!(f, "no place for a row on {clause}"),
            Self::NoRelease(release) => write!(f, "no release of a kernel: {release}"),
            Self::Unreadable(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoUpdate {}

impl From<Unreadable> for NoUpdate {
    fn from(error: Unreadable) -> Self {
        Self::Unreadable(error)
    }
}

/// The clauses of one new row.
struct Row<'a> {
    /// The row of the file before which the new row goes; the number of rows for the end.
    before: usize,
    verdict: Verdict,
    clauses: Vec<&'a str>,
}

/// The text with a new row for each unexpected verdict, and the number of new rows. `others` are the expectations that
/// count for clauses without a row in the file.
fn updated(text: &str, results: &Results, others: &Expectations) -> Result<(String, usize), NoUpdate> {
    if let Some(reason) = &results.not_offered {
        return Err(NoUpdate::NotOffered(reason.clone()));
    }
    let release = &results.kernel.release;
    let parse = |text: &str| Expectations::parse(text, &results.fs, release);
    let expectations = parse(text)?;
    let expected = |expectations: &Expectations, id: &str| match expectations.row(id) {
        Some(_) => expectations.expected(id).0,
        None => others.expected(id).0,
    };
    // The other clauses had cases that a filter left out, or that could not do their work.
    let observed = |it: &&ClauseResult| it.expected.is_some() && it.verdict != Verdict::Error;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let heads: Vec<usize> = (0..lines.len()).filter(|at| lines[*at].trim() == "[[expect]]").collect();
    let mut rows: Vec<Row<'_>> = Vec::new();
    for clause in results.clauses.iter().filter(observed).filter(|it| expected(&expectations, &it.id) != it.verdict) {
        let before = expectations.row(&clause.id).unwrap_or(heads.len());
        match rows.iter_mut().find(|row| (row.before, row.verdict) == (before, clause.verdict)) {
            Some(row) => row.clauses.push(&clause.id),
            None => rows.push(Row { before, verdict: clause.verdict, clauses: vec![&clause.id] }),
        }
    }
    let mut out = String::new();
    let mut copied = 0;
    rows.sort_by_key(|row| row.before);
    for row in &rows {
        let at = heads.get(row.before).map_or(lines.len(), |head| above_comment(&lines, *head));
        out.extend(lines[copied..at].iter().copied());
        copied = at;
        let block = block(row, results)?;
        out.push_str(&if at == lines.len() { format!("\n{block}") } else { format!("{block}\n") });
    }
    out.extend(lines[copied..].iter().copied());
    // Check the new text, whatever the file looks like: it must expect the observed verdicts.
    let after = parse(&out)?;
    match results.clauses.iter().filter(observed).find(|it| expected(&after, &it.id) != it.verdict) {
        Some(clause) => Err(NoUpdate::NoPlace(clause.id.clone())),
        None => Ok((out, rows.len())),
    }
}

/// The first line of the comment above the row whose head is at line `head`.
fn above_comment(lines: &[&str], head: usize) -> usize {
    lines[..head].iter().rposition(|line| !line.starts_with('#')).map_or(0, |at| at + 1)
}

fn block(row: &Row<'_>, results: &Results) -> Result<String, NoUpdate> {
    let release = &results.kernel.release;
    let series = results.kernel.series().ok_or_else(|| NoUpdate::NoRelease(release.clone()))?;
    let quoted: Vec<String> = row.clauses.iter().map(|id| format!("\"{id}\"")).collect();
    let mut clauses = quoted.join(", ");
    if clauses.len() > 100 {
        clauses = format!("\n{}", quoted.iter().map(|id| format!("    {id},\n")).collect::<String>());
    }
    // The reference has only one file system.
    let fs = if results.target == "host" { format!("fs = [\"{}\"]\n", results.fs) } else { String::new() };
    let verdict = row.verdict.to_string().replace(' ', "-");
    Ok(format!(
        "[[expect]]\nclauses = [{clauses}]\n{fs}kernel = \"{series}..\"\nverdict = \"{verdict}\"\n\
         reason = \"observed on {release}; to be explained\"\n"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use iomap_results::{Kernel, SCHEMA, Spec};

    const FILE: &str = "# About this mechanism.\n\n# Known for long.\n[[expect]]\nclauses = [\"truncate.*\"]\n\
                        verdict = \"violated\" # sic\nreason = \"nobody checks\"\n";

    fn results(verdicts: &[(&str, Verdict)]) -> Results {
        let clause = |(id, verdict): &(&str, Verdict)| ClauseResult {
            id: (*id).into(),
            verdict: *verdict,
            expected: Some(Verdict::Holds),
            reason: None,
            cases: Vec::new(),
        };
        Results {
            schema: SCHEMA,
            spec: Spec { version: "1".into(), digest: "0".into() },
            target: "host".into(),
            mechanism: "swapfile".into(),
            fs: "xfs".into(),
            kernel: Kernel::of_release("6.18.44-fc"),
            started: None,
            not_offered: None,
            kernel_log: Vec::new(),
            left_out: Default::default(),
            clauses: verdicts.iter().map(clause).collect(),
            totals: Default::default(),
        }
    }

    #[test]
    fn a_row_comes_before_the_rows_that_it_overrides() {
        let found = results(&[
            ("truncate.shrink", Verdict::Holds),
            ("truncate.grow", Verdict::Violated),
            ("write.empty", Verdict::NotReachable),
            ("write.full", Verdict::Error),
        ]);
        let (text, rows) = updated(FILE, &found, &Expectations::all_hold()).unwrap();
        assert_eq!(rows, 2);
        let first = "[[expect]]\nclauses = [\"truncate.shrink\"]\nfs = [\"xfs\"]\nkernel = \"6.18..\"\n\
                     verdict = \"holds\"\nreason = \"observed on 6.18.44-fc; to be explained\"\n\n";
        let last = "\n[[expect]]\nclauses = [\"write.empty\"]\nfs = [\"xfs\"]\nkernel = \"6.18..\"\n\
                    verdict = \"not-reachable\"\nreason = \"observed on 6.18.44-fc; to be explained\"\n";
        let (head, tail) = FILE.split_at(FILE.find("# Known").unwrap());
        assert_eq!(text, format!("{head}{first}{tail}{last}"));
        assert_eq!(updated(&text, &found, &Expectations::all_hold()).unwrap(), (text, 0));
    }

    #[test]
    fn no_observation_changes_no_row() {
        let lacking = Results { not_offered: Some("no swap".into()), ..results(&[]) };
        assert_eq!(
            updated(FILE, &lacking, &Expectations::all_hold()).unwrap_err().to_string(),
            "nothing was observed: no swap"
        );
        let odd = "expect = [{ clauses = [\"*\"], verdict = \"violated\", reason = \"written otherwise\" }]\n";
        let found = results(&[("truncate.shrink", Verdict::Holds)]);
        assert!(updated(odd, &found, &Expectations::all_hold()).is_err());
    }
}
