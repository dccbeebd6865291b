//! What the command prints, and how it ends.

#[path = "../../spec/tests/tools/help.rs"]
mod help;

use std::path::Path;
use std::process::{Command, Output};

fn conformance(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_iomap-conformance")).args(arguments).output().expect("the command starts")
}

/// Standard output, with what differs from machine to machine replaced.
fn text(output: &Output) -> String {
    let release = iomap_conformance::kernel_release();
    String::from_utf8_lossy(&output.stdout).replace(&release, "RELEASE").replace(iomap_clauses::SPEC_DIGEST, "DIGEST")
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_arguments_the_suite_runs_on_the_reference() {
    let output = conformance(&[]);
    insta::assert_snapshot!("human", text(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn ktap() {
    let output = conformance(&["--format", "ktap"]);
    insta::assert_snapshot!("ktap", text(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn json() {
    let output = conformance(&["--format", "json", "truncate::"]);
    let mut document: serde_json::Value = serde_json::from_str(&text(&output)).expect("JSON");
    let clauses = document["clauses"].as_array_mut().expect("clauses");
    assert_eq!(clauses.len(), iomap_clauses::ALL.len());
    clauses.retain(|clause| clause["id"].as_str().is_some_and(|id| id.starts_with("truncate.")));
    for case in clauses.iter_mut().flat_map(|clause| clause["cases"].as_array_mut().expect("cases")) {
        assert!(case["duration_ms"].is_f64());
        case["duration_ms"] = 0.into();
    }
    insta::assert_snapshot!("json", serde_json::to_string_pretty(&document).expect("JSON"));
}

#[test]
fn libtest_flags() {
    insta::assert_snapshot!("list", text(&conformance(&["--list", "--skip", "keep", "alloc"])));
    insta::assert_snapshot!(
        "list_json",
        text(&conformance(&["--list", "--format", "json", "--exact", "truncate::shrink"]))
    );
    let one = conformance(&["--exact", "truncate::shrink", "-j", "1", "--nocapture"]);
    let untested = iomap_clauses::ALL.len() - 1;
    let ending = format!("1 cases: 1 holds, {untested} untested\nconforms\n");
    assert!(text(&one).ends_with(&ending), "{}", text(&one));
}

#[test]
fn help() {
    insta::assert_snapshot!("help", text(&conformance(&["--help"])));
    insta::assert_snapshot!("help_matrix", text(&conformance(&["matrix", "--help"])));
    insta::assert_snapshot!("help_audit", text(&conformance(&["audit", "--help"])));
}

#[test]
fn the_page_says_what_help_says() {
    let page = include_str!("../../man/iomap-conformance.1.md");
    let differences = help::differences("iomap-conformance", page, |arguments| text(&conformance(arguments)));
    assert_eq!(differences, Default::default());
}

#[test]
fn the_audit_says_which_case_notices() {
    let output = conformance(&["audit"]);
    insta::assert_snapshot!("audit", text(&output));
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_failure_says_what_was_observed() {
    let output = conformance(&["--violation", "truncate.shrink/late", "truncate"]);
    insta::assert_snapshot!("failure", text(&output));
    assert_eq!(output.status.code(), Some(1));
    let ktap = conformance(&["--violation", "write.crossing/errno", "--format", "ktap", "write::crossing"]);
    insta::assert_snapshot!("failure_ktap", text(&ktap));
    assert_eq!(ktap.status.code(), Some(1));
    let unknown = conformance(&["--violation", "truncate.shrink/sideways"]);
    insta::assert_snapshot!("bad_violation", error(&unknown));
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn bad_arguments_list_the_good_ones() {
    for (name, arguments) in [
        ("bad_target", ["--target", "moon"]),
        ("bad_fs", ["--fs", "fat"]),
        ("bad_mechanism", ["--mechanism", "glue"]),
        ("mechanism_of_reference", ["--mechanism", "swapfile"]),
    ] {
        let output = conformance(&arguments);
        insta::assert_snapshot!(name, error(&output));
        assert_eq!(output.status.code(), Some(2));
    }
}

/// The documents of two hosts, made by hand around a real one.
fn documents(directory: &Path) -> Vec<String> {
    let real = String::from_utf8(conformance(&["--format", "json"]).stdout).expect("UTF-8");
    let release = iomap_conformance::kernel_release();
    let write = |name: &str, text: &str| {
        let path = directory.join(name).display().to_string();
        std::fs::write(&path, text).expect("a file in a directory of our own");
        path
    };
    let violated = real.replacen("\"verdict\": \"holds\"", "\"verdict\": \"violated\"", 1);
    let lacking =
        real.replacen("\"clauses\":", "\"not_offered\": \"fallocate(2) answers EOPNOTSUPP\", \"clauses\":", 1);
    let on = |text: &str, fs: &str, mechanism: &str| {
        text.replace("\"fs\": \"model\"", &format!("\"fs\": \"{fs}\""))
            .replace("\"mechanism\": \"seal\"", &format!("\"mechanism\": \"{mechanism}\""))
            .replace(&release, "6.99")
    };
    vec![
        write("a.json", &on(&real, "xfs", "swapfile")),
        write("b.json", &on(&violated, "ext4", "swapfile")),
        write("c.json", &on(&lacking, "xfs", "seal")),
        write("d.json", &on(&lacking, "ext4", "seal")),
    ]
}

#[test]
fn matrix_of_files() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let files = documents(directory.path());
    let mut arguments = vec!["matrix"];
    arguments.extend(files.iter().map(String::as_str));
    insta::assert_snapshot!("matrix", text(&conformance(&arguments)));
    arguments.extend(["--format", "markdown"]);
    insta::assert_snapshot!("matrix_markdown", text(&conformance(&arguments)));
}

#[test]
fn results_of_another_schema_are_refused_by_name() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, contents) in
        [("other_schema", r#"{"schema": 7}"#), ("no_results", r#"{"schema": 1}"#), ("no_json", "results\n")]
    {
        let path = directory.path().join("results.json");
        std::fs::write(&path, contents).expect("a file in a directory of our own");
        let output = conformance(&["matrix", &path.display().to_string()]);
        insta::assert_snapshot!(name, error(&output).replace(&directory.path().display().to_string(), "DIR"));
        assert_eq!(output.status.code(), Some(2));
    }
    let missing = conformance(&["matrix", "/nonexistent/results.json"]);
    assert_eq!(missing.status.code(), Some(3));
    assert_eq!(
        error(&missing),
        "iomap-conformance: /nonexistent/results.json: No such file or directory (os error 2)\n"
    );
}

#[test]
fn results_go_to_a_file() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("results.ktap");
    let output = conformance(&["--format", "ktap", "--output", &path.display().to_string()]);
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(std::fs::read_to_string(&path).expect("the file").starts_with("KTAP version 1\n"));
}

#[test]
fn a_closed_pipe_is_no_failure() {
    let program = env!("CARGO_BIN_EXE_iomap-conformance");
    let script = format!("{program} --format json | head -c 10 >/dev/null; exit ${{PIPESTATUS[0]}}");
    let status = Command::new("bash").args(["-c", &script]).status().expect("bash starts");
    assert_eq!(status.code(), Some(0));
}
