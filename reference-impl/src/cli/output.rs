//! The output of the command: its formats and its destination.

use crate::cli::failure::Failure;
use clap::ValueEnum;
use std::io::{ErrorKind, Write};
use std::path::Path;

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For a terminal
    Human,
    /// One JSON document
    Json,
}

/// Writes a text to a file, or to standard output.
pub(crate) fn write(output: Option<&Path>, text: &str) -> Result<(), Failure> {
    match output {
        Some(path) => std::fs::write(path, text).map_err(|error| Failure::of(path, error)),
        None => match std::io::stdout().write_all(text.as_bytes()) {
            // The reader has closed the pipe, which is not an error.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written.map_err(|error| Failure::environment("standard output", error)),
        },
    }
}
