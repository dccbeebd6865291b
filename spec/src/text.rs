//! Plain text of 72 columns, for mail.

use crate::backend::{Backend, MEASURE};
use crate::model::{
    self, Alignment, BULLET_INSET, Block, Clause, Inline, NUMBER_INSET, Page, QUOTE_INSET, Spec, TABLE_GAP, Table,
};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The plain text back end.
pub struct Text;

/// The indentation of text below its heading.
const INDENT: usize = 4;
/// The columns for the name of a fact about a clause.
const FACT: usize = 10;
/// The columns of a whole line.
const WIDTH: usize = INDENT + MEASURE;

impl Backend for Text {
    fn file_name(&self, page: &Page) -> String {
        page.stem() + ".txt"
    }

    fn page(&self, page: &Page) -> String {
        let of = match &page.ordinary {
            Some(ordinary) => ordinary.origin.clone(),
            None => format!("iomap-spec {}", page.version),
        };
        let mut out = spread(&page.reference(), format!("{of}  {}", page.date).trim());
        for section in &page.sections {
            let indent = if section.is_subsection { INDENT / 2 } else { 0 };
            out.push('\n');
            line(&mut out, indent, &section.title());
            for (index, block) in section.blocks.iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                self::block(&mut out, block, INDENT);
            }
        }
        out
    }
}

/// The address of the clause in the book, with its hash: the book compares the hash with the text that it shows.
pub fn permalink(base: &str, clause: &Clause) -> String {
    let page = clause.page.replace('(', ".").replace(')', "");
    format!("{}/{page}.html?{}#{}", base.trim_end_matches('/'), clause.hash, clause.id)
}

/// The clause for mail, with its address if the book is published at `base`.
pub fn cite(spec: &Spec, clause: &Clause, base: Option<&str>) -> String {
    let mut out = spread(
        &format!("{}  ({})", clause.id, clause.level),
        &format!("{} {}  {}", clause.page, spec.version, clause.hash),
    );
    out.push('\n');
    fill(&mut out, INDENT, &clause.text);
    if let Some(base) = base {
        out.push('\n');
        line(&mut out, INDENT, &format!("<{}>", permalink(base, clause)));
    }
    out
}

/// The clause for the middle of a sentence.
pub fn cite_on_one_line(spec: &Spec, clause: &Clause) -> String {
    format!("{} {} ({}, {})", clause.page, clause.id, spec.version, clause.hash)
}

/// The clause for the end of a commit message.
pub fn cite_as_trailer(clause: &Clause, base: &str) -> String {
    format!("Link: {} # {}", permalink(base, clause), clause.id)
}

