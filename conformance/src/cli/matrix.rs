//! `iomap-conformance matrix`: file systems and mechanisms in one table.

use crate::cli::format::TableFormat;
use crate::cli::input::read;
use crate::cli::libtest::every_case;
use crate::cli::output::{Output, Stop, USAGE};
use crate::cli::subject::{Chosen, host_run, sandbox};
use crate::filesystem::FsKind;
use crate::mechanism::Mechanism;
use crate::programs;
use crate::report::{format, matrix};
use crate::results::Results;
use clap::Args;
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

pub(crate) fn run(args: &MatrixArgs) -> Result<u8, Stop> {
    let mut output = Output::open(args.output.as_ref())?;
    if args.list {
        let lines = pairs().map(|(fs, mechanism)| format!("{} {}\n", fs.name(), mechanism.name()));
        return output.write(&lines.collect::<String>()).map(|()| 0);
    }
    let all = if args.files.is_empty() { run_everything()? } else { read_all(&args.files)? };
    comparable(&all).map_err(|e| Stop(USAGE, e.to_string()))?;
    let trouble = matrix::trouble(&all);
    output.write(&match args.format {
        TableFormat::Human => format!("{}{}{trouble}", matrix::human(&all, output.screen()), gap(&trouble)),
        TableFormat::Markdown => matrix::markdown(&all),
        TableFormat::Json => format::json(&all),
    })?;
    if args.output.is_some() || args.format != TableFormat::Human {
        // A document is not read to learn the reason of the exit code, so standard error gets the reason.
        eprint!("{trouble}");
    }
    Ok(Sum::of(&all).exit_code())
}

fn gap(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
}

/// What there is to compare on a kernel, in the order of the columns.
fn pairs() -> impl Iterator<Item = (FsKind, Mechanism)> {
    let mechanisms = [Mechanism::Swapfile, Mechanism::ImmutableAttr, Mechanism::Seal];
    mechanisms.into_iter().flat_map(|mechanism| FsKind::USUAL.map(|fs| (fs, mechanism)))
}

fn run_everything() -> Result<Vec<Results>, Stop> {
    let sandbox = sandbox(&FsKind::USUAL)?;
    let chosen = Chosen { cases: &every_case(), threads: None, timeout: programs::TIMEOUT };
    pairs().map(|(fs, mechanism)| Ok(host_run(&sandbox, fs, mechanism, &chosen)?.0)).collect()
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Results>, Stop> {
    let read: Result<Vec<_>, Stop> = files.iter().map(|path| read(path)).collect();
    Ok(read?.concat())
}
