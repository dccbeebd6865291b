//! Markdown to [`Page`]. Markdown that the model cannot hold is refused with its position, never dropped.

use crate::attributes::{self, is_id};
use crate::backend::MEASURE;
use crate::characters::{expand_tabs, is_invisible};
use crate::diagnostic::{Diagnostic, Source};
use crate::model::{Alignment, Block, Clause, Definition, Inline, Page, Section, Table, longest_word, plain};
use crate::{dialect, frontmatter, head, ordinary};
use pulldown_cmark::{
    BrokenLink, CodeBlockKind, CowStr, Event, HeadingLevel, LinkType, OffsetIter, Options, Parser, Tag,
};
use std::iter::Peekable;
use std::ops::Range;
use std::path::Path;

/// The beginning of a clause's marker.
const MARKER: &str = "r[";

/// Reads one page; `None` if it is too faulty to go on.
pub(crate) fn page(file: &Path, bytes: Vec<u8>, findings: &mut Vec<Diagnostic>) -> Option<Page> {
    let source = decode(file, bytes, findings)?;
    let front = frontmatter::read(&source, findings)?;
    let masked = mask_markers(&source, front.end);
    let reference = format!("{}({})", front.title, front.section);
    let mut reader = Reader {
        source: &source,
        page: &reference,
        version: &front.version,
        findings,
        events: events(&masked, clause_reference),
        handled: vec![],
        depth: 0,
        inline_depth: 0,
        one_line: false,
        counted: (0, 1),
    };
    let sections = reader.sections();
    let mut handled = reader.handled;
    handled.sort_by_key(|span| span.start);
    misplaced_markers(&source, front.end, &handled, findings);
    let frontmatter::FrontMatter { title, section, date, version, end } = front;
    Some(Page { title, section, date, version, ordinary: None, sections, source, body: end })
}

/// Reads one page, of the specification or ordinary; `date` is for ordinary pages without a date.
pub(crate) fn any(file: &Path, bytes: Vec<u8>, date: &str, findings: &mut Vec<Diagnostic>) -> Option<Page> {
    if std::str::from_utf8(&bytes).is_ok_and(head::is_specification) {
        return page(file, bytes, findings);
    }
    let source = utf8(file, bytes, findings)?;
    Some(ordinary::page(file, source.text, date))
}

/// The text, if it is UTF-8.
fn utf8(file: &Path, bytes: Vec<u8>, findings: &mut Vec<Diagnostic>) -> Option<Source> {
    let (text, bad) = match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            (String::from_utf8_lossy(error.as_bytes()).into_owned(), Some(at))
        }
    };
    let source = Source { file: file.to_owned(), text };
    if let Some(at) = bad {
        findings.push(source.diagnostic(at..at, "invalid-utf8", "this byte is not UTF-8", "save the page as UTF-8"));
        return None;
    }
    Some(source)
}

/// The text, if it is UTF-8 and has no invisible characters.
fn decode(file: &Path, bytes: Vec<u8>, findings: &mut Vec<Diagnostic>) -> Option<Source> {
    let source = utf8(file, bytes, findings)?;
    match source.text.char_indices().find(|(_, c)| is_invisible(*c)) {
        Some((at, c)) => {
            let message = format!("the page contains the character U+{:04X}", c as u32);
            let mend = "remove it: of the characters that cannot be seen only newline, space and tab may be used";
            findings.push(source.diagnostic(at..at, "invisible-character", message, mend));
            None
        }
        None => Some(source),
    }
}

/// Decides whether `[text]`, which is not a link, is a reference.
type Brackets<'a> = fn(BrokenLink<'a>) -> Option<(CowStr<'a>, CowStr<'a>)>;

type Events<'a> = Peekable<OffsetIter<'a, Brackets<'a>>>;

fn events<'a>(text: &'a str, brackets: Brackets<'a>) -> Events<'a> {
    let options = Options::ENABLE_TABLES | Options::ENABLE_DEFINITION_LIST;
    Parser::new_with_broken_link_callback(text, options, Some(brackets)).into_offset_iter().peekable()
}

