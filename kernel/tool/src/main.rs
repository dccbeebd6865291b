//! The command `iomap-kernel`, for developers: the kernel series that implements the specification.

mod apply;
mod build;
mod cache;
mod config;
mod definition;
mod digest;
mod fetch;
mod finding;
mod git;
mod lock;
mod mail;
mod make;
mod mutants;
mod outcome;
mod prefixes;
mod record;
mod recorded;
mod script;
mod series;
mod source;
mod text;
mod tools;
mod tree;

use cache::Cache;
use clap::{Parser, Subcommand};
use finding::shown;
use iomap_command::{Error, Exit};
use iomap_spec::{Diagnostic, Spec};
use series::Series;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Exit codes: 0 done, 1 a script does not fit the source or a mutant lives,
2 usage, 3 the machine or the source does not allow it, 4 internal.";

/// The kernel series that implements the specification.
#[derive(Parser)]
#[command(version, about, after_help = EXAMPLES)]
struct Cli {
    /// The directory with patches, mutants and new files [default: kernel/ of the project]
    #[arg(long, value_name = "DIR", global = true)]
    series: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Fetches the source package of Debian, and unpacks what a kernel for x86 needs
    Fetch(fetch::Arguments),
    /// Writes the patched files into a copy of the source
    Apply(apply::Arguments),
    /// Builds a kernel for the lab, or takes it from the cache; kernel/build is a link to it
    Build(build::Arguments),
    /// Prints the series as mail, ordinary patches with messages that cite clauses
    Series(mail::Arguments),
    /// Builds and boots mutants: whether the suite notices each of them
    Mutants(mutants::Arguments),
    /// Compiles the kernel after each patch, and says what the compiler warns of
    Prefixes(prefixes::Arguments),
    /// Says what is wrong with the scripts, with or without a source
    Check(lock::Check),
    /// Tries all edits in a source, and writes anchors.lock
    Lock(lock::Lock),
}

/// The top of the project. The tool is for developers, who have its source.
fn top() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    shown(package.ancestors().nth(2).unwrap_or(package))
}

fn main() -> ExitCode {
    iomap_command::end("iomap-kernel", || match Cli::try_parse() {
        Ok(cli) => run(&cli),
        Err(answer) => iomap_command::answer(answer.print(), answer.use_stderr()),
    })
}

fn run(cli: &Cli) -> Result<Exit, Error> {
    if let Command::Fetch(arguments) = &cli.command {
        return fetch::run(&Cache::open()?, arguments);
    }
    let series = Series::read(&cli.series.clone().unwrap_or_else(|| top().join("kernel")))?;
    match &cli.command {
        Command::Fetch(_) => Ok(Exit::Fine),
        Command::Build(arguments) => {
            build::run(&series, &Cache::open()?, lock::locked_version(&series).as_deref(), arguments)
        }
        Command::Prefixes(arguments) => {
            prefixes::run(&series, &Cache::open()?, lock::locked_version(&series).as_deref(), arguments)
        }
        Command::Mutants(arguments) => {
            let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from);
            let suite = target.join("release/iomap-conformance");
            mutants::run(&series, &Cache::open()?, lock::locked_version(&series).as_deref(), &suite, arguments)
        }
        Command::Series(arguments) => {
            let source = fetch::given(arguments.source.as_ref(), lock::locked_version(&series).as_deref())?;
            mail::run(&series, &spec()?, &source, arguments)
        }
        Command::Apply(arguments) => apply::run(&series, arguments),
        Command::Check(arguments) => lock::check(&series, &spec()?, arguments),
        Command::Lock(arguments) => lock::lock(&series, &spec()?, arguments),
    }
}

/// The pages.
fn spec() -> Result<Spec, Error> {
    let findings = |found: Vec<Diagnostic>| found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    iomap_spec::load(&top().join("man")).map_err(|found| Error::report(Exit::Found, findings(found)))
}
