//! One guest, from its start to its last word.

use super::board::News;
use super::kernel::Kernel;
use super::protocol::{Message, Run};
use super::qemu::Machine;
use super::{console, failed};
use crate::programs::ending;
use crate::results::Results;
use iomap_results::LogLine;
use nix::sys::signal::Signal;
use std::fmt;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// Told what a guest does.
pub(super) type Listener<'a> = dyn Fn(News) + Sync + 'a;

/// What came out of a guest.
pub(super) struct Ended {
    /// Of each run its document, where it ended, or one in which all is `error`.
    pub(super) results: Vec<Results>,
    /// Why it did not do all that it should have, and what its console said last.
    pub(super) trouble: Option<(String, String)>,
}

/// Boots a guest and takes down what it finds out. `patience` is how long it may say nothing.
pub(super) fn boot(machine: &Machine, runs: &[Run], patience: Duration, listener: &Listener) -> Ended {
    let mut found: Vec<Option<Results>> = vec![None; runs.len()];
    let mut reasons: Vec<Option<String>> = vec![None; runs.len()];
    let mut at = Progress::default();
    let (ended, said) =
        attend(machine, |child| listen(child, runs, patience, &mut at, &mut found, &mut reasons, listener));
    // The console knows better than a process why it was killed, or why nothing came any more.
    let whole = ended.err().map(|why| format!("{why}, {at}"));
    let end = console::end(&said).map(|why| why + &without_modules(machine.kernel));
    let trouble = whole.clone().or_else(|| reasons.iter().flatten().next().cloned());
    let trouble = trouble.map(|why| (end.clone().unwrap_or(why), console::tail(&said)));
    let alarms = console::alarms(&said);
    let results = runs.iter().zip(found).zip(&reasons).map(|((run, found), reason)| {
        let why = end.as_deref().or(reason.as_deref()).or(whole.as_deref()).unwrap_or("no results");
        let lost = || failed(run, &machine.kernel.release, why);
        let mut results = found.unwrap_or_else(lost);
        // The suite in the guest has seen those that came while its cases ran.
        let more = alarms.iter().filter(|text| results.kernel_log.iter().all(|line| line.text != **text));
        let more: Vec<LogLine> = more.map(|text| LogLine { text: text.clone(), during: Vec::new() }).collect();
        results.kernel_log.extend(more);
        results
    });
    Ended { results: results.collect(), trouble }
}

/// Starts a machine, ends it when `listen` has heard enough, and returns what its console said. The error of `listen` is
/// why it hears nothing more, if it knows.
pub(super) fn attend<T>(
    machine: &Machine,
    listen: impl FnOnce(&mut Child) -> Result<T, Option<String>>,
) -> (Result<T, String>, String) {
    let ended = start(machine).and_then(|mut child| {
        let ended = listen(&mut child);
        // If the listener hears no more and has no reason, QEMU is ending by itself, or another process killed it.
        let own = if matches!(ended, Err(None)) { last_moments(&mut child) } else { None };
        let _ = child.kill();
        let mut words = String::new();
        child.stderr.take().map(|mut errors| errors.read_to_string(&mut words));
        let _ = child.wait();
        ended.map_err(|why| why.unwrap_or_else(|| obituary(own, &words)))
    });
    let said = std::fs::read(machine.console).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    (ended, said.unwrap_or_default())
}

/// The exit status of QEMU, shortly after it closed the port.
fn last_moments(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + Duration::from_secs(5);
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait().ok()? {
            return Some(status);
        }
        std::thread::yield_now();
    }
    None
}

/// The reason why QEMU ended: its own message, or its exit status.
fn obituary(status: Option<ExitStatus>, words: &str) -> String {
    let said = words.trim().lines().last().unwrap_or_default();
    match status {
        Some(status) if status.signal() == Some(Signal::SIGKILL as i32) => {
            format!("QEMU {}: by another process, or because memory ran out here (--memory, --guests)", ending(status))
        }
        Some(status) if said.is_empty() => format!("QEMU {}", ending(status)),
        _ => said.to_owned(),
    }
}

fn start(machine: &Machine) -> Result<Child, String> {
    let mut command = machine.command();
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().map_err(|e| format!("{}: {e}", command.get_program().display()))
}

/// The progress of a guest.
#[derive(Default)]
struct Progress {
    /// The number of cases that have ended.
    ended: usize,
    /// The cases that have begun and not ended.
    running: Vec<String>,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let during = if self.running.is_empty() { "" } else { ", during " };
        write!(f, "after {} cases{during}{}", self.ended, self.running.join(", "))
    }
}

