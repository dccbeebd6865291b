//! A fault in a page: its place, and how to mend it.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The code of findings about the machine (such as a file that cannot be read), not about a page.
pub const IO: &str = "io";

/// One finding in one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// The line, from 1; 0 if the finding is about the file as a whole.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The length in characters on that line, at least 1.
    pub length: usize,
    /// A short stable name, such as `duplicate-id`.
    pub code: &'static str,
    /// The fault.
    pub message: String,
    /// How to mend it.
    pub mend: String,
}

impl Diagnostic {
    /// A finding about a file as a whole.
    pub(crate) fn whole(
        file: &Path,
        code: &'static str,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Diagnostic {
        Diagnostic {
            file: file.to_owned(),
            line: 0,
            column: 1,
            length: 1,
            code,
            message: message.into(),
            mend: mend.into(),
        }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { line, column, code, message, mend, .. } = self;
        match line {
            0 => write!(f, "{}: ", self.file.display())?,
            _ => write!(f, "{}:{line}:{column}: ", self.file.display())?,
        }
        write!(f, "error[{code}]: {message}\n  mend: {mend}")
    }
}

/// The text of a page and the file that it is from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The file, as the caller named it.
    pub file: PathBuf,
    /// All of its text.
    pub text: String,
}

impl Source {
    /// The line and column of an offset, both from 1; the column counts characters.
    pub fn position(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }

    /// A finding about `span` of this text. Only the first line of the span is underlined.
    pub(crate) fn diagnostic(
        &self,
        span: Range<usize>,
        code: &'static str,
        message: impl Into<String>,
        mend: impl Into<String>,
    ) -> Diagnostic {
        let (line, column) = self.position(span.start);
        let spanned = self.text.get(span).unwrap_or_default();
        let length = spanned.lines().next().unwrap_or_default().trim_end().chars().count().max(1);
        Diagnostic { line, column, length, ..Diagnostic::whole(&self.file, code, message, mend) }
    }
}
