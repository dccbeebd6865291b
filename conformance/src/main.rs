//! The command `iomap-conformance`.

use anstream::ColorChoice;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use iomap_conformance::case::definition::Case;
use iomap_conformance::filesystem::FsKind;
use iomap_conformance::host::guardian;
use iomap_conformance::host::sandbox::Sandbox;
use iomap_conformance::kernel_log::KernelLog;
use iomap_conformance::mechanism::Mechanism;
use iomap_conformance::report::format::Format;
use iomap_conformance::report::kcidb;
use iomap_conformance::report::schema::Document;
use iomap_conformance::report::terminal::{self, Screen};
use iomap_conformance::report::{compare, format, human, matrix};
use iomap_conformance::reproduce::reproducer;
use iomap_conformance::results::Results;
use iomap_conformance::run::expectations::Expectations;
use iomap_conformance::run::select::{Nothing, Selection, nearest};
use iomap_conformance::run::trials::{Event, Progress, Subject};
use iomap_conformance::run::update::Update;
use iomap_conformance::run::watchdog::Guard;
use iomap_conformance::run::{audit, trials};
use iomap_conformance::system::Target;
use iomap_conformance::target;
use iomap_conformance::target::directory::{Directory, Fresh};
use iomap_conformance::target::fuse::Fuse;
use iomap_conformance::target::host::Host;
use iomap_conformance::target::reference::Reference;
use iomap_conformance::words::count;
use iomap_conformance::{cases, lab, programs};
use iomap_reference::{Violation, violations};
use iomap_results::{Audit, ListedCase, Sum, comparable, compare_kernels};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

const EXAMPLES: &str = "\
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

const LAB_EXAMPLES: &str = "\
Examples:
  iomap-conformance lab --kernel 6.1 6.12 --fs xfs f2fs
  iomap-conformance lab --kernel ~/linux --fs ext4 --mechanism swapfile
  iomap-conformance lab --kernel 6.12 --format json --output results.json
  iomap-conformance lab --kernel 6.12 --fs xfs --power-cuts 20
  iomap-conformance lab --kernel 6.12 --fs btrfs --interactive
  iomap-conformance compare results.json   the kernels in a file, side by side

Exit codes: 0 as expected of these kernels, 1 an unexpected verdict that stands
on its own evidence, else 3 if a guest or this machine failed, 2 usage, 4
internal.";

/// Checks every clause of the specification of immutable iomap files.
///
/// Without arguments the whole suite runs on the in-process reference.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    run: RunArgs,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto")]
    color: Color,
}

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    /// On a terminal that has them, unless NO_COLOR is set
    Auto,
    /// In all output for people
    Always,
    /// No escape at all
    Never,
}

#[derive(Subcommand)]
enum Command {
    /// Runs cases and says which clauses hold [the default]
    #[command(after_help = EXAMPLES)]
    Run(Box<RunArgs>),
    /// Compares file systems and mechanisms in one table
    ///
    /// Without files it runs every file system of this kernel with every
    /// mechanism; that needs root.
    Matrix(MatrixArgs),
    /// Says by clause what changed between two results, say of two kernels
    ///
    /// A and B have results that `run` or `matrix` wrote with --format json.
    /// What belongs together in lists, file system and mechanism say. Exit
    /// code 1 means that a clause that held in A is violated in B; anything
    /// else that changed is 0.
    #[command(verbatim_doc_comment)]
    Compare(CompareArgs),
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
    #[command(name = guardian::COMMAND, hide = true)]
    Guard {
        stage: PathBuf,
        #[arg(long)]
        remove: bool,
    },
    #[command(name = lab::GUEST_COMMAND, hide = true)]
    Guest { run: Option<usize> },
}

#[derive(Clone)]
enum TargetName {
    Reference,
    Fuse,
    Host,
    Dir(PathBuf),
}

