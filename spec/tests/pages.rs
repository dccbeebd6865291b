//! Correct pages: their output, without any warning of mandoc(1) and groff(1).

mod tools;

use iomap_spec::man::Man;
use iomap_spec::text::Text;
use iomap_spec::{Backend, Manual, Spec, lint, load, load_files};
use std::path::Path;
use unicode_width::UnicodeWidthStr;

fn sampler() -> Spec {
    load_files(&[tools::sampler()]).expect("the sampler is right")
}

/// The project's own pages; `None` if the crate is built on its own, without them.
fn own() -> Option<Spec> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man");
    if !pages.is_dir() {
        eprintln!("not tested, {} is missing", pages.display());
        return None;
    }
    Some(load(&pages).unwrap_or_else(|findings| panic!("{}", findings[0])))
}

fn all() -> impl Iterator<Item = Spec> {
    own().into_iter().chain([sampler()])
}

#[test]
fn sampler_as_roff() {
    insta::assert_snapshot!(Man.page(&sampler().pages[0]));
}

#[test]
fn sampler_as_text() {
    insta::assert_snapshot!(Text.page(&sampler().pages[0]));
}

#[test]
fn sampler_on_a_terminal() {
    if let Some(shown) = tools::terminal(&Man.page(&sampler().pages[0])).first() {
        insta::assert_snapshot!(shown);
    }
}

#[test]
fn own_pages_as_roff() {
    for page in own().iter().flat_map(|spec| &spec.pages) {
        insta::assert_snapshot!(format!("own_{}", Man.file_name(page)), Man.page(page));
    }
}

#[test]
fn no_findings() {
    let manual = Manual::installed();
    assert!(!iomap_testing::tools::are_required() || manual.is_ok(), "{manual:?}");
    for spec in all() {
        let findings: Vec<String> = lint(&spec, manual.as_ref().ok()).iter().map(ToString::to_string).collect();
        assert_eq!(findings, [""; 0]);
    }
}

#[test]
fn formatters_are_silent() {
    for page in all().flat_map(|spec| spec.pages) {
        assert_eq!(tools::complaints(&Man.page(&page)), "", "{}", page.reference());
    }
}

/// man(1) finds a page by each of its names.
#[test]
fn each_name_leads_to_its_page() {
    let Some(spec) = own() else { return };
    let links: Vec<(String, String)> = spec.pages.iter().flat_map(|page| Man.links(page)).collect();
    let to = |name: &str, page| (format!("{name}.2const"), format!(".so man2/{page}.2const\n"));
    let (unseal, statx) = ("FALLOC_FL_UNSEAL_BLOCK_MAP", "STATX_ATTR_IOMAP_IMMUTABLE");
    let pages = ["FALLOC_FL_SEAL_BLOCK_MAP", "FS_XFLAG_IOMAP_IMMUTABLE"];
    assert_eq!(links, [to(unseal, pages[0]), to(statx, pages[1])]);
}

/// Constants and types have sections of their own, such as 2const.
#[test]
fn a_part_of_a_section() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("page.md");
    let text = std::fs::read_to_string(tools::sampler()).unwrap();
    std::fs::write(&file, text.replace("section: 7", "section: 2const")).unwrap();
    let spec = load_files(&[file]).unwrap();
    assert_eq!(Man.file_name(&spec.pages[0]), "sampler-page.2const");
    let roff = Man.page(&spec.pages[0]);
    assert!(roff.contains("\n.TH sampler\\-page 2const 2026-01-31 "), "{roff}");
    assert_eq!(tools::complaints(&roff), "");
}

#[test]
fn every_clause_is_an_anchor() {
    for spec in all() {
        for page in &spec.pages {
            let Some(html) = tools::html(&Man.page(page)) else { return };
            for clause in page.clauses() {
                assert!(html.contains(&format!("id=\"{}\"", clause.id)), "no anchor for {}", clause.id);
            }
        }
    }
}

#[test]
fn no_line_is_wider_than_a_terminal() {
    for page in all().flat_map(|spec| spec.pages) {
        for shown in tools::terminal(&Man.page(&page)) {
            for line in shown.lines() {
                assert!(line.width() <= 80, "{}: {line}", page.reference());
            }
        }
        for line in Text.page(&page).lines() {
            assert!(line.width() <= 72, "{}: {line}", page.reference());
        }
    }
}

