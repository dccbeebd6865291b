//! Edit scripts: a patch or a mutant, as a TOML file has it.

use crate::digest::short;
use crate::finding::{Finding, Findings, Place};
use serde::Deserialize;
use std::path::{Component, Path, PathBuf};
use toml::Spanned;

/// A patch of the series, or a mutant.
#[derive(Debug)]
pub(crate) struct Script {
    /// The name of the file without its extension, such as `03-truncate`.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// The subject of the mail; for a mutant, one line that says what it breaks.
    pub(crate) title: Located<String>,
    /// The text of the mail.
    pub(crate) message: String,
    pub(crate) clauses: Vec<Located<String>>,
    /// The new files that a patch brings.
    pub(crate) files: Vec<Located<String>>,
    pub(crate) edits: Vec<Edit>,
    /// The keys of a mutant.
    pub(crate) expected: Vec<Located<String>>,
    pub(crate) fs: Vec<String>,
    pub(crate) equivalent: Option<String>,
}

/// A value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Located<T> {
    pub(crate) place: Place,
    pub(crate) value: T,
}

/// One change of one file.
#[derive(Debug)]
pub(crate) struct Edit {
    /// The place of the edit, for faults that concern no single key.
    pub(crate) place: Place,
    pub(crate) file: Located<String>,
    /// The definition that the anchor is in.
    pub(crate) function: Option<Located<String>>,
    pub(crate) side: Side,
    pub(crate) anchor: Located<String>,
    /// Whether the anchor is a part of a line.
    pub(crate) inline: bool,
    pub(crate) text: String,
}

/// The place of the text: next to the anchor, or instead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Before,
    After,
    Replace,
}

impl Side {
    /// The key of the script.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Before => "before",
            Self::After => "after",
            Self::Replace => "replace",
        }
    }
}

impl Edit {
    /// The beginning of the SHA-256 of the edit.
    pub(crate) fn digest(&self) -> String {
        let function = self.function.as_ref().map_or("", |name| name.value.as_str());
        let inline = if self.inline { "inline" } else { "" };
        let parts = [&self.file.value, function, self.side.key(), inline, &self.anchor.value, &self.text];
        short(parts.map(|part| part.as_bytes()))
    }
}

