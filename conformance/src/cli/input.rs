//! Results from files.

use crate::results::Results;
use iomap_command::{Error, Exit};
use std::path::Path;

/// The results documents of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Results>, Error> {
    Results::parse_all(&text(path)?).map_err(|error| Error::file(path, error).with(Exit::Usage))
}

/// The text of a results document.
pub(crate) fn text(path: &Path) -> Result<String, Error> {
    let bytes = std::fs::read(path).map_err(|error| Error::file(path, error))?;
    String::from_utf8(bytes)
        .map_err(|error| Error::file(path, format!("not a results document: {}", error.utf8_error())).with(Exit::Usage))
}
