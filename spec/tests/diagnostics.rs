//! Faulty pages, and the findings of `check` about each: a snapshot for people to read.

mod tools;

use std::fmt::Write;
use std::fs;
use std::process::Command;

const FRONT: &str =
    "---\ntitle: bad\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n\n# NAME\n\nbad - a page\n\n# DESCRIPTION\n\n";

/// The name of a fault, and a page with it, without [`FRONT`].
const BODIES: &[(&str, &str)] = &[
    ("duplicate id", "r[a.b level=may result=ok]\nIt may.\n\nr[a.b level=may result=ok]\nThis may.\n"),
    ("unknown attribute", "r[a.b level=may result=ok color=red]\nIt may.\n"),
    ("duplicate attribute", "r[a.b level=may level=may result=ok]\nIt may.\n"),
    ("empty value", "r[a.b level= result=ok uncased=\" \"]\nIt may.\n"),
    ("unterminated quote", "r[a.b level=may result=ok uncased=\"why]\nIt may.\n"),
    ("bad values", "r[a.b level=shall result=fail observe=call,call since=x]\nIt may.\n"),
    ("unknown errno", "r[a.b level=may errno=EFOO,EPERM,EPERM,]\nIt may.\n\n# ERRORS\n\n**EPERM**\n: No.\n"),
    (
        "unnamed errno",
        "r[a.b level=may errno=EPERM,EIO]\nIt may fail with **EIO**.\n\n# ERRORS\n\n**EIO**\n: No.\n\n**EPERM**\n: No.\n",
    ),
    ("missing level", "r[a.b result=ok]\nIt must.\n"),
    ("missing outcome", "r[a.b level=may]\nIt may.\n"),
    ("bad ids", "r[a-b.c level=may result=ok]\nIt may.\n\nr[ab level=may result=ok]\nIt may.\n\nr[]\nIt may.\n"),
    ("id of 33 bytes", "r[a.b234567890b234567890b2345678901 level=may result=ok]\nIt may.\n"),
    ("clause without text", "r[a.b level=may result=ok]\n\nIt is separate.\n"),
    ("text on the line of the marker", "r[a.b level=may result=ok] It may.\n"),
    ("marker on three lines", "r[a.b level=may\nresult=ok\n  color=red\n]\nIt may.\n"),
    ("marker without an end", "Text.\n\nr[a.b level=may\nresult=ok\nIt may.\n\nMore text]\n"),
    ("unterminated quote on a second line", "r[a.b level=may result=ok\n  why=\"it\nmight]\"]\nIt may.\n"),
    ("marker that a heading ends", "r[a.b level=may\n# NOTES\n"),
    ("marker in mid-paragraph", "Text.\nr[a.b level=may result=ok]\nIt might.\n"),
    ("marker in a list", "- r[a.b level=may result=ok]\n  It might.\n\n- r[a.c level=may result=ok]\n\n  It might.\n"),
    (
        "markup in a marker is none",
        "r[a.b level=may\nresult=ok why=\"*[no.such] r[\"\n  uncased=\" `\"]\nIt may* `be.\n",
    ),
    ("marker as code is none", "Write `r[a.b]`, or array[1], or\n\n```\nr[a.b]\n```\n"),
    ("entity for an invisible character", "a&#27;b &#x202e;\n"),
    ("undefined reference", "See [no.such.clause], but \\[not.this\\].\n"),
    ("unclosed fence", "```c\nint x;\n\n# ERRORS\n"),
    ("unclosed fence in a list", "- item\n\n  ```\n\nText.\n"),
    (
        "what the model cannot hold",
        "> quoted\n\n<b>x</b>\n\n<div>\n</div>\n\n![i](j)\n\n    indented\n\n---\n\n### Deep\n\nSetext\n===\n",
    ),
    (
        "bad links",
        "[x](relative.md) and [](https://example.org) and [y](https://e.org/ü)\n\n| [x](https://e.org) |\n|--|\n",
    ),
    ("nested too deeply", "- a\n  - b\n    - c\n      - d\n        - e\n\n*a **b *c **d *e* d** c* b** a*\n"),
    ("row with more cells than columns", "| A | B |\n|---|---|\n| `a|b` | c |\n| a \\| b | c |\n| a |\n| a | b | c\n"),
    ("table too wide", "| a |\n|---|\n| aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg |\n"),
    (
        "level word missing, wrong, twice",
        "r[a.a level=may result=ok why=\"x\"]\nIt does.\n\nr[a.b level=may result=ok why=\"x\"]\nIt must.\n\nr[a.c level=may result=ok why=\"x\"]\nIt may\nor may not.\n",
    ),
    ("no reason", "r[a.a level=may result=ok]\nIt may.\n\nr[a.b level=may result=ok why=\"x\"]\nIt may.\n"),
    ("level word in prose", "It should not.\n`must` is code.\n\n- a **must**\n\n## What may\n"),
    ("inner word", "r[a.b level=may result=ok why=\"x\"]\nBlocks may be in `block` form.\n"),
    (
        "ERRORS and clauses",
        "r[a.b level=may errno=EPERM,EIO why=\"x\"]\nIt may.\n\n# ERRORS\n\n**EPERM**\n: No.\n\n**EBUSY**\n: Later.\n\nEINVAL\n: Never.\n",
    ),
    ("section order", "# ERRORS\n\n# RETURN VALUE\n\n# FOO\n\n# NOTES\n\n# NOTES\n"),
    ("SEE ALSO", "# SEE ALSO\n\n**b**(7), **a**(7).\n"),
    (
        "pages that do not exist",
        "# SEE ALSO\n\n**map**(2),\n**mmap**(2),\n**open**(2),\n**F_GETFL**(2const),\n**F_SETFL**(2const),\n**ap**(7),\n**bad**(7)\n",
    ),
    (
        "sentences in the middle of lines",
        "One. Two (three.) **Four!**\n*Five.* `six` seven? See `man`. See [a.b]. Yes\netc. or e.g. J. Doe... no 1.5 or v4. No.\nYes.\n\nr[a.b level=may result=ok why=\"x\"]\nIt may. Or not.\n\n- An item. One\n  more.\n\nTerm. One\n: A \"body.\" One\n\n```\nCode. One\n```\n\n| Cell. One |\n|-----------|\n",
    ),
    (
        "wide lines",
        "This line of the source is longer than the eighty columns which a terminal and a patch have room for.\n\n```\nThis line of code is longer than the 68 columns that are left for it.\n```\n\n- list\n\n  ```\n  This line of code in a list is longer than what is left for it here.\n  ```\n\nhttps://example.org/a-single-word-that-cannot-be-broken-anywhere-however-long-it-is-in-the-source\n",
    ),
];

