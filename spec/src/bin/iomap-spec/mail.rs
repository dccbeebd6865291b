//! Extracts texts from mail: mailboxes, headers, encodings, attachments.

use crate::{html, unwrap};
use mail_parser::{Encoding, Message, MessageParser, MessagePart, MimeHeaders, PartType};
use std::borrow::Cow;

/// Header fields that distinguish a mail from a text that begins with a word and a colon by chance.
const FIELDS: [&str; 4] = ["from", "subject", "message-id", "content-type"];

/// The maximum depth of messages inside messages.
const DEEPEST: usize = 4;

/// Kinds of parts from which no text can be made.
const SEALED: [(&str, &str, &str); 3] = [
    ("application", "pgp-encrypted", "an encrypted mail: decrypt it first"),
    ("application", "pkcs7-mime", "a mail that is encrypted or signed as S/MIME: unpack it first"),
    ("application", "ms-tnef", "a winmail.dat of Outlook: unpack it first"),
];

/// The rule by which the lines of a text are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// Each line is as it was written.
    Fixed,
    /// RFC 3676: a line that ends in a space continues in the next line, with that space or without it.
    Flowed { del_sp: bool },
}

/// A text that came by mail.
pub(crate) struct Part {
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
    pub(crate) flow: Flow,
    /// Whether the text is in the file exactly as it is here.
    pub(crate) verbatim: bool,
    /// The kind of the part if it is no text, or the fault of the part.
    pub(crate) remark: Option<String>,
}

