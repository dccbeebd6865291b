//! Power cuts: a guest works on files until its disk stops answering and QEMU is killed. The next guest examines each
//! state in which the disk may be.
//!
//! A guest reports the beginning and the return of each action. It continues only after its message has left, so the
//! lab knows which actions had returned at the moment of the cut.

use crate::error::{Error, Result};
use crate::lab::board::{Board, Listener, News};
use crate::lab::cache::Cache;
use crate::lab::job::Job;
use crate::lab::machine::hardware::{Survivor, survivor};
use crate::lab::machine::session::{Session, Silence, attend};
use crate::lab::machine::{console, nvdimm};
use crate::lab::options::{Cuts, Options};
use crate::lab::plans::{FILES, Plans, WORK, left};
use crate::lab::power::disk::{CrashState, Disk, copy};
use crate::lab::power::findings::Findings;
use crate::lab::power::kept::Shelf;
use crate::lab::power::moment::{Chance, Moment, Pace, is_uncommitted};
use crate::lab::power::nbd::{Export, Server};
use crate::lab::power::story::{Story, stories, within};
use crate::lab::protocol::{Message, PowerEvent, Remains, Run, Work};
use crate::results::Results;
use crate::target::found;
use iomap_command::tell_line;
use iomap_results::LogLine;
use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The messages from one guest.
#[derive(Default)]
pub(super) struct Visit {
    /// The states in which the guest found the storage after earlier cuts, by the number of the disk.
    left: Vec<Option<Remains>>,
    /// The events of its own work, each with the time of its arrival.
    pub(super) events: Vec<(Instant, PowerEvent)>,
    /// The time of its own cut.
    gone: Option<Instant>,
}

/// A power cut whose storage has not been examined yet.
pub(super) struct Wreck {
    /// The number that tells it from the other cuts of a run.
    seed: u64,
    /// The option that repeats it.
    repeat: String,
    states: Vec<CrashState>,
    stories: Vec<Story>,
    /// The disks for the next guest, one for each state. The guest changes them.
    pub(super) disks: Vec<Export>,
    /// The persistent memory for the next guest, if there is no disk.
    memory: Option<File>,
    untouched: Untouched,
}

impl Visit {
    /// The actions on each file before the cut.
    fn stories(&self) -> Vec<Story> {
        stories(&self.events, self.gone.unwrap_or_else(Instant::now))
    }
}

/// An untouched copy of the storage after a cut.
enum Untouched {
    Disk(Arc<Disk>),
    Memory(File),
    /// No copy is needed.
    Nothing,
}

impl Wreck {
    /// The disks in each state that a cut that the seed chose may have left.
    fn of_disk(chance: Chance, stories: Vec<Story>, disk: Arc<Disk>) -> Result<Self> {
        let Chance { seed, states, .. } = chance;
        Self::of_disks((seed, repeat(seed)), states, stories, disk, 0)
    }

    /// The disks in each of these states. In the next guest they have numbers from `first` on.
    pub(super) fn of_disks(
        (seed, repeat): (u64, String),
        states: Vec<CrashState>,
        stories: Vec<Story>,
        disk: Arc<Disk>,
        first: usize,
    ) -> Result<Self> {
        let mut disks = Vec::new();
        for (number, state) in (first..).zip(&states) {
            let disk = disk.left(*state).and_then(Disk::durable).map_err(no_disk)?;
            disks.push((left(number), Arc::new(disk)));
        }
        Ok(Self { seed, repeat, states, stories, disks, memory: None, untouched: Untouched::Disk(disk) })
    }
}

/// The options that repeat a cut that a seed chose.
fn repeat(seed: u64) -> String {
    format!("--power-cuts 1 --seed {seed}")
}

pub(super) fn no_disk(error: std::io::Error) -> Error {
    Error::about(format!("no disk in {}", std::env::temp_dir().display()), error)
}

