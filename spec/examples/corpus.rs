//! Measures how well the compiler converts manual pages of other people.
//!
//! ```sh
//! cargo run --release -p iomap-spec --example corpus -- DIRECTORY...
//! cargo run --release -p iomap-spec --example corpus -- --commonmark spec.txt
//! ```
//!
//! Compiles every `*.md` below the directories, or each example of the CommonMark specification as a page of its own,
//! and counts for each:
//!
//! - the messages of `mandoc -Tlint -Wwarning` and of `groff -man -t -ww -z` (typesetter and terminal) about the page;
//! - the words and web addresses that are in the Markdown but not on the page, when mandoc and groff show it on a
//!   terminal so wide that no word is broken.
//!
//! A plain loop in this program takes the words from pulldown-cmark's events, not from the model of the pages. A word
//! is a run of letters and digits; any other visible character is a word of its own. The page must have each word at
//! least as often as the source. Characters that formatters print in another shape (hyphens, quotation marks) count as
//! equal. Relative links, HTML tags that are markup, and signs of other dialects that are markup (`:::`, `{#id}`, the
//! bar of a line block, the colon of a term in ronn's lists) are not counted.
//!
//! Prints a line for each page that fails, and a table of totals. Exits with 1 if any word is lost or any message
//! printed.

#[path = "../tests/tools/words.rs"]
mod words;

use iomap_spec::{Backend, man::Man};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};
use words::{lost_links, lost_words, wanted, without_overstrike};

#[derive(Default)]
struct Totals {
    pages: usize,
    bytes: usize,
    mandoc: usize,
    groff: usize,
    words: usize,
    lost_words: usize,
    links: usize,
    lost_links: usize,
    /// The number of lines of roff above 80 bytes.
    long_lines: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let work = tempfile::tempdir().expect("temporary directories can be made");
    let mut files = vec![];
    match &arguments[..] {
        [mode, file] if mode == "--commonmark" => {
            let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            for (number, example) in examples(&text).into_iter().enumerate() {
                let path = work.path().join(format!("example-{}.7.md", number + 1));
                fs::write(&path, example).expect("temporary files can be written");
                files.push(path);
            }
        }
        [_, ..] => arguments.iter().for_each(|directory| markdown(Path::new(directory), &mut files)),
        [] => {
            eprintln!("usage: corpus DIRECTORY... | --commonmark FILE");
            return ExitCode::from(2);
        }
    }
    let (next, totals) = (AtomicUsize::new(0), Mutex::new(Totals::default()));
    thread::scope(|scope| {
        for worker in 0..thread::available_parallelism().map_or(1, usize::from) {
            let roff = work.path().join(format!("page-{worker}"));
            let (files, next, totals) = (&files, &next, &totals);
            scope.spawn(move || {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    measure(file, &roff, totals);
                }
            });
        }
    });
    let totals = totals.into_inner().expect("no worker panicked");
    println!("pages             {:9}", totals.pages);
    println!("bytes             {:9}", totals.bytes);
    println!("mandoc messages   {:9}", totals.mandoc);
    println!("groff messages    {:9}", totals.groff);
    println!("words             {:9}", totals.words);
    println!("words lost        {:9}", totals.lost_words);
    println!("links             {:9}", totals.links);
    println!("links lost        {:9}", totals.lost_links);
    println!("lines > 80 bytes  {:9}", totals.long_lines);
    let bad = totals.mandoc + totals.groff + totals.lost_words + totals.lost_links;
    ExitCode::from(u8::from(bad > 0 || totals.pages == 0))
}

/// All `*.md` files of a directory and the directories below it, sorted.
fn markdown(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        return files.push(path.to_owned());
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            markdown(&entry, files);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            files.push(entry);
        }
    }
}

/// The Markdown of each example: from a fence with `example` to the line `.`.
fn examples(text: &str) -> Vec<String> {
    let fence = format!("{} example", "`".repeat(32));
    let mut examples = vec![];
    let mut current: Option<String> = None;
    for line in text.lines() {
        match current.as_mut() {
            None if line == fence => current = Some(String::new()),
            Some(example) if line != "." => *example += &(line.replace('→', "\t") + "\n"),
            Some(_) => examples.extend(current.take()),
            None => {}
        }
    }
    examples
}

fn measure(file: &Path, work: &Path, totals: &Mutex<Totals>) {
    let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let pages = iomap_spec::compile(&[file.to_owned()], "1970-01-01")
        .unwrap_or_else(|findings| panic!("{}", findings[0]))
        .pages;
    let roff = Man.page(&pages[0]);
    fs::write(work, &roff).expect("temporary files can be written");
    let mandoc = output("mandoc", &["-Tlint", "-Wwarning"], work);
    let groff = output("groff", &["-man", "-t", "-ww", "-z"], work)
        + &output("groff", &["-man", "-t", "-ww", "-z", "-Tutf8"], work);
    let (words, links) = wanted(&source);
    let mut lost = vec![];
    let mut gone = vec![];
    let shown = [
        output("mandoc", &["-Tutf8", "-Owidth=1000"], work),
        output("groff", &["-man", "-t", "-Tutf8", "-P-cbou", "-rHY=0", "-rLL=9000n", "-rLT=9000n"], work),
    ];
    for shown in shown {
        let shown = without_overstrike(&shown);
        lost.extend(lost_words(&words, &shown));
        gone.extend(lost_links(&links, &shown));
    }
    let complaints = mandoc.lines().count() + groff.lines().count();
    if complaints + lost.len() + gone.len() > 0 {
        lost.truncate(12);
        let said: Vec<&str> = mandoc.lines().chain(groff.lines()).take(4).collect();
        println!("{}: said {complaints} {said:?}, words lost {lost:?}, links lost {gone:?}", file.display());
    }
    let mut totals = totals.lock().expect("no worker panicked");
    totals.pages += 1;
    totals.bytes += source.len();
    totals.mandoc += mandoc.lines().count();
    totals.groff += groff.lines().count();
    totals.words += words.values().sum::<usize>();
    totals.lost_words += lost.len();
    totals.links += links.len();
    totals.lost_links += gone.len();
    totals.long_lines += roff.lines().filter(|line| line.len() > 80).count();
}

/// The output of the command on both streams.
fn output(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
