//! Manual pages in the dialects of other people: what becomes of them, and that nothing of them is lost.

mod tools;

use iomap_spec::json::Json;
use iomap_spec::man::Man;
use iomap_spec::text::Text;
use iomap_spec::{Backend, Page, compile};
use unicode_width::UnicodeWidthStr;

fn pages() -> Vec<Page> {
    compile(&tools::ordinary(), "1970-01-01").unwrap_or_else(|findings| panic!("{}", findings[0])).pages
}

fn page(title: &str) -> Page {
    pages().into_iter().find(|page| page.title == title).unwrap_or_else(|| panic!("there is no {title}"))
}

#[test]
fn as_roff() {
    for page in pages() {
        insta::assert_snapshot!(format!("roff_{}", page.stem()), Man.page(&page));
    }
}

#[test]
fn on_a_terminal() {
    for page in pages() {
        if let Some(shown) = tools::terminal(&Man.page(&page)).first() {
            insta::assert_snapshot!(format!("terminal_{}", page.stem()), shown);
        }
    }
}

#[test]
fn as_text() {
    for title in ["pack-box", "hinge"] {
        insta::assert_snapshot!(format!("text_{title}"), Text.page(&page(title)));
    }
}

/// The whole structure, and where it came from is no part of it.
#[test]
fn as_json() {
    let document: serde_json::Value = serde_json::from_str(&Json.page(&page("pack-box"))).unwrap();
    assert_eq!(document["schema"], 1);
    assert_eq!(document["page"]["title"], "pack-box");
    insta::assert_snapshot!(Json.page(&page("SHELF")));
}

#[test]
fn formatters_are_silent() {
    for page in pages() {
        assert_eq!(tools::warnings(&Man.page(&page)), "", "{}", page.reference());
    }
}

/// Each of these is in a page, and each would be easy to lose.
#[test]
fn nothing_is_lost() {
    let kept = [
        ("pack-box", &["<https://example.org/packing/rules?of=boxes&for=all>", "../lists/things.txt", "see-also"][..]),
        (
            "SHELF",
            &["Ada Example, Bob .so /etc/passwd", "Shelves 2.1", "2026-01-31", "[1]", "[long]", "~~saw~~", "[ ]"],
        ),
        (
            "ruler",
            &["<length>", "[<unit>...]", "and <b> alone", "<https://example.org/html>", "<placeholder>", "<tag>"],
        ),
        ("drawer_open", &["libdrawer", "drawer_close (3), cupboard (7)", "deeper", "and deeper still"]),
        ("hinge", &["Text before the first section", "https://example.org/badge.svg", "https://example.org/empty"]),
        ("nail", &[".so /etc/passwd begins a page", "https://example.org/a?b=", "T} and more words", "\\n(.x"]),
        ("plank", &["z: 26", "in/it.conf", "eleven, which has no more room"]),
        ("world", &["中文", "🐧", "naïve", "hidden: [\u{fffd}] [\u{fffd}] [\u{fffd}] [\u{fffd}]"]),
    ];
    for (title, texts) in kept {
        for shown in tools::terminal(&Man.page(&page(title))) {
            // Lines are filled and long words broken, and the formatters have their own brackets and apostrophes.
            let without_space = |text: &str| text.split_whitespace().collect::<String>();
            let shown = without_space(&shown).replace('⟨', "<").replace('⟩', ">").replace('’', "'").replace('‐', "-");
            for text in texts {
                assert!(shown.contains(&without_space(text)), "{title}: {text} is missing: {shown}");
            }
        }
    }
}

/// But for code, with groff; mandoc does not use places to break.
#[test]
fn no_line_is_wider_than_a_terminal() {
    for page in pages() {
        for shown in tools::terminal(&Man.page(&page)).iter().skip(1) {
            for line in shown.lines().filter(|line| !line.contains("A line of code that is longer")) {
                assert!(line.width() <= 80, "{}: {line}", page.reference());
            }
        }
    }
}

/// Copied text is what was written: places to break show nothing.
#[test]
fn long_words_are_whole() {
    let roff = Man.page(&page("plank"));
    let plain = roff.replace("\\:", "").replace("\\%", "").replace("\\-", "-").replace("\\fB", "");
    for word in ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a089f86", "/be?and=more&so=on"] {
        assert!(plain.contains(word), "{word} is missing: {roff}");
        assert!(!roff.contains(word), "{word} has no place to break: {roff}");
    }
}
