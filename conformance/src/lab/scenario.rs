//! Scenarios: servers and clients of other projects use files that must not move, in one guest.
//!
//! A scenario is a script, or work of this program in guests. Each step has an outcome. Steps of a script have no verdict;
//! other steps can have expected outcomes.

use crate::error::{Error, Result};
use crate::filesystem::FsKind;
use crate::lab::cache::Cache;
use crate::lab::machine::hardware::{self, Hardware};
use crate::lab::machine::kernel::BootKernel;
use crate::lab::machine::packages::{self, Tool};
use crate::lab::machine::qemu::{self, Accelerator, Machine};
use crate::lab::machine::session::{Session, Silence, attend};
use crate::lab::machine::{console, initramfs, modules};
use crate::lab::options::Options;
use crate::lab::power::disk::{CrashState, Disk};
use crate::lab::power::nbd::{Export, Server};
use crate::lab::protocol::{Manifest, Message, Run, ScriptStep, Turn, Work};
use crate::lab::scripts::{STEPS, Scenario, Script, TOOLS};
use crate::lab::stress;
use crate::lab::unaware::{self, End};
use crate::mechanism::Mechanism;
use crate::target;
use crate::target::found;
use iomap_command::tell_line;
use iomap_results::Kernel;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The document that `lab --scenario --format json` writes.
#[derive(Debug, Serialize)]
pub(crate) struct ScenarioDocument {
    schema: u32,
    scenario: Scenario,
    /// The scenario on each kernel, in the order of the command line.
    pub kernels: Vec<Play>,
}

/// A scenario on a kernel.
#[derive(Debug, Serialize)]
pub(crate) struct Play {
    kernel: Kernel,
    steps: Vec<ScriptStep>,
    /// The reason why the script ended early, or `None`.
    pub trouble: Option<String>,
}

impl ScenarioDocument {
    /// Whether each step that has expected outcomes has one of them.
    pub(crate) fn is_right(&self) -> bool {
        self.kernels.iter().flat_map(|play| &play.steps).all(ScriptStep::is_right)
    }
}

/// The programs for a script, installed on this machine or unpacked from packages.
struct Programs {
    files: Vec<PathBuf>,
    /// The directory of the unpacked packages, or `None`.
    root: Option<PathBuf>,
}

/// Plays a scenario on each kernel. An error means that no guest was started.
pub(crate) fn play_all(scenario: Scenario, options: &Options) -> Result<ScenarioDocument> {
    let script = scenario.script();
    let own = if script.is_some() { &[][..] } else { &SYSTEMS };
    let without = || own.iter().find_map(|fs| target::host::without_programs(*fs));
    let missing = qemu::missing().or_else(|| without().map(|missing| format!("the lab needs {missing}")));
    missing.map_or(Ok(()), |missing| Err(Error::from(missing)))?;
    let cache = options.open_cache()?;
    let tools: Vec<Tool> = match (&script, scenario) {
        (Some(script), _) => TOOLS.iter().chain(script.tools).copied().collect(),
        (None, Scenario::Unaware) => unaware::TOOLS.to_vec(),
        (None, Scenario::Stress) => stress::TOOLS.to_vec(),
        (None, _) => Vec::new(),
    };
    let root = packages::get(&cache, &tools)?;
    let optional = (scenario == Scenario::Stress).then_some(stress::OPTIONAL);
    let names = tools.iter().map(|(name, _)| *name).chain(optional);
    let files = names.filter_map(|name| packages::program(root.as_deref(), name)).collect();
    let kernels = BootKernel::find_all(&options.kernels, &cache)?;
    let stage = Stage { options, cache: &cache, programs: Programs { files, root } };
    let kernels = match script {
        Some(script) => kernels.iter().map(|kernel| stage.play(kernel, &Part::script(&script, options))).collect(),
        None if scenario == Scenario::Unaware => stage.hand_over(&kernels)?,
        None if scenario == Scenario::Stress => {
            let parts = stress::SYSTEMS.map(|fs| Part::stress(fs, options));
            kernels.iter().flat_map(|kernel| parts.iter().map(|part| stage.play(kernel, part))).collect()
        }
        None => kernels.iter().map(|kernel| stage.play(kernel, &Part::cost())).collect(),
    };
    Ok(ScenarioDocument { schema: 1, scenario, kernels })
}

