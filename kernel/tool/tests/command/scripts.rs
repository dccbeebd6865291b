//! Edit scripts: their faults, their effect, the lock, and the mails.

use crate::tools::{SECOND, World};
use std::fmt::Write as _;

/// Every kind of script that is wrong, as a third patch or a second mutant, with the message.
#[test]
fn wrong_scripts_have_a_place_and_a_reason() {
    let edit = |keys: &str| format!("title = \"t\"\nmessage = \"m\"\nclauses = []\n\n[[edit]]\n{keys}");
    let fill = "file = \"fs/water.c\"\nfunction = \"tank_fill\"\n";
    let patches = [
        ("no TOML", "title = \"t\nclauses = []\n".into()),
        ("an unknown key", "title = \"t\"\nmessage = \"m\"\nclauses = []\nfile = \"fs/water.c\"\n".into()),
        ("a missing key", "message = \"m\"\nclauses = []\n".into()),
        ("another type", "title = 7\nmessage = \"m\"\nclauses = []\n".into()),
        ("a title of two lines", "title = \"a\\nb\"\nmessage = \"m\"\nclauses = []\n".into()),
        ("neither clause nor message", "title = \"t\"\nmessage = \"\"\nclauses = []\n".into()),
        ("an unknown clause", "title = \"t\"\nmessage = \"\"\nclauses = [\"truncate.shrunk\"]\n".into()),
        ("a file that is not there", "title = \"t\"\nmessage = \"m\"\nclauses = []\nfiles = [\"fs/none.c\"]\n".into()),
        ("a file that came before", "title = \"t\"\nmessage = \"m\"\nclauses = []\nfiles = [\"fs/seal.c\"]\n".into()),
        ("a file outside", "title = \"t\"\nmessage = \"m\"\nclauses = []\nfiles = [\"../water.c\"]\n".into()),
        ("no anchor", edit(&format!("{fill}text = \"x\"\n"))),
        ("two anchors", edit(&format!("{fill}before = \"{{\"\nafter = \"}}\"\ntext = \"x\"\n"))),
        ("an empty anchor", edit(&format!("{fill}before = \" \"\ntext = \"x\"\n"))),
        ("an empty text", edit(&format!("{fill}before = \"return 0;\"\ntext = \"\"\n"))),
        ("no text", edit(&format!("{fill}before = \"return 0;\"\n"))),
        ("replace in a patch", edit(&format!("{fill}replace = \"return 0;\"\ntext = \"x\"\n"))),
        ("inline in many lines", edit(&format!("{fill}inline = true\nafter = '''\n{{\n}}'''\ntext = \"x\"\n"))),
        ("an edit outside", edit("file = \"/fs/water.c\"\nbefore = \"x\"\ntext = \"x\"\n")),
        ("no such file", edit("file = \"fs/fire.c\"\nbefore = \"x\"\ntext = \"x\"\n")),
        ("no such function", edit("file = \"fs/water.c\"\nfunction = \"tank_drain\"\nbefore = \"{\"\ntext = \"x\"\n")),
        ("a prototype", edit("file = \"fs/water.c\"\nfunction = \"tank\"\nbefore = \"{\"\ntext = \"x\"\n")),
        ("no match", edit(&format!("{fill}before = \"return 1;\"\ntext = \"x\"\n"))),
        ("a match elsewhere", edit(&format!("{fill}before = \"tank->open = 1;\"\ntext = \"x\"\n"))),
        ("a part of a line", edit(&format!("{fill}before = \"tank->level +=\"\ntext = \"x\"\n"))),
        ("two matches", edit("file = \"fs/water.c\"\nbefore = '''\nif (!tank)\n  return -1;\n'''\ntext = \"x\"\n")),
        ("two matches inline", edit(&format!("{fill}inline = true\nbefore = \"tank\"\ntext = \"x\"\n"))),
    ];
    let mutants = [
        ("a mutant without a purpose", "[[edit]]\nfile = \"fs/seal.c\"\nbefore = \"{\"\ntext = \"x\"\n"),
        (
            "replace of the kernel's own",
            "expected = [\"seal.sealed\"]\n[[edit]]\nfile = \"fs/water.c\"\nfunction = \"valve_open\"\nreplace = \"return 0;\"\ntext = \"x\"\n",
        ),
        (
            "replace by the same",
            "expected = [\"seal.sealed\"]\n[[edit]]\nfile = \"fs/water.c\"\nreplace = \"x\"\ntext = \"x\"\n",
        ),
        ("no edit", "expected = [\"seal.sealed\"]\n"),
    ];
    let mut all = String::new();
    let mut say = |name: &str, path: &str, text: &str| {
        let world = World::new();
        world.write(path, text);
        let said = world.said(&["check", "source"]);
        write!(all, "# {name}\n{said}\n").expect("a text");
    };
    for (name, text) in &patches {
        say(name, "series/patches/03-wrong.toml", text);
    }
    for (name, text) in mutants {
        say(name, "series/mutants/wrong.toml", text);
    }
    say("a number twice", "series/patches/02-again.toml", SECOND);
    say("no number", "series/patches/again.toml", "title = \"t\"\nmessage = \"m\"\nclauses = []\n");
    say("a file that nothing brings", "series/files/fs/fire.c", "int fire;\n");
    insta::assert_snapshot!(all);
}