/// Makes `[some.clause]` a reference. Whether the clause exists is checked after all pages are read.
fn clause_reference<'a>(link: BrokenLink<'a>) -> Option<(CowStr<'a>, CowStr<'a>)> {
    (link.link_type == LinkType::Shortcut && is_id(&link.reference)).then_some((link.reference, "".into()))
}

/// The source with blanks for the front matter, and with letters for the lines of each marker. The lengths are the
/// same, so the contents of a marker are not parsed as Markdown, and every offset stays valid.
fn mask_markers(source: &Source, body: usize) -> String {
    let blank = |text: &str, with: &str| -> String {
        text.chars().map(|c| if c == '\n' { "\n".into() } else { with.repeat(c.len_utf8()) }).collect()
    };
    let mut masked = blank(&source.text[..body], " ") + &source.text[body..];
    let markers: Vec<Range<usize>> = events(&masked, |_| None)
        .filter(|(event, range)| {
            matches!(event, Event::Start(Tag::Paragraph)) && masked[range.start..].starts_with(MARKER)
        })
        .map(|(_, range)| marker_lines(&masked, range))
        .collect();
    for lines in markers {
        let letters = blank(&masked[lines.clone()], "r");
        masked.replace_range(lines, &letters);
    }
    masked
}

/// The lines of the marker at the beginning of a paragraph; if the marker has no end, its first line.
fn marker_lines(text: &str, paragraph: Range<usize>) -> Range<usize> {
    let length = attributes::length(&text[paragraph.clone()]).unwrap_or(0);
    paragraph.start..line_at(text, paragraph.start + length).end
}

/// The range from `start` to the end of its line.
pub(crate) fn line_at(text: &str, start: usize) -> Range<usize> {
    start..text[start..].find('\n').map_or(text.len(), |length| start + length)
}

/// Reports markers that do not begin a paragraph, because they would become text without a warning.
fn misplaced_markers(source: &Source, body: usize, handled: &[Range<usize>], findings: &mut Vec<Diagnostic>) {
    // The spans are in the order of the page, and do not overlap.
    let is_handled = |at: usize| {
        let next = handled.partition_point(|span| span.end <= at);
        handled.get(next).is_some_and(|span| span.contains(&at))
    };
    for (at, _) in source.text.match_indices(MARKER) {
        let in_word = source.text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        if at >= body && !in_word && !is_handled(at) {
            findings.push(source.diagnostic(
                at..at + MARKER.len(),
                "misplaced-marker",
                "a clause marker begins a paragraph of its own directly below a heading, outside lists and tables",
                "put an empty line before it, or write it as `code` if it is not meant as a marker",
            ));
        }
    }
}

/// The maximum depth of nested lists: deeper lists are unreadable in 80 columns, and recursion needs a limit.
const DEEPEST: usize = 4;

struct Reader<'a> {
    source: &'a Source,
    page: &'a str,
    version: &'a str,
    findings: &'a mut Vec<Diagnostic>,
    events: Events<'a>,
    /// Spans in which `r[` needs no check: code, and the markers that were read.
    handled: Vec<Range<usize>>,
    /// The number of lists around the current block.
    depth: usize,
    /// The number of spans around the current text.
    inline_depth: usize,
    /// Whether the current text has to fit on one line of roff.
    one_line: bool,
    /// A position in the source, and the number of its line.
    counted: (usize, usize),
}

impl<'a> Reader<'a> {
    fn report(&mut self, span: Range<usize>, code: &'static str, message: impl Into<String>, mend: impl Into<String>) {
        self.findings.push(self.source.diagnostic(span, code, message, mend));
    }

    /// The line number, from 1, of a position. Positions must ascend from call to call, so that each line is counted
    /// once.
    fn line(&mut self, at: usize) -> usize {
        let (from, line) = self.counted;
        let line = line + self.source.text[from..at].matches('\n').count();
        self.counted = (at, line);
        line
    }

