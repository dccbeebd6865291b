//! The layers around the text of a file: compression, encodings, the colors of a terminal.

use flate2::read::MultiGzDecoder;
use std::borrow::Cow;
use std::io::Read;

/// The maximum size after unpacking. Patches and mails are smaller; the limit stops a small file that unpacks to a huge
/// one.
const LARGEST: u64 = 256 << 20;

/// The number of layers of compression or mailboxes that are opened.
const DEEPEST: usize = 3;

/// Data that are not text: identifying bytes and their place, a name, and how to get a text from them.
const KINDS: [(usize, &[u8], &str, &str); 16] = [
    (0, b"\xfd7zXZ\0", "data compressed by xz", "unpack them first: xz -dc"),
    (0, b"\x28\xb5\x2f\xfd", "data compressed by zstd", "unpack them first: zstd -dc"),
    (4, b"1AY&SY", "data compressed by bzip2", "unpack them first: bzip2 -dc"),
    (0, b"\x04\x22\x4d\x18", "data compressed by lz4", "unpack them first: lz4 -dc"),
    (0, b"LZIP", "data compressed by lzip", "unpack them first: lzip -dc"),
    (0, b"\x1f\x9d", "data compressed by compress", "unpack them first: gzip -dc"),
    (0, b"PK\x03\x04", "a zip archive", "unpack it first: unzip -p"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", "unpack it first: 7z x -so"),
    (257, b"ustar", "a tar archive", "unpack it first: tar -xO"),
    (0, b"# v2 git bundle", "a bundle of git", "fetch from it, and use git format-patch"),
    (0, b"# v3 git bundle", "a bundle of git", "fetch from it, and use git format-patch"),
    (0, b"-----BEGIN PGP MESSAGE-----", "an encrypted message", "decrypt it first: gpg -d"),
    (0, b"\xd0\xcf\x11\xe0", "a document of Outlook or Office", "save it as text"),
    (0, b"\x78\x9f\x3e\x22", "a winmail.dat of Outlook", "unpack it first: tnef"),
    (0, b"%PDF-", "a PDF document", "send text"),
    (0, b"\x7fELF", "a program", "name a text"),
];

/// The contents of a file, and its faults.
pub(crate) struct Unwrapped<'a> {
    pub(crate) bytes: Cow<'a, [u8]>,
    /// A part of a sentence about the file: its kind, if it is not text, or the part that is lost.
    pub(crate) remark: Option<String>,
}

/// Undoes gzip(1) and UTF-16, and names other kinds of data.
pub(crate) fn unwrap(bytes: &[u8]) -> Unwrapped<'_> {
    let mut unwrapped = Unwrapped { bytes: Cow::Borrowed(bytes), remark: None };
    for _ in 0..DEEPEST {
        if !unwrapped.bytes.starts_with(b"\x1f\x8b") {
            break;
        }
        let mut text = vec![];
        let mut decoder = MultiGzDecoder::new(&*unwrapped.bytes).take(LARGEST);
        let read = decoder.read_to_end(&mut text);
        unwrapped.remark = match read {
            Err(error) => Some(format!("the data compressed by gzip are damaged: {error}")),
            Ok(_) if decoder.limit() == 0 => Some(format!("only the first {} MiB are read", LARGEST >> 20)),
            Ok(_) => unwrapped.remark,
        };
        unwrapped.bytes = text.into();
    }
    let is = |(at, magic, _, _): &&(usize, &[u8], &str, &str)| {
        unwrapped.bytes.get(*at..).is_some_and(|rest| rest.starts_with(magic))
    };
    if let Some((_, _, what, how)) = KINDS.iter().find(is) {
        return Unwrapped { bytes: Cow::Borrowed(b""), remark: Some(format!("this is {what}: {how}")) };
    }
    if let Some(text) = utf16(&unwrapped.bytes) {
        unwrapped.bytes = text.into_bytes().into();
    } else if let Some(rest) = unwrapped.bytes.strip_prefix(b"\xef\xbb\xbf") {
        unwrapped.bytes = rest.to_vec().into();
    }
    unwrapped
}

