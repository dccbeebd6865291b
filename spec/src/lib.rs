//! The specification as data: Markdown man pages in, clauses and manual pages out.
//!
//! [`load`] reads the pages of a directory and refuses pages that it cannot parse; [`lint`] reports faults of pages
//! that can be parsed. Both return [`Diagnostic`]s: file, line, column, fault, mend. [`model`] defines the contents of
//! a page; a [`Backend`] turns one page into text. [`compile`] also reads manual pages in Markdown that are not of the
//! specification, and refuses none of them for its Markdown.
//!
//! ```
//! let page = "---\ntitle: a\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n\n# DESCRIPTION\n\n\
//!             r[a.b level=must errno=EIO]\nIt must fail with the error **EIO**.\n";
//! let spec = iomap_spec::load_sources(vec![("a.7.md".into(), page.into())], true).expect("the page can be read");
//! let clause = spec.clause("a.b").expect("the page has this clause");
//! assert_eq!(clause.envelope(), "must; EIO");
//! assert_eq!(clause.text, "It must fail with the error EIO.");
//! ```
//!
//! The library runs no cases and gives no verdicts: the suite does. The library reads no kernel source and no mail: the
//! command `iomap-spec` does. Without features it is small, because a build script uses it.
#![forbid(unsafe_code)]

mod attributes;
mod backend;
#[cfg(feature = "book")]
pub mod book;
mod characters;
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
mod words;

pub use attributes::is_id;
pub use backend::{Backend, MEASURE};
pub use diagnostic::{Diagnostic, IO, Source};
pub use iomap_vocabulary::{Level, Observe};
pub use lint::lint;
pub use load::{Sources, compile, compile_bytes, files, load, load_files, load_path, load_sources, load_with};
pub use manual::{Incomplete, Manual};
pub use model::{Clause, Moved, Page, Spec};
pub use spelling::nearest;
