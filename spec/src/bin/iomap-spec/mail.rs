//! What mail wraps around a text: mailboxes, headers, encodings, attachments.

use mail_parser::{Message, MessageParser, PartType};

/// Header fields by which a mail is told from a text that happens to begin with a word and a colon.
const FIELDS: [&str; 4] = ["from", "subject", "message-id", "content-type"];

/// Messages in messages are looked into this far.
const DEEPEST: usize = 4;

/// A text that came by mail.
pub(crate) struct Part {
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
}

/// The texts in a mail or a mailbox, decoded; none, if this is neither.
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

/// The name of a header field that the line begins with.
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

/// The mails of a mailbox. A line `From ` begins one only if a header field follows it, because not every program
/// escapes the others.
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
    for part in &message.parts {
        let text = match &part.body {
            PartType::Text(text) => text.clone(),
            PartType::Binary(bytes) | PartType::InlineBinary(bytes) => String::from_utf8_lossy(bytes),
            PartType::Message(inner) if depth < DEEPEST => {
                collect(inner, depth + 1, parts);
                continue;
            }
            // The same text again.
            PartType::Html(_) | PartType::Message(_) | PartType::Multipart(_) => continue,
        };
        parts.push(Part { subject: message.subject().map(str::to_owned), text: text.into_owned() });
    }
}
