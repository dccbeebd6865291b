//! `iomap-conformance lab`: runs the suite on kernels in QEMU.

use crate::cli::format::ListFormat;
use crate::cli::libtest::every_case;
use crate::cli::output::{ENVIRONMENT, Output, Stop, USAGE, replace, unwritten};
use crate::lab;
use crate::report::terminal::{self, Screen};
use crate::report::{format, matrix};
use crate::run::select::Selection;
use clap::Args;
use iomap_results::Sum;
use std::path::PathBuf;

pub(crate) const LAB_EXAMPLES: &str = "\
Examples:
  iomap-conformance lab --kernel 6.1 6.12 --fs xfs f2fs
  iomap-conformance lab --kernel ~/linux --fs ext4 --mechanism swapfile
  iomap-conformance lab --kernel 6.12 --format json --output results.json
  iomap-conformance lab --kernel 6.12 --fs xfs --power-cuts 20
  iomap-conformance lab --kernel 6.12 --fs btrfs --interactive
  iomap-conformance compare results.json   the kernels in a file, side by side

Exit codes: 0 as expected of these kernels, 1 an unexpected verdict that stands
on its own evidence, else 3 if a guest or this machine failed, 2 usage, 4
internal.";

#[derive(Args)]
pub(crate) struct LabArgs {
    #[command(flatten)]
    options: lab::Options,
    /// How the results are written
    #[arg(long, value_enum, default_value = "human")]
    format: ListFormat,
    /// Write the results to a file, as soon as there are any
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &LabArgs) -> Result<u8, Stop> {
    if args.options.is_interactive() {
        return lab::interact(&args.options).map(|()| 0).map_err(|e| Stop(ENVIRONMENT, e.to_string()));
    }
    if let Some(scenario) = args.options.scenario {
        let mut output = Output::open(args.output.as_ref())?;
        let document = lab::play_all(scenario, &args.options).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
        output.write(&match args.format {
            ListFormat::Json => format::json(&document),
            ListFormat::Human => lab::played(&document),
        })?;
        return Ok(if document.kernels.iter().any(|play| play.trouble.is_some()) { ENVIRONMENT } else { 0 });
    }
    if let Some(filter) = &args.options.case {
        Selection::of(Some(filter)).some_of(&every_case()).map_err(|e| Stop(USAGE, format!("--case: {e}")))?;
    }
    let screen = if args.output.is_some() { Screen::default() } else { Screen::of_stdout() };
    let text = |document: &lab::LabDocument| match args.format {
        ListFormat::Json => format::json(document),
        ListFormat::Human => lab::human(&args.options, document, screen),
    };
    let write = |document: &lab::LabDocument| match &args.output {
        Some(path) => {
            replace(path, &terminal::plain(&text(document))).map_err(|e| format!("{}: {e}", path.display()).into())
        }
        None => Ok(()),
    };
    let document = lab::run(&args.options, &write).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
    match &args.output {
        None => Output::Stdout.write(&text(&document))?,
        // The disk may be full now although it was not at the start.
        Some(path) => replace(path, &text(&document)).map_err(|e| unwritten(path, &e, &text(&document)))?,
    }
    if args.output.is_some() || args.format == ListFormat::Json {
        // Nobody reads a document to find out why the exit code is what it is.
        eprint!("{}", matrix::trouble(&document.runs));
    }
    Ok(Sum::of(&document.runs).exit_code())
}
