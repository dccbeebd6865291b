//! The completion of a command line in a shell.

use crate::error::Error;
use crate::output::Output;
use clap_complete::Shell;
use iomap_vocabulary::Exit;

/// Prints the script that completes this command in a shell.
///
/// # Errors
/// The script cannot be printed.
pub fn completions(shell: Shell, mut command: clap::Command) -> Result<Exit, Error> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    Output::standard().write(&String::from_utf8_lossy(&script)).map(|()| Exit::Fine)
}