    fn refuse(&mut self, span: Range<usize>, what: &str) {
        let mend = "use paragraphs, lists, definition lists, tables, fenced code, bold, italic, `code` and links";
        self.report(span, "unsupported", format!("a page cannot hold {what}"), mend);
    }

    /// Consumes the events up to the end of the open element, that end included.
    fn skip(&mut self) {
        let mut open = 1;
        while open > 0 {
            match self.events.next() {
                Some((Event::Start(_), _)) => open += 1,
                Some((Event::End(_), _)) => open -= 1,
                Some(_) => {}
                None => return,
            }
        }
    }

    fn sections(&mut self) -> Vec<Section> {
        let mut sections: Vec<Section> = vec![];
        while let Some((event, span)) = self.events.peek() {
            let span = span.clone();
            if let Event::Start(Tag::Heading { level, .. }) = *event {
                self.events.next();
                sections.push(self.heading(level, span));
                continue;
            }
            let heading = sections.last().map(Section::title);
            let block = self.block(heading.as_deref());
            match sections.last_mut() {
                Some(section) => section.blocks.extend(block),
                None => self.report(span, "no-section", "text before the first heading", "begin with # NAME"),
            }
        }
        sections
    }

    fn heading(&mut self, level: HeadingLevel, span: Range<usize>) -> Section {
        let heading = self.line_content();
        let form = "write # for a section and ## for a subsection";
        if level > HeadingLevel::H2 || !self.source.text[span.clone()].starts_with('#') {
            self.report(span.clone(), "heading", "man pages have sections and subsections only", form);
        } else if plain(&heading).is_empty() {
            self.report(span.clone(), "heading", "the heading is empty", form);
        }
        Section { is_subsection: level > HeadingLevel::H1, heading, blocks: vec![], span }
    }

    /// The blocks up to the end of their container; consumes that end.
    fn blocks(&mut self) -> Vec<Block> {
        let mut blocks = vec![];
        while let Some((event, _)) = self.events.peek() {
            if matches!(event, Event::End(_)) {
                self.events.next();
                break;
            }
            blocks.extend(self.block(None));
        }
        blocks
    }

    /// The next block; `None` if it was refused. A block directly below a `heading` can be a clause.
    fn block(&mut self, heading: Option<&str>) -> Option<Block> {
        // The text of a tight list has no paragraph around it.
        let text = self.inlines();
        if !text.is_empty() {
            return Some(Block::Paragraph(text));
        }
        let (event, span) = self.events.next_if(|(event, _)| !matches!(event, Event::End(_)))?;
        let Event::Start(tag) = event else {
            self.refuse(span, "a rule across the page");
            return None;
        };
        match tag {
            Tag::Paragraph if self.source.text[span.clone()].starts_with(MARKER) && heading.is_some() => {
                let text = self.content();
                let clause = self.clause(span, text, heading.unwrap_or_default())?;
                return Some(Block::Clause(Box::new(clause)));
            }
            Tag::Paragraph => return Some(Block::Paragraph(self.content())),
            Tag::CodeBlock(CodeBlockKind::Fenced(language)) => return Some(self.code(&language, span)),
            Tag::Table(alignment) if self.depth == 0 => return Some(self.table(&alignment, span)),
            Tag::List(_) | Tag::DefinitionList if self.depth < DEEPEST => {
                self.depth += 1;
                let list = match tag {
                    Tag::List(start) => Block::List { start, items: self.items() },
                    _ => Block::Definitions(self.definitions()),
                };
                self.depth -= 1;
                return Some(list);
            }
            _ => {}
        }
        self.skip();
        let what = match tag {
            Tag::CodeBlock(_) => "code that is only indented: put it between fences (```)",
            Tag::Table(_) => "a table inside a list",
            Tag::List(_) | Tag::DefinitionList => "lists nested this deeply",
            Tag::Heading { .. } => "a heading inside a list",
            Tag::BlockQuote(_) => "a quotation",
            Tag::HtmlBlock => "HTML",
            _ => "this",
        };
        self.refuse(span, what);
        None
    }