fn target(name: &str) -> Result<TargetName, &'static str> {
    match name {
        "reference" => Ok(TargetName::Reference),
        "fuse" => Ok(TargetName::Fuse),
        "host" => Ok(TargetName::Host),
        _ => match name.strip_prefix("dir=") {
            Some(path) if !path.is_empty() => Ok(TargetName::Dir(path.into())),
            _ => Err("one of reference, fuse, host, dir=PATH"),
        },
    }
}

#[derive(Args)]
struct RunArgs {
    /// Where the calls go
    ///
    /// reference: the in-process reference
    /// fuse:      the same reference, mounted through FUSE: real system calls
    /// host:      this kernel, on file systems that the suite makes (root)
    /// dir=PATH:  this kernel, in a fresh directory in PATH
    #[arg(long, value_parser = target, default_value = "reference", verbatim_doc_comment)]
    target: TargetName,
    /// The same as --target dir=PATH
    #[arg(long, value_name = "PATH", conflicts_with = "target")]
    dir: Option<PathBuf>,
    /// The file system to make, for target host
    #[arg(long, value_enum, default_value = "xfs")]
    fs: FsKind,
    /// How a file gets into the state
    #[arg(long, value_enum, default_value = "seal")]
    mechanism: Mechanism,
    /// How the results are written
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    /// Write the results to a file
    #[arg(long, alias = "logfile", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write programs that do again what a violated case did
    ///
    /// CASE.c for each, and CASE.xfs_io.sh where xfs_io(8) can say it. Both
    /// take a directory.
    #[arg(long, value_name = "DIR", verbatim_doc_comment)]
    reproducers: Option<PathBuf>,
    /// Break the reference in one way (`audit` lists them), to see a failure
    #[arg(long, value_name = "ID")]
    violation: Option<String>,
    /// How long a case may take, in seconds
    ///
    /// One that does not end is an error, with where it waits in the kernel,
    /// and the others go on without it.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, verbatim_doc_comment)]
    timeout: Duration,
    /// Report the time of each family on standard error
    #[arg(long)]
    timings: bool,
    /// Add what was observed and not expected to the expectations in a checkout
    ///
    /// Each verdict that nobody expected gets a row, valid from this kernel on,
    /// before the row that it contradicts; nothing is removed. Rows have no
    /// explanation yet: see `git diff`, say why, commit. The exit code is that
    /// of the run.
    #[arg(long, verbatim_doc_comment)]
    update_expectations: bool,
    /// Where the checkout has them
    #[arg(long, value_name = "DIR", default_value = "conformance/expectations", requires = "update_expectations")]
    expectations: PathBuf,
    #[command(flatten)]
    kcidb: Kcidb,
    #[command(flatten)]
    libtest: Libtest,
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number of seconds, at least 1"),
        Ok(seconds) => Ok(Duration::from_secs(seconds)),
    }
}

impl RunArgs {
    fn target(&self) -> TargetName {
        self.dir.clone().map_or_else(|| self.target.clone(), TargetName::Dir)
    }
}

/// Who submits to KCIDB.
#[derive(Args)]
#[command(next_help_heading = "With --format kcidb")]
struct Kcidb {
    /// The CI system that submits: lower-case letters, digits and _
    #[arg(long, value_name = "NAME", default_value = "iomap", value_parser = kcidb::origin)]
    kcidb_origin: String,
    /// The build of the kernel, which somebody else submits [default:
    /// ORIGIN:RELEASE]
    #[arg(long, value_name = "ID", value_parser = kcidb::build)]
    kcidb_build: Option<String>,
}

