//! Losses of power for real: a guest works on files until its disk takes nothing any more and QEMU is killed; the next
//! one looks at what the disk may have left.
//!
//! What the guest says through the port before and after each step has left it before the step goes on, so the lab knows
//! what was acknowledged at the moment of the cut.

use super::aftermath::{Findings, Story, stories, within};
use super::board::{Board, News};
use super::boot::{self, Line, Listener};
use super::cache::Cache;
use super::disk::{Disk, Loss, copy};
use super::kept::Shelf;
use super::moment::{Chance, Moment, Pace, is_uncommitted};
use super::nbd::{Export, Server};
use super::nvdimm;
use super::power_guest::{FILES, Plans, WORK, left};
use super::protocol::{Event, Left, Manifest, Message, Run};
use super::qemu::Attendance;
use super::{Job, Options, console, initramfs, machine};
use crate::host::{FsKind, found};
use crate::mechanism::Mechanism;
use crate::results::Results;
use clap::ValueEnum;
use iomap_results::LogLine;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// The file systems that lie on a disk which can lose what was not flushed, or on memory which outlives its guest.
pub(super) const FILE_SYSTEMS: [FsKind; 6] =
    [FsKind::Xfs, FsKind::Ext4, FsKind::Btrfs, FsKind::F2fs, FsKind::XfsDax, FsKind::Ext4Dax];

/// What a guest did and found.
#[derive(Default)]
struct Visit {
    /// What the cut before left, by the number of the disk.
    left: Vec<Option<Left>>,
    /// What was acknowledged before the cut.
    stories: Vec<Story>,
}

/// A cut that nobody has looked at yet.
struct Wreck {
    chance: Chance,
    stories: Vec<Story>,
    /// What is there to look at. Who looks changes it.
    disks: Vec<Export>,
    memory: Option<File>,
    untouched: Untouched,
}

/// What a cut left, as it was left.
enum Untouched {
    Disk(Arc<Disk>),
    Memory(File),
    /// Nobody wants it.
    Nothing,
}

impl Wreck {
    /// What the disk has left, in each way in which it may have lost something.
    fn of_disk(chance: Chance, stories: Vec<Story>, disk: Arc<Disk>) -> Result<Self, String> {
        let mut disks = Vec::new();
        for (number, loss) in chance.losses.iter().enumerate() {
            let disk = disk.left(*loss).and_then(Disk::durable).map_err(no_disk)?;
            disks.push((left(number), Arc::new(disk)));
        }
        Ok(Self { chance, stories, disks, memory: None, untouched: Untouched::Disk(disk) })
    }
}

fn no_disk(error: std::io::Error) -> String {
    format!("no disk in {}: {error}", std::env::temp_dir().display())
}

/// Cuts the power so many times in each run of a job.
pub(super) fn carry_out(
    job: &Job,
    options: &Options,
    cache: &Cache,
    board: &Board,
    cuts: u32,
    seed: u64,
) -> Vec<Results> {
    let run = |run: &Run| {
        let begin = Instant::now();
        let label = format!("{} {}/{}", job.kernel.release, run.fs, run.mechanism);
        let listener = |news: News| board.tell(&label, begin, news);
        let mechanism = Mechanism::from_str(&run.mechanism, false).unwrap_or(Mechanism::Seal);
        let mut findings = Findings::new(job.fs, mechanism, seed);
        let explored = Guests::new(job, run, options, cache, &listener).and_then(|guests| match job.fs.is_dax() {
            true => guests.explore_memory(cuts, &mut findings),
            false => guests.explore(cuts, &mut findings),
        });
        let trouble = explored.err();
        trouble.iter().for_each(|why| listener(News::Event(why)));
        board.forget(&label);
        findings.results(run, &job.kernel.release, trouble, begin.elapsed())
    };
    job.runs.iter().map(run).collect()
}

/// What the guests of a run have in common.
struct Guests<'a> {
    job: &'a Job,
    options: &'a Options,
    initramfs: PathBuf,
    console: PathBuf,
    listener: &'a Listener<'a>,
    shelf: Option<Shelf<'a>>,
}

impl<'a> Guests<'a> {
    fn new(
        job: &'a Job,
        run: &Run,
        options: &'a Options,
        cache: &Cache,
        listener: &'a Listener<'a>,
    ) -> Result<Self, String> {
        let manifest = Manifest { runs: vec![run.clone()], power: true, ..Manifest::default() };
        let initramfs = initramfs(job, options, &manifest, Vec::new(), cache)?;
        cache.prune("consoles", 64)?;
        let name = format!("{}-{}-{}.log", job.label().replace(' ', "-"), run.mechanism, std::process::id());
        let console = cache.directory("consoles")?.join(name);
        let shelf = Shelf::new(job, run, options, cache)?;
        Ok(Self { job, options, initramfs, console, listener, shelf })
    }

