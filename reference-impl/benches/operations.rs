//! Operations per second of processor time on one core, by kind and for a mix. Exits with 1 if the mix is too slow.
//!
//!     cargo bench -p iomap-reference --bench operations

use iomap_reference::{BLOCK, Call, Caller, Fd, Fs, Mode, Reply};
use nix::fcntl::OFlag;
use nix::time::{ClockId, clock_gettime};
use std::process::ExitCode;
use std::time::Duration;

/// What the mix has to reach, in operations per second.
const GOAL: f64 = 1_000_000.0;

const FILES: usize = 300;
/// How long each file is, in blocks.
const LENGTH: usize = 8;
/// Operations in a run, and runs of each kind.
const OPERATIONS: usize = 200_000;
const RUNS: usize = 7;

/// What an operation works on: the same in every run.
struct Setting {
    fs: Fs,
    names: Vec<String>,
    fds: Vec<Fd>,
    random: u64,
    block: Vec<u8>,
}

type Operation = fn(&mut Setting);

/// Each kind with its part of the mix. A pair of calls counts as two operations.
const KINDS: &[(&str, u32, usize, Operation)] = &[
    ("pwrite 4 KiB", 25, 1, pwrite),
    ("pread 4 KiB", 25, 1, pread),
    ("fstat", 15, 1, stat),
    ("open, close", 10, 2, open_close),
    ("lookup", 10, 1, lookup),
    ("create, unlink", 5, 2, create_unlink),
    ("fallocate", 5, 1, fallocate),
    ("ftruncate", 5, 1, truncate),
];

impl Setting {
    fn new() -> Self {
        let fs = Fs::new(4 * FILES * LENGTH);
        let names: Vec<String> = (0..FILES).map(|index| format!("directory/file-{index}")).collect();
        let mut setting = Self { fs, names, fds: Vec::new(), random: 1, block: vec![7; BLOCK] };
        setting.call(&Call::Mkdir { name: "directory".into(), mode: 0o755 });
        let flags = OFlag::O_RDWR | OFlag::O_CREAT;
        for name in setting.names.clone() {
            let fd = setting.number(&Call::Open { name, flags, mode: 0o600 });
            setting.call(&Call::Pwrite { fd, offset: 0, data: vec![1; LENGTH * BLOCK] });
            setting.fds.push(fd);
        }
        setting
    }

    fn call(&self, call: &Call) -> Reply {
        match self.fs.call(Caller::Privileged, call) {
            Ok(reply) => reply,
            Err(errno) => panic!("{call}: {errno:?}"),
        }
    }

    fn number(&self, call: &Call) -> Fd {
        match self.call(call) {
            Reply::Number(number) => number as Fd,
            other => panic!("{call}: {other:?}"),
        }
    }

    /// Below `bound`; xorshift64.
    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as usize % bound
    }

    fn fd(&mut self) -> Fd {
        let index = self.below(FILES);
        self.fds[index]
    }

    fn offset(&mut self) -> i64 {
        (self.below(LENGTH) * BLOCK) as i64
    }
}

fn pwrite(on: &mut Setting) {
    let (fd, offset, data) = (on.fd(), on.offset(), std::mem::take(&mut on.block));
    let call = Call::Pwrite { fd, offset, data };
    on.call(&call);
    // The buffer is the caller's, as with a system call.
    if let Call::Pwrite { data, .. } = call {
        on.block = data;
    }
}

fn pread(on: &mut Setting) {
    let (fd, offset) = (on.fd(), on.offset());
    on.call(&Call::Pread { fd, offset, len: BLOCK });
}

fn stat(on: &mut Setting) {
    let fd = on.fd();
    on.call(&Call::Stat { fd });
}

fn open_close(on: &mut Setting) {
    let index = on.below(FILES);
    let name = std::mem::take(&mut on.names[index]);
    let call = Call::Open { name, flags: OFlag::O_RDWR, mode: 0 };
    let fd = on.number(&call);
    if let Call::Open { name, .. } = call {
        on.names[index] = name;
    }
    on.call(&Call::Close { fd });
}

fn lookup(on: &mut Setting) {
    let index = on.below(FILES);
    let found = on.fs.resolve(Caller::Privileged.credentials(), on.names[index].as_bytes(), true);
    assert!(found.is_ok(), "{found:?}");
}

fn create_unlink(on: &mut Setting) {
    let (name, flags) = ("directory/another".to_owned(), OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL);
    let call = Call::Open { name, flags, mode: 0o600 };
    let fd = on.number(&call);
    if let Call::Open { name, .. } = call {
        on.call(&Call::Unlink { name });
    }
    on.call(&Call::Close { fd });
}

fn fallocate(on: &mut Setting) {
    let (fd, offset) = (on.fd(), on.offset());
    let mode = if on.below(2) == 0 { Mode::PUNCH_HOLE | Mode::KEEP_SIZE } else { Mode::ALLOCATE };
    on.call(&Call::Fallocate { fd, mode, offset, len: BLOCK as i64 });
}

fn truncate(on: &mut Setting) {
    let fd = on.fd();
    let size = ((LENGTH - on.below(2)) * BLOCK) as i64;
    on.call(&Call::Ftruncate { fd, size });
}

/// A kind by its part of the mix.
fn drawn(on: &mut Setting) -> (usize, Operation) {
    let all: u32 = KINDS.iter().map(|(_, part, ..)| part).sum();
    let mut left = on.below(all as usize) as u32;
    for (_, part, calls, operation) in KINDS {
        if left < *part {
            return (*calls, *operation);
        }
        left -= part;
    }
    (1, stat)
}

/// What this thread has had of its core: others that want the core too do not count.
fn used() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

/// Operations per second of several runs, in ascending order.
fn runs(mut next: impl FnMut(&mut Setting) -> usize) -> Vec<f64> {
    let mut on = Setting::new();
    let mut rates: Vec<f64> = (0..RUNS)
        .map(|_| {
            let (start, mut done) = (used(), 0);
            while done < OPERATIONS {
                done += next(&mut on);
            }
            done as f64 / (used() - start).as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates
}

fn print(name: &str, rates: &[f64]) -> f64 {
    let (least, median, most) = (rates[0], rates[rates.len() / 2], rates[rates.len() - 1]);
    println!("{name:<16} {least:>12.0} {median:>12.0} {most:>12.0}");
    median
}

fn main() -> ExitCode {
    println!("operations per second, {RUNS} runs of {OPERATIONS}");
    println!("{:<16} {:>12} {:>12} {:>12}", "", "least", "median", "most");
    for (name, _, calls, operation) in KINDS {
        print(
            name,
            &runs(|on| {
                operation(on);
                *calls
            }),
        );
    }
    let mix = print(
        "mix",
        &runs(|on| {
            let (calls, operation) = drawn(on);
            operation(on);
            calls
        }),
    );
    if mix < GOAL {
        eprintln!("the mix reaches {mix:.0} operations per second, {GOAL:.0} are wanted");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
