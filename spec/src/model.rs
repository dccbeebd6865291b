//! The pages as data: the parser makes them, and every back end reads them.

use crate::diagnostic::Source;
use iomap_vocabulary::{Level, Observe};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::{fs, io};
use unicode_width::UnicodeWidthStr;

/// A set of pages that belong together.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The version that all pages state.
    pub version: String,
    /// The pages, in the order in which their files were given.
    pub pages: Vec<Page>,
    /// The ids that are no longer in use.
    pub moved: Vec<Moved>,
    /// The files beside the pages (records, lists of words), if they do not come from a disk.
    pub(crate) beside: Option<Vec<Source>>,
}

/// An id that is no longer in use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The old id.
    pub old: String,
    /// The present id of the clause, if it was renamed.
    pub new: Option<String>,
    /// The reason why the clause was withdrawn.
    pub reason: Option<String>,
    /// The first version without the old id.
    pub since: String,
}

impl Spec {
    /// The text of a file beside the pages. It is read from the disk if the pages were.
    pub(crate) fn read_beside(&self, path: &Path) -> io::Result<String> {
        let Some(beside) = &self.beside else { return fs::read_to_string(path) };
        let source = beside.iter().find(|source| source.file == path);
        source.map(|source| source.text.clone()).ok_or(io::ErrorKind::NotFound.into())
    }

    /// Every clause, in the order of the pages.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.pages.iter().flat_map(Page::clauses)
    }

    /// The clause with this id.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses().find(|clause| clause.id == id)
    }

    /// The id at the end of a chain of renamings: `id` itself if it was not renamed.
    pub fn successor<'a>(&'a self, id: &'a str) -> &'a str {
        let next = |id: &str| self.moved.iter().find(|moved| moved.old == id).and_then(|moved| moved.new.as_deref());
        // The number of steps is limited, because entries can form a circle.
        std::iter::successors(Some(id), |id| next(id)).take(self.moved.len() + 1).last().unwrap_or(id)
    }

    /// The identity of the specification in 8 hex digits: SHA-256 over the clause hashes in order, one on a line.
    pub fn digest(&self) -> String {
        short_hash(&self.clauses().map(|clause| clause.hash.clone() + "\n").collect::<String>())
    }
}

/// The first 8 hex digits of SHA-256.
fn short_hash(text: &str) -> String {
    Sha256::digest(text).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// The hash of the parts with a NUL between them; no part can contain a NUL.
fn joined_hash(parts: &[&str]) -> String {
    short_hash(&parts.join("\0"))
}

/// One manual page.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// The name of the page, such as `iomap_immutable`.
    pub title: String,
    /// The section of the manual, such as `7` or `2const`.
    pub section: String,
    /// The date of the last change, `YYYY-MM-DD`.
    pub date: String,
    /// The version of the specification; empty for an ordinary page.
    pub version: String,
    /// The head and foot of an ordinary page; `None` for a page of the specification.
    pub ordinary: Option<Ordinary>,
    /// The sections of the page and their subsections, in order.
    pub sections: Vec<Section>,
    /// The Markdown source.
    #[serde(skip)]
    pub source: Source,
    /// The offset of the Markdown after the front matter.
    #[serde(skip)]
    pub(crate) body: usize,
}

/// The foot and the head of an ordinary page; both can be empty.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ordinary {
    /// The origin of the page, such as `libcurl`; at the foot.
    pub origin: String,
    /// The manual of the page, such as `User Commands`; at the head.
    pub manual: String,
}

impl Page {
    /// The name by which other pages refer to this page: `iomap_immutable(7)`.
    pub fn reference(&self) -> String {
        format!("{}({})", self.title, self.section)
    }

    /// The directory of the page below a directory of manual pages. Pages of a subsection, such as `2const`, stand
    /// beside those of their section, where every man(1) finds them.
    pub fn chapter(&self) -> String {
        format!("man{}", self.section.chars().next().unwrap_or_default())
    }

