//! Writes running text as lines of roff. Lines break as in the source, and where they are too long; fonts are macros.

use crate::model::{Inline, STRIKE, Target, target};
use crate::roff::{
    Font, LONG, broken, broken_word, columns, ends_sentence, escape_hyphens, escape_to, escape_url, guard, is_plain,
    typed_hyphens,
};
use std::borrow::Cow;
use std::fmt::Write as _;

/// mandoc's style check allows 80 bytes; the rest is for quoting in mail.
const LINE: usize = 74;

/// A part of running text.
enum Piece<'a> {
    /// Text as it is in the model.
    Text(Font, &'a str),
    /// Characters without white space among them.
    Run(Font, &'a str),
    /// An address that is its own text.
    Address(Font, &'a str),
    Space,
    Newline,
    Break,
    OpenLink(&'a str),
    CloseLink,
}

/// Hands the parts of running text to `out`, in order. An image inside a link is not a link of its own.
fn pieces<'a>(inlines: &'a [Inline], font: Font, in_link: bool, out: &mut dyn FnMut(Piece<'a>)) {
    for inline in inlines {
        match inline {
            Inline::Text { text, .. } => out(Piece::Text(font, text)),
            Inline::Code(text) => out(Piece::Text(Font::Bold, text)),
            Inline::Strong(content) => pieces(content, font.and(Font::Bold), in_link, out),
            Inline::Emphasis(content) => pieces(content, font.and(Font::Italic), in_link, out),
            Inline::Strike(content) => {
                out(Piece::Run(font, STRIKE));
                pieces(content, font, in_link, out);
                out(Piece::Run(font, STRIKE));
            }
            Inline::Reference { id, .. } => out(Piece::Run(Font::Bold, id)),
            Inline::Link { url, content } | Inline::Image { url, content } => match target(url, content) {
                // mandoc warns of a link that has no text besides its address.
                Target::Alone => out(Piece::Address(font, url)),
                Target::Named => pieces(content, font, in_link, out),
                Target::Beside if in_link => {
                    pieces(content, font, in_link, out);
                    out(Piece::Space);
                    out(Piece::Address(font, url));
                }
                Target::Beside => {
                    out(Piece::OpenLink(url));
                    pieces(content, font, true, out);
                    out(Piece::CloseLink);
                }
            },
            Inline::Newline => out(Piece::Newline),
            Inline::Break => out(Piece::Break),
        }
    }
}

/// Hands the words of the text and the spaces between them to `out`.
fn words(text: &str, font: Font, out: &mut impl FnMut(Piece<'_>)) {
    let is_space = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_whitespace);
    if is_space(text.as_bytes().first()) {
        out(Piece::Space);
    }
    for (index, word) in text.split_ascii_whitespace().enumerate() {
        if index > 0 {
            out(Piece::Space);
        }
        out(Piece::Run(font, word));
    }
    if is_space(text.as_bytes().last()) {
        out(Piece::Space);
    }
}

/// Characters, each with its font.
#[derive(Default)]
struct Word {
    text: String,
    /// Each font, and where its characters begin in the text.
    runs: Vec<(Font, usize)>,
}

impl Word {
    fn font(&mut self, font: Font) {
        if self.runs.last().is_none_or(|(last, _)| *last != font) {
            self.runs.push((font, self.text.len()));
        }
    }

    fn push(&mut self, font: Font, text: &str, begins_word: bool) {
        self.font(font);
        match text.strip_prefix('-') {
            // An option: its dashes are not hyphens.
            Some(rest) if begins_word && rest.starts_with(|c: char| c == '-' || c.is_ascii_alphabetic()) => {
                escape_dashes(&mut self.text, text, font);
            }
            // A dash or a negative number.
            Some(rest) if begins_word => {
                self.text += "\\-";
                escape_to(&mut self.text, rest, font);
            }
            _ if text.as_bytes().contains(&b':') && text.contains("://") => escape_dashes(&mut self.text, text, font),
            _ => escape_to(&mut self.text, text, font),
        }
    }

    fn address(&mut self, font: Font, url: &str) {
        self.font(font);
        let _ = write!(self.text, "<{}>", escape_url(url));
    }

    fn runs(&self) -> impl Iterator<Item = (Font, &str)> {
        let ends = self.runs.iter().skip(1).map(|(_, start)| *start).chain([self.text.len()]);
        self.runs.iter().zip(ends).map(|((font, start), end)| (*font, &self.text[*start..end]))
    }

    /// The word with font escapes.
    fn with_escapes(&self) -> String {
        let mut text = String::with_capacity(self.text.len() + 4 * self.runs.len());
        let mut current = Font::Roman;
        for (font, part) in self.runs() {
            if font != current {
                text += font.escape();
            }
            current = font;
            text += part;
        }
        if current != Font::Roman {
            text += Font::Roman.escape();
        }
        text
    }

    /// The macro that prints these runs, if they alternate between two fonts.
    fn alternating(&self) -> Option<[char; 2]> {
        let [(one, _), (other, _), ..] = self.runs[..] else { return None };
        let two_fonts =
            self.runs.iter().enumerate().all(|(at, (font, _))| *font == if at % 2 == 0 { one } else { other });
        Some([one.letter()?, other.letter()?]).filter(|_| two_fonts)
    }

    /// Replaces the hyphens in a name by hyphen-minus, which can be copied and typed.
    fn typed(&mut self) {
        // Only the whole word shows whether it is a name; in a part of it, font escapes look like letters.
        if let Cow::Owned(_) = typed_hyphens(&self.text) {
            let mut typed = Word::default();
            for (font, text) in self.runs() {
                typed.font(font);
                escape_hyphens(&mut typed.text, text);
            }
            *self = typed;
        }
    }

    /// Inserts places to break into a long word.
    fn break_up(&mut self, room: usize) {
        let least = room.min(LONG);
        if self.text.len() > least && columns(&self.text) > least {
            let mut broken = Word::default();
            for (font, text) in self.runs() {
                broken.font(font);
                broken.text += &broken_word(text, room);
            }
            *self = broken;
        }
    }

    fn clear(&mut self) {
        self.text.clear();
        self.runs.clear();
    }
}

/// The number of bytes at the beginning of the text that need no escape or check: a word or a part of it.
fn simple_length(text: &str) -> usize {
    text.bytes().position(|byte| !is_plain(byte) || byte == b'@' || byte == b' ').unwrap_or(text.len())
}

/// Escapes the text; its hyphens become hyphen-minus, which can be typed.
fn escape_dashes(out: &mut String, text: &str, font: Font) {
    for (index, part) in text.split('-').enumerate() {
        if index > 0 {
            out.push_str("\\-");
        }
        escape_to(out, part, font);
    }
}

/// All of the text on one line with font escapes, for places that allow no macro.
pub(crate) fn line_of(inlines: &[Inline]) -> String {
    let mut word = Word::default();
    let mut urls = vec![];
    let mut add = |piece: Piece<'_>| match piece {
        Piece::Run(font, text) => {
            let begins_word = word.text.is_empty() || word.text.ends_with(' ');
            word.push(font, text, begins_word);
        }
        Piece::Address(font, url) => word.address(font, url),
        Piece::OpenLink(url) => urls.push(escape_url(url)),
        Piece::CloseLink => {
            word.font(Font::Roman);
            let _ = write!(word.text, " <{}>", urls.pop().unwrap_or_default());
        }
        Piece::Text(..) | Piece::Space | Piece::Newline | Piece::Break => {
            word.font(Font::Roman);
            word.text.push(' ');
        }
    };
    pieces(inlines, Font::Roman, false, &mut |piece| match piece {
        Piece::Text(font, text) => words(text, font, &mut add),
        piece => add(piece),
    });
    let line = word.with_escapes();
    line.split(' ').filter(|word| !word.is_empty()).map(typed_hyphens).collect::<Vec<_>>().join(" ")
}

/// The words on one line without font escapes, if all of them are bold.
pub(crate) fn bold_line_of(inlines: &[Inline]) -> Option<String> {
    let mut word = Word::default();
    let mut is_bold = true;
    let mut add = |piece: Piece<'_>| match piece {
        Piece::Run(Font::Bold, text) => {
            let begins_word = word.text.is_empty() || word.text.ends_with(' ');
            word.push(Font::Bold, text, begins_word);
        }
        Piece::Space if !word.text.is_empty() && !word.text.ends_with(' ') => word.text.push(' '),
        _ => is_bold = false,
    };
    pieces(inlines, Font::Roman, false, &mut |piece| match piece {
        Piece::Text(font, text) => words(text, font, &mut add),
        piece => add(piece),
    });
    Some(word.text).filter(|text| is_bold && !text.is_empty() && !text.ends_with(' '))
}

/// Writes running text. If `room` is too narrow for a word, the word gets places to break.
pub(crate) fn fill(out: &mut String, inlines: &[Inline], room: Option<usize>) {
    let mut lines = Lines {
        out,
        line: String::with_capacity(2 * LINE),
        kind: Kind::Text,
        word: Word::default(),
        link: false,
        started: false,
        ends: false,
        room,
    };
    pieces(inlines, Font::Roman, false, &mut |piece| lines.piece(piece));
    lines.end_word();
    lines.end_line(true);
}

/// The kind of the line under construction.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Text, to which words can be added.
    Text,
    /// The arguments of `.B` or `.I`, to which words can be added.
    Font(Font),
    /// A finished macro line.
    Macro,
}

