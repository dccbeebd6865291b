//! Kernels that are not running: booted in QEMU, with the suite inside.
//!
//! A guest is a kernel and an initramfs: the running program as the first process, the programs and modules that it needs,
//! and a manifest that says what to run. Results come out through a virtio port as they come about, the kernel's log
//! through a serial console. Each kernel with each file system is a guest of its own.

mod aftermath;
mod board;
mod boot;
mod bzimage;
mod cache;
mod console;
mod disk;
pub mod guest;
mod hardware;
mod initramfs;
mod kept;
mod kernel;
mod modules;
mod moment;
mod nbd;
mod nvdimm;
mod packages;
mod power;
mod power_guest;
mod protocol;
mod qemu;
pub mod scenario;

pub use qemu::Accelerator;

use crate::cases::{self, Case};
use crate::host::{self, FsKind};
use crate::matrix;
use crate::mechanism::Mechanism;
use crate::report::terminal::Screen;
use crate::results::{ClauseResult, Results, own_spec};
use crate::select::Selection;
use board::{Board, News};
use boot::boot;
use cache::Cache;
use iomap_results::Verdict;
use iomap_results::{Kernel as Release, SCHEMA};
use kernel::Kernel;
use protocol::{Manifest, Run};
use qemu::{Attendance, Machine};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What to boot, and what to run there.
#[derive(Debug, clap::Args)]
pub struct Options {
    /// A package or version of Debian (6.12), a bzImage, or a build tree
    #[arg(long = "kernel", value_name = "KERNEL", required = true, num_args = 1..)]
    kernels: Vec<String>,
    /// The file systems to make [default: all]
    #[arg(long, value_enum, num_args = 1..)]
    fs: Vec<FsKind>,
    /// How a file gets into the state [default: all that mainline has]
    #[arg(long, value_enum, num_args = 1..)]
    mechanism: Vec<Mechanism>,
    /// Only these cases, as `run` takes them, or what happens in a scenario
    #[arg(long, value_name = "FILTER")]
    pub case: Option<String>,
    /// The memory of a guest, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(128..))]
    memory: u32,
    /// How many guests run at the same time [default: as many as there is room for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    guests: Option<u32>,
    /// How many seconds a guest may say nothing, while it boots or between cases
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
    /// Who executes the instructions of the guests
    #[arg(long, value_enum, default_value = "auto")]
    accelerator: Accelerator,
    /// Cut the power of the guests so many times, and look at the clauses about that only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..), conflicts_with_all = ["case", "interactive", "gdb"])]
    power_cuts: Option<u32>,
    /// What the moments of the cuts, and what is lost then, follow from [default: another one each time]
    #[arg(long, value_name = "NUMBER", requires = "power_cuts")]
    seed: Option<u64>,
    /// Keep in this directory what a cut left where it violates a clause, and say how to boot a guest with it
    #[arg(long, value_name = "DIR", requires = "power_cuts")]
    keep: Option<PathBuf>,
    /// A shell in one guest, with the suite and what it needs
    #[arg(long, conflicts_with = "gdb")]
    interactive: bool,
    /// Play a server and its client in a guest instead of running the suite, and say what came of each step
    #[arg(long, value_enum, conflicts_with_all = ["fs", "mechanism", "power_cuts", "interactive", "gdb"])]
    pub scenario: Option<scenario::Scenario>,
    /// Let one guest wait for a debugger before its first instruction
    #[arg(long)]
    gdb: bool,
}

/// The document of `lab --format json`.
pub type Document = crate::results::Lab;

/// What one guest has to do.
struct Job {
    kernel: Kernel,
    accelerator: Accelerator,
    fs: FsKind,
    runs: Vec<Run>,
    /// Where its runs begin in the document.
    place: usize,
}

impl Job {
    fn label(&self) -> String {
        format!("{} {}", self.kernel.release, self.fs.name())
    }
}

/// Boots the kernels and runs the suite there. `write` gets the document at once, with nothing but errors, and then
/// whenever a guest has ended: whatever happens, what was found out so far has been written. An error is one line for
/// people, and means that no guest was started.
pub fn run(options: &Options, write: &(dyn Fn(&Document) -> Result<(), String> + Sync)) -> Result<Document, String> {
    let cache = prepare(options)?;
    let jobs = jobs(options, &cache)?;
    let runs = jobs.iter().flat_map(|job| job.runs.iter().map(|run| failed(run, &job.kernel.release, NOT_ENDED)));
    let document = Mutex::new(Document { schema: SCHEMA, runs: runs.collect() });
    let lock = || document.lock().unwrap_or_else(PoisonError::into_inner);
    write(&lock())?;
    let memory = options.memory + jobs.iter().map(|job| hardware::pmem(&equipment(job, options))).max().unwrap_or(0);
    let guests = options.guests.map_or_else(|| room(memory), |guests| guests as usize).min(jobs.len());
    let (queue, board) = (Mutex::new(VecDeque::from(jobs)), Board::new());
    std::thread::scope(|scope| {
        for _ in 0..guests {
            scope.spawn(|| {
                while let Some(job) = { queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() } {
                    let results = carry_out(&job, options, &cache, &board);
                    board.forget(&job.label());
                    let mut document = lock();
                    document.runs.splice(job.place..job.place + job.runs.len(), results);
                    if let Err(why) = write(&document) {
                        eprintln!("{why}");
                    }
                }
            });
        }
    });
    Ok(document.into_inner().unwrap_or_else(PoisonError::into_inner))
}