    /// The file name of the manual page: `iomap_immutable.7`. For an ordinary page it follows the name of the source
    /// file, if that has a section. It never leads to another directory.
    pub fn stem(&self) -> String {
        if self.ordinary.is_none() {
            return format!("{}.{}", self.title, self.section);
        }
        let name = match crate::head::of_file(&self.source.file) {
            (title, Some(section)) => format!("{title}.{section}"),
            _ => format!("{}.{}", self.title, self.section),
        };
        let safe = |c: char| c.is_alphanumeric() || "_.-+:@".contains(c);
        let name: String = name.chars().map(|c| if safe(c) { c } else { '_' }).collect();
        if name.starts_with('.') { format!("_{name}") } else { name }
    }

    /// The names in the section NAME that can be names of files.
    pub fn names(&self) -> Vec<String> {
        let name = self.sections.iter().find(|section| section.title().eq_ignore_ascii_case("NAME"));
        let line = match name.and_then(|section| section.blocks.first()) {
            Some(Block::Paragraph(text)) => plain(text),
            _ => String::new(),
        };
        let names = line.split_once(" - ").map_or(&*self.title, |(names, _)| names);
        names.split(", ").filter(|name| crate::frontmatter::is_title(name)).map(str::to_owned).collect()
    }

    /// The clauses of the page, in order.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            Block::Clause(clause) => Some(clause.as_ref()),
            _ => None,
        })
    }
}

/// A heading and its content up to the next heading.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// Whether this is a subsection of the section before it.
    pub is_subsection: bool,
    /// The heading.
    pub heading: Vec<Inline>,
    /// The content.
    pub blocks: Vec<Block>,
    #[serde(skip)]
    pub(crate) span: Range<usize>,
}

impl Section {
    /// The heading without markup.
    pub fn title(&self) -> String {
        plain(&self.heading)
    }
}

/// A block: an element with lines of its own.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", content = "content", rename_all = "lowercase")]
pub enum Block {
    /// Running text.
    Paragraph(Vec<Inline>),
    /// A clause; always directly below a heading.
    Clause(Box<Clause>),
    /// A list with bullets, or with numbers from `start`.
    List {
        /// The first number; `None` for bullets.
        start: Option<u64>,
        /// The items.
        items: Vec<Vec<Block>>,
    },
    /// Terms and their explanations.
    Definitions(Vec<Definition>),
    /// Preformatted text.
    Code {
        /// The lines, with tabs expanded and without the last newline.
        text: String,
        /// The word after the fence, such as `c`.
        language: String,
        /// The position of the block, fences included.
        #[serde(skip)]
        span: Range<usize>,
    },
    /// A table; in a page of the specification always directly below a heading.
    Table(Table),
    /// A heading below the level of subsections. This variant and the following are in ordinary pages only.
    Heading(Vec<Inline>),
    /// A quotation.
    Quote(Vec<Block>),
    /// A rule across the page.
    Rule,
}

/// The indentation of a bullet's body, in columns.
pub(crate) const BULLET_INSET: usize = 3;
/// The indentation of a numbered item.
pub(crate) const NUMBER_INSET: usize = 4;
/// The indentation of a definition or a clause: the default of man(7).
pub(crate) const TERM_INSET: usize = 7;
/// The indentation of a quotation.
pub(crate) const QUOTE_INSET: usize = 4;

impl Block {
    /// Calls `visit` with this block and the blocks inside it, outermost first, and with the indentation of each.
    pub(crate) fn walk<'a>(&'a self, inset: usize, visit: &mut dyn FnMut(&'a Block, usize)) {
        visit(self, inset);
        match self {
            Block::List { start, items } => {
                let inset = inset + if start.is_some() { NUMBER_INSET } else { BULLET_INSET };
                items.iter().flatten().for_each(|block| block.walk(inset, visit));
            }
            Block::Definitions(definitions) => {
                definitions.iter().flat_map(|it| &it.body).for_each(|block| block.walk(inset + TERM_INSET, visit));
            }
            Block::Quote(blocks) => blocks.iter().for_each(|block| block.walk(inset + QUOTE_INSET, visit)),
            Block::Paragraph(_)
            | Block::Clause(_)
            | Block::Code { .. }
            | Block::Table(_)
            | Block::Heading(_)
            | Block::Rule => {}
        }
    }

