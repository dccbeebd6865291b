//! Reads any bytes as a page of the specification and as an ordinary page. Neither parsers nor back ends may panic, and
//! no line of the roff may begin like a request that the emitter does not write.
#![no_main]

use iomap_spec::{Backend, json::Json, lint, man::Man, text::Text};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

const MACROS: &[&str] = &[
    ".\\\"", ".TH", ".SH", ".SS", ".PP", ".IP", ".TP", ".TQ", ".RS", ".RE", ".B", ".I", ".BR", ".RB", ".IR", ".RI",
    ".BI", ".IB", ".UR", ".UE", ".in", ".EX", ".EE", ".br", ".TS", ".TE", ".if", ".nr", ".ds", ".nh", ".ad",
];

/// The front matter; without it, few inputs would be pages of the specification.
const FRONT: &[u8] = b"---\ntitle: fuzz\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n# NAME\n\nfuzz - x\n\n";

fuzz_target!(|bytes: &[u8]| {
    let file = Path::new("fuzz.7.md");
    for bytes in [bytes.to_vec(), [FRONT, bytes].concat()] {
        let Ok(pages) = iomap_spec::compile_bytes(file, bytes, "1970-01-01") else { continue };
        let roff = Man.page(&pages.pages[0]);
        for line in roff.lines().filter(|line| line.starts_with(['.', '\''])) {
            let word = line.split(' ').next().unwrap_or_default();
            assert!(MACROS.contains(&word) || line == "'\\\" t", "{line}");
        }
        assert!(roff.bytes().all(|byte| byte == b'\n' || byte == b'\t' || (b' '..=b'~').contains(&byte)));
        let _ = Text.page(&pages.pages[0]);
        let _ = Json.page(&pages.pages[0]);
        if pages.pages[0].ordinary.is_none() {
            let _ = lint(&pages, None);
        }
    }
});
