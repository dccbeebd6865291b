//! `mutants.sh`: outcomes of shards are added up for the same sources only. A stub stands for cargo-mutants.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

/// Writes three mutants that are caught, and one that is missed; fails if a file says so. Tests without a mutant pass.
const STUB: &str = r#"#!/bin/sh
[ "$1" = mutants ] || exit 0
[ ! -e broken ] || exit 4
while [ "$1" != --output ]; do shift; done
mkdir -p "$2/mutants.out"
printf 'one\ntwo\nthree\n' >"$2/mutants.out/caught.txt"
echo "four" >"$2/mutants.out/missed.txt"
exit 2
"#;

/// A checkout with the script and the stub.
struct Checkout(tempfile::TempDir);

impl Checkout {
    fn new() -> Self {
        let checkout = Self(tempfile::tempdir().expect("a temporary directory"));
        for (name, text) in [
            (".gitignore", "target\nbin\nbroken\n"),
            ("reference-impl/tests/mutants.sh", include_str!("mutants.sh")),
            ("bin/cargo", STUB),
            ("source", "one\n"),
        ] {
            let path = checkout.path().join(name);
            fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
            fs::write(&path, text).expect("a file");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
        }
        checkout.git(&["init", "--quiet"]);
        checkout.commit();
        checkout
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn git(&self, arguments: &[&str]) {
        let git = Command::new("git").args(arguments).current_dir(self.path()).output().expect("git starts");
        assert!(git.status.success(), "{}", String::from_utf8_lossy(&git.stderr));
    }

    fn commit(&self) {
        self.git(&["add", "--all"]);
        let who = ["-c", "user.name=a", "-c", "user.email=a@example.org"];
        self.git(&[&who[..], &["commit", "--quiet", "--message", "State"]].concat());
    }

    fn shard(&self, arguments: &[&str]) -> Output {
        let path = std::env::var("PATH").unwrap_or_default();
        Command::new(self.path().join("reference-impl/tests/mutants.sh"))
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.path().join("bin").display()))
            .env_remove("CARGO_TARGET_DIR")
            .output()
            .expect("the script starts")
    }

    /// The last line, without commit and tree.
    fn sum(&self, arguments: &[&str]) -> String {
        let output = self.shard(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().last().and_then(|line| line.split_once(": ")).map(|(_, sum)| sum.to_owned()).unwrap_or_default()
    }
}

#[test]
fn outcomes_are_added_up_for_the_same_sources() {
    if !iomap_testing::tools::has("git") {
        return;
    }
    let checkout = Checkout::new();
    let half = "1 of 2 shards: 3 caught, 0 too slow, 1 missed, 0 unviable: 75.0 % of the viable ones noticed";
    let whole = "2 of 2 shards: 6 caught, 0 too slow, 2 missed, 0 unviable: 75.0 % of the viable ones noticed";
    assert_eq!(checkout.sum(&[]), "");
    assert_eq!(checkout.sum(&["0/2"]), half);
    // A shard that broke off does not count.
    fs::write(checkout.path().join("broken"), "").expect("a file");
    assert_eq!(checkout.shard(&["1/2"]).status.code(), Some(4));
    assert_eq!(checkout.sum(&[]), half);
    fs::remove_file(checkout.path().join("broken")).expect("a file");
    assert_eq!(checkout.sum(&["1/2"]), whole);
    assert_eq!(checkout.sum(&["1/2"]), whole);
    fs::write(checkout.path().join("source"), "two\n").expect("a file");
    assert_eq!(checkout.sum(&[]), whole, "changes that are not committed are in no work tree");
    checkout.commit();
    assert_eq!(checkout.sum(&[]), "");
    assert_eq!(checkout.sum(&["0/2"]), half);
    assert_eq!(checkout.sum(&["0/2", "HEAD^"]), whole);
    assert_eq!(checkout.shard(&["0/2", "no-commit"]).status.code(), Some(2));
}

#[test]
fn a_wrong_shard_is_a_usage_error() {
    if !iomap_testing::tools::has("git") {
        return;
    }
    let checkout = Checkout::new();
    for wrong in ["2/2", "0/0", "1", "a/b", "/", "-1/2"] {
        assert_eq!(checkout.shard(&[wrong]).status.code(), Some(2), "{wrong}");
    }
}
