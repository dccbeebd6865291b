//! The command line of the suite, and its subcommands.

use crate::cli::audit::{self, AuditArgs};
use crate::cli::compare::{self, CompareArgs};
use crate::cli::lab::{self, LAB_EXAMPLES, LabArgs};
use crate::cli::matrix::{self, MatrixArgs};
use crate::cli::merge::{self, MergeArgs};
use crate::cli::run::{self, RunArgs};
use crate::cli::schema::{self, SchemaArgs};
use crate::host::guardian;
use crate::lab::{GUEST_COMMAND, run_as_guest};
use anstream::ColorChoice;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use iomap_command::{Error, Exit, Shell, answer, completions, end};
use std::path::PathBuf;
use std::process::ExitCode;

pub(crate) const EXAMPLES: &str = "\
Examples:
  iomap-conformance                      the whole suite on the reference
  iomap-conformance truncate seal        the cases of two families
  iomap-conformance truncate.shrink      those of a clause
  iomap-conformance truncate::shrink     one case
  iomap-conformance 'write.*' --skip ring   a pattern, without those with ring
  iomap-conformance --target host --fs xfs --mechanism swapfile
  iomap-conformance --format json --output results.json
  iomap-conformance matrix               this kernel, all there is to compare
  iomap-conformance compare a.json b.json
  iomap-conformance audit                whether the suite notices violations

Exit codes: 0 conforms (or as expected), 1 an unexpected verdict that stands on
its own evidence, else 3 if anything is an error of the environment, 2 usage (a
filter that means nothing is one), 4 internal.";

/// Checks every clause of the specification of immutable iomap files.
///
/// Without arguments the whole suite runs on the in-process reference.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal that has them, unless NO_COLOR is set
    Auto,
    /// In all output for people
    Always,
    /// No escape at all
    Never,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Runs cases and says which clauses hold [the default]
    #[command(after_help = EXAMPLES)]
    Run(Box<RunArgs>),
    /// Compares file systems and mechanisms in one table
    ///
    /// Without files it runs every file system of this kernel with every
    /// mechanism; that needs root.
    Matrix(MatrixArgs),
    /// Compares two results clause by clause, for example of two kernels
    ///
    /// A and B have results that `run` or `matrix` wrote with --format json.
    /// In lists, the results with the same file system and mechanism are
    /// compared. Exit code 1 means that a clause that held in A is violated in
    /// B; after any other change it is 0.
    #[command(verbatim_doc_comment)]
    Compare(CompareArgs),
    /// Puts the parts of a lab together that `lab --shard` made
    ///
    /// The parts have to be all parts of the same work, each once and each
    /// ended. Exit code 3 means that a part has to be done again; otherwise
    /// the exit code is that of the whole.
    #[command(verbatim_doc_comment)]
    Merge(MergeArgs),
    /// Prints the JSON Schema of a document that this program writes
    Schema(SchemaArgs),
    /// Breaks each clause in the reference, and says whether its cases notice
    Audit(AuditArgs),
    /// Boots other kernels in QEMU and runs the suite there
    ///
    /// Each kernel with each file system is a guest, which runs every
    /// mechanism. Nothing needs root. What is made or downloaded is in
    /// ~/.cache/iomap-conformance.
    #[command(verbatim_doc_comment, after_help = LAB_EXAMPLES)]
    Lab(LabArgs),
    /// Prints the script that completes this command in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    #[command(name = guardian::COMMAND, hide = true)]
    Guard {
        stage: PathBuf,
        #[arg(long)]
        remove: bool,
    },
    #[command(name = GUEST_COMMAND, hide = true)]
    Guest { run: Option<usize> },
}

/// Runs the command with the arguments of this process.
pub fn main() -> ExitCode {
    end("iomap-conformance", || match Cli::try_parse() {
        Ok(mut cli) => run(&mut cli),
        Err(said) => answer(said.print(), said.use_stderr()),
    })
}

fn run(cli: &mut Cli) -> Result<Exit, Error> {
    match cli.color {
        Color::Auto => (),
        Color::Always => ColorChoice::Always.write_global(),
        Color::Never => ColorChoice::Never.write_global(),
    }
    match &mut cli.command {
        None => run::run(&cli.run),
        Some(Command::Run(args)) => run::run(args),
        Some(Command::Matrix(args)) => matrix::run(args),
        Some(Command::Compare(args)) => compare::run(args),
        Some(Command::Merge(args)) => merge::run(args),
        Some(Command::Schema(args)) => schema::run(args),
        Some(Command::Audit(args)) => audit::run(args),
        Some(Command::Lab(args)) => lab::run(args),
        Some(Command::Completions { shell }) => completions(*shell, "iomap-conformance", &Cli::command()),
        Some(Command::Guest { run }) => {
            run_as_guest(*run);
            Ok(Exit::Fine)
        }
        Some(Command::Guard { stage, remove }) => {
            guardian::run(stage, *remove);
            Ok(Exit::Fine)
        }
    }
}
