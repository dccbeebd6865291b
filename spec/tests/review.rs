//! `iomap-spec review`: its output for patches in the style of kernel patches, with the table and the pages of the
//! repository.

mod tools;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Whether this is a repository with the pages; a package has none.
fn is_repository() -> bool {
    let is_there = root().join("man").is_dir();
    if !is_there {
        eprintln!("not tested, ../man is missing");
    }
    is_there
}

/// The command, run in the directory of the patches so that their names are short.
fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    let patches = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patches");
    command.arg("review").args(arguments).arg("--pages").arg(root().join("man")).current_dir(patches);
    command.stdin(Stdio::null());
    command
}

fn review(arguments: &[&str]) -> Output {
    command(arguments).output().expect("the command can be run")
}

fn transcript(arguments: &[&str]) -> String {
    iomap_testing::transcript(&format!("iomap-spec review {}", arguments.join(" ")), &mut command(arguments))
}

/// The output of the command for this standard input.
fn piped(input: &[u8], arguments: &[&str]) -> Output {
    let mut child = command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the command can be run");
    let mut stdin = child.stdin.take().expect("the test can be set up");
    stdin.write_all(input).expect("the test can be set up");
    drop(stdin);
    child.wait_with_output().expect("the command can be run")
}

#[test]
fn replies() {
    if !is_repository() {
        return;
    }
    let patches = [
        "fallocate.patch",
        "remap.diff",
        "exchange.eml",
        "series.mbox",
        "new-file.patch",
        "documentation.patch",
        "damaged.patch",
    ];
    insta::assert_snapshot!(patches.map(|patch| transcript(&[patch])).concat());
}

#[test]
fn every_sentence() {
    if is_repository() {
        insta::assert_snapshot!(transcript(&["--full", "fallocate.patch"]));
    }
}

#[test]
fn for_programs() {
    if is_repository() {
        insta::assert_snapshot!(transcript(&["--format", "json", "series.mbox"]));
    }
}

/// The array that b4 takes: a warning for the change itself, a failure for damage, and no failure for a cover letter.
/// `make b4-check` gives it to b4.
#[test]
fn for_b4() {
    if !is_repository() {
        return;
    }
    let patches = ["fallocate.patch", "documentation.patch", "damaged.patch"];
    let arguments = ["--format", "b4", "--url", "https://example.org/book/"];
    let all = patches.map(|patch| transcript(&[&arguments[..], &[patch]].concat())).concat();
    let cover = piped(b"From me\nSubject: [PATCH 0/2] s\n\nNo patch here.\n", &["--format", "b4"]);
    insta::assert_snapshot!(all + &String::from_utf8_lossy(&cover.stdout));
}

/// Where a clause stands in the new file: in SARIF, and as a test of the rules that the schema cannot say.
#[test]
fn for_code_scanning() {
    if !is_repository() {
        return;
    }
    insta::assert_snapshot!(transcript(&["--format", "sarif", "remap.diff"]));
    for patch in ["fallocate.patch", "series.mbox", "exchange.eml", "new-file.patch", "documentation.patch"] {
        let output = review(&["--format", "sarif", "--url", "https://example.org/", patch]);
        let log: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let run = &log["runs"][0];
        let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
        for result in run["results"].as_array().unwrap() {
            let rule = &rules[result["ruleIndex"].as_u64().unwrap() as usize];
            assert_eq!(rule["id"], result["ruleId"], "{patch}");
            assert!(rule["helpUri"].as_str().unwrap().contains(".html?"), "{patch}");
            // SARIF 2.1.0, 3.27.10: only a failure has a level.
            assert_eq!(result["kind"] == "fail", result["level"] != "none", "{patch}");
            assert!(result["locations"][0]["physicalLocation"]["region"]["startLine"].as_u64() > Some(0), "{patch}");
        }
    }
}