    /// Compares what a guest found of a cut with what had been acknowledged, and keeps what is not as it has to be.
    fn compare(&self, wreck: &Wreck, found: &[Option<Left>], findings: &mut Findings) -> Result<(), String> {
        let seed = wreck.chance.seed;
        for (number, loss) in wreck.chance.losses.iter().enumerate() {
            match found.get(number).and_then(Option::as_ref) {
                Some(Ok(looks)) => {
                    let faults = findings.add(seed, *loss, &wreck.stories, looks);
                    if !faults.is_empty() {
                        let of = |(clause, files): (&&str, &Vec<usize>)| format!("{clause} (files {files:?})");
                        self.keep(wreck, *loss, &faults.iter().map(of).collect::<Vec<_>>().join(", "))?;
                    }
                }
                Some(Err(why)) => {
                    self.keep(wreck, *loss, why)?;
                    return Err(format!("{why}, after --power-cuts 1 --seed {seed}"));
                }
                None => return Err("the guest did not see its disks".into()),
            }
        }
        findings.end_cut(&wreck.stories);
        Ok(())
    }

    fn keep(&self, wreck: &Wreck, loss: Loss, why: &str) -> Result<(), String> {
        let Some(shelf) = &self.shelf else { return Ok(()) };
        let keep = |left: &File| shelf.keep(wreck.chance.seed, loss, left, why);
        let said = match &wreck.untouched {
            Untouched::Disk(disk) => keep(&disk.left(loss).map_err(no_disk)?)?,
            Untouched::Memory(memory) => keep(memory)?,
            Untouched::Nothing => return Ok(()),
        };
        (self.listener)(News::Event(&said));
        Ok(())
    }

    /// Keeps all of a cut after which the guest that looked at it did not come to an end.
    fn keep_all(&self, wreck: Option<&Wreck>, why: &str) -> Result<(), String> {
        wreck
            .into_iter()
            .try_for_each(|wreck| wreck.chance.losses.iter().try_for_each(|loss| self.keep(wreck, *loss, why)))
    }

    /// One guest looks at what the one before it left, and loses its power itself. The last one only looks.
    fn explore(&self, cuts: u32, findings: &mut Findings) -> Result<(), String> {
        let blank = found::image(self.job.fs)?;
        let mut wreck: Option<Wreck> = None;
        for number in 0..=cuts {
            let chance = self.chance(number, findings);
            let work = (number < cuts).then(|| Disk::volatile(&blank).map(Arc::new)).transpose().map_err(no_disk)?;
            let mut disks = wreck.as_ref().map_or_else(Vec::new, |wreck| wreck.disks.clone());
            disks.extend(work.iter().map(|disk| (WORK.to_owned(), disk.clone())));
            let cut = work.as_deref().map(|disk| (chance.moment, Some(disk)));
            let visit = self.boot(disks, &[], cut, wreck.as_ref(), findings)?;
            if let Some(disk) = work {
                let (files, flushes) =
                    (visit.stories.iter().filter(|story| story.returned > 0).count(), disk.flushes());
                if flushes == 0 {
                    return Err("the guest never had its disk flush".into());
                }
                let (cut, seed) = (number + 1, chance.seed);
                let within = within(&visit.stories);
                let what =
                    format!("cut {cut} of {cuts} (--seed {seed}){within}: {files} files, {flushes} flushes before");
                (self.listener)(News::Event(&what));
                wreck = Some(Wreck::of_disk(chance, visit.stories, disk)?);
            }
        }
        Ok(())
    }

    /// The same with persistent memory, of which the next guest gets what the one before it left.
    fn explore_memory(&self, cuts: u32, findings: &mut Findings) -> Result<(), String> {
        let mut wreck: Option<Wreck> = None;
        for number in 0..=cuts {
            let chance = self.chance(number, findings);
            let work = (number < cuts).then(nvdimm::blank).transpose()?;
            let modules: Vec<String> =
                wreck.iter().flat_map(|wreck| &wreck.memory).chain(&work).map(nvdimm::path).collect();
            let cut = work.as_ref().map(|_| (chance.moment, None));
            let visit = self.boot(Vec::new(), &modules, cut, wreck.as_ref(), findings)?;
            let Some(memory) = work else { break };
            let files = visit.stories[..FILES].iter().filter(|story| story.returned > 0).count();
            let (cut, seed, within) = (number + 1, chance.seed, within(&visit.stories));
            (self.listener)(News::Event(&format!("cut {cut} of {cuts} (--seed {seed}){within}: {files} files before")));
            let untouched = match self.shelf {
                Some(_) => Untouched::Memory(copy(&memory).map_err(no_disk)?),
                None => Untouched::Nothing,
            };
            wreck = Some(Wreck { chance, stories: visit.stories, disks: Vec::new(), memory: Some(memory), untouched });
        }
        Ok(())
    }

