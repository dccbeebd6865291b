//! The pages as data: what the parser makes and every back end walks.

use crate::diagnostic::Source;
use sha2::{Digest, Sha256};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use unicode_width::UnicodeWidthStr;

/// A set of pages that belong together.
#[derive(Debug, Clone)]
pub struct Spec {
    /// The version that all pages state.
    pub version: String,
    /// The pages, in the order in which their files were given.
    pub pages: Vec<Page>,
}

impl Spec {
    /// Every clause, in the order of the pages.
    pub fn clauses(&self) -> impl Iterator<Item = &Clause> {
        self.pages.iter().flat_map(Page::clauses)
    }

    /// The clause with this id.
    pub fn clause(&self, id: &str) -> Option<&Clause> {
        self.clauses().find(|clause| clause.id == id)
    }

    /// What the specification says, in 8 hex digits: SHA-256 over the clause hashes in order, one on a line.
    pub fn digest(&self) -> String {
        short_hash(self.clauses().flat_map(|clause| [clause.hash.as_str(), "\n"]))
    }
}

/// The first 8 hex digits of SHA-256 over the parts, joined without anything between them.
pub(crate) fn short_hash<'a>(parts: impl IntoIterator<Item = &'a str>) -> String {
    let mut hasher = Sha256::new();
    parts.into_iter().for_each(|part| hasher.update(part));
    hasher.finalize().iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// One manual page.
#[derive(Debug, Clone)]
pub struct Page {
    /// Its name, such as `iomap_immutable`.
    pub title: String,
    /// The section of the manual, such as `7` or `2const`.
    pub section: String,
    /// Date of the last change, `YYYY-MM-DD`.
    pub date: String,
    /// The version of the specification that it is part of.
    pub version: String,
    /// The sections of the page and their subsections, one after the other.
    pub sections: Vec<Section>,
    /// The Markdown.
    pub source: Source,
    /// Where the Markdown begins, after the front matter.
    pub(crate) body: usize,
}

impl Page {
    /// How other pages refer to it: `iomap_immutable(7)`.
    pub fn reference(&self) -> String {
        format!("{}({})", self.title, self.section)
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
#[derive(Debug, Clone)]
pub struct Section {
    /// A subsection belongs to the section before it.
    pub is_subsection: bool,
    /// The heading.
    pub heading: Vec<Inline>,
    /// What stands below it.
    pub blocks: Vec<Block>,
    pub(crate) span: Range<usize>,
}

impl Section {
    /// The heading without markup.
    pub fn title(&self) -> String {
        plain(&self.heading)
    }
}

/// Something that stands on lines of its own.
#[derive(Debug, Clone)]
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
        span: Range<usize>,
    },
    /// Rows and columns; only ever directly below a heading.
    Table(Table),
}

/// How far the body of a bullet is set in, in columns.
pub(crate) const BULLET_INSET: usize = 3;
/// The same for a numbered item.
pub(crate) const NUMBER_INSET: usize = 4;
/// The same for a definition or a clause: man(7)'s own default.
pub(crate) const TERM_INSET: usize = 7;

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
            Block::Paragraph(_) | Block::Clause(_) | Block::Code { .. } | Block::Table(_) => {}
        }
    }

    /// The text that stands in this block itself, not in a block inside it.
    pub(crate) fn inlines(&self) -> Vec<&[Inline]> {
        match self {
            Block::Paragraph(text) => vec![text],
            Block::Clause(clause) => vec![&clause.inlines],
            Block::Definitions(definitions) => definitions.iter().flat_map(|it| &it.terms).map(Vec::as_slice).collect(),
            Block::Table(table) => table.rows().flatten().map(Vec::as_slice).collect(),
            Block::List { .. } | Block::Code { .. } => vec![],
        }
    }
}

/// One or more terms and what is said about them.
#[derive(Debug, Clone)]
pub struct Definition {
    /// The terms, one on each source line.
    pub terms: Vec<Vec<Inline>>,
    /// The explanation.
    pub body: Vec<Block>,
}

/// A table: a header row and the others, all of the same length.
#[derive(Debug, Clone)]
pub struct Table {
    /// How each column is set.
    pub alignment: Vec<Alignment>,
    /// The header.
    pub header: Vec<Vec<Inline>>,
    /// The other rows.
    pub body: Vec<Vec<Vec<Inline>>>,
    /// Width of each column; a cell that is wider is wrapped.
    pub widths: Vec<usize>,
    /// All of it.
    pub span: Range<usize>,
}

/// Columns between two columns of a table: tbl(1)'s default.
pub(crate) const TABLE_GAP: usize = 3;

