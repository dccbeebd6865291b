//! Faults in edit scripts, with their places.

use iomap_command::{Error, Exit};
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A place in a script: the file, and the line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    line: usize,
    column: usize,
}

impl Place {
    /// The place of these bytes in the text of a file.
    pub(crate) fn of(file: &Path, text: &str, span: &Range<usize>) -> Self {
        let before = &text.as_bytes()[..span.start.min(text.len())];
        let line_start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let column = String::from_utf8_lossy(&before[line_start..]).chars().count() + 1;
        Self { file: shown(file), line, column }
    }

    /// The place of an error in a JSON document.
    pub(crate) fn of_json(file: &Path, error: &serde_json::Error) -> Self {
        Self { file: shown(file), line: error.line(), column: error.column() }
    }

    /// The beginning of a file.
    pub(crate) fn start(file: &Path) -> Self {
        Self { file: shown(file), line: 1, column: 1 }
    }
}

/// The path from the current directory, if it is below.
pub(crate) fn shown(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) place: Place,
    pub(crate) message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

/// All the faults that a step has found. The list is never empty.
#[derive(Debug)]
pub(crate) struct Findings(pub(crate) Vec<Finding>);

impl Findings {
    /// The value, or the findings if there are any.
    pub(crate) fn or<T>(list: Vec<Finding>, value: T) -> Result<T, Self> {
        if list.is_empty() { Ok(value) } else { Err(Self(list)) }
    }
}

impl From<Finding> for Findings {
    fn from(finding: Finding) -> Self {
        Self(vec![finding])
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let lines: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&lines.join("\n"))
    }
}

impl From<Findings> for Error {
    fn from(findings: Findings) -> Self {
        Self::report(Exit::Found, findings.to_string())
    }
}
