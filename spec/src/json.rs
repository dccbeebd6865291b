//! A page as one JSON document, for programs that want its structure.
//!
//! ```json
//! {"schema": 1, "page": {"title": …, "section": …, "sections": [{"is_subsection": …, "heading": […], "blocks": […]}]}}
//! ```
//!
//! Blocks and inlines are objects with `kind`, the lower-case name of the variant in [`crate::model`], and `content`,
//! the value of the variant. Variants without a value have no `content`.

use crate::backend::Backend;
use crate::model::Page;
use serde::Serialize;

/// The JSON back end.
pub struct Json;

#[derive(Serialize)]
struct Document<'a> {
    schema: u32,
    page: &'a Page,
}

impl Backend for Json {
    fn file_name(&self, page: &Page) -> String {
        page.stem() + ".json"
    }

    fn page(&self, page: &Page) -> String {
        // Strings, numbers, lists and records: JSON can hold all of them.
        serde_json::to_string_pretty(&Document { schema: 1, page }).expect("plain data is JSON") + "\n"
    }
}
