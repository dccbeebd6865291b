//! External programs that the suite runs: each comes to an end, and its failure is described in words.
//!
//! A program ends with the thread that started it. A program with a limit is killed with all its children when its time
//! is over, so that a mkfs(8) that hangs never stops a run.

use crate::host::sys::process;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// The time in which a killed program has to end. A program that waits in the kernel may take longer.
const DYING: Duration = Duration::from_secs(5);

/// The number of lines of a program's message that are shown, and the number of bytes of each.
const LINES: usize = 4;
const WIDTH: usize = 500;

/// The time limit of a case and of its programs, unless the user gives another.
pub const TIMEOUT: Duration = Duration::from_secs(60);

static LIMIT: OnceLock<Duration> = OnceLock::new();

thread_local! {
    /// The time at which the case of this thread has to end.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The program of this thread that was killed.
    static CUT_SHORT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Sets the time limit of programs for this whole process, because programs are started from many places. The first
/// call counts.
pub(crate) fn set_limit(limit: Duration) {
    let _ = LIMIT.set(limit);
}

/// Sets the time limit of this thread's work. The programs that the thread starts end before that.
pub(crate) fn set_deadline(limit: Duration) {
    DEADLINE.set(Instant::now().checked_add(limit));
}

/// The program of this thread that was killed, in words. Its work is not done, even if its caller did not notice.
pub(crate) fn cut_short() -> Option<String> {
    CUT_SHORT.take()
}

/// The reason why a program did not do its work. It is shown as one sentence.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program could not be started.
    Start { name: String, error: io::Error },
    /// The program was killed, because its time was over.
    Overdue { name: String, limit: Duration },
    /// The program failed, with this message.
    Ended { name: String, status: ExitStatus, said: String },
}

impl Failure {
    /// Whether another process ended the program.
    pub(crate) fn is_cut_short(&self) -> bool {
        match self {
            Self::Start { .. } => false,
            Self::Overdue { .. } => true,
            Self::Ended { status, .. } => status.signal().is_some(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Start { name, error } if error.kind() == io::ErrorKind::NotFound => {
                write!(f, "{name} is not installed")
            }
            Self::Start { name, error } => write!(f, "{name} cannot be started: {error}"),
            Self::Overdue { name, limit } => write!(f, "{name} did not end within {} s", limit.as_secs_f32().ceil()),
            Self::Ended { name, status, said } => match (status.code(), said.as_str()) {
                (Some(_), "") => write!(f, "{name} {} and said nothing", ending(*status)),
                (Some(_), said) => write!(f, "{name} failed: {}", first_lines(said)),
                (None, "") => write!(f, "{name} {}", ending(*status)),
                (None, said) => write!(f, "{name} {}: {}", ending(*status), first_lines(said)),
            },
        }
    }
}

impl From<Failure> for String {
    fn from(failure: Failure) -> Self {
        failure.to_string()
    }
}

/// The path of a program of the system administrator, if it is installed.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|candidate| candidate.is_file())
}

/// The end of a process in words, as the end of a sentence.
pub(crate) fn ending(status: ExitStatus) -> String {
    let Some(number) = status.signal() else {
        return format!("ended with exit status {}", status.code().unwrap_or_default());
    };
    let name = Signal::try_from(number).map_or("", Signal::as_str);
    format!("was killed by signal {number} ({})", name.trim_start_matches("SIG"))
}

