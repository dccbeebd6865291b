//! The reasons why a book cannot be made.

use crate::diagnostic::Diagnostic;
use mdbook_driver::errors::Error;
use std::path::Path;
use std::{fmt, io};

/// The reason why a book cannot be made.
#[derive(Debug)]
pub enum Trouble {
    /// A file or a directory cannot be read or written.
    Environment(String),
    /// The pages, the results or the chapters are faulty.
    Findings(Vec<String>),
}

impl Trouble {
    pub(super) fn io(path: &Path, error: &io::Error) -> Self {
        Trouble::Environment(format!("{}: {error}", path.display()))
    }

    /// An error of mdBook. It is an environment error if one of its causes is an I/O error.
    pub(super) fn of_mdbook(what: &Path, error: &Error) -> Self {
        let message = format!("{}: {error:#}", what.display());
        match error.chain().any(|cause| cause.is::<io::Error>()) {
            true => Trouble::Environment(message),
            false => Trouble::Findings(vec![message]),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Environment(message) => f.write_str(message),
            Trouble::Findings(findings) => f.write_str(&findings.join("\n")),
        }
    }
}

impl From<Diagnostic> for Trouble {
    fn from(finding: Diagnostic) -> Self {
        Trouble::Findings(vec![finding.to_string()])
    }
}

impl std::error::Error for Trouble {}
