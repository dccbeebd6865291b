//! Thousands of damaged pages: each is refused or accepted; none makes the parser panic or writes requests of its own.

mod tools;

use iomap_spec::man::Man;
use iomap_spec::text::Text;
use iomap_spec::{Backend, Page, compile_bytes, lint, load_files};
use std::fs;
use std::path::Path;
use tools::damage::damage;

/// All requests that the emitter writes; the sampler's text has other requests.
const MACROS: &[&str] = &[
    "'\\\" t", ".\\\"", ".TH", ".SH", ".SS", ".PP", ".IP", ".TP", ".TQ", ".RS", ".RE", ".B", ".I", ".BR", ".RB", ".IR",
    ".RI", ".BI", ".IB", ".UR", ".UE", ".in", ".sp", ".EX", ".EE", ".br", ".TS", ".TE", ".if", ".nr", ".ds", ".nh",
    ".ad",
];

/// Strings that have a meaning to some part of the parser.
const TOKENS: &[&str] = &[
    "\n",
    "\n\n",
    "```\n",
    "r[",
    "]\n",
    "r[x.y level=must result=ok]\n",
    "- ",
    "1. ",
    ": ",
    "> ",
    "| a | b |\n|---|:-:|\n",
    "|",
    "*",
    "**",
    "_",
    "`",
    "[",
    "](https://x.y)",
    "[x.y]",
    "<",
    "&lt;",
    "\\",
    "\\\n",
    "# ",
    "## ",
    "---\n",
    "===\n",
    "\n.so /etc/passwd\n",
    "\n'so x\n",
    "\\fB",
    "\t",
    "\"",
    "=",
    "é",
    "\u{a0}",
    "\u{2028}",
    "\0",
    "\r",
    "\u{1b}",
    "    ",
    "<div>\n",
    "T{",
    "T}",
    "\n.xx\n",
    "\n\\!cmd\n",
    "\n.\\\"\n",
    "\\n(.x",
    "<br>",
    "<b>",
    "</b>",
    "<a href='.so /etc/passwd'>",
    "<!--",
    "&#10;.so x",
    "&#27;",
    "% .so(1) x\n",
    "#### --",
    "![.so](.so x)",
    "[^1]",
    "\n[^1]: .so x",
    "~~",
    "\u{202e}",
    "中",
];

