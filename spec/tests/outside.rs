//! The command without the rest of this project, in a directory of the user.

mod tools;

use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

const CLAUSE: &str = "refuse.nothing";

const PATCH: &str = "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -1,3 +1,3 @@ int do_truncate(void)\n {\n-\ta;\n+\tb;\n }\n";

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    for variable in ["IOMAP_SPEC_PAGES", "IOMAP_SPEC_URL", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command.args(arguments).current_dir(directory).env("MANPATH", "nowhere").stdin(Stdio::null());
    command
}

/// The exit code and both streams.
type Said = (i32, String, String);

fn said(output: Output) -> Said {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().expect("it exits"), text(&output.stdout), text(&output.stderr))
}

fn run(directory: &Path, arguments: &[&str]) -> Said {
    said(command(directory, arguments).output().expect("the command can be run"))
}

/// Like `run`, with this text on standard input.
fn fed(directory: &Path, arguments: &[&str], input: &[u8]) -> Said {
    let mut file = tempfile::tempfile().expect("temporary files can be made");
    let rewound = file.write_all(input).and_then(|()| std::io::Seek::rewind(&mut file));
    rewound.expect("temporary files can be written");
    said(command(directory, arguments).stdin(file).output().expect("the command can be run"))
}

fn empty() -> TempDir {
    tempfile::tempdir().expect("the test can be set up")
}

fn sampler() -> String {
    fs::read_to_string(tools::sampler()).expect("the sampler is there")
}

#[test]
fn every_command_works_in_an_empty_directory() {
    let directory = empty();
    let here = directory.path();
    let commands: [(&[&str], &str); 12] = [
        (&["check"], "pages, "),
        (&["check", "--explain", "io"], "io\n"),
        (&["clauses"], "\ntruncate.shrink "),
        (&["clauses", "--format", "json", "--output", "-"], "\"schema\": 1"),
        (&["show", "truncate.shrink"], "built-in/man/iomap_immutable.7.md:"),
        (&["cite", "truncate.shrink"], "truncate.shrink  (must)"),
        (&["man", "iomap_immutable"], ".TH iomap_immutable 7"),
        (&["man", "--out", "pages"], ""),
        (&["diff", "built-in", "built-in"], "no clause differs"),
        (&["book", "--out", "book"], ""),
        (&["help"], "Commands:"),
        (&["--version"], "iomap-spec "),
    ];
    for (arguments, expected) in commands {
        let (code, output, errors) = run(here, arguments);
        assert_eq!(code, 0, "{arguments:?}: {output}{errors}");
        assert!(output.contains(expected), "{arguments:?}: {output}");
    }
    assert!(here.join("pages/iomap_immutable.7").exists() && here.join("book/iomap_immutable.7.html").exists());
    let (code, output, errors) = fed(here, &["review"], PATCH.as_bytes());
    assert_eq!((code, &*errors), (0, ""));
    assert!(output.contains("do_truncate, changed"), "{output}");
    // Built-in pages cannot be changed.
    let (code, _, errors) = run(here, &["confirm"]);
    assert_eq!(code, 3);
    assert!(errors.contains("--pages DIR"), "{errors}");
}

/// In any directory of a checkout the command uses the pages of the checkout, and never those of another project.
#[test]
fn which_pages_are_taken() {
    let directory = empty();
    let at = |name: &str| directory.path().join(name);
    for name in ["checkout/man", "checkout/spec/src", "checkout/linux/fs", "checkout/linux/.git", "other/man", "named"]
    {
        fs::create_dir_all(at(name)).expect("the test can be set up");
    }
    fs::write(at("checkout/man/iomap_immutable.7.md"), sampler()).expect("the test can be set up");
    fs::write(at("other/man/sampler.7.md"), sampler()).expect("the test can be set up");
    fs::write(at("named/sampler.7.md"), sampler()).expect("the test can be set up");
    let named = at("named").to_string_lossy().into_owned();
    let option = ["clauses", "--pages", &named];
    let has = |(code, output, errors): Said| {
        assert_eq!(code, 0, "{errors}");
        output.contains("sample.write")
    };
    let cases: [(&str, &[&str], Option<&str>, bool); 10] = [
        (".", &["clauses"], None, false),
        ("checkout", &["clauses"], None, true),
        ("checkout/man", &["clauses"], None, true),
        ("checkout/spec/src", &["clauses"], None, true),
        // Another repository inside the checkout is another project.
        ("checkout/linux/fs", &["clauses"], None, false),
        ("other", &["clauses"], None, false),
        ("other/man", &["clauses"], None, false),
        ("other", &["clauses"], Some("man"), true),
        ("other", &["clauses"], Some(""), false),
        ("checkout/linux", &option, Some("nowhere"), true),
    ];
    for (place, arguments, variable, expected) in cases {
        let mut command = command(&at(place), arguments);
        variable.map(|value| command.env("IOMAP_SPEC_PAGES", value));
        assert_eq!(has(said(command.output().expect("the test can be set up"))), expected, "{place}");
    }
    let (code, output, _) = run(&at("checkout/spec"), &["show", "sample.write"]);
    assert!(code == 0 && output.contains("../man/iomap_immutable.7.md:"), "{output}");
}

