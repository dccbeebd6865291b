//! Compares the reference with a plain model of files, a map from names to vectors of bytes, to measure the cost of
//! rules, placement, permissions and times. Both do the same operations in turns. The ratio is the processor time of
//! the reference divided by that of the plain model.
//!
//!     cargo bench -p iomap-reference --bench operations
//!
//! With a directory it measures the mix there instead, by the clock: what the kernel and this file system take for it.
//!
//!     cargo bench -p iomap-reference --bench operations -- DIRECTORY

use iomap_reference::{BLOCK, Call, Caller, Fs, Mode, Reply};
use nix::fcntl::{FallocateFlags, OFlag, fallocate};
use nix::time::{ClockId, clock_gettime};
use std::collections::HashMap;
use std::fs::File;
use std::hint::black_box;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILES: usize = 300;
/// The length of each file, in blocks.
const LENGTH: usize = 8;
/// The number of operations in a run, and of runs of each kind.
const OPERATIONS: usize = 200_000;
const RUNS: usize = 7;

/// The operations. Files have numbers from 0 to `FILES`, and are open.
trait Files {
    fn write(&mut self, file: usize, block: usize);
    fn read(&mut self, file: usize, block: usize);
    fn stat(&mut self, file: usize);
    fn open_close(&mut self, file: usize);
    fn lookup(&mut self, file: usize);
    fn create_unlink(&mut self);
    /// Punches a hole at a block, or zeros it if there are no holes; or allocates the block.
    fn allocate(&mut self, file: usize, block: usize, punch: bool);
    fn truncate(&mut self, file: usize, blocks: usize);
}

/// A kind of operation: its name, its share of the mix, and its number of calls.
type Kind = (&'static str, usize, usize, fn(&mut dyn Files, &mut Random));

const KINDS: &[Kind] = &[
    ("pwrite 4 KiB", 25, 1, |on, random| on.write(random.below(FILES), random.below(LENGTH))),
    ("pread 4 KiB", 25, 1, |on, random| on.read(random.below(FILES), random.below(LENGTH))),
    ("fstat", 15, 1, |on, random| on.stat(random.below(FILES))),
    ("open, close", 10, 2, |on, random| on.open_close(random.below(FILES))),
    ("lookup", 10, 1, |on, random| on.lookup(random.below(FILES))),
    ("create, unlink", 5, 2, |on, _| on.create_unlink()),
    ("fallocate", 5, 1, |on, random| on.allocate(random.below(FILES), random.below(LENGTH), random.below(2) == 0)),
    ("ftruncate", 5, 1, |on, random| on.truncate(random.below(FILES), LENGTH - random.below(2))),
];

/// Random numbers that are the same in every run: xorshift64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }
}

fn name(file: usize) -> String {
    format!("directory/file-{file}")
}

struct Reference {
    fs: Fs,
    names: Vec<String>,
    fds: Vec<i32>,
    /// The caller's buffer for writes, as in a system call.
    block: Vec<u8>,
}

impl Reference {
    fn new() -> Self {
        let names: Vec<String> = (0..FILES).map(name).collect();
        let mut made = Self { fs: Fs::new(4 * FILES * LENGTH), names, fds: Vec::new(), block: vec![7; BLOCK] };
        made.call(&Call::Mkdir { name: "directory".into(), mode: 0o755 });
        for name in made.names.clone() {
            let fd = made.number(&Call::Open { name, flags: OFlag::O_RDWR | OFlag::O_CREAT, mode: 0o600 });
            made.call(&Call::Pwrite { fd, offset: 0, data: vec![1; LENGTH * BLOCK] });
            made.fds.push(fd);
        }
        made
    }

    fn call(&self, call: &Call) -> Reply {
        match self.fs.call(Caller::Privileged, call) {
            Ok(reply) => reply,
            Err(errno) => panic!("{call}: {errno}"),
        }
    }

    fn number(&self, call: &Call) -> i32 {
        match self.call(call) {
            Reply::Number(number) => number as i32,
            other => panic!("{call}: {other:?}"),
        }
    }
}

impl Files for Reference {
    fn write(&mut self, file: usize, block: usize) {
        let data = std::mem::take(&mut self.block);
        let call = Call::Pwrite { fd: self.fds[file], offset: (block * BLOCK) as i64, data };
        self.call(&call);
        if let Call::Pwrite { data, .. } = call {
            self.block = data;
        }
    }

    fn read(&mut self, file: usize, block: usize) {
        black_box(self.call(&Call::Pread { fd: self.fds[file], offset: (block * BLOCK) as i64, len: BLOCK }));
    }

