//! The suite on this kernel: every file system with every mechanism. No run leaves anything behind.
//!
//! Each test needs root and the programs that make file systems; without them it is ignored, with the reason.

use iomap_clauses::Clause;
use iomap_conformance::{
    Case, Directory, Expectations, Fresh, FsKind, Guard, Lane, Mechanism, Plan, Progress, Results, Subject, System,
    Target, Trouble, active_below, cases, guardian, missing_programs, run, test_arguments,
};
use iomap_results::Verdict;
use libtest_mimic::{Completion, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-conformance");

/// The directory for the images of these tests, which separates them from images of other runs.
const TEMPORARY: &str = env!("CARGO_TARGET_TMPDIR");

type Outcome = Result<Completion, Failed>;

fn main() {
    // A guardian is a process of the program itself. If a test makes the target, that program is this test.
    if let [_, command, stage, ..] = std::env::args().collect::<Vec<_>>().as_slice()
        && command == guardian::COMMAND
    {
        return guardian::run(Path::new(stage), true);
    }
    let mut arguments = test_arguments();
    // Each test counts the loop devices and swap areas of the whole machine, so run one at a time.
    arguments.test_threads = Some(1);
    let mut trials = Vec::new();
    for fs in FsKind::USUAL {
        for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| mechanism.fits(fs)) {
            let name = format!("{}::{}", fs.name(), mechanism.name());
            trials.push(privileged(name, move || as_expected(fs, mechanism)));
        }
        trials.push(privileged(format!("{}::kill", fs.name()), move || killed(fs)));
    }
    for fs in FsKind::USUAL {
        for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| mechanism.fits(fs)) {
            let name = format!("dir::{}::{}", fs.name(), mechanism.name());
            trials.push(privileged(name, move || in_a_directory(fs, mechanism)));
        }
    }
    trials.push(privileged("dir::kill".into(), killed_in_a_directory));
    trials.push(privileged("dir::modes".into(), modes_in_a_directory));
    for (fs, mechanism) in
        [(FsKind::Xfs, "immutable-attr"), (FsKind::Ext4, "swapfile"), (FsKind::Btrfs, "immutable-attr")]
    {
        trials.push(privileged(format!("{}::reproducers", fs.name()), move || reproducers(fs, mechanism)));
    }
    trials.push(privileged("situations".into(), in_situations));
    trials.push(privileged("guard::timeout".into(), abandoned));
    trials.push(privileged("guard::kernel_log".into(), kernel_log));
    trials.push(privileged("matrix".into(), matrix));
    trials.push(privileged("interrupt".into(), interrupted));
    trials.push(privileged("signals".into(), signals_to_all));
    trials.push(privileged("guardian".into(), guardian_killed));
    trials.push(privileged("programs::preparing".into(), programs_that_prepare_nothing));
    trials.push(privileged("programs::killed".into(), killed_while_a_program_hangs));
    trials.push(privileged("programs::case".into(), program_that_hangs_in_a_case));
    trials.push(privileged("places".into(), places_that_do_not_do));
    trials.push(privileged("given_up".into(), a_file_system_that_the_kernel_gives_up));
    trials.push(privileged("swaps".into(), swaps_while_others_come_and_go));
    if let Some(times) = std::env::var("IOMAP_SIGKILLS").ok().and_then(|times| times.parse().ok()) {
        for (name, target, mechanism) in
            [("swapfile", "host", "swapfile"), ("immutable-attr", "host", "immutable-attr"), ("dir", "dir", "swapfile")]
        {
            trials.push(privileged(format!("sigkill::{name}"), move || killed_often(times, target, mechanism)));
        }
    }
    trials.push(privileged("lack::limits".into(), without_limits));
    trials.push(privileged("lack::rights".into(), without_rights));
    trials.push(privileged("lack::room".into(), without_room));
    trials.push(privileged("lack::swap_areas".into(), without_swap_areas));
    trials.push(privileged("lack::two_runs".into(), two_runs));
    trials.push(privileged("dir::strange".into(), in_a_strange_directory));
    trials.push(privileged("dir::without_features".into(), without_features));
    trials.push(privileged("without_root".into(), without_root));
    trials.push(privileged("without_mkfs".into(), without_mkfs));
    libtest_mimic::run(&arguments, trials).exit();
}

fn privileged(name: String, test: impl FnOnce() -> Outcome + Send + 'static) -> Trial {
    Trial::ignorable_test(name, move || match FsKind::USUAL.into_iter().find_map(missing_programs) {
        Some(missing) if iomap_testing::tools::are_required() => Err(missing.into()),
        Some(missing) => Ok(Completion::ignored_with(missing)),
        None => test(),
    })
}

fn program() -> Command {
    program_of(Command::new(PROGRAM))
}

fn program_of(mut command: Command) -> Command {
    command.env("TMPDIR", TEMPORARY);
    command
}

fn require(condition: bool, otherwise: impl Into<String>) -> Result<(), Failed> {
    if condition { Ok(()) } else { Err(otherwise.into().into()) }
}

