//! Characters that are not shown as they are.

use unicode_width::UnicodeWidthStr;

/// Tab stops in code.
const TAB: usize = 8;

/// Control characters, and those that change the direction in which text is read.
pub(crate) fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// A line with spaces in place of its tabs.
pub(crate) fn expand_tabs(line: &str) -> String {
    let mut expanded = String::new();
    for c in line.chars() {
        match c {
            '\t' => expanded.extend(std::iter::repeat_n(' ', TAB - expanded.width() % TAB)),
            c => expanded.push(c),
        }
    }
    expanded
}
