//! The words that the pages define.

use crate::model::{Block, Inline, Page, Section, plain};
use std::collections::BTreeSet;

/// Headings below which words are defined.
const HEADINGS: [&str; 3] = ["terms", "definitions", "glossary"];

/// A word that a page defines.
pub(super) struct Term {
    pub(super) word: String,
    /// The id of the anchor.
    pub(super) anchor: String,
    /// The position in the source.
    pub(super) at: usize,
}

/// The terms of definition lists and the words in italics, below the headings where words are defined.
pub(super) fn of_page(page: &Page) -> Vec<Term> {
    let mut terms = vec![];
    let mut seen = BTreeSet::new();
    let mut add = |text: &[Inline]| {
        let word = plain(text);
        let Some(at) = first_position(text) else { return };
        // The anchor comes before the markup at the beginning of the word.
        let at = page.source.text[..at].trim_end_matches(['*', '_']).len();
        if seen.insert(word.to_lowercase()) {
            // Neither a clause nor a heading has a colon in its id.
            let anchor = format!("term:{}", word.to_lowercase().replace(|c: char| !c.is_alphanumeric(), "-"));
            terms.push(Term { word, anchor, at });
        }
    };
    for block in page.sections.iter().filter(|section| defines(section)).flat_map(|section| &section.blocks) {
        block.walk(0, &mut |block, _| {
            if let Block::Definitions(definitions) = block {
                definitions.iter().flat_map(|it| &it.terms).for_each(|term| add(term));
            }
        });
    }
    for block in page.sections.iter().filter(|section| defines(section)).flat_map(|section| &section.blocks) {
        block.walk(0, &mut |block, _| {
            if let Block::Paragraph(text) = block {
                for inline in text {
                    if let Inline::Emphasis(word) = inline {
                        add(word);
                    }
                }
            }
        });
    }
    terms
}

fn defines(section: &Section) -> bool {
    HEADINGS.contains(&section.title().to_lowercase().as_str())
}

/// The offset of the first text inside the markup.
pub(super) fn first_position(inlines: &[Inline]) -> Option<usize> {
    inlines.iter().find_map(|inline| match inline {
        Inline::Text { at, .. } => Some(*at),
        Inline::Reference { span, .. } => Some(span.start),
        other => first_position(other.content()),
    })
}