/// The verdicts on this kernel equal the committed expectations, and no case fails to do its work.
fn as_expected(fs: FsKind, mechanism: Mechanism) -> Outcome {
    let arguments = ["--target", "host", "--fs", fs.name(), "--mechanism", mechanism.name(), "--format", "json"];
    let output = program().args(arguments).output()?;
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

/// Cases that compare holes, that want a place which suits an atomic write, or that lose the power, have no fault in
/// any situation: XFS has storage in reserve, and the attribute makes nothing durable.
fn in_situations() -> Outcome {
    let cases = ["unseal::allocate", "unseal::zero", "unseal::write", "write::atomic_size", "durable::agent"];
    let arguments = "--target host --fs xfs --mechanism immutable-attr --situations pairs --format json";
    let output = program().args(arguments.split(' ')).args(cases).output()?;
    let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
    let faults = results.clauses.iter().flat_map(|clause| &clause.cases);
    let faults: Vec<_> = faults.filter(|case| matches!(case.verdict, Verdict::Violated | Verdict::Error)).collect();
    require(faults.is_empty(), format!("{faults:#?}"))?;
    nothing_left()?;
    Ok(Completion::Completed)
}

fn matrix() -> Outcome {
    let output = program().arg("matrix").output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let said = String::from_utf8_lossy(&output.stderr);
    require(output.status.code() == Some(0), format!("{}:\n{text}\n{said}", output.status))?;
    let line = "seal (xfs, ext4, btrfs): not offered: fallocate(2) answers EOPNOTSUPP to FALLOC_FL_SEAL_BLOCK_MAP";
    require(text.lines().filter(|l| l.contains("seal (") || l.contains("/seal")).eq([line]), text.clone())?;
    require(text.lines().all(|l| l.chars().count() <= 80 || l == line), "a line is too long for a terminal")?;
    nothing_left()?;
    Ok(Completion::Completed)
}

fn start(fs: FsKind, filter: Option<&str>) -> Result<Child, Failed> {
    let arguments = ["--target", "host", "--fs", fs.name(), "--mechanism", "swapfile"];
    Ok(program().args(arguments).args(filter).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?)
}

/// SIGKILL at moments spread over a run, and over the losses of power in it.
fn killed(fs: FsKind) -> Outcome {
    for (filter, moment) in [None, Some("durable")].into_iter().flat_map(|filter| (0..12).map(move |m| (filter, m))) {
        kill_at(start(fs, filter)?, Duration::from_millis(20 + 35 * moment))?;
    }
    Ok(Completion::Completed)
}

fn kill_at(mut suite: Child, moment: Duration) -> Result<(), Failed> {
    // This sleep does not wait for an event: the test is about this moment.
    std::thread::sleep(moment);
    suite.kill()?;
    suite.wait()?;
    nothing_left().map_err(|failed| format!("killed after {moment:?}: {}", failed.message().unwrap_or_default()).into())
}

/// SIGKILL at `times` random moments of a run: `make sigkill`.
fn killed_often(times: usize, target: &str, mechanism: &str) -> Outcome {
    let place = Mounted::new(FsKind::Xfs)?;
    let directory = format!("dir={}", place.path().display());
    let target = if target == "dir" { &directory } else { target };
    let start = || {
        let mut suite = program();
        suite.args(["--target", target, "--mechanism", mechanism]).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    };
    let begin = Instant::now();
    require(start()?.wait()?.success(), "a whole run fails")?;
    let whole = begin.elapsed();
    let mut random = fastrand::Rng::with_seed(1);
    let (mut directories, mut ended) = (0, 0);
    for _ in 0..times {
        let mut suite = start()?;
        // This sleep does not wait for an event: the test is about this moment.
        std::thread::sleep(whole.mul_f64(random.f64()));
        ended += usize::from(suite.try_wait()?.is_some());
        kill_at(suite, Duration::ZERO)?;
        let swapping = active_below(&place.path());
        require(swapping.is_empty(), format!("active: {swapping:?}"))?;
        directories = place.entries().len().max(directories);
        require(directories <= 1, format!("left behind: {:?}", place.entries()))?;
    }
    eprintln!("{times} times within {whole:?}, {ended} too late; at most {directories} directories left meanwhile");
    let next = program().args(["--target", &directory]).output()?;
    require(next.status.success(), format!("{next:?}"))?;
    require(place.entries().is_empty(), format!("left behind: {:?}", place.entries()))?;
    Ok(Completion::Completed)
}

/// SIGKILL while swap files are certainly active, then Ctrl-C.
fn interrupted() -> Outcome {
    for signal in [Signal::SIGKILL, Signal::SIGINT] {
        let mut suite = start(FsKind::Xfs, None)?;
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

/// Sends the same signal to every process of a run, like a service manager that stops a control group: to each process
/// by its number, in both orders, and to each group, early in the run and while swap files are active.
fn signals_to_all() -> Outcome {
    for (number, signal) in
        [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT].into_iter().cycle().take(16).enumerate()
    {
        // Swap areas of other processes count, too.
        let wanted = swap_areas() + [6, 1, 0, 3][number / 4];
        let mut suite = start(FsKind::Xfs, None)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while (swap_areas() < wanted || processes().is_empty()) && suite.try_wait()?.is_none() {
            require(Instant::now() < deadline, format!("no {wanted} swap areas"))?;
            std::thread::yield_now();
        }
        let mut all = with_children(suite.id().cast_signed())?;
        if number % 2 == 0 {
            all.reverse();
        }
        for pid in &all {
            // Some of the processes may have ended already.
            let _ = kill(Pid::from_raw(*pid), signal);
        }
        for pid in all.iter().skip(1) {
            let _ = nix::sys::signal::killpg(Pid::from_raw(*pid), signal);
        }
        suite.wait()?;
        // An active swap file would keep its loop device, so check after each run.
        nothing_left()?;
    }
    Ok(Completion::Completed)
}

/// If a guardian is killed while the suite continues, a successor does its work.
fn guardian_killed() -> Outcome {
    let arguments = ["--target", "host", "--fs", "xfs", "--mechanism", "swapfile"];
    let mut suite = program().args(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    let id = suite.id();
    let ready = || -> Result<Vec<i32>, Failed> {
        let blocked = |pid: &i32| {
            let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            status.lines().any(|line| line.starts_with("SigBlk:\tf")) && guards(*pid)
        };
        Ok(with_children(id.cast_signed())?.into_iter().filter(blocked).collect())
    };
    let wait_for = |what: &dyn Fn() -> Result<bool, Failed>| -> Result<(), Failed> {
        while !what()? {
            require(Instant::now() < deadline, "nothing happens")?;
            std::thread::yield_now();
        }
        Ok(())
    };
    wait_for(&|| Ok(!ready()?.is_empty()))?;
    let first = *ready()?.first().ok_or("no guardian")?;
    kill(Pid::from_raw(first), Signal::SIGKILL)?;
    wait_for(&|| Ok(ready()?.iter().any(|pid| *pid != first)))?;
    suite.kill()?;
    let output = suite.wait_with_output()?;
    let said = "iomap-conformance: the guardian, which cleans up after the suite, was killed by signal 9 (KILL): \
        another one is started\n";
    require(output.stderr == said.as_bytes(), format!("{output:?}"))?;
    nothing_left()?;
    Ok(Completion::Completed)
}

/// A directory with a program that replaces a real one, and a command of the suite that finds it first.
fn with_program(name: &str, script: &str, arguments: &[&str]) -> Result<(tempfile::TempDir, Command), Failed> {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n"))?;
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    let mut suite = program();
    let search = format!("{}:{}", directory.path().display(), std::env::var("PATH").unwrap_or_default());
    suite.env("PATH", search).args(["--target", "host", "--fs", "xfs", "--mechanism", "immutable-attr"]);
    suite.args(arguments);
    Ok((directory, suite))
}

/// Programs that hang, fail, are killed or do nothing are named in the message, and their children have ended.
fn programs_that_prepare_nothing() -> Outcome {
    for (name, script, why) in [
        ("mkfs.xfs", HANGS, "mkfs.xfs did not end within 2 s"),
        ("mkfs.xfs", "trap '' TERM INT HUP; sleep 54321", "mkfs.xfs did not end within 2 s"),
        ("mkfs.xfs", "exit 1", "mkfs.xfs ended with exit status 1 and said nothing"),
        ("mkfs.xfs", "echo no luck; exit 1", "mkfs.xfs failed: no luck"),
        ("mkfs.xfs", "kill -9 $$", "mkfs.xfs was killed by signal 9 (KILL)"),
        ("mkfs.xfs", "exit 0", "mounting xfs: EINVAL: Invalid argument: mkfs.xfs made no file system"),
        ("xfs_db", HANGS, "xfs_db did not end within 2 s"),
        ("xfs_db", "kill -9 $$", "xfs_db was killed by signal 9 (KILL)"),
    ] {
        let (_directory, mut suite) = with_program(name, script, &["--timeout", "2"])?;
        let output = suite.output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        require(said == format!("iomap-conformance: {why}\n"), format!("{name}, {script}: {said}"))?;
        require(output.status.code() == Some(3) && output.stdout.is_empty(), format!("{output:?}"))?;
        nothing_left()?;
    }
    Ok(Completion::Completed)
}

/// A program that waits for its children. They sleep for a duration that no other process uses.
const HANGS: &str = "sleep 54321 & sleep 54321; wait";

fn sleepers() -> Vec<String> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let command = |entry: &std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
    entries.filter(|it| command(it).contains("54321")).map(|it| format!("sleep {}", it.file_name().display())).collect()
}

/// SIGKILL, and a signal to all processes, while mkfs hangs: the guardian ends the children of mkfs.
fn killed_while_a_program_hangs() -> Outcome {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let (_directory, mut suite) = with_program("mkfs.xfs", HANGS, &[])?;
        let mut suite = suite.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while sleepers().is_empty() {
            require(Instant::now() < deadline, "mkfs is not called")?;
            std::thread::yield_now();
        }
        kill(Pid::from_raw(suite.id().cast_signed()), signal)?;
        suite.wait()?;
        nothing_left()?;
    }
    Ok(Completion::Completed)
}

/// If a program hangs in a case, the verdict is an error with the program's name, and the program is killed.
fn program_that_hangs_in_a_case() -> Outcome {
    let (_directory, mut suite) = with_program("xfs_fsr", HANGS, &["--timeout", "2", "--format", "json", "mover::"])?;
    let output = suite.output()?;
    let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
    let cases: Vec<_> = results.clauses.iter().flat_map(|clause| &clause.cases).collect();
    let errors: Vec<_> = cases.iter().filter(|case| case.verdict == Verdict::Error).collect();
    require(errors.len() == 1 && errors[0].name.contains("xfs_fsr"), format!("{errors:#?}"))?;
    let detail = errors[0].detail.clone().unwrap_or_default();
    require(detail.contains("xfs_fsr did not end within 2 s"), detail)?;
    require(cases.len() > 3, "the others did not run")?;
    nothing_left()?;
    Ok(Completion::Completed)
}

/// A directory without space, or a wrong /dev/loop-control, is reported; tested in a mount namespace.
fn places_that_do_not_do() -> Outcome {
    let directory = tempfile::tempdir()?;
    let at = directory.path().display();
    let run = |prepare: &str, fs: &str| {
        let script = format!("{prepare} && TMPDIR={at} exec {PROGRAM} --target host --fs {fs}");
        let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output()?;
        std::io::Result::Ok((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()))
    };
    let small = format!("mount -t tmpfs -o size=4m tmpfs {at}");
    for fs in ["xfs", "ext4", "btrfs"] {
        let (code, said) = run(&small, fs)?;
        let lacking = "iomap-conformance: lacking room for images: a run takes ";
        let room = said.starts_with(lacking) && said.contains(&format!(" in {at}, and "));
        require(code == Some(3) && room, format!("{fs}: {code:?} {said}"))?;
        nothing_left()?;
    }
    let (code, said) = run("mount --bind /dev/null /dev/loop-control", "xfs")?;
    let why = "iomap-conformance: /dev/loop-control is not the device of this name: it gives no loop devices\n";
    require(code == Some(3) && said == why, format!("{code:?} {said}"))?;
    Ok(Completion::Completed)
}

/// ext4 becomes read-only during a run, as a real kernel does it after an error. Then no clause is violated: cases end in
/// errors that say so.
fn a_file_system_that_the_kernel_gives_up() -> Outcome {
    let place = Mounted::prepared(FsKind::Ext4, "tune2fs -e remount-ro $image >&2")?;
    let device = place.device()?;
    let target = format!("dir={}", place.path().display());
    let arguments = ["--target", &target, "--mechanism", "immutable-attr", "--format", "json"];
    let suite = program().args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    // Some cases have their directories, and most have none yet.
    let cases = || -> usize {
        let fresh = place.entries().into_iter().find(|name| name.starts_with("iomap-conformance"));
        fresh.map_or(0, |name| std::fs::read_dir(place.path().join(name)).into_iter().flatten().count())
    };
    while cases() == 0 {
        require(Instant::now() < deadline, "no case begins")?;
        std::thread::yield_now();
    }
    std::fs::write(format!("/sys/fs/ext4/{device}/trigger_fs_error"), "1")?;
    let output = suite.wait_with_output()?;
    let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
    let violated: Vec<_> =
        results.clauses.iter().filter(|it| it.is_surprise() && it.verdict == Verdict::Violated).collect();
    require(violated.is_empty(), format!("{violated:#?}"))?;
    let why = "the kernel has made the ext4 of this case read-only after an error";
    let cases = results.clauses.iter().flat_map(|clause| &clause.cases).filter(|it| it.verdict == Verdict::Error);
    let told = cases.filter(|it| it.detail.as_ref().is_some_and(|detail| detail.contains(why))).count();
    require(told > 0 && output.status.code() == Some(3), format!("{told} errors, {output:?}"))?;
    Ok(Completion::Completed)
}

/// The table of swap areas has an area that is active all the time, also while areas before it come and go.
fn swaps_while_others_come_and_go() -> Outcome {
    let place = Mounted::new(FsKind::Xfs)?;
    let make = "PATH=$PATH:/sbin:/usr/sbin; for f in 1 2 3 4 stays; do \
        head -c 65536 /dev/zero >$f && chmod 600 $f && mkswap -q $f && swapon $f || exit 1; done";
    let made = Command::new("sh").args(["-c", make]).current_dir(place.path()).output()?;
    require(made.status.success(), format!("{made:?}"))?;
    let toggle = "PATH=$PATH:/sbin:/usr/sbin; i=0; while [ $i -lt 50 ]; do \
        swapoff 1 2 3 4 && swapon 1 && swapon 2 && swapon 3 && swapon 4 || exit 1; i=$((i+1)); done";
    let mut others = Command::new("sh").args(["-c", toggle]).current_dir(place.path()).spawn()?;
    let (stays, mut looks, mut missed) = (place.path().join("stays"), 0, 0);
    while others.try_wait()?.is_none() {
        looks += 1;
        missed += usize::from(!active_below(&place.path()).contains(&stays));
    }
    require(others.wait()?.success(), "swapoff and swapon fail")?;
    require(missed == 0, format!("in {missed} of {looks} looks, an active area is missing"))?;
    Ok(Completion::Completed)
}

/// A file system for a directory of the user, mounted until it is dropped. Its image has a name, as users' images do.
struct Mounted(tempfile::TempDir);

impl Mounted {
    fn new(fs: FsKind) -> Result<Self, Failed> {
        Self::prepared(fs, "true")
    }

    /// A file system on an image that a shell changes after mkfs; the shell has the image's name in `$image`.
    fn prepared(fs: FsKind, prepare: &str) -> Result<Self, Failed> {
        let place = Self(tempfile::tempdir()?);
        let (image, at) = (place.0.path().join("image"), place.path());
        std::fs::create_dir(&at)?;
        std::fs::File::create(&image)?.set_len(400 << 20)?;
        let make = format!("PATH=$PATH:/sbin:/usr/sbin; mkfs.{} -q {}", fs.name(), image.display());
        let mount = format!("mount -t {} -o loop {} {}", fs.name(), image.display(), at.display());
        let output = Command::new("sh")
            .args(["-c", &format!("{make} && {prepare} && {mount}")])
            .env("image", &image)
            .output()?;
        require(output.status.success(), format!("{output:?}"))?;
        Ok(place)
    }

    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("at")
    }

    /// The name of the loop device.
    fn device(&self) -> Result<String, Failed> {
        let at = self.path().display().to_string();
        let mounts = std::fs::read_to_string("/proc/mounts")?;
        let mut devices = mounts.lines().filter_map(|line| line.split_once(' ').filter(|it| it.1.starts_with(&at)));
        let (device, _) = devices.next().ok_or("the mount is gone")?;
        Ok(device.trim_start_matches("/dev/").into())
    }

    /// The names in the directory, without those that mkfs makes.
    fn entries(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path()).into_iter().flatten().flatten();
        entries.map(|it| it.file_name().to_string_lossy().into_owned()).filter(|it| it != "lost+found").collect()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // A failed test may have left an active swap file.
        for path in active_below(&self.path()) {
            let _ = Command::new("swapoff").arg(path).status();
        }
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn in_a_directory(fs: FsKind, mechanism: Mechanism) -> Outcome {
    let place = Mounted::new(fs)?;
    std::fs::write(place.path().join("a file of the user"), "precious")?;
    let target = format!("dir={}", place.path().display());
    let arguments = ["--target", &target, "--mechanism", mechanism.name(), "--format", "json"];
    let output = program().args(arguments).output()?;
    let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
    let surprises: Vec<_> = results.clauses.iter().filter(|c| c.is_surprise() || c.verdict == Verdict::Error).collect();
    require(surprises.is_empty(), format!("not as expected: {surprises:#?}"))?;
    require(output.status.code() == Some(0) && output.stderr.is_empty(), format!("{output:?}"))?;
    require((results.target.as_str(), results.fs.as_str()) == ("dir", fs.name()), "it says it was elsewhere")?;
    let wanted = if mechanism == Mechanism::Seal { 0 } else { 25 };
    require(results.count(Verdict::Holds) >= wanted, "hardly anything holds")?;
    require(place.entries() == ["a file of the user"], format!("left behind: {:?}", place.entries()))?;
    nothing_left()?;
    Ok(Completion::Completed)
}

/// SIGKILL of the suite leaves nothing. SIGKILL of its guardian as well leaves one directory, which the next suite
/// removes.
fn killed_in_a_directory() -> Outcome {
    let place = Mounted::new(FsKind::Xfs)?;
    let start = |mechanism: &str| {
        let mut command = program();
        command.arg("--dir").arg(place.path()).args(["--mechanism", mechanism]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn()
    };
    for moment in 0..12 {
        let mut suite = start(if moment % 2 == 0 { "swapfile" } else { "immutable-attr" })?;
        // This sleep does not wait for an event: the test is about this moment.
        std::thread::sleep(Duration::from_millis(10 + 40 * moment));
        suite.kill()?;
        suite.wait()?;
        nothing_left()?;
        // The suite may have been killed before its guardian started.
        let early = place.entries().len() == 1;
        require(place.entries().is_empty() || early, format!("left behind: {:?}", place.entries()))?;
    }
    for mechanism in ["swapfile", "immutable-attr"] {
        let mut suite = start(mechanism)?;
        let deadline = Instant::now() + Duration::from_secs(10);
        let in_use = || match mechanism {
            "swapfile" => !active_below(&place.path()).is_empty(),
            _ => {
                place.entries().iter().any(|it| std::fs::read_dir(place.path().join(it)).is_ok_and(|it| it.count() > 0))
            }
        };
        while !in_use() && suite.try_wait()?.is_none() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        // Stop the suite first, so that it cannot act after the guardian's end.
        kill(Pid::from_raw(suite.id().cast_signed()), Signal::SIGSTOP)?;
        for guardian in guardians_of(suite.id())? {
            kill(Pid::from_raw(guardian), Signal::SIGKILL)?;
        }
        suite.kill()?;
        suite.wait()?;
        require(
            place.entries().len() == 1,
            format!("{mechanism}: one directory was to be left: {:?}", place.entries()),
        )?;
        let next = program().arg("--dir").arg(place.path()).output()?;
        require(next.status.code() == Some(0), format!("{next:?}"))?;
        require(place.entries().is_empty(), format!("{mechanism}: left behind: {:?}", place.entries()))?;
        nothing_left()?;
    }
    Ok(Completion::Completed)
}

/// The violated cases that no program can repeat, by the reason that the suite gives. Which of them are violated
/// depends on the kernel and the file system, and for shrinking btrfs on the place of the file.
#[rustfmt::skip] // A family, a line.
const WITHOUT_PROGRAM: &[(&str, &[&str])] = &[
    ("the power was lost", &["durable::grown", "durable::rewritten", "durable::sealed", "durable::unsealed", "durable::without_fsync"]),
    ("the file system was mounted again", &["seal::remounted", "durable::remount"]),
    ("the free space was counted", &["write::full"]),
    ("a quota was set", &["truncate::quota_same", "unseal::quota_unseal", "write::quota"]),
    ("the file system was asked to move the file", &["write::meanwhile"]),
    ("the storage agent took part", &[
        "agent::after_fadvise", "agent::after_freeze", "agent::after_refusal", "agent::after_rename",
        "agent::after_sync_range", "agent::after_trim", "agent::meanwhile", "agent::overwrite", "agent::sees_in_storm",
        "agent::writes_in_storm",
        "mount::options_recovery",
        "durable::agent", "durable::churn", "durable::journal",
        "mount::options", "mover::collect", "mover::convert_ext4_migrate", "mover::defragment", "mover::defragment_btrfs_range", "mover::remove_device",
        "mover::replace_device", "mover::shrink",
        "name::kept_btrfs_destroy",
        "refuse::other_btrfs_encoded",
        "seal::written_after",
        "share::dedupe_source", "share::dedupe_target", "share::dedupe_within", "share::snapshot",
        "share::source_in_place", "share::within",
        "truncate::same_tail",
        "write::atomic", "write::into", "write::into_from_sealed", "write::out", "write::within",
    ]),
];

/// Makes the superblock that an mkfs.xfs without XFS_IOC_EXCHANGE_RANGE would make.
const EXCHANGE_OFF: &str = r#"bits=$(xfs_db -c 'sb 0' -c 'print features_incompat' $image | sed 's/.* //') &&
    xfs_db -x -c 'sb 0' -c "write -d features_incompat $(printf %#x $((bits & ~64)))" $image"#;

/// Each program makes the calls of its case and gets the same results; xfs_io accepts each script.
fn reproducers(fs: FsKind, mechanism: &str) -> Outcome {
    // The bit for XFS_IOC_EXCHANGE_RANGE, as in the suite's own images.
    const EXCHANGE: &str = r#"bits=$(xfs_db -c 'sb 0' -c 'print features_incompat' $image | sed 's/.* //') &&
        xfs_db -x -c 'sb 0' -c "write -d features_incompat $(printf %#x $((bits | 64)))" $image"#;
    let prepare = if fs == FsKind::Xfs { EXCHANGE } else { "true" };
    let (place, programs) = (Mounted::prepared(fs, prepare)?, tempfile::tempdir()?);
    let arguments = ["--target", "host", "--fs", fs.name(), "--mechanism", mechanism, "--format", "json"];
    let output = program().args(arguments).arg("--reproducers").arg(programs.path()).output()?;
    let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let without: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("none for ")).collect();
    let known = |line: &str| {
        let (name, reason) = line.split_once(": ").unwrap_or_default();
        WITHOUT_PROGRAM.iter().any(|(known, names)| *known == reason && names.contains(&name))
    };
    let unknown: Vec<&str> = without.iter().copied().filter(|line| !known(line)).collect();
    require(unknown.is_empty(), format!("not in WITHOUT_PROGRAM: {unknown:#?}"))?;
    let violated = results.clauses.iter().flat_map(|clause| &clause.cases).filter(|case| !case.trace.is_empty());
    let files: Vec<_> = std::fs::read_dir(programs.path())?.flatten().map(|entry| entry.path()).collect();
    let (sources, scripts): (Vec<_>, Vec<_>) =
        files.into_iter().partition(|path| path.extension().is_some_and(|it| it == "c"));
    require(sources.len() + without.len() == violated.count(), format!("{} programs: {said}", sources.len()))?;
    require(mechanism == "swapfile" || scripts.len() > 15, format!("{} scripts", scripts.len()))?;

    // Files that exist already stay unchanged.
    let at = place.path();
    std::fs::write(at.join("file"), "precious")?;
    let check = |sources: &[std::path::PathBuf]| -> Result<(), Failed> {
        for source in sources {
            compile(source)?;
            let (code, said) = again(source, &at)?;
            // The scheduler decides which call of a race comes first, so the program may not get the result.
            let race = source.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"race-"));
            require(code == Some(0) || race && code == Some(1), format!("{}: {code:?} {said}", source.display()))?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let parts = sources.chunks(sources.len().div_ceil(4)).map(|part| scope.spawn(|| check(part)));
        let parts: Vec<_> = parts.collect();
        parts.into_iter().try_for_each(|part| part.join().map_err(|_| Failed::from("a thread panicked"))?)
    })?;
    for script in &scripts {
        let output = Command::new("sh").arg(script).arg(&at).output()?;
        require(output.status.code() == Some(0), format!("{}: {output:?}", script.display()))?;
    }
    // With a changed outcome, or changed times, the same programs exit with 1.
    for (name, is, other) in [
        ("name-unlink.c", ", 0);", ", -ENOSPC);"),
        ("seal-again.c", ", OTHER_CTIME);", ", 0);"),
        ("seal-again.xfs_io.sh", ", other status change time\nEOF", "\nEOF"),
        ("truncate-grow.xfs_io.sh", "truncate 16385\n", "truncate 16386\n"),
    ] {
        let source = programs.path().join(name);
        let Some((before, after)) = std::fs::read_to_string(&source)
            .ok()
            .and_then(|text| text.rsplit_once(is).map(|(before, after)| (before.to_owned(), after.to_owned())))
        else {
            require(mechanism != "immutable-attr" || fs != FsKind::Xfs, format!("{name} is not as it was"))?;
            continue;
        };
        std::fs::write(&source, format!("{before}{other}{after}"))?;
        let code = if name.ends_with(".c") {
            compile(&source)?;
            again(&source, &at)?.0
        } else {
            Command::new("sh").arg(&source).arg(&at).stdout(Stdio::null()).stderr(Stdio::null()).status()?.code()
        };
        require(code == Some(1), format!("{name}: {code:?}"))?;
    }
    if fs == FsKind::Ext4 {
        stopped(&programs.path().join("race-collapse_orders.c"), &place)?;
    }
    cannot_show(programs.path(), fs)?;
    let left = place.entries();
    require(left == ["file"], format!("left behind: {left:?}"))?;
    require(std::fs::read_to_string(at.join("file"))? == "precious", "a file of the user was changed")?;
    require(active_below(&place.path()).is_empty(), "a swap file is active")?;
    Ok(Completion::Completed)
}

