//! What other people's servers make of files that have to stay where they are: a server and its client in one guest.
//!
//! A scenario is a script. Each line that it prints is a step, with what came of it; there are no verdicts.

use super::cache::Cache;
use super::hardware::{self, Hardware};
use super::kernel::Kernel;
use super::packages::{self, Tool};
use super::protocol::{Manifest, Message};
use super::qemu::{self, Attendance, Machine};
use super::{Options, boot, console, initramfs};
use crate::host;
use iomap_results::Kernel as Release;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

/// What can be played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Scenario {
    /// The kernel's NFS server, with layouts of XFS
    Pnfs,
    /// The kernel's SMB server, with leases
    Smb,
    /// Samba's SMB server, with oplocks that the kernel knows of
    Samba,
}

/// What `lab --scenario --format json` writes.
#[derive(Debug, Serialize)]
pub struct Document {
    schema: u32,
    scenario: Scenario,
    /// Each kernel, in the order of the command line.
    pub kernels: Vec<Play>,
}

/// A scenario on a kernel.
#[derive(Debug, Serialize)]
pub struct Play {
    kernel: Release,
    steps: Vec<Step>,
    /// Why it ended before its end.
    pub trouble: Option<String>,
}

/// One line of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Step {
    /// What was done, or asked. One that belongs to the step before it is indented.
    pub(super) step: String,
    /// What came of it: `ok`, an error, or the answer.
    pub(super) outcome: String,
    /// What it took on the network.
    pub(super) traffic: String,
}

/// What scripts call besides bash, and its package where that is not essential.
static TOOLS: [Tool; 26] = [
    ("bash", "bash"),
    ("cmp", "diffutils"),
    ("cp", "coreutils"),
    ("dd", "coreutils"),
    ("dmesg", "util-linux"),
    ("grep", "grep"),
    ("head", "coreutils"),
    ("ip", "iproute2"),
    ("ln", "coreutils"),
    ("mkdir", "coreutils"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkswap", "util-linux"),
    ("mount", "mount"),
    ("mv", "coreutils"),
    ("rdma", "iproute2"),
    ("rm", "coreutils"),
    ("sed", "sed"),
    ("stat", "coreutils"),
    ("swapoff", "mount"),
    ("swapon", "mount"),
    ("sync", "coreutils"),
    ("touch", "coreutils"),
    ("tr", "coreutils"),
    ("truncate", "coreutils"),
    ("umount", "mount"),
    ("wc", "coreutils"),
];

/// What there is to know of a scenario.
struct Facts {
    script: &'static str,
    modules: &'static [&'static str],
    tools: &'static [Tool],
}

/// The kernel's SMB server and client. Nobody loads ciphers by their names here.
const SMB: &[&str] = &[
    "xfs",
    "sha512_generic",
    "ghash-generic",
    "ctr",
    "gcm",
    "ccm",
    "cmac",
    "ecb",
    "seqiv",
    "nls_utf8",
    "ksmbd",
    "cifs",
];

const STEPS: &str = include_str!("scenarios/steps.sh");

impl Scenario {
    fn facts(self) -> Facts {
        match self {
            Self::Pnfs => Facts {
                script: include_str!("scenarios/pnfs.sh"),
                modules: &[
                    "xfs",
                    "sd_mod",
                    "target_core_file",
                    "tcm_loop",
                    "nfsd",
                    "nfsv4",
                    "blocklayoutdriver",
                    "dm_mod",
                ],
                tools: &[
                    ("xfs_io", "xfsprogs"),
                    ("exportfs", "nfs-kernel-server"),
                    ("rpc.mountd", "nfs-kernel-server"),
                    ("rpc.nfsd", "nfs-kernel-server"),
                    ("blkmapd", "nfs-common"),
                    ("mount.nfs4", "nfs-common"),
                ],
            },
            Self::Smb => Facts {
                script: concat!(include_str!("scenarios/smb.sh"), "\n", include_str!("scenarios/ksmbd.sh")),
                modules: SMB,
                tools: &[("xfs_io", "xfsprogs"), ("ksmbd.adduser", "ksmbd-tools"), ("ksmbd.mountd", "ksmbd-tools")],
            },
            Self::Samba => Facts {
                script: concat!(include_str!("scenarios/smb.sh"), "\n", include_str!("scenarios/samba.sh")),
                modules: SMB,
                tools: &[("xfs_io", "xfsprogs"), ("smbd", "samba"), ("smbpasswd", "samba-common-bin")],
            },
        }
    }
}