/// The file systems of the scenarios that are not scripts.
const SYSTEMS: [FsKind; 2] = [FsKind::Xfs, FsKind::Ext4];

/// The part of one guest in a scenario.
struct Part<'a> {
    work: Work,
    hardware: Vec<&'static Hardware>,
    systems: Vec<FsKind>,
    /// More modules.
    modules: &'a [&'a str],
    disks: &'a [Export],
    /// Whether disks lose their power after their first step, if the table says so.
    is_cut: bool,
}

impl<'a> Part<'a> {
    fn script(script: &Script, options: &Options) -> Self
    where
        'static: 'a,
    {
        let work = Work::Script { text: format!("{STEPS}\n{}", script.text), filter: options.case.clone() };
        let hardware = hardware::of(FsKind::Xfs, false).into_iter().chain([&hardware::RDMA]).collect();
        Self { work, hardware, systems: vec![FsKind::Xfs], modules: script.modules, disks: &[], is_cut: false }
    }

    fn cost() -> Self {
        let hardware = hardware::of(FsKind::Xfs, false);
        Self { work: Work::Cost, hardware, systems: SYSTEMS.into(), modules: &[], disks: &[], is_cut: false }
    }

    fn stress(fs: FsKind, options: &Options) -> Self {
        let run = Run { fs, mechanism: Mechanism::Seal };
        let work = Work::Stress { run, filter: options.case.clone() };
        Self { work, hardware: hardware::of(fs, false), systems: vec![fs], ..Self::cost() }
    }

    fn turn(turn: Turn, disks: &'a [Export]) -> Self {
        let hardware = hardware::of(FsKind::Xfs, true);
        let work = Work::Unaware(turn);
        Self { work, hardware, systems: SYSTEMS.into(), modules: &[], disks, is_cut: turn == Turn::Seal }
    }
}

/// The means of all guests.
struct Stage<'a> {
    options: &'a Options,
    cache: &'a Cache,
    programs: Programs,
}

impl Stage<'_> {
    /// Plays a part on a kernel.
    fn play(&self, kernel: &BootKernel, part: &Part) -> Play {
        let mut steps = Vec::new();
        let trouble = self.boot(kernel, part, &mut steps).err().map(|reason| reason.to_string());
        Play { kernel: kernel.identity.clone(), steps, trouble }
    }

    /// Lets the first kernel seal files on disks, and each other kernel look at copies of the disks, which then come
    /// back to the first kernel.
    fn hand_over(&self, kernels: &[BootKernel]) -> Result<Vec<Play>> {
        let [sealing, others @ ..] = kernels else { return Err(NO_OTHER.into()) };
        if others.is_empty() {
            return Err(NO_OTHER.into());
        }
        let sealed: Vec<Export> = unaware::DISKS
            .iter()
            .map(|medium| {
                let disk = found::image(medium.fs).map(|image| Disk::volatile(&image).map_err(no_disk))??;
                Ok((medium.name.to_owned(), Arc::new(disk)))
            })
            .collect::<Result<_>>()?;
        let mut plays = vec![self.play(sealing, &Part::turn(Turn::Seal, &sealed))];
        if plays[0].trouble.is_some() {
            return Ok(plays);
        }
        for kernel in others {
            let copy = |(name, disk): &Export| {
                let left = disk.left(CrashState::OnlyFlushed).and_then(Disk::durable).map_err(no_disk)?;
                Ok((name.clone(), Arc::new(left)))
            };
            let disks: Vec<Export> = sealed.iter().map(copy).collect::<Result<_>>()?;
            plays.push(self.play(kernel, &Part::turn(Turn::Look, &disks)));
            plays.push(self.play(sealing, &Part::turn(Turn::Return, &disks)));
        }
        Ok(plays)
    }

    fn boot(&self, kernel: &BootKernel, part: &Part, steps: &mut Vec<ScriptStep>) -> Result<()> {
        let (options, cache) = (self.options, self.cache);
        let mut modules = Vec::new();
        let mut add = |more: Vec<PathBuf>| {
            let new: Vec<_> = more.into_iter().filter(|file| !modules.contains(file)).collect();
            modules.extend(new);
        };
        for fs in &part.systems {
            add(hardware::modules(&part.hardware, kernel, *fs)?);
        }
        add(modules::resolve(kernel, part.modules)?);
        let of_system = part.systems.iter().flat_map(|fs| hardware::programs(&part.hardware, *fs));
        let files: Vec<_> = self.programs.files.iter().cloned().chain(of_system).collect();
        let commands = hardware::commands(&part.hardware);
        let manifest = Manifest { modules: Vec::new(), commands, work: part.work.clone() };
        let initramfs = initramfs::get(cache, &modules, &files, self.programs.root.as_deref(), manifest)?;
        let counts = part.work == Work::Cost;
        let accelerator = if counts { Accelerator::Tcg } else { qemu::choose(options.accelerator, kernel, cache)? };
        let console = console::place(cache, &[kernel.release(), "scenario"])?;
        let server = Server::start(part.disks.to_vec()).map_err(|e| Error::about("no socket for the disks", e))?;
        let hardware = part.hardware.clone();
        let mut machine = Machine::new(kernel, accelerator, options.memory, &initramfs, &console, hardware);
        machine.counts = counts;
        machine.disks = part.disks.iter().flat_map(|(name, _)| server.arguments(name)).collect();
        tell_line(format_args!("{}: {}", kernel.release(), machine.line()));
        let (ended, said) = attend(&machine, options.patience(), |session| listen(session, kernel, part, steps));
        part.disks.iter().find_map(|(_, disk)| disk.trouble()).map_or(Ok(()), |trouble| Err(Error::from(trouble)))?;
        let reason = match ended {
            Ok(None) => return Ok(()),
            Ok(Some(reason)) => reason,
            // The console has a better reason for the end of the messages.
            Err(reason) => console::end(&said).unwrap_or_else(|| reason.to_string()),
        };
        Err(with_console(&reason, &said, &console).into())
    }
}

