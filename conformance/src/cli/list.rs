//! `--list`: the names of cases.

use crate::cli::libtest::every_case;
use crate::cli::run::RunArgs;
use crate::report::format::{self, Format};
use iomap_command::{Error, Exit, Output};
use iomap_results::ListedCase;

pub(crate) fn list(args: &RunArgs) -> Result<Exit, Error> {
    let none = args.libtest.ignored || args.libtest.bench;
    // An unknown name lists nothing, as libtest has it.
    let any = !args.libtest.selection().among(&every_case()).is_empty();
    let selected = if none || !any { Vec::new() } else { args.plan()?.runs };
    let text = match args.format {
        Format::Json => {
            let rows: Vec<_> = selected
                .iter()
                .map(|run| ListedCase { name: run.name(), clause: run.case.clause.id, about: run.case.about })
                .collect();
            format::json(&rows)
        }
        _ => selected.iter().map(|run| format!("{}: test\n", run.name())).collect(),
    };
    Output::open(args.output.as_deref())?.write(&text)?;
    Ok(Exit::Fine)
}
