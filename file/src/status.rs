//! `iomap-file status`.

use crate::report::Report;
use crate::state::{State, open, state};
use clap::ValueEnum;
use iomap_command::{Error, Exit, Output};
use serde_json::{Value, json};
use std::io;
use std::path::PathBuf;

#[derive(clap::Args)]
pub(crate) struct Status {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// How the answers are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// A line for each file
    Human,
    /// One JSON document
    Json,
}

/// The word for a state, in both formats.
fn word(state: State) -> &'static str {
    match state {
        State::Unknown => "unknown",
        State::Unsealed => "unsealed",
        State::Sealed => "sealed",
    }
}

/// Writes a line or a row for each file that can be asked.
pub(crate) fn run(args: &Status) -> Result<Exit, Error> {
    let (mut report, mut answers) = (Report::default(), Vec::new());
    for path in &args.files {
        match open(path, false).and_then(|file| state(&file).map_err(io::Error::from)) {
            Ok(state) => answers.push((path, state)),
            Err(error) => report.add(path, error),
        }
    }
    let text = match args.format {
        Format::Human => {
            answers.iter().map(|(path, state)| format!("{:<10}{}\n", word(*state), path.display())).collect()
        }
        Format::Json => {
            let row =
                |(path, state): &(&PathBuf, State)| json!({"file": path.to_string_lossy(), "state": word(*state)});
            let files: Vec<Value> = answers.iter().map(row).collect();
            format!("{:#}\n", json!({"schema": 1, "files": files}))
        }
    };
    Output::standard().write(&text)?;
    let unknown = answers.iter().any(|(_, state)| *state == State::Unknown);
    Ok(if unknown { Exit::Found } else { report.end() })
}