/// The line of each name in the file after the patch, counted by hand.
#[test]
fn places_are_those_of_the_new_file() {
    if !is_repository() {
        return;
    }
    let patch = "--- a/fs/open.c\n+++ b/fs/open.c\n@@ -10,7 +20,6 @@ int vfs_fallocate(struct file *file)\n \ta;\n-\tb(1);\n \
                 \tc;\n+\treturn -ETXTBSY;\n \td;\n-\tIS_SWAPFILE(inode);\n \te;\n \tf;\n";
    let document: serde_json::Value =
        serde_json::from_slice(&piped(patch.as_bytes(), &["--format", "json"]).stdout).unwrap();
    let hits = document["patches"][0]["hunks"][0]["hits"].as_array().unwrap();
    let lines: Vec<(&str, u64)> =
        hits.iter().map(|hit| (hit["name"].as_str().unwrap(), hit["line"].as_u64().unwrap())).collect();
    // The removed line stood before line 24, which is `e;`.
    assert_eq!(lines, [("vfs_fallocate", 21), ("ETXTBSY", 22), ("IS_SWAPFILE", 24)]);
    // A file that is deleted has no lines any more.
    let deleted = "--- a/fs/open.c\n+++ /dev/null\n@@ -1,2 +0,0 @@\n-int vfs_fallocate(struct file *file)\n-{\n";
    let reply = String::from_utf8_lossy(&piped(deleted.as_bytes(), &[]).stdout).into_owned();
    assert!(reply.contains("\nvfs_fallocate, changed ("), "{reply}");
}

#[test]
fn standard_input_and_output() {
    if !is_repository() {
        return;
    }
    let expected = review(&["fallocate.patch"]).stdout;
    assert!(!expected.is_empty());
    let patch = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/patches/fallocate.patch")).unwrap();
    assert_eq!(piped(&patch, &[]).stdout, expected);
    assert_eq!(piped(&patch, &["-"]).stdout, expected);
    let text = String::from_utf8(patch).unwrap();
    assert_eq!(piped(text.replace('\n', "\r\n").as_bytes(), &[]).stdout, expected);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("reply");
    let output = review(&["fallocate.patch", "--output", file.to_str().unwrap()]);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    assert_eq!(fs::read(file).unwrap(), expected);
}

#[test]
fn trouble() {
    if !is_repository() {
        return;
    }
    let none = piped(b"From me\nSubject: s\n\nNo patch today.\n", &[]);
    assert_eq!((none.status.code(), none.stdout.len()), (Some(1), 0));
    let all = [&["nowhere.patch"][..], &["--kernel", "."], &["--kernel", ".", "remap.diff"], &["--table", "nowhere"]];
    insta::assert_snapshot!(String::from_utf8_lossy(&none.stderr).into_owned() + &all.map(transcript).concat());
}

#[test]
fn another_table() {
    if !is_repository() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("table.toml");
    let table = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("entry-points.toml")).unwrap();
    let row = "\n[function]\nexample_fallocate = { clauses = \"copy.*\", why = \"an example\" }\n";
    fs::write(&file, table.replace("\n[function]\n", row)).unwrap();
    let reply = review(&["new-file.patch", "--table", file.to_str().unwrap()]);
    let reply = String::from_utf8_lossy(&reply.stdout).into_owned();
    assert!(reply.contains(": example_fallocate, changed (an example):\n"), "{reply}");
    fs::write(&file, table.replace("\n[function]\n", &row.replace("copy.*", "copy.unseald"))).unwrap();
    let refused = review(&["new-file.patch", "--table", file.to_str().unwrap()]);
    assert_eq!((refused.status.code(), refused.stdout.len()), (Some(1), 0));
    let message = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(message.contains("no clause has the id `copy.unseald`") && message.contains("copy.unsealed"), "{message}");
}

