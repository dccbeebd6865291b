//! `iomap-conformance merge`: the parts of one lab, put together.

use crate::cli::input::text;
use crate::lab::LabDocument;
use crate::report::{format, matrix};
use clap::Args;
use iomap_command::{Error, Exit, Output, tell};
use iomap_results::Sum;
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct MergeArgs {
    /// The results of all parts, from `lab --shard K/N --format json`
    #[arg(required = true)]
    parts: Vec<PathBuf>,
    /// Write the results to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &MergeArgs) -> Result<Exit, Error> {
    let read = |path: &PathBuf| {
        let document = LabDocument::parse(&text(path)?).map_err(|error| Error::file(path, error).with(Exit::Usage))?;
        Ok((path.display().to_string(), document))
    };
    let parts = args.parts.iter().map(read).collect::<Result<_, Error>>()?;
    let whole = iomap_results::merge(parts).map_err(|error| {
        let code = if error.is_unfinished() { Exit::Environment } else { Exit::Usage };
        Error::of(code, error)
    })?;
    Output::open(args.output.as_deref())?.write(&format::json(&whole))?;
    tell(matrix::trouble(&whole.runs));
    Ok(Sum::of(&whole.runs).exit())
}
