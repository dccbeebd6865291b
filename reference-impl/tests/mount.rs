//! Images behind FUSE, used by the command: a session of a user, and its output.
//!
//! Needs /dev/fuse and root. The mounts are in a namespace that ends with the test.

use iomap_testing::tools::not_tested;
use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-reference");

/// The reason why mounts cannot be tested here.
fn missing() -> Option<&'static str> {
    match () {
        () if !nix::unistd::geteuid().is_root() => Some("not root"),
        () if !Path::new("/dev/fuse").exists() => Some("no /dev/fuse"),
        () if Command::new("fusermount3").arg("--version").output().is_err() => Some("no fusermount3"),
        () => None,
    }
}

/// The output of a shell script, errors included, in a new directory and mount namespace. `$R` is the command. `None`,
/// with a note, if mounts cannot be tested.
fn transcript(script: &str) -> Option<String> {
    if let Some(missing) = missing() {
        not_tested(missing);
        return None;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Ordinary users must be able to run the command from there.
    let command = directory.path().join("iomap-reference");
    std::fs::copy(PROGRAM, &command).expect("the command can be copied");
    let prelude = "chmod 755 . && R=$PWD/iomap-reference && trap 'umount -l m 2>/dev/null; wait' EXIT && mkdir m\n";
    let output = Command::new("timeout")
        .args(["60", "unshare", "--mount", "--pid", "--fork", "--mount-proc", "bash", "-c"])
        .arg(format!("exec 2>&1; {prelude}{script}"))
        .current_dir(&directory)
        .output();
    let Output { status, stdout, .. } = output.expect("the shell starts");
    let text = String::from_utf8_lossy(&stdout).replace(&*directory.path().to_string_lossy(), "DIR");
    assert!(status.success(), "{status}:\n{text}");
    Some(text)
}

const SEALED: &str = "
$R mkfs --size 8M disk >/dev/null
$R mount disk m
head -c 20000 /dev/zero | tr '\\0' x > m/file
$R seal m/file
";

#[test]
fn a_session() {
    let script = format!(
        "{SEALED}
$R status m m/file
truncate -s 0 m/file
echo more >> m/file
printf overwritten | dd of=m/file conv=notrunc status=none
head -c 20 m/file; echo
rm m/file || echo not removed
stat -f -c '%S %l' m
findmnt -n -o FSTYPE,SOURCE m | sed 's/fuse.iomap/fuse/'
umount m
$R fsck disk
$R mount --read-only disk m
touch m/other
umount m"
    );
    if let Some(text) = transcript(&script) {
        insta::assert_snapshot!("session", text);
    }
}

/// The state and the sealed data are on storage when sealing returns, even if the daemon is killed then.
#[test]
fn a_daemon_that_is_killed() {
    let script = "
$R mkfs --size 8M disk >/dev/null
$R mount --foreground disk m &
until mountpoint -q m; do :; done
head -c 20000 /dev/zero | tr '\\0' x > m/file
$R seal m/file
echo lost > m/lost
# Disowned, so that the shell does not report how it ended.
daemon=$!
disown
kill -KILL $daemon
while kill -0 $daemon 2>/dev/null; do :; done
umount -l m
$R fsck disk | sed 's/, blocks.*//'
$R mount disk m
$R status m/file
tr -d x < m/file | wc -c
ls m
umount m";
    if let Some(text) = transcript(script) {
        insta::assert_snapshot!("killed", text);
    }
}

/// A signal is a request to unmount.
#[test]
fn a_daemon_that_is_told_to_go() {
    let script = "
$R mkfs --size 8M disk >/dev/null
$R mount --foreground disk m &
until mountpoint -q m; do :; done
echo kept > m/kept
kill -TERM $!
wait $! 2>/dev/null
echo exit code $?
mountpoint m
$R mount disk m
cat m/kept
umount m";
    if let Some(text) = transcript(script) {
        insta::assert_snapshot!("signalled", text);
    }
}

#[test]
fn images_that_cannot_be_mounted() {
    let script = "
$R mkfs --size 2M disk >/dev/null
try() { \"$@\"; echo exit code $?; }
try $R mount nothing m
try $R mount disk nowhere
head -c 2M /dev/zero > zeros
try $R mount zeros m
$R mount disk m
mkdir other
try $R mount disk other
try $R seal m/nothing
touch m/empty plain
try $R seal m/empty plain
try $R status plain
umount m
mount -t tmpfs none /dev
PATH=/nowhere try $R mount disk m";
    if let Some(text) = transcript(script) {
        insta::assert_snapshot!("refused", text);
    }
}

/// An unsealed file moves; a sealed file stays, and an agent finds its data in place.
#[test]
fn a_mover() {
    let script = "
$R mkfs --size 8M disk >/dev/null
$R mount --move-every 1 disk m
for name in sealed loose; do head -c 4096 /dev/zero | tr '\\0' ${name:0:1} > m/$name; echo the $name file >> m/$name; done
sync m/sealed m/loose
$R seal m/sealed
places() { grep --only-matching --byte-offset --text \"the $1 file\" disk; }
before=$(places sealed)
# Where it was its data stays, until somebody else needs the place.
until [ $(places loose | wc -l) -gt 1 ]; do :; done
[ \"$before\" = \"$(places sealed)\" ] && echo in place
tail -c 15 m/loose
umount m";
    if let Some(text) = transcript(script) {
        insta::assert_snapshot!("mover", text);
    }
}

/// An ordinary user mounts an own image on an own directory, through fusermount3.
#[test]
fn an_ordinary_user() {
    let script = "
cp -a /dev/fuse fuse && chmod 666 fuse && mount --bind fuse /dev/fuse
mkdir home && chown nobody home && cd home
cat > script <<'END'
$R mkfs --size 2M disk >/dev/null
mkdir m
$R mount disk m
head -c 20000 /dev/zero > m/file
$R seal m/file
unshare --user --map-root-user $R seal m/file
fusermount3 -u m
$R mount --owner-seals disk m
$R seal m/file
$R status m/file
truncate -s 0 m/file
$R unseal m/file
truncate -s 0 m/file
fusermount3 -u m
END
R=$R setpriv --reuid nobody --regid nogroup --clear-groups bash script
cd ..";
    if let Some(text) = transcript(script) {
        insta::assert_snapshot!("ordinary_user", text);
    }
}
