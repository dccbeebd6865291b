//! A Debian kernel in a guest, and the messages if there is no kernel or if the kernel is unsuitable.
//!
//! The kernel is Debian's 6.1, which apt downloads once. If QEMU or apt is missing, the tests that need it are skipped
//! with a note. No test needs root or KVM.

use iomap_conformance::{ClauseResult, Results};
use iomap_results::Verdict;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-conformance");
const KERNEL: &str = "6.1";

/// The seed of a cut late in the work, while the last file enters the state: all other files were acknowledged before.
const SEED: &str = "16";

/// One guest at a time: guests are slow without KVM, and one of them exceeds its time limit on purpose.
static ONE_BY_ONE: Mutex<()> = Mutex::new(());

fn turn() -> Option<MutexGuard<'static, ()>> {
    let programs = ["qemu-system-x86_64", "apt-cache", "dpkg-deb", "mkfs.ext4", "depmod"];
    let all = programs.into_iter().all(iomap_testing::tools::has);
    all.then(|| ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner))
}

fn lab(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).arg("lab").args(arguments).output().expect("the lab starts")
}

fn refusal(arguments: &[&str]) -> String {
    let output = lab(arguments);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert!(output.stdout.is_empty(), "{output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn boots_a_kernel() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("results.json");
    let file = file.to_str().expect("UTF-8");
    let arguments = ["--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile", "immutable-attr"];
    let output = lab(&[&arguments[..], &["--format", "json", "--output", file]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = std::fs::read_to_string(file).expect("results");
    let runs = Results::parse_all(&text).expect("a document");
    let mechanisms: Vec<&str> = runs.iter().map(|run| run.mechanism.as_str()).collect();
    assert_eq!(mechanisms, ["swapfile", "immutable-attr"]);
    for run in &runs {
        assert!(run.kernel.release.starts_with("6.1.") && run.target == "lab", "{:?}", run.kernel);
        assert!(run.kernel.built.is_some() && run.kernel.build_id.is_some(), "{:?}", run.kernel);
        assert_eq!(run.kernel_log, []);
        let surprises = run.clauses.iter().filter(|c| c.is_surprise() || c.verdict == Verdict::Error);
        assert_eq!(surprises.map(|clause| clause.id.as_str()).collect::<Vec<_>>(), [""; 0]);
        assert!(run.count(Verdict::Holds) > 20 && run.count(Verdict::Violated) > 10, "{:?}", run.totals);
    }
    let document: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    schema::check(&schema::lab(), &document);
    let table = Command::new(PROGRAM).args(["matrix", file]).output().expect("the table");
    assert!(String::from_utf8_lossy(&table.stdout).contains("Linux 6.1."), "{table:?}");
}

/// A kernel that seals, if one was built here.
fn sealing() -> Option<String> {
    let kernel = Path::new(env!("CARGO_MANIFEST_DIR")).join("../kernel/build");
    if !kernel.join("arch/x86/boot/bzImage").exists() {
        // A build takes a quarter of an hour, so that no test asks for it.
        eprintln!("not tested: there is no kernel/build: make kernel");
        return None;
    }
    Some(kernel.display().to_string())
}

/// The kernel of `make kernel`, if it was built: there, the specified interface itself is tested.
#[test]
fn boots_the_kernel_that_seals() {
    let Some(_turn) = turn() else { return };
    let Some(kernel) = sealing() else { return };
    let options = ["--mechanism", "seal", "--case", "truncate", "--format", "json"];
    let output = lab(&[&["--kernel", &kernel, "--fs", "ext4"][..], &options].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let runs = Results::parse_all(&String::from_utf8_lossy(&output.stdout)).expect("a document");
    assert!(runs[0].kernel.release.ends_with("-sealed") && runs[0].kernel_log.is_empty(), "{:?}", runs[0].kernel);
    let looked_at: Vec<&ClauseResult> = runs[0].clauses.iter().filter(|clause| !clause.cases.is_empty()).collect();
    assert!(looked_at.len() > 5 && looked_at.iter().all(|clause| clause.verdict == Verdict::Holds), "{looked_at:?}");
}

/// A loss of power: flushed data are kept, data that were never made durable are lost.
#[test]
fn cuts_the_power() {
    let Some(_turn) = turn() else { return };
    let output = lab(&[
        &["--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile"][..],
        &["--power-cuts", "1", "--seed", SEED, "--format", "json"],
    ]
    .concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let runs = Results::parse_all(&String::from_utf8_lossy(&output.stdout)).expect("a document");
    let looked_at: Vec<_> = runs[0].clauses.iter().filter(|clause| clause.verdict != Verdict::Untested).collect();
    let verdict = |id: &str| looked_at.iter().find(|clause| clause.id == id).map(|clause| clause.verdict);
    for id in ["durable.data", "durable.unseal", "durable.agent"] {
        assert_eq!(verdict(id), Some(Verdict::Holds), "{id}: {looked_at:?}");
    }
    assert_eq!(verdict("durable.seal"), Some(Verdict::Violated), "{looked_at:?}");
    assert!(looked_at.iter().all(|clause| clause.family() == "durable"), "{looked_at:?}");
    let agent = looked_at.iter().find(|clause| clause.id == "durable.agent").expect("the clause");
    let detail = agent.cases[0].detail.as_deref().expect("figures");
    // On a busy machine the cut may miss the moment of the call.
    let met = u32::from(verdict("durable.either") == Some(Verdict::Holds));
    let cuts = format!("times after 1 cuts, {met} of them while a state changed (--seed {SEED}); lost were ");
    assert!(detail.contains(&cuts), "{detail}");
    assert!(!detail.contains("lost were 0 of"), "{detail}");
}

/// The same on persistent memory: stored data are kept, changes in the kernel's own memory are lost.
#[test]
fn cuts_the_power_of_persistent_memory() {
    let Some(_turn) = turn() else { return };
    let output = lab(&[
        &["--kernel", KERNEL, "--fs", "ext4-dax", "--mechanism", "immutable-attr"][..],
        &["--power-cuts", "1", "--seed", SEED, "--format", "json"],
    ]
    .concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let runs = Results::parse_all(&String::from_utf8_lossy(&output.stdout)).expect("a document");
    let agent = runs[0].clauses.iter().find(|clause| clause.id == "durable.agent").expect("the clause");
    assert_eq!(agent.verdict, Verdict::Holds, "{agent:?}");
    let detail = agent.cases[0].detail.as_deref().expect("figures");
    assert!(detail.contains("lost were ") && !detail.contains("lost were 0 of"), "{detail}");
}

/// The storage after a cut that violates a clause is kept. The printed command boots a guest that mounts the storage,
/// without the lab and without changing it.
#[test]
fn keep_leaves_the_image_of_a_cut() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let kept = directory.path().join("kept, and more");
    let output = lab(&[
        &["--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile"][..],
        &["--power-cuts", "1", "--seed", SEED, "--keep", kept.to_str().expect("UTF-8")],
    ]
    .concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let mut names: Vec<String> = std::fs::read_dir(&kept)
        .expect("the directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .filter_map(|name| Some(name.split_once("-amd64-")?.1.to_owned()))
        .collect();
    names.sort();
    let images = ["all-kept", "nothing-kept", "some-kept"].map(|loss| format!("ext4-swapfile-{SEED}-{loss}.img"));
    assert_eq!(names, [&images[..], &["ext4-swapfile.initramfs".into()]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    let mut lines = said.lines().skip_while(|line| !line.contains("nothing-kept.img: durable.seal (files 1, "));
    let image =
        lines.next().and_then(|line| line.split_once(": kept ")).and_then(|(_, rest)| rest.split_once(".img: "));
    let image = Path::new(&format!("{}.img", image.expect("its path").0)).to_path_buf();
    let before = std::fs::read(&image).expect("the image");
    let seen = in_a_shell(lines.next().expect("a line"), "mount /dev/vda /mnt; stat -c '%n has %s' /mnt/file-2/file");
    assert!(seen.contains("/mnt/file-2/file has 24576"), "{seen}");
    assert!(before == std::fs::read(&image).expect("the image"), "the guest has changed it");
}

/// Types commands into the shell of a guest that this command line starts, and returns the text of its console.
fn in_a_shell(line: &str, commands: &str) -> String {
    // If the prompt does not come, return the text so far.
    let mut guest = Command::new("timeout");
    guest.args(["180", "sh", "-c", &format!("exec {line}")]);
    let mut guest = guest.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the line");
    let (mut input, output) = (guest.stdin.take().expect("a pipe"), guest.stdout.take().expect("a pipe"));
    let mut console = BufReader::new(output);
    let mut seen = Vec::new();
    while console.read_until(b'#', &mut seen).expect("the console") > 0 && !seen.ends_with(b"lab#") {}
    writeln!(input, "{commands}; exit").expect("the shell reads");
    console.read_to_end(&mut seen).expect("the console");
    assert!(guest.wait().expect("the end").success(), "{}", String::from_utf8_lossy(&seen));
    String::from_utf8_lossy(&seen).into_owned()
}

/// Memory that the guest treats as persistent: a file system on it, and a device, which this machine does not have.
/// Stores through MAP_SYNC are durable on both, and on no other storage.
#[test]
fn persistent_memory() {
    let Some(_turn) = turn() else { return };
    let arguments = ["--kernel", KERNEL, "--fs", "ext4-dax", "devdax", "--mechanism", "immutable-attr", "device-dax"];
    let output = lab(&[&arguments[..], &["--case", "mapped_map_sync", "--format", "json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let runs = Results::parse_all(&String::from_utf8_lossy(&output.stdout)).expect("a document");
    let names: Vec<String> = runs.iter().map(|run| format!("{}/{}", run.fs, run.mechanism)).collect();
    assert_eq!(names, ["ext4-dax/immutable-attr", "devdax/device-dax"]);
    for run in &runs {
        let mapped = run.clauses.iter().find(|clause| clause.id == "write.mapped").expect("the clause");
        assert_eq!((mapped.verdict, mapped.cases.len()), (Verdict::Holds, 1), "{mapped:?}");
    }
}

/// The shell has the suite, and a mounted file system.
#[test]
fn a_shell_in_a_guest() {
    let Some(_turn) = turn() else { return };
    // With this one, only guests have the devices for the suite.
    let line = format!("'{PROGRAM}' lab --kernel {KERNEL} --fs ext4-dax --interactive");
    let suite = "iomap-conformance --target host --fs ext4-dax --mechanism immutable-attr read::calls unseal::full";
    let seen = in_a_shell(&line, &format!("ls /mnt/ext4-dax; {suite}"));
    assert!(seen.contains("lost+found") && seen.contains("2 cases: 2 holds"), "{seen}");
}

/// The steps of a scenario from an event at the server until the next file: step, outcome and traffic.
fn from<'a>(play: &'a serde_json::Value, event: &str) -> Vec<[&'a str; 3]> {
    let steps = play["steps"].as_array().expect("steps").iter();
    let all = steps.map(|step| ["step", "outcome", "traffic"].map(|member| step[member].as_str().expect("text")));
    let event = format!("server: {event}");
    let next = ["client writes", "client reads it"];
    let steps = all.skip_while(|[step, ..]| *step != event).take_while(|[step, ..]| !next.contains(step));
    let steps: Vec<_> = steps.collect();
    assert!(!steps.is_empty(), "no {event}: {play:#}");
    steps
}

/// Plays a scenario on suitable kernels, with programs that need not be installed. The only events are truncation and
/// activation as swap.
fn play(scenario: &str, kernels: &[&str]) -> Vec<serde_json::Value> {
    let arguments = ["--scenario", scenario, "--case", "(2)", "--format", "json", "--kernel"];
    let output = lab(&[&arguments[..], kernels].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document = serde_json::from_slice(&output.stdout).expect("JSON");
    schema::check(&schema::printed("scenario"), &document);
    document["kernels"].as_array().expect("kernels").clone()
}

/// Truncation revokes the layout of a client. Activation as swap does not, and the client still writes to its storage.
/// SCSI layouts and block layouts behave alike.
#[test]
fn plays_a_server_of_layouts() {
    let Some(_turn) = turn() else { return };
    let plays = play("pnfs", &[KERNEL, "6.12"]);
    for (play, kind) in plays.iter().zip(["pnfs=LAYOUT_BLOCK_VOLUME", "pnfs=LAYOUT_SCSI"]) {
        assert_eq!(play["steps"][0]["outcome"], kind);
        let cut = from(play, "truncate(2) to 3 MiB");
        assert!(cut[0][1] == "ok" && cut[0][2].contains("CB_LAYOUTRECALL"), "{cut:?}");
        assert!(cut[1][1] == "ok" && cut[1][2].contains("LAYOUTGET"), "{cut:?}");
        let swap = from(play, "swapon(2)");
        assert!(swap[0][1] == "ok" && !swap[0][2].contains("CB_LAYOUTRECALL"), "{swap:?}");
        assert!(swap[1][1] == "ok" && swap[1][2].starts_with("LAYOUTCOMMIT"), "nothing else: {swap:?}");
        assert_eq!(swap[2], ["  it is on storage where the file was", "yes", ""]);
        let [.., outcome, _] = swap[7];
        assert_eq!((swap[7][0], outcome), ("client cuts the file to 1 MiB", "Input/output error"));
    }
    assert_eq!(plays.len(), 2);
}

/// Neither truncation nor activation as swap breaks the lease of a client of ksmbd: it reads cached data, and its write
/// fails on the swap file. A client of Samba loses its oplock in both cases.
#[test]
fn plays_servers_of_leases() {
    let Some(_turn) = turn() else { return };
    let outcomes = [("smb", "6.12", false, "Bad file descriptor"), ("samba", KERNEL, true, "Device or resource busy")];
    for (scenario, kernel, loses, why) in outcomes {
        let play = &play(scenario, &[kernel])[0];
        for event in ["truncate(2) to 3 MiB", "swapon(2)"] {
            let steps = from(play, event);
            assert_eq!((steps[0][1], steps[0][2].contains("OplockBreaks")), ("ok", loses), "{steps:?}");
            assert_eq!(steps[2][..2], ["client reads it after that", "ok"]);
            assert_eq!(steps[2][2].contains("Reads"), loses, "{steps:?}");
        }
        assert_eq!(from(play, "truncate(2) to 3 MiB")[1][1], "3145728, 4194304");
        let swap = from(play, "swapon(2)");
        assert_eq!(swap[3][..2], ["client writes after that", why]);
        assert_eq!(swap[4], ["  the server has it", "no", ""]);
    }
}

/// Kernels and programs that do not know the state refuse to write to a file system with sealed files, also if the
/// kernel that sealed lost its power right after that. The first kernel finds the files as they were.
#[test]
fn unaware_kernels_do_not_write_to_sealed_storage() {
    let Some(_turn) = turn() else { return };
    let Some(sealing) = sealing() else { return };
    let output = lab(&["--scenario", "unaware", "--format", "json", "--kernel", &sealing, KERNEL, "6.12"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    schema::check(&schema::printed("scenario"), &document);
    let plays = document["kernels"].as_array().expect("kernels");
    let counts: Vec<usize> = plays.iter().map(|play| play["steps"].as_array().expect("steps").len()).collect();
    // Four disks: with two programs on XFS and three on ext4, and four steps about mounts.
    assert_eq!(counts, [4, 26, 12, 26, 12]);
    assert!(plays.iter().all(|play| play["trouble"].is_null()), "{document:#}");
    let writable = plays[1]["steps"].as_array().expect("steps").iter();
    let writable = writable.filter(|step| step["step"].as_str().is_some_and(|step| step.ends_with(" for writing")));
    assert_eq!(writable.map(|step| step["expected"].to_string()).collect::<Vec<_>>(), [r#"["EROFS","EINVAL"]"#; 8]);
}

/// Without a second kernel there is no one to look.
#[test]
fn unaware_kernels_are_others() {
    let Some(_turn) = turn() else { return };
    let said = refusal(&["--scenario", "unaware", "--kernel", KERNEL]);
    assert!(said.contains("takes the kernel that seals, and then kernels that do not know the state"), "{said}");
}

/// Without the programs of a scenario and without apt, the message says which packages to install.
#[test]
fn without_the_programs_of_a_scenario() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    for name in ["qemu-system-x86_64", "ldd"] {
        std::os::unix::fs::symlink(Path::new("/usr/bin").join(name), directory.path().join(name)).expect("a link");
    }
    let mut lab = Command::new(PROGRAM);
    lab.args(["lab", "--kernel", KERNEL, "--scenario", "smb"]);
    let output = lab.env("PATH", directory.path()).env("XDG_CACHE_HOME", directory.path()).output().expect("the lab");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    assert!(said.starts_with("iomap-conformance: the scenario needs bash, cmp, cp, "), "{said}");
    assert!(said.contains(": apt-get install bash coreutils diffutils "), "{said}");
    assert!(said.ends_with(" (and fetching them failed: apt-get is not installed)\n"), "{said}");
}

/// The results are errors from the start; the silent guest is killed, and nothing is left behind.
#[test]
fn a_guest_that_says_nothing() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("results.json");
    let file = file.to_str().expect("UTF-8");
    let arguments = ["--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile", "--patience", "1"];
    let output = lab(&[&arguments[..], &["--format", "json", "--output", file]].concat());
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let why = "the guest hangs: nothing for 1 s, after 0 cases";
    assert!(String::from_utf8_lossy(&output.stderr).contains(why), "{output:?}");
    let runs = Results::parse_all(&std::fs::read_to_string(file).expect("results")).expect("a document");
    assert_eq!(runs.len(), 1);
    assert!(runs[0].clauses.iter().all(|c| c.verdict == Verdict::Error && c.reason.as_deref() == Some(why)));
}

#[test]
fn a_guest_without_memory() {
    let Some(_turn) = turn() else { return };
    let output = lab(&["--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile", "--memory", "128"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("the guest ran out of memory (--memory): "), "{said}");
    assert!(said.contains("Free swap"), "the end of the console: {said}");
}

#[test]
fn killed_with_its_guest() {
    let Some(_turn) = turn() else { return };
    let arguments = ["lab", "--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile"];
    let mut lab = Command::new(PROGRAM)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the lab starts");
    let console = format!("-{}.log", lab.id());
    let lines = BufReader::new(lab.stderr.take().expect("standard error")).lines();
    assert!(lines.map_while(Result::ok).any(|line| line.contains("qemu-system-x86_64 -")), "QEMU is started");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !running(&console) {
        assert!(Instant::now() < deadline, "QEMU does not come up");
        std::thread::yield_now();
    }
    lab.kill().expect("SIGKILL");
    lab.wait().expect("the end");
    while running(&console) {
        assert!(Instant::now() < deadline, "QEMU is left behind");
        std::thread::yield_now();
    }
}

/// A killed QEMU is reported with the signal and with the running cases.
#[test]
fn a_guest_that_is_killed() {
    let Some(_turn) = turn() else { return };
    let arguments = ["lab", "--kernel", KERNEL, "--fs", "ext4", "--mechanism", "swapfile", "--format", "json"];
    let mut lab = Command::new(PROGRAM);
    let mut lab = lab.args(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the lab starts");
    let console = format!("-{}.log", lab.id());
    let mut lines = BufReader::new(lab.stderr.take().expect("standard error")).lines().map_while(Result::ok);
    assert!(lines.any(|line| line.contains("the first case has ended")), "cases run");
    let qemu = process(&console).expect("QEMU");
    let killed = Command::new("kill").args(["-9", &qemu]).status().expect("kill");
    assert!(killed.success(), "{killed:?}");
    let why = "QEMU was killed by signal 9 (KILL): by another process, or because memory ran out here (--memory, \
               --guests), after ";
    assert!(lines.any(|line| line.contains(why)), "the reason is said");
    let output = lab.wait_with_output().expect("the end");
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let runs = Results::parse_all(&String::from_utf8_lossy(&output.stdout)).expect("a document");
    let lost = |c: &ClauseResult| c.reason.as_deref().is_some_and(|it| it.starts_with(why));
    assert!(runs[0].clauses.iter().all(|c| c.verdict == Verdict::Error && lost(c)), "{:?}", runs[0].clauses[0]);
}

/// Whether a QEMU writes to this console.
fn running(console: &str) -> bool {
    process(console).is_some()
}

/// The process number of the QEMU that writes to this console.
fn process(console: &str) -> Option<String> {
    let mut processes = std::fs::read_dir("/proc").expect("/proc").flatten();
    let line = |entry: &std::fs::DirEntry| std::fs::read_to_string(entry.path().join("cmdline")).unwrap_or_default();
    let ours = |line: String| line.starts_with("qemu-system-x86_64") && line.contains(console);
    processes.find(|entry| ours(line(entry))).map(|entry| entry.file_name().to_string_lossy().into_owned())
}

/// A separate cache, and replacements of apt's programs that run a script, which has the package's name in `$package`.
struct Apt(tempfile::TempDir);

impl Apt {
    fn new() -> Self {
        let apt = Self(tempfile::tempdir().expect("a directory"));
        apt.program("apt-cache", "echo linux-image-6.1.0-1-amd64");
        apt
    }

    fn program(&self, name: &str, script: &str) {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    }

    fn lab(&self) -> Command {
        let mut lab = Command::new(PROGRAM);
        let path = format!("{}:{}", self.0.path().display(), std::env::var("PATH").unwrap_or_default());
        lab.args(["lab", "--fs", "ext4", "--kernel", KERNEL]).env("PATH", path).env("XDG_CACHE_HOME", self.0.path());
        lab
    }

    /// The output of the lab, and afterwards the files below the directory of packages.
    fn said(&self) -> (String, Vec<String>) {
        let output = self.lab().output().expect("the lab starts");
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        (String::from_utf8_lossy(&output.stderr).into_owned(), self.packages())
    }

    fn packages(&self) -> Vec<String> {
        let entries =
            std::fs::read_dir(self.0.path().join("iomap-conformance/packages")).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }
}

/// A file that apt leaves after a failed download is never used as a package, neither in this run nor in the next.
#[test]
fn a_download_that_fails() {
    let Some(_turn) = turn() else { return };
    let apt = Apt::new();
    let deb = "linux-image-6.1.0-1-amd64_1_amd64.deb";
    apt.program("apt-get", &format!("echo half > {deb}; echo 'E: no network' >&2; exit 100"));
    for _ in 0..2 {
        let (said, left) = apt.said();
        assert!(said.ends_with("iomap-conformance: apt-get failed: E: no network\n"), "{said}");
        assert_eq!(left, [""; 0]);
    }
    // apt-get claims success, but the file is not a package.
    apt.program("apt-get", &format!("echo half > {deb}"));
    let (said, _) = apt.said();
    assert!(said.contains("the package is damaged: dpkg-deb failed: "), "{said}");
    // If a package is downloaded again and differs, the files made from it are made again.
    let cached = apt.0.path().join("iomap-conformance/packages/linux-image-6.1.0-1-amd64.deb");
    std::fs::write(cached.join("contents"), "").expect("an entry");
    let (said, left) = apt.said();
    assert!(said.starts_with(&format!("{}: damaged, it is made again\n", cached.display())), "{said}");
    assert_eq!(left, ["linux-image-6.1.0-1-amd64.deb"]);
}

/// A package that is cut off after the part with its name and version.
#[test]
fn a_package_that_is_not_whole() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let (tree, package) = (directory.path().join("tree"), directory.path().join("package.deb"));
    std::fs::create_dir_all(tree.join("DEBIAN")).expect("a directory");
    std::fs::create_dir_all(tree.join("boot")).expect("a directory");
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(1 << 20).collect();
    for name in ["vmlinuz-6.1", "System.map-6.1"] {
        std::fs::write(tree.join("boot").join(name), &noise).expect("a file");
    }
    let control = "Package: none\nVersion: 1\nMaintainer: nobody\nDescription: none\nArchitecture: amd64\n";
    std::fs::write(tree.join("DEBIAN/control"), control).expect("a file");
    let built = Command::new("dpkg-deb").arg("-b").arg(&tree).arg(&package).output().expect("dpkg-deb");
    assert!(built.status.success(), "{built:?}");
    let path = package.to_str().expect("UTF-8");
    let whole = refusal(&["--fs", "ext4", "--kernel", path]);
    assert!(whole.ends_with(": not a Linux bzImage\n"), "{whole}");
    let len = package.metadata().expect("a file").len();
    std::fs::File::options().write(true).open(&package).expect("a file").set_len(len - 1000).expect("its length");
    let said = refusal(&["--fs", "ext4", "--kernel", path]);
    assert!(said.starts_with(&format!("iomap-conformance: {path}: the package is damaged: dpkg-deb ")), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

/// A download ends with the lab that started it, and the next lab removes the unfinished file.
#[test]
fn killed_with_its_download() {
    let Some(_turn) = turn() else { return };
    let apt = Apt::new();
    apt.program("apt-get", "echo $$ > started.new && mv started.new started && exec sleep 65432");
    let mut lab = apt.lab().stderr(Stdio::null()).spawn().expect("the lab starts");
    let deadline = Instant::now() + Duration::from_secs(20);
    let packages = apt.0.path().join("iomap-conformance/packages");
    let started = || {
        let mut partial = std::fs::read_dir(&packages).ok()?.flatten();
        partial.find_map(|it| std::fs::read_to_string(it.path().join("download/started")).ok())
    };
    let pid = loop {
        if let Some(pid) = started() {
            break pid;
        }
        assert!(Instant::now() < deadline, "nothing is downloaded");
        std::thread::yield_now();
    };
    lab.kill().expect("SIGKILL");
    lab.wait().expect("the end");
    let lives = || {
        let line = std::fs::read_to_string(format!("/proc/{}/cmdline", pid.trim()));
        line.is_ok_and(|line| line.contains("65432"))
    };
    while lives() {
        assert!(Instant::now() < deadline, "the download goes on");
        std::thread::yield_now();
    }
    assert_eq!(apt.packages().len(), 1);
    apt.program("apt-get", "exit 1");
    assert_eq!(apt.said().1, [""; 0]);
}

/// An image without its modules, of a kernel that needs modules.
#[test]
fn an_image_without_modules() {
    let Some(_turn) = turn() else { return };
    // This run puts the kernel into the lab's cache.
    let output = lab(&["--kernel", KERNEL, "--fs", "ext4", "--mechanism", "seal", "--case", "truncate::grow"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let cache = std::env::var("XDG_CACHE_HOME")
        .map_or_else(|_| Path::new(&std::env::var("HOME").expect("HOME")).join(".cache"), |path| path.into());
    let kernels = std::fs::read_dir(cache.join("iomap-conformance/kernels")).expect("kernels").flatten();
    let boot = kernels.filter_map(|entry| std::fs::read_dir(entry.path().join("contents/boot")).ok()).flatten();
    let image =
        boot.flatten().find(|entry| entry.file_name().to_string_lossy().starts_with("vmlinuz-6.1.")).expect("one");
    let directory = tempfile::tempdir().expect("a directory");
    let alone = directory.path().join("bzImage");
    std::fs::copy(image.path(), &alone).expect("a copy");
    let output = lab(&["--kernel", alone.to_str().expect("UTF-8"), "--fs", "ext4", "--mechanism", "seal"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(": no virtio port to the host: "), "{said}");
    let why = " were found beside the image or on this machine: name its package or its build tree";
    assert!(said.contains("; no modules of 6.1.") && said.contains(why), "{said}");
}

/// A cache without room for the initramfs.
#[test]
fn without_room() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let [cache, kernel] = ["cache", "kernel"].map(|name| directory.path().join(name));
    std::fs::create_dir(&cache).expect("a directory");
    std::fs::write(&kernel, image(16)).expect("a file");
    let script = r#"mount -t tmpfs -o size=512k tmpfs "$1" && exec "$0" lab --fs ext4 --accelerator tcg --kernel "$2""#;
    let mut lab = Command::new("unshare");
    lab.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, PROGRAM]).args([&cache, &kernel]);
    let output = lab.env("XDG_CACHE_HOME", &cache).output().expect("unshare");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains("/initramfs/") && last.contains(" MiB are free, and about "), "{said}");
    assert!(said.contains("No space left on device"), "{said}");
}

#[test]
fn without_qemu() {
    let mut lab = Command::new(PROGRAM);
    lab.args(["lab", "--kernel", "6.1"]).env("PATH", "/nowhere");
    let output = lab.output().expect("the lab starts");
    let message = "iomap-conformance: the lab needs qemu-system-x86_64: apt-get install qemu-system-x86\n";
    assert_eq!(String::from_utf8_lossy(&output.stderr), message);
    assert_eq!(output.status.code(), Some(3));
}

/// The head of a 64-bit bzImage that states this number of paragraphs.
fn image(paragraphs: u32) -> Vec<u8> {
    let mut image = vec![0; 4096];
    image[0x1f1] = 4;
    image[0x1f4..0x1f8].copy_from_slice(&paragraphs.to_le_bytes());
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x236] = 1;
    image
}

#[test]
fn a_file_that_is_no_kernel() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a directory");
    let mut arm = vec![0; 4096];
    arm[56..60].copy_from_slice(b"ARM\x64");
    let mut small = image(1);
    small[0x236] = 0;
    let files: [(&str, &[u8], &str); 5] = [
        ("truncated", &image(1 << 20), "truncated: 4096 of 16779776 bytes"),
        ("arm", &arm, "a kernel for arm64: the lab boots x86-64"),
        ("small", &small, "a kernel for 32 bits: the lab boots x86-64"),
        ("vmlinux", b"\x7fELF", "an ELF file, not a bzImage: in a build tree that is arch/x86/boot/bzImage"),
        ("text", b"Linux", "not a Linux bzImage"),
    ];
    for (name, contents, why) in files {
        let path = directory.path().join(name);
        std::fs::write(&path, contents).expect("a file");
        let path = path.to_str().expect("UTF-8");
        assert_eq!(refusal(&["--fs", "ext4", "--kernel", path]), format!("iomap-conformance: {path}: {why}\n"));
    }
    let tree = directory.path().to_str().expect("UTF-8");
    let why = "no arch/x86/boot/bzImage: the kernel is not built yet, or for another architecture; \
        and neither boot/vmlinuz-RELEASE nor lib/modules/RELEASE/vmlinuz";
    assert_eq!(refusal(&["--fs", "ext4", "--kernel", tree]), format!("iomap-conformance: {tree}: {why}\n"));
    let nothing = "iomap-conformance: nowhere: no such file or directory, and no version such as 6.12\n";
    assert_eq!(refusal(&["--fs", "ext4", "--kernel", "nowhere"]), nothing);
    let old = "iomap-conformance: apt knows no kernel 2.4 for amd64: apt-get update\n";
    assert_eq!(refusal(&["--fs", "ext4", "--kernel", "2.4"]), old);
}

/// Packages that dpkg-deb makes here: for another architecture, and without a kernel.
#[test]
fn a_file_that_is_no_package_of_a_kernel() {
    let Some(_turn) = turn() else { return };
    let packages = [("arm64", "a package for arm64: the lab boots amd64"), ("amd64", "a package without a kernel: ")];
    for (architecture, why) in packages {
        let directory = tempfile::tempdir().expect("a directory");
        let (tree, package) = (directory.path().join("tree"), directory.path().join("package.deb"));
        std::fs::create_dir_all(tree.join("DEBIAN")).expect("a directory");
        let control = "Package: none\nVersion: 1\nMaintainer: nobody\nDescription: none\nArchitecture: ";
        std::fs::write(tree.join("DEBIAN/control"), format!("{control}{architecture}\n")).expect("a file");
        let built = Command::new("dpkg-deb").arg("-b").arg(&tree).arg(&package).output().expect("dpkg-deb");
        assert!(built.status.success(), "{built:?}");
        let path = package.to_str().expect("UTF-8");
        let said = refusal(&["--fs", "ext4", "--kernel", path]);
        assert!(said.starts_with(&format!("iomap-conformance: {path}: {why}")), "{said}");
    }
}

/// The schemas that the command prints.
mod schema {
    use super::PROGRAM;
    use std::process::Command;

    pub(super) fn printed(document: &str) -> serde_json::Value {
        let output = Command::new(PROGRAM).args(["schema", document]).output().expect("the schema");
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    /// The schema of the lab's document, with the schema of results inserted.
    pub(super) fn lab() -> serde_json::Value {
        let mut lab = printed("lab");
        assert_eq!(lab["properties"]["runs"]["items"]["$ref"], "urn:iomap-conformance:results:2");
        lab["properties"]["runs"]["items"] = printed("results");
        lab
    }

    /// Checks a document by its schema, and that the schema does not accept everything.
    pub(super) fn check(schema: &serde_json::Value, document: &serde_json::Value) {
        let validator = jsonschema::draft202012::new(schema).expect("a schema");
        let errors: Vec<_> = validator.iter_errors(document).map(|e| format!("{}: {e}", e.instance_path())).collect();
        assert_eq!(errors, [""; 0]);
        assert!(!validator.is_valid(&serde_json::json!({"schema": 1})), "it accepts anything");
    }
}
