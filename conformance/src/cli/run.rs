//! `iomap-conformance run`: runs cases and says which clauses hold.

use crate::cli::libtest::Libtest;
use crate::cli::list::list;
use crate::cli::situations::SituationArgs;
use crate::cli::subject::{Chosen, HOST_THREADS, REFERENCE_THREADS, expected, host_run, one_run, sandbox};
use crate::filesystem::FsKind;
use crate::host::sandbox::Sandbox;
use crate::kernel;
use crate::mechanism::Mechanism;
use crate::programs;
use crate::report::format::Format;
use crate::report::{format, human, kcidb};
use crate::reproduce::reproducer;
use crate::results::Results;
use crate::run::expectations::{self, Expectations};
use crate::run::plan::{Place, Plan};
use crate::run::trials::Subject;
use crate::run::update::Update;
use crate::system::Target;
use crate::target::directory::{Directory, Fresh};
use crate::target::fuse::Fuse;
use crate::target::reference::Reference;
use clap::Args;
use iomap_command::{Error, Exit, Output, tell, tell_line};
use iomap_reference::{Violation, conditional, violations};
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

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
pub(crate) struct RunArgs {
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
    pub(crate) format: Format,
    /// Write the results to a file
    #[arg(long, alias = "logfile", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Write programs that repeat the violated cases
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
    /// Add the unexpected verdicts to the expectations in a checkout
    ///
    /// Each unexpected verdict gets a row, valid from this kernel on,
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
    pub(crate) situations: SituationArgs,
    #[command(flatten)]
    pub(crate) libtest: Libtest,
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

    /// The runs to make.
    pub(crate) fn plan(&self) -> Result<Plan, Error> {
        let kernel = !matches!(self.target(), TargetName::Reference);
        let inline = if matches!(self.target(), TargetName::Host) { self.fs.inline() } else { 0 };
        self.situations.plan(&self.libtest, Place { mechanism: self.mechanism, kernel, inline })
    }

    /// The names of the expectations of this run.
    fn expectations_of(&self) -> &'static [&'static str] {
        match self.target() {
            TargetName::Reference => &[],
            TargetName::Fuse => expectations::of_fuse(nix::unistd::geteuid().is_root()),
            TargetName::Host => expectations::of_mechanism(self.mechanism),
            TargetName::Dir(_) => expectations::of_directory(self.mechanism),
        }
    }
}

/// The submission to KCIDB.
#[derive(Args)]
#[command(next_help_heading = "With --format kcidb")]
struct Kcidb {
    /// The CI system that submits: lower-case letters, digits and _
    #[arg(long, value_name = "NAME", default_value = "iomap", value_parser = kcidb::origin)]
    kcidb_origin: String,
    /// The id of the build of the kernel in KCIDB [default:
    /// ORIGIN:RELEASE]
    #[arg(long, value_name = "ID", value_parser = kcidb::build)]
    kcidb_build: Option<String>,
}