    fn stat(&mut self, file: usize) {
        black_box(self.call(&Call::Stat { fd: self.fds[file] }));
    }

    fn open_close(&mut self, file: usize) {
        let name = std::mem::take(&mut self.names[file]);
        let call = Call::Open { name, flags: OFlag::O_RDWR, mode: 0 };
        let fd = self.number(&call);
        if let Call::Open { name, .. } = call {
            self.names[file] = name;
        }
        self.call(&Call::Close { fd });
    }

    fn lookup(&mut self, file: usize) {
        let found = self.fs.resolve(Caller::Privileged.credentials(), self.names[file].as_bytes(), true);
        assert!(found.is_ok(), "{}: {found:?}", self.names[file]);
    }

    fn create_unlink(&mut self) {
        let (name, flags) = ("directory/another".to_owned(), OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL);
        let call = Call::Open { name, flags, mode: 0o600 };
        let fd = self.number(&call);
        if let Call::Open { name, .. } = call {
            self.call(&Call::Unlink { name });
        }
        self.call(&Call::Close { fd });
    }

    fn allocate(&mut self, file: usize, block: usize, punch: bool) {
        let mode = if punch { Mode::PUNCH_HOLE | Mode::KEEP_SIZE } else { Mode::ALLOCATE };
        self.call(&Call::Fallocate { fd: self.fds[file], mode, offset: (block * BLOCK) as i64, len: BLOCK as i64 });
    }

    fn truncate(&mut self, file: usize, blocks: usize) {
        self.call(&Call::Ftruncate { fd: self.fds[file], size: (blocks * BLOCK) as i64 });
    }
}

/// Files as vectors of bytes, with a table of descriptors.
struct Plain {
    names: HashMap<String, usize>,
    files: Vec<Vec<u8>>,
    open: Vec<usize>,
    block: Vec<u8>,
}

impl Plain {
    fn new() -> Self {
        Self {
            names: (0..FILES).map(|file| (name(file), file)).collect(),
            files: vec![vec![1; LENGTH * BLOCK]; FILES],
            open: (0..FILES).collect(),
            block: vec![7; BLOCK],
        }
    }

    /// The part of a block that is inside the size.
    fn part(&mut self, file: usize, block: usize) -> &mut [u8] {
        let data = &mut self.files[self.open[file]];
        let (from, to) = ((block * BLOCK).min(data.len()), ((block + 1) * BLOCK).min(data.len()));
        &mut data[from..to]
    }

    fn grow(&mut self, file: usize, len: usize) {
        let data = &mut self.files[self.open[file]];
        data.resize(data.len().max(len), 0);
    }
}

impl Files for Plain {
    fn write(&mut self, file: usize, block: usize) {
        self.grow(file, (block + 1) * BLOCK);
        let data = std::mem::take(&mut self.block);
        self.part(file, block).copy_from_slice(&data);
        self.block = data;
    }

    fn read(&mut self, file: usize, block: usize) {
        black_box(self.part(file, block).to_vec());
    }

    fn stat(&mut self, file: usize) {
        black_box(self.files[self.open[file]].len());
    }

    fn open_close(&mut self, file: usize) {
        self.lookup(file);
        self.open.push(file);
        black_box(self.open.pop());
    }

    fn lookup(&mut self, file: usize) {
        black_box(self.names.get(&name(file)));
    }

    fn create_unlink(&mut self) {
        let file = self.files.len();
        self.files.push(Vec::new());
        self.names.insert("directory/another".to_owned(), file);
        black_box(self.names.remove("directory/another"));
        self.files.pop();
    }

    fn allocate(&mut self, file: usize, block: usize, punch: bool) {
        if !punch {
            return self.grow(file, (block + 1) * BLOCK);
        }
        self.part(file, block).fill(0);
    }

    fn truncate(&mut self, file: usize, blocks: usize) {
        self.files[self.open[file]].resize(blocks * BLOCK, 0);
    }
}

/// The files of a directory of the kernel.
struct Kernel {
    directory: PathBuf,
    files: Vec<File>,
    block: Vec<u8>,
}

impl Kernel {
    fn new(place: &Path) -> io::Result<Self> {
        let directory = place.join("directory");
        std::fs::create_dir(&directory)?;
        let mut made = Self { directory, files: Vec::new(), block: vec![7; BLOCK] };
        for number in 0..FILES {
            let file = File::options().read(true).write(true).create_new(true).open(made.path(number))?;
            file.write_all_at(&vec![1; LENGTH * BLOCK], 0)?;
            made.files.push(file);
        }
        Ok(made)
    }

