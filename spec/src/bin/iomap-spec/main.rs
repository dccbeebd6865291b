//! The command: see `iomap-spec --help`.

#[cfg(feature = "book")]
mod book;
mod check;
mod citations;
mod cite;
mod confirm;
mod diff;
mod format;
mod html;
mod impact;
mod index;
mod input;
mod lsp;
mod mail;
mod man;
mod output;
mod pages;
mod places;
mod quotation;
mod report;
mod review;
mod show;
mod terminal;
mod unwrap;
mod uri;

use crate::format::{Format, Report};
use clap::{ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use iomap_command::{Error, Exit, Shell, completions};
use iomap_spec::confirmed::Which;
use iomap_spec::text;
use output::deliver;
use pages::Pages;
use std::path::PathBuf;
use std::process::ExitCode;

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

/// The version of the command, and the one of the specification that is built in: the one changes without the other.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\nspecification ", env!("IOMAP_SPECIFICATION"));

/// Reads the specification: Markdown manual pages in which every promise is a clause with a name of its own.
#[derive(Parser)]
#[command(version = VERSION, max_term_width = 80, after_help = AFTER_HELP)]
struct Arguments {
    /// The directory of the pages, instead of the one in IOMAP_SPEC_PAGES, that of the checkout, or the built-in pages
    #[arg(long, global = true, value_name = "DIR")]
    pages: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check the pages, and print each finding with its place and its mend
    #[command(after_help = "\
Example:
  iomap-spec check
  iomap-spec check --format json man/iomap_immutable.7.md
  iomap-spec check --explain inner-word")]
    Check {
        /// For people, for programs, or for the annotations of GitHub
        #[arg(long, default_value = "human")]
        format: Report,
        /// Instead of checking, explain the findings with this code
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
    /// Show clauses: their text, their outcomes and their place
    #[command(after_help = "\
Example:
  iomap-spec show truncate.shrink")]
    Show {
        /// Clauses
        #[arg(required = true, value_name = "ID")]
        ids: Vec<String>,
    },
    /// Print clauses as plain text for mail, with the version and the hash of their wording
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
    /// List the places that a rewording of clauses touches: rules, cases, expectations, pages and others
    Impact(impact::Arguments),
    /// Be a language server on standard input and output, for editors
    #[command(after_help = "\
The pages are those of the working directory, or of --pages. An editor starts
the command, such as neovim:

  vim.lsp.start_client({ cmd = { 'iomap-spec', 'lsp' } })")]
    Lsp,
    /// List the clauses that bear on a patch to a kernel, to be quoted in a reply
    Review(review::Arguments),
    /// Build the book: the pages as HTML, with verdicts beside the clauses
    #[cfg(feature = "book")]
    Book(book::Arguments),
    /// Print the script that completes this command in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    iomap_command::end("iomap-spec", || match arguments() {
        Ok(arguments) => run(arguments),
        Err(said) => iomap_command::answer(said.print(), said.use_stderr()),
    })
}

fn arguments() -> Result<Arguments, clap::Error> {
    let colour = if terminal::plain() { ColorChoice::Never } else { ColorChoice::Auto };
    let matches = Arguments::command().color(colour).try_get_matches()?;
    Arguments::from_arg_matches(&matches)
}

fn run(Arguments { pages, command }: Arguments) -> Result<Exit, Error> {
    let pages = Pages::choose(pages);
    match command {
        Command::Check { explain: Some(code), .. } => check::explain(&code),
        Command::Check { format, paths, .. } => check::run(&pages, paths, format),
        Command::Man(arguments) => man::run(arguments, &pages),
        Command::Clauses { format, output } => {
            let spec = pages.load()?;
            let list = match format {
                Format::Human => index::human(&spec),
                Format::Json => index::json(&spec),
            };
            deliver(output.as_deref(), &list)
        }
        Command::Show { ids } => show::clauses(&pages.load()?, &ids, "\n", text::show),
        Command::Cite(arguments) => cite::run(&pages, &arguments),
        Command::Confirm { all, ids } => confirm::run(&pages, if all { Which::All } else { Which::Ids(&ids) }),
        Command::Diff(arguments) => diff::run(&pages, arguments),
        Command::Impact(arguments) => impact::run(&pages, &arguments),
        Command::Lsp => lsp::run(&pages),
        Command::Review(arguments) => review::run(&pages, arguments),
        #[cfg(feature = "book")]
        Command::Book(arguments) => book::run(&pages, &arguments),
        Command::Completions { shell } => completions(shell, "iomap-spec", &Arguments::command()),
    }
}
