//! The blocks of an ordinary page under construction. Markdown and HTML can contain each other, and authors close HTML
//! elements anywhere, or never.

use crate::model::{Alignment, BULLET_INSET, Block, Definition, Inline, NUMBER_INSET, QUOTE_INSET, TERM_INSET, Table};

/// The kinds of elements that HTML opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    List(Option<u64>),
    Item,
    Definitions,
    Term,
    Body,
    Table,
    Row,
    Cell,
    Quote,
}

/// The content of an open element.
enum Child {
    Block(Block),
    Item(Vec<Block>),
    Term(Vec<Inline>),
    Body(Vec<Block>),
    Row(Vec<Vec<Inline>>),
    Cell(Vec<Inline>),
}

struct Open {
    kind: Kind,
    /// Whether this element was not written by the author, but is required around another element.
    implied: bool,
    children: Vec<Child>,
}

/// The finished blocks, and the open elements.
#[derive(Default)]
pub(crate) struct Flow {
    blocks: Vec<Block>,
    open: Vec<Open>,
}

/// The maximum depth of nested elements.
const DEEPEST: usize = 24;

impl Kind {
    fn is(self, other: Kind) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }

    /// The indentation of the element's content.
    fn inset(self) -> usize {
        match self {
            Kind::Item => BULLET_INSET.max(NUMBER_INSET),
            Kind::Body => TERM_INSET,
            Kind::Quote => QUOTE_INSET,
            _ => 0,
        }
    }

    /// The kind of element that has to contain this kind, and the kinds that end the search for it.
    fn place(self) -> Option<(Kind, &'static [Kind])> {
        match self {
            Kind::Item => Some((Kind::List(None), &[Kind::Body, Kind::Cell, Kind::Quote])),
            Kind::Term | Kind::Body => Some((Kind::Definitions, &[Kind::Item, Kind::Cell, Kind::Quote])),
            Kind::Row => Some((Kind::Table, &[Kind::Item, Kind::Body, Kind::Quote])),
            Kind::Cell => Some((Kind::Row, &[Kind::Table, Kind::Item, Kind::Body, Kind::Quote])),
            _ => None,
        }
    }
}

impl Flow {
    /// The indentation of the next block.
    pub(crate) fn inset(&self) -> usize {
        self.open.iter().map(|open| open.kind.inset()).sum()
    }

    pub(crate) fn push(&mut self, block: Block) {
        self.child(Child::Block(block));
    }

    fn child(&mut self, child: Child) {
        match (self.open.last_mut(), child) {
            (Some(open), child) => open.children.push(child),
            (None, Child::Block(block)) => self.blocks.push(block),
            // Items, terms and cells are never outside of their container: it is always opened first.
            (None, Child::Item(blocks) | Child::Body(blocks)) => self.blocks.extend(blocks),
            (None, Child::Term(text) | Child::Cell(text)) => self.blocks.push(Block::Paragraph(text)),
            (None, Child::Row(cells)) => self.blocks.extend(cells.into_iter().map(Block::Paragraph)),
        }
    }

    /// Begins an element, after the element that has to contain it; `room` is the indentation still allowed.
    pub(crate) fn open(&mut self, kind: Kind, room: usize) {
        if let Some((place, barriers)) = kind.place() {
            let top = self
                .open
                .iter()
                .rposition(|open| open.kind.is(place) || barriers.iter().any(|barrier| open.kind.is(*barrier)));
            match top.filter(|top| self.open[*top].kind.is(place)) {
                Some(top) => self.close_to(top + 1),
                None => {
                    // Close the open elements inside the barrier.
                    self.close_to(top.map_or(0, |top| top + 1));
                    self.open(place, room);
                    if let Some(open) = self.open.last_mut() {
                        open.implied = true;
                    }
                }
            }
        }
        if self.inset() + kind.inset() <= room && self.open.len() < DEEPEST {
            self.open.push(Open { kind, implied: false, children: vec![] });
        }
    }

    /// Ends the innermost element of this kind, and the elements in it.
    pub(crate) fn close(&mut self, kind: Kind) {
        if let Some(at) = self.open.iter().rposition(|open| open.kind.is(kind)) {
            self.close_to(at);
        }
    }

    /// Ends the outermost element that the author did not write, and the elements in it.
    pub(crate) fn close_implied(&mut self) {
        if let Some(at) = self.open.iter().position(|open| open.implied) {
            self.close_to(at);
        }
    }