    /// The text of this block itself, without the blocks inside it.
    pub(crate) fn inlines(&self) -> Vec<&[Inline]> {
        match self {
            Block::Paragraph(text) | Block::Heading(text) => vec![text],
            Block::Clause(clause) => vec![&clause.inlines],
            Block::Definitions(definitions) => definitions.iter().flat_map(|it| &it.terms).map(Vec::as_slice).collect(),
            Block::Table(table) => table.rows().flatten().map(Vec::as_slice).collect(),
            Block::List { .. } | Block::Code { .. } | Block::Quote(_) | Block::Rule => vec![],
        }
    }
}

/// One or more terms with one explanation.
#[derive(Debug, Clone, Serialize)]
pub struct Definition {
    /// The terms, one on each source line.
    pub terms: Vec<Vec<Inline>>,
    /// The explanation.
    pub body: Vec<Block>,
}

/// A table: a header row and other rows, all with the same number of cells.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// The alignment of each column.
    pub alignment: Vec<Alignment>,
    /// The header.
    pub header: Vec<Vec<Inline>>,
    /// The other rows.
    pub body: Vec<Vec<Vec<Inline>>>,
    /// The width of each column; a wider cell is wrapped. Empty if the table does not fit: then its rows are shown one
    /// below the other.
    #[serde(skip)]
    pub widths: Vec<usize>,
    /// The position of the whole table.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// The space between two columns of a table: the default of tbl(1).
pub(crate) const TABLE_GAP: usize = 3;

impl Table {
    /// The rows, header included.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Vec<Vec<Inline>>> {
        std::iter::once(&self.header).chain(&self.body)
    }

    /// Column widths with which the table is at most `measure` wide, if there are any; `longest` returns the width of
    /// the longest part of a cell that cannot be broken.
    pub(crate) fn fit(&self, measure: usize, longest: fn(&str) -> usize) -> Option<Vec<usize>> {
        let columns = 0..self.alignment.len();
        let measure = measure.checked_sub(TABLE_GAP * columns.len().saturating_sub(1))?;
        let (mut least, mut widths) = (vec![1; columns.len()], vec![1; columns.len()]);
        for row in self.rows() {
            for (at, cell) in row.iter().enumerate() {
                let cell = shown(cell);
                least[at] = least[at].max(longest(&cell));
                widths[at] = widths[at].max(self::columns(&cell));
            }
        }
        // No column needs more than the measure. After that, the widest column shrinks until the table fits.
        widths.iter_mut().zip(&least).for_each(|(width, least)| *width = (*width).min(measure).max(*least));
        while widths.iter().sum::<usize>() > measure {
            let at = columns.clone().filter(|&at| widths[at] > least[at]).max_by_key(|&at| widths[at])?;
            widths[at] -= 1;
        }
        Some(widths)
    }

    /// The rows as definitions, for a table that is too wide: the first cell of a row is the term, and every cell has
    /// the header of its column before it.
    pub(crate) fn as_definitions(&self) -> Vec<Definition> {
        let space = || Inline::Text { text: ": ".to_owned(), at: 0 };
        let labelled = |(header, cell): (&Vec<Inline>, &Vec<Inline>)| match (header.is_empty(), cell.is_empty()) {
            (false, false) => [&header[..], &[space()], cell].concat(),
            _ => [&header[..], cell].concat(),
        };
        let definition = |row: &Vec<Vec<Inline>>| {
            let mut cells = self.header.iter().zip(row).map(labelled);
            let term = cells.next().unwrap_or_default();
            Definition { terms: vec![term], body: cells.filter(|it| !it.is_empty()).map(Block::Paragraph).collect() }
        };
        match &self.body[..] {
            [] => vec![definition(&vec![vec![]; self.header.len()])],
            rows => rows.iter().map(definition).collect(),
        }
    }
}

/// The width of the text on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

pub(crate) fn longest_word(text: &str) -> usize {
    text.split(' ').map(columns).max().unwrap_or_default()
}

/// The alignment of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Alignment {
    /// Flush left.
    Left,
    /// Centred.
    Centre,
    /// Flush right.
    Right,
}

