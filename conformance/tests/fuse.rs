//! The reference behind FUSE gives the verdicts of the reference in process, except for calls that do not reach a
//! daemon.
//!
//! Needs /dev/fuse, and root or user namespaces.

use iomap_conformance::{ClauseResult, Results};
use iomap_results::Verdict;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-conformance");

/// One test at a time, because one of them searches for processes of all.
static ONE_BY_ONE: Mutex<()> = Mutex::new(());

/// Waits for the turn of a test; `None`, with a note, if mounts are not possible.
fn turn() -> Option<MutexGuard<'static, ()>> {
    let missing = match () {
        () if !nix::unistd::geteuid().is_root() => "not root",
        () if !Path::new("/dev/fuse").exists() => "no /dev/fuse",
        () => return Some(ONE_BY_ONE.lock().unwrap_or_else(PoisonError::into_inner)),
    };
    iomap_testing::tools::not_tested(missing);
    None
}

fn suite(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).output().expect("the suite starts")
}

fn results(output: &Output) -> Results {
    Results::parse(&String::from_utf8_lossy(&output.stdout)).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// A snapshot lists the calls that do not reach a daemon, so that the list does not grow unnoticed.
#[test]
fn agrees_with_the_reference() {
    let Some(_turn) = turn() else { return };
    let mounted = suite(&["--target", "fuse", "--format", "json"]);
    let (mounted, code) = (results(&mounted), mounted.status.code());
    let reference = results(&suite(&["--format", "json"]));
    let reached = |clause: &&ClauseResult| clause.verdict != Verdict::NotReachable;
    // A committed expectation says, with its reason, where the kernel's FUSE makes a difference.
    for clause in mounted.clauses.iter().filter(reached).filter(|clause| clause.reason.is_none()) {
        let other = reference.clauses.iter().find(|other| other.id == clause.id).map(|other| other.verdict);
        assert_eq!(Some(clause.verdict), other, "{}: {:#?}", clause.id, clause.cases);
    }
    assert_eq!(code, Some(0));
    let out_of_reach = mounted.clauses.iter().filter(|clause| !reached(clause));
    let lines: Vec<String> = out_of_reach
        .map(|clause| format!("{:<24}{}", clause.id, clause.cases[0].detail.as_deref().unwrap_or_default()))
        .collect();
    insta::assert_snapshot!("not_reachable", lines.join("\n"));
}

/// The suite detects a violation of the reference through the mount as well, for each kind of effect.
#[test]
fn violations_show() {
    let Some(_turn) = turn() else { return };
    for violation in VIOLATIONS {
        let family = violation.split('.').next().unwrap_or_default();
        let output = suite(&["--target", "fuse", "--violation", violation, "--format", "json", family]);
        let clause = violation.split('/').next().unwrap_or_default();
        let found = results(&output).clauses.iter().find(|c| c.id == clause).map(|c| c.verdict);
        assert_eq!((found, output.status.code()), (Some(Verdict::Violated), Some(1)), "{violation}");
    }
}

/// A wrong errno, damage before a refusal, and effects that only the data, the storage, a remount, a loss of power, the
/// times or another file show.
const VIOLATIONS: &[&str] = &[
    "truncate.shrink/errno",
    "truncate.grow/late",
    "write.beyond/errno",
    "seal.sealed/does_nothing",
    "seal.privilege/permitted",
    "seal.keeps/touches_mtime",
    "unseal.ctime/skipped",
    "refuse.nothing/harms_others",
    "agent.sees/move_on_overwrite",
    "agent.neighbours/move_on_sync",
    "write.full/needs_space",
    "name.freed/never_freed",
    "query.sealed/hidden",
    "mover.collect/moves",
    "durable.seal/not_committed",
    "durable.either/torn",
    "durable.remount/forgotten",
    "copy.unsealed/inherits",
];

/// The update adds a row for each kind of unexpected verdict to an empty file, and nothing the second time.
#[test]
fn expectations_are_updated() {
    let Some(_turn) = turn() else { return };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let file = directory.path().join("fuse.toml");
    std::fs::write(&file, "# Not explained yet.\n").expect("a file in a directory of our own");
    let path = directory.path().display().to_string();
    let update = || {
        let output = suite(&["--target", "fuse", "--update-expectations", "--expectations", &path, "fallocate"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8_lossy(&output.stderr).replace(&path, "DIR")
    };
    let (first, second) = (update(), update());
    let text = std::fs::read_to_string(&file).expect("the file");
    let release = iomap_conformance::release();
    let range: String = release.splitn(3, '.').take(2).collect::<Vec<_>>().join(".") + "..";
    let text = text.replace(&release, "RELEASE").replace(&range, "RANGE");
    insta::assert_snapshot!("updated", format!("{first}{second}\n{text}"));
}

/// SIGKILL at moments spread over a run leaves no mount and no process behind.
#[test]
fn killed() {
    let Some(_turn) = turn() else { return };
    for moment in 0..8 {
        let quiet = || Stdio::null();
        let child = Command::new(PROGRAM).args(["--target", "fuse"]).stdout(quiet()).stderr(quiet()).spawn();
        let mut child = child.expect("the suite starts");
        // This sleep does not wait for an event: the test is about this moment.
        std::thread::sleep(Duration::from_millis(10 + 60 * moment));
        child.kill().and_then(|()| child.wait()).expect("it can be killed");
        let deadline = Instant::now() + Duration::from_secs(10);
        while let Some(left) = left_behind() {
            assert!(Instant::now() < deadline, "left behind: {left}");
            std::thread::yield_now();
        }
    }
}

/// A process of the suite that still runs, and would keep its namespace with the mounts.
fn left_behind() -> Option<String> {
    let processes = std::fs::read_dir("/proc").expect("/proc is mounted").flatten();
    let ours = |exe: &PathBuf| exe == Path::new(PROGRAM);
    processes
        .map(|entry| entry.path())
        .find(|path| path.join("exe").read_link().is_ok_and(|exe| ours(&exe)))
        .map(|path| path.display().to_string())
}

/// Without privilege, in a user namespace.
#[test]
fn ordinary_user() {
    let Some(_turn) = turn() else { return };
    // The program and the device may be in a place that only root can access.
    let directory = tempfile::tempdir().expect("a temporary directory");
    let script = "
        chmod 755 . && cp -a /dev/fuse fuse && chmod 666 fuse && mount --bind fuse /dev/fuse
        cp $PROGRAM suite && chmod 755 suite
        setpriv --reuid nobody --regid nogroup --clear-groups ./suite --target fuse --format json";
    let output = Command::new("unshare")
        .args(["--mount", "sh", "-c", script])
        .env("PROGRAM", PROGRAM)
        .current_dir(&directory)
        .output()
        .expect("unshare starts");
    let results = results(&output);
    let unexpected = results.clauses.iter().find(|clause| clause.is_surprise() || clause.verdict == Verdict::Error);
    assert_eq!(output.status.code(), Some(0), "{unexpected:#?}");
    assert!(results.count(Verdict::Holds) > 100);
}

#[test]
fn without_fuse() {
    let Some(_turn) = turn() else { return };
    let script = "mount -t tmpfs none /dev && mknod /dev/null c 1 3 && PATH=/nowhere $PROGRAM --target fuse";
    let output = Command::new("unshare").args(["--mount", "sh", "-c", script]).env("PROGRAM", PROGRAM).output();
    let output = output.expect("unshare starts");
    let message = "iomap-conformance: mounting the reference: /dev/fuse: No such file or directory (os error 2)\n";
    assert_eq!((output.status.code(), &*String::from_utf8_lossy(&output.stderr)), (Some(3), message));
}
