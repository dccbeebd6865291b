//! The specification as data: Markdown man pages in, clauses and manual pages out.
//!
//! [`load`] reads the pages of a directory and refuses what cannot be understood; [`lint`] says what a page that can
//! be understood still does wrong. Both speak in [`Diagnostic`]s: file, line, column, what is wrong, how to mend it.
//! What a page may contain is the [`model`]; a [`Backend`] turns one page into text. [`compile`] also reads manual
//! pages in Markdown that are not of the specification, and refuses none of them for its Markdown.
#![forbid(unsafe_code)]

mod attributes;
#[cfg(feature = "book")]
pub mod book;
pub mod confirmed;
mod diagnostic;
mod dialect;
pub mod diff;
pub mod explain;
mod fill;
mod flow;
mod frontmatter;
mod head;
mod html;
#[cfg(feature = "json")]
pub mod json;
mod lint;
mod load;
pub mod man;
mod manual;
pub mod model;
mod ordinary;
mod parse;
mod resolve;
mod roff;
mod spelling;
pub mod text;

pub use diagnostic::{Diagnostic, IO, Source};
pub use iomap_vocabulary::{Level, Observe};
pub use lint::lint;
pub use load::{Sources, compile, compile_bytes, files, load, load_files, load_path, load_sources, load_with};
pub use manual::Manual;
pub use model::{Clause, Moved, Page, Spec};
pub use spelling::nearest;

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
