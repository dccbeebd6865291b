//! Ordinary manual pages in Markdown: every text is accepted.
//!
//! Text for which manual pages have no construct is kept as plain text:
//!
//! - A heading below the level of subsections that names an option becomes the term of a definition, with the text
//!   below it as the body; any other such heading becomes bold text.
//! - Text before the first heading goes to DESCRIPTION.
//! - The target of a link is shown, unless the text of the link names the page or the place ([`crate::model`]).
//! - Control characters, and other characters without a visible form, are shown as U+FFFD. Marks of direction and soft
//!   hyphens are left out: the reader sees all characters of the file in the order in which they are written.
//! - Labels of quotations and divs become bold text. Markup that only a typesetter can show (`~sub~`, `^super^`) stays
//!   as written.
//! - Content that would be indented by more than [`DEEPEST`] columns is placed beside its container, so that the text
//!   never gets too narrow and no recursion too deep.

use crate::backend::MEASURE;
use crate::characters::{expand_tabs, is_invisible};
use crate::diagnostic::Source;
use crate::dialect;
use crate::flow::{Flow, Kind};
use crate::head::{self, Head};
use crate::html::{self, Effect, Piece};
use crate::model::{
    Alignment, BULLET_INSET, Block, Definition, Inline, NUMBER_INSET, Ordinary, Page, QUOTE_INSET, Section, TERM_INSET,
    Table, longest_word, plain,
};
use pulldown_cmark::{BlockQuoteKind, CodeBlockKind, Event, HeadingLevel, OffsetIter, Options, Parser, Tag, TagEnd};
use std::borrow::Cow;
use std::iter::Peekable;
use std::path::Path;
use unicode_width::UnicodeWidthStr;

/// The largest indentation of a block, in columns.
const DEEPEST: usize = 28;

/// The maximum number of spans around a piece of text.
const DEEPEST_SPAN: usize = 8;

/// The maximum number of open elements that are searched for the tag that a closing tag belongs to.
const FARTHEST_TAG: usize = 16;

/// The extensions of CommonMark that are parsed. Without the option for subscripts, a single tilde would strike text
/// out.
const OPTIONS: Options = Options::ENABLE_TABLES
    .union(Options::ENABLE_DEFINITION_LIST)
    .union(Options::ENABLE_FOOTNOTES)
    .union(Options::ENABLE_STRIKETHROUGH)
    .union(Options::ENABLE_SUBSCRIPT)
    .union(Options::ENABLE_TASKLISTS)
    .union(Options::ENABLE_GFM);

/// Reads the page; `date` is the date of a page that states none, and can be empty.
pub(crate) fn page(file: &Path, mut text: String, date: &str) -> Page {
    if text.starts_with('\u{feff}') {
        text.remove(0);
    }
    if text.contains('\r') {
        text = text.replace("\r\n", "\n").replace('\r', "\n");
    }
    if let Cow::Owned(visible) = visible(&text) {
        text = visible;
    }
    let (mut head, body) = head::read(&text);
    let markdown = dialect::known(&text[body..], OPTIONS);
    let events = Parser::new_ext(&markdown, OPTIONS).into_offset_iter().peekable();
    let parts = Reader { events, source: &markdown, body }.parts();
    let mut sections = structure(parts, &mut head, &head::of_file(file).0);
    for (heading, lines) in std::mem::take(&mut head.more) {
        if !sections.iter().any(|section| section.title().eq_ignore_ascii_case(heading)) {
            sections.push(named(heading, vec![Block::Paragraph(listed(&lines))]));
        }
    }
    for section in &mut sections {
        fit(&mut section.blocks, 0);
    }
    let (title, section) = head.name(file);
    let visible = |text: String| visible(&text).into_owned();
    let title = visible(title);
    let date = head.date.unwrap_or_else(|| date.to_owned());
    let ordinary = Some(Ordinary { origin: visible(head.origin), manual: visible(head.manual) });
    let source = Source { file: file.to_owned(), text };
    Page { title, section, date, version: String::new(), ordinary, sections, source, body }
}

/// The text with U+FFFD for each invisible character, and without characters that only control the display of others.
fn visible(text: &str) -> Cow<'_, str> {
    let sign = |c: char| match c {
        c if is_mark(c) => None,
        '\u{2028}' | '\u{2029}' => Some(' '),
        c if is_hidden(c) => Some(char::REPLACEMENT_CHARACTER),
        c => Some(c),
    };
    if has_hidden(text) { Cow::Owned(text.chars().filter_map(sign).collect()) } else { Cow::Borrowed(text) }
}

