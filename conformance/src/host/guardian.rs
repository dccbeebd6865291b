//! The process that cleans up after the suite.
//!
//! An active swap file outlives the process that activated it, and keeps the file system and the loop device busy. A
//! frozen file system cannot be unmounted. The guardian waits for the end of the suite: however the suite ends, the
//! other end of the guardian's standard input is closed then. Then the guardian ends the programs that the suite left,
//! and thaws and deactivates everything below the suite's own directory. It is in the suite's mount namespace, which
//! ends with it. With an option, it instead removes a directory that the suite made on the user's file system.
//!
//! A user who stops the suite may send the same signal to every process of it. The guardian blocks all signals, and
//! ends by itself when it has done its work; only SIGKILL ends it before. Then the suite starts another guardian, and
//! says so. If both are killed, no process is left to clean up: the page of the command tells people how to do it.

use super::proc;
use super::sys::{swap, vfs};
use crate::error::{Error, Result};
use crate::programs::ending;
use iomap_command::tell_line;
use iomap_reference::{FLAG_APPEND, FLAG_IMMUTABLE};
use nix::fcntl::{Flock, FlockArg};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::{Pid, getpid, getppid};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// The hidden subcommand.
pub const COMMAND: &str = "guard";

/// The option to remove a directory.
const REMOVE: &str = "--remove";

/// The number of attempts to deactivate all swap files.
const ROUNDS: usize = 50;

/// The number of guardians after the first one. A user who kills each of them does so on purpose.
const SUCCESSORS: usize = 8;

/// The guardian, as the suite sees it. It does its work when this value is dropped or the suite has ended.
pub(crate) struct Guardian {
    tether: Arc<Mutex<Tether>>,
    watcher: Option<JoinHandle<()>>,
}

/// The connection that tells the guardian that the suite exists, until the suite is gone.
struct Tether {
    stdin: Option<ChildStdin>,
    /// The work of the suite is done.
    ended: bool,
}

/// The things that a guardian has to clean up.
struct Post {
    stage: PathBuf,
    options: &'static [&'static str],
}

impl Guardian {
    /// A guardian of all that is mounted below `stage`.
    pub(crate) fn of_mounts(stage: &Path) -> Result<Self> {
        Self::start(Post { stage: stage.into(), options: &[] })
    }

    /// A guardian of a directory that has to be removed in the end.
    pub(crate) fn of_directory(path: &Path) -> Result<Self> {
        Self::start(Post { stage: path.into(), options: &[REMOVE] })
    }

    fn start(post: Post) -> Result<Self> {
        let mut child = post.occupy()?;
        let tether = Arc::new(Mutex::new(Tether { stdin: child.stdin.take(), ended: false }));
        let watched = tether.clone();
        let watcher = std::thread::Builder::new().spawn(move || post.watch(child, &watched));
        // Without the thread the guardian loses its standard input, and ends.
        let watcher = watcher.map_err(|error| Error::about("no thread for the guardian", error))?;
        Ok(Self { tether, watcher: Some(watcher) })
    }
}

fn locked(tether: &Mutex<Tether>) -> MutexGuard<'_, Tether> {
    tether.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Closing the guardian's standard input tells it that the suite is done.
        let mut tether = locked(&self.tether);
        tether.ended = true;
        drop(tether.stdin.take());
        drop(tether);
        let _ = self.watcher.take().map(JoinHandle::join);
    }
}

impl Post {
    /// Starts a guardian, and waits until only SIGKILL can end it.
    fn occupy(&self) -> Result<Child> {
        // In a process group of its own, the guardian gets no Ctrl-C from the terminal.
        let mut child = Command::new("/proc/self/exe")
            .arg(COMMAND)
            .arg(&self.stage)
            .args(self.options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|error| Error::about("the guardian cannot be started", error))?;
        let ready = child.stdout.take().is_some_and(|mut stdout| stdout.read_exact(&mut [0]).is_ok());
        if ready {
            return Ok(child);
        }
        let ended = child.wait().map_err(|error| Error::about("the guardian", error))?;
        Err(format!("the guardian {} before it began", ending(ended)).into())
    }

