//! `iomap-spec book`.

use crate::{Exit, Outcome, Trouble, count};
use clap::Args;
use iomap_spec::Spec;
use iomap_spec::book::{self, Results};
use std::io::Write;
use std::path::PathBuf;

#[derive(Args)]
#[command(after_help = "\
Example:
  iomap-spec book
  iomap-conformance --format json --output reference.json
  iomap-spec book --out public --results reference.json")]
pub(crate) struct Arguments {
    /// The directory of the book, which is replaced if it is one, and else has to be empty or missing
    #[arg(long, value_name = "DIR", default_value = "target/book")]
    out: PathBuf,
    /// Verdicts to show, as `iomap-conformance --format json` writes them
    #[arg(long, value_name = "FILE", num_args = 1..)]
    results: Vec<PathBuf>,
    /// The directory of the written chapters, with book.toml
    #[arg(long, value_name = "DIR", default_value = "book")]
    chapters: PathBuf,
}

pub(crate) fn run(spec: &Spec, arguments: &Arguments) -> Outcome {
    let results: Vec<Vec<Results>> =
        arguments.results.iter().map(|file| Results::read(file)).collect::<Result<_, _>>().map_err(trouble)?;
    let built = book::build(spec, &results.concat(), &arguments.chapters, &arguments.out).map_err(trouble)?;
    let mut error = std::io::stderr();
    // Nobody is left to be told if standard error is gone.
    let _ = writeln!(error, "{}: {}", arguments.out.join("index.html").display(), count(built.chapters, "chapter"));
    if built.broken.is_empty() {
        return Ok(Exit::Fine);
    }
    let message = format!(
        "iomap-spec: {} of the book nowhere:\n{}",
        count(built.broken.len(), "link") + if built.broken.len() == 1 { " leads" } else { " lead" },
        built.broken.join("\n")
    );
    Err(Trouble { exit: Exit::Findings, message })
}

fn trouble(trouble: book::Trouble) -> Trouble {
    let exit = match trouble {
        book::Trouble::Environment(_) => Exit::Environment,
        book::Trouble::Findings(_) => Exit::Findings,
    };
    Trouble { exit, message: format!("iomap-spec: {trouble}") }
}
