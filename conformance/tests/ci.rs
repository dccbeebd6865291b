//! The tests of other projects' runners after `make install-fstests` and `make install-kselftest`, and the results for
//! LAVA.

use iomap_conformance::{Case, FsKind, Results, cases, missing_programs};
use iomap_results::CaseOutcome;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-conformance");
/// The violation of the reference in tests that need a failure.
const VIOLATION: &str = "truncate.shrink/late";
const SENTENCE: &str = "Making a sealed file smaller must fail with the error ETXTBSY";

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ci").join(name)
}

/// The result of an `install.sh`, in a directory that every user can read.
fn installed(kind: &str) -> TempDir {
    let tree = tempfile::tempdir().expect("a directory");
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let output = Command::new(script(kind).join("install.sh")).arg(PROGRAM).arg(tree.path()).output().expect("bash");
    assert!(output.status.success(), "{output:?}");
    tree
}

fn executable(path: &Path, text: &str) {
    // Write to another file first: a shell that was forked meanwhile must not have this one open for writing.
    let beside = path.with_extension("new");
    fs::write(&beside, text).expect("write");
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o755)).expect("chmod");
    fs::rename(&beside, path).expect("rename");
}

/// The suite as a runner calls it for one file system and mechanism, but on the reference, which can be made to fail.
fn on_the_reference(path: &Path, arguments: &str) {
    executable(
        path,
        &format!(
            "#!/bin/sh\n[ \"$1\" != matrix ] || exec echo xfs seal\n\
             while [ \"$1\" != --format ]; do shift; done\nexec {PROGRAM} {arguments} \"$@\"\n"
        ),
    );
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The reason why tests are not possible on this kernel.
fn missing() -> Option<String> {
    let missing = missing_programs(FsKind::Xfs)?;
    iomap_testing::tools::not_tested(&missing);
    Some(missing)
}

#[test]
fn an_installation_needs_a_destination() {
    for kind in ["fstests", "kselftest", "vfs-test"] {
        for tree in [&[][..], &[""]] {
            let output = Command::new(script(kind).join("install.sh")).arg(PROGRAM).args(tree).output().expect("bash");
            assert!(!output.status.success(), "{output:?}");
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(message.contains("usage: ") && output.stdout.is_empty(), "{message}");
        }
    }
}

#[test]
fn fstests_has_a_test_for_each_family() {
    let tree = installed("fstests");
    let tests = tree.path().join("tests/generic");
    let families: BTreeSet<&str> = cases().map(|case| case.clause.family()).collect();
    let (mut numbers, mut found, mut selected) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for entry in fs::read_dir(&tests).expect("tests").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if let Some(test) = name.strip_suffix(".out") {
            let golden = fs::read_to_string(entry.path()).expect("golden output");
            assert_eq!(golden, format!("QA output created by {test}\nSilence is golden\n"));
            assert!(tests.join(test).exists(), "{test}");
            continue;
        }
        assert!(tests.join(format!("{name}.out")).exists(), "{name}");
        assert_ne!(entry.metadata().expect("metadata").permissions().mode() & 0o111, 0, "{name}");
        let (number, family) = name.split_once("-iomap-").expect("NNN-iomap-FAMILY");
        assert!(numbers.insert(number.to_owned()), "{number}: tools/mkgroupfile wants each number once");
        found.insert(family.to_owned());
        let text = fs::read_to_string(entry.path()).expect("test");
        assert!(text.contains(&format!("FS QA Test {name}\n")) && !text.contains('@'), "{text}");
        let filter = text.lines().find_map(|line| line.strip_prefix("_iomap_check ")).expect("a filter");
        let list = Command::new(PROGRAM).arg("--list").args(filter.split(' ')).output().expect("the command");
        let of_family =
            stdout(&list).lines().map(|line| line.trim_end_matches(": test").to_owned()).collect::<Vec<_>>();
        assert!(of_family.iter().all(|case| case.starts_with(&format!("{family}::"))), "{of_family:?}");
        selected.extend(of_family);
    }
    assert_eq!(found.iter().map(String::as_str).collect::<BTreeSet<_>>(), families);
    selected = selected.iter().filter_map(|run| run.split('[').next()).map(str::to_owned).collect();
    selected.sort();
    selected.dedup();
    let mut all: Vec<String> = cases().map(Case::full_name).collect();
    all.sort();
    assert_eq!(selected, all);
}

