//! `iomap-spec diff`: what differs between two states of the specification.

mod report;
mod revision;

use crate::{Exit, Outcome, Trouble};
use clap::{Args, ValueEnum};
use iomap_spec::diff::compare;
use iomap_spec::{Diagnostic, Spec};
use std::io::IsTerminal;
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
  iomap-spec diff v0.1:man/iomap_immutable.7.md iomap_immutable.7.md")]
pub(crate) struct Arguments {
    /// For people, for a document, or for programs
    #[arg(long, default_value = "human")]
    format: Format,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// A page, a directory of pages, or a git revision, with the path of either after a colon
    old: String,
    /// The same, to compare with
    new: String,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    Human,
    Markdown,
    Json,
}

pub(crate) fn run(pages: &Path, Arguments { format, output, old, new }: Arguments) -> Outcome {
    let sides = report::Sides { old: (&old, &side(pages, &old)?), new: (&new, &side(pages, &new)?) };
    let changes = compare(sides.old.1, sides.new.1);
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let text = match format {
        Format::Human => report::human(&sides, &changes, output.is_none() && !plain && std::io::stdout().is_terminal()),
        Format::Markdown => report::markdown(&sides, &changes),
        Format::Json => report::json(&sides, &changes),
    };
    crate::deliver(output.as_deref(), &text)?;
    Ok(if changes.is_empty() { Exit::Fine } else { Exit::Findings })
}

/// Reads what is named: a file or directory that exists, or a revision.
fn side(pages: &Path, name: &str) -> Result<Spec, Trouble> {
    let read = match Path::new(name) {
        path if path.exists() => iomap_spec::load_path(path),
        _ => {
            let revision::Files { sources, alone } = revision::read(pages, name)
                .map_err(|message| Trouble { exit: Exit::Environment, message: format!("iomap-spec: {message}") })?;
            iomap_spec::load_sources(sources, alone)
        }
    };
    read.map_err(|findings| unreadable(name, &findings))
}

fn unreadable(name: &str, findings: &[Diagnostic]) -> Trouble {
    let mut message: String = findings.iter().map(|finding| format!("{finding}\n")).collect();
    let number = crate::count(findings.len(), "finding");
    message += &format!("iomap-spec: nothing was compared: {name} has {number}, mend these pages or name others");
    Trouble { exit: Exit::Environment, message }
}
