//! `iomap-spec confirm`.

use crate::index;
use crate::outcome::{Exit, Outcome, Trouble, count, print};
use crate::pages::Pages;
use iomap_spec::confirmed::{self, Which};

/// Records that citations were compared with their clauses again.
pub(crate) fn run(pages: &Pages, which: Which<'_>) -> Outcome {
    let directory = pages.directory()?;
    let spec = pages.load()?;
    if let Which::Ids(ids) = which {
        let unknown = ids.iter().filter(|id| spec.clause(id).is_none());
        let unknown: Vec<String> = unknown.map(|id| index::unknown(&spec, id)).collect();
        if !unknown.is_empty() {
            return Err(Trouble { exit: Exit::Findings, message: unknown.join("\n") });
        }
    }
    let changes = confirmed::confirm(&spec, directory, which)?;
    let summary = format!("{} recorded\n", count(changes.len(), "citation"));
    print(&(changes.iter().map(|change| change.clone() + "\n").collect::<String>() + &summary))
}
