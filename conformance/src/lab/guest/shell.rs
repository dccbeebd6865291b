//! A shell in a guest, for a person at the console.

use crate::error::{Error, Result, at};
use crate::lab::protocol::Run;
use crate::target;
use crate::target::found::Mounted;
use iomap_command::tell_line;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Runs a shell at the console until it ends. If there is a run, a fresh file system of its kind is mounted.
pub(crate) fn interact(shell: &str, run: Option<Run>) -> Result<()> {
    let _mounted = run.map(offer).transpose()?;
    let console = || File::options().read(true).write(true).open("/dev/ttyS0").map(Stdio::from);
    // The shell leads a session whose terminal is the console, so that Ctrl-C reaches the programs in the session.
    let mut command = Command::new("setsid");
    command.args(["--ctty", "--wait", shell, "--norc", "-i"]);
    command.env("PATH", "/bin:/").env("HOME", "/tmp").env("TERM", "vt100").env("PS1", "lab# ").current_dir("/tmp");
    let [stdin, stdout, stderr] =
        [console(), console(), console()].map(|file| file.map_err(|e| Error::about("ttyS0", e)));
    command.stdin(stdin?).stdout(stdout?).stderr(stderr?);
    command.status().map(drop).map_err(|e| Error::about(shell, e))
}

/// Mounts a file system like those of a run, and prints a line about it.
fn offer(Run { fs, mechanism }: Run) -> Result<Option<Mounted>> {
    let root = PathBuf::from(format!("/mnt/{}", fs.name()));
    std::fs::create_dir(&root).map_err(at(&root))?;
    // For device-dax there is no file system to mount.
    let mounted = fs.is_mounted().then(|| Mounted::fresh(fs, &root)).transpose()?;
    if mounted.is_some() {
        tell_line(format_args!("{} is mounted at {}", fs.name(), root.display()));
    }
    if target::host::missing(fs).is_none() {
        let (fs, mechanism) = (fs.name(), mechanism.name());
        tell_line(format_args!(
            "the suite: iomap-conformance --target host --fs {fs} --mechanism {mechanism} [FILTER]"
        ));
    }
    Ok(mounted)
}
