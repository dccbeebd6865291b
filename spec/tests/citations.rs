//! Citations: the check of citations in a mail, and the record of the clause texts for which places were written.

mod tools;

use std::fs;
use std::path::Path;
use std::process::Command;
use tools::with_sampler;

fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    command.args(arguments).env("MANPATH", tools::manual(directory)).env_remove("IOMAP_SPEC_URL");
    command.env("IOMAP_SPEC_PAGES", "man");
    command.current_dir(directory);
    command
}

fn run(directory: &Path, arguments: &[&str]) -> String {
    iomap_testing::transcript(&format!("iomap-spec {}", arguments.join(" ")), &mut command(directory, arguments))
}

/// The standard output of a command that succeeds.
fn printed(directory: &Path, arguments: &[&str]) -> String {
    let output = command(directory, arguments).output().expect("the command can be run");
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Every citation that `cite` prints passes `cite --check`, filled and quoted as in mail.
#[test]
fn citations_that_cite_prints_pass_the_check() {
    let directory = with_sampler();
    let url = ["--url", "https://example.org/book"];
    let forms: [(&[&str], usize); 4] = [(&[], 2), (&["--one-line"], 1), (&["--markdown"], 2), (&["--trailer"], 1)];
    for (form, citations) in forms {
        let ids = ["sample.write", "sample.read"];
        let cited = printed(directory.path(), &[&["cite"], &url[..], form, &ids[..]].concat());
        let cited: Vec<&str> = cited.lines().collect();
        let quoted = cited.iter().map(|line| format!("> > {line}\n")).collect::<String>();
        let added = cited.iter().map(|line| format!("+{line}\n")).collect::<String>();
        let narrow = cited.join("\n").replace(" (0.1", "\n(0.1").replace("work.\n", "\n    work.\n");
        for mail in [cited.join("\n"), quoted, added, narrow] {
            fs::write(directory.path().join("mail"), &mail).unwrap();
            let all = citations * ids.len();
            let expected = format!("{all} citations: no findings\n");
            assert_eq!(printed(directory.path(), &["cite", "--check", "mail"]), expected, "{mail}");
        }
    }
}

const MAIL: &str = "\
From: A Reader <reader@example.org>
Subject: Re: [PATCH] fs: somewhat

> I think sampler-page(7) sample.read
> (0.1, 9bf71c59) is right, but sampler-page(7) sample.red (0.1, 9bf71c59)
> is not, and sampler-page(2) sample.read (0.1, 12345678) is old.

sample.read  (should)                   sampler-page(7) 0.1  9bf71c59

    Reading should [...]

sample.read  (must)                     sampler-page(7) 0.1  9bf71c59

    Reading should probably work.

sample.read  (must)                     sampler-page(7) 0.0  0badcafe

    Reading must work.

sample.read  (should)                   sampler-page(7) 0.1  49276478

    Reading should work.

sample.read  (should)                   sampler-page(7) 0.1  9bf71c59

This is an answer, not a quotation.

> Reading *should* sometimes work.
>
> — [sampler-page(7) sample.read (0.1, 9bf71c59)](https://example.org/sampler-page.7.html?9bf71c59#sample.read)

Link: https://example.org/other.7.html?9bf71c59#sample.read # sample.read
Link: https://example.org/sampler-page.7.html?9bf71c5#sample.read # sample.read
";

#[test]
fn check_a_mail() {
    let directory = with_sampler();
    fs::write(directory.path().join("mail"), MAIL).unwrap();
    fs::write(directory.path().join("none"), "No citation, but sample.read.\n").unwrap();
    fs::write(directory.path().join("bytes"), b"\xff\xfe sampler-page(7) sample.red (0.1, 9bf71c59)\n").unwrap();
    let encoded = "From: A <a@example.org>\nContent-Transfer-Encoding: quoted-printable\n\n\
                   See sampler-page(7) sample.re=\nad (0.1,=20\n9bf71c59) and sampler-page(7) sample=2Ered (0.1, 9bf71c59)\n";
    fs::write(directory.path().join("encoded"), encoded).unwrap();
    let moved = "[[moved]]\nold = \"sample.old\"\nnew = \"sample.read\"\nsince = \"0.1\"\n\n\
                 [[moved]]\nold = \"sample.gone\"\nreason = \"nobody could test it\"\nsince = \"0.1\"\n";
    fs::write(directory.path().join("man/moved.toml"), moved).unwrap();
    let commands: [&[&str]; 11] = [
        &["show", "sample.old", "sample.read"],
        &["cite", "sample.gone"],
        &["cite", "--check", "mail"],
        &["cite", "--check", "encoded"],
        &["cite", "--check", "mail", "--format", "json"],
        &["cite", "--check", "mail", "--format", "github"],
        &["cite", "--check", "none"],
        &["cite", "--check", "bytes"],
        &["cite", "--check", "nowhere"],
        &["cite", "--check", "mail", "sample.read"],
        &["cite"],
    ];
    insta::assert_snapshot!(commands.map(|command| run(directory.path(), command) + "\n").concat());
}

/// A citation is stale from the change of its clause until a person confirms it.
#[test]
fn stale_until_confirmed() {
    let directory = with_sampler();
    let at = |name: &str| directory.path().join(name);
    fs::create_dir_all(at("src/deep")).unwrap();
    fs::write(at("src/case.rs"), "fn a() {}\ncase(&SAMPLE_READ, SAMPLE_READ); // not SAMPLE_READS\n").unwrap();
    fs::write(at("src/deep/why.md"), "Because of `sample.write`, see sample.read.\n").unwrap();
    fs::write(at("src/deep/ignored.txt"), "sample.write\n").unwrap();
    let mut report = run(directory.path(), &["confirm"]);
    let mut step = |what: &str, commands: &[&[&str]]| {
        report += &format!("==== {what}\n");
        commands.iter().for_each(|command| report += &run(directory.path(), command));
        report += &fs::read_to_string(at("man/confirmed.toml")).unwrap_or_default();
    };
    fs::write(at("man/confirmed.toml"), "places = [\"src\", \"man\"]\n").unwrap();
    step("new citations", &[&["check"], &["confirm"], &["check"]]);
    let page = fs::read_to_string(at("man/sampler.7.md")).unwrap();
    fs::write(at("man/sampler.7.md"), page.replace("\nReading\n", "\nReading simply\n")).unwrap();
    step("a new wording", &[&["check"], &["check", "--format", "github"]]);
    fs::remove_file(at("src/deep/why.md")).unwrap();
    fs::write(at("src/new.rs"), "SAMPLE_WRITE\n").unwrap();
    step("only what is new", &[&["confirm"], &["check"]]);
    step(
        "what was read",
        &[&["confirm", "sample.red"], &["confirm", "sample.read"], &["check"], &["confirm", "--all"]],
    );
    fs::write(at("man/confirmed.toml"), "places = [\"src\", \"gone\"]\n").unwrap();
    step("a place that is missing", &[&["check"], &["confirm"]]);
    fs::write(at("man/confirmed.toml"), "places = \"src\"\n").unwrap();
    step("no list of places", &[&["check"], &["confirm"]]);
    insta::assert_snapshot!(report);
}

/// The book's chapters cite clauses correctly.
#[test]
fn own_citations_are_right() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let Ok(chapters) = fs::read_dir(top.join("book/src")) else {
        return eprintln!("not tested, {} is missing", top.join("book").display());
    };
    // The test must not write into the checkout.
    let elsewhere = tempfile::tempdir().unwrap();
    let pages = top.join("man");
    let mut citations = 0;
    for chapter in chapters.map(|entry| entry.unwrap().path()).filter(|path| path.extension() == Some("md".as_ref())) {
        citations += usize::from(
            printed(
                elsewhere.path(),
                &["--pages", pages.to_str().unwrap(), "cite", "--check", chapter.to_str().unwrap()],
            ) != "no citations\n",
        );
    }
    assert!(citations > 0);
}

/// Hashes of the former scheme, which left the outcomes out, are replaced unless the text has changed.
#[test]
fn former_hashes_are_replaced() {
    let directory = with_sampler();
    let record = directory.path().join("man/confirmed.toml");
    fs::write(directory.path().join("case.md"), "See sample.read, sample.write and sample.may_fail.\n").unwrap();
    let former = "places = [\"case.md\"]\n\n[wording.\"case.md\"]\n\
                  \"sample.read\" = \"49276478\"\n\"sample.write\" = \"12345678\"\n\"sample.may_fail\" = \"f5274769\"\n";
    fs::write(&record, former).unwrap();
    let mut report = [&["check"][..], &["confirm"], &["check"]].map(|command| run(directory.path(), command)).concat();
    report += &fs::read_to_string(&record).unwrap();
    // A later change of the outcomes alone makes citations stale.
    let page = directory.path().join("man/sampler.7.md");
    let changed = fs::read_to_string(&page).unwrap().replace("observe=call,storage", "observe=call,data");
    fs::write(&page, changed).unwrap();
    report += &[&["confirm", "sample.write"][..], &["check"]].map(|command| run(directory.path(), command)).concat();
    let changed = fs::read_to_string(&page).unwrap().replace("observe=call,data", "observe=call");
    fs::write(&page, changed).unwrap();
    report += &run(directory.path(), &["check"]);
    insta::assert_snapshot!(report);
}

/// Every finding that the tests provoke has an explanation, and every explanation belongs to such a finding.
#[test]
fn every_finding_is_explained() {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots");
    let mut provoked: Vec<String> = vec![];
    for entry in fs::read_dir(snapshots).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let codes = text.split("error[").skip(1).filter_map(|rest| rest.split_once(']'));
        provoked.extend(codes.map(|(code, _)| code.to_owned()));
    }
    provoked.sort();
    provoked.dedup();
    let explained: Vec<&str> = iomap_spec::explain::CODES.iter().map(|(code, _)| *code).collect();
    assert_eq!(provoked, explained);
    for (code, text) in iomap_spec::explain::CODES {
        let shown = iomap_spec::text::paragraphs(text);
        assert!(shown.lines().all(|line| line.chars().count() <= 72), "{code}: {shown}");
    }
}
