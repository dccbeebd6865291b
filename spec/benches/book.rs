//! Compares the processor time (user and system) that the book costs with that of mdBook alone for the same chapters.
//!
//! Both make a book with search of our pages and of others: the `*.md` of the directory in IOMAP_CORPUS, or copies of
//! our own pages. A separate process makes each book, and the two kinds alternate.
#![allow(clippy::unwrap_used, reason = "nobody but who runs the benchmark would be told more politely")]

use mdbook_driver::MDBook;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::ffi::OsStr;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// The number of books of each kind.
const RUNS: usize = 9;

/// The limit of our time, as a multiple of mdBook's time.
const ALLOWED: f64 = 1.2;

/// The number of chapters besides our pages, if there is no corpus.
const OTHERS: usize = 251;

/// This variable tells a process to make a book, and names the directory of its chapters.
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
    // Take the minimum, because other load on the machine can only add time.
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

/// Makes one book, of the kind that the name of the directory states.
fn make(top: &Path, directory: &Path) {
    let out = directory.join("out");
    if directory.file_name() == Some(OsStr::new("plain")) {
        let mut book = MDBook::load(directory).unwrap();
        book.config.build.build_dir = out;
        book.build().unwrap();
    } else {
        let spec = iomap_spec::load(&top.join("man")).unwrap();
        // Ignore broken links: pages that others' pages link to are not here.
        iomap_spec::book::build(&spec, Default::default(), directory, &out).unwrap();
    }
}

/// The processor time of a process that makes the book of this directory.
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

/// The names and texts of chapters that are not ours.
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

/// Writes a directory in the layout of mdBook.
fn chapters(directory: &Path, chapters: &[(String, String)]) {
    let source = directory.join("src");
    fs::create_dir_all(&source).unwrap();
    fs::write(directory.join("book.toml"), "[book]\ntitle = \"Benchmark\"\n").unwrap();
    let mut summary = String::new();
    for (name, text) in chapters {
        fs::write(source.join(name), text).unwrap();
        writeln!(summary, "- [{name}]({name})").unwrap();
    }
    // Our chapter of results names this file.
    fs::write(source.join("verdicts.md"), "# Verdicts\n").unwrap();
    fs::write(source.join("SUMMARY.md"), summary + "- [Verdicts](verdicts.md)\n").unwrap();
}
