//! The marker of a clause: `r[id attribute=value …]`.

use crate::diagnostic::{Diagnostic, Source};
use iomap_vocabulary::{Level, Observe};
use nix::errno::Errno;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::LazyLock;

/// The longest id: it has to fit, with its envelope, on a line of a manual page.
const ID_BYTES: usize = 32;

/// Every attribute, and the values that it can have.
const ATTRIBUTES: [(&str, &str); 7] = [
    ("level", "one of must, should, may"),
    ("result", "ok"),
    ("errno", "names of Linux errors with commas between them, such as ETXTBSY or EINVAL,EPERM"),
    ("observe", "some of call, data, storage, crash, time with commas between them, each once"),
    ("since", "a version, such as 0.1"),
    ("why", "who asked for it, or what it is good for, in quotation marks"),
    ("uncased", "the reason why no case cites the clause, in quotation marks"),
];

/// The name of every error that Linux has.
static ERRNOS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    // 133 is EHWPOISON, the last one; numbers that are no error print as `UnknownErrno`.
    (1..=133).map(|raw| format!("{:?}", Errno::from_raw(raw))).filter(|name| name.starts_with('E')).collect()
});

pub(crate) fn is_errno(name: &str) -> bool {
    ERRNOS.contains(name)
}

/// `[a-z][a-z0-9_]*(\.[a-z0-9_]+)+`: mandoc(1) makes an anchor of it, and cuts one with a hyphen short.
pub fn is_id(text: &str) -> bool {
    text.len() <= ID_BYTES
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.contains('.')
        && text.split('.').all(|part| !part.is_empty() && part.bytes().all(is_id_byte))
}

fn is_id_byte(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_')
}

/// Whether the text is numbers with dots between them.
pub(crate) fn is_version(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

/// The contents of a marker.
pub(crate) struct Marker {
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) ok: bool,
    pub(crate) errnos: Vec<String>,
    pub(crate) observe: Vec<Observe>,
    pub(crate) since: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) uncased: Option<String>,
}

/// The length of the marker at the beginning of `text`, its `]` included. If the marker has no end, the error is the
/// position of the quotation mark that is not closed on its line, if there is one.
pub(crate) fn length(text: &str) -> Result<usize, Option<usize>> {
    let mut quote = None;
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (']', None) => return Ok(at + 1),
            ('"', None) => quote = Some(at),
            ('"', Some(_)) => quote = None,
            ('\n', Some(_)) => break,
            _ => {}
        }
    }
    Err(quote)
}

/// Reads the marker at the beginning of the paragraph `span`, and adds faults to `findings`. Returns a marker if there
/// is an id, even if an attribute is faulty, so that references to the clause are not reported as well.
pub(crate) fn marker(source: &Source, span: Range<usize>, findings: &mut Vec<Diagnostic>) -> Option<Marker> {
    let mut reader = Reader { source, findings };
    let words = reader.words(span.clone())?;
    let Some((id_span, attributes)) = words.split_first() else {
        reader.report(span, "bad-id", "a clause needs an id", "write r[area.behaviour level=must …]");
        return None;
    };
    let id = &source.text[id_span.clone()];
    if !is_id(id) {
        reader.report(
            id_span.clone(),
            "bad-id",
            format!("`{id}` is not a clause id"),
            "write two or more parts of a-z, 0-9 and _ with dots between them, a letter first, \
             at most 32 bytes: truncate.shrink",
        );
    }
    let mut marker = Marker {
        id: id.to_owned(),
        level: Level::Must,
        ok: false,
        errnos: vec![],
        observe: vec![],
        since: None,
        why: None,
        uncased: None,
    };
    let mut seen = BTreeSet::new();
    for span in attributes {
        if let Some((name, value)) = reader.attribute(span.clone(), &mut seen) {
            reader.assign(&mut marker, name, value);
        }
    }
    if !seen.contains("level") {
        reader.report(
            id_span.clone(),
            "missing-level",
            format!("`{id}` has no level"),
            "add level=must, level=should or level=may",
        );
    }
    if !seen.contains("result") && !seen.contains("errno") {
        reader.report(
            id_span.clone(),
            "missing-outcome",
            format!("`{id}` does not say what a caller may observe"),
            "add result=ok, or errno= with the errors allowed, or both if either is allowed",
        );
    }
    if marker.observe.is_empty() {
        marker.observe.push(Observe::Call);
    }
    Some(marker)
}

struct Reader<'a> {
    source: &'a Source,
    findings: &'a mut Vec<Diagnostic>,
}

impl<'a> Reader<'a> {
    fn report(&mut self, span: Range<usize>, code: &'static str, message: impl Into<String>, mend: impl Into<String>) {
        self.findings.push(self.source.diagnostic(span, code, message, mend));
    }