/// A program that is killed while its swap file is active leaves nothing behind.
fn stopped(source: &Path, place: &Mounted) -> Result<(), Failed> {
    let text = std::fs::read_to_string(source).unwrap_or_else(|_| String::new());
    // The changed program waits for a size that never occurs, until it is killed.
    let Some((before, after)) = text.rsplit_once("CALL(file_size(") else { return Ok(()) };
    std::fs::write(source, format!("{before}CALL(1 + file_size({after}"))?;
    compile(source)?;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGKILL] {
        let mut program = Command::new(source.with_extension("")).arg(place.path()).stdout(Stdio::null()).spawn()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while active_below(&place.path()).is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        kill(Pid::from_raw(program.id().cast_signed()), signal)?;
        program.wait()?;
        while place.entries() != ["file"] && Instant::now() < deadline {
            std::thread::yield_now();
        }
        require(place.entries() == ["file"], format!("{signal}: left behind: {:?}", place.entries()))?;
    }
    Ok(())
}

/// A missing condition of a program has a line of output and an exit code of its own.
fn cannot_show(programs: &Path, fs: FsKind) -> Result<(), Failed> {
    let elsewhere = tempfile::tempdir_in("/dev/shm")?;
    let says = |command: &mut Command, what: &str| -> Result<(), Failed> {
        let output = command.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = said.lines().last().unwrap_or_default();
        let right = output.status.code() == Some(77) && line == format!("it cannot be shown here: it needs {what}");
        require(right, format!("{what}: {output:?}"))
    };
    let place = format!("a directory on {}", fs.name());
    for name in ["truncate-grow", "seal-again"] {
        says(Command::new(programs.join(name)).arg(elsewhere.path()), &place)?;
    }
    let script = programs.join("truncate-shrink.xfs_io.sh");
    if script.exists() {
        says(Command::new("sh").arg(script).arg(elsewhere.path()), &place)?;
    }
    let exchange = programs.join("share-exchange_xfs_exchange");
    if exchange.exists() {
        let usual = Mounted::prepared(fs, EXCHANGE_OFF)?;
        let what = "XFS with the exchange bit (mkfs.xfs -i exchange=1) and Linux 6.10";
        says(Command::new(exchange).arg(usual.path()), what)?;
        require(usual.entries().is_empty(), format!("left behind: {:?}", usual.entries()))?;
    }
    Ok(())
}