#[test]
fn standard_input_is_read_wherever_a_file_is() {
    let directory = empty();
    let here = directory.path();
    let table = include_str!("../entry-points.toml");
    fs::write(here.join("patch"), PATCH).expect("the test can be set up");
    let cited = run(here, &["cite", CLAUSE]).1;
    let page = sampler();
    let cases: [(&[&str], &str, i32, &str); 8] = [
        (&["man", "-"], "# t(1) -- x\n", 0, ".TH \"t\" 1"),
        (&["man", "-"], &page, 0, "iomap-spec from standard input"),
        (&["check", "-"], "no page\n", 1, "standard input:1:1"),
        (&["cite", "--check", "-"], &cited, 0, "1 citation: no findings"),
        (&["review", "-"], PATCH, 0, "do_truncate, changed"),
        (&["review", "--table", "-", "patch"], table, 0, "do_truncate, changed"),
        (&["diff", "-", "-"], &page, 2, ""),
        (&["book", "--results", "-"], "{}", 1, ""),
    ];
    for (arguments, input, expected, text) in cases {
        let (code, output, errors) = fed(here, arguments, input.as_bytes());
        assert_eq!(code, expected, "{arguments:?}: {output}{errors}");
        assert!(output.contains(text), "{arguments:?}: {output}");
    }
}

/// The message is about the named file, not about possible directories of pages.
#[test]
fn a_missing_input_is_named() {
    let directory = empty();
    let cases: [(&[&str], i32); 12] = [
        (&["man", "misspelled.1.md"], 3),
        (&["man", "docs/misspelled"], 3),
        (&["man", "misspelled"], 2),
        (&["check", "misspelled.1.md"], 3),
        (&["cite", "--check", "misspelled"], 3),
        (&["review", "misspelled"], 3),
        (&["review", "--table", "misspelled"], 3),
        (&["review", "--kernel", "misspelled"], 3),
        (&["book", "--results", "misspelled"], 3),
        (&["book", "--chapters", "misspelled"], 3),
        (&["clauses", "--pages", "misspelled"], 3),
        (&["diff", "misspelled", "built-in"], 3),
    ];
    for (arguments, expected) in cases {
        let (code, output, errors) = run(directory.path(), arguments);
        assert_eq!((code, &*output), (expected, ""), "{arguments:?}: {errors}");
        assert!(errors.starts_with("iomap-spec: ") && errors.contains("misspelled"), "{arguments:?}: {errors}");
    }
}

/// Runs git; `None`, with a note, if it is not installed.
fn git(directory: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]);
    match git.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").output() {
        Ok(output) => {
            assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(output.stdout)
        }
        Err(error) => {
            iomap_testing::tools::not_tested(format_args!("git cannot be run: {error}"));
            None
        }
    }
}

