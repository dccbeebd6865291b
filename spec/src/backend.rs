//! The back ends: one page in, one document out.

use crate::model::Page;

/// Columns for code and tables, counted from the text's left margin. Plain text, and code in a manual page, is indented
/// by four columns; together these are the 72 columns that survive quoting in mail.
pub const MEASURE: usize = 68;

/// Turns one page into a document.
pub trait Backend {
    /// The name of the file that holds the document.
    fn file_name(&self, page: &Page) -> String;

    /// The document, with a newline at its end.
    fn page(&self, page: &Page) -> String;

    /// The other files that lead to the document, with their contents.
    fn links(&self, _page: &Page) -> Vec<(String, String)> {
        Vec::new()
    }
}
