//! `iomap-spec diff`: two states of a small specification, in directories, files and git revisions.

mod tools;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn page(title: &str, version: &str, sections: &str) -> String {
    format!(
        "---\ntitle: {title}\nsection: 7\ndate: 2026-01-31\nversion: {version}\n---\n\n# NAME\n\n{title} - a page\n\n{sections}"
    )
}

fn clause(id: &str, attributes: &str, text: &str) -> String {
    format!("r[{id} {attributes} why=\"x\"]\n{text}\n\n")
}

/// The sections of the first page, the second page, and `moved.toml`, in the old and in the new state.
fn states() -> [(String, String, &'static str); 2] {
    let old = [
        "# DESCRIPTION\n\n".to_owned(),
        clause("a.same", "level=must result=ok", "It must stay."),
        clause("a.level", "level=should result=ok", "It should be strict."),
        clause("a.errno", "level=must errno=EPERM,EIO observe=call", "It must fail\nwith **EPERM** or **EIO**."),
        clause("a.words", "level=must result=ok", "The big old file must stay where it is, and nowhere else on earth."),
        clause("a.section", "level=must result=ok", "It must move down."),
        clause("a.page", "level=must result=ok", "It must move away, with `FALLOC_FL_*` and [a.same]."),
        clause("a.name", "level=must result=ok", "It must get another name."),
        clause("a.both", "level=may errno=EIO", "It may fail."),
        clause("a.merged", "level=must result=ok", "It must go into another."),
        clause("a.dropped", "level=must result=ok", "It must be wrong."),
        clause("a.forgotten", "level=must result=ok", "It must be gone without a word."),
    ];
    let new = [
        "# DESCRIPTION\n\n".to_owned(),
        clause("a.same", "level=must result=ok", "It *must*\nstay."),
        clause("a.level", "level=must result=ok", "It must be strict."),
        clause("a.errno", "level=must errno=EPERM observe=call,data", "It must fail\nwith **EPERM** or **EIO**."),
        clause("a.words", "level=must result=ok", "The old file must stay there, and nowhere else on earth at all."),
        clause("a.renamed", "level=must result=ok", "It must get another name."),
        clause("a.added", "level=must result=ok", "It must be new."),
        "# NOTES\n\n".to_owned(),
        clause("a.section", "level=must result=ok", "It must move down."),
    ];
    let other = [
        "# DESCRIPTION\n\n".to_owned(),
        clause("b.page", "level=must result=ok", "It must be elsewhere."),
        clause("a.page", "level=must result=ok", "It must move away, with `FALLOC_FL_*` and [a.same]."),
        clause("b.both", "level=may errno=EIO,EPERM", "It may fail and be moved."),
    ];
    let moved = "[[moved]]\nold = \"a.name\"\nnew = \"a.between\"\nsince = \"0.2\"\n\n\
        [[moved]]\nold = \"a.between\"\nnew = \"a.renamed\"\nsince = \"0.2\"\n\n\
        [[moved]]\nold = \"a.both\"\nnew = \"b.both\"\nsince = \"0.2\"\n\n\
        [[moved]]\nold = \"a.merged\"\nnew = \"a.same\"\nsince = \"0.2\"\n\n\
        [[moved]]\nold = \"a.dropped\"\nreason = \"nobody could test it\"\nsince = \"0.2\"\n";
    let first = clause("b.page", "level=must result=ok", "It must be elsewhere.");
    [
        (old.concat(), page("b", "0.1", &format!("# DESCRIPTION\n\n{first}")), ""),
        (new.concat(), page("b", "0.2", &other.concat()), moved),
    ]
}

/// A directory with both states, `old` and `new`.
fn directories() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("the test can be set up");
    for ((name, version), (sections, other, moved)) in [("old", "0.1"), ("new", "0.2")].into_iter().zip(states()) {
        fill(&directory.path().join(name), version, &sections, &other, moved);
    }
    directory
}

fn fill(directory: &Path, version: &str, sections: &str, other: &str, moved: &str) {
    fs::create_dir_all(directory).expect("the test can be set up");
    fs::write(directory.join("a.7.md"), page("a", version, sections)).expect("the test can be set up");
    fs::write(directory.join("b.7.md"), other).expect("the test can be set up");
    fs::write(directory.join("moved.toml"), moved).expect("the test can be set up");
}

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    command.arg("diff").args(arguments).current_dir(directory);
    command
}

fn diff(directory: &Path, arguments: &[&str]) -> Output {
    command(directory, arguments).output().expect("the command can be run")
}

fn transcript(directory: &Path, arguments: &[&str]) -> String {
    iomap_testing::transcript(&format!("iomap-spec diff {}", arguments.join(" ")), &mut command(directory, arguments))
}

#[test]
fn for_people() {
    insta::assert_snapshot!(transcript(directories().path(), &["old", "new"]));
}

/// From the later state to the earlier one, renamed clauses are paired as well.
#[test]
fn backwards() {
    insta::assert_snapshot!(transcript(directories().path(), &["new", "old"]));
}

#[test]
fn for_documents() {
    insta::assert_snapshot!(transcript(directories().path(), &["old", "new", "--format", "markdown"]));
}

#[test]
fn for_programs() {
    let directory = directories();
    insta::assert_snapshot!(transcript(directory.path(), &["old", "new", "--format", "json"]));
    let arguments = ["old", "new", "--format", "json", "--output", "changes.json"];
    let output = diff(directory.path(), &arguments);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let written = fs::read_to_string(directory.path().join("changes.json")).unwrap();
    let document: serde_json::Value = serde_json::from_str(&written).unwrap();
    assert_eq!(document["changes"].as_array().unwrap().len(), 11);
}

