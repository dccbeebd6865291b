//! Compares the processor time of `iomap-spec man` and go-md2man for the same page of 2 MB.
//!
//! ```sh
//! IOMAP_CORPUS=DIRECTORY cargo bench -p iomap-spec --bench man
//! ```
//!
//! The page is all `*.md` of the directory one after the other or, without a directory, copies of the ordinary pages of
//! the tests. The programs alternate, so that other load on the machine affects both. Prints the minimum and the median
//! of user and system time, and their ratio. Exits with 1 if our minimum is above a third of go-md2man's or above 70
//! ms, with 3 if go-md2man is missing.

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::{env, fs};

const RUNS: usize = 40;
const BYTES: usize = 2_000_000;
const MOST_MICROSECONDS: i64 = 70_000;

fn main() -> ExitCode {
    let input = match env::var_os("IOMAP_CORPUS") {
        Some(directory) => pages(Path::new(&directory)),
        None => {
            let pages = pages(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pages/ordinary"));
            pages.repeat(BYTES.div_ceil(pages.len().max(1)))
        }
    };
    let work = tempfile::tempdir().expect("temporary directories can be made");
    let file = work.path().join("all.7.md");
    fs::write(&file, &input).expect("temporary files can be written");
    let mut ours = Command::new(env!("CARGO_BIN_EXE_iomap-spec"));
    ours.arg("man").arg(&file).stdout(Stdio::null());
    let mut theirs = Command::new("go-md2man");
    theirs.arg("-in").arg(&file).arg("-out").arg(work.path().join("all.7"));
    if theirs.output().is_err() {
        eprintln!("go-md2man cannot be run: install it (Debian: apt-get install go-md2man)");
        return ExitCode::from(3);
    }
    let (mut our_times, mut their_times) = (vec![], vec![]);
    for _ in 0..RUNS {
        our_times.push(processor_time(&mut ours));
        their_times.push(processor_time(&mut theirs));
    }
    println!("{} bytes, {RUNS} runs each, user and system time in ms", input.len());
    let (our_least, our_median) = report("iomap-spec man", our_times);
    let (their_least, their_median) = report("go-md2man", their_times);
    println!(
        "ratio of the least {:.2}, of the medians {:.2}",
        ratio(our_least, their_least),
        ratio(our_median, their_median)
    );
    ExitCode::from(u8::from(our_least * 3 > their_least || our_least > MOST_MICROSECONDS))
}

/// All pages of a directory as one page, in the order of their names.
fn pages(directory: &Path) -> String {
    let entries = fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    let pages =
        files.iter().map(|file| fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display())));
    pages.collect::<Vec<_>>().join("\n")
}

/// The processor time of the command in microseconds.
fn processor_time(command: &mut Command) -> i64 {
    let before = children();
    let status = command.status().expect("it could be run before");
    assert!(status.success(), "{command:?}: {status}");
    children() - before
}

/// The processor time of all children that have ended, in microseconds.
fn children() -> i64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("a process can ask for its own usage");
    usage.user_time().num_microseconds() + usage.system_time().num_microseconds()
}

fn report(name: &str, mut times: Vec<i64>) -> (i64, i64) {
    times.sort_unstable();
    let (least, median) = (times[0], times[times.len() / 2]);
    println!("{name:<16} least {:6.1}  median {:6.1}", ratio(least, 1000), ratio(median, 1000));
    (least, median)
}

fn ratio(one: i64, other: i64) -> f64 {
    one as f64 / other.max(1) as f64
}
