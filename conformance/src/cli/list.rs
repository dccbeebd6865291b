//! `--list`: the names of cases.

use crate::cli::libtest::every_case;
use crate::cli::run::RunArgs;
use crate::report::format::{self, Format};
use iomap_command::{Error, Exit, Output};
use iomap_results::ListedCase;

pub(crate) fn list(args: &RunArgs) -> Result<Exit, Error> {
    let none = args.libtest.ignored || args.libtest.bench;
    let selected = if none { Vec::new() } else { args.libtest.selection().among(&every_case()) };
    let text = match args.format {
        Format::Json => {
            let rows: Vec<_> = selected
                .iter()
                .map(|case| ListedCase { name: case.full_name(), clause: case.clause.id, about: case.about })
                .collect();
            format::json(&rows)
        }
        _ => selected.iter().map(|case| format!("{}: test\n", case.full_name())).collect(),
    };
    Output::open(args.output.as_deref())?.write(&text)?;
    Ok(Exit::Fine)
}
