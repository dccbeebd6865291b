//! A page as a chapter: its own Markdown, with the front matter, markers and references replaced.

use super::contents::Book;
use super::html::in_markdown;
use super::terms::first_position;
use super::{clause, terms};
use crate::backend::Backend;
use crate::model::{Block, Clause, Inline, Page, plain};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};
use std::ops::Range;

pub(super) fn chapter(book: &Book<'_>, page: &Page) -> String {
    let mut edits = Edits { text: &page.source.text, list: vec![] };
    for section in &page.sections {
        // The name of the page is a heading above all of its sections.
        edits.insert(section.span.start, "#".into());
        inlines(book, &section.heading, &mut edits);
        for block in &section.blocks {
            block.walk(0, &mut |block, _| {
                block.inlines().into_iter().for_each(|text| inlines(book, text, &mut edits));
                match block {
                    Block::Clause(clause) => {
                        let level = if section.is_subsection { 4 } else { 3 };
                        self::clause(book, clause, level, &mut edits);
                    }
                    Block::Definitions(definitions) => {
                        definitions.iter().for_each(|it| one_term_a_line(&it.terms, &mut edits));
                    }
                    _ => {}
                }
            });
        }
    }
    for term in terms::of_page(page) {
        edits.insert(term.at, format!("<span id=\"{}\"></span>", term.anchor));
    }
    let head = format!(
        "# {}\n\n<p class=\"page-version\">version {}, {}</p>\n\n",
        in_markdown(&page.reference()),
        page.version,
        page.date
    );
    head + &edits.apply(page.body) + "\n"
}

/// A written chapter in which `some.clause` and `page(7)` in code become links.
pub(super) fn linked(book: &Book<'_>, text: &str) -> String {
    let target = |name: &str| book.link(name).or_else(|| book.pages.get(name).cloned());
    // Most chapters have no such name; finding that out is cheaper than parsing code spans.
    if text.split('`').all(|part| target(part).is_none()) {
        return text.to_owned();
    }
    let mut edits = Edits { text, list: vec![] };
    // The number of open links and headings: they are links already.
    let mut leading = 0;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        match event {
            Event::Start(Tag::Link { .. } | Tag::Heading { .. }) => leading += 1,
            Event::End(TagEnd::Link | TagEnd::Heading(_)) => leading -= 1,
            Event::Code(code) if leading == 0 => {
                if let Some(link) = target(&code) {
                    edits.insert(range.start, "[".into());
                    edits.insert(range.end, format!("]({link})"));
                }
            }
            _ => {}
        }
    }
    edits.apply(0)
}

/// Changes to a text, by position in it.
struct Edits<'a> {
    text: &'a str,
    list: Vec<(Range<usize>, String)>,
}

impl Edits<'_> {
    fn insert(&mut self, at: usize, text: String) {
        self.replace(at..at, text);
    }

    fn replace(&mut self, range: Range<usize>, text: String) {
        self.list.push((range, text));
    }

    /// The text from `start` on, with the edits applied; of overlapping edits the first one counts.
    fn apply(mut self, start: usize) -> String {
        self.list.sort_by_key(|(range, _)| (range.start, range.end));
        let mut changed = String::with_capacity(2 * self.text.len());
        let mut at = start;
        for (range, text) in self.list {
            if let Some(kept) = self.text.get(at..range.start) {
                changed += kept;
                changed += &text;
                at = range.end;
            }
        }
        changed + self.text.get(at..).unwrap_or_default()
    }
}

fn clause(book: &Book<'_>, clause: &Clause, level: u8, edits: &mut Edits<'_>) {
    edits.replace(clause.marker.clone(), clause::head(book, clause, level) + "\n");
    edits.insert(clause.span.end, format!("\n\n{}\n\n", clause::details(book, clause)));
}

/// Puts each term of the same explanation on its own line, as in the manual page.
fn one_term_a_line(terms: &[Vec<Inline>], edits: &mut Edits<'_>) {
    for term in terms.iter().skip(1) {
        let line = first_position(term).and_then(|at| edits.text.get(..at)).and_then(|before| before.rfind('\n'));
        if let Some(newline) = line {
            edits.insert(newline, "\\".into());
        }
    }
}

fn inlines(book: &Book<'_>, text: &[Inline], edits: &mut Edits<'_>) {
    for (index, inline) in text.iter().enumerate() {
        match inline {
            Inline::Reference { id, span } => {
                if let Some(link) = book.link(id) {
                    let shown = in_markdown(&super::html::breakable(id));
                    edits.replace(span.clone(), format!("<a class=\"clause-ref\" href=\"{link}\">{shown}</a>"));
                }
            }
            Inline::Text { text, at } => only_text(text, *at, edits),
            Inline::Strong(name) => {
                manual_page(book, name, text.get(index + 1), edits);
                inlines(book, name, edits);
            }
            Inline::Emphasis(content) => inlines(book, content, edits),
            // A link must not contain another link.
            _ => {}
        }
    }
}

/// Makes `**name**(7)` a link if the page is one of the specification.
fn manual_page(book: &Book<'_>, name: &[Inline], next: Option<&Inline>, edits: &mut Edits<'_>) {
    let Some(Inline::Text { text: after, at: end }) = next else { return };
    let section = after.find(')').and_then(|close| after.get(..=close)).filter(|it| it.starts_with('('));
    let (Some(section), Some(start)) = (section, first_position(name)) else { return };
    let start = start.saturating_sub("**".len());
    if let Some(file) = book.pages.get(&(plain(name) + section))
        && edits.text.get(start..).is_some_and(|text| text.starts_with("**"))
    {
        edits.insert(start, "[".into());
        edits.insert(end + section.len(), format!("]({file})"));
    }
}

/// Escapes text of a page that would be markup in mdBook's Markdown: `~~struck~~`, `# heading {#id}`, `- [ ] task`,
/// `[^1]`.
fn only_text(text: &str, at: usize, edits: &mut Edits<'_>) {
    // If the text differs from its source, as for an entity, it cannot be markup.
    if !edits.text.get(at..).is_some_and(|source| source.starts_with(text)) {
        return;
    }
    for (offset, _) in text.match_indices(['~', '{', '[']) {
        let escaped = offset == 0 && edits.text[..at].ends_with('\\');
        if !escaped {
            edits.insert(at + offset, "\\".into());
        }
    }
}

impl Backend for Book<'_> {
    fn file_name(&self, page: &Page) -> String {
        page.stem() + ".md"
    }

    fn page(&self, page: &Page) -> String {
        chapter(self, page)
    }
}
