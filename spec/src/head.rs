//! The title lines of an ordinary page, in the dialects of manual pages in Markdown.
//!
//! - pandoc and go-md2man: up to three lines at the top that begin with `%`, the title, the authors and the date;
//! - pandoc, curl, PMDK: YAML between `---` and `---` or `...` with the keys of [`Head::key`];
//! - mmark and Hugo: TOML with these keys, between `%%%` and `%%%` or `+++` and `+++`;
//! - ronn, cargo, go-md2man: the first heading, as `name(1) -- text`, `name(1)` or `name 1 "date" "source" "manual"`;
//! - Core Lightning: `name -- text`;
//! - if the page has none of these, the name of the file: `podman-run.1.md`.
//!
//! Authors and the pages to see become sections at the end, if the page has no such sections; other keys are ignored.

use crate::frontmatter::is_date;
use std::path::Path;
use toml::{Table, Value};

/// The section of pages that do not state one: miscellaneous.
const SECTION: &str = "7";

/// The facts about a page that are stated before its text.
#[derive(Debug, Default)]
pub(crate) struct Head {
    pub(crate) title: Option<String>,
    pub(crate) section: Option<String>,
    pub(crate) date: Option<String>,
    pub(crate) origin: String,
    pub(crate) manual: String,
    /// The description of the page, if its heading has one.
    pub(crate) about: Option<String>,
    /// Headings and lines to add at the end of the page, unless the page has these headings.
    pub(crate) more: Vec<(&'static str, Vec<String>)>,
}

/// The head of the text, and its length in bytes.
pub(crate) fn read(text: &str) -> (Head, usize) {
    let mut head = Head::default();
    let end = head.toml(text).or_else(|| head.percent(text)).or_else(|| head.yaml(text)).unwrap_or(0);
    (head, end)
}

/// Whether the page has `version:` in its front matter, as pages of the specification do.
pub(crate) fn is_specification(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim_end);
    lines.next() == Some("---") && lines.take_while(|line| *line != "---").any(|line| line.starts_with("version:"))
}

impl Head {
    /// Reads the block of lines with `%`; a line that begins with a space continues the line before.
    fn percent(&mut self, text: &str) -> Option<usize> {
        let mut end = 0;
        let mut fields: Vec<String> = vec![];
        for line in text.split_inclusive('\n').take_while(|line| !line.starts_with("%%%")) {
            let room = fields.len() < 3;
            match (line.strip_prefix('%'), fields.last_mut()) {
                (Some(field), _) if room => fields.push(field.trim().to_owned()),
                (None, Some(last)) if line.starts_with([' ', '\t']) && !line.trim().is_empty() => {
                    last.push(' ');
                    *last += line.trim();
                }
                _ => break,
            }
            end += line.len();
        }
        let mut fields = fields.into_iter();
        let title = fields.next()?;
        if !self.line(&title) {
            self.title = Some(title).filter(|title| !title.is_empty());
        }
        self.more("AUTHORS", fields.next().unwrap_or_default().split(';'));
        self.dated(&fields.next().unwrap_or_default());
        Some(end)
    }