/// The name of a fault, and a complete page with it.
const PAGES: &[(&str, &[u8])] = &[
    ("empty file", b""),
    ("no front matter", b"# NAME\n\nbad - a page\n"),
    ("front matter not closed", b"---\ntitle: bad\n"),
    ("front matter incomplete", b"---\ntitle: bad\nsection: 7\n---\n"),
    ("front matter wrong", b"---\ntitle: ../bad\nsection: 9x\ndate: 2026-13-01\nversion: one\nauthor: me\n---\n"),
    ("front matter twice", b"---\ntitle: bad\ntitle: bad\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n"),
    ("invalid UTF-8", b"---\ntitle: bad\n---\n\n\xc3\xa9\xc3\xa9 then \xff here\n"),
    ("invisible character", b"---\ntitle: bad\n---\n\na\x1b[31mb\n"),
    ("no sections", b"---\ntitle: bad\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n"),
    (
        "text before the sections",
        b"---\ntitle: bad\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\nText.\n\n## Sub\n",
    ),
    ("NAME", b"---\ntitle: bad\nsection: 7\ndate: 2026-01-31\nversion: 0.1\n---\n# NAME\n\ngood - another page\n"),
];

/// The names and contents of files.
type Files<'a> = &'a [(&'a str, &'a [u8])];

