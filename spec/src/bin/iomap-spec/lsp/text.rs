//! Positions and addresses of the protocol, which counts UTF-16 units from 0.

use lsp_types::{Position, Range, Uri};
use percent_encoding::percent_decode_str;
use std::ffi::OsString;
use std::ops;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// The address of a file; `None` if it is not UTF-8.
pub(super) fn uri(path: &Path) -> Option<Uri> {
    Uri::from_str(&format!("file://{}", crate::uri::path(path.to_str()?))).ok()
}

/// The file at an address; `None` if it is no file.
pub(super) fn path(uri: &Uri) -> Option<PathBuf> {
    let rest = uri.as_str().strip_prefix("file://")?;
    let encoded = &rest[rest.find('/')?..];
    Some(PathBuf::from(OsString::from_vec(percent_decode_str(encoded).collect())))
}

/// The offset of a position; a position after the end of a line is the end.
pub(super) fn offset(text: &str, position: Position) -> usize {
    let start: usize = text.split_inclusive('\n').take(position.line as usize).map(str::len).sum();
    let line = text[start..].split('\n').next().unwrap_or_default();
    let mut units = 0;
    let within = line.char_indices().find(|(_, c)| {
        let is_there = units >= position.character as usize;
        units += c.len_utf16();
        is_there
    });
    start + within.map_or(line.len(), |(at, _)| at)
}

/// The position of an offset.
pub(super) fn position(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let units = before[start..].encode_utf16().count();
    Position { line: before.matches('\n').count() as u32, character: units as u32 }
}

pub(super) fn range(text: &str, span: ops::Range<usize>) -> Range {
    Range { start: position(text, span.start), end: position(text, span.end) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every offset of a text with characters of one, two and four bytes comes back, and so does every path.
    #[test]
    fn positions_and_addresses_come_back() {
        let text = "a\u{e9}\u{1f600}b\n\n\u{1f600}\n";
        for (at, _) in text.char_indices().chain([(text.len(), ' ')]) {
            assert_eq!(offset(text, position(text, at)), at, "{at}");
        }
        assert_eq!(position(text, text.find('b').unwrap()), Position { line: 0, character: 4 });
        assert_eq!(offset(text, Position { line: 0, character: 99 }), text.find('\n').unwrap());
        assert_eq!(offset(text, Position { line: 99, character: 0 }), text.len());
        for name in ["/a/b.md", "/a b/#c?.md", "/\u{e9}%20"] {
            assert_eq!(path(&uri(Path::new(name)).unwrap()).unwrap(), Path::new(name));
        }
        assert_eq!(path(&Uri::from_str("untitled:a").unwrap()), None);
    }
}
