//! The output of the command, and its agreement with the manual page.

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
fn output_that_is_gone_or_full() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = directory.path().join("image");
    let made = reference(&["mkfs", "--size", "1M", image.to_str().expect("a name in UTF-8")]);
    assert_eq!(made.status.code(), Some(0));
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_iomap-reference"));
        command.args(arguments).current_dir(directory.path());
        command
    };
    let lines: [(&[&str], bool); 5] = [
        (&["--help"], false),
        (&["rules"], true),
        (&["violations", "--format", "json"], true),
        (&["fsck", "image"], true),
        (&["mkfs", "--force", "image"], false),
    ];
    for (line, takes_output) in lines {
        assert_eq!(iomap_testing::output::faults(command, line, takes_output), [""; 0]);
    }
}

/// The files that mkfs refuses to overwrite, and the report of fsck.
#[test]
fn images() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let image = directory.path().join("image");
    let name = image.to_str().expect("a name in UTF-8");
    let code = |arguments: &[&str]| reference(arguments).status.code();
    assert_eq!(code(&["mkfs", name]), Some(2), "no size");
    assert_eq!(code(&["mkfs", "--size", "1K", name]), Some(2), "too small");
    assert_eq!(code(&["fsck", name]), Some(3), "no image");
    assert_eq!(code(&["mkfs", "--size", "2M", "--label", "here", name]), Some(0));
    assert_eq!(code(&["mkfs", name]), Some(2), "a file system");
    assert_eq!(code(&["mkfs", "--force", name]), Some(0));
    let clean = reference(&["fsck", name]);
    let expected = format!("{name}: clean: inodes 1, sealed 0, blocks 0 of 512\n");
    assert_eq!((clean.status.code(), text(&clean)), (Some(0), expected));
    let mut bytes = std::fs::read(&image).expect("the image can be read");
    bytes[4096 + 20] ^= 1;
    std::fs::write(&image, bytes).expect("the image can be written");
    let damaged = reference(&["fsck", name]);
    assert_eq!(damaged.status.code(), Some(1));
    assert!(text(&damaged).contains("block 1: superblock, checksum"), "{}", text(&damaged));
    assert!(text(&reference(&["fsck", "--format", "json", name])).contains("\"findings\": [\n    {"));
    std::fs::write(&image, vec![7; 2 << 20]).expect("the image can be written");
    assert_eq!(code(&["mkfs", name]), Some(2), "contents");
}

#[test]
fn the_page_says_what_help_says() {
    let page = include_str!("../../man/iomap-reference.1.md");
    let differences =
        iomap_testing::help::differences("iomap-reference", page, |arguments| text(&reference(arguments)));
    assert_eq!(differences, Default::default());
}