/// Cuts the power in each run of a job.
pub(crate) fn carry_out(
    job: &Job,
    options: &Options,
    cache: &Cache,
    board: &Board,
    cuts: Cuts,
    seed: u64,
) -> Vec<Results> {
    let results = |run: &Run| {
        let begin = Instant::now();
        let label = format!("{} {}/{}", job.kernel.release(), run.fs.name(), run.mechanism.name());
        let listener = |news: News| board.tell(&label, begin, news);
        let mut findings = Findings::new(run.fs, run.mechanism, seed);
        let guests = Guests::new(job, run, options, cache, &listener);
        let explored = guests.and_then(|guests| match (survivor(run.fs), cuts) {
            (Some(Survivor::Memory), Cuts::Chosen(cuts)) => guests.explore_memory(cuts, &mut findings),
            (Some(Survivor::Disk), Cuts::Chosen(cuts)) => guests.explore_disks(cuts, &mut findings),
            (Some(Survivor::Disk), Cuts::Each) => guests.explore_each(&mut findings),
            (Some(Survivor::Memory), Cuts::Each) | (None, _) => {
                Err(format!("no storage of {} survives such a cut", run.fs.name()).into())
            }
        });
        let trouble = explored.err().map(|reason| reason.to_string());
        trouble.iter().for_each(|reason| listener(News::Milestone(reason)));
        board.forget(&label);
        findings.results(run, &job.kernel.identity, trouble, begin.elapsed())
    };
    job.runs.iter().map(results).collect()
}

/// The guests of one run.
pub(super) struct Guests<'a> {
    pub(super) job: &'a Job,
    options: &'a Options,
    initramfs: PathBuf,
    console: PathBuf,
    pub(super) listener: &'a Listener<'a>,
    shelf: Option<Shelf<'a>>,
}

/// The work of a guest on storage of its own.
#[derive(Clone, Copy)]
pub(super) enum Task<'a> {
    /// Until its power is cut at a moment, and the disk that is cut off. Without a disk, only the time counts.
    UntilCut(Moment, Option<&'a Disk>),
    /// To its end.
    Whole,
}

impl<'a> Guests<'a> {
    fn new(job: &'a Job, run: &Run, options: &'a Options, cache: &Cache, listener: &'a Listener<'a>) -> Result<Self> {
        let initramfs = job.initramfs(options, Work::Power(*run), cache)?;
        let console = console::place(cache, &[job.kernel.release(), run.fs.name(), run.mechanism.name()])?;
        let shelf = Shelf::new(job, run, options, cache)?;
        Ok(Self { job, options, initramfs, console, listener, shelf })
    }

