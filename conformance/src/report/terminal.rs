//! The terminal of a report, if the report goes to a terminal.
//!
//! Reports for people always have styles. anstream removes them if the output is not a terminal, or a terminal without
//! colors; it reads NO_COLOR, CLICOLOR_FORCE and TERM.

use anstyle::{AnsiColor, Style};
use iomap_results::Verdict;
use std::io::{IsTerminal, stderr, stdout};
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
        Self { width: 80, height: None }
    }
}

impl Screen {
    /// The screen of standard output. Other output is a page of 80 columns.
    pub(crate) fn of_stdout() -> Self {
        match stdout().is_terminal().then(|| terminal_size_of(stdout())).flatten() {
            Some((Width(width @ 1..), Height(height @ 1..))) => {
                Self { width: usize::from(width).max(40), height: Some(usize::from(height).max(10)) }
            }
            _ => Self::default(),
        }
    }
}

/// Whether TERM says that the terminal shows only plain text.
pub(crate) fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Prints a line that the next such line replaces, on standard error. It uses blanks, not an escape, to cover the old
/// line.
pub(crate) fn passing(line: &str) {
    if can_pass() {
        let width = terminal_size_of(stderr()).map_or(80, |(Width(width), _)| usize::from(width)).saturating_sub(1);
        let line: String = line.chars().take(width).collect();
        let end = if line.is_empty() { "\r" } else { "" };
        eprint!("\r{line:width$}{end}");
    }
}

/// Whether standard error is a terminal on which a line can be replaced.
pub(crate) fn can_pass() -> bool {
    stderr().is_terminal() && !is_dumb()
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

/// Text without its styles.
pub(crate) fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}
