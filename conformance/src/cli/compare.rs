//! `iomap-conformance compare`: the changes between two results.

use crate::cli::format::TableFormat;
use crate::cli::input::read;
use crate::report::{compare, format};
use crate::results::Results;
use clap::Args;
use iomap_command::{Error, Exit, Output};
use iomap_results::{Comparison, compare_kernels};
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

pub(crate) fn run(args: &CompareArgs) -> Result<Exit, Error> {
    let a = read(&args.a)?;
    let comparison = match &args.b {
        Some(b) => iomap_results::compare(&a, &read(b)?),
        None => compare_kernels(&a).ok_or_else(|| Error::usage(of_one_kernel(&args.a, &a)))?,
    };
    if comparison.pairs.is_empty() {
        return Err(Error::usage(nothing_in_common(&comparison)));
    }
    Output::open(args.output.as_deref())?.write_styled(&match args.format {
        TableFormat::Human => compare::human(&comparison),
        TableFormat::Markdown => compare::markdown(&comparison),
        TableFormat::Json => format::json(&comparison),
    })?;
    Ok(comparison.exit())
}

/// The message about results of which no two belong together.
fn nothing_in_common(comparison: &Comparison) -> String {
    let of = |side: &str| {
        let labels: Vec<String> =
            comparison.unpaired.iter().filter(|it| it.side == side).map(|it| it.head.label()).collect();
        if labels.is_empty() { "no results".to_owned() } else { labels.join(" ") }
    };
    format!("nothing to compare: A has {}, B has {}", of("a"), of("b"))
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
