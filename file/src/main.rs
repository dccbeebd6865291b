//! The command `iomap-file`, for administrators: seals and unseals files, and finds sealed ones.

mod change;
mod find;
mod holders;
mod report;
mod state;
mod status;

use change::Files;
use clap::{CommandFactory, Parser, Subcommand};
use find::Find;
use iomap_command::{Error, Exit, Shell, completions};
use iomap_reference::Mode;
use status::Status;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  iomap-file status /srv/disk.img        whether it is sealed
  iomap-file find /srv                   the sealed files of a file system
  iomap-file find -0 /srv | xargs -0 iomap-file unseal

Exit codes: 0 done, 1 a file could not be sealed, unsealed or asked, or nothing
there offers sealing, 2 usage, 3 the output cannot be written, 4 internal.";

/// Seals and unseals files, and finds sealed ones.
///
/// Nothing is tried where the kernel or the file system does not offer sealing.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Seals files: their size and their place on storage cannot change any more
    Seal(Files),
    /// Unseals files
    Unseal(Files),
    /// Says whether files are sealed
    Status(Status),
    /// Prints the names of the sealed files below directories
    ///
    /// Stays on the file system of each directory. Symbolic links are not followed.
    Find(Find),
    /// Prints the script that completes this command in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    iomap_command::end("iomap-file", || match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(said) => iomap_command::answer(said.print(), said.use_stderr()),
    })
}

fn run(command: Command) -> Result<Exit, Error> {
    match command {
        Command::Seal(args) => Ok(change::run(&args, Mode::SEAL)),
        Command::Unseal(args) => Ok(change::run(&args, Mode::UNSEAL)),
        Command::Status(args) => status::run(&args),
        Command::Find(args) => find::run(&args),
        Command::Completions { shell } => completions(shell, "iomap-file", &Cli::command()),
    }
}