/// The example of `iomap-spec review --help`, in a repository of another project, where users will try it.
#[test]
fn in_the_repository_of_another_project() {
    let directory = empty();
    let here = directory.path();
    if git(here, &["init", "--quiet"]).is_none() {
        return;
    }
    fs::create_dir_all(here.join("fs")).expect("the test can be set up");
    fs::create_dir_all(here.join("man")).expect("the test can be set up");
    fs::write(here.join("man/other.1.md"), "# other(1) -- x\n").expect("the test can be set up");
    for text in ["int do_truncate(void)\n{\n\treturn 0;\n}\n", "int do_truncate(void)\n{\n\treturn 1;\n}\n"] {
        fs::write(here.join("fs/open.c"), text).expect("the test can be set up");
        git(here, &["add", "--all"]);
        git(here, &["commit", "--quiet", "--message", "x"]);
    }
    let ways: [&[&str]; 5] = [
        &["show"],
        &["show", "--color=always"],
        &["format-patch", "--stdout", "-1"],
        &["format-patch", "--stdout", "--attach", "-1"],
        &["log", "-p", "--graph", "-1"],
    ];
    for way in ways {
        let (code, output, errors) = fed(here, &["review"], &git(here, way).expect("the test can be set up"));
        assert_eq!((code, &*errors), (0, ""), "{way:?}: {output}");
        assert!(output.contains("> +\treturn 1;\n\nfs/open.c:3: do_truncate, changed"), "{way:?}: {output}");
    }
    let (code, _, errors) = run(here, &["diff", "HEAD", "built-in"]);
    assert_eq!(code, 3);
    assert!(errors.contains("HEAD:man"), "{errors}");
    let (code, output, _) = run(here, &["cite", CLAUSE]);
    assert!(code == 0 && output.contains(CLAUSE), "{output}");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes).expect("the test can be set up");
    encoder.finish().expect("the test can be set up")
}

fn utf16(text: &str, mark: bool) -> Vec<u8> {
    let mark = if mark { "\u{feff}" } else { "" };
    (mark.to_owned() + text).encode_utf16().flat_map(u16::to_le_bytes).collect()
}

fn mail(kind: &str, body: &str) -> Vec<u8> {
    format!("From: A <a@example.org>\nSubject: s\nMIME-Version: 1.0\nContent-Type: {kind}\n\n{body}").into_bytes()
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, at| bits << 8 | usize::from(group.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let digit = if at > group.len() { '=' } else { char::from(DIGITS[bits >> (18 - 6 * at) & 63]) };
            out.push(digit);
        }
    }
    out + "\n"
}

/// Lines of at most `width` columns, each after `before`; all but the last end with `after`.
fn filled(text: &str, width: usize, before: &str, after: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().expect("the test can be set up");
        if !line.is_empty() && line.len() + 1 + word.len() > width {
            lines.push(String::new());
        }
        let line = lines.last_mut().expect("the test can be set up");
        *line += if line.is_empty() { "" } else { " " };
        *line += word;
    }
    let last = lines.pop().expect("the test can be set up");
    lines.iter().map(|line| format!("{before}{line}{after}\n")).collect::<String>() + before + &last + "\n"
}