fn compile(source: &Path) -> Result<(), Failed> {
    let mut compiler = Command::new("cc");
    let compiler = compiler.args(["-Wall", "-Wextra", "-Werror", "-O0", "-fsanitize=address,undefined"]);
    let compiler = compiler.args(["-fno-sanitize-recover=all", "-o"]).arg(source.with_extension(""));
    let output = compiler.arg(source).output()?;
    require(output.status.success(), format!("{}: {}", source.display(), String::from_utf8_lossy(&output.stderr)))
}

/// Runs the program of a source. Returns its exit code and its output.
fn again(source: &Path, place: &Path) -> Result<(Option<i32>, String), Failed> {
    let mut program = Command::new(source.with_extension(""));
    // An exit code without another meaning.
    for sanitizer in ["ASAN_OPTIONS", "LSAN_OPTIONS", "UBSAN_OPTIONS"] {
        program.env(sanitizer, "exitcode=99");
    }
    let ran = program.arg(place).output()?;
    Ok((ran.status.code(), format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr))))
}

/// On a file system of the user, the suite passes no mode of fallocate(2) that a future kernel may define otherwise. It
/// passes the mode for sealing only after the kernel has shown that it knows sealing.
fn modes_in_a_directory() -> Outcome {
    // The modes of Linux, without FALLOC_FL_WRITE_ZEROES.
    const KNOWN: u32 = 0x7b;
    const SEAL: u32 = 0x100;
    let place = Mounted::new(FsKind::Xfs)?;
    let calls = |mechanism: &str, tamper: &[&str]| -> Result<Vec<(u32, bool)>, Failed> {
        let log = place.0.path().join("calls");
        let mut suite = Command::new("strace");
        suite.env("TMPDIR", TEMPORARY).args(["-f", "--seccomp-bpf", "-X", "raw", "-y", "-e", "trace=fallocate"]);
        suite.args(tamper).arg("-o").arg(&log).arg(PROGRAM).arg("--dir").arg(place.path());
        suite.args(["--mechanism", mechanism]).output()?;
        let text = std::fs::read_to_string(&log)?;
        let lines = text.lines().filter_map(|line| line.split_once("fallocate("));
        let made = lines.filter_map(|(_, arguments)| {
            let mode = arguments.split(", ").nth(1)?;
            let mode =
                mode.strip_prefix("0x").map_or_else(|| mode.parse().ok(), |hex| u32::from_str_radix(hex, 16).ok());
            Some((mode?, arguments.contains("(deleted)")))
        });
        Ok(made.collect())
    };
    for mechanism in Mechanism::ALL.into_iter().filter(|mechanism| mechanism.fits(FsKind::Xfs)) {
        let made = calls(mechanism.name(), &[])?;
        let others: Vec<_> = made.iter().filter(|(mode, _)| mode & !KNOWN != 0).collect();
        let asked: &[_] = if mechanism == Mechanism::Seal { &[&(SEAL, true)] } else { &[] };
        require(others == asked, format!("{}: {others:x?}", mechanism.name()))?;
        require(mechanism == Mechanism::Seal || made.len() > 20, format!("{} calls", made.len()))?;
    }
    // A kernel that gives the mode another meaning, and a kernel that only seems to know sealing.
    let other = calls("seal", &["-e", "inject=fallocate:retval=0:when=1"])?;
    require(other == [(SEAL, true)], format!("{other:x?}"))?;
    let knows = calls("seal", &["-e", "inject=fallocate:error=EINVAL:when=1"])?;
    require(knows.iter().any(|(mode, unnamed)| *mode == SEAL && !unnamed), format!("{knows:x?}"))?;
    Ok(Completion::Completed)
}

