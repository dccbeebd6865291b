//! `iomap-conformance audit`: breaks clauses in the reference, and says whether cases notice.

use crate::cli::format::ListFormat;
use crate::report::format;
use crate::run::audit;
use crate::run::select::Selection;
use clap::Args;
use iomap_command::{Error, Exit, Output, count};
use iomap_reference::violations;
use iomap_results::Audit;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct AuditArgs {
    /// Only these violations: those of a family or a clause, one, a pattern with
    /// *, or a part of such a name
    #[arg(value_name = "FILTER", verbatim_doc_comment)]
    filters: Vec<String>,
    /// How the list is written
    #[arg(long, value_enum, default_value = "human")]
    format: ListFormat,
    /// Write the list to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &AuditArgs) -> Result<Exit, Error> {
    let all = violations();
    let selection = Selection { filters: args.filters.clone(), ..Selection::default() };
    let chosen = selection.some_of(&all.iter().collect::<Vec<_>>());
    let chosen = chosen.map_err(|e| Error::usage(format!("{e}; audit without a filter lists all violations")))?;
    let mut output = Output::open(args.output.as_deref())?;
    let audited = audit::audit(&chosen);
    let survived = audited.iter().filter(|one| one.verdict == "survived").count();
    output.write(&match args.format {
        ListFormat::Json => format::json(&Audit { schema: 1, violations: audited }),
        ListFormat::Human => {
            let lines = audited.iter().map(|one| format!("{:<9}{:<34}{}\n", one.verdict, one.id, one.by.join(" ")));
            let total = format!(
                "{}: {} killed, {survived} survived\n",
                count(audited.len(), "violation"),
                audited.len() - survived
            );
            lines.chain([total]).collect()
        }
    })?;
    Ok(if survived > 0 { Exit::Found } else { Exit::Fine })
}
