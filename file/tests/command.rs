//! The command on a mounted reference, with system calls and with its ioctls, and on files that cannot be sealed.

use iomap_reference::{Changes, Fs, MountOptions};
use iomap_testing::tools::{has, not_tested};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use tempfile::TempDir;

const PROGRAM: &str = env!("CARGO_BIN_EXE_iomap-file");

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).stdin(Stdio::null()).env_remove("LD_PRELOAD");
    command
}

/// The library that takes the calls of the page to a mounted reference. Cargo builds it for this test.
fn library() -> PathBuf {
    let path = std::env::current_exe().expect("this test has a path").with_file_name("libiomap_preload.so");
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// A mounted reference in a directory of ordinary files, as DIR/m.
///
/// Only other processes make calls on the mount, because the daemon is in this process.
struct Mount {
    unmount: Box<dyn FnMut() -> io::Result<()>>,
    daemon: Option<JoinHandle<io::Result<()>>>,
    dir: TempDir,
}

impl Drop for Mount {
    fn drop(&mut self) {
        match (self.unmount)() {
            // The daemon ends with the mount.
            Ok(()) => drop(self.daemon.take().map(JoinHandle::join)),
            Err(error) => eprintln!("{} stays mounted: {error}", self.dir.path().display()),
        }
    }
}

impl Mount {
    /// `None`, with a note, if mounts are not possible.
    fn new() -> Option<Self> {
        if !nix::unistd::geteuid().is_root() || !Path::new("/dev/fuse").exists() {
            not_tested("sealing on a mount takes root and /dev/fuse");
            return None;
        }
        let dir = tempfile::tempdir().expect("a temporary directory");
        let place = dir.path().join("m");
        std::fs::create_dir(&place).expect("the directory is new");
        // The library has 32 MB with the symbols of a default build.
        let fs = Fs::new(1 << 14);
        let mode = Changes { mode: Some(0o777), ..Changes::default() };
        let root = iomap_reference::Caller::Privileged.credentials();
        fs.set_attributes(root, 1, None, mode).expect("there is a root directory");
        let options = MountOptions { source: "test".into(), ..MountOptions::default() };
        let mut session = fs.session(&place, &options).expect("it can be mounted");
        let mut unmounter = session.unmount_callable();
        let daemon = Some(std::thread::spawn(move || session.run()));
        Some(Self { unmount: Box::new(move || unmounter.unmount()), daemon, dir })
    }

    /// The output of a shell script in the directory, errors included. `iomap-file` is the command.
    fn script(&self, preload: bool, script: &str) -> String {
        let library = if preload { library().display().to_string() } else { String::new() };
        let prelude =
            format!("exec 2>&1\niomap-file() {{ LD_PRELOAD={library} {PROGRAM} \"$@\"; echo \"exit $?\"; }}\n");
        let mut bash = Command::new("timeout");
        bash.args(["60", "bash", "-c", &(prelude + script)]).current_dir(&self.dir).env_remove("LD_PRELOAD");
        let output = bash.output().expect("the shell starts");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

const SESSION: &str = "\
head -c 20000 /dev/zero | tr '\\0' x | tee m/a >m/b
mkdir m/deep && cp m/a 'm/deep/c d'
iomap-file status m/a m/b
iomap-file seal m/a 'm/deep/c d'
iomap-file seal m/a
iomap-file status --format json m/a m/b
truncate -s 1 m/a
iomap-file find m
iomap-file find m/b m/a
iomap-file find -0 m | tr '\\0' '|'; echo
iomap-file unseal m/a 'm/deep/c d' m/b
truncate -s 1 m/a
iomap-file find m
truncate -s 1M m/hole
iomap-file seal m/hole m/b
iomap-file status m m/none
";

/// Sealing by the system calls of the page, which the library carries, and by ioctls is the same to the caller.
#[test]
fn a_session() {
    for preload in [false, true] {
        let Some(mount) = Mount::new() else { return };
        insta::assert_snapshot!("session", mount.script(preload, SESSION));
    }
}

/// A process that maps a file keeps it from being sealed, and is named.
#[test]
fn a_holder_has_a_name() {
    let Some(mount) = Mount::new() else { return };
    let text = mount.script(
        false,
        &format!(
            "cp --sparse=never {} m/library.so
LD_PRELOAD=m/library.so sleep 60 &
until grep -q library.so /proc/$!/maps; do :; done
iomap-file seal m/library.so 2>&1 | sed s/$!/PID/
kill $!; wait
iomap-file seal m/library.so
iomap-file find m",
            library().display()
        ),
    );
    let busy = "\
iomap-file: m/library.so: Device or resource busy: it is in use
  mapped by process PID (sleep)
exit 1
";
    assert!(text.contains(busy), "{text}");
    assert!(text.ends_with("exit 0\nm/library.so\nexit 0\n"), "{text}");
}

/// Another file system below a directory is left out, unless it is asked for.
#[test]
fn find_stays_on_the_file_system() {
    let Some(mount) = Mount::new() else { return };
    let text = mount.script(
        false,
        "head -c 20000 /dev/zero | tr '\\0' x | tee here >m/there
iomap-file seal m/there
iomap-file find
iomap-file find --cross-file-systems .
iomap-file find m here nowhere",
    );
    insta::assert_snapshot!("file_systems", text);
}

/// Where the mask does not offer sealing, no call that seals is made, and no descriptor waits for a FIFO.
#[test]
fn no_call_is_made_where_the_mask_is_missing() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("file");
    std::fs::write(&file, "contents").expect("it can be written");
    let text = |path: &Path| path.display().to_string();
    if has("strace") {
        for line in [&["seal", &text(&file)][..], &["unseal", &text(&file)], &["find", &text(dir.path())]] {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-e", "trace=fallocate,ioctl,statx", PROGRAM]).args(line).stdin(Stdio::null());
            let output = strace.output().expect("strace starts");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(said.contains("statx(") && said.contains("do not offer sealing, so "), "{said}");
            // Terminals are asked with ioctl(2) too.
            assert!(!said.contains("fallocate(") && !said.contains("0xe6"), "{said}");
            assert_eq!(output.status.code(), Some(1));
        }
    }
    nix::unistd::mkfifo(&dir.path().join("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let fifo = text(&dir.path().join("fifo"));
    for (line, said) in [
        (["seal", &fifo], format!("iomap-file: {fifo}: not a regular file\n")),
        (["status", &fifo], format!("iomap-file: {fifo}: not a regular file\n")),
        (["find", &fifo], format!("iomap-file: {fifo}: neither a directory nor a regular file\n")),
    ] {
        let output = command(&line).output().expect("the command starts");
        assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned()), (Some(1), said));
    }
    let asked = command(&["status", &text(&file)]).output().expect("the command starts");
    assert_eq!(asked.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&asked.stdout), format!("unknown   {}\n", file.display()));
}

#[test]
fn the_page_says_what_help_says() {
    let page = include_str!("../../man/iomap-file.1.md");
    let help = |arguments: &[&str]| {
        String::from_utf8_lossy(&command(arguments).output().expect("the command starts").stdout).into_owned()
    };
    assert_eq!(iomap_testing::help::differences("iomap-file", page, help), Default::default());
    insta::assert_snapshot!("help", help(&["--help"]));
}

#[test]
fn output_that_is_gone_or_full() {
    let lines: [&[&str]; 3] = [&["--help"], &["status", "Cargo.toml"], &["completions", "bash"]];
    for line in lines {
        assert_eq!(iomap_testing::output::faults(command, line, false), [""; 0]);
    }
}