    /// Waits for a guardian that has done its work, and replaces a guardian that was killed before.
    fn watch(&self, mut child: Child, tether: &Mutex<Tether>) {
        for _ in 0..SUCCESSORS {
            let why = match child.wait() {
                Ok(status) if status.success() => return,
                Ok(status) => ending(status),
                Err(error) => format!("is lost: {error}"),
            };
            tell_line(format_args!(
                "iomap-conformance: the guardian, which cleans up after the suite, {why}: another one is started"
            ));
            child = match self.occupy() {
                Ok(child) => child,
                Err(why) => {
                    return tell_line(format_args!(
                        "iomap-conformance: {why}: active swap files stay active after the suite ends"
                    ));
                }
            };
            let mut tether = locked(tether);
            // If the suite has ended meanwhile, the guardian loses its standard input, and does its work now.
            tether.stdin = child.stdin.take().filter(|_| !tether.ended);
        }
        tell_line(format_args!(
            "iomap-conformance: {SUCCESSORS} guardians were killed: active swap files stay active after the suite ends"
        ));
    }
}

/// Waits for the end of the suite, then deactivates every swap file below `stage`, or removes the directory.
pub fn run(stage: &Path, remove: bool) {
    // No signal is meant for the guardian. The call fails only for a signal that does not exist.
    let _ = SigSet::all().thread_block();
    // If no process reads the output, the suite has ended, and the next read shows that.
    let mut stdout = std::io::stdout();
    let _ = stdout.write_all(b"\n").and_then(|()| stdout.flush());
    // Only the end of the stream matters; an error is an end as well.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    if remove {
        return remove_when_free(stage);
    }
    end_programs();
    // A frozen file system blocks each process that writes to it, and could never be unmounted.
    for mount in proc::mounts().iter().filter(|mount| mount.at.starts_with(stage)) {
        let _ = std::fs::File::open(&mount.at).map(|root| vfs::thaw(root.as_fd()));
    }
    deactivate_all(stage);
}

/// Kills the programs that the suite left in its own mount namespace, which contains only these programs and their
/// children: a mkfs that hangs would keep the mounts. The parent is spared: it is the suite, as long as that exists.
fn end_programs() {
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt"));
    let Ok(own) = namespace("self") else { return };
    let spared = [getpid(), getppid()];
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(pid) = name.parse().ok().map(Pid::from_raw) else { continue };
        if !spared.contains(&pid) && namespace(&name).is_ok_and(|other| other == own) {
            let _ = kill(pid, Signal::SIGKILL);
        }
    }
}

/// Deactivates every swap file below a directory, and tries again if that did not work.
pub(crate) fn deactivate_all(stage: &Path) {
    for _ in 0..ROUNDS {
        if proc::active_below(stage).is_empty() {
            return;
        }
        deactivate_below(stage);
    }
}

/// Deactivates the swap files below a directory, as far as possible.
pub(crate) fn deactivate_below(directory: &Path) {
    proc::active_below(directory).iter().for_each(|path| deactivate(path));
}

/// Deactivates a swap file. swapoff(2) opens the file for writing, which the attributes forbid, so they are removed
/// first.
fn deactivate(path: &Path) {
    if let Ok(file) = std::fs::File::open(path) {
        let _ = vfs::change_flags(&file, 0, FLAG_IMMUTABLE | FLAG_APPEND);
    }
    let _ = swap::swapoff(path);
}

/// Waits until no suite works in a directory, and removes it.
fn remove_when_free(path: &Path) {
    if let Ok(file) = File::open(path)
        && let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusive)
    {
        let _ = remove(path);
    }
}

/// Removes a directory of a suite with all its contents.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    deactivate_all(path);
    std::fs::remove_dir_all(path).or_else(|_| {
        clear_attributes(path)?;
        std::fs::remove_dir_all(path)
    })
}

/// Removes the attributes that make the removal of a file fail.
fn clear_attributes(directory: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(directory)?.flatten() {
        let kind = entry.file_type()?;
        if kind.is_dir() {
            clear_attributes(&entry.path())?;
        } else if kind.is_file() {
            let _ = vfs::change_flags(&File::open(entry.path())?, 0, FLAG_IMMUTABLE | FLAG_APPEND);
        }
    }
    Ok(())
}