    fn items(&mut self) -> Vec<Vec<Block>> {
        let mut items = vec![];
        while let Some((Event::Start(_), _)) = self.events.next() {
            items.push(self.blocks());
        }
        items
    }

    fn definitions(&mut self) -> Vec<Definition> {
        let mut definitions: Vec<Definition> = vec![];
        while let Some((Event::Start(tag), _)) = self.events.next() {
            if tag == Tag::DefinitionListTitle {
                let is_end = |inline: &Inline| matches!(inline, Inline::Newline | Inline::Break);
                let terms = self.line_content().split(is_end).map(<[Inline]>::to_vec).collect();
                definitions.push(Definition { terms, body: vec![] });
            } else {
                let body = self.blocks();
                if let Some(definition) = definitions.last_mut() {
                    definition.body.extend(body);
                }
            }
        }
        definitions
    }

    fn code(&mut self, language: &str, span: Range<usize>) -> Block {
        let mut text = String::new();
        let mut end = line_at(&self.source.text, span.start).end;
        while let Some((Event::Text(part), range)) = self.events.next() {
            text += &part;
            end = range.end;
        }
        // After the last line of the text comes the closing fence, or the end of the block.
        if self.source.text.get(end..span.end).is_none_or(|rest| rest.trim().is_empty()) {
            let opening = line_at(&self.source.text, span.start);
            self.report(
                opening,
                "unclosed-fence",
                "this code is never closed",
                "close it with a line of as many backquotes",
            );
        }
        self.handled.push(span.clone());
        let lines: Vec<String> = text.trim_end_matches('\n').split('\n').map(expand_tabs).collect();
        Block::Code { text: lines.join("\n"), language: language.to_owned(), span }
    }

    fn table(&mut self, alignment: &[pulldown_cmark::Alignment], span: Range<usize>) -> Block {
        let mut rows = vec![];
        while let Some((Event::Start(_), row)) = self.events.next() {
            let written = dialect::cells(&self.source.text, &row);
            if written > alignment.len() {
                let message = format!("this row has {written} cells, and its table {} columns", alignment.len());
                let row = line_at(&self.source.text, row.start);
                self.report(row, "table-cells", message, "write a bar inside a cell as \\|, in code too");
            }
            let mut cells = vec![];
            while let Some((Event::Start(_), _)) = self.events.next() {
                cells.push(self.line_content());
            }
            cells.resize(alignment.len(), vec![]);
            rows.push(cells);
        }
        let alignment = alignment.iter().map(|it| Alignment::from(*it));
        let body = rows.split_off(rows.len().min(1));
        let header = rows.pop().unwrap_or_default();
        let mut table = Table { alignment: alignment.collect(), header, body, widths: vec![], span };
        match table.fit(MEASURE, longest_word) {
            Some(widths) => table.widths = widths,
            None => self.report(
                table.span.clone(),
                "wide-table",
                format!("the table needs more than {MEASURE} columns even with every cell wrapped"),
                "use fewer columns or shorter words, or a definition list",
            ),
        }
        Block::Table(table)
    }

    fn clause(&mut self, span: Range<usize>, text: Vec<Inline>, heading: &str) -> Option<Clause> {
        let lines = marker_lines(&self.source.text, span.clone());
        self.handled.push(lines.clone());
        let marker = attributes::marker(self.source, span.clone(), self.findings)?;
        // The masked marker fills its lines completely.
        let count = self.source.text[lines.clone()].matches('\n').count();
        let mut newlines = text.iter().enumerate().filter(|(_, inline)| matches!(inline, Inline::Newline));
        let end = newlines.nth(count).map_or(text.len(), |(at, _)| at + 1);
        let inlines = text[end..].to_vec();
        let text = plain(&inlines);
        if text.is_empty() {
            let mend = "write the sentence on the lines below, without an empty line between";
            self.report(lines.clone(), "empty-clause", format!("`{}` says nothing", marker.id), mend);
        }
        let mut clause = Clause {
            hash: String::new(),
            id: marker.id,
            level: marker.level,
            ok: marker.ok,
            errnos: marker.errnos,
            observe: marker.observe,
            since: marker.since.unwrap_or_else(|| self.version.to_owned()),
            why: marker.why,
            uncased: marker.uncased,
            page: self.page.to_owned(),
            section: heading.to_owned(),
            inlines,
            text,
            file: self.source.file.clone(),
            line: self.line(span.start),
            marker: lines,
            span,
        };
        clause.hash = clause.hashed();
        Some(clause)
    }