/// A target whose file system is frozen while one case runs, so that writes wait.
struct Freezing {
    inner: Directory,
    was_frozen: AtomicBool,
    root: std::path::PathBuf,
}

impl Target for Freezing {
    fn system(&self, clause: &Clause, lane: Lane) -> Result<Box<dyn System + '_>, Trouble> {
        let fsfreeze = |option| Command::new("fsfreeze").arg(option).arg(&self.root).stderr(Stdio::null()).status();
        let failed = |error| Trouble::Setup(format!("fsfreeze: {error}"));
        if *clause != iomap_clauses::TRUNCATE_SHRINK || self.was_frozen.swap(true, Ordering::Relaxed) {
            fsfreeze("-u").map_err(failed)?;
            return self.inner.system(clause, lane);
        }
        let system = self.inner.system(clause, lane)?;
        fsfreeze("-f").map_err(failed)?;
        Ok(system)
    }

    fn lacks(&self, mechanism: Mechanism) -> Option<String> {
        self.inner.lacks(mechanism)
    }
}

/// A case that hangs in the kernel is an error with its place in the kernel, and the other cases have verdicts.
fn abandoned() -> Outcome {
    let place = Mounted::new(FsKind::Xfs)?;
    let fresh = Fresh::new(&place.path())?;
    let inner = Directory::new(&fresh, Mechanism::ImmutableAttr)?;
    let target: Arc<dyn Target> = Arc::new(Freezing { inner, was_frozen: AtomicBool::new(false), root: place.path() });
    let weak = Arc::downgrade(&target);
    let subject = Subject { target: "dir", mechanism: Mechanism::ImmutableAttr, fs: "xfs" };
    let guard = Arc::new(Guard::new(Duration::from_secs(2), None));
    let family: Vec<&Case> = cases().filter(|case| case.clause.family() == "truncate").collect();
    let quiet: Progress = Arc::new(|_| ());
    let results = run(&target, &subject, (&Plan::plain(&family).runs, 1), &Expectations::all_hold(), &guard, &quiet);
    // The abandoned case ends now, and releases the file system.
    drop(target);
    let deadline = Instant::now() + Duration::from_secs(20);
    while weak.strong_count() > 0 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    drop(fresh);
    require(place.entries().is_empty(), format!("left behind: {:?}", place.entries()))?;
    let cases: Vec<_> = results.clauses.iter().flat_map(|clause| &clause.cases).collect();
    let stuck = cases.iter().find(|case| case.name == "truncate::shrink").ok_or("the case did not run")?;
    let detail = stuck.detail.clone().unwrap_or_default();
    require(stuck.verdict == Verdict::Error, format!("{stuck:?}"))?;
    for part in ["abandoned after 2 s", "state D (disk sleep)", "percpu_rwsem_wait", "do_sys_openat2"] {
        require(detail.contains(part), format!("no {part}: {detail}"))?;
    }
    require(stuck.trace.last().is_some_and(|line| line.ends_with(" does not return")), format!("{:?}", stuck.trace))?;
    let others = cases.iter().filter(|case| case.verdict != Verdict::Error).count();
    require(others > 5 && others == cases.len() - 1, format!("{others} of {} ran", cases.len()))?;
    require(results.exit() != iomap_command::Exit::Fine, "it counts as passed")?;
    Ok(Completion::Completed)
}