const NOT_ENDED: &str = "the guest has not ended";

/// A shell in a guest, at this terminal.
pub fn interact(options: &Options) -> Result<(), String> {
    let cache = prepare(options)?;
    let jobs = jobs(options, &cache)?;
    let job = jobs.first().ok_or("nothing to run")?;
    let initramfs = shell(job, options, job.runs.clone(), &cache)?;
    let console = PathBuf::new();
    let machine = machine(job, options, &initramfs, &console, Attendance::Terminal);
    eprintln!("{}\n`exit` ends the guest, Ctrl-A X ends QEMU.", machine.line());
    machine.command().status().map(drop).map_err(|e| format!("{}: {e}", qemu::QEMU))
}

/// What a guest starts with that has a shell.
fn shell(job: &Job, options: &Options, runs: Vec<Run>, cache: &Cache) -> Result<PathBuf, String> {
    let manifest = Manifest { shell: Some("/bin/bash".into()), runs, ..Manifest::default() };
    let tools = TOOLS.iter().filter_map(|name| host::program(name));
    initramfs(job, options, &manifest, tools.collect(), cache)
}

/// The table of each kernel, and below them what is not as expected.
pub fn human(options: &Options, document: &Document, screen: Screen) -> String {
    if options.power_cuts.is_some() {
        return aftermath::human(document);
    }
    format!("{}\n{}", matrix::human(&document.runs, screen), matrix::trouble(&document.runs)).trim_end().to_owned()
        + "\n"
}

/// What a person may want in a guest, as far as this machine has it.
const TOOLS: [&str; 32] = [
    "bash", "cat", "chattr", "cp", "dd", "df", "dmesg", "filefrag", "grep", "head", "hexdump", "ln", "losetup", "ls",
    "lsattr", "mkdir", "mkswap", "mount", "ps", "rm", "setsid", "sleep", "stat", "strace", "swapoff", "swapon", "sync",
    "tail", "touch", "truncate", "umount", "xfs_io",
];

fn without_programs(fs: FsKind) -> Option<String> {
    host::without_programs(fs).map(|what| format!("the lab needs {what}"))
}

fn prepare(options: &Options) -> Result<Cache, String> {
    let lasting = options.file_systems().into_iter().find(|fs| !power::FILE_SYSTEMS.contains(fs));
    if let (Some(fs), Some(_)) = (lasting, options.power_cuts) {
        return Err(format!("{} is on nothing that can lose what was not flushed", fs.name()));
    }
    let adapter = || options.wants_adapter().then(hardware::without_programs).flatten();
    let missing = qemu::missing().or_else(|| options.file_systems().into_iter().find_map(without_programs));
    missing.or_else(adapter).map_or(Ok(()), Err)?;
    kept::prepare(options)?;
    Cache::open()
}

impl Options {
    /// Whether somebody sits before the guest.
    pub fn is_interactive(&self) -> bool {
        self.interactive
    }

    fn file_systems(&self) -> Vec<FsKind> {
        match (self.fs.is_empty(), self.power_cuts) {
            (true, None) => FsKind::ALL.to_vec(),
            (true, Some(_)) => power::FILE_SYSTEMS.to_vec(),
            (false, _) => self.fs.clone(),
        }
    }

    /// Whether a case is to run that works with the RDMA adapter, which takes a second or two to set up.
    fn wants_adapter(&self) -> bool {
        let all: Vec<&Case> = cases::all().collect();
        let chosen = Selection::of(self.case.as_deref()).among(&all);
        self.power_cuts.is_none() && chosen.iter().any(|case| case.full_name().contains("rdma"))
    }

    fn runs(&self, fs: FsKind) -> Vec<Run> {
        let all = [Mechanism::Swapfile, Mechanism::ImmutableAttr, Mechanism::F2fsPin, Mechanism::DeviceDax];
        let mechanisms = if self.mechanism.is_empty() { &all[..] } else { &self.mechanism };
        mechanisms
            .iter()
            .filter(|mechanism| mechanism.fits(fs))
            .map(|mechanism| Run { fs: fs.name().into(), mechanism: mechanism.name().into() })
            .collect()
    }
}

fn jobs(options: &Options, cache: &Cache) -> Result<Vec<Job>, String> {
    let (mut jobs, mut place) = (Vec::new(), 0);
    for name in &options.kernels {
        let kernel = Kernel::find(name, cache)?;
        let accelerator = qemu::choose(options.accelerator, &kernel, cache)?;
        for fs in options.file_systems() {
            let runs = options.runs(fs);
            if runs.is_empty() {
                continue;
            }
            let next = place + runs.len();
            jobs.push(Job { kernel: kernel.clone(), accelerator, fs, runs, place });
            place = next;
        }
    }
    if jobs.is_empty() {
        return Err("none of the file systems has this mechanism".into());
    }
    Ok(jobs)
}