/// Runs the test of a family with sealing. Returns its output, the reason why it did not run, and `.full`.
fn fstest(suite: impl Fn(&Path), family: &str) -> (String, String, String) {
    let tree = installed("fstests");
    let path = tree.path();
    suite(&path.join("src/iomap-conformance"));
    let script = format!(
        "_notrun() {{ echo \"$*\" > notrun; exit 0; }}; here=$PWD tmp=$PWD/tmp seqres=$PWD/results FSTYP=xfs TEST_DIR=$PWD\n\
         . ./common/iomap\niomap_mechanisms=seal\n_iomap_check {family}::"
    );
    let output = Command::new("bash").args(["-c", &script]).current_dir(path).output().expect("bash");
    assert!(output.stderr.is_empty(), "{output:?}");
    let read = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
    (stdout(&output), read("notrun"), read("results.full"))
}

#[test]
fn an_fstest_fails_with_the_sentence() {
    let violated = |path: &Path| on_the_reference(path, &format!("--violation {VIOLATION}"));
    let (printed, notrun, full) = fstest(violated, "truncate");
    assert!(printed.contains(SENTENCE) && printed.contains("  not ok 1 truncate.shrink"), "{printed}");
    assert!(!printed.contains("  ok") && !printed.contains("Subtest"), "{printed}");
    assert!(full.contains("\n  not ok 1 truncate.shrink") && full.contains("\n  ok 3 "), "{full}");
    assert_eq!(notrun, "");

    let (printed, notrun, full) = fstest(|path| on_the_reference(path, ""), "truncate");
    assert_eq!((printed.as_str(), notrun.as_str()), ("", ""));
    assert!(full.contains("\n  ok 1 truncate.shrink"), "{full}");
}

#[test]
fn an_fstest_that_can_look_at_nothing_did_not_run() {
    if missing().is_some() {
        return;
    }
    let (printed, notrun, _) = fstest(|_| (), "truncate");
    let reason = "not offered: fallocate(2) answers EOPNOTSUPP to FALLOC_FL_SEAL_BLOCK_MAP\n";
    assert_eq!((printed.as_str(), notrun.as_str()), ("", reason));
}

fn kselftest(tree: &TempDir, test: &str, user: u32) -> Output {
    Command::new(tree.path().join("iomap").join(test)).uid(user).output().expect("sh")
}