/// The forms in which mail programs can deliver a citation to its checker.
fn ways(cited: &str) -> Vec<(&'static str, Vec<u8>)> {
    let (head, words) = cited.split_once("\n\n").expect("the test can be set up");
    let (one, words) = (words.split_whitespace().collect::<Vec<_>>().join(" "), words);
    let marked = |mark: &str| {
        cited.lines().map(|line| (mark.to_owned() + line).trim_end().to_owned() + "\n").collect::<String>()
    };
    let html = "text/html; charset=utf-8";
    let flowed = "text/plain; format=flowed";
    let encoded =
        |kind: &str, text: &str| mail(&format!("{kind}\nContent-Transfer-Encoding: base64"), &base64(text.as_bytes()));
    let lines = |before: &str, after: &str| {
        cited.lines().map(|line| format!("{before}{}{after}\n", line.replace(' ', "&nbsp;"))).collect::<String>()
    };
    let broken = filled(cited, 50, "", "");
    let marks = ["> ", ""].into_iter().cycle();
    let alternating = marks.zip(broken.lines()).map(|(mark, line)| format!("{mark}{line}\n")).collect::<String>();
    vec![
        ("plain", cited.into()),
        ("CRLF", cited.replace('\n', "\r\n").into()),
        ("quoted", marked("> ").into()),
        ("quoted without spaces", marked(">").into()),
        ("quoted twice", marked("> > ").into()),
        ("bars", marked("| ").into()),
        ("initials", marked("AB> ").into()),
        ("colons", marked(": ").into()),
        ("percents", marked("% ").into()),
        ("added", marked("+").into()),
        ("comment of a program", format!("/*\n{} */\n", marked(" * ")).into()),
        ("comment that is added", format!("+/**\n{}+ */\n", marked("+ * ")).into()),
        ("comment of lines", marked("// ").into()),
        ("answered at once", (marked("> ") + "I do not think so.\n").into()),
        ("answered", (cited.to_owned() + "\nI do not think so.\n").into()),
        ("filled anew", filled(cited, 40, "", "").into()),
        ("filled anew and quoted", filled(cited, 40, "> ", "").into()),
        ("filled anew and answered", (filled(cited, 40, "> ", "") + "No.\n").into()),
        ("marks lost where lines were broken", alternating.into()),
        ("only the text filled anew", format!("{head}\n\n{}", filled(&one, 50, "   ", "")).into()),
        ("flowed", mail(flowed, &format!("{head}\n\n{}", filled(&one, 50, " ", " ").replace("\n ", "\n")))),
        ("flowed and quoted", mail(flowed, &(format!("> {head}\n>\n") + &filled(&one, 50, "> ", " ")))),
        (
            "flowed with DelSp",
            mail("text/plain; format=\"Flowed\"; DelSp=Yes", &format!("{head}\n\n{}", filled(&one, 50, "", "  "))),
        ),
        ("HTML of paragraphs", mail(html, &format!("<p>{head}</p><p>{one}</p>"))),
        ("HTML of words", mail(html, &format!("<div>{}</div>", cited.replace("must", "<b>must</b>")))),
        ("HTML of divisions", mail(html, &lines("<div>", "</div>"))),
        ("HTML of a paragraph a line", mail(html, &lines("<p>", "</p>"))),
        ("HTML of lines", mail(html, &lines("", "<br>"))),
        ("HTML that is preformatted", mail(html, &format!("<pre>{cited}</pre>"))),
        ("HTML that is quoted", mail(html, &format!("<blockquote><pre>{cited}</pre></blockquote>No."))),
        ("HTML in base64", encoded(html, &format!("<p>{head}<p>{words}"))),
        ("base64", encoded("text/plain", cited)),
        ("UTF-16", utf16(cited, true)),
        ("UTF-16 without a mark", utf16(cited, false)),
        (
            "UTF-16 in base64",
            mail("text/plain; charset=utf-16le\nContent-Transfer-Encoding: base64", &base64(&utf16(cited, false))),
        ),
        ("gzip", gzip(cited.as_bytes())),
        ("colors", cited.replace(CLAUSE, "\u{1b}[1mrefuse.nothing\u{1b}[m").into()),
        ("emphasis", cited.replace("must have", "*must* have").into()),
        ("words left out", cited.replace("not the data", "[...]").replace("of any file", "[...]").into()),
    ]
}

#[test]
fn citations_are_judged_by_their_words() {
    let directory = empty();
    let here = directory.path();
    let cited = run(here, &["cite", CLAUSE]).1;
    let wrong = cited.replace("changed nothing", "changed little");
    assert!(cited != wrong);
    for ((what, right), (_, wrong)) in ways(&cited).into_iter().zip(ways(&wrong)) {
        let (code, output, errors) = fed(here, &["cite", "--check", "-"], &right);
        assert_eq!((code, &*output, &*errors), (0, "1 citation: no findings\n", ""), "{what}");
        let (code, output, _) = fed(here, &["cite", "--check", "-"], &wrong);
        assert!(code == 1 && output.contains("error[misquotation]: this is not what"), "{what}: {output}");
    }
    // Added text is not part of the clause, and text in another place is not a quotation.
    let added = cited.trim_end().to_owned() + " Root may do it.\n";
    assert_eq!(fed(here, &["cite", "--check", "-"], added.as_bytes()).0, 1);
    let (head, _) = cited.split_once('\n').expect("the test can be set up");
    assert_eq!(fed(here, &["cite", "--check", "-"], format!("{head}\n\nI agree with this one.\n").as_bytes()).0, 0);
    // With an old hash, the words decide which finding is reported.
    let stale = cited.replacen("39cc5f14", "12345678", 1);
    let (_, output, _) = fed(here, &["cite", "--check", "-"], stale.as_bytes());
    assert!(output.contains("its words are the present ones") && output.contains("1 finding"), "{output}");
}