/// Whether the character is a mark of direction, the soft hyphen or the word joiner.
fn is_mark(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{feff}')
        || matches!(c, '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{206f}')
}

/// Whether a text has hidden characters. It decodes only pieces that are not visible ASCII, which are few.
fn has_hidden(text: &str) -> bool {
    const PIECE: usize = 64;
    let is_suspect = |byte: u8| (byte < b' ') & (byte != b'\n') & (byte != b'\t') | (byte > b'~');
    text.as_bytes().chunks(PIECE).enumerate().any(|(number, piece)| {
        let suspect = piece.iter().fold(false, |found, byte| found | is_suspect(*byte));
        // Skip a character that began in the piece before.
        let start = (number * PIECE..text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(text.len());
        let end = number * PIECE + piece.len();
        suspect && text[start..].char_indices().take_while(|(at, _)| start + at < end).any(|(_, c)| is_hidden(c))
    })
}

/// Whether the character is hidden: invisible in a page of the specification, or a mark of direction, separator, tag or
/// filler. Joiners, variation selectors and places to break stay, because words and pictures need them.
fn is_hidden(c: char) -> bool {
    is_invisible(c)
        || is_mark(c)
        || matches!(c, '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{2028}' | '\u{2029}' | '\u{2065}' | '\u{3164}')
        || matches!(c, '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

fn named(heading: &str, blocks: Vec<Block>) -> Section {
    let heading = vec![Inline::Text { text: heading.to_owned(), at: 0 }];
    Section { is_subsection: false, heading, blocks, span: 0..0 }
}

/// The lines as running text, with commas between them.
fn listed(lines: &[String]) -> Vec<Inline> {
    let mut inlines = vec![];
    for (number, line) in lines.iter().enumerate() {
        let comma = if number + 1 < lines.len() { "," } else { "" };
        inlines.extend([Inline::Text { text: visible(line).into_owned() + comma, at: 0 }, Inline::Newline]);
    }
    inlines
}

/// A heading, if there is one, and the blocks below it, up to the next heading.
struct Part {
    level: usize,
    heading: Vec<Inline>,
    blocks: Vec<Block>,
}

/// Makes sections of the parts: the highest level in use becomes sections, the next one subsections. If the first
/// heading is the title of the page, it goes into `head`.
fn structure(mut parts: Vec<Part>, head: &mut Head, file: &str) -> Vec<Section> {
    // The first part has no heading of the author: it is the text before the first heading.
    let highest = parts.iter().skip(1).map(|part| part.level).min().unwrap_or(1);
    match parts.first_mut() {
        Some(first) if first.blocks.is_empty() => drop(parts.remove(0)),
        Some(first) => first.level = highest,
        None => {}
    }
    let mut sections = vec![];
    if let Some(first) = parts.first() {
        let below = parts.iter().skip(1).map(|part| part.level).min();
        let alone = first.level == 1 && below.is_none_or(|below| below > 1);
        let text = plain(&first.heading);
        if is_text(&first.heading) && is_title(&text, alone, head, file) {
            let title = parts.remove(0);
            // Without this check, the text would be shown twice.
            let said = head.about.as_deref().is_some_and(|about| says(&parts, about));
            let mut blocks = title.blocks;
            let has_name = parts.iter().any(|part| plain(&part.heading).eq_ignore_ascii_case("name"));
            if let Some(about) = head.about.take_if(|_| !said) {
                if has_name {
                    blocks.insert(0, Block::Paragraph(vec![Inline::Text { text: about, at: 0 }]));
                } else {
                    let text = format!("{} - {about}", head.title.as_deref().unwrap_or(file));
                    sections.push(named("NAME", vec![Block::Paragraph(vec![Inline::Text { text, at: 0 }])]));
                }
            }
            if !blocks.is_empty() {
                match parts.iter_mut().find(|part| plain(&part.heading).eq_ignore_ascii_case("description")) {
                    Some(description) => drop(description.blocks.splice(0..0, blocks)),
                    None => sections.push(named("DESCRIPTION", blocks)),
                }
            }
        }
    }
    let top = parts.iter().map(|part| part.level).min().unwrap_or(1);
    // The level of the options that are being collected.
    let mut options = None;
    for Part { level, heading, blocks } in parts {
        let is_option = level > top && plain(&heading).starts_with('-') && !sections.is_empty();
        if options.is_some_and(|options| level < options || (level == options && !is_option)) {
            options = None;
        }
        let Some(last) = sections.last_mut().filter(|_| level > top + 1 || is_option || options.is_some()) else {
            sections.push(Section { is_subsection: level > top, heading, blocks, span: 0..0 });
            continue;
        };
        match (options, last.blocks.last_mut()) {
            (Some(_), Some(Block::Definitions(list))) if is_option && options == Some(level) => {
                list.push(Definition { terms: vec![heading], body: blocks });
            }
            (Some(_), Some(Block::Definitions(list))) => {
                if let Some(option) = list.last_mut() {
                    option.body.push(Block::Heading(heading));
                    option.body.extend(blocks);
                }
            }
            _ if is_option => {
                last.blocks.push(Block::Definitions(vec![Definition { terms: vec![heading], body: blocks }]));
                options = Some(level);
            }
            _ => {
                last.blocks.push(Block::Heading(heading));
                last.blocks.extend(blocks);
            }
        }
    }
    sections
}

/// Whether the first heading is the title of the page; `alone` tells whether no other heading has its level. The parts
/// of the title go into `head`.
fn is_title(text: &str, alone: bool, head: &mut Head, file: &str) -> bool {
    let mut said = Head::default();
    if !(said.line(text) || (alone && said.named(text, file))) {
        let title = head.title.as_deref().unwrap_or(file);
        return alone && !text.is_empty() && text.eq_ignore_ascii_case(title);
    }
    match &head.title {
        // The text repeats the title.
        Some(title) => {
            let same = said.title.as_ref().is_some_and(|it| it.eq_ignore_ascii_case(title));
            if same && said.section.is_some() && head.section.is_none() {
                head.section = said.section;
            }
            if same {
                head.about = said.about;
            }
            same
        }
        None => {
            let more = std::mem::take(&mut head.more);
            // Date, origin and manual come from the lines at the top of the page first, then from the heading.
            *head = Head {
                section: said.section.or(head.section.take()),
                date: head.date.take().or(said.date),
                origin: if head.origin.is_empty() { said.origin } else { std::mem::take(&mut head.origin) },
                manual: if head.manual.is_empty() { said.manual } else { std::mem::take(&mut head.manual) },
                more,
                ..said
            };
            true
        }
    }
}

/// Whether the NAME section already has this text.
fn says(parts: &[Part], about: &str) -> bool {
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let about = letters(about);
    let name = parts.iter().find(|part| plain(&part.heading).eq_ignore_ascii_case("name"));
    name.is_some_and(|part| {
        part.blocks
            .iter()
            .any(|block| matches!(block, Block::Paragraph(text) if letters(&plain(text)).contains(&about)))
    })
}

fn is_text(inlines: &[Inline]) -> bool {
    inlines.iter().all(|it| matches!(it, Inline::Text { .. } | Inline::Newline | Inline::Code(_) | Inline::Strong(_)))
}

/// Sets the column widths of tables.
fn fit(blocks: &mut [Block], inset: usize) {
    for block in blocks {
        match block {
            Block::Table(table) => {
                let measure = MEASURE.saturating_sub(inset);
                table.widths =
                    table.fit(measure, longest_word).or(table.fit(measure, longest_part)).unwrap_or_default();
            }
            Block::Quote(blocks) => fit(blocks, inset + QUOTE_INSET),
            Block::List { start, items } => {
                let inset = inset + if start.is_some() { NUMBER_INSET } else { BULLET_INSET };
                items.iter_mut().for_each(|item| fit(item, inset));
            }
            Block::Definitions(list) => list.iter_mut().for_each(|it| fit(&mut it.body, inset + TERM_INSET)),
            _ => {}
        }
    }
}

/// A long word may be broken after these characters.
pub(crate) const BREAK_AFTER: &[u8] = b"/.,=&?:-_";

fn longest_part(text: &str) -> usize {
    let parts = text.split_inclusive(|c: char| c == ' ' || c.is_ascii() && BREAK_AFTER.contains(&(c as u8)));
    parts.map(|part| part.trim_end().width()).max().unwrap_or_default()
}

struct Reader<'a> {
    events: Peekable<OffsetIter<'a>>,
    /// The text from which the events were parsed.
    source: &'a str,
    /// The offset of that text in the source.
    body: usize,
}

impl Reader<'_> {
    /// The parts of the page; the first part has the text before the first heading.
    fn parts(&mut self) -> Vec<Part> {
        let heading = vec![Inline::Text { text: "DESCRIPTION".to_owned(), at: 0 }];
        let mut parts = vec![Part { level: 1, heading, blocks: vec![] }];
        let mut flow = Flow::default();
        let finish = |flow: &mut Flow, parts: &mut Vec<Part>| {
            if let Some(part) = parts.last_mut() {
                part.blocks.extend(std::mem::take(flow).finish());
            }
        };
        while self.events.peek().is_some() {
            if let Some((Event::Start(Tag::Heading { level, .. }), _)) =
                self.events.next_if(|(event, _)| matches!(event, Event::Start(Tag::Heading { .. })))
            {
                let heading = without_attributes(self.leaf());
                // Ignore a heading without text.
                if !plain(&heading).is_empty() {
                    finish(&mut flow, &mut parts);
                    parts.push(Part { level: number(level), heading, blocks: vec![] });
                }
            } else {
                self.block(0, &mut flow);
            }
        }
        finish(&mut flow, &mut parts);
        parts
    }

    /// The blocks up to the end of their container; consumes that end. Blocks that are too deep become its siblings.
    fn blocks(&mut self, inset: usize) -> Vec<Block> {
        let mut flow = Flow::default();
        let mut open = 1;
        while open > 0 && self.events.peek().is_some() {
            if self.events.next_if(|(event, _)| matches!(event, Event::End(_))).is_some() {
                open -= 1;
            } else if self.block(inset, &mut flow) {
                open += 1;
            }
        }
        flow.finish()
    }

    /// Adds the next block to `flow`, which is indented by `margin`. Returns true if the block is too deep and has only
    /// begun: its contents are the next blocks.
    fn block(&mut self, margin: usize, flow: &mut Flow) -> bool {
        // The text of a tight list has no paragraph around it.
        let text = self.inlines();
        if !text.is_empty() {
            flow.push(Block::Paragraph(text));
            return false;
        }
        let inset = margin + flow.inset();
        let Some((event, _)) = self.events.next() else { return false };
        let tag = match event {
            Event::Start(tag) => tag,
            Event::Rule => {
                flow.push(Block::Rule);
                return false;
            }
            _ => return false,
        };
        let block = match tag {
            Tag::Paragraph | Tag::DefinitionListTitle => Block::Paragraph(line_block(self.leaf())),
            Tag::Heading { .. } => Block::Heading(without_attributes(self.leaf())),
            Tag::CodeBlock(kind) => self.code(&kind),
            Tag::HtmlBlock => {
                self.html(margin, flow);
                return false;
            }
            Tag::Table(alignment) => self.table(&alignment),
            _ if inset + TERM_INSET > DEEPEST => return true,
            Tag::BlockQuote(kind) => {
                let mut blocks = self.blocks(inset + QUOTE_INSET);
                if let Some(kind) = kind {
                    let text = alert(kind).to_owned();
                    let label = Inline::Strong(vec![Inline::Text { text, at: 0 }]);
                    blocks.insert(0, Block::Paragraph(vec![label]));
                }
                Block::Quote(blocks)
            }
            Tag::List(start) => {
                let inset = inset + if start.is_some() { NUMBER_INSET } else { BULLET_INSET };
                let mut items = vec![];
                while self.events.next_if(|(event, _)| matches!(event, Event::Start(_))).is_some() {
                    items.push(self.blocks(inset));
                }
                self.events.next();
                if start.is_none() && items.iter().all(|item| has_term(item)) && !items.is_empty() {
                    Block::Definitions(items.into_iter().map(with_term).collect())
                } else {
                    Block::List { start, items }
                }
            }
            Tag::DefinitionList => self.definitions(inset + TERM_INSET),
            Tag::FootnoteDefinition(label) => {
                let terms = vec![vec![Inline::Text { text: format!("[{}]", visible(&label)), at: 0 }]];
                Block::Definitions(vec![Definition { terms, body: self.blocks(inset + TERM_INSET) }])
            }
            _ => return true,
        };
        match block {
            Block::Paragraph(text) | Block::Heading(text) if text.is_empty() => {}
            Block::Quote(content) if content.is_empty() => {}
            Block::Code { text, .. } if text.trim().is_empty() => {}
            Block::List { items, .. } if items.is_empty() => {}
            block => flow.push(block),
        }
        false
    }

    fn definitions(&mut self, inset: usize) -> Block {
        let mut definitions: Vec<Definition> = vec![];
        while let Some((Event::Start(tag), _)) = self.events.next() {
            if tag == Tag::DefinitionListTitle {
                let text = self.leaf();
                let terms = text.split(|it| matches!(it, Inline::Newline | Inline::Break)).map(<[Inline]>::to_vec);
                let mut terms: Vec<Vec<Inline>> = terms.filter(|term| !term.is_empty()).collect();
                if terms.is_empty() {
                    terms.push(vec![]);
                }
                definitions.push(Definition { terms, body: vec![] });
            } else {
                let body = self.blocks(inset);
                if let Some(definition) = definitions.last_mut() {
                    definition.body.extend(body);
                }
            }
        }
        Block::Definitions(definitions)
    }

    /// The text of the events up to the next end event; consumes that, too.
    fn raw(&mut self) -> String {
        let mut text = String::new();
        for (event, _) in self.events.by_ref() {
            match event {
                Event::Text(part) | Event::Html(part) | Event::InlineHtml(part) => text += &part,
                Event::End(_) => break,
                _ => {}
            }
        }
        text
    }

    fn code(&mut self, kind: &CodeBlockKind<'_>) -> Block {
        let language = match kind {
            CodeBlockKind::Fenced(language) => visible(language).into_owned(),
            CodeBlockKind::Indented => String::new(),
        };
        code(&self.raw(), language)
    }

    /// Adds the visible text of a block of HTML. An element that the block opens and does not close contains the blocks
    /// that follow.
    fn html(&mut self, margin: usize, flow: &mut Flow) {
        let source = self.raw();
        let begins = |name: &str| source.trim_start().get(..name.len()).is_some_and(|it| it.eq_ignore_ascii_case(name));
        if ["<script", "<style", "<textarea"].into_iter().any(begins) {
            return flow.push(code(&source, String::new()));
        }
        let room = DEEPEST.saturating_sub(margin);
        let mut content = Content::default();
        let mut lines: Option<String> = None;
        let mut is_heading = false;
        for piece in html::pieces(&source) {
            let effect = match piece {
                Piece::Text(_) => None,
                Piece::Open { effect, .. } | Piece::Close { effect, .. } => Some(effect),
            };
            if let Some(kept) = &mut lines {
                match (&piece, effect) {
                    (Piece::Text(text), _) => *kept += &html::decoded(text),
                    (_, Some(Effect::Break)) => kept.push('\n'),
                    (Piece::Close { .. }, Some(Effect::Pre)) => {
                        push_lines(lines.take(), flow);
                    }
                    _ => {}
                }
                continue;
            }
            let ends = |effect| {
                matches!(effect, Effect::Lines | Effect::Holds(_) | Effect::Heading | Effect::Rule | Effect::Pre)
            };
            if effect.is_some_and(ends) {
                push_text(std::mem::take(&mut content), std::mem::take(&mut is_heading), flow);
            }
            match piece {
                Piece::Text(text) => {
                    for (number, line) in html::decoded(text).split('\n').enumerate() {
                        if number > 0 {
                            content.push(Inline::Newline);
                        }
                        content.text(line, 0);
                    }
                }
                Piece::Open { effect: Effect::Holds(Kind::List(Some(first))), attributes, .. } => {
                    let start = html::attribute(attributes, "start").and_then(|start| start.parse().ok());
                    flow.open(Kind::List(Some(start.unwrap_or(first))), room);
                }
                Piece::Open { effect: Effect::Holds(kind), .. } => flow.open(kind, room),
                Piece::Close { effect: Effect::Holds(kind), .. } => flow.close(kind),
                Piece::Open { effect: Effect::Pre, .. } => lines = Some(String::new()),
                Piece::Open { effect: Effect::Rule, .. } => flow.push(Block::Rule),
                Piece::Open { effect: Effect::Heading, .. } => is_heading = true,
                Piece::Open { effect: Effect::Lines, .. }
                | Piece::Close { effect: Effect::Lines | Effect::Heading | Effect::Pre | Effect::Rule, .. } => {}
                tag => content.tag(tag, true),
            }
        }
        push_lines(lines, flow);
        push_text(content, is_heading, flow);
        flow.close_implied();
    }

    fn table(&mut self, alignment: &[pulldown_cmark::Alignment]) -> Block {
        let mut rows = vec![];
        while let Some((Event::Start(_), _)) = self.events.next() {
            let mut cells = vec![];
            while let Some((Event::Start(_), _)) = self.events.next() {
                cells.push(self.leaf());
            }
            cells.resize(alignment.len(), vec![]);
            rows.push(cells);
        }
        let alignment: Vec<Alignment> = alignment.iter().map(|it| Alignment::from(*it)).collect();
        let body = rows.split_off(rows.len().min(1));
        let header = rows.pop().unwrap_or_else(|| vec![vec![]; alignment.len()]);
        Block::Table(Table { alignment, header, body, widths: vec![], span: 0..0 })
    }

    /// The text of a block that contains only text; consumes its end.
    fn leaf(&mut self) -> Vec<Inline> {
        let text = self.inlines();
        self.events.next();
        text
    }

    /// The text up to the next event that is not text.
    fn inlines(&mut self) -> Vec<Inline> {
        let mut content = Content::default();
        while let Some((event, span)) = self.events.next_if(|(event, _)| is_inline(event)) {
            let at = self.body + span.start;
            match event {
                // Text that equals its source is visible; the text of an entity can be any character.
                Event::Text(text) if self.source.get(span) == Some(&*text) => content.visible(&text, at),
                Event::Text(text) => content.text(&text, at),
                Event::Code(text) => content.push(Inline::Code(visible(&text).into_owned())),
                Event::FootnoteReference(label) => content.text(&format!("[{label}]"), at),
                Event::TaskListMarker(done) => content.text(if done { "[x] " } else { "[ ] " }, at),
                Event::SoftBreak => content.push(Inline::Newline),
                Event::HardBreak => content.push(Inline::Break),
                Event::Html(text) | Event::InlineHtml(text) => {
                    for piece in html::pieces(&text) {
                        content.tag(piece, false);
                    }
                }
                // Subscripts are shown as the author wrote them.
                Event::Start(Tag::Subscript) | Event::End(TagEnd::Subscript) => content.visible("~", at),
                Event::Start(tag) => content.open(Span::from(tag)),
                Event::End(_) => content.close(),
                _ => {}
            }
        }
        content.finish()
    }
}

impl From<pulldown_cmark::Alignment> for Alignment {
    fn from(alignment: pulldown_cmark::Alignment) -> Alignment {
        match alignment {
            pulldown_cmark::Alignment::Center => Alignment::Centre,
            pulldown_cmark::Alignment::Right => Alignment::Right,
            pulldown_cmark::Alignment::None | pulldown_cmark::Alignment::Left => Alignment::Left,
        }
    }
}

/// The label as authors on GitHub write it.
fn alert(kind: BlockQuoteKind) -> &'static str {
    match kind {
        BlockQuoteKind::Note => "NOTE",
        BlockQuoteKind::Tip => "TIP",
        BlockQuoteKind::Important => "IMPORTANT",
        BlockQuoteKind::Warning => "WARNING",
        BlockQuoteKind::Caution => "CAUTION",
    }
}

