//! The failures of single files, which do not keep the command from its other files.

use iomap_command::{Exit, tell_line};
use std::fmt;
use std::path::Path;

/// A failure with an explanation.
pub(crate) enum Failed {
    /// The state is not known at the place of the file, and what follows from that.
    Unknown(&'static str),
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Failed::Unknown(then) = self;
        write!(f, "this kernel and file system do not offer sealing, {then}")
    }
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
