//! The command `iomap-reference`: the reference as tables to read beside the page, and as a file system to mount.

mod cli;

use clap::{CommandFactory, Parser, Subcommand};
use cli::{fsck, list, mkfs, mount, seal, status};
use iomap_command::{Error, Exit, Shell, completions};
use iomap_reference::Mode;
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  iomap-reference rules                  the checks, in their order
  iomap-reference rules truncate         those of clauses with `truncate`
  iomap-reference violations             the ways in which it can be broken
  iomap-reference mkfs --size 64M disk   a new image, in the file `disk`
  iomap-reference fsck disk              whether it is consistent
  iomap-reference mount disk /mnt        until umount /mnt
  iomap-reference seal /mnt/file         and `unseal`, and `status`

Exit codes: 0 fine, 1 fsck found something, or a file cannot be sealed,
unsealed or asked, 2 usage, 3 an image cannot be read, written or mounted.";

/// Shows the rules of the reference, a file system that does as the pages say, and makes, mounts and checks its images.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Lists the rules in the order of the checks, each with its clause
    Rules(list::List),
    /// Lists the ways in which the reference can break a clause
    Violations(list::List),
    /// Makes an image with an empty file system
    Mkfs(mkfs::Mkfs),
    /// Looks for inconsistencies in an image; repairs nothing
    Fsck(fsck::Fsck),
    /// Mounts an image through FUSE
    ///
    /// Serves it until it is unmounted, by umount(8) or fusermount3(1).
    /// Ordinary users can mount on directories that they own.
    Mount(mount::Mount),
    /// Seals files on a mounted reference
    Seal(seal::Files),
    /// Unseals files on a mounted reference
    Unseal(seal::Files),
    /// Says whether files on a mounted reference are sealed
    Status(status::Status),
    /// Prints the script that completes this command in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    iomap_command::end("iomap-reference", || match Cli::try_parse() {
        Ok(cli) => run(cli.command),
        Err(said) => iomap_command::answer(said.print(), said.use_stderr()),
    })
}

fn run(command: Command) -> Result<Exit, Error> {
    let done = |()| Exit::Fine;
    match command {
        Command::Rules(args) => list::rule_table(&args).map(done),
        Command::Violations(args) => list::violation_table(&args).map(done),
        Command::Mkfs(args) => mkfs::run(&args).map(done),
        Command::Fsck(args) => fsck::run(&args),
        Command::Mount(args) => mount::run(&args).map(done),
        Command::Seal(args) => Ok(seal::run(&args, Mode::SEAL)),
        Command::Unseal(args) => Ok(seal::run(&args, Mode::UNSEAL)),
        Command::Status(args) => status::run(&args),
        Command::Completions { shell } => completions(shell, "iomap-reference", &Cli::command()),
    }
}
