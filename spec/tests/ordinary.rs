//! Manual pages in the dialects of other people: their conversion, and that no text is lost.

mod tools;
#[path = "tools/words.rs"]
mod words;

use iomap_spec::json::Json;
use iomap_spec::man::Man;
use iomap_spec::text::Text;
use iomap_spec::{Backend, Page, compile, compile_bytes};
use std::path::Path;
use unicode_width::UnicodeWidthStr;

fn pages() -> Vec<Page> {
    compile(&tools::ordinary(), "").unwrap_or_else(|findings| panic!("{}", findings[0])).pages
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
    for page in pages() {
        insta::assert_snapshot!(format!("text_{}", page.stem()), Text.page(&page));
    }
}

/// Title, section and date, and the texts at the head and the foot.
#[test]
fn heads() {
    let heads = [
        ("bolt.1.md", "BOLT(1)", "2024-03-01", "Bolt 100%", "Tools 50%"),
        ("pulley.8.md", "pulley-wheel(8)", "2024-03-04", "pulley 2.0", "Pulley Manual"),
        ("clamp-light.7.md", "clamp-light(7)", "", "", ""),
        ("rivet.7.md", "RIVET(7)", "", "rivet API version 1.1", "RIVET"),
        ("gauge_new.3.md", "gauge_new(3)", "", "libgauge | Gauges", "gauge API version 1.0"),
        ("washer.5.md", "WASHER(5)", "2026-01-31", "washer 100%", "Formats of washers"),
        ("spring.3.md", "spring_wind(3)", "2026-01-31", "Library Calls", "Springs"),
        ("lever.1.md", "lever(1)", "2026-01-31", "", ""),
        ("plank.md", "plank(7)", "", "", ""),
    ];
    for (file, reference, date, origin, manual) in heads {
        let page = pages().into_iter().find(|page| page.source.file.ends_with(file)).unwrap();
        let ordinary = page.ordinary.clone().unwrap_or_default();
        let found = (page.reference(), page.date, ordinary.origin, ordinary.manual);
        assert_eq!(found, (reference.into(), date.into(), origin.into(), manual.into()), "{file}");
    }
}

/// Titles in one line, in the usual forms.
#[test]
fn titles() {
    let titles = [
        (
            "% docker-run(1) Docker User Manuals\n% Community\n% JUNE 2014\n",
            "docker-run(1)",
            "2014-06-01",
            "Docker User Manuals",
        ),
        ("% store.conf 5 May 2017 storage of things\n", "store.conf(5)", "2017-05-01", "storage of things"),
        ("% certs.d 5 Directory for certificates\n", "certs.d(5)", "", "Directory for certificates"),
        ("% \"thing.d\" \"5\" \"May 2017\" \"things 1\"\n", "thing.d(5)", "2017-05-01", "things 1"),
        ("# thing 8 \"31 May 2017\" \"things 1\"\n\n## NAME\n\nthing - x\n", "thing(8)", "2017-05-31", "things 1"),
        ("# thing(3ssl)\n\n# NAME\n\nthing - x\n", "thing(3ssl)", "", ""),
        ("---\ntitle: thing\nsection: 4\n---\n\n# THING\n\n## NAME\n\nthing - x\n", "thing(4)", "", ""),
        ("---\ntitle: thing(4)\n---\n\n# thing(4) -- x\n\n## USE\n\nx\n", "thing(4)", "", ""),
        ("%%%\ntitle = \n%%%\n\n# NAME\n\npage - x\n", "page(1)", "", ""),
        ("# Thing - more\n\n## USE\n\nx\n", "page(1)", "", ""),
        ("# page - more\n\n## USE\n\nx\n", "page(1)", "", ""),
    ];
    for (text, reference, date, origin) in titles {
        let page = compile_bytes(Path::new("page.1.md"), text.into(), "").unwrap().pages.remove(0);
        let ordinary = page.ordinary.clone().unwrap_or_default();
        assert_eq!((&*page.reference(), &*page.date, &*ordinary.origin), (reference, date, origin), "{text}");
        assert_eq!(tools::warnings(&Man.page(&page)), "", "{text}");
    }
}

/// With every common formatter, each word is shown as often as in the source.
#[test]
fn no_word_is_lost() {
    for page in pages() {
        let source = std::fs::read_to_string(&page.source.file).unwrap();
        let (words, links) = words::wanted(source.trim_start_matches('\u{feff}'));
        let roff = Man.page(&page);
        for shown in tools::wide_terminal(&roff) {
            assert_eq!(words::lost_words(&words, &shown), [""; 0], "{}: {shown}", page.reference());
            assert_eq!(words::lost_links(&links, &shown), [""; 0], "{}: {shown}", page.reference());
        }
        if let Some(html) = tools::html(&roff) {
            let shown = words::of_html(&html);
            assert_eq!(words::lost_words(&words, &shown), [""; 0], "{}: {html}", page.reference());
        }
    }
}