/// The two kinds of scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Patch,
    Mutant,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPatch {
    title: Spanned<String>,
    message: String,
    clauses: Vec<Spanned<String>>,
    #[serde(default)]
    files: Vec<Spanned<String>>,
    #[serde(default)]
    edit: Vec<Spanned<RawEdit>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawMutant {
    #[serde(default)]
    title: Option<Spanned<String>>,
    #[serde(default)]
    message: String,
    #[serde(default)]
    expected: Vec<Spanned<String>>,
    #[serde(default)]
    clauses: Vec<Spanned<String>>,
    #[serde(default)]
    fs: OneOrMore,
    #[serde(default)]
    equivalent: Option<String>,
    edit: Vec<Spanned<RawEdit>>,
}

/// A name, or a list of names.
#[derive(Deserialize, Default)]
#[serde(untagged)]
enum OneOrMore {
    #[default]
    None,
    One(String),
    More(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEdit {
    file: Spanned<String>,
    function: Option<Spanned<String>>,
    before: Option<Spanned<String>>,
    after: Option<Spanned<String>>,
    replace: Option<Spanned<String>>,
    #[serde(default)]
    inline: bool,
    text: Spanned<String>,
}

impl Script {
    /// The beginning of the SHA-256 of the edits.
    pub(crate) fn digest(&self) -> String {
        let edits: Vec<String> = self.edits.iter().map(Edit::digest).collect();
        short(edits.iter().map(String::as_bytes))
    }

    /// Reads the text of a script.
    pub(crate) fn parse(path: &Path, text: &str, kind: Kind) -> Result<Self, Findings> {
        let failed = |error: toml::de::Error| {
            let span = error.span().unwrap_or(0..0);
            let message = error.message().lines().collect::<Vec<_>>().join(", ");
            Findings::from(Finding { place: Place::of(path, text, &span), message })
        };
        let at =
            |value: Spanned<String>| Located { place: Place::of(path, text, &value.span()), value: value.into_inner() };
        let all = |values: Vec<Spanned<String>>| values.into_iter().map(at).collect::<Vec<_>>();
        let mut script = Self {
            name: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            path: path.to_owned(),
            title: Located { place: Place::start(path), value: String::new() },
            message: String::new(),
            clauses: vec![],
            files: vec![],
            edits: vec![],
            expected: vec![],
            fs: vec![],
            equivalent: None,
        };
        let edits = match kind {
            Kind::Patch => {
                let raw: RawPatch = toml::from_str(text).map_err(failed)?;
                (script.title, script.message) = (at(raw.title), raw.message.trim().to_owned());
                (script.clauses, script.files) = (all(raw.clauses), all(raw.files));
                raw.edit
            }
            Kind::Mutant => {
                let raw: RawMutant = toml::from_str(text).map_err(failed)?;
                script.title = raw.title.map_or(script.title, at);
                script.message = raw.message.trim().to_owned();
                (script.clauses, script.expected) = (all(raw.clauses), all(raw.expected));
                script.fs = match raw.fs {
                    OneOrMore::None => vec![],
                    OneOrMore::One(name) => vec![name],
                    OneOrMore::More(names) => names,
                };
                script.equivalent = raw.equivalent;
                raw.edit
            }
        };
        let mut findings = Vec::new();
        if kind == Kind::Patch && (script.title.value.trim().is_empty() || script.title.value.contains('\n')) {
            findings.push(Finding { place: script.title.place.clone(), message: "the title is one line".into() });
        }
        for file in script.files.iter().filter(|file| !is_inside(&file.value)) {
            findings.push(Finding { place: file.place.clone(), message: NO_PATH.into() });
        }
        for edit in edits {
            match Edit::of(path, text, edit, kind) {
                Ok(edit) => script.edits.push(edit),
                Err(finding) => findings.push(finding),
            }
        }
        Findings::or(findings, script)
    }
}

const NO_PATH: &str = "the path of a file begins at the top of the kernel, without `..`";

/// Whether a path stays below the directory that it begins in.
fn is_inside(path: &str) -> bool {
    !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)))
}

impl Edit {
    fn of(path: &Path, script: &str, edit: Spanned<RawEdit>, kind: Kind) -> Result<Self, Finding> {
        let at = |value: Spanned<String>| Located {
            place: Place::of(path, script, &value.span()),
            value: value.into_inner(),
        };
        let place = Place::of(path, script, &edit.span());
        let edit = edit.into_inner();
        let refuse = |place: &Place, message: &str| Err(Finding { place: place.clone(), message: message.into() });
        let sides = [(Side::Before, edit.before), (Side::After, edit.after), (Side::Replace, edit.replace)];
        let mut given = sides.into_iter().filter_map(|(side, anchor)| Some((side, at(anchor?))));
        let (side, anchor) = match (given.next(), given.next()) {
            (Some(one), None) => one,
            (None, _) => return refuse(&place, "an edit has an anchor: `before` or `after`"),
            (Some(_), Some((side, anchor))) => {
                return refuse(&anchor.place, &format!("an edit has one anchor, and `{}` is the second", side.key()));
            }
        };
        let (file, text) = (at(edit.file), at(edit.text));
        if !is_inside(&file.value) {
            return refuse(&file.place, NO_PATH);
        }
        if anchor.value.trim().is_empty() {
            return refuse(&anchor.place, "the anchor is empty");
        }
        if edit.inline && anchor.value.contains('\n') {
            return refuse(&anchor.place, "the anchor of an inline edit is a part of one line");
        }
        if side == Side::Replace && kind == Kind::Patch {
            return refuse(&anchor.place, "a patch replaces nothing: only mutants have `replace`");
        }
        if side != Side::Replace && text.value.is_empty() {
            return refuse(&text.place, "the text is empty");
        }
        if side == Side::Replace && anchor.value == text.value {
            return refuse(&text.place, "the text is the same as the anchor");
        }
        let mut text = text.value;
        if !edit.inline && !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Ok(Self { place, file, function: edit.function.map(at), side, anchor, inline: edit.inline, text })
    }
}
