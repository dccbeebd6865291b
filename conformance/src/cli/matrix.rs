//! `iomap-conformance matrix`: file systems and mechanisms in one table.

use crate::cli::format::TableFormat;
use crate::cli::input::read;
use crate::cli::libtest::every_case;
use crate::cli::subject::{Chosen, host_run, sandbox};
use crate::filesystem::FsKind;
use crate::mechanism::Mechanism;
use crate::programs;
use crate::report::terminal::Screen;
use crate::report::{format, matrix};
use crate::results::Results;
use crate::run::plan::Plan;
use clap::Args;
use iomap_command::{Error, Exit, Output, tell};
use iomap_results::{Sum, comparable};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct MatrixArgs {
    /// Results that `run` or `matrix` wrote with --format json
    files: Vec<PathBuf>,
    /// How the table is written
    #[arg(long, value_enum, default_value = "human")]
    format: TableFormat,
    /// Write the table to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// List the file systems and mechanisms, a pair on each line, and run none
    #[arg(long, conflicts_with = "files")]
    list: bool,
}

pub(crate) fn run(args: &MatrixArgs) -> Result<Exit, Error> {
    let mut output = Output::open(args.output.as_deref())?;
    if args.list {
        let lines = pairs().map(|(fs, mechanism)| format!("{} {}\n", fs.name(), mechanism.name()));
        return output.write(&lines.collect::<String>()).map(|()| Exit::Fine);
    }
    let all = if args.files.is_empty() { run_everything()? } else { read_all(&args.files)? };
    if all.is_empty() {
        return Err(Error::usage("no results: the files have empty lists"));
    }
    comparable(&all).map_err(|error| Error::of(Exit::Usage, error))?;
    let trouble = matrix::trouble(&all);
    output.write_styled(&match args.format {
        TableFormat::Human => format!("{}{}{trouble}", matrix::human(&all, Screen::of(&output)), gap(&trouble)),
        TableFormat::Markdown => matrix::markdown(&all),
        TableFormat::Json => format::json(&all),
    })?;
    if !output.is_standard() || args.format != TableFormat::Human {
        // A reader of a document does not learn the reason of the exit code, so standard error gets the reason.
        tell(trouble);
    }
    Ok(Sum::of(&all).exit())
}

fn gap(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
}

/// The pairs to compare on a kernel, in the order of the columns.
fn pairs() -> impl Iterator<Item = (FsKind, Mechanism)> {
    let mechanisms = [Mechanism::Swapfile, Mechanism::ImmutableAttr, Mechanism::Seal];
    mechanisms.into_iter().flat_map(|mechanism| FsKind::USUAL.map(|fs| (fs, mechanism)))
}

fn run_everything() -> Result<Vec<Results>, Error> {
    let sandbox = sandbox(&FsKind::USUAL)?;
    let plan = Plan::plain(&every_case());
    let chosen = Chosen { runs: &plan.runs, threads: None, timeout: programs::TIMEOUT };
    pairs().map(|(fs, mechanism)| Ok(host_run(&sandbox, fs, mechanism, &chosen)?.0)).collect()
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Results>, Error> {
    let read: Result<Vec<_>, Error> = files.iter().map(|path| read(path)).collect();
    Ok(read?.concat())
}
