//! Lines of progress on a terminal.

use crate::output::tell;
use crate::words::WIDTH;
use std::io::{IsTerminal, stderr};
use terminal_size::{Width, terminal_size_of};

/// Whether the terminal says that it understands only text.
pub fn is_dumb() -> bool {
    std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// Whether standard error is a terminal on which a line can be replaced.
pub fn can_pass() -> bool {
    stderr().is_terminal() && !is_dumb()
}

/// Prints a line that the next one replaces, on standard error; an empty line removes it. Blanks cover the old line, so
/// there are no escape sequences.
pub fn passing(line: &str) {
    if can_pass() {
        let width = terminal_size_of(stderr()).map_or(WIDTH, |(Width(width), _)| usize::from(width)).saturating_sub(1);
        let line: String = line.chars().take(width).collect();
        let end = if line.is_empty() { "\r" } else { "" };
        tell(format_args!("\r{line:width$}{end}"));
    }
}

/// The state of a run in one line: `LABEL [####----] 5/10 NAME`.
pub fn bar(label: &str, done: usize, total: usize, name: &str) -> String {
    const BAR: usize = 20;
    let full = done.min(total) * BAR / total.max(1);
    let line = format!("{label} [{}{}] {done}/{total} {name}", "#".repeat(full), "-".repeat(BAR - full));
    // A line that wraps could not be replaced.
    line.chars().take(WIDTH - 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_fits() {
        assert_eq!(bar("xfs/seal", 5, 10, "read::any"), "xfs/seal [##########----------] 5/10 read::any");
        assert_eq!(bar("xfs/seal", 0, 0, "").matches('#').count(), 0);
        assert_eq!(bar(&"long".repeat(30), 10, 10, "read::any").len(), WIDTH - 1);
    }
}