/// Whether the data are binary, by the control characters at their start.
pub(crate) fn is_binary(bytes: &[u8]) -> bool {
    const SAMPLE: usize = 4096;
    /// Text can have one control character by mistake. In compressed data, one byte in nine is a control character.
    const RARE: usize = 20;
    let sample = &bytes[..bytes.len().min(SAMPLE)];
    let is_odd = |byte: &&u8| **byte < b' ' && !b"\t\n\r\x08\x0c\x1b".contains(byte);
    sample.iter().filter(is_odd).count() * RARE > sample.len()
}

/// The text, if the data are UTF-16 or UTF-32, by the mark at their start or by their zeros.
fn utf16(bytes: &[u8]) -> Option<String> {
    /// Half of the bytes of English text are zeros, and a sample of this size shows which half.
    const SAMPLE: usize = 4096;
    let (rest, big, wide) = match bytes {
        [0xff, 0xfe, 0, 0, rest @ ..] => (rest, false, true),
        [0, 0, 0xfe, 0xff, rest @ ..] => (rest, true, true),
        [0xff, 0xfe, rest @ ..] => (rest, false, false),
        [0xfe, 0xff, rest @ ..] => (rest, true, false),
        _ => {
            let sample = &bytes[..bytes.len().min(SAMPLE)];
            let zeros = |odd: usize| sample.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count() * 2;
            let (even, odd, most) = (zeros(0), zeros(1), sample.len() / 2);
            match (even > most, odd > most) {
                (true, false) if odd * 8 < even => (bytes, true, false),
                (false, true) if even * 8 < odd => (bytes, false, false),
                _ => return None,
            }
        }
    };
    if wide {
        let units = rest.chunks_exact(4).map(|it| {
            let unit = [it[0], it[1], it[2], it[3]];
            let unit = if big { u32::from_be_bytes(unit) } else { u32::from_le_bytes(unit) };
            char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER)
        });
        return Some(units.collect());
    }
    // A mark without a sensible text after it is just two bytes in a file of another kind.
    if rest.len() % 2 != 0 || std::str::from_utf8(rest).is_ok_and(|text| !text.contains('\0')) {
        return None;
    }
    let units = rest.chunks_exact(2).map(|it| {
        let unit = [it[0], it[1]];
        if big { u16::from_be_bytes(unit) } else { u16::from_le_bytes(unit) }
    });
    Some(char::decode_utf16(units).map(|it| it.unwrap_or(char::REPLACEMENT_CHARACTER)).collect())
}

/// The text without the sequences that control a terminal, and with each kind of line end as a newline.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\u{1b}') && (text.contains('\n') || !text.contains('\r')) {
        return Cow::Borrowed(text);
    }
    let old_ends = !text.contains('\n');
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\u{1b}') {
        out += &rest[..at];
        rest = &rest[at..];
        let length = sequence(rest);
        if length == 0 {
            out.push('\u{1b}');
        }
        rest = &rest[length.max(1)..];
    }
    out += rest;
    Cow::Owned(if old_ends { out.replace('\r', "\n") } else { out })
}