impl Table {
    /// Header and body.
    pub(crate) fn rows(&self) -> impl Iterator<Item = &Vec<Vec<Inline>>> {
        std::iter::once(&self.header).chain(&self.body)
    }

    /// Whether column `index` has cells that must be wrapped.
    pub(crate) fn wraps(&self, index: usize) -> bool {
        self.rows().any(|row| plain(&row[index]).width() > self.widths[index])
    }

    /// Column widths with which the table is at most `measure` wide, if there are any.
    pub(crate) fn fit(&self, measure: usize) -> Option<Vec<usize>> {
        let widest = |index: usize, width: fn(&str) -> usize| {
            self.rows().map(|row| width(&plain(&row[index]))).max().unwrap_or_default()
        };
        let columns = 0..self.alignment.len();
        let least: Vec<usize> = columns.clone().map(|at| widest(at, longest_word).max(1)).collect();
        let mut widths: Vec<usize> = columns.clone().map(|at| widest(at, |text| text.width()).max(1)).collect();
        let measure = measure.checked_sub(TABLE_GAP * widths.len().saturating_sub(1))?;
        // No column needs more than the measure; after that, the widest gives way until all have room.
        widths.iter_mut().zip(&least).for_each(|(width, least)| *width = (*width).min(measure).max(*least));
        while widths.iter().sum::<usize>() > measure {
            let at = columns.clone().filter(|&at| widths[at] > least[at]).max_by_key(|&at| widths[at])?;
            widths[at] -= 1;
        }
        Some(widths)
    }
}

fn longest_word(text: &str) -> usize {
    text.split(' ').map(UnicodeWidthStr::width).max().unwrap_or_default()
}

/// How a column is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alignment {
    /// Flush left.
    Left,
    /// Centred.
    Centre,
    /// Flush right.
    Right,
}

/// A piece of running text.
#[derive(Debug, Clone)]
pub enum Inline {
    /// Characters as they are read.
    Text {
        /// The characters, without a newline.
        text: String,
        /// Where in the source they begin.
        at: usize,
    },
    /// To be typed as it is.
    Code(String),
    /// Bold in a manual page: what is typed as it is, by man(7)'s custom.
    Strong(Vec<Inline>),
    /// Italic or underlined in a manual page: what stands for something else.
    Emphasis(Vec<Inline>),
    /// A link to the web.
    Link {
        /// Where to.
        url: String,
        /// What is read.
        content: Vec<Inline>,
    },
    /// `[some.clause]`.
    Reference {
        /// The id of the clause.
        id: String,
        /// Where in the source.
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
            Inline::Strong(content) | Inline::Emphasis(content) | Inline::Link { content, .. } => content,
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
        Inline::Strong(_) | Inline::Emphasis(_) | Inline::Link { .. } => {}
    };
    inlines.iter().for_each(|inline| inline.walk(&mut append));
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A sentence that can be cited, tested and violated.
#[derive(Debug, Clone)]
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
    /// Changes with the wording: the first 8 hex digits of SHA-256 over id, NUL, level, NUL, text.
    pub hash: String,
    /// Its file, as the caller named it.
    pub file: PathBuf,
    /// The line of its marker.
    pub line: usize,
    /// The lines of the marker in the source.
    pub(crate) marker: Range<usize>,
    /// Marker and text in the source.
    pub(crate) span: Range<usize>,
}

impl Clause {
    /// The constant of `iomap-clauses` that cites it: `TRUNCATE_SHRINK`.
    pub fn constant(&self) -> String {
        self.id.replace('.', "_").to_uppercase()
    }

    /// Level and outcomes for people: `must; ok, ETXTBSY`.
    pub fn envelope(&self) -> String {
        let outcomes: Vec<&str> =
            self.ok.then_some("ok").into_iter().chain(self.errnos.iter().map(|it| &**it)).collect();
        format!("{}; {}", self.level, outcomes.join(", "))
    }

    /// The id in the marker.
    pub(crate) fn id_span(&self) -> Range<usize> {
        let start = self.span.start + "r[".len();
        start..start + self.id.len()
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All of them, in order.
            pub const ALL: &[$name] = &[$($name::$variant),*];

            /// The word in the source.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How strictly a clause is meant.
    Level {
        /// Without it there is no conformance.
        Must = "must",
        /// Expected; a target that does otherwise says why.
        Should = "should",
        /// Allowed.
        May = "may",
    }
}

words! {
    /// What shows whether a clause holds.
    Observe {
        /// The result of the call.
        Call = "call",
        /// What is read from the file.
        Data = "data",
        /// What an agent sees on the storage.
        Storage = "storage",
        /// What is there after a crash.
        Crash = "crash",
        /// How long something takes.
        Time = "time",
    }
}
