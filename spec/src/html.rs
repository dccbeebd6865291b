//! The few tags of HTML that manual pages in Markdown use.
//!
//! A tag is markup only if its name is in [`NAMES`]: everything else between `<` and `>` is text, because most of it is
//! a placeholder such as `<container>`, and the reader needs to see it. Comments vanish.

use crate::flow::Kind;
use crate::model::Inline;

/// The effect of a tag on the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    Strong,
    Emphasis,
    Strike,
    Link,
    Image,
    Break,
    /// A block whose content has lines of its own.
    Lines,
    /// A block that contains other blocks.
    Holds(Kind),
    Heading,
    Rule,
    /// Preformatted lines.
    Pre,
    Nothing,
}

const NAMES: [(&str, Effect); 72] = [
    ("a", Effect::Link),
    ("b", Effect::Strong),
    ("big", Effect::Nothing),
    ("blockquote", Effect::Holds(Kind::Quote)),
    ("br", Effect::Break),
    ("center", Effect::Lines),
    ("cite", Effect::Emphasis),
    ("code", Effect::Strong),
    ("dd", Effect::Holds(Kind::Body)),
    ("del", Effect::Strike),
    ("details", Effect::Lines),
    ("dfn", Effect::Emphasis),
    ("div", Effect::Lines),
    ("dl", Effect::Holds(Kind::Definitions)),
    ("dt", Effect::Holds(Kind::Term)),
    ("em", Effect::Emphasis),
    ("font", Effect::Nothing),
    ("h1", Effect::Heading),
    ("h2", Effect::Heading),
    ("h3", Effect::Heading),
    ("h4", Effect::Heading),
    ("h5", Effect::Heading),
    ("h6", Effect::Heading),
    ("hr", Effect::Rule),
    ("i", Effect::Emphasis),
    ("img", Effect::Image),
    ("ins", Effect::Nothing),
    ("kbd", Effect::Strong),
    ("li", Effect::Holds(Kind::Item)),
    ("mark", Effect::Nothing),
    ("ol", Effect::Holds(Kind::List(Some(1)))),
    ("p", Effect::Lines),
    ("pre", Effect::Pre),
    ("q", Effect::Nothing),
    ("s", Effect::Strike),
    ("samp", Effect::Strong),
    ("section", Effect::Lines),
    ("small", Effect::Nothing),
    ("span", Effect::Nothing),
    ("strike", Effect::Strike),
    ("strong", Effect::Strong),
    ("sub", Effect::Nothing),
    ("summary", Effect::Lines),
    ("sup", Effect::Nothing),
    ("table", Effect::Holds(Kind::Table)),
    ("tbody", Effect::Lines),
    ("td", Effect::Holds(Kind::Cell)),
    ("tfoot", Effect::Lines),
    ("th", Effect::Holds(Kind::Cell)),
    ("thead", Effect::Lines),
    ("tr", Effect::Holds(Kind::Row)),
    ("tt", Effect::Strong),
    ("u", Effect::Nothing),
    ("ul", Effect::Holds(Kind::List(None))),
    ("wbr", Effect::Nothing),
    ("caption", Effect::Lines),
    ("figure", Effect::Lines),
    ("figcaption", Effect::Lines),
    ("nobr", Effect::Nothing),
    ("abbr", Effect::Nothing),
    ("acronym", Effect::Nothing),
    ("article", Effect::Lines),
    ("aside", Effect::Lines),
    ("bdi", Effect::Nothing),
    ("bdo", Effect::Nothing),
    ("col", Effect::Nothing),
    ("colgroup", Effect::Nothing),
    ("picture", Effect::Nothing),
    ("rp", Effect::Nothing),
    ("rt", Effect::Nothing),
    ("ruby", Effect::Nothing),
    ("var", Effect::Emphasis),
];

impl Effect {
    /// The separator between the text of the element and the text around it, in running text.
    pub(crate) fn ends_line(self) -> Option<Inline> {
        match self {
            Effect::Holds(Kind::Cell) => Some(Inline::Newline),
            Effect::Lines | Effect::Holds(_) | Effect::Heading | Effect::Pre => Some(Inline::Break),
            _ => None,
        }
    }
}

/// A part of HTML.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Text with its entities undecoded.
    Text(&'a str),
    Open {
        name: &'static str,
        effect: Effect,
        attributes: &'a str,
        source: &'a str,
    },
    Close {
        name: &'static str,
        effect: Effect,
        source: &'a str,
    },
}

