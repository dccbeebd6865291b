//! `iomap-spec confirm`.

use crate::output::print;
use crate::pages::Pages;
use crate::places;
use crate::report;
use iomap_command::{Error, Exit, count};
use iomap_spec::confirmed::{self, Which};

/// Records that citations were compared with their clauses again.
pub(crate) fn run(pages: &Pages, which: Which<'_>) -> Result<Exit, Error> {
    let directory = pages.directory()?;
    let spec = pages.load()?;
    if let Which::Ids(ids) = which {
        places::named(&spec, ids)?;
    }
    let changes = confirmed::confirm(&spec, directory, which).map_err(report::error)?;
    let summary = format!("{} recorded\n", count(changes.len(), "citation"));
    print(&(changes.iter().map(|change| change.clone() + "\n").collect::<String>() + &summary))
}
