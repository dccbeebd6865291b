//! Characters without a visible form of their own.

use unicode_width::UnicodeWidthStr;

/// Tab stops in code.
const TAB: usize = 8;

/// Whether the character is a control character or changes the direction of text.
pub(crate) fn is_invisible(c: char) -> bool {
    (c.is_control() && c != '\n' && c != '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// The line with spaces in place of its tabs.
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
