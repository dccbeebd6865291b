//! The end of a command.

use crate::error::Error;
use crate::output::{printed, tell_line};
use crate::terminal::is_dumb;
use anstream::ColorChoice;
use iomap_vocabulary::Exit;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

/// Runs a command, prints its error on standard error, and returns its exit code. A dumb terminal gets no colours. After a panic, that is the exit code
/// for a fault of the command itself.
pub fn end(name: &str, command: impl FnOnce() -> Result<Exit, Error>) -> ExitCode {
    if is_dumb() && std::env::var_os("CLICOLOR_FORCE").is_none() {
        // A dumb terminal gets no colours, except if CLICOLOR_FORCE asks for them.
        ColorChoice::Never.write_global();
    }
    let done = catch_unwind(AssertUnwindSafe(command)).unwrap_or(Ok(Exit::Internal));
    let exit = done.unwrap_or_else(|error| {
        let prefix = if error.is_report() { String::new() } else { format!("{name}: ") };
        tell_line(format_args!("{prefix}{error}"));
        error.exit()
    });
    ExitCode::from(exit.code())
}

/// The end of a command after its command line parser has answered, with help on standard output or with an error in
/// the command line on standard error. If the help cannot be printed, the exit code says so.
///
/// # Errors
/// The help could not be printed.
pub fn answer(answered: io::Result<()>, is_error: bool) -> Result<Exit, Error> {
    if is_error {
        return Ok(Exit::Usage);
    }
    printed(answered.and_then(|()| io::stdout().flush())).map(|()| Exit::Fine)
}
