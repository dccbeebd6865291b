//! The suite as the first process of a guest, and as the process of each run.
//!
//! A run is a process of its own: whatever becomes of it, the runs after it take place. Standard output of all of them is
//! the port to the host.

use crate::cases::{self, Case};
use crate::expectations::Expectations;
use crate::guard::{self, Guard, KernelLog};
use crate::host::found::Mounted;
use crate::host::{DeviceDax, FsKind, Host, Sandbox};
use crate::lab::guest::power;
use crate::lab::protocol::{MANIFEST, Manifest, Message, PORT, Run};
use crate::lab::scenario::Step;
use crate::mechanism::Mechanism;
use crate::programs::ending;
use crate::results::Results;
use crate::run::{self, Event, Progress, Subject};
use crate::select::Selection;
use crate::target::Target;
use clap::ValueEnum;
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// The hidden subcommand.
pub const COMMAND: &str = "guest";

/// How many cases run at the same time, as on a kernel that runs on hardware: they wait for disks and grace periods.
const THREADS: usize = 8;

/// How long the port may take to come about after its driver is there.
const PORT_DEADLINE: Duration = Duration::from_secs(30);

/// What to mount where.
const MOUNTS: [(&str, &str, &str); 5] = [
    ("proc", "/proc", ""),
    ("sysfs", "/sys", ""),
    ("devtmpfs", "/dev", ""),
    ("tmpfs", "/run", ""),
    // The images are here. What the kernel and the processes need is little beside them.
    ("tmpfs", "/tmp", "size=90%"),
];

/// Does what the manifest says: all of it as the first process, one run of it with a number. Ends the guest, or the
/// process.
pub fn run(number: Option<usize>) {
    let done = manifest().and_then(|manifest| match number {
        Some(number) => one(&manifest, number),
        None => all(&manifest),
    });
    if let Err(why) = &done {
        // The console is all there is.
        eprintln!("iomap-conformance: {why}");
    }
    if number.is_none() {
        // QEMU ends at a reboot, which takes no ACPI.
        let _ = reboot(RebootMode::RB_AUTOBOOT);
    }
    std::process::exit(i32::from(done.is_err()));
}

fn manifest() -> Result<Manifest, String> {
    let text = std::fs::read_to_string(MANIFEST).map_err(|e| format!("{MANIFEST}: {e}"))?;
    serde_json::from_str(&text).map_err(|e| format!("{MANIFEST}: {e}"))
}

fn all(manifest: &Manifest) -> Result<(), String> {
    for (kind, place, options) in MOUNTS {
        mount(Some(kind), place, Some(kind), MsFlags::empty(), Some(options)).map_err(|e| format!("{place}: {e}"))?;
    }
    manifest.modules.iter().try_for_each(|path| load(Path::new(path)))?;
    manifest.commands.iter().for_each(|command| prepare(command));
    if manifest.shell.is_some() {
        return process(0).status().map(drop).map_err(|e| format!("no process for the shell: {e}"));
    }
    let mut port = port()?;
    say(&mut port, &Message::Ready)?;
    if let Some(script) = &manifest.script {
        play(script, manifest.filter.as_deref(), &mut port)?;
    }
    for number in 0..manifest.runs.len() {
        let output = port.try_clone().map_err(|e| format!("the port: {e}"))?;
        let failed = match process(number).stdout(output).status() {
            Ok(status) if status.success() => continue,
            Ok(status) => format!("the process of the run {} before its end", ending(status)),
            Err(error) => format!("no process for the run: {error}"),
        };
        say(&mut port, &Message::Failed(number, failed))?;
    }
    say(&mut port, &Message::Done)
}

/// This program again, for the run with this number.
fn process(number: usize) -> Command {
    let mut command = Command::new("/proc/self/exe");
    command.args([COMMAND, &number.to_string()]).env("PATH", "/bin");
    command
}

/// Carries out a command. Whoever misses what it should have brought says so later.
fn prepare(command: &str) {
    let mut words = command.split(' ');
    let done = Command::new(words.next().unwrap_or_default()).args(words).env("PATH", "/bin").status();
    let why = match done {
        Ok(status) if status.success() => return,
        Ok(status) => ending(status),
        Err(error) => format!("cannot be started: {error}"),
    };
    // This failure does not end the run, so the message avoids the words of a failure that does.
    eprintln!("less is offered: {command} {why}");
}

/// Has bash carry out a script, and passes each of its steps on. If it fails, the last that it said is why.
fn play(script: &str, filter: Option<&str>, port: &mut File) -> Result<(), String> {
    let (path, errors) = ("/tmp/scenario", "/tmp/errors");
    std::fs::write(path, script).map_err(|e| format!("{path}: {e}"))?;
    let log = File::create(errors).map_err(|e| format!("{errors}: {e}"))?;
    let mut bash = Command::new("bash");
    bash.arg(path).env("PATH", "/bin").env("FILTER", filter.unwrap_or_default());
    bash.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
    let mut bash = bash.spawn().map_err(|e| format!("bash: {e}"))?;
    let lines = bash.stdout.take().map(BufReader::new).into_iter().flat_map(BufRead::lines);
    for line in lines.map_while(Result::ok) {
        let mut fields = line.split('\t').map(str::to_owned);
        let [step, outcome, traffic] = [(); 3].map(|()| fields.next().unwrap_or_default());
        say(port, &Message::Step(Step { step, outcome, traffic }))?;
    }
    if bash.wait().is_ok_and(|status| status.success()) {
        return Ok(());
    }
    let said = std::fs::read_to_string(errors).unwrap_or_default();
    eprint!("{said}");
    say(port, &Message::Failed(0, said.trim().lines().last().unwrap_or_default().to_owned()))
}