const NO_OTHER: &str = "the scenario takes the kernel that seals, and then kernels that do not know the state";

fn no_disk(error: std::io::Error) -> Error {
    Error::about(format!("no disk in {}", std::env::temp_dir().display()), error)
}

/// A reason, with the last lines of the console and the path of its file.
fn with_console(reason: &str, said: &str, console: &Path) -> String {
    format!("{reason}\n{}  {}", console::tail(said), console.display())
}

/// Collects the steps of a guest until it ends. Returns the reason if its work failed.
fn listen(
    session: &Session,
    kernel: &BootKernel,
    part: &Part,
    steps: &mut Vec<ScriptStep>,
) -> std::result::Result<Option<String>, Silence> {
    loop {
        match session.hear()?.1 {
            Message::Step(step) => {
                tell_line(format_args!("{}: {}", kernel.release(), plain(&step)));
                if part.is_cut {
                    cut_off(part.disks, &step);
                }
                steps.push(step);
            }
            Message::Failed(_, reason) => return Ok(Some(reason)),
            Message::Done => return Ok(None),
            Message::Ready | Message::Begins(_) | Message::Ended(_) | Message::Results(_) | Message::Power(_) => (),
        }
    }
}

/// Cuts the disk of this step off, if it is one that loses its power.
fn cut_off(disks: &[Export], step: &ScriptStep) {
    let loses = |name: &str| unaware::DISKS.iter().any(|medium| medium.name == name && medium.end == End::Cut);
    for (name, disk) in disks {
        if loses(name) && step.step.starts_with(&format!("{name}: ")) {
            disk.cut(0, Duration::ZERO);
        }
    }
}

/// A step as one line, with what was expected if its outcome is another.
fn plain(step: &ScriptStep) -> String {
    let ScriptStep { step: name, outcome, traffic, expected } = step;
    let line = format!("{name:<43} {outcome:<27} {traffic}").trim_end().to_owned();
    match expected {
        Some(right) if !step.is_right() => format!("{line}  but expected: {}", right.join(" or ")),
        _ => line,
    }
}

/// The steps on each kernel, one line each.
pub(crate) fn played(document: &ScenarioDocument) -> String {
    let plays = document.kernels.iter().map(|play| {
        let steps: String = play.steps.iter().map(|step| plain(step) + "\n").collect();
        let trouble = play.trouble.as_ref().map_or(String::new(), |why| format!("not carried to its end: {why}\n"));
        format!("Linux {}\n\n{steps}{trouble}\n", play.kernel.release)
    });
    plays.collect::<String>().trim_end().to_owned() + "\n"
}
