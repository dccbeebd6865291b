//! Paths in addresses.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// The characters of a path that a URI takes as they are.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'.').remove(b'-').remove(b'_').remove(b'~');

/// The path as part of an address.
pub(crate) fn path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}