#[test]
fn apply_writes_changed_files_only() {
    let world = World::new();
    let apply = |more: &[&str]| world.said(&[&["apply"], more, &["source", "tree"]].concat());
    let kept = world.read("source/fs/water.c");
    assert_eq!(apply(&[]), "3 files, 3 written\nexit 0\n");
    insta::assert_snapshot!(world.read("tree/fs/water.c") + "----\n" + &world.read("tree/include/tank.h"));
    assert_eq!(apply(&[]), "3 files, 0 written\nexit 0\n");
    assert_eq!(apply(&["--mutant", "fill"]), "3 files, 1 written\nexit 0\n");
    assert!(world.read("tree/fs/water.c").contains("\tif (tank->sealed)\n\t\t;\n\ttank->level"));
    assert_eq!(apply(&["--upto", "1"]), "2 files, 1 written\nexit 0\n");
    assert_eq!(world.read("tree/fs/water.c"), kept);
    assert_eq!(apply(&["--upto", "0"]), "0 files, 2 written\nexit 0\n");
    assert!(!world.path("tree/fs/seal.c").exists());
    assert_eq!(apply(&[]), "3 files, 3 written\nexit 0\n");
    assert_eq!(world.read("source/fs/water.c"), kept);
}

/// A tree may be made of links to the source.
#[test]
fn apply_leaves_the_source_of_a_linked_tree() {
    let world = World::new();
    std::fs::remove_file(world.path("tree/fs/water.c")).expect("removed");
    std::fs::hard_link(world.path("source/fs/water.c"), world.path("tree/fs/water.c")).expect("a link");
    let kept = world.read("source/fs/water.c");
    assert_eq!(world.said(&["apply", "source", "tree"]), "3 files, 3 written\nexit 0\n");
    assert_eq!(world.read("source/fs/water.c"), kept);
}

#[test]
fn sources_that_do_not_fit() {
    let mut all = String::new();
    let mut say = |name: &str, change: &dyn Fn(&World), arguments: &[&str]| {
        let world = World::new();
        change(&world);
        write!(all, "# {name}\n{}\n", world.said(arguments)).expect("a text");
    };
    let version = |world: &World| world.write("source/Makefile", "VERSION = 6\nPATCHLEVEL = 18\nSUBLEVEL = 1\n");
    let apply: &[&str] = &["apply", "source", "tree"];
    say("another series of kernels", &version, apply);
    say("it is accepted", &version, &["apply", "--any-version", "source", "tree"]);
    say("its anchors are tried", &version, &["check", "source"]);
    say("no version", &|world| world.write("source/Makefile", "all:\n"), apply);
    say("no source", &|_| (), &["apply", "nothing", "tree"]);
    say("a source that is patched", &|world| drop(world.run(apply)), &["apply", "tree", "source"]);
    say("in place", &|_| (), &["apply", "source", "source"]);
    say("no tree", &|_| (), &["apply", "source", "nothing"]);
    say("no such patch", &|_| (), &["apply", "--upto", "7", "source", "tree"]);
    say("no such mutant", &|_| (), &["apply", "--mutant", "fil", "source", "tree"]);
    say("no series", &|world| std::fs::remove_dir_all(world.path("series")).expect("removed"), apply);
    insta::assert_snapshot!(all);
}

