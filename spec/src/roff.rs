//! Text as roff(7) input: fonts, characters, and places where a long word may be broken.

use crate::ordinary::BREAK_AFTER;
use std::borrow::Cow;
use std::fmt::Write as _;
use unicode_width::UnicodeWidthChar;

/// Words of ordinary pages that are longer than this may be broken after punctuation.
pub(crate) const LONG: usize = 30;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Font {
    Roman,
    Bold,
    Italic,
    BoldItalic,
}

impl Font {
    pub(crate) fn escape(self) -> &'static str {
        match self {
            Font::Roman => "\\fR",
            Font::Bold => "\\fB",
            Font::Italic => "\\fI",
            Font::BoldItalic => "\\f(BI",
        }
    }

    /// The letter of the font in the names of the font macros, which have no bold italic.
    pub(crate) fn letter(self) -> Option<char> {
        match self {
            Font::Roman => Some('R'),
            Font::Bold => Some('B'),
            Font::Italic => Some('I'),
            Font::BoldItalic => None,
        }
    }

    pub(crate) fn and(self, other: Font) -> Font {
        match (self, other) {
            (Font::Roman, font) | (font, Font::Roman) => font,
            (one, other) if one == other => one,
            _ => Font::BoldItalic,
        }
    }
}

/// Characters that roff interprets, or cannot print from Latin-1 input, and their escapes.
const GLYPHS: [(char, &str); 18] = [
    ('\\', "\\e"),
    ('"', "\\(dq"),
    ('^', "\\(ha"),
    ('`', "\\(ga"),
    ('~', "\\(ti"),
    ('\u{a0}', "\\~"),
    ('\u{200b}', "\\:"),
    ('×', "\\(mu"),
    ('–', "\\(en"),
    ('—', "\\(em"),
    ('‘', "\\(oq"),
    ('’', "\\(cq"),
    ('“', "\\(lq"),
    ('”', "\\(rq"),
    ('•', "\\(bu"),
    ('→', "\\(->"),
    ('≤', "\\(<="),
    ('≥', "\\(>="),
];

/// Bytes that need no escape in any place.
static PLAIN: [bool; 256] = plain_bytes();

const fn plain_bytes() -> [bool; 256] {
    let mut plain = [false; 256];
    let mut byte = b' ';
    while byte <= b'~' {
        plain[byte as usize] = !matches!(byte, b'\\' | b'"' | b'^' | b'`' | b'~' | b'-' | b'\'');
        byte += 1;
    }
    plain
}

pub(crate) fn is_plain(byte: u8) -> bool {
    PLAIN[usize::from(byte)]
}

/// Adds the escaped text. Bold text is literal: its `-` and `'` must be the characters that a shell or a compiler
/// reads.
pub(crate) fn escape_to(out: &mut String, text: &str, font: Font) {
    let mut rest = text;
    loop {
        let plain = rest.bytes().position(|byte| !PLAIN[usize::from(byte)]).unwrap_or(rest.len());
        out.push_str(&rest[..plain]);
        rest = &rest[plain..];
        let Some(c) = rest.chars().next() else { return };
        rest = &rest[c.len_utf8()..];
        match (c, font) {
            ('-', Font::Bold) => out.push_str("\\-"),
            ('\'', Font::Bold) => out.push_str("\\(aq"),
            ('-' | '\'' | '\n' | '\t', _) => out.push(c),
            // Entities can stand for control characters.
            (c, _) if c.is_ascii_control() => out.push_str("\\[uFFFD]"),
            (c, _) => match GLYPHS.iter().find(|(glyph, _)| *glyph == c) {
                Some((_, name)) => out.push_str(name),
                None => {
                    let _ = write!(out, "\\[u{:04X}]", u32::from(c));
                }
            },
        }
    }
}

/// The text, escaped.
pub(crate) fn escape(text: &str, font: Font) -> String {
    let mut escaped = String::with_capacity(text.len() + text.len() / 8);
    escape_to(&mut escaped, text, font);
    escaped
}

/// Replaces the hyphens of the word, which is roff, by hyphen-minus if the word is a name: of a file, an option, a page
/// or similar. In any other word a hyphen is punctuation, which formatters may print as another character.
pub(crate) fn typed_hyphens(word: &str) -> Cow<'_, str> {
    let is_hyphen = |(at, _): &(usize, &str)| !word[..*at].ends_with('\\');
    if !word.match_indices('-').any(|hyphen| is_hyphen(&hyphen)) || !is_name(&seen(word)) {
        return Cow::Borrowed(word);
    }
    let mut typed = String::with_capacity(word.len() + 4);
    escape_hyphens(&mut typed, word);
    Cow::Owned(typed)
}

/// Adds roff, with each hyphen as hyphen-minus.
pub(crate) fn escape_hyphens(out: &mut String, roff: &str) {
    for (glyph, _) in glyphs(roff) {
        out.push_str(if glyph == "-" { "\\-" } else { glyph });
    }
}

/// The text of roff as a reader sees it: each escape for a character outside ASCII becomes one character.
fn seen(roff: &str) -> String {
    let escapes = [("\\-", "-"), ("\\e", "\\"), ("\\(ti", "~"), ("\\(ha", "^"), ("\\(aq", "'"), ("\\(dq", "\"")];
    let shown = glyphs(roff).filter(|(_, width)| *width > 0).map(|(glyph, _)| {
        let escape = escapes.iter().find(|(escape, _)| *escape == glyph);
        escape.map_or(if glyph.starts_with('\\') { "\u{a0}" } else { glyph }, |(_, text)| *text)
    });
    shown.collect()
}

