//! The end of a command: exit codes, errors, and output that survives a closed pipe.

use crate::report;
use iomap_spec::{Diagnostic, IO};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::path::Path;

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    Fine = 0,
    Findings = 1,
    Usage = 2,
    Environment = 3,
    Internal = 4,
}

/// The reason why the command ends early, with its exit code.
pub(crate) struct Trouble {
    pub(crate) exit: Exit,
    pub(crate) message: String,
}

impl From<Vec<Diagnostic>> for Trouble {
    fn from(findings: Vec<Diagnostic>) -> Self {
        Trouble { exit: exit_of(&findings), message: report::human(&findings, report::Stream::Error) }
    }
}

/// The end of a command.
pub(crate) type Outcome = Result<Exit, Trouble>;

/// The exit code of a command with these findings.
pub(crate) fn exit_of(findings: &[Diagnostic]) -> Exit {
    match findings {
        [] => Exit::Fine,
        all if all.iter().any(|finding| finding.code == IO) => Exit::Environment,
        _ => Exit::Findings,
    }
}

/// A number of things: `1 clause`, `2 clauses`.
pub(crate) fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// An error of the machine, about a path.
pub(crate) fn environment(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble { exit: Exit::Environment, message: format!("iomap-spec: {}: {error}", path.display()) }
}

/// Writes a file.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(file, text).map_err(|error| environment(file, &error))
}

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Outcome {
    let mut output = io::stdout().lock();
    printed_fine(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

/// The result of a command that has printed to standard output.
pub(crate) fn printed_fine(printed: io::Result<()>) -> Outcome {
    match printed {
        // The reader, such as head(1), has closed the pipe: that is not an error.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Fine),
        Err(error) => Err(environment(Path::new("standard output"), &error)),
        Ok(()) => Ok(Exit::Fine),
    }
}

/// The name that means standard input where a file is expected.
pub(crate) const STANDARD: &str = "-";

pub(crate) fn is_standard(file: &Path) -> bool {
    file == Path::new(STANDARD)
}

/// Writes to the file, or to standard output.
pub(crate) fn deliver(output: Option<&Path>, text: &str) -> Outcome {
    match output {
        Some(file) if !is_standard(file) => write(file, text).map(|()| Exit::Fine),
        _ => print(text),
    }
}