/// No text is lost: text that looks like a request is shown as text.
#[test]
fn text_that_looks_like_roff_is_text() {
    let shown = tools::terminal(&Man.page(&sampler().pages[0]));
    for shown in &shown {
        // In adjusted lines the formatter adds spaces.
        let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(shown.matches(".so /etc/passwd").count(), 7, "{shown}");
        assert_eq!(shown.matches("'so /etc/passwd").count() + shown.matches("’so /etc/passwd").count(), 2, "{shown}");
        for text in ["\\fBnot bold\\fR and \\*[x] and \\ .TH at", ".SH in bold", "\\R", "T{"] {
            assert!(shown.contains(text), "{text} is missing: {shown}");
        }
    }
}

/// whatis(1) finds the line below NAME by each name on it.
#[test]
fn whatis_knows_all_names() {
    for spec in all() {
        let directory = tempfile::tempdir().unwrap();
        for page in &spec.pages {
            let section = directory.path().join(format!("man{}", page.section));
            std::fs::create_dir_all(&section).unwrap();
            std::fs::write(section.join(Man.file_name(page)), Man.page(page)).unwrap();
        }
        for page in &spec.pages {
            let line = page.source.text.lines().skip_while(|line| *line != "# NAME").nth(2).unwrap();
            let (names, what) = line.split_once(" - ").unwrap();
            for name in names.split(", ") {
                let Some(found) = tools::whatis(directory.path(), name) else { return };
                let found = found.split_whitespace().collect::<Vec<_>>().join(" ");
                // The other names lead to the page of the first name.
                let expected = names.split(", ").map(|name| format!("{name} ({}) - {what}", page.section));
                assert!(expected.collect::<Vec<_>>().contains(&found), "{name}: {found}");
            }
        }
    }
}

/// The stable hash is the output of `printf '%s\0%s\0%s\0%s\0%s' id level outcomes observed text | sha256sum | cut
/// -c1-8`. The former scheme has neither outcomes nor places of observation.
#[test]
fn hashes_can_be_recomputed() {
    let spec = sampler();
    let clause = spec.clause("sample.read").unwrap();
    assert_eq!(clause.text, "Reading should work.");
    assert_eq!((clause.hash.as_str(), spec.digest().as_str()), ("9bf71c59", "878641bb"));
    assert_eq!(clause.former_hash(), "49276478");
}

/// A change of a clause's text, level, outcomes or places of observation changes its hash and the digest; a change of
/// the reason, the section, or the order of the lists does not.
#[test]
fn a_hash_covers_the_envelope() {
    let identity = |marker: &str, text: &str| {
        let page = format!(
            "---\ntitle: a\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n\n# NOTES\n\nr[a.b {marker}]\n{text}\n"
        );
        let spec = iomap_spec::load_sources(vec![("a.7.md".into(), page.into_bytes())], true).unwrap();
        (spec.clause("a.b").unwrap().hash.clone(), spec.digest())
    };
    let marker = "level=must errno=EIO,EPERM observe=call,data";
    let first = identity(marker, "It must fail.");
    let others = [
        ("level=should errno=EIO,EPERM observe=call,data", "It must fail."),
        ("level=must errno=EIO observe=call,data", "It must fail."),
        ("level=must errno=EIO,EPERM result=ok observe=call,data", "It must fail."),
        ("level=must errno=EIO,EPERM observe=call,storage", "It must fail."),
        ("level=must errno=EIO,EPERM", "It must fail."),
        (marker, "They must fail."),
    ];
    let mut hashes = vec![first.0.clone()];
    for (marker, text) in others {
        let (hash, digest) = identity(marker, text);
        assert!(!hashes.contains(&hash) && digest != first.1, "{marker}: {text}");
        hashes.push(hash);
    }
    for marker in
        ["level=must errno=EPERM,EIO observe=data,call", "level=must observe=call,data errno=EIO,EPERM why=\"other\""]
    {
        assert_eq!(identity(marker, "It *must*\nfail."), first, "{marker}");
    }
}