struct Lines<'a> {
    out: &'a mut String,
    line: String,
    kind: Kind,
    word: Word,
    /// The word under construction is the punctuation after a link.
    link: bool,
    /// Whether there is text before a forced end of line, and whether such an end is still to be written.
    started: bool,
    ends: bool,
    /// The columns that a word has, if that matters.
    room: Option<usize>,
}

impl Lines<'_> {
    /// Adds text. A plain word goes straight to its line.
    fn text(&mut self, font: Font, text: &str) {
        let longest = self.room.map_or(LINE, |room| room.min(LONG));
        let mut rest = text;
        while !rest.is_empty() {
            let length = simple_length(rest);
            let ends = rest.as_bytes().get(length).is_some_and(u8::is_ascii_whitespace);
            if ends && length > 0 && length <= longest && font == Font::Roman && self.word.runs.is_empty() && !self.link
            {
                self.add(Kind::Text, &rest[..length]);
                rest = &rest[length + 1..];
                continue;
            }
            let length = rest.bytes().position(|byte| byte.is_ascii_whitespace()).unwrap_or(rest.len());
            if length > 0 {
                self.piece(Piece::Run(font, &rest[..length]));
            }
            if length < rest.len() {
                self.end_word();
            }
            rest = rest.get(length + 1..).unwrap_or_default();
        }
    }

    fn piece(&mut self, piece: Piece<'_>) {
        match piece {
            Piece::Text(font, text) => self.text(font, text),
            Piece::Run(font, text) => {
                let begins_word = self.word.runs.is_empty();
                self.word.push(font, text, begins_word);
            }
            Piece::Address(font, url) => self.word.address(font, url),
            Piece::Space => self.end_word(),
            Piece::Newline => {
                self.end_word();
                self.end_line(true);
            }
            Piece::Break => {
                self.end_word();
                self.end_line(true);
                self.ends = self.started;
            }
            Piece::OpenLink(url) => {
                let glued = !self.word.runs.is_empty() && !self.link;
                self.end_word();
                if glued {
                    self.line += "\\c";
                }
                self.end_line(false);
                self.forced_end();
                let _ = writeln!(self.out, ".UR {}", broken(&escape_url(url), self.room));
            }
            Piece::CloseLink => {
                self.end_word();
                self.end_line(false);
                self.link = true;
            }
        }
    }

    /// Writes the forced end of the last line, now that another line follows.
    fn forced_end(&mut self) {
        if std::mem::take(&mut self.ends) {
            *self.out += ".br\n";
        }
        self.started = true;
    }

    fn end_word(&mut self) {
        if self.word.runs.is_empty() && !self.link {
            return;
        }
        let mut word = std::mem::take(&mut self.word);
        if std::mem::take(&mut self.link) {
            if let Some(room) = self.room {
                word.break_up(room);
            }
            self.end_line(false);
            self.kind = Kind::Macro;
            self.line += ".UE ";
            self.line += &word.with_escapes();
            self.line.truncate(self.line.trim_end().len());
        } else {
            self.finished(&mut word);
        }
        // Keep the buffer for the next word.
        word.clear();
        self.word = word;
    }

    fn finished(&mut self, word: &mut Word) {
        word.typed();
        // Reading a hyphenated literal or address, one could not tell the added hyphen from a real one, so `\%` forbids
        // hyphenation. It does so only at the beginning of a word; inside, it would permit it.
        if word.runs.iter().any(|(font, _)| *font == Font::Bold) || word.text.contains('@') {
            word.text.insert_str(0, "\\%");
            word.runs.iter_mut().skip(1).for_each(|(_, start)| *start += "\\%".len());
        }
        if let Some(room) = self.room {
            word.break_up(room);
        }
        match word.runs[..] {
            [(Font::Roman, _)] => self.add(Kind::Text, &word.text),
            [(font @ (Font::Bold | Font::Italic), _)] => self.add(Kind::Font(font), &word.text),
            _ => match word.alternating() {
                Some([one, other]) => {
                    self.end_line(false);
                    self.kind = Kind::Macro;
                    self.line.extend(['.', one, other]);
                    for (_, run) in word.runs() {
                        self.line.push(' ');
                        self.line += run;
                    }
                }
                None => self.add(Kind::Text, &word.with_escapes()),
            },
        }
    }

    /// Adds a word to the line if it is of the same kind and has room.
    fn add(&mut self, kind: Kind, word: &str) {
        if self.kind == kind && !self.line.is_empty() && self.line.len() + 1 + word.len() <= LINE {
            self.line.push(' ');
        } else {
            self.end_line(false);
            self.kind = kind;
            if let Kind::Font(font) = kind {
                self.line.extend(['.', font.letter().unwrap_or('R'), ' ']);
            }
        }
        self.line += word;
    }

    /// Writes the line. A full stop at its end must not end a sentence if the source line goes on.
    fn end_line(&mut self, in_source: bool) {
        if self.line.is_empty() {
            return;
        }
        self.forced_end();
        if self.kind == Kind::Text {
            *self.out += guard(&self.line);
        }
        *self.out += &self.line;
        *self.out += if !in_source && ends_sentence(&self.line) { "\\&\n" } else { "\n" };
        self.line.clear();
    }
}
