//! Scenarios: servers and clients of other projects use files that must not move, in one guest.
//!
//! A scenario is a script. Each line that it prints is a step with its outcome; there are no verdicts.

use crate::error::{Error, Result};
use crate::filesystem::FsKind;
use crate::lab::cache::Cache;
use crate::lab::machine::hardware::{self, Hardware};
use crate::lab::machine::kernel::BootKernel;
use crate::lab::machine::packages::{self, Tool};
use crate::lab::machine::qemu::{self, Machine};
use crate::lab::machine::session::{Session, Silence, attend};
use crate::lab::machine::{console, initramfs, modules};
use crate::lab::options::Options;
use crate::lab::protocol::{Manifest, Message, ScriptStep, Work};
use crate::lab::scripts::{STEPS, Scenario, Script, TOOLS};
use iomap_command::tell_line;
use iomap_results::Kernel;
use serde::Serialize;
use std::path::{Path, PathBuf};

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

/// The programs for a script, installed on this machine or unpacked from packages.
struct Programs {
    files: Vec<PathBuf>,
    /// The directory of the unpacked packages, or `None`.
    root: Option<PathBuf>,
}

/// Plays a scenario on each kernel. An error means that no guest was started.
pub(crate) fn play_all(scenario: Scenario, options: &Options) -> Result<ScenarioDocument> {
    let script = scenario.script();
    qemu::missing().map_or(Ok(()), |missing| Err(Error::from(missing)))?;
    let cache = options.open_cache()?;
    let tools: Vec<Tool> = TOOLS.iter().chain(script.tools).copied().collect();
    let root = packages::get(&cache, &tools)?;
    let files = tools.iter().filter_map(|(name, _)| packages::program(root.as_deref(), name)).collect();
    let programs = Programs { files, root };
    let kernels = BootKernel::find_all(&options.kernels, &cache)?;
    let plays = kernels.iter().map(|kernel| {
        let mut steps = Vec::new();
        let trouble = play(&script, &programs, kernel, options, &cache, &mut steps).err();
        let trouble = trouble.map(|reason| reason.to_string());
        Play { kernel: kernel.identity.clone(), steps, trouble }
    });
    Ok(ScenarioDocument { schema: 1, scenario, kernels: plays.collect() })
}

fn play(
    script: &Script,
    programs: &Programs,
    kernel: &BootKernel,
    options: &Options,
    cache: &Cache,
    steps: &mut Vec<ScriptStep>,
) -> Result<()> {
    let hardware: Vec<&Hardware> = hardware::of(FsKind::Xfs, false).into_iter().chain([&hardware::RDMA]).collect();
    let mut modules = hardware::modules(&hardware, kernel, FsKind::Xfs)?;
    let more = modules::resolve(kernel, script.modules)?;
    modules.extend(more.into_iter().filter(|file| !modules.contains(file)).collect::<Vec<_>>());
    let files: Vec<_> = programs.files.iter().cloned().chain(hardware::programs(&hardware, FsKind::Xfs)).collect();
    let work = Work::Script { text: format!("{STEPS}\n{}", script.text), filter: options.case.clone() };
    let manifest = Manifest { modules: Vec::new(), commands: hardware::commands(&hardware), work };
    let initramfs = initramfs::get(cache, &modules, &files, programs.root.as_deref(), manifest)?;
    let accelerator = qemu::choose(options.accelerator, kernel, cache)?;
    let console = console::place(cache, &[kernel.release(), "scenario"])?;
    let machine = Machine::new(kernel, accelerator, options.memory, &initramfs, &console, hardware);
    tell_line(format_args!("{}: {}", kernel.release(), machine.line()));
    let (ended, said) = attend(&machine, options.patience(), |session| listen(session, kernel, steps));
    let reason = match ended {
        Ok(None) => return Ok(()),
        Ok(Some(reason)) => reason,
        // The console has a better reason for the end of the messages.
        Err(reason) => console::end(&said).unwrap_or_else(|| reason.to_string()),
    };
    Err(with_console(&reason, &said, &console).into())
}

/// A reason, with the last lines of the console and the path of its file.
fn with_console(reason: &str, said: &str, console: &Path) -> String {
    format!("{reason}\n{}  {}", console::tail(said), console.display())
}

/// Collects the steps of a script until it ends. Returns the reason if the script failed.
fn listen(
    session: &Session,
    kernel: &BootKernel,
    steps: &mut Vec<ScriptStep>,
) -> std::result::Result<Option<String>, Silence> {
    loop {
        match session.hear()?.1 {
            Message::Step(step) => {
                tell_line(format_args!("{}: {}", kernel.release(), plain(&step)));
                steps.push(step);
            }
            Message::Failed(_, reason) => return Ok(Some(reason)),
            Message::Done => return Ok(None),
            Message::Ready | Message::Begins(_) | Message::Ended(_) | Message::Results(_) | Message::Power(_) => (),
        }
    }
}

/// A step as one line.
fn plain(ScriptStep { step, outcome, traffic }: &ScriptStep) -> String {
    let line = format!("{step:<43} {outcome:<27} {traffic}");
    line.trim_end().to_owned()
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
