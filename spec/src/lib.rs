//! The specification as data: Markdown man pages in, clauses and manual pages out.
//!
//! [`load`] reads the pages of a directory and refuses what cannot be understood; [`lint`] says what a page that can
//! be understood still does wrong. Both speak in [`Diagnostic`]s: file, line, column, what is wrong, how to mend it.
//! What a page may contain is the [`model`]; a [`Backend`] turns one page into text.
#![forbid(unsafe_code)]

mod attributes;
#[cfg(feature = "book")]
pub mod book;
mod diagnostic;
mod frontmatter;
mod lint;
pub mod man;
mod manual;
pub mod model;
mod parse;
mod resolve;
mod spelling;
pub mod text;

pub use diagnostic::{Diagnostic, IO, Source};
pub use lint::lint;
pub use manual::Manual;
pub use model::{Clause, Level, Observe, Page, Spec};
pub use spelling::nearest;

use std::fs;
use std::path::{Path, PathBuf};

/// Columns for code and tables, counted from the text's left margin: with the four columns by which plain text (and
/// code in a manual page) is set in it makes the 72 that survive quoting in mail.
pub const MEASURE: usize = 68;

/// Turns one page into a document.
pub trait Backend {
    /// The name of the file that holds the document.
    fn file_name(&self, page: &Page) -> String;

    /// The document, with a newline at its end.
    fn page(&self, page: &Page) -> String;
}

/// All `*.md` of a directory, sorted by name.
///
/// # Errors
/// One finding, if the directory cannot be read or holds no pages.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let finding = |message: String| vec![Diagnostic::whole(dir, IO, message, "name the directory of the pages")];
    let unreadable = |error: std::io::Error| finding(format!("cannot be read: {error}"));
    let mut files = vec![];
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(finding("no pages (*.md) here".into())) } else { Ok(files) }
}

/// Reads all pages of a directory, and its `moved.toml` if there is one.
///
/// # Errors
/// Everything that is wrong with any of the pages, in their order.
pub fn load(dir: &Path) -> Result<Spec, Vec<Diagnostic>> {
    load_files(&files(dir)?)
}

/// Reads the named pages, which must refer to no clause of any other, and the `moved.toml` beside them.
///
/// # Errors
/// Everything that is wrong with any of the pages, in their order.
pub fn load_files(paths: &[PathBuf]) -> Result<Spec, Vec<Diagnostic>> {
    let mut findings = vec![];
    let mut pages = vec![];
    for path in paths {
        match fs::read(path) {
            Ok(bytes) => pages.extend(parse::page(path, bytes, &mut findings)),
            Err(error) => {
                let message = format!("cannot be read: {error}");
                findings.push(Diagnostic::whole(path, IO, message, "name a page that exists"));
            }
        }
    }
    resolve::check(&pages, &mut findings);
    if findings.is_empty() {
        let version = pages.first().map(|page| page.version.clone()).unwrap_or_default();
        return Ok(Spec { version, pages });
    }
    let order = |finding: &Diagnostic| paths.iter().position(|path| *path == finding.file);
    findings.sort_by_key(|finding| (order(finding), finding.line, finding.column));
    Err(findings)
}