    /// Compares the storage that a guest found with the actions before the cut, and keeps the storage if there are
    /// faults.
    fn compare<'f>(
        &self,
        wreck: &Wreck,
        found: &mut impl Iterator<Item = &'f Option<Remains>>,
        findings: &mut Findings,
    ) -> Result<()> {
        for state in &wreck.states {
            match found.next().and_then(Option::as_ref) {
                Some(Remains::Files(files)) => {
                    let faults = findings.add(&wreck.repeat, *state, &wreck.stories, files);
                    if !faults.is_empty() {
                        let of = |(clause, files): (&&str, &Vec<usize>)| {
                            let files: Vec<String> = files.iter().map(usize::to_string).collect();
                            format!("{clause} (files {})", files.join(", "))
                        };
                        self.keep(wreck, *state, &faults.iter().map(of).collect::<Vec<_>>().join(", "))?;
                    }
                }
                Some(Remains::Unmountable(reason)) => {
                    self.keep(wreck, *state, reason)?;
                    return Err(format!("{reason}, after {}", wreck.repeat).into());
                }
                None => return Err("the guest did not see its disks".into()),
            }
        }
        findings.end_cut(&wreck.stories);
        Ok(())
    }

    /// Keeps the storage after a cut in one state, if `--keep` is used.
    fn keep(&self, wreck: &Wreck, state: CrashState, reason: &str) -> Result<()> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        let keep = |left: &File| shelf.keep(wreck.seed, state, left, reason);
        let said = match &wreck.untouched {
            Untouched::Disk(disk) => keep(&disk.left(state).map_err(no_disk)?)?,
            Untouched::Memory(memory) => keep(memory)?,
            Untouched::Nothing => return Ok(()),
        };
        (self.listener)(News::Milestone(&said));
        Ok(())
    }

    /// Keeps the storage after a cut in all states, because the guest that examined it failed.
    fn keep_all(&self, wrecks: &[Wreck], reason: &str) -> Result<()> {
        wrecks.iter().try_for_each(|wreck| wreck.states.iter().try_for_each(|state| self.keep(wreck, *state, reason)))
    }

    /// Cuts the power of guests with disks. Each guest examines the disks of the guest before it, and then loses its
    /// own power. The last guest only examines.
    fn explore_disks(&self, cuts: u32, findings: &mut Findings) -> Result<()> {
        let blank = found::image(self.job.fs)?;
        let mut wreck: Option<Wreck> = None;
        for number in 0..=cuts {
            let chance = self.chance(number, findings);
            let work = (number < cuts).then(|| Disk::volatile(&blank).map(Arc::new)).transpose().map_err(no_disk)?;
            let mut disks = wreck.as_ref().map_or_else(Vec::new, |wreck| wreck.disks.clone());
            disks.extend(work.iter().map(|disk| (WORK.to_owned(), disk.clone())));
            let task = work.as_deref().map(|disk| Task::UntilCut(chance.moment, Some(disk)));
            let visit = self.boot(disks, &[], task, wreck.as_slice(), findings)?;
            let Some(disk) = work else { break };
            let flushes = disk.flushes();
            if flushes == 0 {
                return Err("the guest never had its disk flush".into());
            }
            let stories = visit.stories();
            self.tell(number, cuts, &chance, &stories, &stories, &format!(", {flushes} flushes"));
            wreck = Some(Wreck::of_disk(chance, stories, disk)?);
        }
        Ok(())
    }

    /// Cuts the power of guests with persistent memory. Each guest gets the memory of the guest before it.
    fn explore_memory(&self, cuts: u32, findings: &mut Findings) -> Result<()> {
        let mut wreck: Option<Wreck> = None;
        for number in 0..=cuts {
            let chance = self.chance(number, findings);
            let work = (number < cuts).then(nvdimm::blank).transpose()?;
            let modules: Vec<String> =
                wreck.iter().flat_map(|wreck| &wreck.memory).chain(&work).map(nvdimm::path).collect();
            let task = work.as_ref().map(|_| Task::UntilCut(chance.moment, None));
            let visit = self.boot(Vec::new(), &modules, task, wreck.as_slice(), findings)?;
            let Some(memory) = work else { break };
            let stories = visit.stories();
            self.tell(number, cuts, &chance, &stories, &stories[..FILES], "");
            let untouched = match self.shelf {
                Some(_) => Untouched::Memory(copy(&memory).map_err(no_disk)?),
                None => Untouched::Nothing,
            };
            let Chance { seed, states, .. } = chance;
            let (repeat, memory) = (repeat(seed), Some(memory));
            wreck = Some(Wreck { seed, repeat, states, stories, disks: Vec::new(), memory, untouched });
        }
        Ok(())
    }

    /// Prints a line about a cut: its moment, and the work before it.
    fn tell(&self, number: u32, cuts: u32, chance: &Chance, stories: &[Story], counted: &[Story], more: &str) {
        let (cut, seed, within) = (number + 1, chance.seed, within(stories));
        let files = counted.iter().filter(|story| story.returned > 0).count();
        let text = format!("cut {cut} of {cuts} (--seed {seed}){within}: {files} files{more} before");
        (self.listener)(News::Milestone(&text));
    }

    fn chance(&self, number: u32, findings: &Findings) -> Chance {
        Chance::of(findings.seed.wrapping_add(number.into()), self.job.fs, findings.plans)
    }

    /// Boots a guest. It examines the storage after earlier cuts, and then works, if it has a task.
    pub(super) fn boot(
        &self,
        disks: Vec<Export>,
        modules: &[String],
        task: Option<Task>,
        wrecks: &[Wreck],
        findings: &mut Findings,
    ) -> Result<Visit> {
        let server = Server::start(disks.clone()).map_err(|e| Error::about("no socket for the disks", e))?;
        let mut machine = self.job.machine(self.options, &self.initramfs, &self.console);
        machine.disks = disks.iter().flat_map(|(name, _)| server.arguments(name)).collect();
        machine.disks.extend(nvdimm::arguments(self.options.memory, modules, nvdimm::Backing::Shared));
        if findings.cuts == 0 {
            (self.listener)(News::Starts(&machine.line()));
        }
        let plans = findings.plans;
        let (visit, said) = attend(&machine, self.options.patience(), |session| visit(session, plans, task));
        let alarms = console::alarms(&said).into_iter().map(|text| LogLine { text, during: Vec::new() });
        findings.alarms.extend(alarms);
        disks.iter().find_map(|(_, disk)| disk.trouble()).map_or(Ok(()), |trouble| Err(Error::from(trouble)))?;
        let visit = visit.map_err(|reason| {
            tell_line(format_args!("{}  {}", console::tail(&said), self.console.display()));
            console::end(&said).map_or(reason, Error::from)
        });
        if let Err(reason) = &visit {
            self.keep_all(wrecks, &reason.to_string())?;
        }
        let visit = visit?;
        let mut found = visit.left.iter();
        wrecks.iter().try_for_each(|wreck| self.compare(wreck, &mut found, findings))?;
        Ok(visit)
    }
}