    /// The words between the brackets; white space inside quotation marks does not end a word.
    fn words(&mut self, span: Range<usize>) -> Option<Vec<Range<usize>>> {
        let text = &self.source.text[span.clone()];
        let line_end = |at: usize| text[at..].find('\n').map_or(text.len(), |length| at + length);
        let in_source = |range: Range<usize>| span.start + range.start..span.start + range.end;
        let end = match length(text) {
            Ok(end) => end,
            Err(Some(quote)) => {
                self.report(
                    in_source(quote..line_end(quote)),
                    "unterminated-quote",
                    "this quotation mark is never closed",
                    "close it on the same line: uncased=\"reason\"]",
                );
                return None;
            }
            Err(None) => {
                self.report(
                    in_source(0..line_end(0)),
                    "malformed-marker",
                    "the marker does not end with `]` in its paragraph",
                    "close it before the clause's text: r[id level=must …]",
                );
                return None;
            }
        };
        if !text[end..line_end(end)].trim().is_empty() {
            self.report(
                in_source(end..line_end(end)),
                "malformed-marker",
                "the text of a clause does not begin on a line of its marker",
                "begin the clause's text on the next line",
            );
            return None;
        }
        let mut words = vec![];
        let mut start = None;
        let mut quoted = false;
        for (at, c) in text[..end].char_indices().skip("r[".len()) {
            quoted ^= c == '"';
            // Outside quotation marks the only `]` is the last character.
            match (!quoted && (c == ']' || c.is_whitespace()), start) {
                (true, Some(from)) => {
                    words.push(in_source(from..at));
                    start = None;
                }
                (false, None) => start = Some(at),
                _ => {}
            }
        }
        Some(words)
    }

    /// Splits `name=value`; `None` if the text has no `=` or no name.
    fn attribute(
        &mut self,
        span: Range<usize>,
        seen: &mut BTreeSet<&'static str>,
    ) -> Option<(&'static str, Range<usize>)> {
        let text = &self.source.text[span.clone()];
        let name = text.split('=').next().unwrap_or_default();
        let Some((known, form)) = ATTRIBUTES.into_iter().find(|(known, _)| *known == name) else {
            let known: Vec<&str> = ATTRIBUTES.iter().map(|(known, _)| *known).collect();
            self.report(
                span,
                "unknown-attribute",
                format!("there is no attribute `{name}`"),
                format!("the attributes are {}", known.join(", ")),
            );
            return None;
        };
        if !seen.insert(known) {
            self.report(span, "duplicate-attribute", format!("`{known}` is given twice"), "keep one of them");
            return None;
        }
        let mut value = (span.start + name.len() + 1).min(span.end)..span.end;
        let quoted = self.source.text[value.clone()].strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        if let Some(quoted) = quoted {
            value = value.start + 1..value.start + 1 + quoted.len();
        }
        if self.source.text[value.clone()].trim().is_empty() {
            self.report(span, "empty-value", format!("`{known}` has no value"), format!("{known} is {form}"));
            return None;
        }
        Some((known, value))
    }

    fn assign(&mut self, marker: &mut Marker, name: &'static str, value: Range<usize>) {
        let text = &self.source.text[value.clone()];
        let fits = match name {
            "level" => Level::of(text).map(|level| marker.level = level).is_some(),
            "result" => {
                marker.ok = text == "ok";
                marker.ok
            }
            "errno" => return self.errnos(marker, value),
            "observe" => text.split(',').all(|word| {
                let found = Observe::of(word).filter(|it| !marker.observe.contains(it));
                found.map(|it| marker.observe.push(it)).is_some()
            }),
            "since" => {
                marker.since = Some(text.to_owned());
                is_version(text)
            }
            "why" => {
                marker.why = Some(text.to_owned());
                true
            }
            _ => {
                marker.uncased = Some(text.to_owned());
                true
            }
        };
        if !fits {
            let form = ATTRIBUTES.into_iter().find(|(known, _)| *known == name).map_or("", |(_, form)| form);
            self.report(value, "bad-value", format!("`{text}` is no value for `{name}`"), format!("{name} is {form}"));
        }
    }

    fn errnos(&mut self, marker: &mut Marker, value: Range<usize>) {
        let mut start = value.start;
        for name in self.source.text[value].split(',') {
            let span = start..start + name.len();
            start = span.end + 1;
            if !is_errno(name) {
                self.report(
                    span,
                    "unknown-errno",
                    format!("Linux has no error `{name}`"),
                    "use the name that errno(3) lists first, in capitals: EOPNOTSUPP rather than ENOTSUP",
                );
            } else if marker.errnos.iter().any(|known| known == name) {
                self.report(span, "bad-value", format!("`{name}` is listed twice"), "keep one of them");
            } else {
                marker.errnos.push(name.to_owned());
            }
        }
    }
}