#[test]
fn words_like_a_citation_get_a_remark() {
    let directory = empty();
    let here = directory.path();
    let like = [
        "refuse.nothing (must) iomap_immutable(7)",
        "refuse.nothing  (must)         iomap_immutable(7) 0.1",
        "refuse.nothing (must) iomap_immutable(7) 0.1 43e4db",
        "refuse.nothing (must) iomap_immutable(7) v0.1 43e4db90",
        "refuse.nothing (MUST) iomap_immutable(7) 0.1 43e4db90",
        "refuse.nothing (must) 0.1 43e4db90",
        "refuse.nothing (must), iomap_immutable(7) 0.1, 43e4db90",
        "iomap_immutable(7) refuse.nothing (0.1, 43e4...)",
        "iomap_immutable(7) refuse.nothing (0.1 43e4db90)",
        "iomap_immutable(7) refuse.nothing [0.1, 43e4db90]",
        "iomap_immutable(7) refuse.nothing (0.1)",
        "iomap_immutable(7) refuse.nothing (9.9, 43e4db90)",
        "iomap_immutable(7) refuse.nothing (0.1, 43e4db90x)",
        "refuse.nothing (0.1, 43e4db90)",
        "refuse.nothing (must) 43e4db90",
        "refuse-nothing  (must)         iomap_immutable(7) 0.1  43e4db90",
        "REFUSE.NOTHING  (must)         iomap_immutable(7) 0.1  43e4db90",
        "iomap_immutable(7) refuse_nothing (0.1, 43e4db90)",
        "iomap_immutable(7) Refuse.Nothing (0.1, 43e4db90)",
        "iomap_immutable(7), refuse.nothing (0.1)",
        "https://example.org/iomap_immutable.7.html?43e4db90",
        "https://example.org/iomap_immutable.7.html?43e4-db90#refuse.nothing",
    ];
    for text in like {
        let mail = format!("Subject: s\nFrom: f\n\nI read this:\n\n> {text}\n\nand wonder.\n");
        let (code, output, errors) = fed(here, &["cite", "--check", "-"], mail.as_bytes());
        assert!(code == 1 && output.contains("--> standard input:6:") && errors.is_empty(), "{text}: {output}{errors}");
    }
    let list = run(here, &["clauses"]).1 + &run(here, &["show", CLAUSE]).1;
    let unlike = [
        "iomap_immutable(7) says so in refuse.nothing.",
        "See open(2) foo.bar (1.2), and libfoo.so (1.2, deadbeef).",
        "In version 0.1 refuse.nothing (must it?) was there.",
        "https://example.org/iomap_immutable.7.html#refuse.nothing",
        &list,
    ];
    for text in unlike {
        let (code, output, errors) = fed(here, &["cite", "--check", "-"], text.as_bytes());
        assert_eq!((code, &*output, &*errors), (0, "no citations\n", ""), "{text}");
    }
}

#[test]
fn a_file_that_is_no_text_is_named() {
    let directory = empty();
    let here = directory.path();
    let attached = |bytes: &[u8]| {
        let kind = "multipart/mixed; boundary=b";
        let mut mail = mail(kind, "--b\nContent-Type: application/octet-stream; name=\"x.patch.xz\"\n\n");
        mail.extend_from_slice(bytes);
        mail.extend_from_slice(b"\n--b--\n");
        mail
    };
    let cases: [(&[u8], &str); 5] = [
        (b"\xfd7zXZ\0 and so on", "compressed by xz"),
        (b"\x28\xb5\x2f\xfd and so on", "compressed by zstd"),
        (&attached(b"\xfd7zXZ\0 and so on"), "x.patch.xz: this is data compressed by xz"),
        (&gzip(PATCH.as_bytes())[..40], "gzip are damaged"),
        (&mail("application/pkcs7-mime", "x"), "encrypted"),
    ];
    for (bytes, what) in cases {
        for arguments in [&["review"][..], &["cite", "--check", "-"]] {
            let (code, _, errors) = fed(here, arguments, bytes);
            assert!(code == 1 && errors.contains(what), "{arguments:?}: {errors}");
        }
    }
    let (code, output, errors) = fed(here, &["cite", "--check", "-"], &[0; 999]);
    assert_eq!((code, &*output), (1, ""), "{errors}");
    assert!(errors.contains("these are binary data"), "{errors}");
    let kinds = [
        ("*** a/x\n--- b/x\n***************\n*** 1 ****\n! a\n--- 1 ----\n! b\n", "context diff"),
        ("diff --git a/x b/y\nsimilarity index 100%\nrename from x\nrename to y\n", "changes no lines"),
        ("3c3\n< a\n---\n> b\n", "without names"),
        (" fs/open.c | 2 +-\n 1 file changed, 1 insertion(+), 1 deletion(-)\n", "list of changed files"),
        ("\0\u{1}\u{2}", "binary data"),
    ];
    for (text, what) in kinds {
        let (code, output, errors) = fed(here, &["review"], text.as_bytes());
        assert_eq!((code, errors.lines().count()), (1, 1), "{output}{errors}");
        assert!(errors.contains(what), "{errors}");
    }
}