/// Messages of the kernel about our device during a case are in the results; messages about other devices are not.
fn kernel_log() -> Outcome {
    let place = Mounted::new(FsKind::Ext4)?;
    let source = Command::new("findmnt").args(["-n", "-o", "SOURCE"]).arg(place.path()).output()?;
    let device = String::from_utf8_lossy(&source.stdout).trim().trim_start_matches("/dev/").to_owned();
    let ours = format!("EXT4-fs error (device {device}): said by a test");
    for (line, red) in [(ours.clone(), true), (ours.replace(&device, "nowhere"), false)] {
        let mut suite = program();
        suite.arg("--dir").arg(place.path()).args(["--mechanism", "swapfile", "--format", "json"]);
        let suite = suite.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
        let deadline = Instant::now() + Duration::from_secs(10);
        while active_below(&place.path()).is_empty() && Instant::now() < deadline {
            std::thread::yield_now();
        }
        std::fs::write("/dev/kmsg", &line)?;
        let output = suite.wait_with_output()?;
        let results = Results::parse(&String::from_utf8_lossy(&output.stdout))?;
        let said: Vec<_> = results.kernel_log.iter().map(|it| (it.text.clone(), it.during.is_empty())).collect();
        let expected = if red { vec![(line, false)] } else { Vec::new() };
        require(said == expected, format!("{:?}", results.kernel_log))?;
        require(output.status.code() == Some(if red { 3 } else { 0 }), format!("{:?}", output.status))?;
    }
    Ok(Completion::Completed)
}

