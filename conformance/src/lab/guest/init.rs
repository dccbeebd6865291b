//! The first process of a guest: it prepares the guest, carries out the work of the manifest, and ends the guest.
//!
//! Each run is a separate process, so that later runs take place even if it crashes. The standard output of each run is
//! the port to the host.

use crate::error::{Error, Result, at};
use crate::lab::guest::port::{self, say};
use crate::lab::guest::{cost, power, script, shell, stress, suite, unaware};
use crate::lab::protocol::{GUEST_COMMAND, MANIFEST, Manifest, Message, Work};
use crate::programs::ending;
use iomap_command::tell_line;
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use std::fs::File;
use std::io::stdout;
use std::path::Path;
use std::process::Command;

/// The file systems to mount: type, place and options.
const MOUNTS: [(&str, &str, &str); 5] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("tmpfs", "/run", ""),
    // The images of file systems are here. The kernel and the processes need little memory in addition.
    ("tmpfs", "/tmp", "size=90%"),
];

/// Carries out the manifest: all of it as the first process, or only the run with this number, as a child of the first
/// process. Ends the guest, or the process.
pub(crate) fn run_as_guest(number: Option<usize>) {
    let done = manifest().and_then(|manifest| match number {
        Some(number) => carry_out(manifest.work, number),
        None => prepare_and_start(&manifest),
    });
    if let Err(reason) = &done {
        // The guest has no other output than the console.
        tell_line(format_args!("iomap-conformance: {reason}"));
    }
    if number.is_none() {
        // QEMU is started so that it ends at a reboot, which needs no ACPI.
        let _ = reboot(RebootMode::RB_AUTOBOOT);
    }
    std::process::exit(i32::from(done.is_err()));
}

fn manifest() -> Result<Manifest> {
    let text = std::fs::read_to_string(MANIFEST).map_err(|e| Error::about(MANIFEST, e))?;
    serde_json::from_str(&text).map_err(|e| Error::about(MANIFEST, e))
}

/// Prepares the guest, and starts a process for each run.
fn prepare_and_start(manifest: &Manifest) -> Result<()> {
    for (kind, place, options) in MOUNTS {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), Some(options)).map_err(|e| Error::about(place, e))?;
    }
    manifest.modules.iter().try_for_each(|path| load(Path::new(path)))?;
    manifest.commands.iter().for_each(|command| prepare(command));
    let runs = match &manifest.work {
        Work::Shell { .. } => {
            return process(0).status().map(drop).map_err(|e| Error::about("no process for the shell", e));
        }
        Work::Script { .. } => 0,
        Work::Power(_) | Work::Unaware(_) | Work::Cost | Work::Stress { .. } => 1,
        Work::Suite { runs, .. } => runs.len(),
    };
    let mut port = port::open()?;
    say(&mut port, &Message::Ready)?;
    if let Work::Script { text, filter } = &manifest.work {
        script::play(text, filter.as_deref(), &mut |message| say(&mut port, message))?;
    }
    for number in 0..runs {
        let output = port.try_clone().map_err(|e| Error::about("the port", e))?;
        let mut process = process(number);
        if manifest.work == Work::Cost {
            // More arenas are more mappings, and their number decides how far a page fault has to search.
            process.env("MALLOC_ARENA_MAX", "1");
        }
        let failed = match process.stdout(output).status() {
            Ok(status) if status.success() => continue,
            Ok(status) => format!("the process of the run {} before its end", ending(status)),
            Err(error) => format!("no process for the run: {error}"),
        };
        say(&mut port, &Message::Failed(number, failed))?;
    }
    say(&mut port, &Message::Done)
}

/// The command that starts this program again, for the run with this number.
fn process(number: usize) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([GUEST_COMMAND, &number.to_string()]).env("PATH", "/bin");
    command
}

/// Carries out the work of the first process, or of the process of a run.
fn carry_out(work: Work, number: usize) -> Result<()> {
    let tell = &mut |message: &Message| say(&mut stdout(), message);
    match work {
        Work::Shell { program, run } => shell::interact(&program, run),
        Work::Power(run) => power::run(run, tell),
        Work::Unaware(turn) => unaware::run(turn, tell),
        Work::Cost => cost::run(tell),
        Work::Stress { run, filter } => stress::run(run, filter.as_deref(), tell),
        Work::Suite { runs, filter, situations } => {
            let run = runs.get(number).ok_or("no such run")?;
            suite::run(*run, filter.as_deref(), situations, tell)
                .or_else(|reason| tell(&Message::Failed(number, reason.to_string())))
        }
        Work::Script { .. } => Err("no such run".into()),
    }
}

/// Carries out a command that prepares the guest. If it fails, some features are not offered, which the results show.
fn prepare(command: &str) {
    let mut words = command.split(' ');
    let done = Command::new(words.next().unwrap_or_default()).args(words).env("PATH", "/bin").status();
    let reason = match done {
        Ok(status) if status.success() => return,
        Ok(status) => ending(status),
        Err(error) => format!("cannot be started: {error}"),
    };
    // A reason that ends the run has other words, which the message must not use.
    tell_line(format_args!("less is offered: {command} {reason}"));
}

fn load(path: &Path) -> Result<()> {
    let file = File::open(path).map_err(at(path))?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        // ENODEV: an accelerated variant for another processor. The plain one is enough.
        Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => Ok(()),
        Err(errno) => Err(format!("the module {} cannot be loaded: {errno}", path.display()).into()),
    }
}