/// Commands that print, and their exit codes.
const PRINTING: [(&[&str], i32); 10] = [
    (&["--help"], 0),
    (&["help", "review"], 0),
    (&["--version"], 0),
    (&["check"], 0),
    (&["check", "bad.md"], 1),
    (&["clauses"], 0),
    (&["show", CLAUSE], 0),
    (&["cite", CLAUSE], 0),
    (&["man", "iomap_immutable"], 0),
    (&["diff", "bad.7.md", "built-in"], 1),
];

fn with_bad_page() -> TempDir {
    let directory = empty();
    fs::write(directory.path().join("bad.md"), "no page\n").expect("the test can be set up");
    fs::write(directory.path().join("bad.7.md"), sampler()).expect("the test can be set up");
    directory
}

/// A reader that closes the pipe has seen enough, and the command succeeds; output that cannot be written is an error.
#[test]
fn output_that_does_not_arrive() {
    let directory = with_bad_page();
    for (arguments, expected) in PRINTING {
        let (reader, writer) = std::io::pipe().expect("the test can be set up");
        drop(reader);
        let (code, _, errors) =
            said(command(directory.path(), arguments).stdout(writer).output().expect("the test can be set up"));
        let errors: Vec<&str> = errors.lines().filter(|line| !line.contains("SEE ALSO")).collect();
        assert_eq!((code, errors.len()), (expected, 0), "{arguments:?}: {errors:?}");
        let full = File::options().write(true).open("/dev/full").expect("the test can be set up");
        let (code, _, errors) =
            said(command(directory.path(), arguments).stdout(full).output().expect("the test can be set up"));
        assert_eq!(code, 3, "{arguments:?}: {errors}");
        assert!(errors.contains("standard output: No space left"), "{arguments:?}: {errors}");
    }
    assert_eq!(run(directory.path(), &["clauses", "--output", "/dev/full"]).0, 3);
}

/// The output of the command on a terminal of this kind; `None`, with a note, if no terminal can be made.
fn on_terminal(directory: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Option<String> {
    let program = PathBuf::from(env!("CARGO_BIN_EXE_iomap-spec"));
    let line = format!("{} {}", program.display(), arguments.join(" "));
    let mut script = Command::new("script");
    script.args(["-qec", &line, "/dev/null"]).current_dir(directory).stdin(Stdio::null());
    script.env_remove("NO_COLOR").env_remove("CLICOLOR_FORCE").env_remove("CI").env("MANPATH", "nowhere");
    script.envs(variables.iter().copied());
    match script.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            iomap_testing::tools::not_tested(format_args!("script cannot be run: {error}"));
            None
        }
    }
}

#[test]
fn terminals_that_are_to_stay_plain() {
    let directory = with_bad_page();
    let colourful = [&["--help"][..], &["check", "bad.md"], &["frobnicate"], &["diff", "bad.7.md", "built-in"]];
    let plain: [&[(&str, &str)]; 4] = [
        &[("TERM", "dumb")],
        &[("TERM", "xterm"), ("NO_COLOR", "1")],
        &[("TERM", "dumb"), ("CI", "true")],
        &[("TERM", "xterm"), ("NO_COLOR", "0"), ("CLICOLOR_FORCE", "1")],
    ];
    for arguments in colourful {
        for variables in plain {
            let Some(output) = on_terminal(directory.path(), arguments, variables) else { return };
            assert!(!output.is_empty() && !output.contains('\u{1b}'), "{arguments:?} {variables:?}: {output}");
        }
    }
    for variables in [&[("TERM", "xterm")][..], &[("TERM", "xterm"), ("NO_COLOR", "")]] {
        let output = on_terminal(directory.path(), &["check", "bad.md"], variables).unwrap_or_default();
        assert!(output.contains('\u{1b}'), "{output}");
    }
}