fn number(level: HeadingLevel) -> usize {
    level as usize
}

fn code(text: &str, language: String) -> Block {
    let text = visible(text).replace('\u{200b}', "");
    let text = text.trim_end_matches('\n');
    let text = if text.contains('\t') {
        text.split('\n').map(expand_tabs).collect::<Vec<_>>().join("\n")
    } else {
        text.to_owned()
    };
    Block::Code { text, language, span: 0..0 }
}

fn push_lines(lines: Option<String>, flow: &mut Flow) {
    if let Some(lines) = lines.filter(|lines| !lines.trim().is_empty()) {
        flow.push(code(lines.trim_matches('\n'), String::new()));
    }
}

fn push_text(content: Content, is_heading: bool, flow: &mut Flow) {
    let text = content.finish();
    let block = if is_heading { Block::Heading(text) } else { Block::Paragraph(text) };
    if !is_blank(&block) {
        flow.push(block);
    }
}

/// A heading without the attributes that pandoc and others add for links: `{#id .class key=value}`. Other text in
/// braces stays visible.
fn without_attributes(mut heading: Vec<Inline>) -> Vec<Inline> {
    if let Some(Inline::Text { text, .. }) = heading.last_mut()
        && let Some((before, inside)) = text.trim_end().strip_suffix('}').and_then(|text| text.rsplit_once('{'))
        && (before.is_empty() || before.ends_with(' '))
        && !inside.trim().is_empty()
        && inside
            .split_whitespace()
            .all(|word| word.starts_with(['#', '.']) && word.len() > 1 || word == "-" || word.contains('='))
    {
        text.truncate(before.trim_end().len());
    }
    heading
}