/// Listens to a guest until its power is cut, or until its end if it has no task.
fn visit(session: &mut Session, plans: Plans, task: Option<Task>) -> std::result::Result<Visit, Silence> {
    let (mut visit, mut pace) = (Visit::default(), Pace::default());
    let mut events: Vec<(Instant, PowerEvent)> = Vec::new();
    loop {
        let (at, event) = match session.hear()? {
            (_, Message::Failed(_, reason)) => return Err(reason.into()),
            (_, Message::Done) if task.is_none() => return Ok(visit),
            (_, Message::Power(PowerEvent::Left(number, found))) => {
                visit.left.resize_with(visit.left.len().max(number + 1), || None);
                visit.left[number] = Some(found);
                continue;
            }
            (at, Message::Power(event)) => (at, event),
            _ => continue,
        };
        if matches!((task, &event), (Some(Task::Whole), PowerEvent::Worked)) {
            session.cut_power();
            return Ok(Visit { events, ..visit });
        }
        let disk = if let Some(Task::UntilCut(_, disk)) = task { disk } else { None };
        pace.note(plans, at, disk.map_or(0, Disk::requests), &event);
        events.push((at, event));
        if let Some(Task::UntilCut(moment, disk)) = task
            && moment.is_near(&events)
        {
            let (requests, time) = moment.limits(plans, &pace);
            let at_latest = time.saturating_sub(at.elapsed());
            let gone = disk.map(|disk| disk.cut(requests, at_latest));
            let end = Instant::now() + if disk.is_some() { Duration::ZERO } else { at_latest };
            let rest = || end.saturating_duration_since(Instant::now());
            while let Ok((at, Message::Power(event))) = session.hear_within(rest()) {
                events.push((at, event));
            }
            // Wait until there are uncommitted changes, so that the cut can lose some.
            while moment.wants_controls() && disk.is_none() && !is_uncommitted(&events) {
                let (at, Message::Power(event)) = session.hear()? else { break };
                events.push((at, event));
            }
            session.cut_power();
            while let Ok((at, Message::Power(event))) = session.hear() {
                events.push((at, event));
            }
            // An event that was reported before QEMU ended has happened: the memory of the guest ended with QEMU.
            return Ok(Visit { events, gone: Some(gone.unwrap_or_else(Instant::now)), ..visit });
        }
    }
}