    fn path(&self, file: usize) -> PathBuf {
        self.directory.join(format!("file-{file}"))
    }
}

/// The value of a call that has to succeed.
fn done<T, E: std::fmt::Display>(outcome: Result<T, E>) -> T {
    outcome.unwrap_or_else(|error| panic!("{error}"))
}

impl Files for Kernel {
    fn write(&mut self, file: usize, block: usize) {
        done(self.files[file].write_all_at(&self.block, (block * BLOCK) as u64));
    }

    fn read(&mut self, file: usize, block: usize) {
        black_box(done(self.files[file].read_at(&mut self.block, (block * BLOCK) as u64)));
    }

    fn stat(&mut self, file: usize) {
        black_box(done(self.files[file].metadata()));
    }

    fn open_close(&mut self, file: usize) {
        drop(done(File::options().read(true).write(true).open(self.path(file))));
    }

    fn lookup(&mut self, file: usize) {
        black_box(done(std::fs::metadata(self.path(file))));
    }

    fn create_unlink(&mut self) {
        let another = self.directory.join("another");
        drop(done(File::create_new(&another)));
        done(std::fs::remove_file(another));
    }

    fn allocate(&mut self, file: usize, block: usize, punch: bool) {
        let mode = match punch {
            true => FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE,
            false => FallocateFlags::empty(),
        };
        done(fallocate(&self.files[file], mode, (block * BLOCK) as i64, BLOCK as i64));
    }

    fn truncate(&mut self, file: usize, blocks: usize) {
        done(self.files[file].set_len((blocks * BLOCK) as u64));
    }
}

/// The processor time of this thread, so that other threads on the core do not count.
fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// The calls per second of one run.
fn rate(on: &mut dyn Files, used: fn() -> Duration, next: impl Fn(&mut dyn Files, &mut Random) -> usize) -> f64 {
    let (mut random, mut done) = (Random(1), 0);
    let start = used();
    while done < OPERATIONS {
        done += next(on, &mut random);
    }
    done as f64 / (used() - start).as_secs_f64()
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// Runs both in turns, and prints their median rates and the ratios.
fn compare(name: &str, next: impl Fn(&mut dyn Files, &mut Random) -> usize) {
    let (mut reference, mut plain) = (Reference::new(), Plain::new());
    let rates: Vec<(f64, f64)> =
        (0..RUNS).map(|_| (rate(&mut reference, used, &next), rate(&mut plain, used, &next))).collect();
    let ratios = || rates.iter().map(|(reference, plain)| plain / reference);
    let (least, most) = (ratios().fold(f64::INFINITY, f64::min), ratios().fold(0.0, f64::max));
    let (ours, theirs) = (median(rates.iter().map(|rate| rate.0)), median(rates.iter().map(|rate| rate.1)));
    println!("{name:<16} {ours:>12.0} {theirs:>12.0} {least:>8.1} {:>8.1} {most:>8.1}", median(ratios()));
}

/// One operation of the mix.
fn mix(on: &mut dyn Files, random: &mut Random) -> usize {
    let all: usize = KINDS.iter().map(|(_, part, ..)| part).sum();
    let mut left = random.below(all);
    let drawn = KINDS.iter().find(|(_, part, ..)| {
        let here = left < *part;
        left = left.saturating_sub(*part);
        here
    });
    let Some((_, _, calls, operation)) = drawn else { return 0 };
    operation(on, random);
    *calls
}

/// The time of the clock.
fn passed() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from)
}

fn main() {
    // cargo adds `--bench`.
    if let Some(place) = std::env::args().skip(1).find(|argument| !argument.starts_with('-')) {
        let mut kernel = done(Kernel::new(Path::new(&place)));
        let rates = (0..RUNS).map(|_| rate(&mut kernel, passed, mix));
        println!("calls per second, the median of {RUNS} runs of {OPERATIONS} calls: {:.0}", median(rates));
        done(std::fs::remove_dir_all(Path::new(&place).join("directory")));
        return;
    }
    println!(
        "calls per second of processor time, medians of {RUNS} runs of {OPERATIONS} calls, and ratios of the times"
    );
    println!("{:<16} {:>12} {:>12} {:>8} {:>8} {:>8}", "", "reference", "plain", "least", "median", "most");
    for (name, _, calls, operation) in KINDS {
        compare(name, |on, random| {
            operation(on, random);
            *calls
        });
    }
    compare("mix", mix);
}