/// A paragraph whose lines begin with bars keeps its line breaks. A paragraph whose lines also end with bars is a
/// faulty table, and stays as it is.
fn line_block(text: Vec<Inline>) -> Vec<Inline> {
    let begins = |inline: &Inline| matches!(inline, Inline::Text { text, .. } if text == "|" || text.starts_with("| "));
    let ends = |inline: &Inline| matches!(inline, Inline::Text { text, .. } if text.trim_end().ends_with('|'));
    let is_end = |inline: &Inline| matches!(inline, Inline::Newline | Inline::Break);
    let lines: Vec<&[Inline]> = text.split(is_end).collect();
    let bars = lines.iter().filter(|line| line.first().is_some_and(begins)).count();
    if bars < 2
        || !lines[0].first().is_some_and(begins)
        || lines.iter().any(|line| {
            line.last().is_some_and(|last| {
                ends(last) && (line.len() > 1 || !matches!(last, Inline::Text { text, .. } if text == "|"))
            })
        })
    {
        return text;
    }
    let mut out = vec![];
    for (number, line) in lines.into_iter().enumerate() {
        match line.split_first() {
            Some((Inline::Text { text, at }, rest)) if line.first().is_some_and(begins) => {
                if number > 0 {
                    out.push(Inline::Break);
                }
                // Indented text stays indented.
                let text = text.get(2..).unwrap_or_default();
                let inset = text.len() - text.trim_start().len();
                out.push(Inline::Text { text: "\u{a0}".repeat(inset) + text.trim_start(), at: *at });
                out.extend_from_slice(rest);
            }
            _ => {
                out.push(Inline::Newline);
                out.extend_from_slice(line);
            }
        }
    }
    out
}

