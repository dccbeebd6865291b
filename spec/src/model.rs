//! The pages as data: what the parser makes and every back end walks.

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
    /// The files beside the pages (records, lists of words), if they were not read from a disk.
    pub(crate) beside: Option<Vec<Source>>,
}

/// An id that is no longer in use.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moved {
    /// The id.
    pub old: String,
    /// The id that the clause has now, if it was renamed.
    pub new: Option<String>,
    /// Why there is no such clause any more, if it was withdrawn.
    pub reason: Option<String>,
    /// The first version without it.
    pub since: String,
}

impl Spec {
    /// The text of a file beside the pages: read from the disk, if the pages are from the disk.
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
        // As many steps as there are entries, because nothing keeps entries from forming a circle.
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

/// The hash of parts with a NUL between them, which none of them can contain.
fn joined_hash(parts: &[&str]) -> String {
    short_hash(&parts.join("\0"))
}

/// One manual page.
#[derive(Debug, Clone, Serialize)]
pub struct Page {
    /// Its name, such as `iomap_immutable`.
    pub title: String,
    /// The section of the manual, such as `7` or `2const`.
    pub section: String,
    /// Date of the last change, `YYYY-MM-DD`.
    pub date: String,
    /// The version of the specification that it is part of; empty for an ordinary page.
    pub version: String,
    /// What an ordinary page says about itself; a page of the specification has none.
    pub ordinary: Option<Ordinary>,
    /// The sections of the page and their subsections, one after the other.
    pub sections: Vec<Section>,
    /// The Markdown.
    #[serde(skip)]
    pub source: Source,
    /// Where the Markdown begins, after the front matter.
    #[serde(skip)]
    pub(crate) body: usize,
}

/// What stands at the foot and the head of a page that is not of the specification; both can be empty.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Ordinary {
    /// Where it comes from, such as `libcurl`.
    pub origin: String,
    /// The manual that it belongs to, such as `User Commands`.
    pub manual: String,
}

impl Page {
    /// How other pages refer to it: `iomap_immutable(7)`.
    pub fn reference(&self) -> String {
        format!("{}({})", self.title, self.section)
    }

    /// The name of the file that holds it as a manual page: `iomap_immutable.7`. That of an ordinary page follows the
    /// name of its source, if it has a section, and never leads to another directory.
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

    /// Its clauses, in order.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.sections.iter().flat_map(|section| &section.blocks).filter_map(|block| match block {
            Block::Clause(clause) => Some(clause.as_ref()),
            _ => None,
        })
    }
}

/// A heading and what follows it, up to the next heading.
#[derive(Debug, Clone, Serialize)]
pub struct Section {
    /// A subsection belongs to the section before it.
    pub is_subsection: bool,
    /// The heading.
    pub heading: Vec<Inline>,
    /// What stands below it.
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

/// Something that stands on lines of its own.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "kind", content = "content", rename_all = "lowercase")]
pub enum Block {
    /// Running text.
    Paragraph(Vec<Inline>),
    /// A numbered promise; only ever directly below a heading.
    Clause(Box<Clause>),
    /// Bullets, or numbers from `start`.
    List {
        /// The first number; bullets have none.
        start: Option<u64>,
        /// The items.
        items: Vec<Vec<Block>>,
    },
    /// Terms and what they mean.
    Definitions(Vec<Definition>),
    /// Text to be shown as it is.
    Code {
        /// The lines, without a newline at the end, tabs expanded.
        text: String,
        /// What stands after the fence, such as `c`.
        language: String,
        /// All of it, fences included.
        #[serde(skip)]
        span: Range<usize>,
    },
    /// Rows and columns; in a page of the specification only ever directly below a heading.
    Table(Table),
    /// A heading below those of subsections. From here on: in ordinary pages only.
    Heading(Vec<Inline>),
    /// What somebody else said.
    Quote(Vec<Block>),
    /// A rule across the page.
    Rule,
}

/// How far the body of a bullet is set in, in columns.
pub(crate) const BULLET_INSET: usize = 3;
/// The same for a numbered item.
pub(crate) const NUMBER_INSET: usize = 4;
/// The same for a definition or a clause: man(7)'s own default.
pub(crate) const TERM_INSET: usize = 7;
/// The same for a quotation.
pub(crate) const QUOTE_INSET: usize = 4;

impl Block {
    /// Shows `visit` this block and those inside it, outermost first, with the number of columns each is set in.
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

    /// The text that stands in this block itself, not in a block inside it.
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

/// One or more terms and what is said about them.
#[derive(Debug, Clone, Serialize)]
pub struct Definition {
    /// The terms, one on each source line.
    pub terms: Vec<Vec<Inline>>,
    /// The explanation.
    pub body: Vec<Block>,
}

/// A table: a header row and the others, all of the same length.
#[derive(Debug, Clone, Serialize)]
pub struct Table {
    /// How each column is set.
    pub alignment: Vec<Alignment>,
    /// The header.
    pub header: Vec<Vec<Inline>>,
    /// The other rows.
    pub body: Vec<Vec<Vec<Inline>>>,
    /// Width of each column; a cell that is wider is wrapped. Empty if the table does not fit: then its rows are shown
    /// one below the other.
    #[serde(skip)]
    pub widths: Vec<usize>,
    /// All of it.
    #[serde(skip)]
    pub span: Range<usize>,
}

/// Columns between two columns of a table: tbl(1)'s default.
pub(crate) const TABLE_GAP: usize = 3;

impl Table {
    /// Header and body.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Vec<Vec<Inline>>> {
        std::iter::once(&self.header).chain(&self.body)
    }

