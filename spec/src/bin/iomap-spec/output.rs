//! The output of a command as one text.

use iomap_command::{Error, Exit, Output};
use std::path::Path;

/// Writes to standard output.
pub(crate) fn print(text: &str) -> Result<Exit, Error> {
    deliver(None, text)
}

/// Writes to the file, or to standard output.
pub(crate) fn deliver(output: Option<&Path>, text: &str) -> Result<Exit, Error> {
    Output::open(output)?.write(text).map(|()| Exit::Fine)
}
