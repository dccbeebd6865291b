//! The errors and exit codes of the command.

use std::error::Error;
use std::fmt;
use std::path::Path;
use std::process::ExitCode;

/// The exit code for findings of fsck, and for files that cannot be sealed, unsealed or queried.
pub(crate) const FOUND: u8 = 1;
/// The exit code for a request that is not possible.
const USAGE: u8 = 2;
/// The exit code for an image or a file that cannot be read, written or mounted.
const ENVIRONMENT: u8 = 3;

/// A failure: the exit code, a message, and the error behind it. It is shown in one line.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Failure {
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { code: USAGE, message: message.into(), source: None }
    }

    /// A failure of the system; the message names the file or the step that failed.
    pub(crate) fn environment(message: impl Into<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { code: ENVIRONMENT, message: message.into(), source: Some(error.into()) }
    }

    /// The same for a file.
    pub(crate) fn of(path: &Path, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::environment(path.display().to_string(), error)
    }

    /// Prints the failure, and returns its exit code.
    pub(crate) fn exit(self) -> ExitCode {
        eprintln!("iomap-reference: {self}");
        ExitCode::from(self.code)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.source {
            Some(error) => write!(f, "{}: {}", self.message, error.to_string().trim_end()),
            None => f.write_str(&self.message),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| error as &(dyn Error + 'static))
    }
}

/// Prints the failures of files, and returns the exit code for them.
pub(crate) fn complain(failed: &[Failure]) -> ExitCode {
    failed.iter().for_each(|failure| eprintln!("iomap-reference: {failure}"));
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(FOUND) }
}
