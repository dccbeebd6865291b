//! `iomap-conformance compare`: the changes between two results.

use crate::cli::format::TableFormat;
use crate::cli::input::read;
use crate::cli::output::{Output, Stop, USAGE};
use crate::report::{compare, format};
use crate::results::Results;
use clap::Args;
use iomap_results::compare_kernels;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct CompareArgs {
    /// The results before
    a: PathBuf,
    /// The results after [default: those of the other kernels in A]
    b: Option<PathBuf>,
    /// How the changes are written
    #[arg(long, value_enum, default_value = "human")]
    format: TableFormat,
    /// Write the changes to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &CompareArgs) -> Result<u8, Stop> {
    let mut output = Output::open(args.output.as_ref())?;
    let a = read(&args.a)?;
    let comparison = match &args.b {
        Some(b) => iomap_results::compare(&a, &read(b)?),
        None => compare_kernels(&a).ok_or_else(|| Stop(USAGE, of_one_kernel(&args.a, &a)))?,
    };
    output.write(&match args.format {
        TableFormat::Human => compare::human(&comparison),
        TableFormat::Markdown => compare::markdown(&comparison),
        TableFormat::Json => format::json(&comparison),
    })?;
    Ok(comparison.exit_code())
}

/// The message about results that have no second kernel to compare with.
fn of_one_kernel(path: &Path, all: &[Results]) -> String {
    let why = match all.first() {
        Some(one) => {
            let release = &one.kernel.release;
            format!("results of one kernel only, {release}: give those of another one to compare with")
        }
        None => "no results".to_owned(),
    };
    format!("{}: {why}", path.display())
}