    fn close_to(&mut self, length: usize) {
        while self.open.len() > length
            && let Some(Open { kind, children, .. }) = self.open.pop()
        {
            let mut beside = vec![];
            let whole = match kind {
                Kind::List(start) => {
                    let items: Vec<Vec<Block>> = children.into_iter().map(blocks_of).collect();
                    (!items.is_empty()).then_some(Child::Block(Block::List { start, items }))
                }
                Kind::Definitions => {
                    let list = definitions(children);
                    (!list.is_empty()).then_some(Child::Block(Block::Definitions(list)))
                }
                Kind::Table => {
                    let (table, others) = table(children);
                    beside = others;
                    table.map(|table| Child::Block(Block::Table(table)))
                }
                Kind::Row => {
                    let cells: Vec<Vec<Inline>> = children.into_iter().map(text_of).collect();
                    (!cells.is_empty()).then_some(Child::Row(cells))
                }
                Kind::Quote => {
                    let blocks = all_blocks(children);
                    (!blocks.is_empty()).then_some(Child::Block(Block::Quote(blocks)))
                }
                Kind::Item => Some(Child::Item(all_blocks(children))),
                Kind::Body => Some(Child::Body(all_blocks(children))),
                Kind::Term => Some(Child::Term(flat(&all_blocks(children)))),
                Kind::Cell => Some(Child::Cell(flat(&all_blocks(children)))),
            };
            beside.into_iter().for_each(|block| self.push(block));
            if let Some(whole) = whole {
                self.child(whole);
            }
        }
    }

    /// All blocks; closes the elements that are still open.
    pub(crate) fn finish(mut self) -> Vec<Block> {
        self.close_to(0);
        self.blocks
    }
}

fn all_blocks(children: Vec<Child>) -> Vec<Block> {
    children.into_iter().flat_map(blocks_of).collect()
}

fn blocks_of(child: Child) -> Vec<Block> {
    match child {
        Child::Block(block) => vec![block],
        Child::Item(blocks) | Child::Body(blocks) => blocks,
        Child::Term(text) | Child::Cell(text) => vec![Block::Paragraph(text)],
        Child::Row(cells) => cells.into_iter().map(Block::Paragraph).collect(),
    }
}

fn text_of(child: Child) -> Vec<Inline> {
    match child {
        Child::Term(text) | Child::Cell(text) => text,
        child => flat(&blocks_of(child)),
    }
}

fn definitions(children: Vec<Child>) -> Vec<Definition> {
    let mut list: Vec<Definition> = vec![];
    for child in children {
        match (child, list.last_mut()) {
            (Child::Term(term), Some(last)) if last.body.is_empty() => last.terms.push(term),
            (Child::Term(term), _) => list.push(Definition { terms: vec![term], body: vec![] }),
            (child, Some(last)) => last.body.extend(blocks_of(child)),
            (child, None) => list.push(Definition { terms: vec![vec![]], body: blocks_of(child) }),
        }
    }
    list
}

/// The rows, the first of which is the header, and the other blocks among them, such as a caption.
fn table(children: Vec<Child>) -> (Option<Table>, Vec<Block>) {
    let (mut rows, mut others) = (vec![], vec![]);
    for child in children {
        match child {
            Child::Row(cells) => rows.push(cells),
            child => others.extend(blocks_of(child)),
        }
    }
    let columns = rows.iter().map(Vec::len).max().unwrap_or_default();
    rows.iter_mut().for_each(|row| row.resize(columns, vec![]));
    if rows.is_empty() {
        return (None, others);
    }
    let body = rows.split_off(1);
    let header = rows.pop().unwrap_or_default();
    let alignment = vec![Alignment::Left; columns];
    (Some(Table { alignment, header, body, widths: vec![], span: 0..0 }), others)
}

/// The text of blocks, for a place where no block is allowed.
pub(crate) fn flat(blocks: &[Block]) -> Vec<Inline> {
    let mut text = vec![];
    for block in blocks {
        block.walk(0, &mut |block, _| {
            if let Block::Code { text: code, .. } = block {
                text.extend([Inline::Newline, Inline::Code(code.replace('\n', " "))]);
            }
            for part in block.inlines() {
                text.push(Inline::Newline);
                text.extend_from_slice(part);
            }
        });
    }
    // Drop the separator before the first text.
    text.into_iter().skip(1).collect()
}