/// Whether a word with a hyphen has to stay typable: English words have none of these characters.
fn is_name(word: &str) -> bool {
    let outside = |c: char| !c.is_alphanumeric() && !"-/~$_*%@\\.".contains(c);
    let word = word.trim_start_matches(outside);
    // A reference to a page: `my-app(8)`.
    let reference = word.split_once('(').is_some_and(|(name, rest)| {
        let section = rest.split(')').next().unwrap_or_default();
        name.ends_with(|c: char| c.is_ascii_alphanumeric())
            && section.starts_with(|c: char| c.is_ascii_digit())
            && section.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && rest.len() > section.len()
    });
    let word = word.trim_end_matches(|c: char| outside(c) || c == '.');
    let bytes = word.as_bytes();
    let signed = |pair: &[u8]| match *pair {
        // An option, or alternatives of an option: `-x|--long`.
        [before, b'-'] if !before.is_ascii_alphanumeric() && before.is_ascii() => true,
        // A version, a date, an encoding: `2026-01-31`, `UTF-8`.
        [b'-', after] => after.is_ascii_digit() || b"-*_$./~".contains(&after),
        // A name with a suffix, not the end of a sentence.
        [b'.', after] => after.is_ascii_alphanumeric() || b"-/*".contains(&after),
        [before, _] => b"/_~$*%@=\\:#".contains(&before),
        _ => false,
    };
    reference
        || bytes.starts_with(b"-")
        || bytes.ends_with(b"*")
        || bytes.ends_with(b"/")
        || bytes.windows(2).any(signed)
}

/// A URL may be broken after a slash.
pub(crate) fn escape_url(url: &str) -> String {
    let (scheme, rest) = url.split_at(url.find("://").map_or(0, |at| at + "://".len()));
    escape(scheme, Font::Bold) + &escape(rest, Font::Bold).replace('/', "/\\:")
}

/// The escape that keeps a line of text from being a request.
pub(crate) fn guard(line: &str) -> &'static str {
    if line.starts_with(['.', '\'']) { "\\&" } else { "" }
}

/// Strings that may stand between a full stop and the end of its sentence.
const CLOSERS: [&str; 8] = [")", "]", "'", "*", "\\fR", "\\(dq", "\\(rq", "\\(cq"];

/// Whether roff would add the space between sentences after this line.
pub(crate) fn ends_sentence(mut line: &str) -> bool {
    while let Some(shorter) = CLOSERS.iter().find_map(|closer| line.strip_suffix(closer)) {
        line = shorter;
    }
    line.ends_with(['.', '?', '!'])
}

/// `line`, which is roff, with places to break in each word that is longer than `room` columns. Other lines are
/// returned unchanged.
pub(crate) fn broken(line: &str, room: Option<usize>) -> Cow<'_, str> {
    let Some(room) = room else { return Cow::Borrowed(line) };
    let least = room.min(LONG);
    if line.len() <= least || line.split(' ').all(|word| columns(word) <= least) {
        return Cow::Borrowed(line);
    }
    let words =
        line.split(' ').map(|word| if columns(word) > least { broken_word(word, room) } else { word.to_owned() });
    Cow::Owned(words.collect::<Vec<_>>().join(" "))
}

/// The word with places to break after punctuation, and inside parts that are still longer than `room` columns.
pub(crate) fn broken_word(word: &str, room: usize) -> String {
    /// Shorter pieces would not make the text more readable.
    const LEAST: usize = 4;
    let mut broken = String::with_capacity(word.len() * 2);
    let mut used = 0;
    let mut glyphs = glyphs(word).peekable();
    while let Some((glyph, width)) = glyphs.next() {
        if used > 0 && used + width > room {
            broken += "\\:";
            used = 0;
        }
        broken += glyph;
        used += width;
        let ends_here = |next: &str| next != "\\:" && !is_punctuation(next);
        if is_punctuation(glyph) && used >= LEAST && glyphs.peek().is_some_and(|(next, _)| ends_here(next)) {
            broken += "\\:";
            used = 0;
        } else if glyph == "\\:" {
            used = 0;
        }
    }
    broken
}

fn is_punctuation(glyph: &str) -> bool {
    glyph == "\\-" || matches!(glyph.as_bytes(), [byte] if BREAK_AFTER.contains(byte))
}

pub(crate) fn columns(word: &str) -> usize {
    // An escape is longer than its output, so a short source needs no exact width.
    if word.len() < LONG / 4 { word.len() } else { glyphs(word).map(|(_, width)| width).sum() }
}

/// Characters and escape sequences, and the columns of each.
pub(crate) fn glyphs(text: &str) -> impl Iterator<Item = (&str, usize)> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let (length, width) = match (first, rest.as_bytes().get(1)) {
            ('\\', Some(b'f')) => (if rest[2..].starts_with('(') { 5 } else { 3 }, 0),
            ('\\', Some(b'&' | b'%' | b':')) => (2, 0),
            ('\\', Some(b'(')) => (4, 1),
            ('\\', Some(b'[')) => {
                let end = rest.find(']').map_or(rest.len(), |at| at + 1);
                let code = rest.get(3..end - 1).and_then(|hex| u32::from_str_radix(hex, 16).ok());
                (end, code.and_then(char::from_u32).and_then(UnicodeWidthChar::width).unwrap_or(1))
            }
            ('\\', Some(_)) => (2, 1),
            _ => (first.len_utf8(), 1),
        };
        let (glyph, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        rest = after;
        Some((glyph, width))
    })
}
