//! Thousands of damaged pages: each is refused or understood, none brings the parser down or writes roff of its own.

mod tools;

use iomap_spec::man::Man;
use iomap_spec::text::Text;
use iomap_spec::{Backend, lint, load_files};
use std::fs;

/// All that the emitter begins a line with; the sampler's text has requests that are not among them.
const MACROS: &[&str] = &[
    "'\\\" t", ".\\\"", ".TH", ".SH", ".SS", ".PP", ".IP", ".TP", ".TQ", ".RS", ".RE", ".B", ".I", ".BR", ".RB", ".IR",
    ".RI", ".BI", ".IB", ".UR", ".UE", ".in", ".EX", ".EE", ".br", ".TS", ".TE", ".if",
];

/// Pieces that are likely to mean something to some part of the parser.
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
];

/// Xorshift: the same pages in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

fn damage(page: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(6) {
        let at = random.below(page.len());
        match random.below(5) {
            0 => page[at] = random.below(256) as u8,
            1 => drop(page.drain(at..(at + random.below(40)).min(page.len()))),
            2 => {
                let piece = page[at..(at + random.below(80)).min(page.len())].to_vec();
                let to = random.below(page.len());
                page.splice(to..to, piece);
            }
            _ => {
                let token = TOKENS[random.below(TOKENS.len())];
                page.splice(at..at, token.bytes());
            }
        }
        if page.is_empty() {
            page.push(b'-');
        }
    }
}

#[test]
fn damaged_pages() {
    let original = fs::read(tools::sampler()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.md");
    fs::write(directory.path().join("words.txt"), "a\nand\nblock\nline\nparagraph\nsecond\n").unwrap();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut understood = 0;
    for round in 0..4000 {
        let mut page = original.clone();
        damage(&mut page, &mut random);
        fs::write(&file, &page).unwrap();
        let Ok(spec) = load_files(std::slice::from_ref(&file)) else { continue };
        understood += 1;
        let _ = lint(&spec, None);
        let _ = Text.page(&spec.pages[0]);
        let roff = Man.page(&spec.pages[0]);
        for line in roff.lines().filter(|line| line.starts_with(['.', '\''])) {
            let word = line.split(' ').next().unwrap_or_default();
            assert!(
                MACROS.contains(&word) || line == MACROS[0],
                "round {round}: {line}\n{}",
                String::from_utf8_lossy(&page)
            );
        }
        // A few of them, because each is four processes.
        if understood % 100 == 0 {
            let complaints = tools::complaints(&roff);
            assert!(!complaints.contains("ERROR") && !complaints.contains("invalid"), "round {round}: {complaints}");
        }
    }
    // Not all are so damaged that only the first check sees them.
    assert!(understood > 400, "only {understood} pages were understood");
}

/// Depth costs the parser no stack.
#[test]
fn deep_nesting() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.md");
    let front = "---\ntitle: deep\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n# NAME\n\ndeep - x\n\n# NOTES\n\n";
    fs::write(directory.path().join("words.txt"), "a\n").unwrap();
    for unit in ["- ", "> ", "1. ", "*a **b ", "[", "[a](", "**", "`", "| ", "r[", ": "] {
        fs::write(&file, front.to_owned() + &unit.repeat(20_000)).unwrap();
        let _ = load_files(std::slice::from_ref(&file)).map(|spec| (lint(&spec, None), Man.page(&spec.pages[0])));
    }
}
