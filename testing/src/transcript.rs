//! The record of one run of a command, for snapshots.

use std::process::Command;

/// The text on both streams and the exit code, below the `line` that a user would have typed.
///
/// # Panics
/// The command cannot be run, or a signal ends it.
pub fn transcript(line: &str, command: &mut Command) -> String {
    let output = command.output().expect("the command can be run");
    format!(
        "$ {line}\n{}---- stderr\n{}---- exit {}\n",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
        output.status.code().expect("it exits")
    )
}
