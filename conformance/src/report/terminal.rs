//! The terminal of a report, if the report goes to a terminal.
//!
//! Reports for people always have styles. anstream removes them if the output is not a terminal, or a terminal without
//! colors; it reads NO_COLOR, CLICOLOR_FORCE and TERM.

use anstyle::{AnsiColor, Style};
use iomap_command::{Output, WIDTH};
use iomap_results::Verdict;
use std::io::{IsTerminal, stdout};
use terminal_size::{Height, Width, terminal_size_of};

/// The room for a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Screen {
    /// The width in columns.
    pub width: usize,
    /// The height in lines; `None` if lines do not scroll away.
    pub height: Option<usize>,
}

impl Default for Screen {
    fn default() -> Self {
        Self { width: WIDTH, height: None }
    }
}

impl Screen {
    /// The screen of standard output. Other output is a page of 80 columns.
    pub(crate) fn of(output: &Output) -> Self {
        if output.is_standard() { Self::of_stdout() } else { Self::default() }
    }

    fn of_stdout() -> Self {
        match stdout().is_terminal().then(|| terminal_size_of(stdout())).flatten() {
            Some((Width(width @ 1..), Height(height @ 1..))) => {
                Self { width: usize::from(width).max(40), height: Some(usize::from(height).max(10)) }
            }
            _ => Self::default(),
        }
    }
}

/// The headings of tables.
pub(crate) const HEADING: Style = Style::new().bold();

/// The style of a verdict.
pub(crate) fn style(verdict: Verdict) -> Style {
    match verdict {
        Verdict::Holds => AnsiColor::Green.on_default(),
        Verdict::Violated => AnsiColor::Red.on_default().bold(),
        Verdict::Error => AnsiColor::Magenta.on_default().bold(),
        Verdict::NotReachable | Verdict::NotOffered => AnsiColor::Yellow.on_default(),
        Verdict::Untested => Style::new(),
    }
}

/// Text with a style. Trailing blanks stay outside, so that lines can be trimmed.
pub(crate) fn styled(style: Style, text: &str) -> String {
    let words = text.trim_end();
    if words.is_empty() { text.into() } else { format!("{style}{words}{style:#}{}", &text[words.len()..]) }
}
