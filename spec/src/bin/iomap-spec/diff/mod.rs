//! `iomap-spec diff`: the differences between two states of the specification.

mod report;
mod revision;

use crate::output::deliver;
use crate::pages::{self, Pages};
use crate::{input, terminal};
use clap::{Args, ValueEnum};
use iomap_command::{Error, Exit, count, is_standard};
use iomap_spec::diff::compare;
use iomap_spec::{Diagnostic, Spec};
use std::path::{Path, PathBuf};

#[derive(Args)]
#[command(after_help = "\
Exit codes, as those of diff(1), which has 2 for 3:
  0  no clause differs
  1  clauses differ
  2  the command line is wrong
  3  a state cannot be read, or has findings

Example:
  iomap-spec diff HEAD man
  iomap-spec diff --format markdown v0.1 v0.2
  iomap-spec diff v0.1..
  iomap-spec diff v0.1:man/iomap_immutable.7.md iomap_immutable.7.md")]
pub(crate) struct Arguments {
    /// For people, for a document, or for programs
    #[arg(long, default_value = "human")]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A page, a directory of pages, `built-in`, or a git revision, with the path of either after a colon; OLD..NEW
    /// names both, and OLD.. compares with the present pages
    old: String,
    /// The same, to compare with
    new: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Markdown,
    Json,
}

pub(crate) fn run(pages: &Pages, Arguments { format, output, old, new }: Arguments) -> Result<Exit, Error> {
    let (old, new) = named(pages, old, new)?;
    let sides = report::Sides { old: (&old, &side(pages, &old)?), new: (&new, &side(pages, &new)?) };
    let changes = compare(sides.old.1, sides.new.1);
    let text = match format {
        Format::Human => report::human(&sides, &changes, output.is_none() && terminal::colours(&std::io::stdout())),
        Format::Markdown => report::markdown(&sides, &changes),
        Format::Json => report::json(&sides, &changes),
    };
    deliver(output.as_deref(), &text)?;
    Ok(if changes.is_empty() { Exit::Fine } else { Exit::Found })
}

/// The name of the pages that are built into this program.
const BUILT_IN: &str = "built-in";

/// The names of both sides, which can be one argument, as for git(1).
fn named(pages: &Pages, old: String, new: Option<String>) -> Result<(String, String), Error> {
    let present = || match pages {
        Pages::Directory(directory) => directory.display().to_string(),
        Pages::BuiltIn => BUILT_IN.to_owned(),
    };
    match (new, old.split_once("..")) {
        (Some(new), _) => Ok((old, new)),
        (None, Some((old, ""))) if !old.is_empty() => Ok((old.to_owned(), present())),
        (None, Some((old, new))) if !old.is_empty() => Ok((old.to_owned(), new.to_owned())),
        (None, _) => Err(Error::usage(format!("{old} is one state: name another one after it, or say {old}.."))),
    }
}

/// Reads the named side: a file or directory that exists, the built-in pages, or a revision.
fn side(pages: &Pages, name: &str) -> Result<Spec, Error> {
    let read = match Path::new(name) {
        path if is_standard(path) => {
            let input::Input { name, bytes } = input::standard()?;
            iomap_spec::load_sources(vec![(name, bytes)], true)
        }
        path if path.exists() => iomap_spec::load_path(path),
        _ if name == BUILT_IN => pages::built_in(),
        _ => {
            let directory = match pages {
                Pages::Directory(directory) => Some(directory.as_path()),
                Pages::BuiltIn => None,
            };
            let revision::Files { sources, alone } =
                revision::read(directory, name).map_err(|message| Error::new(Exit::Environment, message))?;
            iomap_spec::load_sources(sources, alone)
        }
    };
    read.map_err(|findings| unreadable(name, &findings))
}

fn unreadable(name: &str, findings: &[Diagnostic]) -> Error {
    let mut message: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let number = count(findings.len(), "finding");
    message += &format!("iomap-spec: nothing was compared: {name} has {number}, mend these pages or name others");
    Error::report(Exit::Environment, message)
}