/// The length in bytes of the sequence that begins here (ECMA-48: CSI, OSC and the short ones), 0 if there is none.
fn sequence(text: &str) -> usize {
    let bytes = text.as_bytes();
    let run = |from: usize, range: std::ops::RangeInclusive<u8>| {
        bytes[from..].iter().take_while(|byte| range.contains(byte)).count()
    };
    match bytes.get(1) {
        Some(b'[') => {
            let parameters = 2 + run(2, 0x30..=0x3f);
            let end = parameters + run(parameters, 0x20..=0x2f);
            bytes.get(end).filter(|byte| (0x40..=0x7e).contains(*byte)).map_or(0, |_| end + 1)
        }
        Some(b']') => {
            let line = text.lines().next().unwrap_or(text);
            let ends = [("\u{7}", 1), ("\u{1b}\\", 2)];
            ends.iter().filter_map(|(end, length)| Some(line[1..].find(end)? + 1 + length)).min().unwrap_or(0)
        }
        Some(0x20..=0x2f) => {
            let end = 1 + run(1, 0x20..=0x2f);
            bytes.get(end).filter(|byte| (0x30..=0x7e).contains(*byte)).map_or(0, |_| end + 1)
        }
        Some(b'=' | b'>' | b'7' | b'8' | b'c' | b'D' | b'E' | b'H' | b'M') => 2,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    const TEXT: &str = "--- a/fs/open.c\n+++ b/fs/open.c\nnaïve\n";

    fn text(bytes: &[u8]) -> String {
        let unwrapped = unwrap(bytes);
        assert_eq!(unwrapped.remark, None);
        String::from_utf8(unwrapped.bytes.into_owned()).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(vec![], Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn encodings() {
        let units: Vec<u16> = TEXT.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        let wide: Vec<u8> = TEXT.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect();
        let forms = [
            TEXT.as_bytes().to_vec(),
            [b"\xef\xbb\xbf", TEXT.as_bytes()].concat(),
            [b"\xff\xfe", &*little].concat(),
            [b"\xfe\xff", &*big].concat(),
            [b"\xff\xfe\0\0", &*wide].concat(),
            little,
            big,
            gzip(TEXT.as_bytes()),
            gzip(&gzip(TEXT.as_bytes())),
            [gzip(&TEXT.as_bytes()[..9]), gzip(&TEXT.as_bytes()[9..])].concat(),
        ];
        for (number, form) in forms.iter().enumerate() {
            assert_eq!(text(form), TEXT, "form {number}");
        }
        // These two bytes are not a byte order mark.
        assert_eq!(unwrap(b"\xff\xfe a text").bytes, &b"\xff\xfe a text"[..]);
    }

    #[test]
    fn the_kind_of_a_file_without_text_is_named() {
        for (at, magic, what, _) in KINDS {
            let mut bytes = vec![b'x'; at];
            bytes.extend_from_slice(magic);
            for bytes in [gzip(&bytes), bytes] {
                let unwrapped = unwrap(&bytes);
                assert!(unwrapped.bytes.is_empty() && unwrapped.remark.is_some_and(|it| it.contains(what)), "{what}");
            }
        }
        let whole = gzip(&TEXT.repeat(99).into_bytes());
        let cut = unwrap(&whole[..whole.len() - 9]);
        assert!(cut.bytes.starts_with(TEXT.as_bytes()) && cut.remark.is_some());
    }

    #[test]
    fn binary_data() {
        let noise: Vec<u8> = (0..9000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for (bytes, expected) in [
            (&*noise, true),
            (&[0; 9000], true),
            (b"", false),
            (TEXT.repeat(9).as_bytes(), false),
            (b"a line of a text with one \0 in it\n", false),
            (b"\x1b[1mb\x1b[m\n_\x08a\x0c\r\n", false),
            (b"\xce\xc5\xd4 \xce\xc5\xd4\n", false),
        ] {
            assert_eq!(is_binary(bytes), expected, "{bytes:?}");
        }
    }

    #[test]
    fn sequences() {
        let cases = [
            ("\u{1b}[1mdiff\u{1b}[m\n\u{1b}[38;5;9m-a\u{1b}[0;7m \u{1b}[K\n", "diff\n-a \n"),
            ("\u{1b}]8;;https://a.b\u{1b}\\x\u{1b}]8;;\u{7}\n", "x\n"),
            ("\u{1b}(B\u{1b}[mx\u{1b}>\n", "x\n"),
            // None of these is a complete sequence.
            ("\u{1b}", "\u{1b}"),
            ("\u{1b}[\n", "\u{1b}[\n"),
            ("\u{1b}]0;\n", "\u{1b}]0;\n"),
            ("é\u{1b}é\n", "é\u{1b}é\n"),
            ("a\rb\r", "a\nb\n"),
        ];
        for (text, expected) in cases {
            assert_eq!(plain(text), expected);
        }
    }
}