    fn chance(&self, number: u32, findings: &Findings) -> Chance {
        Chance::of(findings.seed.wrapping_add(number.into()), self.job.fs, findings.plans)
    }

    /// Boots a guest that looks at what an earlier one left, if there was one, and works until its power is cut, if it is
    /// to be.
    fn boot(
        &self,
        disks: Vec<Export>,
        modules: &[String],
        cut: Option<(Moment, Option<&Disk>)>,
        wreck: Option<&Wreck>,
        findings: &mut Findings,
    ) -> Result<Visit, String> {
        let console: &Path = &self.console;
        let server = Server::start(disks.clone()).map_err(|e| format!("no socket for the disks: {e}"))?;
        let mut machine = machine(self.job, self.options, &self.initramfs, console, Attendance::Batch);
        machine.disks = disks.iter().flat_map(|(name, _)| server.arguments(name)).collect();
        machine.disks.extend(nvdimm::arguments(self.options.memory, modules, nvdimm::Stores::Lasting));
        if findings.cuts == 0 {
            (self.listener)(News::Starts(&machine.line()));
        }
        let patience = Duration::from_secs(self.options.patience);
        let plans = findings.plans;
        let (visit, said) = boot::attend(&machine, |child| visit(child, patience, plans, cut));
        let alarms = console::alarms(&said).into_iter().map(|text| LogLine { text, during: Vec::new() });
        findings.alarms.extend(alarms);
        disks.iter().find_map(|(_, disk)| disk.trouble()).map_or(Ok(()), Err)?;
        let visit = visit.map_err(|why| {
            eprintln!("{}  {}", console::tail(&said), console.display());
            console::end(&said).unwrap_or(why)
        });
        if let Err(why) = &visit {
            self.keep_all(wreck, why)?;
        }
        let visit = visit?;
        wreck.map_or(Ok(()), |wreck| self.compare(wreck, &visit.left, findings))?;
        Ok(visit)
    }
}

/// Listens to a guest until its power is cut, or, if it is not to be, to its end.
fn visit(
    child: &mut Child,
    patience: Duration,
    plans: Plans,
    cut: Option<(Moment, Option<&Disk>)>,
) -> Result<Visit, Option<String>> {
    let lines = boot::lines(child);
    let (mut visit, mut pace) = (Visit::default(), Pace::default());
    let mut events: Vec<(Instant, Event)> = Vec::new();
    loop {
        let event = match hear(&lines, patience)? {
            (_, Message::Failed(_, why)) => return Err(Some(why)),
            (_, Message::Done) if cut.is_none() => return Ok(visit),
            (_, Message::Power(Event::Left(number, found))) => {
                visit.left.resize_with(visit.left.len().max(number + 1), || None);
                visit.left[number] = Some(found);
                continue;
            }
            (at, Message::Power(event)) => (at, event),
            _ => continue,
        };
        let (at, disk) = (event.0, cut.and_then(|(_, disk)| disk));
        pace.note(plans, at, disk.map_or(0, Disk::requests), &event.1);
        events.push(event);
        if let Some((moment, disk)) = cut
            && moment.is_near(&events)
        {
            let (requests, time) = moment.limits(plans, &pace);
            let at_latest = time.saturating_sub(at.elapsed());
            let gone = disk.map(|disk| disk.cut(requests, at_latest));
            let end = Instant::now() + if disk.is_some() { Duration::ZERO } else { at_latest };
            while let Ok((at, Message::Power(event))) = hear(&lines, end.saturating_duration_since(Instant::now())) {
                events.push((at, event));
            }
            // A cut that falls on nothing but committed things would show nothing of what is lost.
            while moment.wants_controls() && disk.is_none() && !is_uncommitted(&events) {
                let (at, Message::Power(event)) = hear(&lines, patience)? else { break };
                events.push((at, event));
            }
            let _ = child.kill();
            while let Ok((at, Message::Power(event))) = hear(&lines, patience) {
                events.push((at, event));
            }
            // What was said before QEMU ended was so: all of its memory ended with it.
            visit.stories = stories(events, gone.unwrap_or_else(Instant::now));
            return Ok(visit);
        }
    }
}

fn hear(lines: &Receiver<Line>, patience: Duration) -> Result<(Instant, Message), Option<String>> {
    let (at, line) = lines.recv_timeout(patience).map_err(|error| match error {
        RecvTimeoutError::Timeout => Some(format!("the guest hangs: nothing for {} s", patience.as_secs())),
        RecvTimeoutError::Disconnected => None,
    })?;
    let message = serde_json::from_str(&line).map_err(|e| Some(format!("not a line of the suite: {e}: {line}")))?;
    Ok((at, message))
}