/// Plays a scenario on each of the kernels. An error is one line for people, and means that no guest was started.
pub fn run(scenario: Scenario, options: &Options) -> Result<Document, String> {
    let facts = scenario.facts();
    qemu::missing().map_or(Ok(()), Err)?;
    let cache = Cache::open()?;
    let tools: Vec<Tool> = TOOLS.iter().chain(facts.tools).copied().collect();
    let root = packages::get(&cache, &tools)?;
    let programs = tools.iter().filter_map(|(name, _)| packages::program(root.as_deref(), name));
    let programs: Vec<_> = programs.collect();
    let kernels = options.kernels.iter().map(|name| Kernel::find(name, &cache)).collect::<Result<Vec<_>, _>>()?;
    let plays = kernels.iter().map(|kernel| {
        let mut steps = Vec::new();
        let trouble = play(&facts, (&programs, root.as_deref()), kernel, options, &cache, &mut steps).err();
        Play { kernel: Release { release: kernel.release.clone() }, steps, trouble }
    });
    Ok(Document { schema: 1, scenario, kernels: plays.collect() })
}

fn play(
    facts: &Facts,
    (programs, root): (&[PathBuf], Option<&Path>),
    kernel: &Kernel,
    options: &Options,
    cache: &Cache,
    steps: &mut Vec<Step>,
) -> Result<(), String> {
    let hardware: Vec<&Hardware> =
        hardware::of(host::FsKind::Xfs, false).into_iter().chain([&hardware::RDMA]).collect();
    let mut modules = hardware::modules(&hardware, kernel, host::FsKind::Xfs)?;
    let more = super::modules::resolve(kernel, facts.modules)?;
    modules.extend(more.into_iter().filter(|file| !modules.contains(file)).collect::<Vec<_>>());
    let programs: Vec<_> = programs.iter().cloned().chain(hardware::programs(&hardware, host::FsKind::Xfs)).collect();
    let script = Some(format!("{STEPS}\n{}", facts.script));
    let filter = options.case.clone();
    let manifest = Manifest { commands: hardware::commands(&hardware), script, filter, ..Manifest::default() };
    let initramfs = initramfs::get(cache, &modules, &programs, root, &manifest)?;
    let accelerator = qemu::choose(options.accelerator, kernel, cache)?;
    let name = format!("{}-scenario-{}.log", kernel.release, std::process::id());
    let console = &cache.directory("consoles")?.join(name);
    let (memory, attendance) = (options.memory, Attendance::Batch);
    let (initramfs, disks) = (&initramfs, Vec::new());
    let machine = Machine { kernel, initramfs, accelerator, memory, console, attendance, hardware, disks };
    eprintln!("{}: {}", kernel.release, machine.line());
    let patience = Duration::from_secs(options.patience);
    let (ended, said) = boot::attend(&machine, |child| {
        let lines = boot::lines(child);
        loop {
            let line = match lines.recv_timeout(patience) {
                Ok((_, line)) => line,
                Err(RecvTimeoutError::Timeout) => {
                    return Err(Some(format!("the guest hangs: nothing for {} s", options.patience)));
                }
                Err(RecvTimeoutError::Disconnected) => return Err(None),
            };
            match serde_json::from_str(&line) {
                Ok(Message::Step(step)) => {
                    eprintln!("{}: {}", kernel.release, plain(&step));
                    steps.push(step);
                }
                Ok(Message::Failed(_, why)) => return Ok(Some(why)),
                Ok(Message::Done) => return Ok(None),
                Ok(_) => {}
                Err(why) => return Err(Some(format!("not a line of the suite: {why}: {line}"))),
            }
        }
    });
    let why = match ended {
        Ok(None) => return Ok(()),
        Ok(Some(why)) => why,
        // The console knows better why nothing came any more.
        Err(why) => console::end(&said).unwrap_or(why),
    };
    Err(format!("{why}\n{}  {}", console::tail(&said), console.display()))
}

/// A step as one line.
fn plain(Step { step, outcome, traffic }: &Step) -> String {
    let line = format!("{step:<43} {outcome:<27} {traffic}");
    line.trim_end().to_owned()
}

/// The steps on each kernel, a line for each.
pub fn human(document: &Document) -> String {
    let plays = document.kernels.iter().map(|play| {
        let steps: String = play.steps.iter().map(|step| plain(step) + "\n").collect();
        let trouble = play.trouble.as_ref().map_or(String::new(), |why| format!("not carried to its end: {why}\n"));
        format!("Linux {}\n\n{steps}{trouble}\n", play.kernel.release)
    });
    plays.collect::<String>().trim_end().to_owned() + "\n"
}
