//! Results from files.

use crate::cli::output::{ENVIRONMENT, Stop, USAGE};
use crate::results::Results;
use std::path::Path;

/// The results documents of a file.
pub(crate) fn read(path: &Path) -> Result<Vec<Results>, Stop> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|e| Stop(ENVIRONMENT, format!("{name}: {e}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|e| Stop(USAGE, format!("{name}: not a results document: {}", e.utf8_error())))?;
    Results::parse_all(&text).map_err(|e| Stop(USAGE, format!("{name}: {e}")))
}