/// The texts in a mail or a mailbox, decoded; empty if the bytes are neither.
pub(crate) fn parts(bytes: &[u8]) -> Vec<Part> {
    let mails: Vec<Vec<u8>> = match bytes {
        _ if bytes.starts_with(b"From ") => split(bytes),
        _ if is_mail(bytes) => vec![bytes.to_vec()],
        _ => vec![],
    };
    let mut parts = vec![];
    for mail in mails {
        if let Some(message) = MessageParser::default().parse(&mail) {
            collect(&message, 0, &mut parts);
        }
    }
    parts
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// The name of the header field at the beginning of the line.
fn field(line: &[u8]) -> Option<String> {
    let name = &line[..line.iter().position(|byte| *byte == b':')?];
    let is_name = !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    is_name.then(|| String::from_utf8_lossy(name).to_ascii_lowercase())
}

fn is_mail(bytes: &[u8]) -> bool {
    let header = lines(bytes).take_while(|line| !line.trim_ascii().is_empty());
    let mut header = header.filter(|line| !line.starts_with(b" ") && !line.starts_with(b"\t")).peekable();
    header.peek().is_some_and(|line| field(line).is_some())
        && header.any(|line| field(line).is_some_and(|name| FIELDS.contains(&name.as_str())))
}

/// The mails of a mailbox. A line `From ` begins a mail only if a header field follows, because some programs do not
/// escape such lines in the text.
fn split(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut mails: Vec<Vec<u8>> = vec![];
    let mut lines = lines(bytes).peekable();
    while let Some(line) = lines.next() {
        if line.starts_with(b"From ") && lines.peek().is_some_and(|next| field(next).is_some()) {
            mails.push(vec![]);
            continue;
        }
        let quoted =
            line.iter().position(|byte| *byte != b'>').filter(|at| *at > 0 && line[*at..].starts_with(b"From "));
        if let Some(mail) = mails.last_mut() {
            mail.extend_from_slice(&line[usize::from(quoted.is_some())..]);
        }
    }
    mails
}

fn collect(message: &Message<'_>, depth: usize, parts: &mut Vec<Part>) {
    let subject = message.subject().map(str::to_owned);
    for (number, part) in (0_u32..).zip(&message.parts) {
        let (text, remark) = match &part.body {
            PartType::Text(text) => (Cow::Borrowed(&**text), None),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => {
                let unwrapped = unwrap::unwrap(bytes);
                (String::from_utf8_lossy(&unwrapped.bytes).into_owned().into(), unwrapped.remark)
            }
            // This is an alternative of a text part, with the same text.
            PartType::Html(_) if message.html_body.contains(&number) && !message.text_body.contains(&number) => {
                continue;
            }
            PartType::Html(html) => (html::text(html).into(), None),
            PartType::Message(inner) if depth < DEEPEST => {
                collect(inner, depth + 1, parts);
                continue;
            }
            PartType::Message(_) | PartType::Multipart(_) => continue,
        };
        let kind = part.content_type();
        let is = |main: &str, sub: &str| {
            kind.is_some_and(|kind| {
                kind.ctype().eq_ignore_ascii_case(main) && kind.subtype().unwrap_or("plain").eq_ignore_ascii_case(sub)
            })
        };
        let sealed = SEALED.iter().find(|(main, sub, _)| is(main, sub)).map(|(_, _, what)| format!("this is {what}"));
        let text = unwrap::plain(&text).into_owned();
        let verbatim = part.encoding == Encoding::None
            && matches!(part.body, PartType::Text(_))
            && message
                .raw_message
                .get(part.offset_body as usize..part.offset_end as usize)
                .is_some_and(|raw| raw.trim_ascii() == text.as_bytes().trim_ascii());
        parts.push(Part {
            subject: subject.clone(),
            flow: if kind.is_none() || is("text", "plain") { flow(part) } else { Flow::Fixed },
            verbatim,
            remark: sealed.or(remark).map(|remark| named(part, remark)),
            text,
        });
    }
}

/// The remark, with the name of the attachment.
fn named(part: &MessagePart<'_>, remark: String) -> String {
    part.attachment_name().map_or(remark.clone(), |name| format!("attachment {name}: {remark}"))
}

/// The flow of lines that the header of the part states.
fn flow(part: &MessagePart<'_>) -> Flow {
    let is = |name: &str, value: &str| {
        let said = part.content_type().and_then(|kind| kind.attribute(name));
        said.is_some_and(|said| said.eq_ignore_ascii_case(value))
    };
    if is("format", "flowed") { Flow::Flowed { del_sp: is("delsp", "yes") } } else { Flow::Fixed }
}

/// The depth of quoting of a flowed line, and the quoted text.
fn quoted(line: &str) -> (usize, &str) {
    let content = line.trim_start_matches('>');
    (line.len() - content.len(), content)
}

/// A flowed line without its stuffed space, and its depth of quoting.
fn unstuffed_line(line: &str) -> (usize, &str) {
    let (depth, content) = quoted(line);
    (depth, content.strip_prefix(' ').unwrap_or(content))
}

/// The lines without stuffed spaces. Some programs claim to stuff spaces but do not: if any line could not come from a
/// program that does, all lines stay unchanged.
pub(crate) fn unstuffed(text: &str) -> String {
    let is_unstuffed =
        |line: &str| line.strip_prefix(' ').is_some_and(|rest| rest.starts_with(|c| !matches!(c, ' ' | '>' | 'F')));
    if text.lines().any(is_unstuffed) {
        return text.to_owned();
    }
    let line = |line| {
        let (depth, content) = unstuffed_line(line);
        "> ".repeat(depth) + content + "\n"
    };
    text.lines().map(line).collect()
}

/// Flowed text with each paragraph on one line.
pub(crate) fn unflowed(text: &str, del_sp: bool) -> String {
    let mut out = String::new();
    // The quoting depth of the paragraph that continues.
    let mut open = None;
    for line in text.lines() {
        let (depth, content) = unstuffed_line(line.trim_end_matches('\r'));
        let is_signature = is_signature(content);
        if open != Some(depth) || is_signature {
            if open.take().is_some() {
                out.push('\n');
            }
            out += &"> ".repeat(depth);
        }
        if content.ends_with(' ') && !is_signature {
            out += if del_sp { &content[..content.len() - 1] } else { content };
            open = Some(depth);
        } else {
            out += content;
            out.push('\n');
            open = None;
        }
    }
    if open.is_some() {
        out.push('\n');
    }
    out
}

/// The length of the quote marks before a line: `> `, `| `, `: `, `% `, `AB> `, each possibly repeated.
pub(crate) fn marks(line: &str) -> usize {
    /// Programs put no longer names before a quotation.
    const LONGEST: usize = 12;
    let mut end = 0;
    loop {
        let start = line.len() - line[end..].trim_start_matches([' ', '\t']).len();
        let rest = &line[start..];
        let name = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric()).len();
        let after = &rest[name..];
        let is_mark =
            after.starts_with('>') && name <= LONGEST || (name == 0 && after.starts_with(['|', ':', '%', '}']));
        if !is_mark {
            return end;
        }
        end = start + name + 1;
    }
}

/// Whether this line separates the signature from the text; its last space does not mean that the line continues.
pub(crate) fn is_signature(line: &str) -> bool {
    line == "-- "
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flowed_text() {
        let cases = [
            ("a \nb\n", "a b\n", "ab\n"),
            ("a\nb\n", "a\nb\n", "a\nb\n"),
            ("> a \n> b\n>> c \n> d\n", "> a b\n> > c \n> d\n", "> ab\n> > c\n> d\n"),
            ("  a \n b\n", " a b\n", " ab\n"),
            ("a \n-- \nb \n", "a \n-- \nb \n", "a\n-- \nb\n"),
            (" From\n >x\n", "From\n>x\n", "From\n>x\n"),
            ("a \n\nb\n", "a \nb\n", "a\nb\n"),
        ];
        for (text, with, without) in cases {
            assert_eq!((&*unflowed(text, false), &*unflowed(text, true)), (with, without), "{text:?}");
        }
        assert_eq!(unstuffed("  \tint\n+x\n>  y\n"), " \tint\n+x\n>  y\n");
        assert_eq!(unstuffed(" \tint\n+x\n"), " \tint\n+x\n");
    }
}