fn load(path: &Path) -> Result<(), String> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    match finit_module(&file, c"", ModuleInitFlags::empty()) {
        // Some are only faster, on processors that this is none of.
        Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => Ok(()),
        Err(errno) => Err(format!("the module {} cannot be loaded: {errno}", path.display())),
    }
}

/// The port, as soon as its driver has found it.
fn port() -> Result<File, String> {
    let deadline = Instant::now() + PORT_DEADLINE;
    loop {
        if let Some(path) = find_port() {
            return File::options().write(true).open(&path).map_err(|e| format!("{}: {e}", path.display()));
        }
        if Instant::now() > deadline {
            return Err("no virtio port to the host: the kernel needs virtio_pci and virtio_console".into());
        }
        std::thread::yield_now();
    }
}

fn find_port() -> Option<PathBuf> {
    let mut ports = std::fs::read_dir("/sys/class/virtio-ports").ok()?.flatten();
    let ours = |path: &Path| std::fs::read_to_string(path.join("name")).is_ok_and(|name| name.trim_end() == PORT);
    let found = ports.find(|entry| ours(&entry.path()))?;
    Some(Path::new("/dev").join(found.file_name())).filter(|path| path.exists())
}

fn say(to: &mut impl Write, message: &Message) -> Result<(), String> {
    let line = serde_json::to_string(message).map_err(|e| e.to_string())? + "\n";
    to.write_all(line.as_bytes()).map_err(|e| format!("the port: {e}"))
}

fn one(manifest: &Manifest, number: usize) -> Result<(), String> {
    if let Some(shell) = &manifest.shell {
        return interact(shell, manifest.runs.first());
    }
    let run = manifest.runs.get(number).ok_or("no such run")?;
    if manifest.power {
        return power::run(run, &mut |message| say(&mut std::io::stdout(), message));
    }
    let message = match results(run, manifest.filter.as_deref()) {
        Ok(results) => Message::Results(Box::new(results)),
        Err(why) => Message::Failed(number, why),
    };
    say(&mut std::io::stdout(), &message)
}

fn results(run: &Run, filter: Option<&str>) -> Result<Results, String> {
    let fs = FsKind::from_str(&run.fs, false)?;
    let mechanism = Mechanism::from_str(&run.mechanism, false)?;
    let expectations = Expectations::of(&[mechanism.name()], fs.name(), &crate::kernel_release())?;
    let sandbox = Sandbox::enter()?;
    let target: Arc<dyn Target> = match fs {
        FsKind::Devdax => Arc::new(DeviceDax::new()?),
        _ => Arc::new(Host::new(&sandbox, fs, mechanism)?),
    };
    let subject = Subject { target: "lab", mechanism, fs: fs.name() };
    let all: Vec<&Case> = cases::all().collect();
    let cases = Selection::of(filter).among(&all);
    let progress: Progress = Arc::new(|event: Event| {
        let message = match event {
            Event::Begins(case) => Message::Begins(case.full_name()),
            Event::Ended(case) => Message::Ended(case.name.clone()),
        };
        // If the host does not listen, there is nobody to tell.
        let _ = say(&mut std::io::stdout(), &message);
    });
    // What is said before and after is on the console.
    let log = target.devices().and_then(|devices| KernelLog::open(devices).ok());
    let guard = Arc::new(Guard::new(guard::TIMEOUT, log));
    Ok(run::run(&target, &subject, (&cases, THREADS), &expectations, &guard, &progress))
}

/// A shell at the console, until it ends, and a fresh file system to work on, if there is something to run on one.
fn interact(shell: &str, run: Option<&Run>) -> Result<(), String> {
    let _mounted = run.map(offer).transpose()?;
    let console = || File::options().read(true).write(true).open("/dev/ttyS0").map(Stdio::from);
    // The shell leads a session whose terminal is the console, so that Ctrl-C reaches what runs in it.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", shell, "--norc", "-i"]);
    command.env("PATH", "/bin:/").env("HOME", "/tmp").env("TERM", "vt100").env("PS1", "lab# ").current_dir("/tmp");
    let [stdin, stdout, stderr] = [console(), console(), console()].map(|file| file.map_err(|e| format!("ttyS0: {e}")));
    command.stdin(stdin?).stdout(stdout?).stderr(stderr?);
    command.status().map(drop).map_err(|e| format!("{shell}: {e}"))
}

/// Mounts a file system like those of a run, and says so.
fn offer(run: &Run) -> Result<Option<Mounted>, String> {
    let fs = FsKind::from_str(&run.fs, false)?;
    let root = PathBuf::from(format!("/mnt/{}", fs.name()));
    std::fs::create_dir(&root).map_err(|e| format!("{}: {e}", root.display()))?;
    let mounted = (fs != FsKind::Devdax).then(|| Mounted::fresh(fs, &root)).transpose()?;
    if mounted.is_some() {
        eprintln!("{} is mounted at {}", fs.name(), root.display());
    }
    eprintln!("the suite: iomap-conformance --target host --fs {} --mechanism {} [FILTER]", run.fs, run.mechanism);
    Ok(mounted)
}
