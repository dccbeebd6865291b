//! What the book costs beside what mdBook alone takes for the same chapters: processor time, user and system.
//!
//! Both make a book with search of our pages and of others: the `*.md` of the directory that IOMAP_CORPUS names, or our
//! own pages again and again. Each book is made by a process of its own, and the two take turns.
#![allow(clippy::unwrap_used, reason = "nobody but who runs the benchmark would be told more politely")]

use mdbook_driver::MDBook;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// How many books of each kind.
const RUNS: usize = 9;

/// What the book may take, of what mdBook takes.
const ALLOWED: f64 = 1.2;

/// How many chapters there are besides our pages, if there is no corpus.
const OTHERS: usize = 251;

/// Says to the process that it is to make a book, and in which directory its chapters are.
const MAKE: &str = "IOMAP_BENCH_BOOK";

fn main() -> ExitCode {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if let Some(directory) = std::env::var_os(MAKE) {
        make(&top, Path::new(&directory));
        return ExitCode::SUCCESS;
    }
    let directory = tempfile::tempdir().unwrap();
    let pages: Vec<(String, String)> =
        iomap_spec::files(&top.join("man")).unwrap().iter().map(|file| (name(file), without_front(file))).collect();
    let others = others(&pages);
    chapters(&directory.path().join("ours"), &others);
    chapters(&directory.path().join("plain"), &[pages.as_slice(), &others].concat());

    let mut times = [vec![], vec![]];
    for _ in 0..RUNS {
        for (kind, times) in ["ours", "plain"].iter().zip(&mut times) {
            times.push(cpu_ms(&directory.path().join(kind)));
        }
    }
    // The least, because what else the machine does can only add to it.
    let [ours, plain] = times.map(|times| times.into_iter().fold(f64::INFINITY, f64::min));
    let ratio = ours / plain;
    println!(
        "{} pages and {} other chapters, {RUNS} books each, least CPU time (user + system)",
        pages.len(),
        others.len()
    );
    println!("mdBook alone     {plain:7.0} ms");
    println!("iomap-spec book  {ours:7.0} ms");
    println!("ratio            {ratio:7.3}    at most {ALLOWED}");
    if ratio <= ALLOWED { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes one book, of the kind that the directory is called.
fn make(top: &Path, directory: &Path) {
    let out = directory.join("out");
    if directory.file_name() == Some(OsStr::new("plain")) {
        let mut book = MDBook::load(directory).unwrap();
        book.config.build.build_dir = out;
        book.build().unwrap();
    } else {
        let spec = iomap_spec::load(&top.join("man")).unwrap();
        // Links between pages that are not here are none of ours.
        iomap_spec::book::build(&spec, &[], directory, &out).unwrap();
    }
}

/// Processor time of a process that makes the book of this directory.
fn cpu_ms(directory: &Path) -> f64 {
    let used = || {
        let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
        (usage.user_time() + usage.system_time()).num_microseconds()
    };
    let before = used();
    let status = Command::new(std::env::current_exe().unwrap()).env(MAKE, directory).status().unwrap();
    assert!(status.success(), "{status}");
    (used() - before) as f64 / 1000.0
}

/// Name and text of chapters that are none of ours.
fn others(pages: &[(String, String)]) -> Vec<(String, String)> {
    match std::env::var_os("IOMAP_CORPUS") {
        Some(corpus) => iomap_spec::files(&PathBuf::from(corpus))
            .unwrap()
            .iter()
            .map(|file| (format!("other-{}", name(file)), fs::read_to_string(file).unwrap()))
            .collect(),
        None => {
            let again = pages.iter().cycle().take(OTHERS).enumerate();
            again.map(|(number, (name, text))| (format!("{number}-{name}"), text.clone())).collect()
        }
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}

fn without_front(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap();
    text.splitn(3, "---\n").nth(2).unwrap().to_owned()
}

/// A directory as mdBook wants it.
fn chapters(directory: &Path, chapters: &[(String, String)]) {
    let source = directory.join("src");
    fs::create_dir_all(&source).unwrap();
    fs::write(directory.join("book.toml"), "[book]\ntitle = \"Benchmark\"\n").unwrap();
    let mut summary = String::new();
    for (name, text) in chapters {
        fs::write(source.join(name), text).unwrap();
        writeln!(summary, "- [{name}]({name})").unwrap();
    }
    // Named by our chapter of results.
    fs::write(source.join("verdicts.md"), "# Verdicts\n").unwrap();
    fs::write(source.join("SUMMARY.md"), summary + "- [Verdicts](verdicts.md)\n").unwrap();
}