/// A tree with some of the names of a small table, in the forms that a kernel uses.
#[test]
fn kernel_trees() {
    if !is_repository() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let file = directory.path().join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    };
    file("tree/Makefile", "# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\n");
    file(
        "tree/fs/a.c",
        "int one(int x);\nint one(int x)\n{\n\treturn two(x);\n}\n\nSYSCALL_DEFINE1(call, int, x)\n{\n}\nint\nxfs_style(\n\tint x)\n{\n\trefuses(passes(asks(x)));\n}\nint refuses(int x)\n{\n\treturn -EINVAL;\n}\nint passes(int x)\n{\n\treturn -EPERM;\n}\nint asks(int x)\n{\n\treturn x;\n}\n",
    );
    file("tree/mm/b.c", "static int moved(void)\n{\n}\n\nint declared(void);\n");
    file("tree/include/c.h", "#define FLAG\t1\nenum {\n\tENUMERATED = 1,\n};\n#define macro(x) (x)\n\tMENTIONED(1);\n");
    let rows = [
        "[function]",
        "declared = { clauses = \"name.*\", why = \"x\" }",
        "macro = { clauses = \"name.*\", why = \"x\" }",
        "moved = { in = \"fs/*.c\", clauses = \"name.*\", why = \"x\" }",
        "new_name = { in = \"fs/a.c\", also = \"one\", clauses = \"name.*\", why = \"x\" }",
        "nowhere = { clauses = \"name.*\", why = \"x\" }",
        "one = { in = \"fs/a.c\", clauses = \"name.*\", why = \"x\" }",
        "recent = { clauses = \"name.*\", why = \"x\", since = \"6.13\" }",
        "removed = { clauses = \"name.*\", why = \"x\", until = \"6.9\" }",
        "two = { clauses = \"name.*\", why = \"x\" }",
        "xfs_style = { in = \"fs/a.c\", clauses = \"name.*\", why = \"x\" }",
        "[syscall]",
        "call = { in = \"fs/a.c\", clauses = \"name.*\", why = \"x\" }",
        "one = { in = \"fs/a.c\", clauses = \"name.*\", why = \"x\" }",
        "[flag]",
        "ENUMERATED = { clauses = \"name.*\", why = \"x\" }",
        "FLAG = { clauses = \"name.*\", why = \"x\" }",
        "MENTIONED = { clauses = \"name.*\", why = \"x\" }",
        "[file]",
        "\"fs/*.c\" = { clauses = \"name.*\", why = \"x\" }",
        "\"fs/b.c\" = { clauses = \"name.*\", why = \"x\" }",
        "[passed]",
        "\"fs/a.c\" = \"passes\"",
        "[unreached]",
    ];
    // The other families have no entry in this table.
    let pages = fs::read_dir(root().join("man")).unwrap().map(|entry| entry.unwrap().path());
    let pages = pages.filter(|path| path.extension().is_some_and(|it| it == "md"));
    let text: String = pages.map(|path| fs::read_to_string(path).unwrap()).collect();
    let ids = text.lines().filter_map(|line| line.strip_prefix("r[")?.split([' ', ']']).next());
    let mut families: Vec<&str> =
        ids.filter_map(|id| id.split('.').next()).filter(|family| *family != "name").collect();
    families.sort_unstable();
    families.dedup();
    let unreached: String = families.iter().map(|family| format!("{family} = \"x\"\n")).collect();
    file("table.toml", &(rows.join("\n") + "\n" + &unreached));
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    command.args(["review", "--table", "table.toml", "--kernel", "tree", "--pages"]).arg(root().join("man"));
    let output = command.current_dir(directory.path()).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(1));
    let plain = String::from_utf8_lossy(&output.stdout).into_owned();
    insta::assert_snapshot!(plain);
    // The functions that `xfs_style` calls in the same file, that can refuse something, and that are neither in the
    // table nor passed.
    let output = command.arg("--callees").output().unwrap();
    let callees = "table.toml: fs/a.c calls and the table lacks: refuses\n";
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!((output.status.code(), text.contains(callees)), (Some(1), true), "{text}");
    assert_eq!(text.lines().count(), plain.lines().count() + 1);
}
