//! The book: the pages as HTML, with measured results beside each clause. mdBook renders it.
//!
//! [`Book`] makes a chapter of Markdown from a page, [`build`] makes the directory.

mod clause;
mod contents;
mod cost;
mod html;
mod indexes;
mod links;
mod mutants;
mod output;
mod page;
mod results;
mod series;
mod terms;
mod trouble;

pub use contents::{Book, Measured};
pub use cost::Rates;
pub use output::{Built, build};
pub use results::read_results;
pub use series::Series;
pub use trouble::Trouble;
