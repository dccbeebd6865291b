//! The command `iomap-reference`: what the reference does, as tables to read beside the page, and as a file system.

mod cli;

use clap::{Args, Parser, Subcommand, ValueEnum};
use cli::{mkfs, mount, seal};
use iomap_reference::{BY_CONSTRUCTION, Disk, FileDisk, Finding, ImageError, Mode, Report, check, rules, violations};
use serde_json::{Value, json};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
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
    Rules(List),
    /// Lists the ways in which the reference can break a clause
    Violations(List),
    /// Makes an image with an empty file system
    Mkfs(mkfs::Mkfs),
    /// Looks for inconsistencies in an image; repairs nothing
    Fsck(Fsck),
    /// Mounts an image through FUSE
    ///
    /// Serves it until it is unmounted, by umount(8) or fusermount3(1).
    /// Ordinary users can mount on directories that they own.
    Mount(mount::Mount),
    /// Seals files on a mounted reference
    Seal(Files),
    /// Unseals files on a mounted reference
    Unseal(Files),
    /// Says whether files on a mounted reference are sealed
    Status(Status),
}

#[derive(Args)]
struct Fsck {
    /// The image: a file or a block device, which is only read
    image: PathBuf,
    /// How the findings are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the findings to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
struct Files {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

#[derive(Args)]
struct Status {
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

#[derive(Args)]
struct List {
    /// Only clauses whose id contains this
    filter: Option<String>,
    /// How the list is written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the list to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For a terminal
    Human,
    /// One JSON document
    Json,
}

/// What the command says before it ends with a code other than 0.
struct Failure(u8, String);

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Rules(args) => list(&args, rule_rows(), "rules"),
        Command::Violations(args) => list(&args, violation_rows(), "violations"),
        Command::Mkfs(args) => mkfs::run(&args).map_err(Failure::from).and_then(|line| write(None, &line)),
        Command::Fsck(args) => return fsck(&args).unwrap_or_else(Failure::exit),
        Command::Mount(args) => mount::run(&args).map_err(|message| Failure(3, message)),
        Command::Seal(args) => return change(&args, Mode::SEAL),
        Command::Unseal(args) => return change(&args, Mode::UNSEAL),
        Command::Status(args) => return status(&args).unwrap_or_else(Failure::exit),
    };
    result.map_or_else(Failure::exit, |()| ExitCode::SUCCESS)
}

impl Failure {
    fn exit(self) -> ExitCode {
        eprintln!("iomap-reference: {}", self.1);
        ExitCode::from(self.0)
    }
}

impl From<mkfs::Trouble> for Failure {
    fn from(trouble: mkfs::Trouble) -> Self {
        match trouble {
            mkfs::Trouble::Usage(message) => Self(2, message),
            mkfs::Trouble::Environment(message) => Self(3, message),
        }
    }
}

/// A line for each finding, or a document. The exit code says whether there are any.
fn fsck(args: &Fsck) -> Result<ExitCode, Failure> {
    let path = args.image.display();
    let mut disk = FileDisk::open(&args.image, true).map_err(|error| Failure(3, format!("{path}: {error}")))?;
    let report = match check(&mut disk) {
        Ok(report) => report,
        Err(error @ ImageError::Io { .. }) => return Err(Failure(3, format!("{path}: {error}"))),
        // Nothing that could be a file system of this format.
        Err(error) => Report::empty(disk.blocks(), Finding::from(&error)),
    };
    let text = match args.format {
        Format::Human if report.findings.is_empty() => {
            let Report { inodes, sealed, used, blocks, .. } = &report;
            format!("{path}: clean: inodes {inodes}, sealed {sealed}, blocks {used} of {blocks}\n")
        }
        Format::Human => report.findings.iter().map(|finding| format!("{path}: {finding}\n")).collect(),
        Format::Json => {
            let mut document = json!(report);
            document["schema"] = json!(1);
            format!("{document:#}\n")
        }
    };
    write(args.output.as_deref(), &text)?;
    Ok(if report.findings.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

/// Seals or unseals each file, whatever becomes of the others.
fn change(args: &Files, mode: Mode) -> ExitCode {
    let failed: Vec<_> = args.files.iter().filter_map(|file| seal::change(file, mode).err()).collect();
    complain(&failed)
}

fn complain(failed: &[seal::Trouble]) -> ExitCode {
    failed.iter().for_each(|trouble| eprintln!("iomap-reference: {}", trouble.0));
    ExitCode::from(u8::from(!failed.is_empty()))
}

/// A line or a row for each file that answers.
fn status(args: &Status) -> Result<ExitCode, Failure> {
    let (mut answers, mut failed) = (Vec::new(), Vec::new());
    for result in seal::status(&args.files) {
        match result {
            Ok(answer) => answers.push(answer),
            Err(trouble) => failed.push(trouble),
        }
    }
    let text = match args.format {
        Format::Human => answers.iter().map(seal::line).collect(),
        Format::Json => {
            let files: Vec<Value> = answers.iter().map(seal::row).collect();
            format!("{:#}\n", json!({"schema": 1, "files": files}))
        }
    };
    write(args.output.as_deref(), &text)?;
    Ok(complain(&failed))
}

/// The rows whose clauses the filter lets through.
fn list(list: &List, rows: Vec<[String; 2]>, key: &str) -> Result<(), Failure> {
    let rows: Vec<[String; 2]> =
        rows.into_iter().filter(|row| list.filter.as_ref().is_none_or(|f| row[0].contains(f.as_str()))).collect();
    let text = match list.format {
        Format::Human => rows.iter().map(|[left, right]| format!("{left:<24}  {right}\n")).collect(),
        Format::Json => document(key, &rows),
    };
    write(list.output.as_deref(), &text)
}

fn write(output: Option<&Path>, text: &str) -> Result<(), Failure> {
    let written = match output {
        Some(path) => std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display())),
        None => match std::io::stdout().write_all(text.as_bytes()) {
            // The reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            other => other.map_err(|e| format!("standard output: {e}")),
        },
    };
    written.map_err(|message| Failure(3, message))
}

/// Clause and answer of each rule, then what holds without one.
fn rule_rows() -> Vec<[String; 2]> {
    let checked = rules().map(|(clause, answer)| [clause.id.to_owned(), answer]);
    let constructed = BY_CONSTRUCTION.iter().map(|(clause, why)| [clause.id.to_owned(), format!("always: {why}")]);
    checked.chain(constructed).collect()
}

/// Clause and name of each violation.
fn violation_rows() -> Vec<[String; 2]> {
    violations().into_iter().map(|violation| [violation.clause.id.to_owned(), violation.id]).collect()
}

fn document(key: &str, rows: &[[String; 2]]) -> String {
    let name = if key == "rules" { "answer" } else { "id" };
    let rows: Vec<Value> = rows.iter().map(|[clause, other]| json!({"clause": clause, name: other})).collect();
    format!("{:#}\n", json!({"schema": 1, key: rows}))
}