    /// Column widths with which the table is at most `measure` wide, if there are any; `longest` is the width of what
    /// cannot be broken in a cell.
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
        // No column needs more than the measure; after that, the widest gives way until all have room.
        widths.iter_mut().zip(&least).for_each(|(width, least)| *width = (*width).min(measure).max(*least));
        while widths.iter().sum::<usize>() > measure {
            let at = columns.clone().filter(|&at| widths[at] > least[at]).max_by_key(|&at| widths[at])?;
            widths[at] -= 1;
        }
        Some(widths)
    }

    /// The rows for where the columns have no room side by side: the first cell of each is the term, every cell has
    /// its column's header before it.
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

/// What the text takes on a terminal.
pub(crate) fn columns(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.width() }
}

pub(crate) fn longest_word(text: &str) -> usize {
    text.split(' ').map(columns).max().unwrap_or_default()
}

/// How a column is set.
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
    /// Characters as they are read.
    Text {
        /// The characters, without a newline.
        text: String,
        /// Where in the source they begin.
        #[serde(skip)]
        at: usize,
    },
    /// To be typed as it is.
    Code(String),
    /// Bold in a manual page: what is typed as it is, by man(7)'s custom.
    Strong(Vec<Inline>),
    /// Italic or underlined in a manual page: what stands for something else.
    Emphasis(Vec<Inline>),
    /// No longer true. In ordinary pages only.
    Strike(Vec<Inline>),
    /// A link to the web; in ordinary pages to anything.
    Link {
        /// Where to.
        url: String,
        /// What is read.
        content: Vec<Inline>,
    },
    /// A picture, which a terminal cannot show. In ordinary pages only.
    Image {
        /// Where it is.
        url: String,
        /// What is read instead.
        content: Vec<Inline>,
    },
    /// `[some.clause]`.
    Reference {
        /// The id of the clause.
        id: String,
        /// Where in the source.
        #[serde(skip)]
        span: Range<usize>,
    },
    /// The end of a source line: white space that the author chose as the place to break.
    Newline,
    /// A forced end of line.
    Break,
}

impl Inline {
    /// What stands inside it.
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

    /// Shows `visit` this piece and those inside it.
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

/// The text as a reader of plain text sees it, with where its links lead and with one space between words.
pub(crate) fn shown(inlines: &[Inline]) -> String {
    let mut text = String::new();
    show(inlines, " ", &mut text);
    single_spaced(text)
}

/// The same with its white space as it is and `end` for a forced end of line.
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

/// Stands around what is struck out, because terminals cannot strike it out.
pub(crate) const STRIKE: &str = "~~";

/// What a reader is to see of where a link leads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    /// Nothing but that: the text is the address, or there is none.
    Alone,
    /// Nothing: the text names it.
    Named,
    /// The text, and that after it.
    Beside,
}

/// An address of the web is always shown. Another manual page or a place in this one is not if the text names it, as in
/// `[podman-run(1)](podman-run.1.md)` and `[Exit status](#exit-status)`.
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
    /// Its name for ever.
    pub id: String,
    /// How strictly it is meant.
    pub level: Level,
    /// Whether the call may succeed.
    pub ok: bool,
    /// The errors with which it may fail.
    pub errnos: Vec<String>,
    /// Where it can be observed.
    pub observe: Vec<Observe>,
    /// The version of the specification that introduced it.
    pub since: String,
    /// Who asked for it, or what it is good for.
    pub why: Option<String>,
    /// Why no case cites it, where none does.
    pub uncased: Option<String>,
    /// Its page: `iomap_immutable(7)`.
    pub page: String,
    /// The nearest heading above it.
    pub section: String,
    /// What it says.
    pub inlines: Vec<Inline>,
    /// What it says, without markup.
    pub text: String,
    /// Changes with the text and the envelope: the first 8 hex digits of SHA-256 over id, level, outcomes, the places
    /// of observation, and text, with a NUL between them. Both lists are sorted, with `, ` between their words.
    pub hash: String,
    /// Its file, as the caller named it.
    pub file: PathBuf,
    /// The line of its marker.
    pub line: usize,
    /// The lines of the marker in the source.
    #[serde(skip)]
    pub(crate) marker: Range<usize>,
    /// Marker and text in the source.
    #[serde(skip)]
    pub(crate) span: Range<usize>,
}

impl Clause {
    /// The constant of `iomap-clauses` that cites it: `TRUNCATE_SHRINK`.
    pub fn constant(&self) -> String {
        self.id.replace('.', "_").to_uppercase()
    }

    /// Level and outcomes for people: `must; ok, ETXTBSY`.
    pub fn envelope(&self) -> String {
        format!("{}; {}", self.level, self.outcomes())
    }

    /// What a caller may observe: `ok, ETXTBSY`.
    pub fn outcomes(&self) -> String {
        let outcomes = self.ok.then_some("ok").into_iter().chain(self.errnos.iter().map(|it| &**it));
        outcomes.collect::<Vec<_>>().join(", ")
    }

    /// The hash of id, level and text alone: the scheme before hashes covered the outcomes. Mails and patches of that
    /// time have it.
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

    /// The id in the marker.
    pub(crate) fn id_span(&self) -> Range<usize> {
        let start = self.span.start + "r[".len();
        start..start + self.id.len()
    }
}
