//! C programs: those of the pages and those of the tests, compiled and run.
#![allow(dead_code, reason = "each test binary uses its own part of this")]

use iomap_spec::load;
use iomap_spec::model::Block;
use iomap_testing::tools::not_tested;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// The prefix of the reference's files in the pages.
pub(crate) const PREFIX: &str = "/iomap";

/// A complete program, and a console session in which it was run.
pub(crate) struct Example {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) console: String,
}

/// Every complete program in a page, with the console session after it, which names the program. Other C code is a
/// fragment.
pub(crate) fn examples() -> Vec<Example> {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../man");
    let spec = load(&pages).unwrap_or_else(|findings| panic!("{}", findings[0]));
    let blocks = spec.pages.iter().flat_map(|page| &page.sections).flat_map(|section| &section.blocks);
    let code: Vec<(&str, &String)> = blocks
        .filter_map(|block| match block {
            Block::Code { text, language, .. } => Some((language.as_str(), text)),
            _ => None,
        })
        .collect();
    let programs = (0..code.len()).filter(|at| code[*at].0 == "c" && code[*at].1.contains("main(int argc"));
    let found: Vec<Example> = programs
        .map(|at| match code.get(at + 1) {
            Some(("console", console)) => Example {
                name: console.strip_prefix("$ ./").and_then(|run| run.split(' ').next()).unwrap_or_default().to_owned(),
                source: format!("{}\n", code[at].1),
                console: format!("{console}\n"),
            },
            _ => panic!("no console follows this program:\n{}", code[at].1),
        })
        .collect();
    assert!(!found.is_empty(), "no programs in {}", pages.display());
    found
}

/// The program of this name in the pages.
pub(crate) fn example(name: &str) -> Example {
    let found = examples().into_iter().find(|example| example.name == name);
    found.unwrap_or_else(|| panic!("no page has a program {name}"))
}

/// A directory with the program; `None`, with a note, if there is no compiler.
pub(crate) fn compile(name: &str, source: &str) -> Option<TempDir> {
    let dir = tempfile::tempdir().expect("a temporary directory can be made");
    std::fs::write(dir.path().join(name).with_extension("c"), source).expect("it can be written to");
    let mut cc = Command::new("cc");
    cc.args(["-Wall", "-Wextra", "-Werror", "-I", concat!(env!("CARGO_MANIFEST_DIR"), "/../../include"), "-o", name])
        .arg(format!("{name}.c"))
        .current_dir(&dir);
    match cc.output() {
        Ok(output) => {
            assert!(output.status.success(), "{name}.c:\n{}", String::from_utf8_lossy(&output.stderr));
            Some(dir)
        }
        Err(error) => {
            not_tested(format_args!("cc cannot be run: {error}"));
            None
        }
    }
}

/// The library. Cargo builds it for this test, and puts it beside this test.
fn library() -> PathBuf {
    let path = std::env::current_exe().expect("this test has a path").with_file_name("libiomap_preload.so");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The files of the reference that a program can use.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Files {
    /// Files below the prefix, in the process.
    InProcess,
    InProcessUnprivileged,
    /// Files of mounts: only the library is loaded.
    Mounted,
    /// No files of the reference: the library is not loaded.
    Kernel,
}

/// The output of a command line, errors last, and whether it succeeded.
pub(crate) fn run(dir: &TempDir, line: &str, files: Files) -> (String, bool) {
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words).current_dir(dir);
    for name in ["LD_PRELOAD", "IOMAP_REFERENCE", "IOMAP_REFERENCE_UNPRIVILEGED"] {
        command.env_remove(name);
    }
    if files != Files::Kernel {
        command.env("LD_PRELOAD", library());
    }
    if matches!(files, Files::InProcess | Files::InProcessUnprivileged) {
        command.env("IOMAP_REFERENCE", PREFIX);
    }
    if files == Files::InProcessUnprivileged {
        command.env("IOMAP_REFERENCE_UNPRIVILEGED", "1");
    }
    let output = command.output().unwrap_or_else(|error| panic!("{line}: {error}"));
    (String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(), output.status.success())
}

/// A console session in the form of a page: each command, its output, and a remark if it failed.
pub(crate) fn transcript(console: &str, run: impl Fn(&str) -> (String, bool)) -> String {
    let lines = console.lines().filter_map(|line| line.strip_prefix("$ "));
    let shown = lines.map(|line| {
        let (output, success) = run(line);
        format!("$ {line}\n{output}{}", if success { "" } else { "(failed)\n" })
    });
    shown.collect()
}