/// A piece of running text.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", content = "content", rename_all = "lowercase")]
pub enum Inline {
    /// Characters of the text.
    Text {
        /// The characters, without a newline.
        text: String,
        /// The position in the source.
        #[serde(skip)]
        at: usize,
    },
    /// Text to be typed literally.
    Code(String),
    /// Strong text, bold in a manual page: by the custom of man(7), text to be typed literally.
    Strong(Vec<Inline>),
    /// Emphasized text, italic or underlined in a manual page: a placeholder.
    Emphasis(Vec<Inline>),
    /// Struck text. In ordinary pages only.
    Strike(Vec<Inline>),
    /// A link to the web; in ordinary pages to any target.
    Link {
        /// The target.
        url: String,
        /// The text of the link.
        content: Vec<Inline>,
    },
    /// A picture, which a terminal cannot show. In ordinary pages only.
    Image {
        /// The address of the picture.
        url: String,
        /// The text shown instead of it.
        content: Vec<Inline>,
    },
    /// A reference: `[some.clause]`.
    Reference {
        /// The id of the clause.
        id: String,
        /// The position in the source.
        #[serde(skip)]
        span: Range<usize>,
    },
    /// The end of a source line: white space, and the author's choice of a place to break.
    Newline,
    /// A forced end of line.
    Break,
}

impl Inline {
    /// The pieces inside this piece.
    pub(crate) fn content(&self) -> &[Inline] {
        match self {
            Inline::Strong(content)
            | Inline::Emphasis(content)
            | Inline::Strike(content)
            | Inline::Link { content, .. }
            | Inline::Image { content, .. } => content,
            _ => &[],
        }
    }

    /// Calls `visit` with this piece and the pieces inside it.
    pub(crate) fn walk<'a>(&'a self, visit: &mut dyn FnMut(&'a Inline)) {
        visit(self);
        self.content().iter().for_each(|inline| inline.walk(visit));
    }
}

/// The text without its markup, with one space between words.
pub fn plain(inlines: &[Inline]) -> String {
    let mut text = String::new();
    let mut append = |inline: &Inline| match inline {
        Inline::Text { text: part, .. } | Inline::Code(part) | Inline::Reference { id: part, .. } => text += part,
        Inline::Newline | Inline::Break => text.push(' '),
        Inline::Strong(_) | Inline::Emphasis(_) | Inline::Strike(_) | Inline::Link { .. } | Inline::Image { .. } => {}
    };
    inlines.iter().for_each(|inline| inline.walk(&mut append));
    single_spaced(text)
}

/// The text with one space between words.
fn single_spaced(text: String) -> String {
    let is_space = |byte: u8| byte == b' ';
    let mut after_space = true;
    let is_single = text.bytes().all(|byte| {
        let fits = byte.is_ascii_graphic() || is_space(byte) && !after_space;
        after_space = is_space(byte);
        fits
    });
    if is_single && (text.is_empty() || !after_space) {
        text
    } else {
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}

/// The text as plain text shows it, with the targets of its links and with one space between words.
pub(crate) fn shown(inlines: &[Inline]) -> String {
    let mut text = String::new();
    show(inlines, " ", &mut text);
    single_spaced(text)
}

/// Like [`shown`], but keeps white space, and writes `end` for a forced end of line.
pub(crate) fn show(inlines: &[Inline], end: &str, text: &mut String) {
    for inline in inlines {
        match inline {
            Inline::Break => *text += end,
            Inline::Newline => text.push(' '),
            Inline::Text { text: part, .. } | Inline::Code(part) | Inline::Reference { id: part, .. } => *text += part,
            Inline::Link { url, content } | Inline::Image { url, content } => match target(url, content) {
                Target::Alone => *text += &format!("<{url}>"),
                Target::Named => show(content, end, text),
                Target::Beside => {
                    show(content, end, text);
                    *text += &format!(" <{url}>");
                }
            },
            Inline::Strike(content) => {
                *text += STRIKE;
                show(content, end, text);
                *text += STRIKE;
            }
            Inline::Strong(content) | Inline::Emphasis(content) => show(content, end, text),
        }
    }
}

/// The mark around struck text, because terminals cannot strike text out.
pub(crate) const STRIKE: &str = "~~";

/// How a reader sees the target of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// The target without a text: the text is the address, or the link has none.
    Alone,
    /// Only the text: it names the target.
    Named,
    /// The text, then the target.
    Beside,
}