/// ronn's definitions: the first line of an item is a term if a colon is at its end and text is below it. A line that
/// only announces a list or code is a sentence.
fn has_term(item: &[Block]) -> bool {
    let Some((Block::Paragraph(text), rest)) = item.split_first() else { return false };
    let end = text.iter().position(|inline| matches!(inline, Inline::Newline));
    let is_term =
        matches!(text[..end.unwrap_or(text.len())].last(), Some(Inline::Text { text, .. }) if text.ends_with(':'));
    is_term && (end.is_some() || matches!(rest.first(), Some(Block::Paragraph(_))))
}

fn with_term(mut item: Vec<Block>) -> Definition {
    let Block::Paragraph(mut term) = item.remove(0) else { return Definition { terms: vec![vec![]], body: item } };
    let end = term.iter().position(|inline| matches!(inline, Inline::Newline)).unwrap_or(term.len());
    let body = term.split_off(end);
    if body.len() > 1 {
        item.insert(0, Block::Paragraph(body[1..].to_vec()));
    }
    if let Some(Inline::Text { text, .. }) = term.last_mut() {
        text.pop();
    }
    Definition { terms: vec![term], body: item }
}

fn is_blank(block: &Block) -> bool {
    block.inlines().into_iter().flatten().all(|it| match it {
        Inline::Newline | Inline::Break => true,
        Inline::Text { text, .. } => text.trim().is_empty(),
        _ => false,
    })
}