/// The flags of libtest, under their names.
#[derive(Args)]
#[command(next_help_heading = "Choosing cases")]
struct Libtest {
    /// Only these cases: a family, a clause, a case, a pattern with *, or a part
    /// of such a name
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// A filter is the whole name of a clause or case
    #[arg(long)]
    exact: bool,
    /// Leave out these cases
    #[arg(long, value_name = "FILTER")]
    skip: Vec<String>,
    /// List the cases, do not run them
    #[arg(long)]
    list: bool,
    /// How many cases run at the same time
    #[arg(short = 'j', long = "test-threads", value_name = "N", value_parser = at_least_one)]
    test_threads: Option<usize>,
    /// Means --format terse
    #[arg(short, long, conflicts_with = "format")]
    quiet: bool,
    /// Runs all cases, because no case is ignored
    #[arg(long, hide = true)]
    include_ignored: bool,
    /// Runs no case, because no case is ignored
    #[arg(long, hide = true)]
    ignored: bool,
    /// Runs the cases, because cases are tests
    #[arg(long, hide = true)]
    test: bool,
    /// Runs no case, because no case is a benchmark
    #[arg(long, hide = true, conflicts_with = "test")]
    bench: bool,
    /// Has no effect: output is never captured
    #[arg(long, alias = "no-capture", hide = true)]
    nocapture: bool,
    /// Has no effect: output is always shown
    #[arg(long, hide = true)]
    show_output: bool,
    /// Has no effect: no option needs it
    #[arg(short = 'Z', hide = true, value_parser = ["unstable-options"])]
    unstable: Vec<String>,
}

fn at_least_one(text: &str) -> Result<usize, &'static str> {
    match text.parse() {
        Ok(0) | Err(_) => Err("a whole number, at least 1"),
        Ok(number) => Ok(number),
    }
}

impl Libtest {
    fn selection(&self) -> Selection {
        Selection { filters: self.filters.clone(), skip: self.skip.clone(), exact: self.exact }
    }

    /// The cases that will run: at least one.
    fn cases(&self) -> Result<Vec<&'static Case>, Stop> {
        for (flag, given, what) in [("--ignored", self.ignored, "ignored"), ("--bench", self.bench, "a benchmark")] {
            if given {
                return Err(Stop(USAGE, format!("{flag}: no case is {what}, so nothing would run")));
            }
        }
        self.selection().some_of(&every_case()).map_err(meant_nothing)
    }
}

fn every_case() -> Vec<&'static Case> {
    cases::all().collect()
}

