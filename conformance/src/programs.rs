//! Programs of others that this one runs: each comes to an end, and what it did not do well is said in words.
//!
//! A program ends with the thread that started it. One under a limit is killed with all that it started when its time
//! is over, so that a mkfs(8) that hangs holds up nothing for ever.

use crate::host::sys;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a program that was killed may take to be gone. One that waits in the kernel may stay longer.
const DYING: Duration = Duration::from_secs(5);

/// How many lines of what a program says are shown, and how many bytes of each.
const LINES: usize = 4;
const WIDTH: usize = 500;

static LIMIT: OnceLock<Duration> = OnceLock::new();

thread_local! {
    /// When the case of this thread has to end.
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
    /// The program of this thread that did not come to an end of its own.
    static CUT_SHORT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Says how long a program may take, for all of this process: they are called from everywhere. The first word counts.
pub fn set_limit(limit: Duration) {
    let _ = LIMIT.set(limit);
}

/// Says how long the work of this thread may take. The programs that it starts end before that.
pub(crate) fn set_deadline(limit: Duration) {
    DEADLINE.set(Instant::now().checked_add(limit));
}

/// The program of this thread that was killed, in words. Whatever its caller made of that, it did not do its work.
pub(crate) fn cut_short() -> Option<String> {
    CUT_SHORT.take()
}

/// Why a program did not do its work. It is shown as one sentence.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It could not be started.
    Start { name: String, error: io::Error },
    /// It was killed, because its time was over.
    Overdue { name: String, limit: Duration },
    /// It came to no good end, and said this.
    Ended { name: String, status: ExitStatus, said: String },
}

impl Failure {
    /// Whether it was ended by somebody else.
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

/// How a process ended, as the end of a sentence.
pub(crate) fn ending(status: ExitStatus) -> String {
    let Some(number) = status.signal() else {
        return format!("ended with exit status {}", status.code().unwrap_or_default());
    };
    let name = Signal::try_from(number).map_or("", Signal::as_str);
    format!("was killed by signal {number} ({})", name.trim_start_matches("SIG"))
}

/// What a program prints that has to be done within the limit of the run.
pub(crate) fn within_limit(command: &mut Command) -> Result<Vec<u8>, Failure> {
    let limit = LIMIT.get().copied().unwrap_or(crate::guard::TIMEOUT);
    let rest = DEADLINE.get().map(|end| end.saturating_duration_since(Instant::now()));
    let outcome = run(command, Stdio::null(), Some(rest.map_or(limit, |rest| rest.min(limit))));
    if let Err(failure) = &outcome
        && failure.is_cut_short()
    {
        CUT_SHORT.set(Some(failure.to_string()));
    }
    outcome
}

/// What a program prints, however long that takes.
pub(crate) fn output(command: &mut Command) -> Result<Vec<u8>, Failure> {
    run(command, Stdio::null(), None)
}

/// What a program makes of what it reads.
pub(crate) fn of_input(command: &mut Command, input: impl Into<Stdio>) -> Result<Vec<u8>, Failure> {
    run(command, input.into(), None)
}

/// What a program makes of these bytes.
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

/// Output goes to memory: a pipe would have to be read meanwhile, and what the program left could hold it open.
fn memory() -> io::Result<File> {
    Ok(File::from(memfd_create("output", MFdFlags::MFD_CLOEXEC)?))
}

fn run(command: &mut Command, input: Stdio, limit: Option<Duration>) -> Result<Vec<u8>, Failure> {
    let name = name(command);
    let failed = |error| Failure::Start { name: name.clone(), error };
    let [mut output, mut errors] = [memory().map_err(failed)?, memory().map_err(failed)?];
    let [to_output, to_errors] = [output.try_clone().map_err(failed)?, errors.try_clone().map_err(failed)?];
    command.stdin(input).stdout(to_output).stderr(to_errors);
    sys::end_with_parent(command);
    if limit.is_some() {
        // Whatever it starts is in its group, and killed with it.
        command.process_group(0);
    }
    let child = command.spawn().map_err(failed)?;
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
    // Not every mkfs complains on standard error.
    let said = String::from_utf8_lossy(if errors.is_empty() { &output } else { &errors }).trim().to_owned();
    Err(Failure::Ended { name, status, said })
}

/// Waits for a program with a group of its own, and kills the group if it does not end in time.
fn wait(mut child: Child, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let group = Pid::from_raw(child.id().cast_signed());
    let (sender, ended) = channel();
    let waiting = std::thread::Builder::new().spawn(move || {
        // Whoever waited has given up.
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

/// The beginning of what a program said: the first complaint is the reason, the others follow from it.
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
    fn what_a_program_makes_of_bytes() {
        let bytes = vec![7; 1 << 20];
        assert!(of_bytes(&mut Command::new("cat"), &bytes).is_ok_and(|out| out == bytes));
    }

    /// It is killed with what it started, and what it left at its end does not hold up anybody.
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
        // A zombie may be left to whoever adopts it.
        let lives = || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while lives() {
            assert!(Instant::now() < deadline, "{child} is left");
            std::thread::yield_now();
        }
        set_deadline(Duration::from_secs(60));
        assert!(within_limit(&mut shell("sleep 1000 & exit 0; wait")).is_ok());
        assert_eq!(cut_short(), None);
    }

    /// A thread that ends takes its programs with it.
    #[test]
    fn programs_end_with_whoever_started_them() {
        let mut child = std::thread::spawn(|| {
            let mut sleep = Command::new("sleep");
            sys::end_with_parent(sleep.arg("1000"));
            sleep.spawn().unwrap()
        })
        .join()
        .unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
    }
}