fn is_inline(event: &Event<'_>) -> bool {
    match event {
        Event::Start(tag) => {
            matches!(
                tag,
                Tag::Emphasis
                    | Tag::Strong
                    | Tag::Strikethrough
                    | Tag::Subscript
                    | Tag::Link { .. }
                    | Tag::Image { .. }
            )
        }
        Event::End(tag) => {
            matches!(
                tag,
                TagEnd::Emphasis
                    | TagEnd::Strong
                    | TagEnd::Strikethrough
                    | TagEnd::Subscript
                    | TagEnd::Link
                    | TagEnd::Image
            )
        }
        Event::Rule => false,
        _ => true,
    }
}

/// The markup around a piece of text.
enum Span {
    Strong,
    Emphasis,
    Strike,
    Link(String),
    Image(String),
    /// Markup without a visible effect.
    Plain,
}

impl From<Tag<'_>> for Span {
    fn from(tag: Tag<'_>) -> Span {
        match tag {
            Tag::Strong => Span::Strong,
            Tag::Emphasis => Span::Emphasis,
            Tag::Strikethrough => Span::Strike,
            Tag::Link { dest_url, .. } => Span::Link(address(&dest_url)),
            Tag::Image { dest_url, .. } => Span::Image(address(&dest_url)),
            _ => Span::Plain,
        }
    }
}

