//! The command: see `iomap-spec --help`.

#[cfg(feature = "book")]
mod book;
mod citations;
mod cite;
mod diff;
mod html;
mod index;
mod input;
mod mail;
mod man;
mod pages;
mod quotation;
mod report;
mod review;
mod terminal;
mod unwrap;

use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use iomap_spec::confirmed::{self, Which};
use iomap_spec::text;
use iomap_spec::{Clause, Diagnostic, IO, Manual, Source, Spec};
use pages::Pages;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, panic};

const AFTER_HELP: &str = "\
The pages are those of --pages or IOMAP_SPEC_PAGES; else those of the checkout
of the specification in which you are, known by man/iomap_immutable.7.md in this
directory or in one above it, up to the top of the repository; else those that
are built in. The directory `man` of any other project is not taken. Where a
file is read, - is standard input.

Exit codes:
  0  done, nothing found
  1  the pages, results or links of the book have findings, or no clause has the
     id
  2  the command line is wrong
  3  the environment is: a file or directory cannot be read or written
  4  iomap-spec itself is: please report it

Example:
  iomap-spec check && iomap-spec show truncate.shrink";

/// Reads the specification: Markdown manual pages in which every promise is a clause with a name of its own.
#[derive(Parser)]
#[command(version, max_term_width = 80, after_help = AFTER_HELP)]
struct Arguments {
    /// The directory of the pages, instead of the one in IOMAP_SPEC_PAGES, that of the checkout, or what is built in
    #[arg(long, global = true, value_name = "DIR")]
    pages: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say what is wrong with the pages, where, and how to mend it
    #[command(after_help = "\
Example:
  iomap-spec check
  iomap-spec check --format json man/iomap_immutable.7.md
  iomap-spec check --explain inner-word")]
    Check {
        /// For people, for programs, or for the annotations of GitHub
        #[arg(long, default_value = "human")]
        format: Report,
        /// Instead of checking, say what a finding with this code means
        #[arg(long, value_name = "CODE", conflicts_with_all = ["format", "paths"])]
        explain: Option<String>,
        /// Pages, or directories of pages, to check together instead of those of --pages
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
    },
    /// Make manual pages from these or any other pages in Markdown
    #[command(after_help = "\
Example:
  iomap-spec man --out build/man
  iomap-spec man iomap_immutable | man -l -
  iomap-spec man --out build/man docs/podman-run.1.md docs/more")]
    Man(man::Arguments),
    /// List the clauses
    #[command(after_help = "\
Example:
  iomap-spec clauses
  iomap-spec clauses --format json --output clauses.json")]
    Clauses {
        /// For people or for programs
        #[arg(long, default_value = "human")]
        format: Format,
        /// Write to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Show clauses: what they say, what they allow, and where they stand
    #[command(after_help = "\
Example:
  iomap-spec show truncate.shrink")]
    Show {
        /// Clauses
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Print clauses as plain text for mail, with the version and the hash that pin what they say
    #[command(after_help = "\
Example:
  iomap-spec cite truncate.shrink
  iomap-spec cite --one-line truncate.shrink write.beyond
  iomap-spec cite --check reply.eml")]
    Cite(cite::Arguments),
    /// Record that the places that cite a clause were read again and fit its present state
    #[command(after_help = "\
Which files are looked at is in confirmed.toml beside the pages. A citation that
was never recorded is recorded without being named.

Example:
  iomap-spec confirm
  iomap-spec confirm truncate.shrink")]
    Confirm {
        /// Every citation, without naming the clauses
        #[arg(long, conflicts_with = "ids")]
        all: bool,
        /// Clauses whose citations were read again
        #[arg(value_name = "ID")]
        ids: Vec<String>,
    },
    /// Say which clauses differ between two states of the specification
    Diff(diff::Arguments),
    /// List the clauses that bear on a patch to a kernel, to be quoted in a reply
    Review(review::Arguments),
    /// Build the book: the pages as HTML, with verdicts beside the clauses
    #[cfg(feature = "book")]
    Book(book::Arguments),
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Json,
}

/// How findings are reported.
#[derive(Clone, Copy, ValueEnum)]
enum Report {
    Human,
    Json,
    Github,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Exit {
    Fine = 0,
    Findings = 1,
    Usage = 2,
    Environment = 3,
    Internal = 4,
}

/// What ends the command early, and what to say about it on standard error.
struct Trouble {
    exit: Exit,
    message: String,
}

impl From<Vec<Diagnostic>> for Trouble {
    fn from(findings: Vec<Diagnostic>) -> Self {
        Trouble { exit: exit_of(&findings), message: report::human(&findings, report::Stream::Error) }
    }
}

type Outcome = Result<Exit, Trouble>;

fn main() -> ExitCode {
    let outcome = match arguments() {
        Ok(arguments) => panic::catch_unwind(|| run(arguments)).unwrap_or(Ok(Exit::Internal)),
        Err(said) => answer(&said),
    };
    let exit = outcome.unwrap_or_else(|Trouble { exit, message }| {
        // Nobody is left to be told if standard error is gone.
        let _ = writeln!(std::io::stderr(), "{}", message.trim_end());
        exit
    });
    ExitCode::from(exit as u8)
}

fn arguments() -> Result<Arguments, clap::Error> {
    let colour = if terminal::plain() { ColorChoice::Never } else { ColorChoice::Auto };
    let matches = Arguments::command().color(colour).try_get_matches()?;
    Arguments::from_arg_matches(&matches)
}

/// Prints the answer to the command line: help, or an error in the command line.
fn answer(said: &clap::Error) -> Outcome {
    let printed = said.print();
    // The user asked for help, so a failure to print it counts.
    if said.use_stderr() { Ok(Exit::Usage) } else { printed_fine(printed.and_then(|()| io::stdout().flush())) }
}

fn run(Arguments { pages, command }: Arguments) -> Outcome {
    let pages = Pages::choose(pages);
    match command {
        Command::Check { explain: Some(code), .. } => explain(&code),
        Command::Check { format, paths, .. } => check(&pages, paths, format),
        Command::Man(arguments) => man::run(arguments, &pages),
        Command::Clauses { format, output } => {
            let spec = pages.load()?;
            let list = match format {
                Format::Human => index::human(&spec),
                Format::Json => index::json(&spec),
            };
            deliver(output.as_deref(), &list)
        }
        Command::Show { ids } => clauses(&pages.load()?, &ids, "\n", text::show),
        Command::Cite(arguments) => cite::run(&pages, &arguments),
        Command::Confirm { all, ids } => confirm(&pages, if all { Which::All } else { Which::Ids(&ids) }),
        Command::Diff(arguments) => diff::run(&pages, arguments),
        Command::Review(arguments) => review::run(&pages, arguments),
        #[cfg(feature = "book")]
        Command::Book(arguments) => book::run(&pages, &arguments),
    }
}

fn exit_of(findings: &[Diagnostic]) -> Exit {
    match findings {
        [] => Exit::Fine,
        all if all.iter().any(|finding| finding.code == IO) => Exit::Environment,
        _ => Exit::Findings,
    }
}

/// Checks the files and directories, or if there are none, all pages.
fn check(pages: &Pages, mut paths: Vec<PathBuf>, format: Report) -> Outcome {
    if let (Pages::Directory(directory), true) = (pages, paths.is_empty()) {
        pages.directory()?;
        paths.push(directory.clone());
    }
    let mut findings = vec![];
    let mut sources = vec![];
    let loaded = match paths.is_empty() {
        true => pages::built_in(),
        false => checked(&paths, &mut findings, &mut sources)?,
    };
    let mut summary = String::new();
    match loaded {
        Ok(spec) => {
            let manual = Manual::installed().inspect_err(|reason| {
                let _ =
                    writeln!(std::io::stderr(), "iomap-spec: not checked whether pages in SEE ALSO exist: {reason}");
            });
            findings.extend(iomap_spec::lint(&spec, manual.ok().as_ref()));
            let clauses = count(spec.clauses().count(), "clause");
            let built_in = if paths.is_empty() { ", built in" } else { "" };
            summary = format!("{}, {clauses}{built_in}: no findings\n", count(spec.pages.len(), "page"));
            sources.extend(spec.pages.into_iter().map(|page| page.source));
        }
        Err(more) => findings.extend(more),
    }
    if !findings.is_empty() {
        summary = count(findings.len(), "finding") + "\n";
    }
    print(&match format {
        Report::Human => report::human_in(&findings, report::Stream::Output, &sources) + &summary,
        Report::Json => report::json(&findings),
        Report::Github => report::github(&findings),
    })?;
    Ok(exit_of(&findings))
}

/// Reads the pages to check. Faults of a directory are added to the findings, and the text of standard input to the
/// sources.
fn checked(
    paths: &[PathBuf],
    findings: &mut Vec<Diagnostic>,
    sources: &mut Vec<Source>,
) -> Result<Result<Spec, Vec<Diagnostic>>, Trouble> {
    let (mut files, mut given) = (vec![], vec![]);
    for path in paths {
        if input::is_standard(path) {
            let input::Input { name, bytes } = input::standard()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            sources.push(Source { file: name.clone(), text });
            given.push((name, bytes));
            continue;
        }
        // Files that cannot be opened are named before any finding in other files.
        fs::metadata(path).map_err(|error| environment(path, &error))?;
        match if path.is_dir() { iomap_spec::files(path) } else { Ok(vec![path.clone()]) } {
            Ok(pages) => files.extend(pages),
            Err(finding) => findings.extend(finding),
        }
    }
    Ok(iomap_spec::load_with(&files, given))
}

fn explain(code: &str) -> Outcome {
    if let Some(text) = iomap_spec::explain::explain(code) {
        return print(&format!("{code}\n\n{}", text::paragraphs(text)));
    }
    let codes: Vec<&str> = iomap_spec::explain::CODES.iter().map(|(code, _)| *code).collect();
    let message = format!("iomap-spec: no finding has the code `{code}`: the codes are {}", codes.join(", "));
    Err(Trouble { exit: Exit::Usage, message })
}

fn confirm(pages: &Pages, which: Which<'_>) -> Outcome {
    let directory = pages.directory()?;
    let spec = pages.load()?;
    if let Which::Ids(ids) = which {
        let unknown = ids.iter().filter(|id| spec.clause(id).is_none());
        let unknown: Vec<String> = unknown.map(|id| index::unknown(&spec, id)).collect();
        if !unknown.is_empty() {
            return Err(Trouble { exit: Exit::Findings, message: unknown.join("\n") });
        }
    }
    let changes = confirmed::confirm(&spec, directory, which)?;
    let summary = format!("{} recorded\n", count(changes.len(), "citation"));
    print(&(changes.iter().map(|change| change.clone() + "\n").collect::<String>() + &summary))
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// Prints what `show` makes of each clause; ids that are unknown do not keep the others from being printed.
fn clauses(spec: &Spec, ids: &[String], separator: &str, show: impl Fn(&Clause) -> String) -> Outcome {
    let (mut shown, mut unknown) = (vec![], vec![]);
    for id in ids {
        match spec.clause(id) {
            Some(clause) => shown.push(show(clause)),
            None => unknown.push(index::unknown(spec, id)),
        }
    }
    print(&shown.join(separator))?;
    if unknown.is_empty() { Ok(Exit::Fine) } else { Err(Trouble { exit: Exit::Findings, message: unknown.join("\n") }) }
}

fn environment(path: &Path, error: &std::io::Error) -> Trouble {
    Trouble { exit: Exit::Environment, message: format!("iomap-spec: {}: {error}", path.display()) }
}

fn write(file: &Path, text: &str) -> Result<(), Trouble> {
    fs::write(file, text).map_err(|error| environment(file, &error))
}

/// To the file, or to standard output.
fn deliver(output: Option<&Path>, text: &str) -> Outcome {
    match output {
        Some(file) if !input::is_standard(file) => write(file, text).map(|()| Exit::Fine),
        _ => print(text),
    }
}

fn print(text: &str) -> Outcome {
    let mut output = io::stdout().lock();
    printed_fine(output.write_all(text.as_bytes()).and_then(|()| output.flush()))
}

/// The result of a command that has printed to standard output.
fn printed_fine(printed: io::Result<()>) -> Outcome {
    match printed {
        // The reader, such as head(1), has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Exit::Fine),
        Err(error) => Err(environment(Path::new("standard output"), &error)),
        Ok(()) => Ok(Exit::Fine),
    }
}