/// The clause for a code forge: a quotation, and the citation below it, which is a link if the book is published at
/// `base`.
pub fn cite_in_markdown(spec: &Spec, clause: &Clause, base: Option<&str>) -> String {
    let cited = cite_on_one_line(spec, clause);
    let cited = base.map_or(cited.clone(), |base| format!("[{cited}]({})", permalink(base, clause)));
    let page = spec.pages.iter().find(|page| page.source.file == clause.file);
    let source = page.map_or("", |page| &page.source.text[clause.marker.end..clause.span.end]);
    format!("> {}\n>\n> \u{2014} {cited}\n", source.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// All facts about the clause.
pub fn show(clause: &Clause) -> String {
    let observe: Vec<&str> = clause.observe.iter().map(|it| it.as_str()).collect();
    let mut out = format!("{} ({})  {}, {}\n\n", clause.id, clause.envelope(), clause.page, clause.section);
    fill(&mut out, INDENT, &clause.text);
    out.push('\n');
    let mut fact = |name: &str, value: &str| {
        for (index, value) in wrap(value, MEASURE - FACT, MEASURE - FACT).into_iter().enumerate() {
            line(&mut out, INDENT, &format!("{:<FACT$}{value}", if index == 0 { name } else { "" }));
        }
    };
    if let Some(why) = &clause.why {
        fact("why", why);
    }
    fact("observed", &observe.join(", "));
    fact("since", &clause.since);
    fact("hash", &clause.hash);
    if let Some(reason) = &clause.uncased {
        fact("uncased", reason);
    }
    fact("source", &format!("{}:{}", clause.file.display(), clause.line));
    out
}

/// Fills paragraphs. Indented paragraphs and examples of wrong and right stay as they are.
pub fn paragraphs(text: &str) -> String {
    let filled = text.split("\n\n").map(|paragraph| {
        let mut out = String::new();
        match paragraph.starts_with([' ']) || paragraph.starts_with("wrong:") || paragraph.starts_with("right:") {
            true => paragraph.split('\n').for_each(|text| line(&mut out, 0, text)),
            false => fill(&mut out, 0, paragraph),
        }
        out
    });
    filled.collect::<Vec<_>>().join("\n")
}

fn line(out: &mut String, indent: usize, text: &str) {
    *out += format!("{:indent$}{text}", "").trim_end();
    out.push('\n');
}

/// One text at each end of a line, or on two lines if one is too short.
fn spread(left: &str, right: &str) -> String {
    if right.is_empty() {
        return format!("{left}\n");
    }
    let gap = WIDTH.saturating_sub(left.width() + right.width());
    match gap {
        0 | 1 => format!("{left}\n{:1$}{right}\n", "", WIDTH.saturating_sub(right.width())),
        _ => format!("{left}{:gap$}{right}\n", ""),
    }
}

/// Lines of at most `first` columns for the first line and `rest` for the others. A longer word stays whole, unless its
/// script has no spaces. `iomap_command::wrap` is for the messages of the commands, which are ASCII.
fn wrap(text: &str, first: usize, rest: usize) -> Vec<String> {
    let mut lines: Vec<String> = vec![String::new()];
    let mut used = 0;
    for word in words(text) {
        for (index, part) in parts(word).into_iter().enumerate() {
            let part = part.trim_matches(BREAK);
            let space = usize::from(index == 0 && used > 0);
            if used > 0 && used + space + part.width() > if lines.len() == 1 { first } else { rest } {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                if space > 0 && used > 0 {
                    line.push(' ');
                    used += 1;
                }
                *line += part;
                used += part.width();
            }
        }
    }
    lines
}

/// An invisible character at which a line may end.
const BREAK: char = '\u{200b}';

/// Splits into words, after which a line may end; a no-break space is part of a word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let is_place = |c: char| c.is_whitespace() && !matches!(c, '\u{a0}' | '\u{2007}' | '\u{202f}');
    text.split(is_place).filter(|word| !word.is_empty())
}

/// The parts of a word between which a line may end: next to each wide character, as in Chinese. Punctuation, marks and
/// joiners stay with the character that they belong to.
fn parts(word: &str) -> Vec<&str> {
    const JOINER: char = '\u{200d}';
    if word.is_ascii() {
        return vec![word];
    }
    let is_wide = |c: char| c.width() == Some(2);
    let (opens, closes) =
        ("\u{ff08}「『【〈《〔", "\u{ff09}」』】〉》〕、。\u{ff0c}\u{ff0e}\u{ff01}\u{ff1f}\u{ff1a}\u{ff1b}ー");
    let is_modifier = |c: char| c.width() == Some(0) || matches!(c, '\u{1f3fb}'..='\u{1f3ff}');
    let mut parts = vec![];
    let mut start = 0;
    let mut before = None;
    for (at, c) in word.char_indices() {
        let ends = before.is_some_and(|before| {
            before == BREAK
                || (is_wide(before) || is_wide(c) || last_wide(&word[start..at]))
                    && before != JOINER
                    && !is_modifier(c)
                    && !opens.contains(before)
                    && !closes.contains(c)
                    && !c.is_ascii_punctuation()
        });
        if ends {
            parts.push(&word[start..at]);
            start = at;
        }
        before = Some(c);
    }
    parts.push(&word[start..]);
    parts
}

/// Whether the last character that has a width is wide.
fn last_wide(text: &str) -> bool {
    text.chars().rev().find(|c| c.width() != Some(0)).is_some_and(|c| c.width() == Some(2))
}

fn fill(out: &mut String, indent: usize, text: &str) {
    hang(out, indent, indent, text);
}

/// Writes lines of 72 columns; the first line is indented by `first`, the others by `rest`.
pub fn hang(out: &mut String, first: usize, rest: usize, text: &str) {
    let lines = wrap(text, WIDTH.saturating_sub(first), WIDTH.saturating_sub(rest));
    for (number, text) in lines.iter().enumerate() {
        line(out, if number == 0 { first } else { rest }, text);
    }
}

/// The text with the targets of its links; forced ends of lines are newlines.
fn shown(inlines: &[Inline]) -> String {
    let mut text = String::new();
    model::show(inlines, "\n", &mut text);
    text
}

fn block(out: &mut String, block: &Block, indent: usize) {
    match block {
        Block::Paragraph(text) => {
            let text = shown(text);
            text.split('\n').filter(|text| !text.trim().is_empty()).for_each(|text| fill(out, indent, text));
        }
        Block::Clause(clause) => {
            line(out, indent, &format!("{} ({})", clause.id, clause.envelope()));
            fill(out, indent + INDENT, &shown(&clause.inlines));
        }
        Block::List { start, items } => {
            for (index, item) in items.iter().enumerate() {
                let (tag, inset) = match start {
                    Some(start) => (format!("{}.", start.saturating_add(index as u64)), NUMBER_INSET),
                    None => ("*".to_owned(), BULLET_INSET),
                };
                if index > 0 {
                    out.push('\n');
                }
                let body = blocks(item, indent + inset);
                // The tag replaces the indentation of the first line.
                *out += &format!("{:indent$}{tag:<inset$}{}", "", body.trim_start());
            }
        }
        Block::Definitions(definitions) => {
            for (index, definition) in definitions.iter().enumerate() {
                if index > 0 {
                    out.push('\n');
                }
                definition.terms.iter().for_each(|term| line(out, indent, &shown(term)));
                *out += &blocks(&definition.body, indent + INDENT);
            }
        }
        Block::Heading(text) => fill(out, indent.saturating_sub(1), &shown(text)),
        Block::Quote(content) => *out += &blocks(content, indent + QUOTE_INSET),
        Block::Rule => line(out, indent, "* * *"),
        Block::Table(table) if table.widths.is_empty() => {
            self::block(out, &Block::Definitions(table.as_definitions()), indent);
        }
        Block::Code { text, .. } => text.split('\n').for_each(|text| line(out, indent, text)),
        Block::Table(table) => self::table(out, table, indent),
    }
}

fn blocks(blocks: &[Block], indent: usize) -> String {
    let rendered = blocks.iter().map(|it| {
        let mut out = String::new();
        block(&mut out, it, indent);
        out
    });
    rendered.collect::<Vec<_>>().join("\n")
}

fn table(out: &mut String, table: &Table, indent: usize) {
    for (number, row) in table.rows().enumerate() {
        let cells: Vec<Vec<String>> =
            row.iter().zip(&table.widths).map(|(cell, width)| wrap(&model::shown(cell), *width, *width)).collect();
        let height = cells.iter().map(Vec::len).max().unwrap_or_default();
        for at in 0..height {
            let columns = cells.iter().zip(&table.widths).zip(&table.alignment).map(|((cell, &width), alignment)| {
                let text = cell.get(at).map_or("", String::as_str);
                let room = width.saturating_sub(text.width());
                let before = match alignment {
                    Alignment::Left => 0,
                    Alignment::Centre => room / 2,
                    Alignment::Right => room,
                };
                format!("{:before$}{text}{:after$}", "", "", after = room - before)
            });
            line(out, indent, &columns.collect::<Vec<_>>().join(&" ".repeat(TABLE_GAP)));
        }
        if number == 0 {
            let rule = table.widths.iter().sum::<usize>() + TABLE_GAP * table.widths.len().saturating_sub(1);
            line(out, indent, &"-".repeat(rule));
        }
    }
}
