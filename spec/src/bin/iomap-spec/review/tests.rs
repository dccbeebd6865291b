//! Patches in practice: wrapped, damaged, or no patches at all.

#[path = "../../../../tests/tools/damage.rs"]
mod damage;

use super::bearing::Lookup;
use super::patch::{Definition, definition};
use super::report::{self, Finding};
use super::table::{self, BUILT_IN, Table};
use super::{patch, reader};
use crate::mail::Flow;
use damage::damage;
use iomap_spec::Spec;
use std::fs;
use std::path::Path;

fn patches(bytes: &[u8]) -> Vec<patch::Patch> {
    super::patches(bytes).patches
}

fn read(text: &str) -> patch::Patch {
    reader::read(text, Flow::Fixed)
}

fn spec_and_table() -> Option<(Spec, Table)> {
    let spec = iomap_spec::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../man")).ok()?;
    let table = table::read(BUILT_IN.0, BUILT_IN.1, &spec).ok()?;
    Some((spec, table))
}

fn samples() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patches");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Strings that have a meaning to some part of the reader.
const TOKENS: &[&str] = &[
    "\n",
    "\r\n",
    "\n\n",
    "@@ -1,3 +1,4 @@ f(\n",
    "@@ -99999999999999999999 +1 @@\n",
    "@@ -1,18446744073709551615 +1,18446744073709551615 @@\n",
    "@@ -0,0 +1 @@",
    "@@@",
    "--- a/\n+++ b/\n",
    "--- /dev/null\n",
    "+++ \"b/\\303\\244\"\n",
    "diff --git ",
    "\nFrom x\nSubject: y\n\n",
    "\n>From ",
    "=?UTF-8?Q?",
    "=\n",
    "=00",
    "Content-Type: multipart/mixed; boundary=\"outer\"\n",
    "Content-Type: message/rfc822\n\n",
    "--outer\n",
    "--outer--\n",
    "SYSCALL_DEFINE1(",
    "SYSCALL_DEFINE",
    "vfs_fallocate(",
    "é",
    "\0",
    "\u{1b}[31m",
    "\\ No newline",
    "-",
    "+",
    " ",
    "}",
];