/// A filter without a match may be a mistyped command, or a command after its options.
fn meant_nothing(nothing: Nothing) -> Stop {
    let Nothing::Unknown { filter, .. } = &nothing else { return Stop(USAGE, nothing.to_string()) };
    let command = Cli::command();
    let commands = command.get_subcommands().filter(|it| !it.is_hide_set()).map(|it| it.get_name().to_owned());
    let hint = match nearest(filter, commands.chain(["help".into()])).first() {
        Some(same) if same == filter => format!("; the command {same} comes before its options"),
        Some(near) => format!("; if a command was meant: {near}"),
        None => String::new(),
    };
    Stop(USAGE, format!("{nothing}{hint}; --list has all cases"))
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum TableFormat {
    /// For a terminal
    Human,
    /// For a page
    Markdown,
    /// The results documents, in a list
    Json,
}

#[derive(Args)]
struct MatrixArgs {
    /// Results that `run` or `matrix` wrote with --format json
    files: Vec<PathBuf>,
    /// How the table is written
    #[arg(long, value_enum, default_value = "human")]
    format: TableFormat,
    /// Write the table to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// List the file systems and mechanisms, a pair on each line, and run none
    #[arg(long, conflicts_with = "files")]
    list: bool,
}

#[derive(Args)]
struct LabArgs {
    #[command(flatten)]
    options: lab::Options,
    /// How the results are written
    #[arg(long, value_enum, default_value = "human")]
    format: ListFormat,
    /// Write the results to a file, as soon as there are any
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ComparisonFormat {
    /// For a terminal
    Human,
    /// For a page
    Markdown,
    /// One JSON document
    Json,
}

#[derive(Args)]
struct CompareArgs {
    /// The results before
    a: PathBuf,
    /// The results after [default: those of the other kernels in A]
    b: Option<PathBuf>,
    /// How the changes are written
    #[arg(long, value_enum, default_value = "human")]
    format: ComparisonFormat,
    /// Write the changes to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Args)]
struct SchemaArgs {
    /// Which document
    #[arg(value_enum, default_value = "results")]
    document: Document,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListFormat {
    /// For a terminal
    Human,
    /// One JSON document
    Json,
}

#[derive(Args)]
struct AuditArgs {
    /// Only these violations: those of a family or a clause, one, a pattern with
    /// *, or a part of such a name
    #[arg(value_name = "FILTER", verbatim_doc_comment)]
    filters: Vec<String>,
    /// How the list is written
    #[arg(long, value_enum, default_value = "human")]
    format: ListFormat,
    /// Write the list to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Why the program ends early, with its exit code.
struct Stop(u8, String);

const USAGE: u8 = 2;
const ENVIRONMENT: u8 = 3;
const INTERNAL: u8 = 4;

fn main() -> ExitCode {
    if terminal::is_dumb() && std::env::var_os("CLICOLOR_FORCE").is_none() {
        // A dumb terminal is one, whatever else the environment says.
        ColorChoice::Never.write_global();
    }
    let cli = Cli::parse();
    match cli.color {
        Color::Auto => (),
        Color::Always => ColorChoice::Always.write_global(),
        Color::Never => ColorChoice::Never.write_global(),
    }
    let done = match &cli.command {
        None => run(&cli.run),
        Some(Command::Run(args)) => run(args),
        Some(Command::Matrix(args)) => matrix(args),
        Some(Command::Compare(args)) => compare(args),
        Some(Command::Schema(args)) => Output::Stdout.write(args.document.schema()).map(|()| 0),
        Some(Command::Audit(args)) => audit(args),
        Some(Command::Lab(args)) => lab(args),
        Some(Command::Guest { run }) => {
            lab::run_as_guest(*run);
            Ok(0)
        }
        Some(Command::Guard { stage, remove }) => {
            guardian::run(stage, *remove);
            Ok(0)
        }
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(Stop(code, message)) => {
            eprintln!("iomap-conformance: {message}");
            ExitCode::from(code)
        }
    }
}

fn run(args: &RunArgs) -> Result<u8, Stop> {
    if args.libtest.list {
        return list(args);
    }
    programs::set_limit(args.timeout);
    let cases = args.libtest.cases()?;
    let chosen = Chosen { cases: &cases, threads: args.libtest.test_threads, timeout: args.timeout };
    // The namespace of the host target hides a directory, so the file is made first.
    let mut output = Output::open(args.output.as_ref())?;
    let reproducers = args
        .reproducers
        .as_deref()
        .map(reproducer::Directory::open)
        .transpose()
        .map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
    let names = expectation_names(args);
    let mut update = args.update_expectations.then(|| open_expectations(args, &names)).transpose()?;
    let begin = Instant::now();
    let (results, elapsed) = match &args.target() {
        TargetName::Reference => {
            let target: Arc<dyn Target> = Arc::new(Reference::new(violation(args.violation.as_deref())?));
            let subject = Subject { target: "reference", mechanism: args.mechanism, fs: "model" };
            if let Some(reason) = target.lacks(args.mechanism) {
                return Err(Stop(USAGE, format!("mechanism {}: {reason}: seal", args.mechanism.name())));
            }
            one_run(&target, &subject, &chosen, REFERENCE_THREADS, &Expectations::all_hold())
        }
        TargetName::Fuse => {
            let violation = violation(args.violation.as_deref())?;
            let sandbox = Sandbox::enter().map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
            let fuse = Fuse::new(&sandbox, violation).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
            let target: Arc<dyn Target> = Arc::new(fuse);
            let subject = Subject { target: "fuse", mechanism: args.mechanism, fs: "model" };
            one_run(&target, &subject, &chosen, HOST_THREADS, &expected(&names, "model")?)
        }
        TargetName::Host | TargetName::Dir(_) if args.violation.is_some() => {
            return Err(Stop(USAGE, "--violation is for the reference: a kernel cannot be told".into()));
        }
        TargetName::Dir(_) if args.mechanism == Mechanism::DeviceDax => {
            return Err(Stop(USAGE, "device-dax is no directory's: lab --fs devdax".into()));
        }
        TargetName::Host if !args.mechanism.fits(args.fs) => {
            return Err(Stop(USAGE, format!("{} has no {}", args.fs.name(), args.mechanism.name())));
        }
        TargetName::Host => {
            let sandbox = sandbox(&[args.fs])?;
            let results = host_run(&sandbox, args.fs, args.mechanism, &chosen)?;
            drop(sandbox);
            results
        }
        TargetName::Dir(path) => directory_run(path, args, &chosen, &names)?,
    };
    let ready = begin.elapsed().saturating_sub(elapsed);
    if let Some(update) = &mut update {
        let others = expected(names.get(1..).unwrap_or_default(), &results.fs)?;
        eprintln!("{}", update.write(&results, &others).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?);
    }
    let submitter = kcidb::Submitter { origin: args.kcidb.kcidb_origin.clone(), build: args.kcidb.kcidb_build.clone() };
    let format = if args.libtest.quiet { Format::Terse } else { args.format };
    output.write(&format::write(&results, format, &submitter))?;
    if args.timings || (format == Format::Human && io::stderr().is_terminal()) {
        eprint!("{}", human::timings(&results, elapsed, ready));
    }
    if let Some(directory) = &reproducers {
        eprintln!("{}", directory.write(&results).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?);
    }
    Ok(results.exit_code())
}

/// The expectations of a run, those that count first at the front.
fn expectation_names(args: &RunArgs) -> Vec<&'static str> {
    match args.target() {
        TargetName::Reference => vec![],
        TargetName::Fuse if nix::unistd::geteuid().is_root() => vec!["fuse"],
        // Root of a user namespace only.
        TargetName::Fuse => vec!["fuse-user", "fuse"],
        TargetName::Host => vec![args.mechanism.name()],
        TargetName::Dir(_) => match args.mechanism {
            // No kernel has the first, and no directory the second: there is nothing to reach.
            Mechanism::Seal => vec!["seal"],
            Mechanism::DeviceDax => vec!["device-dax"],
            Mechanism::Swapfile => vec!["dir-swapfile", "dir", "swapfile"],
            Mechanism::F2fsPin => vec!["dir", "f2fs-pin"],
            Mechanism::ImmutableAttr => vec!["dir-immutable-attr", "dir", "immutable-attr"],
        },
    }
}

fn open_expectations(args: &RunArgs, names: &[&str]) -> Result<Update, Stop> {
    let Some(name) = names.first() else {
        return Err(Stop(USAGE, "--update-expectations is for fuse, host and dir: the reference has to hold".into()));
    };
    if args.violation.is_some() {
        return Err(Stop(
            USAGE,
            "--update-expectations and --violation: nobody expects a violation made to order".into(),
        ));
    }
    Update::open(&args.expectations, name).map_err(|e| Stop(ENVIRONMENT, e.to_string()))
}

/// The violation with this name, or those whose names begin alike.
fn violation(id: Option<&str>) -> Result<Option<Violation>, Stop> {
    let Some(id) = id else { return Ok(None) };
    let all = violations();
    if let Some(found) = all.iter().find(|violation| violation.id == id) {
        return Ok(Some(found.clone()));
    }
    let clause = id.split('/').next().unwrap_or(id);
    let near: Vec<&str> = all.iter().map(|v| v.id.as_str()).filter(|name| name.starts_with(clause)).collect();
    let hint = if near.is_empty() { "`iomap-conformance audit` lists them".into() } else { near.join(", ") };
    Err(Stop(USAGE, format!("no violation {id}: {hint}")))
}

fn list(args: &RunArgs) -> Result<u8, Stop> {
    let none = args.libtest.ignored || args.libtest.bench;
    let selected = if none { Vec::new() } else { args.libtest.selection().among(&every_case()) };
    let text = match args.format {
        Format::Json => {
            let rows: Vec<_> = selected
                .iter()
                .map(|case| ListedCase { name: case.full_name(), clause: case.clause.id, about: case.about })
                .collect();
            format::json(&rows)
        }
        _ => selected.iter().map(|case| format!("{}: test\n", case.full_name())).collect(),
    };
    Output::open(args.output.as_ref())?.write(&text)?;
    Ok(0)
}

/// Cases on kernels wait for disks and for grace periods, so more of them run than there are processors.
const HOST_THREADS: usize = 8;
const REFERENCE_THREADS: usize = 2;

/// The cases to run, and how to run them.
struct Chosen<'a> {
    cases: &'a [&'static Case],
    /// The number of cases that run at the same time, if the user gave it.
    threads: Option<usize>,
    timeout: Duration,
}

fn host_run(sandbox: &Sandbox, fs: FsKind, mechanism: Mechanism, chosen: &Chosen) -> Result<(Results, Duration), Stop> {
    let host = Host::new(sandbox, fs, mechanism).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
    let expectations = expected(&[mechanism.name()], fs.name())?;
    let target: Arc<dyn Target> = Arc::new(host);
    let subject = Subject { target: "host", mechanism, fs: fs.name() };
    Ok(one_run(&target, &subject, chosen, HOST_THREADS, &expectations))
}

fn directory_run(path: &Path, args: &RunArgs, chosen: &Chosen, names: &[&str]) -> Result<(Results, Duration), Stop> {
    let fresh = Fresh::new(path).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
    let directory = Directory::new(&fresh, args.mechanism).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
    let fs = directory.fs().to_owned();
    let target: Arc<dyn Target> = Arc::new(directory);
    let subject = Subject { target: "dir", mechanism: args.mechanism, fs: &fs };
    Ok(one_run(&target, &subject, chosen, HOST_THREADS, &expected(names, &fs)?))
}

fn expected(names: &[&str], fs: &str) -> Result<Expectations, Stop> {
    Expectations::of(names, fs, &iomap_conformance::kernel::release()).map_err(|e| Stop(INTERNAL, e))
}

/// Said once, however many runs there are.
static UNREADABLE: Once = Once::new();

fn one_run(
    target: &Arc<dyn Target>,
    subject: &Subject,
    chosen: &Chosen,
    threads: usize,
    expectations: &Expectations,
) -> (Results, Duration) {
    let begin = Instant::now();
    let log = target.devices().and_then(|devices| match KernelLog::open(devices) {
        Ok(log) => Some(log),
        Err(error) => {
            UNREADABLE.call_once(|| eprintln!("iomap-conformance: the kernel log is not watched: /dev/kmsg: {error}"));
            None
        }
    });
    let guard = Arc::new(Guard::new(chosen.timeout, log));
    let progress = progress(&format!("{}/{}", subject.fs, subject.mechanism.name()), chosen.cases.len());
    let cases = (chosen.cases, chosen.threads.unwrap_or(threads));
    let results = trials::run(target, subject, cases, expectations, &guard, &progress);
    terminal::passing("");
    (results, begin.elapsed())
}

fn sandbox(kinds: &[FsKind]) -> Result<Sandbox, Stop> {
    // All missing programs in one line, so that the user installs packages once.
    let mut missing: Vec<String> = kinds.iter().filter_map(|kind| target::host::missing(*kind)).collect();
    missing.dedup();
    if !missing.is_empty() {
        return Err(Stop(ENVIRONMENT, missing.join("; ")));
    }
    Sandbox::enter().map_err(|e| Stop(ENVIRONMENT, e.to_string()))
}

/// A bar on a terminal that says where the run is. Elsewhere nothing.
fn progress(label: &str, total: usize) -> Progress {
    if !terminal::can_pass() {
        return Arc::new(|_| ());
    }
    let (label, done) = (label.to_owned(), AtomicUsize::new(0));
    let shown = Mutex::new(Instant::now());
    Arc::new(move |event: Event| {
        let Event::Ended(case) = event else { return };
        let number = done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.elapsed() > Duration::from_millis(50) {
            *shown = Instant::now();
            terminal::passing(&human::bar(&label, number, total, &case.name));
        }
    })
}

fn matrix(args: &MatrixArgs) -> Result<u8, Stop> {
    let mut output = Output::open(args.output.as_ref())?;
    if args.list {
        let lines = pairs().map(|(fs, mechanism)| format!("{} {}\n", fs.name(), mechanism.name()));
        return output.write(&lines.collect::<String>()).map(|()| 0);
    }
    let all = if args.files.is_empty() { run_everything()? } else { read_all(&args.files)? };
    comparable(&all).map_err(|e| Stop(USAGE, e.to_string()))?;
    let trouble = matrix::trouble(&all);
    output.write(&match args.format {
        TableFormat::Human => format!("{}{}{trouble}", matrix::human(&all, output.screen()), gap(&trouble)),
        TableFormat::Markdown => matrix::markdown(&all),
        TableFormat::Json => format::json(&all),
    })?;
    if args.output.is_some() || args.format != TableFormat::Human {
        // A document is not read to learn the reason of the exit code, so standard error gets the reason.
        eprint!("{trouble}");
    }
    Ok(Sum::of(&all).exit_code())
}

fn gap(text: &str) -> &'static str {
    if text.is_empty() { "" } else { "\n" }
}

/// What there is to compare on a kernel, in the order of the columns.
fn pairs() -> impl Iterator<Item = (FsKind, Mechanism)> {
    let mechanisms = [Mechanism::Swapfile, Mechanism::ImmutableAttr, Mechanism::Seal];
    mechanisms.into_iter().flat_map(|mechanism| FsKind::USUAL.map(|fs| (fs, mechanism)))
}

fn run_everything() -> Result<Vec<Results>, Stop> {
    let sandbox = sandbox(&FsKind::USUAL)?;
    let chosen = Chosen { cases: &every_case(), threads: None, timeout: programs::TIMEOUT };
    pairs().map(|(fs, mechanism)| Ok(host_run(&sandbox, fs, mechanism, &chosen)?.0)).collect()
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Results>, Stop> {
    let read: Result<Vec<_>, Stop> = files.iter().map(|path| read(path)).collect();
    Ok(read?.concat())
}

fn read(path: &Path) -> Result<Vec<Results>, Stop> {
    let name = path.display();
    let bytes = std::fs::read(path).map_err(|e| Stop(ENVIRONMENT, format!("{name}: {e}")))?;
    let text = String::from_utf8(bytes)
        .map_err(|e| Stop(USAGE, format!("{name}: not a results document: {}", e.utf8_error())))?;
    Results::parse_all(&text).map_err(|e| Stop(USAGE, format!("{name}: {e}")))
}

/// The message about results that have no second kernel to compare with.
fn of_one_kernel(path: &Path, all: &[Results]) -> String {
    let why = match all.first() {
        Some(one) => {
            let release = &one.kernel.release;
            format!("results of one kernel only, {release}: give those of another one to compare with")
        }
        None => "no results".to_owned(),
    };
    format!("{}: {why}", path.display())
}

fn compare(args: &CompareArgs) -> Result<u8, Stop> {
    let mut output = Output::open(args.output.as_ref())?;
    let a = read(&args.a)?;
    let comparison = match &args.b {
        Some(b) => iomap_results::compare(&a, &read(b)?),
        None => compare_kernels(&a).ok_or_else(|| Stop(USAGE, of_one_kernel(&args.a, &a)))?,
    };
    output.write(&match args.format {
        ComparisonFormat::Human => compare::human(&comparison),
        ComparisonFormat::Markdown => compare::markdown(&comparison),
        ComparisonFormat::Json => format::json(&comparison),
    })?;
    Ok(comparison.exit_code())
}

fn lab(args: &LabArgs) -> Result<u8, Stop> {
    if args.options.is_interactive() {
        return lab::interact(&args.options).map(|()| 0).map_err(|e| Stop(ENVIRONMENT, e.to_string()));
    }
    if let Some(scenario) = args.options.scenario {
        let mut output = Output::open(args.output.as_ref())?;
        let document = lab::play_all(scenario, &args.options).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
        output.write(&match args.format {
            ListFormat::Json => format::json(&document),
            ListFormat::Human => lab::played(&document),
        })?;
        return Ok(if document.kernels.iter().any(|play| play.trouble.is_some()) { ENVIRONMENT } else { 0 });
    }
    if let Some(filter) = &args.options.case {
        Selection::of(Some(filter)).some_of(&every_case()).map_err(|e| Stop(USAGE, format!("--case: {e}")))?;
    }
    let screen = if args.output.is_some() { Screen::default() } else { Screen::of_stdout() };
    let text = |document: &lab::LabDocument| match args.format {
        ListFormat::Json => format::json(document),
        ListFormat::Human => lab::human(&args.options, document, screen),
    };
    let write = |document: &lab::LabDocument| match &args.output {
        Some(path) => {
            replace(path, &terminal::plain(&text(document))).map_err(|e| format!("{}: {e}", path.display()).into())
        }
        None => Ok(()),
    };
    let document = lab::run(&args.options, &write).map_err(|e| Stop(ENVIRONMENT, e.to_string()))?;
    match &args.output {
        None => Output::Stdout.write(&text(&document))?,
        // The disk may be full now although it was not at the start.
        Some(path) => replace(path, &text(&document)).map_err(|e| unwritten(path, &e, &text(&document)))?,
    }
    if args.output.is_some() || args.format == ListFormat::Json {
        // Nobody reads a document to find out why the exit code is what it is.
        eprint!("{}", matrix::trouble(&document.runs));
    }
    Ok(Sum::of(&document.runs).exit_code())
}

/// Writes a file anew. If there is no room for that, what was there stays.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A terminal or a pipe has nothing to keep.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text);
    }
    let partial = PathBuf::from([path.as_os_str(), OsStr::new(".partial")].into_iter().collect::<OsString>());
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}

