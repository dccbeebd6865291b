//! The lab from its start to its end: it boots each kernel with each file system, or one guest for a person.

use crate::error::{Error, Result};
use crate::filesystem::FsKind;
use crate::lab::board::{Board, News};
use crate::lab::cache::Cache;
use crate::lab::document::{LabDocument, failed};
use crate::lab::job::{Job, jobs};
use crate::lab::machine::kernel::Source;
use crate::lab::machine::qemu::{self, Attendance};
use crate::lab::machine::{hardware, layout};
use crate::lab::options::{Cuts, Options, Part};
use crate::lab::power::{self, kept};
use crate::lab::suite;
use crate::report::matrix;
use crate::report::terminal::Screen;
use crate::results::Results;
use crate::target;
use clap::ValueEnum;
use clap::builder::PossibleValue;
use iomap_command::{count, tell_line};
use iomap_results::Shard;
use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The reason in the document for a run whose guest has not ended yet.
const NOT_ENDED: &str = "the guest has not ended";

/// Boots the kernels and runs the suite there. `write` gets the document at the start, with errors only, and again
/// after the end of each guest, so that a lab that is killed loses no results. An error means that no guest was
/// started.
pub(crate) fn run(options: &Options, write: &(dyn Fn(&LabDocument) -> Result<()> + Sync)) -> Result<LabDocument> {
    let cache = prepare(options)?;
    let (jobs, document) = part(options, jobs(options, &cache)?)?;
    let document = Mutex::new(document);
    let lock = || document.lock().unwrap_or_else(PoisonError::into_inner);
    write(&lock())?;
    let memory = options.memory + jobs.iter().map(|job| hardware::pmem(&job.hardware(options))).max().unwrap_or(0);
    let guests = options.guests.map_or_else(|| guests_for(memory), |guests| guests as usize).min(jobs.len());
    let (queue, board) = (Mutex::new(VecDeque::from(jobs)), Board::default());
    std::thread::scope(|scope| {
        for _ in 0..guests {
            scope.spawn(|| {
                while let Some(job) = { queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front() } {
                    let results = carry_out(&job, options, &cache, &board);
                    board.forget(&job.label());
                    let mut document = lock();
                    document.runs.splice(job.place..job.place + job.runs.len(), results);
                    document.unfinished -= 1;
                    if let Err(reason) = write(&document) {
                        tell_line(format_args!("{reason}"));
                    }
                }
            });
        }
    });
    Ok(document.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The guests of the part of the work that the options name, and the document before the first of them ends.
fn part(options: &Options, all: Vec<Job>) -> Result<(Vec<Job>, LabDocument)> {
    let runs_of = |jobs: &[Job]| -> Vec<Results> {
        let of_job = |job: &Job| job.runs.iter().map(|run| failed(run, &job.kernel.identity, NOT_ENDED)).collect();
        jobs.iter().map(of_job).collect::<Vec<Vec<Results>>>().concat()
    };
    let (mut jobs, mut shard) = (all, None);
    if let Some(Part { number, of }) = options.shard {
        if of > jobs.len() {
            return Err(format!("--shard {number}/{of}: the work is for {} only", count(jobs.len(), "guest")).into());
        }
        shard = Some(Shard::new(number, of, &runs_of(&jobs)));
        jobs = jobs.into_iter().skip(number - 1).step_by(of).collect();
        let mut place = 0;
        for job in &mut jobs {
            job.place = place;
            place += job.runs.len();
        }
    }
    let document = LabDocument { shard, unfinished: jobs.len(), ..LabDocument::new(runs_of(&jobs)) };
    Ok((jobs, document))
}

/// Runs a shell in a guest, at this terminal.
pub(crate) fn interact(options: &Options) -> Result<()> {
    let cache = prepare(options)?;
    let jobs = jobs(options, &cache)?;
    let job = jobs.first().ok_or("nothing to run")?;
    let initramfs = job.shell(options, job.runs.first().copied(), &cache)?;
    let machine = job.machine(options, &initramfs, Path::new("")).attended(Attendance::Terminal);
    tell_line(format_args!("{}\n`exit` ends the guest, Ctrl-A X ends QEMU.", machine.line()));
    machine.command().status().map(drop).map_err(|e| Error::about(qemu::QEMU, e))
}

/// The table for each kernel, and below it each unexpected verdict.
pub(crate) fn human(options: &Options, document: &LabDocument, screen: Screen) -> String {
    if options.power_cuts.is_some() {
        return power::human::human(document);
    }
    format!("{}\n{}", matrix::human(&document.runs, screen), matrix::trouble(&document.runs)).trim_end().to_owned()
        + "\n"
}

/// The work that the options describe, a line for each guest. Nothing is downloaded, made or started.
pub(crate) fn plan(options: &Options) -> Result<String> {
    check(options)?;
    let (mut lines, mut guests) = (String::new(), 0);
    for name in &options.kernels {
        let source = Source::of(name)?;
        lines += &format!("{name}: {source}\n");
        let releases = match source {
            Source::Directory => layout::kernels(Path::new(name))
                .map_err(|e| Error::about(name, e))?
                .into_iter()
                .map(|found| found.release + " ")
                .collect(),
            _ => vec![String::new()],
        };
        for release in releases {
            let mut guest = |about: String| {
                guests += 1;
                lines += &format!("  {release}{about}\n");
            };
            if let Some(scenario) = options.scenario {
                guest(format!(
                    "scenario {}",
                    scenario.to_possible_value().as_ref().map_or("", PossibleValue::get_name)
                ));
                continue;
            }
            for fs in options.file_systems() {
                let mechanisms: Vec<&str> = options.runs(fs).iter().map(|run| run.mechanism.name()).collect();
                match options.power_cuts {
                    _ if mechanisms.is_empty() => (),
                    Some(Cuts::Chosen(cuts)) => guest(format!(
                        "{}: {}, {} each",
                        fs.name(),
                        mechanisms.join(", "),
                        count(cuts as usize, "power cut")
                    )),
                    Some(Cuts::Each) => {
                        guest(format!("{}: {}, a power cut at each write", fs.name(), mechanisms.join(", ")))
                    }
                    None => guest(format!("{}: {}", fs.name(), mechanisms.join(", "))),
                }
            }
        }
    }
    let places = options.guests.map_or_else(|| guests_for(options.memory), |guests| guests as usize).min(guests);
    Ok(format!("{lines}{}, {places} at the same time, with {} MiB each\n", count(guests, "guest"), options.memory))
}

/// Checks that everything that the guests need is installed, before the first guest starts.
fn prepare(options: &Options) -> Result<Cache> {
    check(options)?;
    kept::prepare(options)?;
    options.open_cache()
}

fn check(options: &Options) -> Result<()> {
    let file_systems = options.file_systems();
    if let Some(cuts) = options.power_cuts
        && let Some(fs) = file_systems.iter().find(|fs| !cuts.spare(**fs))
    {
        let lack = match hardware::survivor(*fs) {
            Some(_) => "stores to memory, which are no requests: --power-cuts N",
            None => "is on nothing that can lose what was not flushed",
        };
        return Err(format!("{} {lack}", fs.name()).into());
    }
    let without_programs =
        |fs: FsKind| target::host::without_programs(fs).map(|missing| format!("the lab needs {missing}"));
    let adapter = || options.wants_adapter().then(hardware::without_programs).flatten();
    let missing = qemu::missing().or_else(|| file_systems.into_iter().find_map(without_programs)).or_else(adapter);
    missing.map_or(Ok(()), |missing| Err(Error::from(missing)))
}

/// The number of guests that fit, by processors and by three quarters of the free memory.
fn guests_for(memory: u32) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let table = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let free = table.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let free: usize = free.and_then(|text| text.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0);
    processors.min(free / 1024 * 3 / 4 / memory.max(1) as usize).max(1)
}

fn carry_out(job: &Job, options: &Options, cache: &Cache, board: &Board) -> Vec<Results> {
    if let Some(cuts) = options.power_cuts {
        let seed = options.seed.unwrap_or_else(|| fastrand::u64(..));
        return power::cuts::carry_out(job, options, cache, board, cuts, seed);
    }
    let (label, begin) = (job.label(), Instant::now());
    let listener = |news: News| board.tell(&label, begin, news);
    suite::carry_out(job, options, cache, &listener).unwrap_or_else(|error| {
        let reason = error.to_string();
        listener(News::Milestone(&reason));
        job.runs.iter().map(|run| failed(run, &job.kernel.identity, &reason)).collect()
    })
}
