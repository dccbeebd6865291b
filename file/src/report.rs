//! The failures of single files, which do not keep the command from its other files.

use iomap_command::{Exit, tell_line};
use std::fmt;
use std::path::Path;

/// The failure where the state is not known, and what follows from that.
pub(crate) fn unknown(then: &str) -> String {
    format!("this kernel and file system do not offer sealing, {then}")
}

/// Whether there were failures.
#[derive(Default)]
pub(crate) struct Report {
    failed: bool,
}

impl Report {
    /// Prints the failure of a file.
    pub(crate) fn add(&mut self, path: &Path, why: impl fmt::Display) {
        self.failed = true;
        tell_line(format_args!("iomap-file: {}: {why}", path.display()));
    }

    /// The exit code for all files.
    pub(crate) fn end(&self) -> Exit {
        if self.failed { Exit::Found } else { Exit::Fine }
    }
}