/// The output and the exit code of `check` in a directory with these files.
fn check(files: Files<'_>) -> String {
    let directory = tempfile::tempdir().expect("the test can be set up");
    fs::create_dir(directory.path().join("man")).expect("the test can be set up");
    for (name, text) in files {
        fs::write(directory.path().join("man").join(name), text).expect("the test can be set up");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_iomap-spec"))
        .arg("check")
        .env("IOMAP_SPEC_PAGES", "man")
        .env("MANPATH", tools::manual(directory.path()))
        .current_dir(directory.path())
        .output()
        .expect("the command can be run");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    format!("{}exit {}\n", String::from_utf8_lossy(&output.stdout), output.status.code().expect("it exits"))
}

#[test]
fn each_fault_of_a_page() {
    let mut report = String::new();
    let bodies = BODIES.iter().map(|(what, body)| (*what, [FRONT.as_bytes(), body.as_bytes()].concat()));
    for (what, page) in bodies.chain(PAGES.iter().map(|(what, page)| (*what, page.to_vec()))) {
        let _ = writeln!(report, "==== {what}\n{}", check(&[("bad.7.md", &page)]));
    }
    insta::assert_snapshot!(report);
}

#[test]
fn several_pages() {
    let clause = format!("{FRONT}r[a.b level=may result=ok why=\"x\"]\nIt may.\n");
    let other = clause.replace("title: bad", "title: other").replace("bad -", "other -");
    let later = other.replace("version: 0.1", "version: 0.2").replace("a.b", "a.c");
    let mut report = String::new();
    let prose = format!(
        "{FRONT}It's a ‘baad’ word’s pagee: pagee, *of* **boold**, `coode`, <https://e.org/>, x_y x86.\n*baad/pagees.txxt*\n\n## Heding\n\nbdterm\n: *bd*\n\n| hedder |\n|--|\n| sell |\n\nr[bd.bd level=may result=ok why=\"x\"]\nIt may.\n"
    );
    let scattered = format!(
        "{clause}\n## Sub\n\nr[a.c level=may result=ok why=\"x\"]\nIt may.\n\n# HISTORY\n\nr[a.d level=may result=ok why=\"x\"]\nIt may.\n"
    );
    let mixed = format!(
        "{FRONT}One. Tow.\n\nr[a.b level=may errno=EIO why=\"x\"]\nIt must. Tow block.\n\n# HISTORY\n\nr[a.c level=may result=ok why=\"x\"]\nIt may.\n\n# SEE ALSO\n\n**b**(7),\n**a**(7)\n"
    );
    let also_mixed = mixed.replace("bad", "other").replace("a.b", "a.d").replace("a.c", "a.e");
    let elsewhere = other.replace("a.b", "a.e");
    let cases: [(&str, Files<'_>); 10] = [
        ("the same id", &[("a.md", clause.as_bytes()), ("b.md", other.as_bytes())]),
        (
            "the same page, another version",
            &[("a.md", clause.as_bytes()), ("b.md", later.as_bytes()), ("c.md", later.as_bytes())],
        ),
        (
            "a withdrawn id",
            &[
                ("a.md", clause.as_bytes()),
                ("moved.toml", b"[[moved]]\nold = \"a.b\"\nnew = \"a.c\"\nsince = \"0.1\"\n"),
            ],
        ),
        (
            "a withdrawn id without a reason",
            &[("a.md", clause.as_bytes()), ("moved.toml", b"[[moved]]\nold = \"a.d\"\nsince = \"0.1\"\n")],
        ),
        (
            "moved.toml with something else in it",
            &[("a.md", clause.as_bytes()), ("moved.toml", b"[[moved]]\nold = 1\n")],
        ),
        ("a scattered family", &[("a.md", scattered.as_bytes()), ("b.md", elsewhere.as_bytes())]),
        ("spelling", &[("a.md", prose.as_bytes()), ("words.txt", b"a\nbad\ndescription\nit\nmay\nof\npage\nword\n")]),
        (
            "a list of words in disorder",
            &[
                ("a.md", clause.as_bytes()),
                ("words.txt", b"bad\nbad\na\nMay\n\ndescription\nit\nname\npage\ntwo words"),
            ],
        ),
        (
            "findings in the order of the pages",
            &[
                ("a.md", mixed.as_bytes()),
                ("b.md", also_mixed.as_bytes()),
                ("words.txt", b"a\nalso\nbad\ndescription\nhistory\nit\nmay\nname\none\nother\npage\nsee\nmust\n"),
            ],
        ),
        ("no pages", &[("a.txt", b"")]),
    ];
    for (what, files) in cases {
        let _ = writeln!(report, "==== {what}\n{}", check(files));
    }
    insta::assert_snapshot!(report);
}