fn guardians_of(suite: u32) -> Result<Vec<i32>, Failed> {
    Ok(with_children(suite.cast_signed())?.into_iter().skip(1).collect())
}

/// A process and all its children, of every thread.
fn with_children(process: i32) -> Result<Vec<i32>, Failed> {
    let mut all = vec![process];
    let tasks = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    for task in tasks {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|pid| pid.parse().ok()) {
            all.extend(with_children(child)?);
        }
    }
    Ok(all)
}

/// Whether a process is a guardian.
fn guards(pid: i32) -> bool {
    let line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split('\0').nth(1) == Some(guardian::COMMAND)
}

fn swap_areas() -> usize {
    // Swap files in another mount namespace are listed by their path in that namespace.
    active_below(Path::new("/")).len()
}

/// Waits until there is no process and no loop device of the suite.
fn nothing_left() -> Result<(), Failed> {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let left = [loop_devices(), processes(), sleepers()].concat();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(format!("left behind: {}", left.join(", ")).into());
        }
        std::thread::yield_now();
    }
}

/// The loop devices with our images. An active swap file keeps its device.
fn loop_devices() -> Vec<String> {
    let Ok(devices) = std::fs::read_dir("/sys/block") else { return Vec::new() };
    let backing = |entry: std::fs::DirEntry| std::fs::read_to_string(entry.path().join("loop/backing_file")).ok();
    devices.flatten().filter_map(backing).filter(|file| file.starts_with(TEMPORARY)).collect()
}

/// The processes of suites and of guardians, which have another name but the same program.
fn processes() -> Vec<String> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let ours = |entry: &std::fs::DirEntry| {
        std::fs::read_link(entry.path().join("exe")).is_ok_and(|program| program == Path::new(PROGRAM))
    };
    entries.flatten().filter(ours).map(|entry| format!("process {}", entry.file_name().to_string_lossy())).collect()
}

/// Runs the suite from a shell script, which has the program in `$suite`. Returns the exit code and the output.
fn by_shell(script: &str) -> Result<(Option<i32>, String), Failed> {
    let output = program_of(Command::new("sh")).args(["-c", script]).env("suite", PROGRAM).output()?;
    let said = [output.stderr, output.stdout].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    Ok((output.status.code(), said))
}

/// Checks that the report names the lack, and that the lack is not a verdict.
fn named(script: &str, name: &str) -> Result<(), Failed> {
    let (code, said) = by_shell(script)?;
    require(code == Some(3) && said.contains(name), format!("{script}: {code:?}: {said}"))
}

fn without_limits() -> Outcome {
    let run = "exec $suite --target host --mechanism swapfile";
    for descriptors in [24, 64, 100] {
        named(&format!("ulimit -n {descriptors}; {run}"), "lacking file descriptors: a run takes")?;
    }
    named(&format!("ulimit -v 600000; {run}"), "lacking memory: a run takes")?;
    nothing_left()?;
    Ok(Completion::Completed)
}

fn without_rights() -> Outcome {
    let without = |right: &str, run: &str| format!("exec setpriv --bounding-set -{right} $suite {run}");
    let place = Mounted::new(FsKind::Ext4)?;
    for run in ["--target host".into(), format!("--dir {}", place.path().display())] {
        for (right, name) in [("linux_immutable", "CAP_LINUX_IMMUTABLE"), ("chown", "CAP_CHOWN")] {
            let run = format!("{run} --mechanism immutable-attr");
            named(&without(right, &run), &format!("lacking rights of the caller: {name} is missing"))?;
        }
    }
    let why = "lacking rights of the caller: CAP_DAC_OVERRIDE is missing";
    named(&without("dac_override", "--target host --mechanism swapfile"), why)?;
    nothing_left()?;
    Ok(Completion::Completed)
}

/// A directory for temporary files that is full at the start, or becomes full while cases run.
fn without_room() -> Outcome {
    let attribute = [("xfs", 8), ("ext4", 8), ("xfs", 100), ("xfs", 130), ("ext4", 60), ("btrfs", 60)];
    let swap = [("xfs", 130), ("xfs", 160), ("xfs", 200)];
    let runs = attribute.map(|run| ("immutable-attr", run)).into_iter().chain(swap.map(|run| ("swapfile", run)));
    for (mechanism, (fs, megabytes)) in runs {
        let place = tempfile::tempdir()?;
        let at = place.path().display();
        let script = format!(
            "mount -t tmpfs -o size={megabytes}m lack {at} || exit 9
             TMPDIR={at} $suite --target host --fs {fs} --mechanism {mechanism}; code=$?; umount {at}; exit $code"
        );
        let (code, said) = by_shell(&script)?;
        let named = said.contains("lacking room for images");
        require(
            code == Some(3) && named || code == Some(0),
            format!("{fs}/{mechanism}, {megabytes} MB: {code:?}: {said}"),
        )?;
        require(code == Some(3) || megabytes > 8, "it needs no room")?;
    }
    nothing_left()?;
    Ok(Completion::Completed)
}