/// The output of a program that has to end within the limit of the run.
///
/// The program never has a file of a case. A child gets a copy of its parent's descriptors, and execve(2) closes them; but
/// the kernel gives the files back a moment later, which no parent can wait for (task_work_run of the child). In this
/// moment a lease, a seal or swapon(2) of another case would be refused. So the parent is a thread without descriptors.
pub(crate) fn within_limit(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let limit = LIMIT.get().copied().unwrap_or(TIMEOUT);
    let rest = DEADLINE.get().map(|end| end.saturating_duration_since(Instant::now()));
    let limit = rest.map_or(limit, |rest| rest.min(limit));
    let name = name(command);
    let failed = |error| Failure::Start { name, error };
    let outcome = std::thread::scope(|scope| {
        let started = std::thread::Builder::new().spawn_scoped(scope, || {
            process::own_descriptors().map_err(io::Error::from)?;
            let done = run(command, Stdio::null(), Some(limit));
            // The descriptors in the command are those of this thread: they have to be closed here.
            command.stdout(Stdio::null()).stderr(Stdio::null());
            Ok(done)
        });
        started.and_then(|thread| thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let outcome = outcome.map_err(failed).and_then(|done| done);
    if let Err(failure) = &outcome
        && failure.is_cut_short()
    {
        CUT_SHORT.set(Some(failure.to_string()));
    }
    outcome
}

/// The output of a program without a time limit.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    run(command, Stdio::null(), None)
}

/// The output of a program that reads this input.
pub(crate) fn of_input(command: &mut Command, input: impl Into<Stdio>) -> Result<Vec<u8>, Failure> {
    run(command, input.into(), None)
}

/// The output of a program that reads these bytes.
pub(crate) fn of_bytes(command: &mut Command, bytes: &[u8]) -> Result<Vec<u8>, Failure> {
    let input = memory().and_then(|mut file| {
        file.write_all(bytes)?;
        file.rewind()?;
        Ok(file)
    });
    let name = name(command);
    of_input(command, input.map_err(|error| Failure::Start { name, error })?)
}

fn name(command: &Command) -> String {
    let path = std::path::Path::new(command.get_program());
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// A file in memory for output. A pipe would have to be read meanwhile, and a child that the program leaves behind
/// could hold it open.
fn memory() -> io::Result<File> {
    Ok(File::from(memfd_create("output", MFdFlags::MFD_CLOEXEC)?))
}

fn run(command: &mut Command, input: Stdio, limit: Option<Duration>) -> Result<Vec<u8>, Failure> {
    let name = name(command);
    let failed = |error| Failure::Start { name: name.clone(), error };
    let [mut output, mut errors] = [memory().map_err(failed)?, memory().map_err(failed)?];
    let [to_output, to_errors] = [output.try_clone().map_err(failed)?, errors.try_clone().map_err(failed)?];
    command.stdin(input).stdout(to_output).stderr(to_errors);
    process::end_with_parent(command);
    if limit.is_some() {
        // All children of the program are in its group, and are killed with it.
        command.process_group(0);
    }
    let child = {
        let _forking = process::forking();
        command.spawn().map_err(failed)?
    };
    let status = match limit {
        None => { child }.wait().map_err(failed)?,
        Some(limit) => match wait(child, limit).map_err(failed)? {
            Some(status) => status,
            None => return Err(Failure::Overdue { name, limit }),
        },
    };
    let read = |file: &mut File| {
        let mut bytes = Vec::new();
        file.rewind().and_then(|()| file.read_to_end(&mut bytes)).map_err(failed).map(|_| bytes)
    };
    let (output, errors) = (read(&mut output)?, read(&mut errors)?);
    if status.success() {
        return Ok(output);
    }
    // Some mkfs programs report errors on standard output.
    let said = String::from_utf8_lossy(if errors.is_empty() { &output } else { &errors }).trim().to_owned();
    Err(Failure::Ended { name, status, said })
}

/// Waits for a program with a group of its own, and kills the group if the program does not end in time.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, ended) = channel();
    let waiting = std::thread::Builder::new().spawn(move || {
        // Fails if the receiver has given up.
        let _ = sender.send(child.wait());
    });
    let outcome = match waiting {
        Ok(_) => ended.recv_timeout(limit),
        Err(error) => {
            let _ = killpg(group, Signal::SIGKILL);
            return Err(error);
        }
    };
    match outcome {
        Ok(status) => status.map(Some),
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
            let _ = killpg(group, Signal::SIGKILL);
            let _ = ended.recv_timeout(DYING);
            Ok(None)
        }
    }
}

/// The beginning of a program's message: the first complaint is the reason, the others follow from it.
fn first_lines(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    let shown = lines.iter().take(LINES).map(|line| line.chars().take(WIDTH).collect::<String>());
    let more = lines.len().saturating_sub(LINES);
    let more = (more > 0).then(|| format!("(and {more} more lines)"));
    shown.chain(more).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sys::process::tests::apart;
    use crate::host::sys::vfs;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn shell(script: &str) -> Command {
        let mut shell = Command::new("sh");
        shell.args(["-c", script]);
        shell
    }

    #[test]
    fn failures_in_words() {
        let why = |script| output(&mut shell(script)).map_err(|failure| failure.to_string());
        assert_eq!(why("echo fine"), Ok(b"fine\n".to_vec()));
        assert_eq!(why("exit 7"), Err("sh ended with exit status 7 and said nothing".into()));
        assert_eq!(why("kill -9 $$"), Err("sh was killed by signal 9 (KILL)".into()));
        assert_eq!(why("echo one; kill -TERM $$"), Err("sh was killed by signal 15 (TERM): one".into()));
        assert_eq!(why("echo out; echo error >&2; exit 1"), Err("sh failed: error".into()));
        assert_eq!(why("seq 9; exit 1"), Err("sh failed: 1\n2\n3\n4\n(and 5 more lines)".into()));
        let missing = output(&mut Command::new("/nowhere/mkfs.none")).map_err(|failure| failure.to_string());
        assert_eq!(missing, Err("mkfs.none is not installed".into()));
    }

    #[test]
    fn a_program_gets_bytes_and_gives_bytes() {
        let bytes = vec![7; 1 << 20];
        assert!(of_bytes(&mut Command::new("cat"), &bytes).is_ok_and(|out| out == bytes));
    }

    /// A program is killed with its children, and a child that it leaves at its end does not delay its caller.
    #[test]
    fn programs_that_do_not_end() {
        set_deadline(Duration::from_millis(300));
        let mut pid = tempfile::NamedTempFile::new().unwrap();
        let script = format!("sleep 1000 & echo $! > {}; wait", pid.path().display());
        let failure = within_limit(&mut shell(&script)).unwrap_err();
        assert_eq!(failure.to_string(), "sh did not end within 1 s");
        assert_eq!(cut_short().as_deref(), Some("sh did not end within 1 s"));
        assert_eq!(cut_short(), None);
        let mut child = String::new();
        pid.read_to_string(&mut child).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        // A zombie may remain until its new parent reaps it.
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while lives() {
            assert!(Instant::now() < deadline, "{child} is left");
            std::thread::yield_now();
        }
        set_deadline(Duration::from_secs(60));
        let left = within_limit(&mut shell("sleep 1000 >/dev/null & echo $!")).unwrap();
        assert_eq!(cut_short(), None);
        let left: i32 = String::from_utf8_lossy(&left).trim().parse().unwrap();
        nix::sys::signal::kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
    }

    /// A file that was closed before a program starts, or meanwhile, is open nowhere.
    #[test]
    fn programs_have_no_files_of_cases() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let ended = AtomicBool::new(false);
        apart(|| {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !ended.load(Ordering::Relaxed) {
                        within_limit(&mut Command::new("true")).unwrap();
                    }
                });
                let refused = (0..20_000).filter(|_| {
                    drop(File::create(&path).unwrap());
                    let file = File::options().read(true).write(true).open(&path).unwrap();
                    let _one_table = process::one_table();
                    vfs::set_lease(file.as_fd(), true).is_err()
                });
                let refused = refused.count();
                ended.store(true, Ordering::Relaxed);
                assert_eq!(refused, 0);
            });
        });
    }

    /// A thread that ends kills its programs, too.
    #[test]
    fn programs_end_with_whoever_started_them() {
        let mut child = std::thread::spawn(|| {
            let mut sleep = Command::new("sleep");
            process::end_with_parent(sleep.arg("1000"));
            sleep.spawn().unwrap()
        })
        .join()
        .unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