/// Addresses of the web are always shown. The target is not shown if it is another manual page or a place in this page,
/// and the text names it, as in `[podman-run(1)](podman-run.1.md)` and `[Exit status](#exit-status)`.
pub(crate) fn target(url: &str, content: &[Inline]) -> Target {
    let text = plain(content);
    if url.is_empty() {
        return Target::Named;
    }
    if text.is_empty() || text == url {
        return Target::Alone;
    }
    let is_local = !url.contains(':') && !url.starts_with('/');
    let (file, place) = url.split_once('#').unwrap_or((url, ""));
    let name = file.rsplit('/').next().unwrap_or(file).split('.').next().unwrap_or(file);
    let letters = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).collect::<String>().to_lowercase();
    let name = letters(if file.is_empty() { place } else { name });
    let is_page = file.is_empty()
        || [".md", ".html"].iter().any(|suffix| file.ends_with(suffix))
        || file.ends_with(|c: char| c.is_ascii_digit());
    if is_local && is_page && !name.is_empty() && letters(&text).contains(&name) {
        Target::Named
    } else {
        Target::Beside
    }
}

/// A sentence that can be cited, tested and violated.
#[derive(Debug, Clone, Serialize)]
pub struct Clause {
    /// The permanent name.
    pub id: String,
    /// The level: must, should or may.
    pub level: Level,
    /// Whether the call may succeed.
    pub ok: bool,
    /// The errors with which it may fail.
    pub errnos: Vec<String>,
    /// The places of observation.
    pub observe: Vec<Observe>,
    /// The version of the specification that introduced it.
    pub since: String,
    /// The reason for the clause.
    pub why: Option<String>,
    /// The reason why no case cites the clause, if none does.
    pub uncased: Option<String>,
    /// The page of the clause: `iomap_immutable(7)`.
    pub page: String,
    /// The nearest heading above the clause.
    pub section: String,
    /// The text, with markup.
    pub inlines: Vec<Inline>,
    /// The text, without markup.
    pub text: String,
    /// The first 8 hex digits of SHA-256 over id, level, outcomes, places of observation, and text, with a NUL between
    /// them. Both lists are sorted, with `, ` between their words. The hash changes with each of these.
    pub hash: String,
    /// The file of the clause, as the caller named it.
    pub file: PathBuf,
    /// The line of the marker.
    pub line: usize,
    /// The position of the marker in the source.
    #[serde(skip)]
    pub(crate) marker: Range<usize>,
    /// The position of marker and text in the source.
    #[serde(skip)]
    pub(crate) span: Range<usize>,
}

impl Clause {
    /// The constant of the clause in `iomap-clauses`: `TRUNCATE_SHRINK`.
    pub fn constant(&self) -> String {
        self.id.replace('.', "_").to_uppercase()
    }

    /// The same clause under another id, and so with another hash.
    pub fn renamed(&self, id: &str) -> Clause {
        let renamed = Clause { id: id.to_owned(), ..self.clone() };
        Clause { hash: renamed.hashed(), ..renamed }
    }

    /// The level and the outcomes for people: `must; ok, ETXTBSY`.
    pub fn envelope(&self) -> String {
        format!("{}; {}", self.level, self.outcomes())
    }

    /// The allowed outcomes: `ok, ETXTBSY`.
    pub fn outcomes(&self) -> String {
        let outcomes = self.ok.then_some("ok").into_iter().chain(self.errnos.iter().map(|it| &**it));
        outcomes.collect::<Vec<_>>().join(", ")
    }

    /// The hash of the former scheme: id, level and text, without the outcomes. Old mails and patches cite it.
    pub fn former_hash(&self) -> String {
        joined_hash(&[&self.id, self.level.as_str(), &self.text])
    }

    /// The hash of the present scheme.
    pub(crate) fn hashed(&self) -> String {
        let mut errnos = self.errnos.clone();
        errnos.sort();
        let outcomes: Vec<&str> = self.ok.then_some("ok").into_iter().chain(errnos.iter().map(|it| &**it)).collect();
        let mut observe = self.observe.clone();
        observe.sort();
        let observe: Vec<&str> = observe.iter().map(|it| it.as_str()).collect();
        joined_hash(&[&self.id, self.level.as_str(), &outcomes.join(", "), &observe.join(", "), &self.text])
    }

    /// The position of the id in the marker.
    pub(crate) fn id_span(&self) -> Range<usize> {
        let start = self.span.start + "r[".len();
        start..start + self.id.len()
    }
}