#[test]
fn damaged_pages() {
    let original = fs::read(tools::sampler()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.md");
    fs::write(directory.path().join("words.txt"), "a\nand\nblock\nline\nparagraph\nsecond\n").unwrap();
    let mut random = fastrand::Rng::with_seed(7);
    let mut understood = 0;
    for round in 0..4000 {
        let mut page = original.clone();
        damage(&mut page, TOKENS, &mut random);
        fs::write(&file, &page).unwrap();
        let Ok(spec) = load_files(std::slice::from_ref(&file)) else { continue };
        understood += 1;
        let _ = lint(&spec, None);
        let roff = render(&spec.pages[0], &page);
        // Only one page in a hundred, because each check starts four processes.
        if understood % 100 == 0 {
            let complaints = tools::complaints(&roff);
            assert!(!complaints.contains("ERROR") && !complaints.contains("invalid"), "round {round}: {complaints}");
        }
    }
    // Enough pages must get past the first check.
    assert!(understood > 400, "only {understood} pages were understood");
}

/// Renders the page in every format. Each line of the roff that looks like a request must be one that the emitter
/// writes.
fn render(page: &Page, source: &[u8]) -> String {
    let _ = Text.page(page);
    let roff = Man.page(page);
    for line in roff.lines().filter(|line| line.starts_with(['.', '\''])) {
        let word = line.split(' ').next().unwrap_or_default();
        assert!(MACROS.contains(&word) || line == MACROS[0], "{line}\n{}", String::from_utf8_lossy(source));
    }
    assert!(
        roff.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~')),
        "{}",
        String::from_utf8_lossy(source)
    );
    roff
}

/// Ordinary pages are never refused, unless they are not text.
#[test]
fn damaged_ordinary_pages() {
    let originals: Vec<Vec<u8>> = tools::ordinary().iter().map(|file| fs::read(file).unwrap()).collect();
    let mut random = fastrand::Rng::with_seed(8);
    for round in 0..4000 {
        let mut page = originals[round % originals.len()].clone();
        damage(&mut page, TOKENS, &mut random);
        // Bytes that are not UTF-8 are a finding; the rest of the page is tested without them.
        let page = String::from_utf8_lossy(&page).into_owned();
        let Ok(spec) = compile_bytes(Path::new("page.md"), page.clone().into_bytes(), "2026-01-31") else {
            assert!(page.contains("version:"), "refused: {page}");
            continue;
        };
        let roff = render(&spec.pages[0], page.as_bytes());
        if round % 200 == 0 {
            assert_eq!(tools::warnings(&roff), "", "{page}");
        }
    }
}

/// Text that looks like roff stays text in every position.
#[test]
fn roff_in_every_position() {
    const FORMS: [&str; 16] = [
        "X\n",
        "# X\n\n## X\n\n### X\n\ntext\n",
        "# X(1) -- X\n",
        "# name 1 \"X\" \"X\" \"X\"\n\ntext\n",
        "% X\n% X\n% X\n\nX\n",
        "% name(1) X | X\n",
        "---\nTitle: X\nSource: X\nManual: X\nDate: X\nSee-also:\n  - X\n---\n\nX\n",
        "- X\n- X\n\n1. X\n",
        "X\n: X\n",
        "# A\n\n#### --X\n\nX\n",
        "| X | X |\n|---|---|\n| X | X |\n| a long cell that is wrapped because there is no room for all of it here, X X X |  X |\n",
        "[X](X) [X](<X>) <https://X> [X](https://example.org/X \"X\")\n",
        "![X](X) ![X](https://example.org/X)\n",
        "```X\nX\n```\n\n    X\n\n`X`\n",
        "> X\n\n[^X]\n\n[^X]: X\n",
        "<p>\nX\n</p>\n\na<br>X <b>X</b> <a href=\"X\">X</a> <X>\n",
    ];
    const TEXTS: [&str; 14] = [
        ".so /etc/passwd",
        "'so x",
        "\\!cmd",
        "\\\\!cmd",
        ".\\\"",
        "\\n(.x",
        "T}",
        "T{",
        "_",
        "=",
        "\\_",
        "&#46;so",
        "&#10;.so x",
        "\"",
    ];
    for form in FORMS {
        for text in TEXTS {
            let page = form.replace('X', text);
            let spec = compile_bytes(Path::new("page.md"), page.clone().into_bytes(), "2026-01-31").unwrap();
            render(&spec.pages[0], page.as_bytes());
        }
        let page = TEXTS.map(|text| form.replace('X', text)).join("\n\n");
        let spec = compile_bytes(Path::new("page.md"), page.clone().into_bytes(), "2026-01-31").unwrap();
        assert_eq!(tools::warnings(&render(&spec.pages[0], page.as_bytes())), "", "{page}");
    }
}

/// Deep nesting must not exhaust the parser's stack.
#[test]
fn deep_nesting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.md");
    let front = "---\ntitle: deep\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n# NAME\n\ndeep - x\n\n# NOTES\n\n";
    fs::write(directory.path().join("words.txt"), "a\n").unwrap();
    for unit in [
        "- ",
        "> ",
        "1. ",
        "*a **b ",
        "[",
        "[a](",
        "**",
        "`",
        "| ",
        "r[",
        ": ",
        "<b>",
        "</b>",
        "~~",
        "![",
        "[^1]",
        "#### --x\n\n",
    ] {
        fs::write(&file, front.to_owned() + &unit.repeat(20_000)).unwrap();
        let _ = load_files(std::slice::from_ref(&file)).map(|spec| (lint(&spec, None), Man.page(&spec.pages[0])));
        let page = unit.repeat(20_000);
        let spec = compile_bytes(Path::new("page.md"), page.clone().into_bytes(), "2026-01-31").unwrap();
        render(&spec.pages[0], page.as_bytes());
    }
}