    /// Reads keys and values; a list has each item on a line of its own, after `-`.
    fn yaml(&mut self, text: &str) -> Option<usize> {
        let mut lines = text.split_inclusive('\n');
        let mut end = lines.next().filter(|line| line.trim_end() == "---")?.len();
        let mut entries: Vec<(&str, Vec<&str>)> = vec![];
        loop {
            let line = lines.next()?;
            end += line.len();
            let line = line.trim_end();
            match (line, entries.last_mut(), line.split_once(':')) {
                ("---" | "...", Some(_), _) => break,
                (line, _, _) if line.is_empty() || line.starts_with('#') => {}
                (line, Some((_, items)), _) if line.starts_with([' ', '\t', '-']) => {
                    items.push(line.trim_start().trim_start_matches('-').trim());
                }
                (_, _, Some((key, value)))
                    if key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte)) =>
                {
                    entries.push((key, Some(unquoted(value)).filter(|value| !value.is_empty()).into_iter().collect()));
                }
                _ => return None,
            }
        }
        for (key, values) in entries {
            // Items such as `- name: Ada` and `[one, two]`.
            let values: Vec<&str> = values
                .into_iter()
                .flat_map(|value| match value.strip_prefix('[').and_then(|list| list.strip_suffix(']')) {
                    Some(list) => list.split(',').collect(),
                    None => vec![value],
                })
                .map(|value| unquoted(value.strip_prefix("name:").unwrap_or(value)))
                .collect();
            self.key(key, &values);
        }
        Some(end)
    }

    /// Reads front matter in TOML. Lines that cannot be parsed are text.
    fn toml(&mut self, text: &str) -> Option<usize> {
        let fence = text.lines().next().map(str::trim_end).filter(|line| matches!(*line, "%%%" | "+++"))?;
        let start = text.find('\n')? + 1;
        let mut end = start;
        for line in text[start..].split_inclusive('\n') {
            let inside = end;
            end += line.len();
            if line.trim_end() != fence {
                continue;
            }
            let entries: Table = toml::from_str(&text[start..inside]).ok()?;
            for (key, value) in &entries {
                let values = strings(value);
                self.key(key, &values.iter().map(String::as_str).collect::<Vec<_>>());
            }
            return Some(end);
        }
        None
    }

    /// Takes the value of a key of the front matter. mmark calls the text of the foot `area` and that of the head
    /// `workgroup`.
    fn key(&mut self, key: &str, values: &[&str]) {
        let value = values.join(" ");
        match key.to_ascii_lowercase().as_str() {
            "title" if self.line(&value) => {}
            "title" => self.title = Some(value).filter(|title| !title.is_empty()),
            "section" => self.section = Some(value).filter(|section| is_section(section)),
            "date" => self.dated(&value),
            "source" | "footer" | "area" => self.origin(&value),
            "manual" | "header" | "workgroup" | "volume" => self.manual(&value),
            "see-also" => self.more("SEE ALSO", values.iter().copied()),
            "author" | "authors" => self.more("AUTHORS", values.iter().copied()),
            _ => {}
        }
    }

    /// Takes a heading without a section: `name -- text`. A single hyphen counts only if the name is that of the
    /// `file`, as it can be part of any heading. Returns false, and changes nothing, for another heading.
    pub(crate) fn named(&mut self, text: &str, file: &str) -> bool {
        let parts = DASHES.iter().find_map(|dash| {
            let (name, about) = text.split_once(dash)?;
            let name = name.trim();
            let is_title = !name.contains(char::is_whitespace) && (*dash != " - " || name.eq_ignore_ascii_case(file));
            (is_title && !name.is_empty() && !about.trim().is_empty())
                .then(|| (name.to_owned(), about.trim().to_owned()))
        });
        let Some((name, about)) = parts else { return false };
        self.title = Some(name);
        self.about = Some(about);
        true
    }

    /// Takes a title line or a heading. Returns false, and changes nothing, for other text.
    pub(crate) fn line(&mut self, text: &str) -> bool {
        // PMDK's macro for titles.
        if let Some((title, section)) = text
            .strip_prefix("_MP(")
            .and_then(|rest| rest.strip_suffix(')')?.split_once(','))
            .filter(|(title, section)| is_name(title.trim()) && is_section(section.trim()))
        {
            self.title = Some(title.trim().to_owned());
            self.section = Some(section.trim().to_owned());
            return true;
        }
        let with_parentheses = text.split_once('(').and_then(|(title, rest)| {
            let (section, rest) = rest.split_once(')')?;
            (is_name(title.trim()) && is_section(section)).then_some((title.trim(), section, rest.trim()))
        });
        if let Some((title, section, rest)) = with_parentheses {
            let about = DASHES.iter().find_map(|dash| rest.strip_prefix(dash.trim_start()));
            let (origin, manual) = rest.split_once('|').unwrap_or((rest, ""));
            match about {
                Some(about) => self.about = Some(about.trim().to_owned()),
                None => {
                    self.origin(origin.trim());
                    self.manual(manual.trim());
                }
            }
            self.title = Some(title.to_owned());
            self.section = Some(section.to_owned());
            return true;
        }
        let mut words = words(text).into_iter();
        match (words.next(), words.next()) {
            (Some(title), Some(section)) if is_name(&title) && is_section(&section) => {
                self.title = Some(title);
                self.section = Some(section);
                if !text.contains('"') {
                    // The fields have no separator: the words are a date and the text after it.
                    let words: Vec<String> = words.collect();
                    let date = (1..=words.len().min(3)).rev().find(|&count| day(&words[..count].join(" ")).is_some());
                    let (date, rest) = words.split_at(date.unwrap_or(0));
                    self.dated(&date.join(" "));
                    self.origin(&rest.join(" "));
                    return true;
                }
                self.dated(&words.next().unwrap_or_default());
                self.origin(&words.next().unwrap_or_default());
                self.manual(&words.collect::<Vec<_>>().join(" "));
                true
            }
            _ => false,
        }
    }

    /// Takes a date that formatters can read; other text is kept for the foot of the page.
    fn dated(&mut self, text: &str) {
        match day(text) {
            Some(date) => self.date = Some(date),
            None => self.origin(text),
        }
    }

    fn origin(&mut self, text: &str) {
        if !self.origin.is_empty() && !text.is_empty() {
            self.origin += ", ";
        }
        self.origin += text;
    }

    /// Takes the name of the manual; an empty text does not replace a name from another line.
    fn manual(&mut self, text: &str) {
        if !text.is_empty() {
            text.clone_into(&mut self.manual);
        }
    }

    fn more<'a>(&mut self, heading: &'static str, lines: impl Iterator<Item = &'a str>) {
        let lines: Vec<String> = lines.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect();
        if !lines.is_empty() {
            self.more.push((heading, lines));
        }
    }

    /// The title and section: from the page, or from the name of its file. If the file has the name of a manual page, a
    /// title of several words is that of a web page, and is shown at the foot.
    pub(crate) fn name(&mut self, file: &Path) -> (String, String) {
        let (title, section) = of_file(file);
        if self.section.is_none()
            && section.is_some()
            && let Some(words) = self.title.take_if(|title| title.contains(char::is_whitespace))
        {
            self.origin(&words);
        }
        (self.title.clone().unwrap_or(title), self.section.clone().or(section).unwrap_or_else(|| SECTION.to_owned()))
    }
}

