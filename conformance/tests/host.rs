//! This kernel: every file system with every mechanism, and nothing left behind.
//!
//! Each test needs root and the programs that make file systems; without them it is ignored, with the reason.

use iomap_conformance::host::{self, FsKind, guardian};
use iomap_conformance::mechanism::Mechanism;
use iomap_conformance::results::Results;
use iomap_conformance::verdict::Verdict;
use libtest_mimic::{Arguments, Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-conformance");

type Outcome = Result<Completion, Failed>;

fn main() {
    let mut arguments = Arguments::from_args();
    // Each test looks at the loop devices and swap areas of the whole machine.
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for fs in FsKind::USUAL {
        for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| mechanism.fits(fs.name())) {
            let name = format!("{}::{}", fs.name(), mechanism.name());
            trials.push(privileged(name, move || as_expected(fs, mechanism)));
        }
        trials.push(privileged(format!("{}::kill", fs.name()), move || killed(fs)));
    }
    trials.push(privileged("matrix".into(), matrix));
    trials.push(privileged("interrupt".into(), interrupted));
    trials.push(privileged("without_root".into(), without_root));
    trials.push(privileged("without_mkfs".into(), without_mkfs));
    libtest_mimic::run(&arguments, trials).exit();
}

fn privileged(name: String, test: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match FsKind::USUAL.into_iter().find_map(host::missing) {
        Some(missing) if std::env::var_os("IOMAP_TESTS_REQUIRE_TOOLS").is_some() => Err(missing.into()),
        Some(missing) => Ok(Completion::ignored_with(missing)),
        None => test(),
    })
}

fn require(condition: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(otherwise.into().into()) }
}

/// The committed expectations are what this kernel does, and no case fails to do its work.
fn as_expected(fs: FsKind, mechanism: Mechanism) -> Outcome {
    let arguments = ["--target", "host", "--fs", fs.name(), "--mechanism", mechanism.name(), "--format", "json"];
    let output = Command::new(PROGRAM).args(arguments).output()?;
    let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
    let surprises: Vec<_> = results.clauses.iter().filter(|c| c.is_surprise() || c.verdict == Verdict::Error).collect();
    require(surprises.is_empty(), format!("not as expected: {surprises:#?}"))?;
    require(output.status.code() == Some(0), format!("{output:?}"))?;
    if mechanism == Mechanism::Seal {
        require(results.not_offered.is_some(), "no kernel offers sealing")?;
    } else {
        require(results.count(Verdict::Holds) > 20, "hardly anything holds")?;
        require(results.count(Verdict::Violated) > 10, "hardly anything is violated")?;
    }
    nothing_left()?;
    Ok(Completion::Completed)
}

fn matrix() -> Outcome {
    let output = Command::new(PROGRAM).arg("matrix").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    require(output.status.code() == Some(0), format!("{output:?}"))?;
    let line = "seal (xfs, ext4, btrfs): not offered: fallocate(2) answers EOPNOTSUPP to FALLOC_FL_SEAL_BLOCK_MAP";
    require(text.lines().filter(|l| l.contains("seal (") || l.contains("/seal")).eq([line]), text.clone())?;
    require(text.lines().all(|l| l.chars().count() <= 80 || l == line), "a line is too long for a terminal")?;
    nothing_left()?;
    Ok(Completion::Completed)
}

fn start(fs: FsKind) -> Result<Child, Failed> {
    let arguments = ["--target", "host", "--fs", fs.name(), "--mechanism", "swapfile"];
    Ok(Command::new(PROGRAM).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// SIGKILL at moments spread over a run.
fn killed(fs: FsKind) -> Outcome {
    for moment in 0..12 {
        let mut suite = start(fs)?;
        // Not a wait for something: the moment is what is tested.
        std::thread::sleep(Duration::from_millis(20 + 35 * moment));
        suite.kill()?;
        suite.wait()?;
        nothing_left()
            .map_err(|failed| format!("killed after step {moment}: {}", failed.message().unwrap_or_default()))?;
    }
    Ok(Completion::Completed)
}

/// SIGKILL while swap files are active for certain, then Ctrl-C.
fn interrupted() -> Outcome {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let mut suite = start(FsKind::Xfs)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while swap_areas() == 0 && suite.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        kill(Pid::from_raw(suite.id().cast_signed()), signal)?;
        suite.wait()?;
        nothing_left()?;
    }
    Ok(Completion::Completed)
}

fn swap_areas() -> usize {
    // Swap files in another mount namespace are listed by their path in that namespace.
    guardian::active_below(Path::new("/")).len()
}

/// Waits until no process, swap area or loop device of the suite is there any more.
fn nothing_left() -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = [swap_files(), loop_devices(), processes()].concat();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("left behind: {}", left.join(", ")).into());
        }
        std::thread::yield_now();
    }
}

fn swap_files() -> Vec<String> {
    let table = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    table.lines().skip(1).filter(|line| line.contains("ready-") || line.contains("case-")).map(str::to_owned).collect()
}

/// Loop devices over files without a name: nobody else's.
fn loop_devices() -> Vec<String> {
    let Ok(devices) = std::fs::read_dir("/sys/block") else { return Vec::new() };
    let backing = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("loop/backing_file")).ok();
    devices.flatten().filter_map(backing).filter(|file| file.trim_end().ends_with("(deleted)")).collect()
}

fn processes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let command = |entry: std::fs::DirEntry| std::fs::read(entry.path().join("cmdline")).ok();
    let ours = |line: &Vec<u8>| {
        let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
        words.first() == Some(&PROGRAM.as_bytes()) || words.get(1) == Some(&guardian::COMMAND.as_bytes())
    };
    entries.flatten().filter_map(command).filter(ours).map(|line| String::from_utf8_lossy(&line).into_owned()).collect()
}

fn without_root() -> Outcome {
    use std::os::unix::process::CommandExt;
    // The program may lie where only root can go.
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("iomap-conformance");
    std::fs::copy(PROGRAM, &copy)?;
    Command::new("chmod").arg("755").arg(directory.path()).status()?;
    let output = Command::new(&copy).args(["--target", "host"]).uid(65534).gid(65534).output()?;
    let message = "iomap-conformance: target host needs root: it makes, mounts and swaps to file systems of its own\n";
    require(output.stderr == message.as_bytes() && output.stdout.is_empty(), format!("{output:?}"))?;
    require(output.status.code() == Some(3), format!("{output:?}"))?;
    Ok(Completion::Completed)
}

/// In a namespace in which the system administrator has no programs.
fn without_mkfs() -> Outcome {
    let script = format!("mount -t tmpfs none /usr/sbin && PATH=/nowhere {PROGRAM} --target host --fs btrfs");
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output()?;
    let message = "iomap-conformance: target host needs mkfs.btrfs for btrfs: apt-get install btrfs-progs\n";
    require(output.stderr == message.as_bytes() && output.stdout.is_empty(), format!("{output:?}"))?;
    require(output.status.code() == Some(3), format!("{output:?}"))?;
    Ok(Completion::Completed)
}