/// No damaged patch causes a panic, control characters in the output, or a line that is too wide for mail.
#[test]
fn damaged_patches() {
    let Some((spec, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let (lookup, samples) = (Lookup::new(&table), samples());
    let mut random = fastrand::Rng::with_seed(7);
    let mut understood = 0;
    for round in 0..3000 {
        let mut bytes = samples[round % samples.len()].clone();
        damage(&mut bytes, TOKENS, &mut random);
        let patches = patches(&bytes);
        let hunks = |patch: &'_ patch::Patch| patch.hunks.iter().map(|hunk| lookup.hits(hunk).len()).sum::<usize>();
        understood += usize::from(patches.iter().any(|patch| hunks(patch) > 0));
        let findings: Vec<Finding<'_>> = patches
            .iter()
            .map(|patch| Finding { patch, hunks: patch.hunks.iter().map(|hunk| (hunk, lookup.hits(hunk))).collect() })
            .collect();
        for full in [false, true] {
            let reply = report::human(&spec, &findings, full);
            assert!(!reply.contains(|c: char| c.is_control() && c != '\n' && c != '\t'), "round {round}: {reply:?}");
            for line in reply.lines().filter(|line| !line.starts_with('>')) {
                assert!(line.chars().count() <= 72, "round {round}: {line}");
            }
        }
        let json = report::json(&spec, &findings);
        assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok());
    }
    // Most damaged patches still have readable hunks.
    assert!(understood > 1500, "only {understood} patches were understood");
}

#[test]
fn depth_costs_no_stack() {
    for unit in ["Content-Type: message/rfc822\n\n", "@@ -1 +1 @@\n", "From x\nSubject: y\n\n", "--outer\n", "=?", ">"]
    {
        let _ = patches(("From: x\nContent-Type: message/rfc822\n\n".to_owned() + &unit.repeat(20_000)).as_bytes());
        let _ = patches(unit.repeat(20_000).as_bytes());
    }
}

fn hunks(text: &str) -> Vec<(usize, usize)> {
    let patches = patches(text.as_bytes());
    patches.iter().map(|patch| (patch.hunks.len(), patch.damage.len())).collect()
}

const DIFF: &str = "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -1,3 +1,3 @@ int f(void)\n a\n-b\n+c\n\n";

#[test]
fn text_around_a_diff_is_passed_over() {
    let mail = format!("Subject: s\n\n{DIFF}-- \n2.43.0\n");
    let encoded = DIFF.replace("-b", "=2Db").replace(" a\n", "=20=\na\n");
    let encoded = format!("Subject: s\nContent-Transfer-Encoding: quoted-printable\n\n{encoded}");
    let cases = [
        ("plain", DIFF.to_owned()),
        ("CRLF", DIFF.replace('\n', "\r\n")),
        ("text before it", format!("Some words\n{DIFF}")),
        ("an empty context line without its space", DIFF.to_owned()),
        ("a context line without its first space", DIFF.replace(" a\n", "\ta\n")),
        ("a mail", mail.clone()),
        ("a mail with CRLF", mail.replace('\n', "\r\n")),
        ("a mailbox", format!("From me Mon Sep 17 00:00:00 2001\n{mail}")),
        ("a header without an empty line after it", format!("Subject: s\nFrom: f\n{DIFF}")),
        ("a body that says From", format!("From me\nSubject: s\n\nFrom here on\n>From there\n{DIFF}")),
        ("an encoded mail", encoded.clone()),
        ("an attached mail", format!("Subject: s\nContent-Type: message/rfc822\n\n{encoded}")),
    ];
    for (what, text) in cases {
        assert_eq!(hunks(&text), [(1, 0)], "{what}");
    }
    assert_eq!(hunks(&format!("From me\n{mail}\nFrom me\n{mail}")), [(1, 0), (1, 0)]);
    assert_eq!(hunks("no diff\n--- a\n"), [(0, 0)]);
    assert_eq!(hunks(&DIFF.replace("+c\n\n", "+c\nwrapped\n")), [(1, 1)]);
    // The mail has the same patch as HTML.
    let twice = "Subject: s\nContent-Type: multipart/alternative; boundary=b\n\n--b\nContent-Type: text/plain\n\n";
    assert_eq!(hunks(&format!("{twice}{DIFF}\n--b\nContent-Type: text/html\n\n{DIFF}\n--b--\n")), [(1, 0)]);
}

#[test]
fn names_of_files() {
    let cases = [
        ("a/fs/open.c", "b/fs/open.c", "fs/open.c"),
        ("fs/open.c", "fs/open.c", "fs/open.c"),
        ("linux.orig/fs/open.c\t2026-01-01 00:00:00", "linux/fs/open.c\t2026-01-02 00:00:00", "fs/open.c"),
        ("/dev/null", "b/fs/open.c", "fs/open.c"),
        ("a/fs/open.c", "/dev/null", "fs/open.c"),
        ("\"a/fs/open.c\"", "\"b/fs/open.c\"", "fs/open.c"),
        ("open.c.orig", "open.c", "open.c"),
    ];
    for (old, new, expected) in cases {
        let patch = read(&format!("--- {old}\n+++ {new}\n@@ -1 +1 @@\n-a\n+b\n"));
        assert_eq!(patch.hunks[0].file.as_deref(), Some(expected));
    }
}

#[test]
fn heads_of_functions() {
    let named = |line: &str| definition(line).map(|Definition { name, is_syscall }| (name, is_syscall));
    let cases = [
        ("int vfs_fallocate(struct file *file, int mode)", Some(("vfs_fallocate", false))),
        ("xfs_file_fallocate(", Some(("xfs_file_fallocate", false))),
        ("static struct file *open_it(void)", Some(("open_it", false))),
        ("SYSCALL_DEFINE2(swapon, const char __user *, name, int, flags)", Some(("swapon", true))),
        ("COMPAT_SYSCALL_DEFINE2(truncate, const char __user *, path)", Some(("truncate", true))),
        ("EXPORT_SYMBOL_GPL(vfs_fallocate);", None),
        ("static int (*f)(void) = g;", None),
        ("out_unlock:", None),
        ("\treturn f(x)", None),
        ("#define f(x) g(x)", None),
        ("static const struct file_operations f = {", None),
    ];
    for (line, expected) in cases {
        assert_eq!(named(line), expected.map(|(name, is_syscall)| (name.to_owned(), is_syscall)), "{line}");
    }
}

/// The functions whose lines change, if one function ends and another begins in the hunk.
#[test]
fn changed_functions() {
    let names = |heading: &str, lines: &str| -> Vec<String> {
        let count = lines.lines().count();
        let text = format!("--- a/f.c\n+++ b/f.c\n@@ -1,{count} +1,{count} @@ {heading}\n{lines}");
        let patch = read(&text);
        patch.hunks[0].changed().into_iter().map(|(function, _)| function.name).collect()
    };
    assert_eq!(names("int first(void)", " \ta;\n-\tb;\n"), ["first"]);
    assert_eq!(names("int first(void)", " }\n \n int second(void)\n {\n+\tb;\n"), ["second"]);
    assert_eq!(
        names("int first(void)", "+\ta;\n }\n+/* About the second. */\n+int second(void)\n"),
        ["first", "second"]
    );
    assert_eq!(names("int first(void)", " /* Between. */\n+static int x;\n"), [""; 0]);
    assert_eq!(names("int first(void)", " out:\n+\tb;\n"), ["first"]);
    assert_eq!(names("", " \ta;\n+\tb;\n"), [""; 0]);
}

/// A function is explained below its first hunk, and later hunks of it are quoted together.
#[test]
fn an_entry_is_explained_once() {
    let Some((spec, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let lookup = Lookup::new(&table);
    let hunk = |line: usize, name: &str| format!("@@ -{line} +{line} @@ int {name}(void)\n-\ta;\n+\tb;\n");
    let names = ["vfs_fallocate", "do_truncate", "vfs_fallocate", "vfs_fallocate", "do_truncate", "something_else"];
    let hunks: String = names.iter().enumerate().map(|(line, name)| hunk(line, name)).collect();
    let patch = read(&format!("--- a/fs/open.c\n+++ b/fs/open.c\n{hunks}"));
    let hits = |full| {
        let hunks = patch.hunks.iter().map(|hunk| (hunk, lookup.hits(hunk))).collect();
        report::human(&spec, &[Finding { patch: &patch, hunks }], full)
    };
    let end = "> @@ -2 +2 @@ int vfs_fallocate(void)\n> @@ -3 +3 @@ int vfs_fallocate(void)\n\nAs above: vfs_fallocate.\n\n\
        > @@ -4 +4 @@ int do_truncate(void)\n\nAs above: do_truncate.\n\n";
    assert!(hits(false).ends_with(end), "{}", hits(false));
    assert_eq!(hits(false).matches("vfs_fallocate, changed").count(), 1);
    assert_eq!(hits(true).matches("vfs_fallocate, changed").count(), 3);
}

/// An entry that was only near another change is explained when its own lines change.
#[test]
fn a_name_alone_is_explained_at_its_change() {
    let Some((spec, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let lookup = Lookup::new(&table);
    let hunks = "@@ -1,2 +1,2 @@ int f(void)\n \tvfs_fallocate();\n-\ta;\n+\tb;\n@@ -9 +9 @@ int vfs_fallocate(void)\n-\ta;\n+\tb;\n";
    let patch = read(&format!("--- a/fs/open.c\n+++ b/fs/open.c\n{hunks}"));
    let hunks = patch.hunks.iter().map(|hunk| (hunk, lookup.hits(hunk))).collect();
    let reply = report::human(&spec, &[Finding { patch: &patch, hunks }], false);
    assert!(reply.contains("vfs_fallocate, near the change") && reply.contains("vfs_fallocate, changed"), "{reply}");
}

/// A call that is only rewritten is near the change; a call that is added or removed is in it.
#[test]
fn a_hit_is_in_the_change_or_near_it() {
    let Some((_, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let lookup = Lookup::new(&table);
    let met = |file: &str, lines: &str| -> Vec<(String, &str)> {
        let (old, new) = (lines.matches("\n-").count(), lines.matches("\n+").count());
        let common = lines.matches("\n ").count();
        let (old, new) = (old + common, new + common);
        let patch = read(&format!("--- a/{file}\n+++ b/{file}\n@@ -1,{old} +1,{new} @@{lines}"));
        assert!(patch.damage.is_empty(), "{patch:?}");
        lookup.hits(&patch.hunks[0]).iter().map(|hit| (hit.entry.name.clone(), hit.how.as_str())).collect()
    };
    let one = |name: &str, how| vec![(name.to_owned(), how)];
    assert_eq!(met("fs/x.c", "\n-\tnotify_change(a);\n+\tnotify_change(b);\n"), one("notify_change", "near"));
    assert_eq!(met("fs/x.c", "\n-\tnotify_change(a);\n+\tb;\n"), one("notify_change", "touched"));
    assert_eq!(met("fs/x.c", "\n \tnotify_change(a);\n+\tb;\n"), one("notify_change", "near"));
    assert_eq!(met("fs/x.c", "\n+\t/* notify_change() does it. */\n"), []);
    assert_eq!(met("fs/x.c", "\n+\t/* notify_change() does it. */\n+\tb;\n"), one("notify_change", "near"));
    assert_eq!(met("fs/x.c", "\n+\tpr_warn(\"notify_change\");\n"), []);
    assert_eq!(met("fs/x.c", "\n+\treturn -ETXTBSY;\n"), one("ETXTBSY", "touched"));
    assert_eq!(met("fs/x.c", "\n \treturn -ETXTBSY;\n+\tb;\n"), []);
    // This errno counts in other files only.
    assert_eq!(met("fs/x.c", "\n+\treturn -EFAULT;\n"), []);
    // A function of the same name in another file is another function.
    assert_eq!(met("fs/x.c", " int vfs_fallocate(void)\n+\tb;\n"), []);
    assert_eq!(met("fs/open.c", " int vfs_fallocate(void)\n+\tb;\n"), one("vfs_fallocate", "changed"));
    // The name of the function in another kernel version.
    assert_eq!(
        met("fs/ext4/move_extent.c", " int mext_check_validity(void)\n+\tb;\n"),
        one("mext_check_arguments", "changed")
    );
    assert_eq!(met("Documentation/x.rst", "\n+notify_change()\n"), []);
    assert_eq!(met("fs/f2fs/gc.c", " int other(void)\n+\tb;\n"), one("fs/f2fs/gc.c", "file"));
}

/// Two files, three hunks, and lines that mail programs often break: a long header, an empty line of context.
const SEVERAL: &str = "\
diff --git a/fs/open.c b/fs/open.c
index 1111111..2222222 100644
--- a/fs/open.c
+++ b/fs/open.c
@@ -5,7 +5,7 @@ int do_truncate(struct mnt_idmap *idmap, struct dentry *dentry, loff_t length,
 \tint ret;
 
 \tif (length < 0)
-\t\treturn -EINVAL;
+\t\treturn -ETXTBSY;
 \tret = 0;
 \treturn ret;
 }
@@ -40,3 +40,3 @@ int vfs_fallocate(struct file *file, int mode)
 {
-\tone = two; /* a comment that says so */
+\ttwo;
 }
diff --git a/fs/attr.c b/fs/attr.c
--- a/fs/attr.c
+++ b/fs/attr.c
@@ -1,3 +1,4 @@ int inode_newsize_ok(const struct inode *inode)
 {
+\tthree;
 \tfour;
 }
";

/// The result of reading: file, heading and lines of each hunk.
type Seen = Vec<(String, String, Vec<String>)>;

fn seen(patches: &[patch::Patch]) -> Seen {
    let hunks = patches.iter().flat_map(|patch| &patch.hunks);
    let line = |line: &patch::Line| format!("{}{}", line.sign, line.text);
    hunks
        .map(|hunk| {
            (hunk.file.clone().unwrap_or_default(), hunk.heading.clone(), hunk.lines.iter().map(line).collect())
        })
        .collect()
}

fn told(patches: &[patch::Patch]) -> (usize, usize) {
    (patches.iter().map(|it| it.notes.len()).sum(), patches.iter().map(|it| it.damage.len()).sum())
}

fn each_line(text: &str, to: impl Fn(&str) -> String) -> String {
    text.lines().map(|line| to(line) + "\n").collect()
}

/// The reader finds the same hunks and reports no fault, for any text around the patch.
#[test]
fn patches_that_mail_programs_changed_are_read() {
    let expected = seen(&patches(SEVERAL.as_bytes()));
    assert_eq!((expected.len(), told(&patches(SEVERAL.as_bytes()))), (3, (0, 0)));
    let marked = |mark: &str| each_line(SEVERAL, |line| format!("{mark}{line}"));
    let trimmed = |mark: &str| each_line(SEVERAL, |line| format!("{mark}{line}").trim_end().to_owned());
    let colours = |line: &str| match line.chars().next() {
        Some('+') => format!("\u{1b}[32m+\u{1b}[m\u{1b}[32m{}\u{1b}[m", &line[1..]),
        Some('@') => line.replacen("@@ -", "\u{1b}[36m@@ -", 1).replacen(" @@ ", " @@\u{1b}[m ", 1),
        _ => format!("\u{1b}[1m{line}\u{1b}[0;39m\u{1b}[K"),
    };
    let flowed =
        |kind: &str, text: &str| format!("Subject: s\nContent-Type: text/plain; format=flowed{kind}\n\n{text}");
    let stuffed = |text: &str| {
        each_line(text, |line| if line.starts_with([' ', '>']) { format!(" {line}") } else { line.to_owned() })
    };
    let wrapped = SEVERAL.replace("*dentry, loff_t", "*dentry,\nloff_t");
    let soft = |end: &str, text: &str| text.replace("*dentry, loff_t", &format!("*dentry,{end}\nloff_t"));
    let html = |text: &str| format!("Subject: s\nContent-Type: text/html\n\n{text}");
    let escaped = SEVERAL.replace('<', "&lt;");
    let answered =
        trimmed("> ").replace("> +\t\treturn -ETXTBSY;\n", "> +\t\treturn -ETXTBSY;\n\nWhy?\n\n- because\n\n");
    let utf16 = |bytes: fn(u16) -> [u8; 2]| SEVERAL.encode_utf16().flat_map(bytes).collect::<Vec<u8>>();
    let ways: Vec<(&str, Vec<u8>)> = vec![
        ("CRLF", SEVERAL.replace('\n', "\r\n").into()),
        ("CR", SEVERAL.replace('\n', "\r").into()),
        ("a space less", SEVERAL.replace("\n \n", "\n\n").into()),
        ("quoted", marked("> ").into()),
        ("quoted without spaces at ends", trimmed("> ").into()),
        ("quoted twice", trimmed("> > ").into()),
        ("quoted twice in another way", trimmed(">> ").into()),
        ("bars", trimmed("| ").into()),
        ("initials", trimmed("AB> ").into()),
        ("colons", trimmed(": ").into()),
        ("percents", trimmed("% ").into()),
        ("set in", marked("    ").into()),
        ("answered", answered.into()),
        ("colors", each_line(SEVERAL, colours).into()),
        ("header wrapped", wrapped.clone().into()),
        ("header wrapped in a quotation", each_line(&wrapped, |line| format!("> {line}")).into()),
        ("lines wrapped", SEVERAL.replace("/* a comment that", "/* a comment\nthat").into()),
        ("names wrapped", SEVERAL.replace("--- a/fs/attr.c", "--- a/fs/attr.c\t2026-01-01 00:00:00\n+0100").into()),
        ("flowed", flowed("", &soft(" ", &stuffed(SEVERAL))).into()),
        ("flowed, as some do it", flowed("", &soft(" ", SEVERAL)).into()),
        ("flowed with DelSp", flowed("; delsp=yes", &soft("  ", &stuffed(SEVERAL))).into()),
        ("flowed lines", flowed("", &stuffed(SEVERAL).replace("return -ETXTBSY", "return \n-ETXTBSY")).into()),
        ("flowed and quoted", flowed("", &each_line(&soft(" ", SEVERAL), |line| format!("> {line}"))).into()),
        ("HTML", html(&format!("<p>This:<pre>{escaped}</pre>")).into()),
        ("quoted HTML", html(&format!("<blockquote><pre>{escaped}</pre></blockquote><p>No.")).into()),
        ("UTF-16", [b"\xff\xfe", &*utf16(u16::to_le_bytes)].concat()),
        ("UTF-16 without a mark", utf16(u16::to_be_bytes)),
        ("a signature", format!("Subject: s\n\n{SEVERAL}-- \n2.43.0\n\n").into()),
        ("a signature without a space", format!("{SEVERAL}--\nA. Reader\n").into()),
        ("something after it", format!("{SEVERAL}\n---\nbase-commit: 123\n\n- one\n- two\n").into()),
        ("something right after it", format!("{SEVERAL}---\nbase-commit: 123\n").into()),
    ];
    for (what, text) in ways {
        let patches = patches(&text);
        assert_eq!((seen(&patches), told(&patches)), (expected.clone(), (0, 0)), "{what}");
    }
}

/// People edit hunks and leave the counts unchanged: no line of the hunk or after it is lost.
#[test]
fn counts_that_are_wrong() {
    let expected = seen(&patches(SEVERAL.as_bytes()));
    let (long, short, last) = ("@@ -5,7 +5,7 @@", "@@ -40,3 +40,3 @@", "@@ -1,3 +1,4 @@");
    let headers = [
        (long, "@@ -5,9 +5,9 @@", (1, 0)),
        (long, "@@ -5,7 +5,8 @@", (1, 0)),
        (long, "@@ -5,3 +5,3 @@", (1, 0)),
        (long, "@@ -5,2 +5,2 @@", (1, 0)),
        (long, "@@ -5 +5 @@", (1, 0)),
        (long, "@@ -5,99 +5,99 @@", (1, 0)),
        (short, "@@ -40,1 +40,1 @@", (1, 0)),
        (short, "@@ -40,5 +40,5 @@", (1, 0)),
        (short, "@@ -x,3 +40,3 @@", (1, 0)),
        (short, "@@ @@", (1, 0)),
        (last, "@@ -1,2 +1,3 @@", (1, 0)),
        // The text may have been cut at this end.
        (last, "@@ -1,4 +1,5 @@", (0, 1)),
    ];
    // Some programs leave out the line `diff --git` before the names of the last file.
    let bare = SEVERAL.replace("diff --git a/fs/attr.c b/fs/attr.c\n", "");
    for (right, wrong, expected_told) in headers {
        for text in [SEVERAL, &bare] {
            let patches = patches(text.replace(right, wrong).as_bytes());
            assert_eq!((seen(&patches), told(&patches)), (expected.clone(), expected_told), "{wrong}");
        }
    }
    // A signature shows that the text was not cut.
    let signed = format!("{}-- \n2.43.0\n", SEVERAL.replace(last, "@@ -1,4 +1,5 @@"));
    assert_eq!(told(&patches(signed.as_bytes())), (1, 0));
    // Text after the patch shows the same.
    let followed = format!("{}\nThis is what I mean.\n", SEVERAL.replace(last, "@@ -1,9 +1,10 @@"));
    assert_eq!(told(&patches(followed.as_bytes())), (1, 0));
    // Lines that a person left out of a quotation are not damage.
    let quoted = each_line(&SEVERAL.replace(" \tret = 0;\n", ""), |line| format!("> {line}"));
    let patches = patches(quoted.as_bytes());
    assert_eq!((patches[0].hunks.len(), told(&patches)), (3, (1, 0)));
}

/// Replies often leave out file names. The functions in the headers still lead to clauses.
#[test]
fn hunks_without_names() {
    let names = ["diff --git ", "index ", "--- ", "+++ "];
    let bare: Vec<&str> = SEVERAL.lines().filter(|line| !names.iter().any(|name| line.starts_with(name))).collect();
    let bare = bare.join("\n") + "\n";
    let lines = |seen: Seen| seen.into_iter().map(|(_, heading, lines)| (heading, lines)).collect::<Vec<_>>();
    let expected = lines(seen(&patches(SEVERAL.as_bytes())));
    let Some((_, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let lookup = Lookup::new(&table);
    for (mark, expected_told) in [("> ", (3, 0)), (">> ", (3, 0)), ("", (0, 3))] {
        let patches = patches(each_line(&bare, |line| format!("{mark}{line}")).as_bytes());
        assert_eq!((lines(seen(&patches)), told(&patches)), (expected.clone(), expected_told), "{mark:?}");
        let hits = patches[0].hunks.iter().flat_map(|hunk| lookup.hits(hunk));
        let how: Vec<&str> = hits.map(|hit| hit.how.as_str()).collect();
        assert!(how.contains(&"changed") && !how.contains(&"file"), "{how:?}");
        assert!(patches[0].hunks.iter().all(|hunk| hunk.file.is_none()), "{mark:?}");
    }
}

/// If words are marked instead of lines, the changed lines are unknown: a note says so.
#[test]
fn diffs_of_words() {
    let head = "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -8,3 +8,3 @@ int vfs_fallocate(struct file *file, int mode)\n";
    let quoted = |text: &str| each_line(text, |line| format!("> {line}"));
    let plain = format!("{head} \ta;\n\t\treturn [--EINVAL;-]{{+-ETXTBSY;+}}\n }}\n");
    // The marks are lost with the colors.
    let bare = format!("{head} \ta;\n\t\treturn -EINVAL;-ETXTBSY;\n }}\n");
    let porcelain = format!("{head}  a;\n~\n  return \n--EINVAL;\n+-ETXTBSY;\n~\n  }}\n~\n");
    for text in [&plain, &quoted(&plain), &bare, &porcelain] {
        let patch = read(text);
        assert!(
            patch.hunks.is_empty() && patch.damage.len() == 1 && patch.damage[0].1.contains("--word-diff"),
            "{text}{patch:?}"
        );
    }
    // A person who replies leaves out the changes.
    assert_eq!(told(&[read(&quoted(&bare))]).1, 0);
}

/// Lines of a hunk that look like something else.
#[test]
fn a_hunk_has_the_lines_that_its_header_counts() {
    let text = "--- a/x.sql\n+++ b/x.sql\n@@ -1,4 +1,2 @@\n--- a comment\n+++ an increment\n---\n--\n a\n@@ -9 +9 @@\n-b\n+c\n";
    let patch = read(text);
    assert_eq!(patch.hunks.iter().map(|hunk| hunk.lines.len()).collect::<Vec<_>>(), [5, 2], "{patch:?}");
    assert_eq!((patch.damage.len(), patch.notes.len()), (0, 0));
}

/// The results for a hunk in this file and below this heading: names, how closely they match, and clauses.
fn met(table: &Table, file: &str, heading: &str, lines: &str) -> Vec<(String, &'static str, Vec<String>)> {
    let count = |sign| lines.lines().filter(|line| line.starts_with([' ', sign])).count();
    let (old, new) = (count('-'), count('+'));
    let patch = read(&format!("--- a/{file}\n+++ b/{file}\n@@ -1,{old} +1,{new} @@ {heading}\n{lines}"));
    assert!(patch.damage.is_empty(), "{patch:?}");
    let hits = Lookup::new(table).hits(&patch.hunks[0]);
    hits.iter().map(|hit| (hit.entry.name.clone(), hit.how.as_str(), hit.entry.clauses.clone())).collect()
}

/// Functions that decide something, but that are not called directly by a system call.
#[test]
fn functions_that_decide() {
    let Some((_, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let cases = [
        (
            "fs/btrfs/ioctl.c",
            "static noinline int btrfs_ioctl_resize(struct file *file, void __user *arg)",
            "mover.shrink",
        ),
        ("fs/btrfs/ioctl.c", "static int defrag_collect_targets(struct btrfs_inode *inode,", "mover.defragment"),
        ("fs/btrfs/defrag.c", "static int defrag_one_range(struct btrfs_inode *inode, u64 start,", "mover.defragment"),
        (
            "fs/btrfs/transaction.c",
            "static noinline int create_pending_snapshot(struct btrfs_trans_handle *trans,",
            "share.snapshot",
        ),
        ("fs/btrfs/reflink.c", "static int btrfs_clone(struct inode *src, struct inode *inode,", "share.source"),
        ("fs/btrfs/inode.c", "static int can_nocow_file_extent(struct btrfs_path *path,", "write.inside"),
        (
            "fs/btrfs/inode.c",
            "static int btrfs_truncate(struct btrfs_inode *inode, bool skip_writeback)",
            "truncate.shrink",
        ),
        ("fs/btrfs/inode.c", "static int btrfs_add_swap_extent(struct swap_info_struct *sis,", "swap.on"),
        ("fs/btrfs/relocation.c", "static int relocate_one_folio(struct reloc_control *rc,", "mover.collect"),
        ("fs/xfs/xfs_file.c", "xfs_falloc_insert_range(", "fallocate.insert"),
        ("fs/xfs/xfs_fsops.c", "xfs_growfs_data_private(", "mover.shrink"),
        ("fs/xfs/libxfs/xfs_ag.c", "xfs_ag_shrink_space(", "mover.shrink"),
        ("fs/xfs/libxfs/xfs_bmap.c", "xfs_bmap_collapse_extents(", "fallocate.collapse"),
        ("fs/xfs/xfs_iops.c", "xfs_vn_update_time(", "write.times"),
        (
            "fs/ext4/extents.c",
            "static int ext4_ext_shift_extents(struct inode *inode, handle_t *handle,",
            "fallocate.collapse",
        ),
        (
            "fs/ext4/move_extent.c",
            "static int mext_move_extent(struct mext_data *mext, u64 *m_len)",
            "mover.defragment",
        ),
        ("fs/ext4/inline.c", "static int ext4_convert_inline_data_nolock(handle_t *handle,", "seal.inline"),
        ("fs/f2fs/file.c", "static int f2fs_do_zero_range(struct dnode_of_data *dn, pgoff_t start,", "fallocate.zero"),
        ("fs/f2fs/gc.c", "int f2fs_get_victim(struct f2fs_sb_info *sbi, unsigned int *result,", "mover.collect"),
        (
            "fs/iomap/buffered-io.c",
            "static int iomap_zero_iter(struct iomap_iter *iter, bool *did_zero)",
            "fallocate.zero",
        ),
        ("fs/quota/dquot.c", "int __dquot_alloc_space(struct inode *inode, qsize_t number, int flags)", "write.full"),
        ("fs/namespace.c", "int mnt_get_write_access(struct vfsmount *m)", "seal.readonly_mount"),
        ("include/linux/mm.h", "static inline bool folio_is_longterm_pinnable(struct folio *folio)", "hold.register"),
        ("mm/madvise.c", "static long madvise_remove(struct vm_area_struct *vma,", "fallocate.punch"),
    ];
    for (file, heading, clause) in cases {
        let met = met(&table, file, heading, " \ta();\n+\tnew_line();\n");
        let is_named =
            |(_, how, clauses): &(_, &str, Vec<String>)| *how == "changed" && clauses.contains(&clause.to_owned());
        assert!(met.iter().any(is_named), "{heading}: {met:?}");
        // A reviewer who gets ten clauses stops reading.
        let count: usize = met.iter().map(|(_, _, clauses)| clauses.len()).sum();
        assert!(count <= 5, "{heading}: {met:?}");
    }
}

/// Words count if a change adds or removes them, and only in their files.
#[test]
fn words_that_come_and_go() {
    let Some((_, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let has = |file: &str, heading: &str, lines: &str, clause: &str| {
        let met = met(&table, file, heading, lines);
        met.iter().any(|(_, how, clauses)| *how != "near" && clauses.iter().any(|id| id == clause))
    };
    let removed = "-\tif (!capable(CAP_SYS_ADMIN))\n-\t\treturn -EPERM;\n \ta();\n";
    let added = "+\tif (!ns_capable(user_ns, CAP_SYS_ADMIN))\n+\t\treturn -EPERM;\n \ta();\n";
    let other = "-\tif (!inode_owner_or_capable(idmap, inode))\n+\tif (!capable(CAP_SYS_ADMIN))\n \t\treturn -EPERM;\n";
    let same = "-\tif (!capable(CAP_SYS_ADMIN))\n+\tif (a && !capable(CAP_SYS_ADMIN))\n \t\treturn -EPERM;\n";
    let near = " \tif (!capable(CAP_SYS_ADMIN))\n \t\treturn -EPERM;\n+\ta();\n";
    for file in
        ["fs/btrfs/ioctl.c", "fs/ext4/ioctl.c", "fs/f2fs/file.c", "fs/xfs/xfs_fsops.c", "fs/ioctl.c", "mm/swapfile.c"]
    {
        for (lines, counts) in [(removed, true), (added, true), (other, true), (same, false), (near, false)] {
            assert_eq!(has(file, "int f(void)", lines, "seal.privilege"), counts, "{file}: {lines}");
        }
    }
    assert!(!has("fs/pipe.c", "int f(void)", removed, "seal.privilege"));
    let atomic = "-\tif (ret > 0)\n+\tif (ret > 0 && !((flags & IOMAP_ATOMIC) && ret < len))\n \t\tgoto out;\n";
    assert!(has("fs/ext4/inode.c", "static int ext4_iomap_begin(struct inode *inode,", atomic, "write.atomic"));
    let atomic = "-\tif (!*shared)\n+\tif (!*shared && !(flags & XFS_REFLINK_ATOMIC_SW))\n \t\treturn 0;\n";
    assert!(has("fs/xfs/xfs_reflink.c", "xfs_reflink_allocate_cow(", atomic, "write.atomic"));
    assert!(has("fs/xfs/xfs_inode.c", "xfs_get_max_atomic_write_size(", "+\ta();\n \tb();\n", "write.atomic"));
    let feature = "-\t BTRFS_FEATURE_INCOMPAT_A)\n+\t BTRFS_FEATURE_INCOMPAT_A | \\\n+\t BTRFS_FEATURE_INCOMPAT_B)\n";
    assert!(has("fs/btrfs/fs.h", "enum {", feature, "foreign.unaware"));
    assert!(!has("fs/btrfs/super.c", "enum {", feature, "foreign.unaware"));
}

/// A line below a label bears on the clauses of that label, not on all cases of the function.
#[test]
fn cases_are_told_apart() {
    let Some((_, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let names = |lines: &str| -> Vec<(String, &'static str)> {
        let met = met(&table, "fs/btrfs/ioctl.c", "long btrfs_ioctl(struct file *file, unsigned int", lines);
        met.into_iter().map(|(name, how, _)| (name, how)).collect()
    };
    let one = |name: &str, how| vec![(name.to_owned(), how)];
    assert_eq!(
        names(" \tcase BTRFS_IOC_DEFRAG:\n-\t\treturn a;\n+\t\treturn b;\n"),
        one("BTRFS_IOC_DEFRAG", "changed")
    );
    assert_eq!(names("+\tx();\n \tcase BTRFS_IOC_DEFRAG:\n \t\treturn a;\n"), one("BTRFS_IOC_DEFRAG", "near"));
    let another = " \tcase BTRFS_IOC_DEFRAG:\n \t\treturn a;\n \tcase ANOTHER:\n-\t\treturn a;\n+\t\treturn b;\n";
    assert_eq!(names(another), one("BTRFS_IOC_DEFRAG", "near"));
    let together = " \tcase ANOTHER:\n \tcase BTRFS_IOC_DEFRAG:\n-\t\treturn a;\n+\t\treturn b;\n";
    assert_eq!(names(together), one("BTRFS_IOC_DEFRAG", "changed"));
    assert_eq!(names("-\ta();\n+\tb();\n"), one("btrfs_ioctl", "near"));
}

/// No clause bears on a hunk that only rewrites code; a moved call is a change.
#[test]
fn a_rewritten_call_is_near_the_change() {
    let Some((_, table)) = spec_and_table() else { return eprintln!("not tested, ../man is missing") };
    let counts = |lines: &str| !met(&table, "fs/open.c", "int vfs_fallocate(struct file *file)", lines).is_empty();
    assert!(!counts("-\tpr_debug(\"%lu\", ino);\n+\tpr_debug(\"%llu\", ino);\n"));
    assert!(!counts("-\ta(b, c);\n+\ta(b,\n+\t  c);\n"));
    assert!(!counts("+\ttrace_a(b,\n+\t\tc);\n"));
    assert!(!counts("-\ta(0, 1);\n+\ta(false, true);\n"));
    assert!(!counts("+\t/* What follows, and why. */\n \ta();\n"));
    assert!(counts("+\ta();\n \tb();\n-\ta();\n"));
    assert!(counts("-\ta(b, c);\n+\ta(b, d);\n"));
    assert!(counts("+\ttrace_a(b);\n+\tc();\n"));
}
