//! The command line: output, streams and exit codes.

mod tools;

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use tools::with_sampler;

/// The command with the sampler as the only page.
fn run(arguments: &[&str]) -> Output {
    let directory = with_sampler();
    in_directory(&directory, arguments).output().expect("the command can be run")
}

fn in_directory(directory: &TempDir, arguments: &[&str]) -> Command {
    let mut command = command(arguments);
    command.current_dir(directory.path()).env("MANPATH", tools::manual(directory.path()));
    command
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    // The width of --help must not depend on the terminal of the tests.
    command.args(arguments).stdin(Stdio::null()).env_remove("COLUMNS").env_remove("IOMAP_SPEC_URL");
    command.env("IOMAP_SPEC_PAGES", "man").env("XDG_CONFIG_HOME", "/nonexistent");
    command
}

fn transcript(arguments: &[&str]) -> String {
    let line = format!("iomap-spec {}", arguments.join(" "));
    iomap_testing::transcript(&line, &mut in_directory(&with_sampler(), arguments))
}

#[test]
fn help() {
    let commands = [
        "check",
        "man",
        "clauses",
        "show",
        "cite",
        "confirm",
        "diff",
        "impact",
        "lsp",
        "review",
        "book",
        "completions",
    ];
    let all: String = commands.map(|command| transcript(&[command, "--help"])).concat();
    insta::assert_snapshot!(transcript(&["--help"]) + &all);
}

/// The specification has the version of its pages, the command that of its package.
#[test]
fn both_versions() {
    let Ok(page) = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/iomap_immutable.7.md")) else {
        return eprintln!("not tested, ../man is missing");
    };
    let of_pages = page.lines().find_map(|line| line.strip_prefix("version: ")).unwrap();
    let expected = format!("iomap-spec {}\nspecification {of_pages}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(String::from_utf8_lossy(&run(&["--version"]).stdout), expected);
}

#[test]
fn the_page_says_what_help_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../man/iomap-spec.1.md");
    let Ok(page) = fs::read_to_string(&page) else {
        return eprintln!("not tested, {} is missing", page.display());
    };
    let help = |arguments: &[&str]| String::from_utf8_lossy(&run(arguments).stdout).into_owned();
    assert_eq!(iomap_testing::help::differences("iomap-spec", &page, help), Default::default());
}

#[test]
fn clauses() {
    insta::assert_snapshot!(transcript(&["clauses"]) + &transcript(&["clauses", "--format", "json"]));
}

#[test]
fn show_and_cite() {
    const URL: &str = "https://example.org/book/";
    let commands: [&[&str]; 11] = [
        &["show", "sample.write", "sample.read"],
        &["cite", "sample.write", "sample.read"],
        &["cite", "--one-line", "sample.write", "sample.read"],
        &["cite", "--markdown", "sample.write", "sample.read"],
        &["cite", "--url", URL, "sample.write", "sample.read"],
        &["cite", "--url", URL, "--markdown", "sample.write"],
        &["cite", "--url", URL, "--trailer", "sample.write", "sample.read"],
        &["cite", "--trailer", "sample.write"],
        &["cite", "--url", "example.org/#", "sample.write"],
        &["show", "sample.wrote", "sample.read"],
        &["cite", "nothing.like.it"],
    ];
    insta::assert_snapshot!(commands.map(transcript).concat());
}

/// The address of the book can stand in the configuration file, whose mistakes have a place.
#[test]
fn the_address_is_configured() {
    let directory = with_sampler();
    let file = directory.path().join("iomap/config.toml");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let cite = |text: &str, arguments: &[&str]| {
        fs::write(&file, text).unwrap();
        let mut command = in_directory(&directory, &[&["cite"], arguments, &["sample.write"]].concat());
        let output = command.env("XDG_CONFIG_HOME", directory.path()).output().unwrap();
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.code(), said.replace(&*directory.path().to_string_lossy(), "HOME"))
    };
    let (code, cited) = cite("url = 'https://example.org/'", &["--trailer"]);
    assert!(code == Some(0) && cited.starts_with("Link: https://example.org/"), "{cited}");
    let (code, cited) = cite("url = 'wrong'", &["--trailer", "--url", "https://example.com/"]);
    assert!(code == Some(0) && cited.starts_with("Link: https://example.com/"), "{cited}");
    let place = "iomap-spec: HOME/iomap/config.toml:2:7: give the address of the book's directory: ";
    let (code, said) = cite("\nurl = 'wrong'", &[]);
    assert!(code == Some(2) && said.starts_with(place), "{said}");
    let (code, said) = cite("adress = 'https://example.org/'", &[]);
    assert!(
        code == Some(2) && said.contains("config.toml:1:1: unknown field `adress`, expected one of `url`"),
        "{said}"
    );
}

