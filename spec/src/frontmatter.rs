//! The lines between `---` and `---` at the top of a page.

use crate::attributes::is_version;
use crate::diagnostic::{Diagnostic, Source};
use std::ops::Range;

const CODE: &str = "front-matter";
const EXAMPLE: &str = "begin the page with\n---\ntitle: name\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---";

/// A key, the check of its value, and the description of a good value.
type Key = (&'static str, fn(&str) -> bool, &'static str);

const KEYS: [Key; 4] = [
    ("title", is_title, "the name of the page: a letter, then letters, digits and any of _ . -"),
    ("section", is_section, "a section of the manual: 1 to 8, then lower case letters if it is a part of one"),
    ("date", is_date, "the day of the last change: YYYY-MM-DD"),
    ("version", is_version, "the version of the specification, such as 0.1"),
];

/// Whether the text can be a title. The title becomes a file name, so it must not lead to another directory.
pub(crate) fn is_title(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn is_section(text: &str) -> bool {
    matches!(text.as_bytes(), [b'1'..=b'8', part @ ..] if part.iter().all(u8::is_ascii_lowercase))
}

pub(crate) fn is_date(text: &str) -> bool {
    let fields: Vec<&str> = text.split('-').collect();
    let number = |text: &str, digits: usize| {
        (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<u16>().ok())
            .flatten()
    };
    match fields[..] {
        [year, month, day] => {
            number(year, 4).is_some()
                && number(month, 2).is_some_and(|month| (1..=12).contains(&month))
                && number(day, 2).is_some_and(|day| (1..=31).contains(&day))
        }
        _ => false,
    }
}

/// The fields of the front matter, and the offset where the page begins after it.
pub(crate) struct FrontMatter {
    pub(crate) title: String,
    pub(crate) section: String,
    pub(crate) date: String,
    pub(crate) version: String,
    pub(crate) end: usize,
}

/// Reads the front matter; `None` after a finding.
pub(crate) fn read(source: &Source, findings: &mut Vec<Diagnostic>) -> Option<FrontMatter> {
    let mut report = |span: Range<usize>, message: String, mend: &str| {
        findings.push(source.diagnostic(span, CODE, message, mend));
    };
    let mut values: [Option<String>; 4] = Default::default();
    let mut good = true;
    let mut at = 0;
    let mut lines = source.text.split_inclusive('\n');
    if lines.next().map(str::trim_end) != Some("---") {
        report(0..source.text.find('\n').unwrap_or(0), "the page has no front matter".into(), EXAMPLE);
        return None;
    }
    at += source.text.find('\n').map_or(source.text.len(), |newline| newline + 1);
    for line in lines {
        let span = at..at + line.trim_end().len();
        at += line.len();
        if line.trim_end() == "---" {
            let keys = KEYS.iter().zip(&values);
            let missing: Vec<&str> = keys.filter(|(_, value)| value.is_none()).map(|((key, ..), _)| *key).collect();
            if good && !missing.is_empty() {
                report(0..3, format!("the front matter has no {}", missing.join(", no ")), EXAMPLE);
            }
            let [title, section, date, version] = values;
            return good.then_some(FrontMatter {
                title: title?,
                section: section?,
                date: date?,
                version: version?,
                end: at,
            });
        }
        let (key, value) = line.split_once(':').unwrap_or((line, ""));
        let (key, value) = (key.trim(), value.trim());
        let Some(index) = KEYS.iter().position(|(known, ..)| *known == key) else {
            report(span, format!("the front matter has no key `{key}`"), "the keys are title, section, date, version");
            good = false;
            continue;
        };
        let (_, fits, form) = KEYS[index];
        if !fits(value) {
            report(span, format!("`{value}` is no {key}"), &format!("{key} is {form}"));
            good = false;
        } else if values[index].is_some() {
            report(span, format!("`{key}` is given twice"), "keep one of them");
            good = false;
        }
        values[index] = Some(value.to_owned());
    }
    report(0..3, "the front matter is never closed".into(), "close it with a line `---`");
    None
}