/// The title and section in a file name: `podman-run` and `1` of `podman-run.1.md`.
pub(crate) fn of_file(file: &Path) -> (String, Option<String>) {
    let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    match stem.rsplit_once('.') {
        Some((title, section)) if is_section(section) && !title.is_empty() => {
            (title.to_owned(), Some(section.to_owned()))
        }
        _ => (stem, None),
    }
}

/// Whether the text is a section: a digit and a suffix, as in `3ssl`, or a letter for local, new or Tcl's pages.
fn is_section(text: &str) -> bool {
    let digit = text.starts_with(|c: char| c.is_ascii_digit()) && text.len() <= 12;
    (digit && text.bytes().all(|byte| byte.is_ascii_alphanumeric())) || ["n", "l", "o"].contains(&text)
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.split(' ').count() <= 4 && !text.starts_with(|c: char| c.is_whitespace())
}

/// Splits into words; a word in quotation marks can contain spaces.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![];
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let quoted = rest.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        let (word, after) = quoted.or(rest.split_once(char::is_whitespace)).unwrap_or((rest, ""));
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// The separators between a name and its description. The longest is first, because each contains the next.
pub(crate) const DASHES: [&str; 5] = [" --- ", " -- ", " — ", " – ", " - "];

/// The strings in a value. In tables, the values of the keys that mmark uses for people.
fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(values) => values.iter().flat_map(strings).collect(),
        Value::Table(table) => ["fullname", "name"].iter().find_map(|key| table.get(*key)).map_or(vec![], strings),
        value => vec![value.to_string()],
    }
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/// `YYYY-MM-DD` for a date in that form or with the name of a month. A month without a day means its first day.
fn day(text: &str) -> Option<String> {
    let text = text.trim();
    // Drop the time of day.
    let date = text.split(['T', ' ']).next().unwrap_or(text);
    if is_date(date) && (date == text || text[date.len() + 1..].starts_with(|c: char| c.is_ascii_digit())) {
        return Some(date.to_owned());
    }
    let month = |word: &str| {
        let prefix = word.get(..3)?.to_ascii_lowercase();
        MONTHS.iter().position(|month| *month == prefix).map(|at| at + 1)
    };
    let words: Vec<&str> = text.split([' ', ',', '-', '/']).filter(|word| !word.is_empty()).collect();
    let (year, name, day) = match words[..] {
        [first, year] if month(first).is_some() => (year, month(first)?, "1"),
        [year, number] if year.len() == 4 => (year, number.parse().ok()?, "1"),
        [first, day, year] if month(first).is_some() => (year, month(first)?, day),
        [day, second, year] if month(second).is_some() => (year, month(second)?, day),
        _ => return None,
    };
    let date = format!("{:04}-{name:02}-{:02}", year.parse::<u16>().ok()?, day.parse::<u8>().ok()?);
    is_date(&date).then_some(date)
}

/// The value of YAML without its quotation marks.
fn unquoted(value: &str) -> &str {
    let value = value.trim();
    let quoted = ['"', '\''].iter().find_map(|quote| value.strip_prefix(*quote)?.strip_suffix(*quote));
    quoted.unwrap_or(value)
}