/// The parts in order, without comments.
pub(crate) fn pieces(html: &str) -> Vec<Piece<'_>> {
    let mut pieces = vec![];
    let mut text = 0;
    let mut at = 0;
    while let Some(found) = html[at..].find('<') {
        let start = at + found;
        let (length, piece) = if html[start..].starts_with("<!--") {
            (html[start..].find("-->").map_or(html.len() - start, |end| end + "-->".len()), None)
        } else {
            match tag(&html[start..]) {
                Some((length, piece)) => (length, Some(piece)),
                None => {
                    at = start + 1;
                    continue;
                }
            }
        };
        if text < start {
            pieces.push(Piece::Text(&html[text..start]));
        }
        pieces.extend(piece);
        at = start + length;
        text = at;
    }
    if text < html.len() {
        pieces.push(Piece::Text(&html[text..]));
    }
    pieces
}

/// The tag that `html` begins with, if it is one of [`NAMES`], and its length.
fn tag(html: &str) -> Option<(usize, Piece<'_>)> {
    let closes = html.starts_with("</");
    let start = if closes { "</".len() } else { "<".len() };
    let rest = &html[start..];
    let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(rest.len())];
    let (name, effect) = NAMES.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
    let attributes = &rest[name.len()..];
    if !attributes.starts_with([' ', '\t', '\n', '/', '>']) {
        return None;
    }
    let mut quote = None;
    let end = attributes.find(|c: char| match (quote, c) {
        (Some(open), c) => {
            if open == c {
                quote = None;
            }
            false
        }
        (None, '"' | '\'') => {
            quote = Some(c);
            false
        }
        (None, c) => c == '>',
    })?;
    let length = start + name.len() + end + 1;
    let source = &html[..length];
    let attributes = &attributes[..end];
    Some((
        length,
        if closes { Piece::Close { name, effect, source } } else { Piece::Open { name, effect, attributes, source } },
    ))
}

/// The value of an attribute of a tag.
pub(crate) fn attribute(attributes: &str, name: &str) -> Option<String> {
    let mut rest = attributes;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '/');
        let length = rest.find(|c: char| c.is_ascii_whitespace() || c == '=').unwrap_or(rest.len());
        if length == 0 && !rest.starts_with('=') {
            return None;
        }
        let key = &rest[..length];
        rest = rest[length..].trim_start();
        let mut value = "";
        if let Some(after) = rest.strip_prefix('=') {
            let after = after.trim_start();
            let quote = after.chars().next().filter(|c| matches!(c, '"' | '\''));
            let (inner, end) = match quote {
                Some(quote) => (&after[1..], after[1..].find(quote)),
                None => (after, after.find(|c: char| c.is_ascii_whitespace())),
            };
            let end = end.unwrap_or(inner.len());
            value = &inner[..end];
            rest = &inner[(end + usize::from(quote.is_some())).min(inner.len())..];
        }
        if key.eq_ignore_ascii_case(name) {
            return Some(decoded(value));
        }
    }
}

/// The entities that authors use in raw HTML; pulldown-cmark decodes all others.
const ENTITIES: [(&str, &str); 9] = [
    ("lt", "<"),
    ("gt", ">"),
    ("amp", "&"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", "\u{a0}"),
    ("copy", "©"),
    ("mdash", "—"),
    ("ndash", "–"),
];

/// The text with these entities decoded; other entities stay as they are.
pub(crate) fn decoded(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        decoded += &rest[..start];
        rest = &rest[start + 1..];
        let name = &rest[..rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '#').unwrap_or(rest.len())];
        let number = match name.strip_prefix('#') {
            Some(hex) if hex.starts_with(['x', 'X']) => u32::from_str_radix(&hex[1..], 16).ok(),
            Some(decimal) => decimal.parse().ok(),
            None => None,
        };
        let known = ENTITIES.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned());
        let character =
            number.and_then(char::from_u32).filter(|c| !crate::characters::is_invisible(*c)).map(String::from);
        match known.or(character).filter(|_| rest[name.len()..].starts_with(';')) {
            Some(text) => {
                decoded += &text;
                rest = &rest[name.len() + 1..];
            }
            None => decoded.push('&'),
        }
    }
    decoded + rest
}
