//! `iomap-spec man`: converts pages to documents.

use crate::input::{self, Input};
use crate::output::{deliver, print};
use crate::pages::Pages;
use crate::report;
use clap::{Args, ValueEnum};
use iomap_command::{Error, Exit, is_standard, tell_line};
use iomap_spec::json::Json;
use iomap_spec::man::Man;
use iomap_spec::text::Text;
use iomap_spec::{Backend, Page};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

#[derive(Args)]
pub(crate) struct Arguments {
    /// Write a file for each page into this directory, which is made if it is missing
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Write the files into the directories man1, man2 … below the one of --out, with a link for each other name of a
    /// page, as man(1) looks for them
    #[arg(long, requires = "out", conflicts_with = "format")]
    sections: bool,
    /// Roff for man(1), plain text of 72 columns, or the structure for programs
    #[arg(long, default_value = "roff")]
    format: Document,
    /// Files with manual pages in Markdown, directories of them, or pages of the specification by name; without --out
    /// it has to be one page
    #[arg(value_name = "PAGE")]
    page: Vec<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Document {
    Roff,
    Text,
    Json,
}

/// Runs the command; `pages` has the pages that are named on the command line but are not files.
pub(crate) fn run(Arguments { out, sections, format, page }: Arguments, pages: &Pages) -> Result<Exit, Error> {
    let backend: &dyn Backend = match format {
        Document::Roff => &Man,
        Document::Text => &Text,
        Document::Json => &Json,
    };
    let is_file = |path: &String| is_standard(Path::new(path)) || Path::new(path).exists();
    let (paths, names): (Vec<String>, Vec<String>) = page.into_iter().partition(is_file);
    let mut chosen = vec![];
    let mut known = vec![];
    if !names.is_empty() || paths.is_empty() {
        let spec = pages.load()?;
        known = spec.pages.iter().map(Page::reference).collect();
        let is =
            |page: &Page, name: &String| page.names().contains(name) || *name == page.title || *name == page.stem();
        if let Some(name) = names.iter().find(|name| !spec.pages.iter().any(|page| is(page, name))) {
            return Err(unknown(name, &known));
        }
        chosen
            .extend(spec.pages.into_iter().filter(|page| names.is_empty() || names.iter().any(|name| is(page, name))));
    }
    chosen.extend(compile(&paths)?);
    let outcome = match (out, &chosen[..]) {
        (None, [page]) => print(&backend.page(page)),
        (None, pages) => {
            let names = if known.is_empty() { pages.iter().map(Page::reference).collect() } else { known };
            let message = format!("name one page or say --out DIR: the pages are {}", names.join(", "));
            Err(Error::new(Exit::Usage, message))
        }
        (Some(out), pages) => write_all(&out, sections, pages, backend),
    };
    // The process ends now: freeing thousands of blocks first would take a twentieth of its time.
    std::mem::forget(chosen);
    outcome
}

/// The error for a name that is neither a file nor a page.
fn unknown(name: &str, known: &[String]) -> Error {
    let path = Path::new(name);
    if path.components().count() > 1 || path.extension().is_some_and(|extension| extension == "md") {
        return Error::file(path, fs::metadata(path).err().unwrap_or(ErrorKind::NotFound.into()));
    }
    let known = known.join(", ");
    let message = format!("{name} is no file, and there is no such page: the pages are {known}");
    Error::new(Exit::Usage, message)
}

fn compile(paths: &[String]) -> Result<Vec<Page>, Error> {
    let day = day()?;
    let (mut files, mut pages) = (vec![], vec![]);
    for path in paths.iter().map(PathBuf::from) {
        if is_standard(&path) {
            let Input { name, bytes } = input::standard()?;
            pages.extend(iomap_spec::compile_bytes(&name, bytes, &day).map_err(report::error)?.pages);
        } else if path.is_dir() {
            files.extend(iomap_spec::files(&path).map_err(report::error)?);
        } else {
            files.push(path);
        }
    }
    pages.extend(iomap_spec::compile(&files, &day).map_err(report::error)?.pages);
    Ok(pages)
}

/// Writes each page into a file of its own; refuses two pages with the same file name.
fn write_all(out: &Path, sections: bool, pages: &[Page], backend: &dyn Backend) -> Result<Exit, Error> {
    let mut files: BTreeMap<String, &Page> = BTreeMap::new();
    for page in pages {
        let name = backend.file_name(page);
        if let Some(first) = files.get(&name) {
            let (first, second) = (first.source.file.display(), page.source.file.display());
            let message = format!("{first} and {second} would both be {name}: compile them one by one");
            return Err(Error::new(Exit::Usage, message));
        }
        files.insert(name, page);
    }
    for page in pages {
        let place = if sections { out.join(page.chapter()) } else { out.to_owned() };
        write(&place.join(backend.file_name(page)), &backend.page(page))?;
        // Pages of other projects are found by their other names only where man(1) looks for pages.
        let links = if sections || page.ordinary.is_none() { backend.links(page) } else { Vec::new() };
        for (name, text) in links.into_iter().filter(|(name, _)| !files.contains_key(name)) {
            write(&place.join(name), &text)?;
        }
    }
    Ok(Exit::Fine)
}

/// Writes a file, and prints its name.
fn write(file: &Path, text: &str) -> Result<(), Error> {
    if let Some(directory) = file.parent() {
        fs::create_dir_all(directory).map_err(|error| Error::file(directory, error))?;
    }
    deliver(Some(file), text)?;
    tell_line(format_args!("{}", file.display()));
    Ok(())
}

/// The day of SOURCE_DATE_EPOCH, for pages without a date of their own. If it is not set, these pages show no date.
fn day() -> Result<String, Error> {
    let Some(value) = std::env::var_os("SOURCE_DATE_EPOCH") else { return Ok(String::new()) };
    let seconds: Option<u64> = value.to_str().and_then(|value| value.parse().ok());
    seconds
        .and_then(date)
        .ok_or_else(|| Error::usage("SOURCE_DATE_EPOCH is no number of seconds since 1970: correct or unset it"))
}

/// The day in the Gregorian calendar, up to the year 9999.
fn date(seconds: u64) -> Option<String> {
    let mut days = seconds / SECONDS_OF_A_DAY;
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    for year in 1970..=9999 {
        let february = if is_leap(year) { 29 } else { 28 };
        for (month, length) in (1..).zip([31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]) {
            if days < length {
                return Some(format!("{year}-{month:02}-{:02}", days + 1));
            }
            days -= length;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    /// The dates equal the output of `date -u -I -d @SECONDS`.
    #[test]
    fn dates() {
        for (seconds, day) in [(0, "1970-01-01"), (951_782_400, "2000-02-29"), (1_795_219_200, "2026-11-21")] {
            assert_eq!(super::date(seconds).as_deref(), Some(day));
        }
        assert_eq!(super::date(u64::MAX), None);
    }
}
