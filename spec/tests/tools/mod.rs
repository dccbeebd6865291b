//! mandoc(1) and groff(1), which check and show the roff of the emitter.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub(crate) mod damage;

use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The one warning that Linux man-pages ignores, too: its titles are in lower case.
const TITLE: &str = "lower case character in document title";

/// A directory with the sampler as the only page, `man/sampler.7.md`.
pub(crate) fn with_sampler() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("the test can be set up");
    let man = directory.path().join("man");
    let made = std::fs::create_dir(&man).and_then(|()| std::fs::copy(sampler(), man.join("sampler.7.md")));
    made.expect("the test can be set up");
    directory
}

pub(crate) fn sampler() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/sampler.7.md")
}

/// Manual pages in the dialects of other people.
pub(crate) fn ordinary() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/ordinary");
    iomap_spec::files(&directory).expect("the pages are there")
}

/// Makes a manual of a few pages, some of which the sampler names; returns a value for MANPATH.
pub(crate) fn manual(directory: &Path) -> PathBuf {
    let manual = directory.join("manual");
    for page in ["man2/mmap.2", "man2/open.2.gz", "man2const/F_GETFL.2const", "man7/man-pages.7.xz"] {
        let page = manual.join(page);
        let made = page.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&page, ""));
        made.expect("the test can be set up");
    }
    manual
}

/// Whether a test fails if a program is missing, instead of skipping a part.
fn run(program: &str, arguments: &[&str], input: &str) -> Option<String> {
    // Use a file: with pipes, both input and output could be full, and the two processes would wait for each other.
    let mut file = tempfile::tempfile().expect("temporary files can be made");
    file.write_all(input.as_bytes()).and_then(|()| file.rewind()).expect("temporary files can be written");
    if !iomap_testing::tools::has(program) {
        return None;
    }
    let output = Command::new(program).args(arguments).env("LC_ALL", "C.UTF-8").stdin(file).output();
    let output = output.expect("an installed program can be run");
    Some(String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// The messages of both about this page.
pub(crate) fn complaints(roff: &str) -> String {
    let mandoc = run("mandoc", &["-Tlint", "-Wstyle"], roff).unwrap_or_default();
    let groff = run("groff", &["-man", "-t", "-ww", "-z"], roff).unwrap_or_default();
    let groff_utf8 = run("groff", &["-man", "-t", "-ww", "-z", "-Tutf8"], roff).unwrap_or_default();
    let lines = mandoc.lines().filter(|line| !line.contains(TITLE)).chain(groff.lines()).chain(groff_utf8.lines());
    lines.collect::<Vec<_>>().join("\n")
}

/// The one warning that stays: mandoc wants a date, which some pages do not have.
const DATE: &str = "missing date, using \"\"";

/// The warnings of both, which are fewer than their style messages.
pub(crate) fn warnings(roff: &str) -> String {
    let mandoc = run("mandoc", &["-Tlint", "-Wwarning"], roff).unwrap_or_default();
    let mandoc: String = mandoc.split_inclusive('\n').filter(|line| !line.contains(DATE)).collect();
    let groff = run("groff", &["-man", "-t", "-ww", "-z"], roff).unwrap_or_default();
    mandoc + &groff + &run("groff", &["-man", "-t", "-ww", "-z", "-Tutf8"], roff).unwrap_or_default()
}

/// The page as each formatter shows it on a terminal of 80 columns.
pub(crate) fn terminal(roff: &str) -> Vec<String> {
    let mandoc = run("mandoc", &["-Tutf8", "-Owidth=80"], roff);
    let groff = run("groff", &["-man", "-t", "-Tutf8", "-P-c", "-rLL=80n"], roff);
    mandoc.into_iter().chain(groff).map(|text| without_overstrike(&text)).collect()
}

/// Like `terminal`, but so wide that no word is broken.
pub(crate) fn wide_terminal(roff: &str) -> Vec<String> {
    let mandoc = run("mandoc", &["-Tutf8", "-Owidth=1000"], roff);
    let groff = run("groff", &["-man", "-t", "-Tutf8", "-P-cbou", "-rHY=0", "-rLL=9000n", "-rLT=9000n"], roff);
    mandoc.into_iter().chain(groff).map(|text| without_overstrike(&text)).collect()
}

/// Removes overstrikes: `x BACKSPACE x` is a bold x.
fn without_overstrike(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        match c {
            '\u{8}' => {
                plain.pop();
            }
            c => plain.push(c),
        }
    }
    plain
}

/// The output of whatis(1) for `name`, after mandb(8) has indexed the manual below `directory`.
pub(crate) fn whatis(directory: &Path, name: &str) -> Option<String> {
    let directory = directory.to_string_lossy();
    run("mandb", &["--quiet", "--no-purge", &directory], "")?;
    run("whatis", &["--long", "--manpath", &directory, name], "")
}

pub(crate) fn html(roff: &str) -> Option<String> {
    run("mandoc", &["-Thtml"], roff)
}
