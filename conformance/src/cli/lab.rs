//! `iomap-conformance lab`: runs the suite on kernels in QEMU.

use crate::cli::format::ListFormat;
use crate::cli::libtest::every_case;
use crate::lab;
use crate::report::terminal::Screen;
use crate::report::{format, matrix};
use crate::run::select::Selection;
use clap::Args;
use iomap_command::{Error, Exit, Output, Settings, file, plain, replace, tell, tell_line};
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
    /// Print the guests that would be started, and start none
    #[arg(long)]
    dry_run: bool,
    /// How the results are written
    #[arg(long, value_enum, default_value = "human")]
    format: ListFormat,
    /// Write the results to a file, as soon as there are any
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &mut LabArgs) -> Result<Exit, Error> {
    args.options.complete(&Settings::read()?);
    if args.options.kernels.is_empty() {
        return Err(Error::usage("no kernel: say --kernel KERNEL, or kernels = [\"KERNEL\"] in iomap/config.toml"));
    }
    if let Some((budget, seed)) = args.options.chosen_situations() {
        tell_line(format_args!("situations: --budget {budget} --seed {seed}"));
    }
    if args.dry_run {
        let plan = lab::plan(&args.options).map_err(|error| Error::of(Exit::Environment, error))?;
        return Output::open(args.output.as_deref())?.write(&plan).map(|()| Exit::Fine);
    }
    if args.options.is_interactive() {
        return lab::interact(&args.options).map(|()| Exit::Fine).map_err(|error| Error::of(Exit::Environment, error));
    }
    if let Some(scenario) = args.options.scenario {
        let mut output = Output::open(args.output.as_deref())?;
        let document = lab::play_all(scenario, &args.options).map_err(|error| Error::of(Exit::Environment, error))?;
        output.write(&match args.format {
            ListFormat::Json => format::json(&document),
            ListFormat::Human => lab::played(&document),
        })?;
        return Ok(match () {
            () if !document.is_right() => Exit::Found,
            () if document.kernels.iter().any(|play| play.trouble.is_some()) => Exit::Environment,
            () => Exit::Fine,
        });
    }
    if let Some(filter) = &args.options.case {
        Selection::of(Some(filter)).some_of(&every_case()).map_err(|e| Error::usage(format!("--case: {e}")))?;
    }
    let path = file(args.output.as_deref());
    let screen = if path.is_some() { Screen::default() } else { Screen::of(&Output::standard()) };
    let text = |document: &lab::LabDocument| {
        let text = match args.format {
            ListFormat::Json => format::json(document),
            ListFormat::Human => lab::human(&args.options, document, screen),
        };
        if path.is_some() { plain(&text) } else { text }
    };
    let write = |document: &lab::LabDocument| {
        path.map_or(Ok(()), |path| replace(path, &text(document), false)).map_err(|error| error.to_string().into())
    };
    let document = lab::run(&args.options, &write).map_err(|error| Error::of(Exit::Environment, error))?;
    match path {
        None => Output::standard().write_styled(&text(&document))?,
        // The disk may have become full since the start.
        Some(path) => replace(path, &text(&document), true)?,
    }
    if path.is_some() || args.format == ListFormat::Json {
        // A reader of a document does not learn the reason of the exit code, so standard error gets the reason.
        tell(matrix::trouble(&document.runs));
    }
    Ok(Sum::of(&document.runs).exit())
}