/// mandoc(1) made a line of its own for each blank at the beginning of a line.
#[test]
fn code_in_html_is_as_it_was_written() {
    let Some(html) = tools::html(&Man.page(&page("BOLT"))) else { return };
    let code = "<pre>int main(void)\n{\n    if (tight)\n        turn(-1);\n\n\n    return 0;\n}\n</pre>";
    assert!(html.contains(code), "{html}");
    assert!(html.contains("<pre>bolt:\n    size: 5\n\n    thread: left\n</pre>"), "{html}");
    assert!(html.contains("<pre>first in an item\n    and deeper\n</pre>"), "{html}");
    assert!(html.contains("<pre>  set in\n</pre>"), "{html}");
    assert!(!html.contains("<br/>"), "{html}");
}

/// groff(1) on a terminal of the C locale prints other hyphens as a different character.
#[test]
fn hyphens_of_names_can_be_typed() {
    let roff = Man.page(&page("BOLT"));
    for name in [
        "my-bolt.conf",
        "/etc/my-bolt/conf.d",
        ".my-bolt",
        "my-bolt(8)",
        "my-bolt.conf(5)",
        "bolt-store(1)",
        "--long-option|--no-option",
        "UTF-8",
        "2026-01-31",
        "my_bolt-x",
        "a*-b",
        "BOLT-HOME",
        "--long-term",
        "/etc/my-bolt/list",
    ] {
        assert!(roff.contains(&name.replace('-', "\\-")), "{name}: {roff}");
    }
    for word in ["well-known", "read-only", "left-handed", "32-bit", "end-to-end", "after-thought"] {
        assert!(roff.contains(word), "{word}: {roff}");
    }
    assert!(roff.contains(".IR my\\-thread (5)"), "{roff}");
}

/// A page without a date of its own shows no date.
#[test]
fn no_date_is_invented() {
    let page = page("plank");
    assert!(Man.page(&page).contains("\n.TH \"plank\" 7 \"\" "), "{}", Man.page(&page));
    for shown in tools::terminal(&Man.page(&page)).iter().chain([&Text.page(&page)]) {
        assert!(!shown.contains("1970") && !shown.contains("202"), "{shown}");
    }
}

/// The whole structure as JSON, without the source file.
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

/// Each of these texts is in a page, and each would be easy to lose.
#[test]
fn ordinary_pages_keep_all_text() {
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
        ("world", &["marks: [foo] [/etc/my-world] [] softhyphen", "wordjoiner"]),
        (
            "mallet",
            &[
                "warning",
                "note: A title",
                "tip",
                "NOTE",
                "CAUTION",
                "[!OTHER]",
                "GET /things/{id}",
                "::: alone",
                "~one~",
            ],
        ),
        ("mallet", &["`a|b`".trim_matches('`'), "two | three | four", "H~2~O"]),
    ];
    for (title, texts) in kept {
        for shown in tools::terminal(&Man.page(&page(title))) {
            // Ignore white space, because lines are filled and long words broken. Formatters have their own brackets
            // and apostrophes.
            let without_space = |text: &str| text.split_whitespace().collect::<String>();
            let shown = without_space(&shown).replace('⟨', "<").replace('⟩', ">").replace('’', "'").replace('‐', "-");
            for text in texts {
                assert!(shown.contains(&without_space(text)), "{title}: {text} is missing: {shown}");
            }
        }
    }
}

/// No line is wider than a terminal, except code, with groff; mandoc does not use places to break.
#[test]
fn no_line_is_wider_than_a_terminal() {
    for page in pages() {
        for shown in tools::terminal(&Man.page(&page)).iter().skip(1) {
            for line in shown.lines().filter(|line| !line.contains("A line of code that is longer")) {
                // groff does not support characters that are two columns wide.
                assert!(line.width() <= 80 || page.title == "world", "{}: {line}", page.reference());
            }
        }
        let text = Text.page(&page);
        for line in text.lines().filter(|line| page.title == "world" && !line.is_empty()) {
            assert!(line.width() <= 72, "{}: {line}", page.reference());
        }
    }
}

/// Copied text equals the source: places to break print nothing.
#[test]
fn long_words_are_whole() {
    let roff = Man.page(&page("plank"));
    let plain = roff.replace("\\:", "").replace("\\%", "").replace("\\-", "-").replace("\\fB", "");
    for word in ["sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a089f86", "/be?and=more&so=on"] {
        assert!(plain.contains(word), "{word} is missing: {roff}");
        assert!(!roff.contains(word), "{word} has no place to break: {roff}");
    }
}
