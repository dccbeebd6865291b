//! Checks whether the output goes to a person, and whether it may have colors.

use std::io::IsTerminal;

/// Whether the stream is a terminal that shows colors: neither NO_COLOR (<https://no-color.org>) nor TERM=dumb forbids
/// them.
pub(crate) fn colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal() && !plain()
}

/// Whether the user has forbidden escape sequences.
pub(crate) fn plain() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) || iomap_command::is_dumb()
}