/// An addition to the reason why a guest ended, if its kernel had no modules: it may have needed some.
fn without_modules(kernel: &Kernel) -> String {
    match kernel.modules {
        Some(_) => String::new(),
        None => format!(
            "; no modules of {} were found beside the image or on this machine: name its package or its build tree",
            kernel.release
        ),
    }
}

/// Takes down what a guest says until its last word. The error is why there was none, if that is known already.
fn listen(
    child: &mut Child,
    runs: &[Run],
    patience: Duration,
    at: &mut Progress,
    found: &mut [Option<Results>],
    reasons: &mut [Option<String>],
    listener: &Listener,
) -> Result<(), Option<String>> {
    let lines = lines(child);
    let Progress { ended, running } = at;
    loop {
        let line = match lines.recv_timeout(patience) {
            Ok((_, line)) => line,
            Err(RecvTimeoutError::Timeout) => {
                return Err(Some(format!("the guest hangs: nothing for {} s", patience.as_secs())));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(None),
        };
        let message = serde_json::from_str(&line).map_err(|e| Some(format!("not a line of the suite: {e}: {line}")))?;
        match message {
            Message::Ready => listener(News::Event("booted")),
            Message::Begins(case) => running.push(case),
            Message::Ended(case) => {
                if *ended == 0 {
                    listener(News::Event("the first case has ended"));
                }
                *ended += 1;
                listener(News::Case(*ended, &case));
                running.retain(|other| *other != case);
            }
            Message::Results(results) => {
                let same = |run: &&Run| run.fs == results.fs && run.mechanism == results.mechanism;
                let number = runs.iter().position(|run| same(&run)).ok_or(Some("results of another run".to_owned()))?;
                listener(News::Event(&format!("{} done", results.mechanism)));
                found[number] = Some(*results);
            }
            Message::Failed(number, why) => {
                listener(News::Event(&why));
                reasons.get_mut(number).into_iter().for_each(|reason| *reason = Some(why.clone()));
            }
            Message::Power(_) | Message::Step(_) => (),
            Message::Done => return Ok(()),
        }
    }
}

/// A line of the port, and when it had come.
pub(super) type Line = (Instant, String);

/// The lines of the port, until QEMU ends.
pub(super) fn lines(child: &mut Child) -> Receiver<Line> {
    let (sender, lines) = channel();
    if let Some(port) = child.stdout.take() {
        std::thread::spawn(move || {
            for line in BufReader::new(port).lines().map_while(Result::ok) {
                // Whoever listened has given up.
                let _ = sender.send((Instant::now(), line));
            }
        });
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::super::cache::Cache;
    use super::super::qemu::{Accelerator, Attendance, missing};
    use super::*;

    /// A kernel that finds nothing to start panics, and the console says so.
    #[test]
    fn a_panic() {
        if let Some(missing) = missing() {
            assert!(std::env::var_os("IOMAP_TESTS_REQUIRE_TOOLS").is_none(), "required: {missing}");
            return eprintln!("not tested: {missing}");
        }
        let kernel = Kernel::find("6.1", &Cache::open().unwrap()).unwrap();
        let directory = tempfile::tempdir().unwrap();
        let nothing = directory.path().join("nothing");
        std::fs::write(&nothing, [0; 512]).unwrap();
        let machine = Machine {
            kernel: &kernel,
            initramfs: &nothing,
            accelerator: Accelerator::Tcg,
            memory: 512,
            console: &directory.path().join("console"),
            attendance: Attendance::Batch,
            hardware: Vec::new(),
            disks: Vec::new(),
        };
        let runs = ["swapfile", "seal"].map(|name| Run { fs: "xfs".into(), mechanism: name.into() });
        let ended = boot(&machine, &runs, Duration::from_secs(120), &|_| ());
        let (why, tail) = ended.trouble.unwrap();
        assert!(why.starts_with("the kernel panicked: Kernel panic - not syncing: VFS: "), "{why}");
        assert!(tail.contains("Kernel panic"), "{tail}");
        let reasons = ended.results.iter().flat_map(|results| &results.clauses).map(|clause| clause.reason.as_deref());
        assert!(reasons.eq(std::iter::repeat_n(Some(why.as_str()), 2 * iomap_clauses::ALL.len())));
    }
}