/// Other processes use all swap areas.
fn without_swap_areas() -> Outcome {
    let place = Mounted::new(FsKind::Ext4)?;
    let run = ["--target", "host", "--mechanism", "swapfile"];
    for (areas, wanted) in [(8, 0), (20, 3)] {
        let script = "for n in $(seq $areas); do
                f=$at/area-$n; [ -e $f ] && continue
                dd if=/dev/zero of=$f bs=4096 count=10 status=none && chmod 600 $f && sync $f &&
                PATH=$PATH:/sbin mkswap $f >/dev/null && PATH=$PATH:/sbin swapon $f || exit 9
            done";
        let made =
            Command::new("sh").args(["-c", script]).env("areas", areas.to_string()).env("at", place.path()).output()?;
        require(made.status.success(), format!("{made:?}"))?;
        let output = program().args(run).output()?;
        require(output.status.code() == Some(wanted), format!("with {areas} areas: {output:?}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        require(wanted == 0 || said.contains("lacking swap areas: a run takes"), said.clone())?;
    }
    let active = active_below(&place.path());
    require(active.len() == 20, format!("it touched those of others: {active:?}"))?;
    Ok(Completion::Completed)
}

/// Concurrent runs wait for each other.
fn two_runs() -> Outcome {
    let mut runs = Vec::new();
    for fs in [FsKind::Xfs, FsKind::Ext4, FsKind::Xfs] {
        runs.push(start(fs, None)?);
    }
    for run in &mut runs {
        let status = run.wait()?;
        require(status.success(), format!("{status}"))?;
    }
    // If a run is killed, the next one gets its turn.
    let mut first = start(FsKind::Xfs, None)?;
    let mut second = start(FsKind::Xfs, Some("truncate"))?;
    first.kill()?;
    first.wait()?;
    let status = second.wait()?;
    require(status.success(), format!("after one that was killed: {status}"))?;
    nothing_left()?;
    Ok(Completion::Completed)
}

/// File systems without expectations: a missing mechanism is one line, and no verdict is unexpected.
fn in_a_strange_directory() -> Outcome {
    let scripts = [
        ("tmpfs", "mount -t tmpfs strange $at"),
        (
            "overlay",
            "mount -t tmpfs strange $at && mkdir $at/lower $at/upper $at/work $at/merged &&
             mount -t overlay -o lowerdir=$at/lower,upperdir=$at/upper,workdir=$at/work strange $at/merged &&
             dir=$at/merged",
        ),
    ];
    for (fs, mount) in scripts {
        for mechanism in ["seal", "swapfile", "immutable-attr"] {
            let place = tempfile::tempdir()?;
            let script = format!(
                "at={}; dir=$at; {mount} || exit 9
                 $suite --dir $dir --mechanism {mechanism}; code=$?; umount $dir; umount $at 2>/dev/null; exit $code",
                place.path().display()
            );
            let (code, said) = by_shell(&script)?;
            require(code == Some(0), format!("{fs}/{mechanism}: {code:?}: {said}"))?;
            let short = mechanism == "immutable-attr" || said.lines().count() < 12;
            require(short, format!("{fs}/{mechanism}: not one line: {said}"))?;
        }
    }
    Ok(Completion::Completed)
}

/// File systems without features that the expectations assume.
fn without_features() -> Outcome {
    for (mkfs, mechanism) in ["mkfs.xfs -q -f -m reflink=0 $image", "mkfs.ext4 -q -F -O ^has_journal $image"]
        .into_iter()
        .flat_map(|mkfs| ["swapfile", "immutable-attr"].map(|mechanism| (mkfs, mechanism)))
    {
        let fs = if mkfs.contains("xfs") { FsKind::Xfs } else { FsKind::Ext4 };
        let place = Mounted::prepared(fs, mkfs)?;
        let target = format!("dir={}", place.path().display());
        let output = program().args(["--target", &target, "--mechanism", mechanism]).output()?;
        require(output.status.code() == Some(0), format!("{mkfs}, {mechanism}: {output:?}"))?;
    }
    nothing_left()?;
    Ok(Completion::Completed)
}

/// The results and messages for an ordinary user.
fn without_root() -> Outcome {
    use std::os::unix::process::CommandExt;
    // The program may be in a place that only root can access.
    let directory = tempfile::tempdir()?;
    let copy = directory.path().join("iomap-conformance");
    std::fs::copy(PROGRAM, &copy)?;
    Command::new("chmod").arg("755").arg(directory.path()).status()?;
    let suite = |arguments: &[&str]| {
        let output = Command::new(&copy).args(arguments).uid(65534).gid(65534).current_dir("/").output()?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        std::io::Result::Ok((output.status.code(), text(&output.stdout), text(&output.stderr)))
    };
    let host = "iomap-conformance: target host needs root: it makes, mounts and swaps to file systems of its own";
    let swap = "iomap-conformance: mechanism swapfile needs root: swapon(2)";
    let attribute = "iomap-conformance: mechanism immutable-attr needs root: FS_IOC_SETFLAGS with FS_IMMUTABLE_FL";
    let unmade = "iomap-conformance: /proc: a directory cannot be made in it: ";
    for (arguments, message) in [
        (["--target", "host"].as_slice(), host),
        (&["--target", "dir=/tmp", "--mechanism", "swapfile"], swap),
        (&["--dir", "/tmp", "--mechanism", "immutable-attr"], attribute),
        (&["--dir", "/proc"], unmade),
    ] {
        let (code, out, error) = suite(arguments)?;
        require(error.starts_with(message) && error.lines().count() == 1, format!("{arguments:?}: {error}"))?;
        require(code == Some(3) && out.is_empty(), format!("{arguments:?}: {code:?} {out}"))?;
    }
    // A device that only root may use.
    let script = format!(
        "mount -t tmpfs tmpfs /srv && mknod -m 600 /srv/fuse c 10 229 && mount --bind /srv/fuse /dev/fuse && \
         exec setpriv --reuid 65534 --regid 65534 --clear-groups {} --target fuse",
        copy.display()
    );
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).current_dir("/").output()?;
    let device = "iomap-conformance: mounting the reference: /dev/fuse: Permission denied (os error 13)\n";
    require(output.stderr == device.as_bytes() && output.status.code() == Some(3), format!("{output:?}"))?;
    let (code, out, error) = suite(&["--target", "dir=/tmp"])?;
    let last = out.lines().last().unwrap_or_default();
    let lacking = "not offered: fallocate(2) answers EOPNOTSUPP to FALLOC_FL_SEAL_BLOCK_MAP";
    require(code == Some(0) && last == lacking, format!("{code:?} {out} {error}"))?;
    // The administrator decides whether ordinary users may read the kernel log.
    let unwatched = "iomap-conformance: the kernel log is not watched: /dev/kmsg: ";
    require(error.is_empty() || error.starts_with(unwatched) && error.lines().count() == 1, error)?;
    let (code, out, _) = suite(&[])?;
    require(code == Some(0) && out.ends_with("conforms"), format!("{code:?} {out}"))?;
    Ok(Completion::Completed)
}

/// A namespace without the programs of the system administrator.
fn without_mkfs() -> Outcome {
    let script = format!("mount -t tmpfs none /usr/sbin && PATH=/nowhere {PROGRAM} --target host --fs btrfs");
    let output = Command::new("unshare").args(["-m", "sh", "-c", &script]).output()?;
    let message = "iomap-conformance: target host needs mkfs.btrfs for btrfs: apt-get install btrfs-progs\n";
    require(output.stderr == message.as_bytes() && output.stdout.is_empty(), format!("{output:?}"))?;
    require(output.status.code() == Some(3), format!("{output:?}"))?;
    Ok(Completion::Completed)
}
