//! `iomap-reference status`: says whether files on a mounted reference are sealed.

use crate::cli::format::Format;
use crate::cli::seal::{complain, explain, open};
use iomap_command::{Error, Exit, Output};
use iomap_reference::{XFLAG_SEALED, ioctl};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Status {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the answers are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the answers to a file
    #[arg(long, value_name = "OUTPUT")]
    output: Option<PathBuf>,
}

/// Writes a line or a row for each file whose state can be queried.
pub(crate) fn run(args: &Status) -> Result<Exit, Error> {
    let (mut answers, mut failed) = (Vec::new(), Vec::new());
    for path in &args.files {
        match is_sealed(path) {
            Ok(sealed) => answers.push((path, sealed)),
            Err(failure) => failed.push(failure),
        }
    }
    let text = match args.format {
        Format::Human => answers
            .iter()
            .map(|(path, sealed)| format!("{:<10}{}\n", if *sealed { "sealed" } else { "unsealed" }, path.display()))
            .collect(),
        Format::Json => {
            let row = |(path, sealed): &(&PathBuf, bool)| json!({"file": path.to_string_lossy(), "sealed": sealed});
            let files: Vec<Value> = answers.iter().map(row).collect();
            format!("{:#}\n", json!({"schema": 1, "files": files}))
        }
    };
    Output::open(args.output.as_deref())?.write(&text)?;
    Ok(complain(failed))
}

fn is_sealed(path: &Path) -> Result<bool, Error> {
    let file = open(path, false)?;
    let xflags = ioctl::xflags(&file).map_err(|errno| explain(path, errno, ""))?;
    Ok(xflags & XFLAG_SEALED != 0)
}