/// How many guests fit: by processors, and by three quarters of the memory that is free.
fn room(memory: u32) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let table = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free: usize = free.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    processors.min(free / 1024 * 3 / 4 / memory.max(1) as usize).max(1)
}

fn carry_out(job: &Job, options: &Options, cache: &Cache, board: &Board) -> Vec<Results> {
    if let Some(cuts) = options.power_cuts {
        return power::carry_out(job, options, cache, board, cuts, options.seed.unwrap_or_else(|| fastrand::u64(..)));
    }
    let (label, begin) = (job.label(), Instant::now());
    let listener = |news: News| board.tell(&label, begin, news);
    let ended = start(job, options, cache, &listener);
    let lost = |why: &String| job.runs.iter().map(|run| failed(run, &job.kernel.release, why)).collect();
    match ended {
        Ok(results) => results,
        Err(why) => {
            listener(News::Event(&why));
            lost(&why)
        }
    }
}

fn start(job: &Job, options: &Options, cache: &Cache, listener: &boot::Listener) -> Result<Vec<Results>, String> {
    let manifest = Manifest { runs: job.runs.clone(), filter: options.case.clone(), ..Manifest::default() };
    let initramfs = initramfs(job, options, &manifest, Vec::new(), cache)?;
    cache.prune("consoles", 64)?;
    let name = format!("{}-{}.log", job.label().replace(' ', "-"), std::process::id());
    let console = cache.directory("consoles")?.join(name);
    let attendance = if options.gdb { Attendance::Debugger } else { Attendance::Batch };
    let machine = machine(job, options, &initramfs, &console, attendance);
    listener(News::Starts(&machine.line()));
    let mut patience = Duration::from_secs(options.patience);
    if options.gdb {
        let symbols = job.kernel.symbols.as_ref().map_or("VMLINUX".into(), |path| path.display().to_string());
        eprintln!("gdb {symbols} -ex 'target remote :1234'");
        patience = Duration::from_secs(7 * 24 * 3600);
    }
    let ended = boot(&machine, &job.runs, patience, listener);
    if let Some((why, tail)) = &ended.trouble {
        listener(News::Event(&format!("{why}\n{tail}  {}", console.display())));
    }
    Ok(ended.results)
}

/// What the guests of a job have.
fn equipment(job: &Job, options: &Options) -> Vec<&'static hardware::Hardware> {
    let adapter = options.wants_adapter().then_some(&hardware::RDMA);
    hardware::of(job.fs, options.power_cuts.is_some()).into_iter().chain(adapter).collect()
}

fn initramfs(
    job: &Job,
    options: &Options,
    manifest: &Manifest,
    mut programs: Vec<PathBuf>,
    cache: &Cache,
) -> Result<PathBuf, String> {
    let hardware = equipment(job, options);
    let modules = hardware::modules(&hardware, &job.kernel, job.fs)?;
    programs.extend(hardware::programs(&hardware, job.fs));
    let manifest = Manifest { commands: hardware::commands(&hardware), ..manifest.clone() };
    initramfs::get(cache, &modules, &programs, None, &manifest)
}

fn machine<'a>(
    job: &'a Job,
    options: &Options,
    initramfs: &'a std::path::Path,
    console: &'a std::path::Path,
    attendance: Attendance,
) -> Machine<'a> {
    let (memory, hardware) = (options.memory, equipment(job, options));
    let disks = Vec::new();
    Machine {
        kernel: &job.kernel,
        initramfs,
        accelerator: job.accelerator,
        memory,
        console,
        attendance,
        hardware,
        disks,
    }
}

/// The document of a run of which nothing is known but why.
fn failed(run: &Run, release: &str, why: &str) -> Results {
    let mut results = untested(run, release);
    for clause in &mut results.clauses {
        (clause.verdict, clause.reason) = (Verdict::Error, Some(why.into()));
    }
    results.count_again();
    results
}

/// The document of a run in which nothing was looked at.
fn untested(run: &Run, release: &str) -> Results {
    let clause = |id: &str| ClauseResult {
        id: id.into(),
        verdict: Verdict::Untested,
        expected: None,
        reason: None,
        cases: Vec::new(),
    };
    let clauses: Vec<ClauseResult> = iomap_clauses::ALL.iter().map(|known| clause(known.id)).collect();
    Results {
        schema: SCHEMA,
        spec: own_spec(),
        target: "lab".into(),
        mechanism: run.mechanism.clone(),
        fs: run.fs.clone(),
        kernel: Release { release: release.into() },
        started: None,
        not_offered: None,
        kernel_log: Vec::new(),
        totals: BTreeMap::from([(Verdict::Untested, clauses.len())]),
        clauses,
    }
}
