//! `iomap-spec confirm`.

use crate::index;
use crate::output::print;
use crate::pages::Pages;
use crate::report;
use iomap_command::{Error, Exit, count};
use iomap_spec::confirmed::{self, Which};

/// Records that citations were compared with their clauses again.
pub(crate) fn run(pages: &Pages, which: Which<'_>) -> Result<Exit, Error> {
    let directory = pages.directory()?;
    let spec = pages.load()?;
    if let Which::Ids(ids) = which {
        let unknown = ids.iter().filter(|id| spec.clause(id).is_none());
        let unknown: Vec<String> = unknown.map(|id| index::unknown(&spec, id)).collect();
        if !unknown.is_empty() {
            return Err(Error::report(Exit::Found, unknown.join("\n")));
        }
    }
    let changes = confirmed::confirm(&spec, directory, which).map_err(report::error)?;
    let summary = format!("{} recorded\n", count(changes.len(), "citation"));
    print(&(changes.iter().map(|change| change.clone() + "\n").collect::<String>() + &summary))
}