fn audit(args: &AuditArgs) -> Result<u8, Stop> {
    let all = violations();
    let selection = Selection { filters: args.filters.clone(), ..Selection::default() };
    let chosen = selection.some_of(&all.iter().collect::<Vec<_>>());
    let chosen = chosen.map_err(|e| Stop(USAGE, format!("{e}; audit without a filter lists all violations")))?;
    let mut output = Output::open(args.output.as_ref())?;
    let audited = audit::audit(&chosen);
    let survived = audited.iter().filter(|one| one.verdict == "survived").count();
    output.write(&match args.format {
        ListFormat::Json => format::json(&Audit { schema: 1, violations: audited }),
        ListFormat::Human => {
            let lines = audited.iter().map(|one| format!("{:<9}{:<34}{}\n", one.verdict, one.id, one.by.join(" ")));
            let total = format!(
                "{}: {} killed, {survived} survived\n",
                count(audited.len(), "violation"),
                audited.len() - survived
            );
            lines.chain([total]).collect()
        }
    })?;
    Ok(u8::from(survived > 0))
}

/// The reason why results are not in their file. A run may have taken long, so the results are printed instead.
fn unwritten(path: &Path, error: &io::Error, text: &str) -> Stop {
    let why = format!("{}: {error}", path.display());
    match Output::Stdout.write(text) {
        Ok(()) => Stop(ENVIRONMENT, format!("{why}: the results are on standard output instead")),
        Err(Stop(code, other)) => Stop(code, format!("{why}, {other}")),
    }
}

/// Where results go.
enum Output {
    Stdout,
    File(PathBuf, File),
}

impl Output {
    fn open(path: Option<&PathBuf>) -> Result<Self, Stop> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let file = File::create(path).map_err(|e| Stop(ENVIRONMENT, format!("{}: {e}", path.display())))?;
        Ok(Self::File(path.clone(), file))
    }

    fn screen(&self) -> Screen {
        match self {
            Self::Stdout => Screen::of_stdout(),
            Self::File(..) => Screen::default(),
        }
    }

    fn write(&mut self, text: &str) -> Result<(), Stop> {
        match self {
            Self::Stdout => match anstream::stdout().write_all(text.as_bytes()) {
                // The reader has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(|e| Stop(ENVIRONMENT, format!("standard output: {e}"))),
            },
            Self::File(path, file) => {
                let text = terminal::plain(text);
                file.write_all(text.as_bytes()).map_err(|e| unwritten(path, &e, &text))
            }
        }
    }
}