/// Escapes white space, which would end an address.
fn address(url: &str) -> String {
    visible(url).split_whitespace().collect::<Vec<_>>().join("%20")
}

struct Frame {
    span: Span,
    /// The HTML tag that opened the frame: its name and its source.
    tag: Option<(&'static str, String)>,
    content: Vec<Inline>,
}

/// Running text under construction.
#[derive(Default)]
struct Content {
    text: Vec<Inline>,
    frames: Vec<Frame>,
    /// Spans that are too deep: their text goes into the last frame.
    deeper: Vec<Span>,
}

impl Content {
    fn last(&mut self) -> &mut Vec<Inline> {
        self.frames.last_mut().map_or(&mut self.text, |frame| &mut frame.content)
    }

    fn push(&mut self, inline: Inline) {
        self.last().push(inline);
    }

    fn text(&mut self, text: &str, at: usize) {
        self.visible(&visible(text), at);
    }

    fn visible(&mut self, text: &str, at: usize) {
        match self.last().last_mut() {
            Some(Inline::Text { text: last, .. }) => *last += text,
            _ if text.is_empty() => {}
            _ => self.push(Inline::Text { text: text.to_owned(), at }),
        }
    }

    fn open(&mut self, span: Span) {
        match self.frames.len() < DEEPEST_SPAN && self.deeper.is_empty() {
            true => self.frames.push(Frame { span, tag: None, content: vec![] }),
            false => self.deeper.push(span),
        }
    }