pub(crate) fn run(args: &RunArgs) -> Result<Exit, Error> {
    if args.libtest.list {
        return list(args);
    }
    programs::set_limit(args.timeout);
    let plan = args.plan()?;
    let chosen = Chosen { runs: &plan.runs, threads: args.libtest.test_threads, timeout: args.timeout };
    // The namespace of the host target hides a directory, so the file is made before the namespace.
    let mut output = Output::open(args.output.as_deref())?;
    let reproducers = args.reproducers.as_deref().map(reproducer::Directory::open).transpose()?;
    let names = args.expectations_of();
    let mut update = args.update_expectations.then(|| open_expectations(args, names)).transpose()?;
    let begin = Instant::now();
    let (results, elapsed) = match &args.target() {
        TargetName::Reference => {
            let target: Arc<dyn Target> = Arc::new(Reference::new(violation(args.violation.as_deref())?));
            let subject = Subject { target: "reference", mechanism: args.mechanism, fs: "model" };
            if let Some(reason) = target.lacks(args.mechanism) {
                return Err(Error::usage(format!("mechanism {}: {reason}: seal", args.mechanism.name())));
            }
            one_run(&target, &subject, &chosen, REFERENCE_THREADS, &Expectations::all_hold())
        }
        TargetName::Fuse => {
            let violation = violation(args.violation.as_deref())?;
            let sandbox = Sandbox::enter().map_err(|error| Error::of(Exit::Environment, error))?;
            let fuse = Fuse::new(&sandbox, violation).map_err(|error| Error::of(Exit::Environment, error))?;
            let target: Arc<dyn Target> = Arc::new(fuse);
            let subject = Subject { target: "fuse", mechanism: args.mechanism, fs: "model" };
            one_run(&target, &subject, &chosen, HOST_THREADS, &expected(names, "model")?)
        }
        TargetName::Host | TargetName::Dir(_) if args.violation.is_some() => {
            return Err(Error::usage("--violation is for the reference: a kernel cannot be told"));
        }
        TargetName::Dir(_) if args.mechanism == Mechanism::DeviceDax => {
            return Err(Error::usage("device-dax is no directory's: lab --fs devdax"));
        }
        TargetName::Host if !args.mechanism.fits(args.fs) => {
            return Err(Error::usage(format!("{} has no {}", args.fs.name(), args.mechanism.name())));
        }
        TargetName::Host => {
            let sandbox = sandbox(&[args.fs])?;
            let results = host_run(&sandbox, args.fs, args.mechanism, &chosen)?;
            drop(sandbox);
            results
        }
        TargetName::Dir(path) => directory_run(path, args, &chosen, names)?,
    };
    let results = if plan.is_wide() { plan.told(results) } else { results };
    if plan.is_wide() {
        tell_line(&plan);
    }
    let ready = begin.elapsed().saturating_sub(elapsed);
    if let Some(update) = &mut update {
        let others = expected(names.get(1..).unwrap_or_default(), &results.fs)?;
        tell_line(update.write(&results, &others)?);
    }
    let submitter = kcidb::Submitter { origin: args.kcidb.kcidb_origin.clone(), build: args.kcidb.kcidb_build.clone() };
    let format = if args.libtest.quiet { Format::Terse } else { args.format };
    output.write_styled(&format::write(&results, format, &submitter))?;
    if args.timings || (format == Format::Human && io::stderr().is_terminal()) {
        tell(human::timings(&results, elapsed, ready));
    }
    if let Some(directory) = &reproducers {
        tell_line(directory.write(&results)?);
    }
    Ok(results.exit())
}

fn directory_run(path: &Path, args: &RunArgs, chosen: &Chosen, names: &[&str]) -> Result<(Results, Duration), Error> {
    let fresh = Fresh::new(path).map_err(|error| Error::of(Exit::Environment, error))?;
    let directory = Directory::new(&fresh, args.mechanism).map_err(|error| Error::of(Exit::Environment, error))?;
    let fs = directory.fs().to_owned();
    let target: Arc<dyn Target> = Arc::new(directory);
    let subject = Subject { target: "dir", mechanism: args.mechanism, fs: &fs };
    Ok(one_run(&target, &subject, chosen, HOST_THREADS, &expected(names, &fs)?))
}

fn open_expectations(args: &RunArgs, names: &[&str]) -> Result<Update, Error> {
    let Some(name) = names.first() else {
        return Err(Error::usage("--update-expectations is for fuse, host and dir: the reference has to hold"));
    };
    if args.violation.is_some() {
        return Err(Error::usage("--update-expectations and --violation: nobody expects a violation made to order"));
    }
    Update::open(&args.expectations, expectations::file(name, &kernel::release()))
}

/// The violation with this name. If no violation has it, the error names those that begin alike.
fn violation(id: Option<&str>) -> Result<Option<Violation>, Error> {
    let Some(id) = id else { return Ok(None) };
    let all = if id.contains('@') { conditional() } else { violations() };
    if let Some(found) = all.iter().find(|violation| violation.id == id) {
        return Ok(Some(found.clone()));
    }
    let clause = id.split('/').next().unwrap_or(id);
    if id.contains('@') {
        let list = format!("`iomap-conformance audit --conditions '{clause}/*'` lists those of its clause");
        return Err(Error::usage(format!("no violation {id}: {list}")));
    }
    let near: Vec<&str> = all.iter().map(|v| v.id.as_str()).filter(|name| name.starts_with(clause)).collect();
    let hint = if near.is_empty() { "`iomap-conformance audit` lists them".into() } else { near.join(", ") };
    Err(Error::usage(format!("no violation {id}: {hint}")))
}