#[test]
fn kselftest_skips_with_4() {
    let tree = tempfile::tempdir().expect("a directory");
    fs::write(tree.path().join("kselftest-list.txt"), "zram:zram.sh\niomap:old.sh\n").expect("list");
    let install = || Command::new(script("kselftest/install.sh")).arg(PROGRAM).arg(tree.path()).status().expect("bash");
    assert!(install().success() && install().success());
    fs::set_permissions(tree.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    let pairs = stdout(&Command::new(PROGRAM).args(["matrix", "--list"]).output().expect("the command"));
    let mut tests: Vec<String> = pairs.lines().map(|pair| format!("iomap:{}.sh", pair.replace(' ', "-"))).collect();
    tests.sort();
    let list = fs::read_to_string(tree.path().join("kselftest-list.txt")).expect("list");
    assert_eq!(list, format!("zram:zram.sh\n{}\n", tests.join("\n")));

    if missing().is_none() {
        let unprivileged = kselftest(&tree, "xfs-swapfile.sh", 65534);
        assert_eq!((unprivileged.status.code(), stdout(&unprivileged).as_str()), (Some(4), ""));
        assert!(String::from_utf8_lossy(&unprivileged.stderr).contains("needs root"), "{unprivileged:?}");
        let lacking = kselftest(&tree, "xfs-seal.sh", 0);
        assert_eq!(lacking.status.code(), Some(4));
        assert!(stdout(&lacking).starts_with("KTAP version 1\n1..1\nok 1 iomap # SKIP "), "{lacking:?}");
        let offered = kselftest(&tree, "xfs-immutable-attr.sh", 0);
        assert_eq!(offered.status.code(), Some(0), "{offered:?}");
    }
}

#[test]
fn kselftest_fails_with_1() {
    let tree = installed("kselftest");
    let own = nix::unistd::geteuid().as_raw();
    let suite = tree.path().join("iomap/iomap-conformance");
    on_the_reference(&suite, &format!("--violation {VIOLATION}"));
    let violated = kselftest(&tree, "xfs-seal.sh", own);
    assert_eq!(violated.status.code(), Some(1));
    assert!(stdout(&violated).contains("\nnot ok "), "{violated:?}");
    on_the_reference(&suite, "");
    assert_eq!(kselftest(&tree, "xfs-seal.sh", own).status.code(), Some(0));
    // Exit code 4 of the suite is an internal error, not a skip.
    executable(&suite, "#!/bin/sh\nexit 4\n");
    assert_eq!(kselftest(&tree, "xfs-seal.sh", own).status.code(), Some(1));
}

/// The lines that the test for LAVA leaves for `send-to-lava.sh`.
fn lava(suite: &Path) -> Vec<String> {
    let place = tempfile::tempdir().expect("a directory");
    let script = script("lava/iomap.sh");
    let output = Command::new(script).arg("-p").arg(suite).current_dir(place.path()).output().expect("sh");
    assert!(output.status.success(), "{output:?}");
    let lines = fs::read_to_string(place.path().join("output/result.txt")).expect("results");
    lines.lines().map(str::to_owned).collect()
}

#[test]
fn lava_is_told_of_each_case() {
    // No race depends on this violation, because the suite runs more than once.
    const VIOLATION: &str = "meta.chmod/refused";
    let place = tempfile::tempdir().expect("a directory");
    let suite = place.path().join("suite");
    on_the_reference(&suite, &format!("--violation {VIOLATION}"));
    let output =
        Command::new(PROGRAM).args(["--violation", VIOLATION, "--format", "json"]).output().expect("the command");
    let results = Results::parse(&stdout(&output)).expect("results");
    let mut expected = Vec::new();
    for (clause, case) in results.clauses.iter().flat_map(|clause| clause.cases.iter().map(move |case| (clause, case)))
    {
        let result = match clause.outcome(case) {
            CaseOutcome::Passed => "pass",
            CaseOutcome::Failed => "fail",
            CaseOutcome::Waived | CaseOutcome::Skipped => "skip",
            CaseOutcome::Broken => "unknown",
        };
        expected.push((case.name.replace("::", "."), result));
    }
    assert!(expected.iter().any(|(_, result)| *result == "fail"));
    expected.sort();

    let told = lava(&suite);
    let ([start, cases @ .., stop], sets) = (&told[..], ["lava-test-set start iomap-xfs-seal", "lava-test-set stop"])
    else {
        panic!("{told:?}")
    };
    assert_eq!([start, stop], sets);
    let mut cases = cases.to_vec();
    cases.sort();
    assert_eq!(cases, expected.iter().map(|(name, result)| format!("{name} {result}")).collect::<Vec<_>>());
}

#[test]
fn lava_is_told_of_nothing_to_look_at() {
    let place = tempfile::tempdir().expect("a directory");
    let suite = place.path().join("suite");
    let told = |reply: &str| {
        executable(&suite, &format!("#!/bin/sh\n[ \"$1\" != matrix ] || exec echo xfs seal\n{reply}\n"));
        lava(&suite)
    };
    let one = |result: &str| ["lava-test-set start iomap-xfs-seal", result, "lava-test-set stop"].map(str::to_owned);
    assert_eq!(told("exit 3"), one("iomap skip"));
    assert_eq!(told("exit 4"), one("iomap unknown"));
    if missing().is_none() {
        assert_eq!(told(&format!("exec {PROGRAM} \"$@\"")), one("iomap skip"));
    }
}

#[test]
fn lava_gets_the_chosen_part() {
    let place = tempfile::tempdir().expect("a directory");
    let suite = place.path().join("suite");
    executable(
        &suite,
        "#!/bin/sh\n[ \"$1\" != matrix ] || exec printf 'xfs seal\\next4 seal\\next4-dax seal\\n'\necho \"  ok 1 a.b $*\"\n",
    );
    let script = script("lava/iomap.sh");
    let mut chosen = Command::new(&script);
    chosen.arg("-p").arg(&suite).args(["-f", "xfs ext4", "-c", "truncate unseal"]).current_dir(place.path());
    assert!(chosen.status().expect("sh").success());
    let told = fs::read_to_string(place.path().join("output/result.txt")).expect("results");
    let ktap = fs::read_to_string(place.path().join("output/ktap.txt")).expect("a report");
    assert_eq!(told.matches("lava-test-set start ").count(), 2, "{told}");
    assert_eq!(ktap, "  ok 1 a.b --target host --fs ext4 --mechanism seal --format ktap truncate unseal\n");
    let refused = Command::new(&script).args(["-p", "/nonexistent"]).current_dir(place.path()).output().expect("sh");
    assert_eq!(refused.status.code(), Some(2));
}