#[test]
fn check() {
    let commands: [&[&str]; 5] = [
        &["check"],
        &["check", "--format", "json"],
        &["check", "man/sampler.7.md"],
        &["check", "--explain", "inner-word"],
        &["check", "--explain", "nothing-like-it"],
    ];
    insta::assert_snapshot!(commands.map(transcript).concat());
}

/// Without an installed manual, the existence of a page is unknown.
#[test]
fn without_a_manual() {
    let directory = with_sampler();
    let output = command(&["check"]).current_dir(directory.path()).env("MANPATH", "nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stderr));
}

#[test]
fn trouble() {
    let commands: [&[&str]; 7] = [
        &["check", "--pages", "nowhere"],
        &["clauses", "--pages", "nowhere"],
        &["check", "nowhere.md"],
        &["clauses", "--output", "nowhere/file"],
        &["man", "nothing"],
        &["show"],
        &["frobnicate"],
    ];
    insta::assert_snapshot!(commands.map(transcript).concat());
}

#[test]
fn findings_keep_the_other_commands_from_working() {
    let directory = with_sampler();
    let page = directory.path().join("man/sampler.7.md");
    fs::write(&page, fs::read_to_string(&page).unwrap() + "\n[no.such]\n").unwrap();
    let output = command(&["man"]).current_dir(directory.path()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    assert!(String::from_utf8_lossy(&output.stderr).contains("error[undefined-reference]"));
}

#[test]
fn man_writes_one_file_for_each_page() {
    let directory = with_sampler();
    for (format, name) in [("roff", "sampler-page.7"), ("text", "sampler-page.7.txt")] {
        let arguments = ["man", "--out", "deep/er", "--format", format];
        let output = command(&arguments).current_dir(directory.path()).output().unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("deep/er/{name}\n"));
        let printed = run(&["man", "--format", format, "sampler-page"]).stdout;
        assert_eq!(fs::read(directory.path().join("deep/er").join(name)).unwrap(), printed);
    }
}

/// Pages where man(1) looks for them: a directory for each section, and a link for each other name.
#[test]
fn man_writes_sections_with_links() {
    let directory = with_sampler();
    let page = "# two(3) -- x\n\n# NAME\n\ntwo, three, a/b - numbers\n";
    fs::write(directory.path().join("two.3x.md"), page).unwrap();
    let arguments = ["man", "--out", "out", "--sections", "two.3x.md", "sampler-page"];
    let output = command(&arguments).current_dir(directory.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |name: &str| fs::read_to_string(directory.path().join("out").join(name)).unwrap();
    assert!(text("man7/sampler-page.7").contains(".TH"));
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let link = told.lines().find(|line| line.contains("three")).unwrap_or_else(|| panic!("{told}"));
    assert!(text(link.strip_prefix("out/").unwrap()).starts_with(".so man3/two."), "{told}");
    assert!(!told.contains("a/b"), "{told}");
}

#[test]
fn output_goes_to_a_file_or_to_standard_output() {
    let directory = with_sampler();
    let arguments = ["clauses", "--format", "json", "--output", "clauses.json"];
    let output = command(&arguments).current_dir(directory.path()).output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
    let written = fs::read(directory.path().join("clauses.json")).unwrap();
    assert_eq!(written, run(&["clauses", "--format", "json"]).stdout);
    let document: serde_json::Value = serde_json::from_slice(&written).unwrap();
    assert_eq!(document["clauses"].as_array().unwrap().len(), 3);
}

/// `iomap-spec man | head` ends without a message, like cat(1).
#[test]
fn output_that_is_gone_or_full() {
    let directory = with_sampler();
    let command = |arguments: &[&str]| in_directory(&directory, arguments);
    let lines: [(&[&str], bool); 7] = [
        (&["--help"], false),
        (&["check"], false),
        (&["man"], false),
        (&["clauses"], true),
        (&["show", "sample.write"], false),
        (&["cite", "sample.write"], false),
        (&["diff", "man", "man"], true),
    ];
    for (line, takes_output) in lines {
        assert_eq!(iomap_testing::output::faults(command, line, takes_output), [""; 0]);
    }
}
