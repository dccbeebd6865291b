//! Results from files.

use crate::results::Results;
use iomap_command::{Error, Exit};
use std::path::Path;

/// The results documents of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Results>, Error> {
    let usage = |error: Box<dyn std::error::Error + Send + Sync>| Error::file(path, error).with(Exit::Usage);
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    let text = String::from_utf8(bytes)
        .map_err(|error| usage(format!("not a results document: {}", error.utf8_error()).into()))?;
    Results::parse_all(&text).map_err(|error| usage(error.into()))
}
