//! The words and sections of a page.

use crate::model::{Inline, Page, Section};
use std::ops::Range;

/// The words of running text and their positions, without code.
pub(crate) fn words(inlines: &[Inline]) -> Vec<(&str, Range<usize>)> {
    let mut words = vec![];
    for inline in inlines {
        inline.walk(&mut |inline| {
            let Inline::Text { text, at } = inline else { return };
            for word in text.split(|c: char| !c.is_alphanumeric() && !"_'’".contains(c)) {
                let word = word.trim_matches(['\'', '’']);
                let word = word.strip_suffix("'s").or(word.strip_suffix("’s")).unwrap_or(word);
                if word.is_empty() {
                    continue;
                }
                // The word is a part of `text`, so the difference of the addresses is its offset.
                let start = at + (word.as_ptr() as usize - text.as_ptr() as usize);
                words.push((word, start..start + word.len()));
            }
        });
    }
    words
}

/// Sections and subsections; each has the title of the section around it.
pub(crate) fn sections(page: &Page) -> Vec<(String, &Section)> {
    let mut title = String::new();
    let titled = page.sections.iter().map(|section| {
        if !section.is_subsection {
            title = section.title();
        }
        (title.clone(), section)
    });
    titled.collect()
}
