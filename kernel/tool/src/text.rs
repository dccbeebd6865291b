//! The text of one file, which knows the parts that the series has brought.

use crate::definition::definitions;
use crate::script::{Edit, Side};
use std::fmt;
use std::ops::Range;

/// The reason why an edit cannot be made, in words for people.
#[derive(Debug)]
pub(crate) struct Misfit(String);

impl Misfit {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A file on its way through the edits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    pub(crate) text: String,
    /// For each byte, whether the series has brought it.
    ours: Vec<bool>,
}

impl Text {
    /// A file of the kernel.
    pub(crate) fn theirs(text: String) -> Self {
        Self { ours: vec![false; text.len()], text }
    }

    /// A file of the series.
    pub(crate) fn ours(text: String) -> Self {
        Self { ours: vec![true; text.len()], text }
    }

    /// Makes one edit. The error says why the anchor has no single place.
    pub(crate) fn edit(&mut self, edit: &Edit) -> Result<(), Misfit> {
        let range = self.anchor(edit)?;
        let (at, until) = match edit.side {
            Side::Before => (range.start, range.start),
            Side::After => (range.end, range.end),
            Side::Replace if self.ours[range.clone()].iter().all(|ours| *ours) => (range.start, range.end),
            Side::Replace => {
                let line = self.line(range.start);
                return Err(Misfit(format!(
                    "line {line} is the kernel's own: `replace` is for lines that the series has brought"
                )));
            }
        };
        self.text.replace_range(at..until, &edit.text);
        self.ours.splice(at..until, vec![true; edit.text.len()]);
        Ok(())
    }

    /// The only place of the anchor.
    fn anchor(&self, edit: &Edit) -> Result<Range<usize>, Misfit> {
        let whole = || std::iter::once(0..self.text.len()).collect();
        let scopes: Vec<_> = edit.function.as_ref().map_or_else(whole, |name| definitions(&self.text, &name.value));
        if scopes.is_empty() {
            return Err(Misfit::new("there is no such definition"));
        }
        let anchor = &edit.anchor.value;
        let search =
            |scope: Range<usize>| if edit.inline { self.parts(scope, anchor) } else { self.lines(scope, anchor) };
        let found: Vec<Range<usize>> = scopes.into_iter().flat_map(search).collect();
        match found.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Misfit(format!("no match{}", self.hint(anchor)))),
            more => {
                let lines: Vec<String> = more.iter().map(|range| self.line(range.start).to_string()).collect();
                Err(Misfit(format!("{} matches, lines {}", more.len(), lines.join(", "))))
            }
        }
    }

    /// The places of a part of a line.
    fn parts(&self, scope: Range<usize>, anchor: &str) -> Vec<Range<usize>> {
        let found = self.text[scope.clone()].match_indices(anchor);
        found.map(|(at, _)| scope.start + at..scope.start + at + anchor.len()).collect()
    }

    /// The places of whole lines. White space at the ends of lines does not count, nor do blank lines at the ends of the
    /// anchor.
    fn lines(&self, scope: Range<usize>, anchor: &str) -> Vec<Range<usize>> {
        let wanted: Vec<&str> = anchor.trim().lines().map(str::trim).collect();
        let mut at = scope.start;
        let lines: Vec<(usize, &str)> = self.text[scope]
            .split_inclusive('\n')
            .map(|line| {
                at += line.len();
                (at - line.len(), line)
            })
            .collect();
        let is_anchor =
            |window: &&[(usize, &str)]| window.iter().zip(&wanted).all(|((_, line), wanted)| line.trim() == *wanted);
        let range = |window: &[(usize, &str)]| {
            let ((start, _), (last, line)) = (window[0], window[window.len() - 1]);
            start..last + line.len()
        };
        lines.windows(wanted.len()).filter(is_anchor).map(range).collect()
    }

    /// The place outside the scope, or inside a line, where the telling line of an anchor is found nevertheless.
    fn hint(&self, anchor: &str) -> String {
        let first = telling(anchor);
        let mut near = self.text.lines().enumerate().filter(|(_, line)| line.contains(first));
        match near.next() {
            Some((number, line)) => format!("; line {} of the file is `{}`", number + 1, line.trim()),
            None => String::new(),
        }
    }

    /// The line of a byte, from 1.
    fn line(&self, at: usize) -> usize {
        self.text[..at].matches('\n').count() + 1
    }
}

/// The first line of an anchor that has a word. Many comments begin with the same line.
pub(crate) fn telling(anchor: &str) -> &str {
    let mut lines = anchor.trim().lines().map(str::trim);
    let has_word = |line: &&str| line.contains(|c: char| c.is_ascii_alphanumeric());
    lines.find(has_word).unwrap_or_else(|| anchor.trim().lines().next().unwrap_or_default())
}