#[test]
fn the_lock_knows_every_edit() {
    let world = World::new();
    let mut all = String::new();
    let mut say = |name: &str| write!(all, "# {name}\n{}\n", world.said(&["check"])).expect("a text");
    say("no lock");
    assert_eq!(
        world.said(&["lock", "source"]),
        "iomap-kernel: the version of the package is not known: --package VERSION\nexit 2\n"
    );
    let written = world.said(&["lock", "--package", "6.12.7-1", "source"]);
    assert_eq!(written, "2 patches, 1 mutant, 4 edits: anchors.lock: 6.12.7-1\nexit 0\n");
    let lock = world.read("series/anchors.lock");
    say("as it was locked");
    world.write("series/patches/02-fill.toml", &SECOND.replace("-2", "-3"));
    say("another text");
    world.write(
        "series/patches/02-fill.toml",
        &format!("{}\n[[edit]]\nfile = \"fs/water.c\"\nafter = \"x\"\ntext = \"y\"\n", SECOND),
    );
    say("one more");
    world.write("series/patches/02-fill.toml", SECOND.split("[[edit]]").next().unwrap_or_default());
    say("one less");
    world.write("series/patches/02-fill.toml", SECOND);
    world.write("series/anchors.lock", &lock.replace("matches = 1", "matches = 2"));
    say("another count");
    world.write("series/anchors.lock", &lock.replace("[edits]", "[edit]"));
    say("no lock of ours");
    world.write("series/anchors.lock", &lock);
    world.write("series/mutants.json", "{\"mutants\": {\"fill\": {\"script\": \"0\"}, \"gone\": {\"script\": \"0\"}}}");
    say("outcomes of other mutants");
    world.write("series/mutants.json", "{");
    say("no outcomes");
    std::fs::remove_file(world.path("series/mutants.json")).expect("removed");
    // Without a source, the edits of own files are tried nevertheless.
    world.write(
        "series/mutants/own.toml",
        "expected = [\"seal.sealed\"]\n[[edit]]\nfile = \"fs/seal.c\"\nreplace = \"return 0;\"\ntext = \"\"\n",
    );
    say("an own file without the anchor");
    insta::assert_snapshot!(lock + "\n" + &all);
}

#[test]
fn the_series_is_mail_that_git_applies() {
    if !iomap_testing::tools::has("git") {
        return;
    }
    let world = World::new();
    world.write("series/cover.md", "# water: seals\n\nA tank can be sealed.\n");
    let printed = world.said(&["series", "--cover", "source"]);
    assert_eq!(printed, world.said(&["series", "--cover", "source"]), "the same each time");
    // Names of commits, and what changes with the pages.
    let plain = |line: &str| match line.split_once(' ') {
        Some(("From", rest)) if rest.len() > 40 => format!("From COMMIT{}", &rest[40..]),
        Some(("Spec:", _)) => line.split(" (").next().unwrap_or_default().to_owned(),
        _ => line.to_owned(),
    };
    let printed: Vec<String> = printed.lines().filter(|line| !line.starts_with("index ")).map(plain).collect();
    insta::assert_snapshot!(printed.join("\n"));
    let with_url = world.said(&["series", "--url", "https://example.org/book", "source"]);
    assert!(with_url.contains("\nLink: https://example.org/book/iomap_immutable.7.html?"), "{with_url}");
    let tried = world.said(&["series", "--try", "source"]);
    assert_eq!(
        tried,
        "git am: 2 mails applied\nnot asked: source/scripts/get_maintainer.pl is missing\nnot asked: source/scripts/checkpatch.pl is missing\nexit 0\n"
    );
    for (script, said) in [
        ("get_maintainer.pl", "A <a@example.org>"),
        ("checkpatch.pl", "$ARGV[-1]:7: ERROR: no\\n$ARGV[-1]:8: WARNING: hm"),
    ] {
        world.write(&format!("source/scripts/{script}"), &format!("print \"{}\\n\";\n", said.replace('@', "\\@")));
    }
    let second = "0002-water-refuse-to-fill-a-sealed-tank.patch";
    let expected = format!(
        "A <a@example.org>\n\n{second}:7: ERROR: no\n{second}:8: WARNING: hm\ngit am: 2 mails applied\ncheckpatch: 1 error, 1 warning\nexit 1\n"
    );
    assert_eq!(world.said(&["series", "--try", "source"]), expected);
    assert_eq!(
        world.said(&["series", "--from", "me", "source"]),
        "iomap-kernel: me: an author is `NAME <ADDRESS>`\nexit 2\n"
    );
    world.write("series/cover.md", "Water\n");
    assert_eq!(
        world.said(&["series", "--cover", "source"]),
        "series/cover.md:1:1: the first line is `# SUBJECT`\nexit 1\n"
    );
}

/// The series of this project: every script parses, every clause exists, and every edit is the one that was tried in the
/// source of the lock.
#[test]
fn the_series_of_the_project_is_right() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_iomap-kernel"));
    let output = command.arg("check").output().expect("the command starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