    /// The text up to the end of its container; consumes that end.
    fn content(&mut self) -> Vec<Inline> {
        let mut content = self.inlines();
        while let Some((event, span)) = self.events.next() {
            match event {
                Event::End(_) => break,
                Event::Start(_) => self.skip(),
                _ => {}
            }
            self.refuse(span, "this here");
            content.extend(self.inlines());
        }
        content
    }

    /// Like [`Self::content`], for places where roff allows one line only; no link fits there.
    fn line_content(&mut self) -> Vec<Inline> {
        self.one_line = true;
        let content = self.content();
        self.one_line = false;
        content
    }

    /// The text up to the next event that is not text.
    fn inlines(&mut self) -> Vec<Inline> {
        let mut inlines = vec![];
        while let Some((event, span)) = self.events.next_if(|(event, _)| is_inline(event)) {
            inlines.extend(self.inline(event, span));
        }
        inlines
    }

    fn inline(&mut self, event: Event<'a>, span: Range<usize>) -> Option<Inline> {
        match event {
            Event::Text(text) => {
                if let Some(c) = text.chars().find(|c| is_invisible(*c)) {
                    let message = format!("this stands for the character U+{:04X}", c as u32);
                    let mend = "remove it: nobody could see it";
                    self.report(span.clone(), "invisible-character", message, mend);
                }
                return Some(Inline::Text { text: text.into_string(), at: span.start });
            }
            Event::Code(text) => {
                self.handled.push(span);
                return Some(Inline::Code(text.into_string()));
            }
            Event::SoftBreak => return Some(Inline::Newline),
            Event::HardBreak => return Some(Inline::Break),
            Event::Start(Tag::Link { link_type: LinkType::ShortcutUnknown, dest_url, .. }) => {
                self.skip();
                return Some(Inline::Reference { id: dest_url.into_string(), span });
            }
            Event::Start(tag) if self.inline_depth < DEEPEST => {
                self.inline_depth += 1;
                let content = self.content();
                self.inline_depth -= 1;
                match tag {
                    Tag::Strong => return Some(Inline::Strong(content)),
                    Tag::Emphasis => return Some(Inline::Emphasis(content)),
                    Tag::Link { dest_url, .. } => {
                        if self.one_line {
                            let mend = "put it into the text below";
                            self.report(span, "link", "a heading, a term or a cell cannot hold a link", mend);
                        } else if !is_url(&dest_url) || plain(&content).is_empty() {
                            let mend = "link to http:// or https:// with a text, other characters than A-Z as %XX";
                            self.report(span, "link", format!("`{dest_url}` is no link for a man page"), mend);
                        }
                        return Some(Inline::Link { url: dest_url.into_string(), content });
                    }
                    _ => self.refuse(span, "an image"),
                }
            }
            Event::Start(_) => {
                self.skip();
                self.refuse(span, "markup nested this deeply");
            }
            _ => self.refuse(span, "HTML"),
        }
        None
    }
}

fn is_inline(event: &Event<'_>) -> bool {
    match event {
        Event::Start(tag) => matches!(tag, Tag::Emphasis | Tag::Strong | Tag::Link { .. } | Tag::Image { .. }),
        Event::Text(_) | Event::Code(_) | Event::SoftBreak | Event::HardBreak | Event::InlineHtml(_) => true,
        _ => false,
    }
}

/// Whether the text is a URL that can stand in roff and HTML without escapes.
fn is_url(url: &str) -> bool {
    (url.starts_with("https://") || url.starts_with("http://"))
        && url.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"\\<>^`{|}".contains(&byte))
}