/// A single page may refer to clauses of other pages, and only its own clauses are compared.
#[test]
fn single_pages() {
    let directory = directories();
    let all = [&["old/b.7.md", "new/b.7.md"][..], &["old/b.7.md", "old/b.7.md"], &["old/b.7.md", "old/a.7.md"]];
    insta::assert_snapshot!(all.map(|arguments| transcript(directory.path(), arguments)).concat());
}

#[test]
fn editions_with_the_same_clauses() {
    let directory = directories();
    // The other text, the reasons and the order differ; the clauses do not.
    let other = directory.path().join("other");
    let (sections, page, moved) = &states()[0];
    let (first, rest) = sections.split_once("r[a.level").unwrap();
    let (level, rest) = rest.split_once("r[").unwrap();
    let sections = format!("{first}Prose.\n\nr[{rest}r[a.level{}", level.replace("\"x\"", "\"other\""));
    fill(&other, "0.1", &sections, page, moved);
    let all = [&["old", "old"][..], &["old", "other"]];
    insta::assert_snapshot!(all.map(|arguments| transcript(directory.path(), arguments)).concat());
}

#[test]
fn trouble() {
    let directory = directories();
    let bad = directory.path().join("bad");
    fs::create_dir(&bad).unwrap();
    fs::write(bad.join("a.7.md"), page("a", "0.1", "# DESCRIPTION\n\nr[a.b level=shall result=ok]\nIt shall.\n"))
        .unwrap();
    fs::write(bad.join("moved.toml"), "[[moved]]\nold = 1\n").unwrap();
    fs::create_dir(directory.path().join("empty")).unwrap();
    let all = [&["old", "bad"][..], &["empty", "old"], &["old"], &["old", "new", "--output", "no/where"]];
    insta::assert_snapshot!(all.map(|arguments| transcript(directory.path(), arguments)).concat());
}

/// Runs git in the directory; `None`, with a note, if it is not installed.
fn git(directory: &Path, arguments: &[&str]) -> Option<()> {
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]);
    match git.args(arguments).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").output() {
        Ok(output) => {
            assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            Some(())
        }
        Err(error) => {
            iomap_testing::tools::not_tested(format_args!("git cannot be run: {error}"));
            None
        }
    }
}

/// A repository whose pages are in `spec/man`, tagged v0.1 and v0.2.
fn repository() -> Option<tempfile::TempDir> {
    let directory = tempfile::tempdir().expect("the test can be set up");
    git(directory.path(), &["init", "--quiet"])?;
    for (version, (sections, other, moved)) in ["0.1", "0.2"].into_iter().zip(states()) {
        fill(&directory.path().join("spec/man"), version, &sections, &other, moved);
        git(directory.path(), &["add", "--all"])?;
        git(directory.path(), &["commit", "--quiet", "--message", version])?;
        git(directory.path(), &["tag", &format!("v{version}")])?;
    }
    Some(directory)
}

#[test]
fn revisions() {
    let Some(directory) = repository() else { return };
    let from_directories = diff(directories().path(), &["old", "new"]);
    let body = |output: &Output| {
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.split_once("\n\n").map(|(_, body)| body.to_owned()).unwrap()
    };
    let pages = ["--pages", "spec/man"];
    let sides: [&[&str]; 6] = [
        &["v0.1", "v0.2"],
        &["HEAD~", "spec/man"],
        &["v0.1:spec/man", "v0.2:spec/man/"],
        &["v0.1", "HEAD"],
        &["v0.1..v0.2"],
        &["v0.1.."],
    ];
    for sides in sides {
        let output = diff(directory.path(), &[&pages[..], sides].concat());
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert_eq!(body(&output), body(&from_directories), "{sides:?}");
        assert_eq!(output.status.code(), Some(1));
    }
    let one_page = diff(directory.path(), &["--pages", "spec/man", "v0.1:spec/man/b.7.md", "spec/man/b.7.md"]);
    assert!(String::from_utf8_lossy(&one_page.stdout).contains("b.both  added"), "{one_page:?}");
    let same = diff(directory.path(), &["--pages", "spec/man", "v0.2", "spec/man"]);
    assert_eq!(same.status.code(), Some(0), "{same:?}");
    let transcripts = [
        &["--pages", "spec/man", "v0.3", "v0.2"][..],
        &["--pages", "spec/man", "--", "--help", "v0.2"],
        &["--pages", "spec/man", "v0.1:spec", "v0.2"],
        &["--pages", "spec/man", "v0.1:man", "v0.2"],
        &["--pages", "nowhere", "v0.1", "v0.2"],
        &["--pages", "spec/man", "v0.1"],
    ];
    insta::assert_snapshot!(transcripts.map(|arguments| transcript(directory.path(), arguments)).concat());
    // A finding in an old page names the revision.
    fs::write(directory.path().join("spec/man/b.7.md"), "no page\n").unwrap();
    git(directory.path(), &["commit", "--quiet", "--all", "--message", "bad"]).unwrap();
    let bad = diff(directory.path(), &["--pages", "spec/man", "v0.1", "HEAD"]);
    assert_eq!((bad.status.code(), bad.stdout.len()), (Some(3), 0));
    let message = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(message.starts_with("HEAD:spec/man/b.7.md:1:1: error[front-matter]"), "{message}");
}

#[test]
fn without_git() {
    let directory = directories();
    let output = command(directory.path(), &["--pages", "old", "HEAD", "new"]).env("PATH", "").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains("git is not installed"), "{message}");
}