    /// Closes the last span that Markdown opened.
    fn close(&mut self) {
        match self.deeper.pop() {
            Some(Span::Link(url) | Span::Image(url)) if !url.is_empty() => self.text(&format!(" <{url}>"), 0),
            Some(_) => {}
            None => while self.pop().is_some_and(|is_tag| is_tag) {},
        }
    }

    /// Closes the last frame, and returns whether a tag opened it. If no tag closes such a frame, the tag becomes text.
    fn pop(&mut self) -> Option<bool> {
        let Frame { span, tag, content } = self.frames.pop()?;
        match tag {
            Some((_, source)) => {
                self.text(&source, 0);
                content.into_iter().for_each(|inline| self.again(inline));
                Some(true)
            }
            None => {
                self.wrap(span, content);
                Some(false)
            }
        }
    }

    /// Adds the content of a closed frame.
    fn again(&mut self, inline: Inline) {
        match inline {
            Inline::Text { text, at } => self.text(&text, at),
            inline => self.push(inline),
        }
    }

    fn wrap(&mut self, span: Span, content: Vec<Inline>) {
        let inline = match span {
            Span::Link(url) => Inline::Link { url, content },
            Span::Image(url) => Inline::Image { url, content },
            Span::Plain => return content.into_iter().for_each(|inline| self.again(inline)),
            _ if content.is_empty() => return,
            Span::Strong => Inline::Strong(content),
            Span::Emphasis => Inline::Emphasis(content),
            Span::Strike => Inline::Strike(content),
        };
        self.push(inline);
    }

    /// Takes a part of HTML. In a block of HTML (`raw`), a tag without a partner is still markup.
    fn tag(&mut self, piece: Piece<'_>, raw: bool) {
        match piece {
            Piece::Text(text) => self.text(&html::decoded(text), 0),
            Piece::Open { effect: Effect::Break, .. } => self.push(Inline::Break),
            Piece::Open { effect: Effect::Image, attributes, .. } => {
                let url = address(&html::attribute(attributes, "src").unwrap_or_default());
                let mut alt = Content::default();
                alt.text(&html::attribute(attributes, "alt").unwrap_or_default(), 0);
                self.push(Inline::Image { url, content: alt.text });
            }
            Piece::Open { name, effect, attributes, source } => {
                let is_void = matches!(name, "wbr" | "hr");
                if is_void
                    || raw && !matches!(effect, Effect::Strong | Effect::Emphasis | Effect::Strike | Effect::Link)
                {
                    return;
                }
                if !self.deeper.is_empty() || self.frames.len() >= DEEPEST_SPAN {
                    return self.text(source, 0);
                }
                let span = match effect {
                    Effect::Strong => Span::Strong,
                    Effect::Emphasis => Span::Emphasis,
                    Effect::Strike => Span::Strike,
                    Effect::Link => {
                        html::attribute(attributes, "href").map_or(Span::Plain, |url| Span::Link(address(&url)))
                    }
                    _ => Span::Plain,
                };
                self.frames.push(Frame { span, tag: Some((name, source.to_owned())), content: vec![] });
            }
            Piece::Close { name, source, effect } => {
                let mut candidates =
                    self.frames.iter().rev().take(FARTHEST_TAG).take_while(|frame| frame.tag.is_some());
                let found = candidates.position(|frame| frame.tag.as_ref().is_some_and(|(open, _)| *open == name));
                match found.filter(|_| self.deeper.is_empty()) {
                    Some(inner) => {
                        for _ in 0..inner {
                            self.pop();
                        }
                        if let Some(Frame { span, content, .. }) = self.frames.pop() {
                            self.push_end(effect);
                            self.wrap(span, content);
                            self.push_end(effect);
                        }
                    }
                    None if raw => {}
                    None => self.text(source, 0),
                }
            }
        }
    }

    /// Adds the separator before or after a block inside running text.
    fn push_end(&mut self, effect: Effect) {
        if let Some(end) = effect.ends_line()
            && self.last().last().is_some_and(|last| !matches!(last, Inline::Break | Inline::Newline))
        {
            self.push(end);
        }
    }

    fn finish(mut self) -> Vec<Inline> {
        while self.pop().is_some() {}
        self.text
    }
}
