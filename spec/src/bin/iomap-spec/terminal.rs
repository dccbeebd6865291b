//! Whether people see what is printed, and with colors.

use std::io::IsTerminal;

/// Whether the stream is a terminal that is to have colors: neither NO_COLOR (<https://no-color.org>) nor TERM=dumb
/// says otherwise.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !plain()
}

/// Whether the user wants no escape sequence at all.
pub(crate) fn plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|value| value == "dumb")
}
