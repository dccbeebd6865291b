//! The parts that the commands of the workspace share: exit codes, one error, output, and completions.
//!
//! A subcommand returns an [`Exit`] or an [`Error`]. [`end`] prints the error with its sources in one line, and makes
//! the exit code of the process. [`Output`] is a file or standard output: a reader that leaves early is no error, and a
//! full disk is one.
//!
//! ```
//! use iomap_command::{Error, Exit, Output, count};
//! use std::path::Path;
//!
//! fn list(path: &Path) -> Result<Exit, Error> {
//!     let text = std::fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
//!     Output::standard().write(&format!("{}\n", count(text.lines().count(), "line")))?;
//!     Ok(Exit::Fine)
//! }
//!
//! let error = list(Path::new("/nonexistent")).expect_err("the file is missing");
//! assert_eq!(error.exit(), Exit::Environment);
//! assert_eq!(error.to_string(), "/nonexistent: No such file or directory (os error 2)");
//! ```
//!
//! [`Settings`] are the values in the configuration file of a user.
//!
//! The crate parses no command line and knows no formats: each command has its own options.

#![forbid(unsafe_code)]

mod completions;
mod end;
mod error;
mod output;
mod settings;
mod terminal;
mod words;

pub use clap_complete::Shell;
pub use completions::completions;
pub use end::{answer, end};
pub use error::Error;
pub use iomap_vocabulary::Exit;
pub use output::{Output, file, is_standard, plain, replace, tell, tell_line};
pub use settings::Settings;
pub use terminal::{bar, can_pass, is_dumb, passing};
pub use words::{WIDTH, count, wrap};
