//! `iomap-spec book`.

use crate::input::{self, Input};
use crate::pages::{self, Pages};
use clap::Args;
use iomap_command::{Error, Exit, count, tell_line};
use iomap_spec::book::{self, Measured, Rates, Series};
use std::path::{Path, PathBuf};

/// The directory of the chapters.
const CHAPTERS: &str = "book";

/// The directory of the kernel series.
const SERIES: &str = "kernel";

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
    /// The rates of a machine, as `make rates` writes them, from which the cost of a wide run is computed
    #[arg(long, value_name = "FILE")]
    rates: Option<PathBuf>,
    /// The directory of the kernel series, instead of `kernel` beside the pages
    #[arg(long, value_name = "DIR")]
    series: Option<PathBuf>,
    /// The directory of the written chapters, with book.toml, instead of `book` beside the pages
    #[arg(long, value_name = "DIR")]
    chapters: Option<PathBuf>,
}

pub(crate) fn run(pages: &Pages, arguments: &Arguments) -> Result<Exit, Error> {
    let spec = pages.load()?;
    let mut results = vec![];
    for file in &arguments.results {
        let Input { name, bytes } = input::read(file)?;
        results.extend(book::read_results(&name, &bytes).map_err(trouble)?);
    }
    let rates = arguments.rates.as_ref().map(|file| {
        let Input { name, bytes } = input::read(file)?;
        Rates::read(&name, &bytes).map_err(trouble)
    });
    let rates = rates.transpose()?;
    let series = match (&arguments.series, pages) {
        (Some(series), _) => Some(series.clone()),
        // The series has another licence, so it is not built in.
        (None, Pages::Directory(directory)) => Some(beside(directory, SERIES)).filter(|series| series.is_dir()),
        (None, Pages::BuiltIn) => None,
    };
    let series = series.map(|directory| Series::read(&directory).map_err(trouble)).transpose()?;
    let measured = Measured { results: &results, rates: rates.as_ref(), series: series.as_ref() };
    // The built-in chapters are unpacked for the duration of the build.
    let unpacked = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
    let chapters = match (&arguments.chapters, pages) {
        (Some(chapters), _) => chapters.clone(),
        (None, Pages::Directory(directory)) => beside(directory, CHAPTERS),
        (None, Pages::BuiltIn) => {
            pages::unpack(CHAPTERS, unpacked.path()).map_err(|error| Error::file(unpacked.path(), error))?;
            unpacked.path().join(CHAPTERS)
        }
    };
    let built = book::build(&spec, measured, &chapters, &arguments.out).map_err(trouble)?;
    tell_line(format_args!("{}: {}", arguments.out.join("index.html").display(), count(built.chapters, "chapter")));
    if built.broken.is_empty() {
        return Ok(Exit::Fine);
    }
    let message = format!(
        "{} of the book nowhere:\n{}",
        count(built.broken.len(), "link") + if built.broken.len() == 1 { " leads" } else { " lead" },
        built.broken.join("\n")
    );
    Err(Error::new(Exit::Found, message))
}

/// The directory with this name that belongs to the pages in a directory.
fn beside(pages: &Path, name: &str) -> PathBuf {
    // The names `.` and `..` do not name the directory, so its real path is needed.
    match pages.file_name() {
        Some(_) => pages.with_file_name(name),
        None => pages.join("..").join(name),
    }
}

fn trouble(trouble: book::Trouble) -> Error {
    let exit = match trouble {
        book::Trouble::Environment(_) => Exit::Environment,
        book::Trouble::Findings(_) => Exit::Found,
    };
    Error::of(exit, trouble)
}
