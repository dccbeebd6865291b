//! What the command prints, and that its page says the same.

#[path = "../../spec/tests/tools/help.rs"]
mod help;

use std::process::{Command, Output};

fn reference(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_iomap-reference")).args(arguments).output().expect("the command starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn lists() {
    insta::assert_snapshot!("rules", text(&reference(&["rules"])));
    insta::assert_snapshot!("rules_json", text(&reference(&["rules", "truncate", "--format", "json"])));
    insta::assert_snapshot!("violations", text(&reference(&["violations", "truncate"])));
    insta::assert_snapshot!("help", text(&reference(&["--help"])));
}

#[test]
fn exit_codes() {
    assert_eq!(reference(&["rules", "--output", "/nonexistent/rules"]).status.code(), Some(3));
    assert_eq!(reference(&["walls"]).status.code(), Some(2));
}

#[test]
fn the_page_says_what_help_says() {
    let page = include_str!("../../man/iomap-reference.1.md");
    let differences = help::differences("iomap-reference", page, |arguments| text(&reference(arguments)));
    assert_eq!(differences, Default::default());
}
