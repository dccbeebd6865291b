//! Cases that do not end, and what the kernel says while cases run.

use crate::case::definition::Case;
use crate::programs;
use crate::system::Lane;
use iomap_results::LogLine;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::gettid;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long a case may take unless somebody says otherwise.
pub const TIMEOUT: Duration = Duration::from_secs(60);

/// The time between the killing of a case's programs and the abandoning of the case: in it the case can still name the
/// program.
const GRACE: Duration = Duration::from_secs(1);

/// After so many cases that did not end no more are started: the next ones would only wait, one timeout each.
const ABANDONED: usize = 8;

/// Watches over the cases of a run.
pub struct Guard {
    timeout: Duration,
    /// A turn for each lane of [`Lane::IN_TURN`]. The name is that of the case that has the turn and does not end.
    turns: [Mutex<Option<String>>; Lane::IN_TURN.len()],
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: Vec<String>,
    abandoned: usize,
    log: Option<KernelLog>,
    alarms: Vec<LogLine>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Guard {
    /// A guard that gives each case so much time, and reads the kernel log if there is one to read.
    pub fn new(timeout: Duration, log: Option<KernelLog>) -> Self {
        Self { timeout, turns: Default::default(), state: Mutex::new(State { log, ..State::default() }) }
    }

    /// Does the work of a case on a thread of its own, and measures its time. Work that does not end is abandoned, with
    /// the reason.
    pub(crate) fn watch<T: Send + 'static>(
        &self,
        case: &Case,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (Result<T, String>, Duration) {
        // Waiting for others is not the case's own time.
        let lane = Lane::IN_TURN.iter().position(|lane| *lane == case.lane);
        let mut turn = lane.map(|lane| locked(&self.turns[lane]));
        if let Some(holder) = turn.as_ref().and_then(|holder| holder.as_ref()) {
            let why = format!("{holder} has the file system to itself and does not end");
            return (Err(why), Duration::ZERO);
        }
        if locked(&self.state).abandoned >= ABANDONED {
            return (Err(format!("not run: {ABANDONED} cases before it did not end")), Duration::ZERO);
        }
        let start = Instant::now();
        let name = case.full_name();
        locked(&self.state).running.push(name.clone());
        let (sender, receiver) = channel();
        let (about, task) = channel();
        let timeout = self.timeout;
        let thread = std::thread::Builder::new().name(name.clone()).spawn(move || {
            let _ = about.send(gettid().as_raw());
            programs::set_deadline(timeout);
            let done = work();
            // Whatever the case concluded, a program that was killed did not do its work.
            let _ = sender.send(programs::cut_short().map_or(Ok(done), Err));
        });
        let outcome = match thread {
            Err(error) => Err(format!("no thread for the case: {error}")),
            Ok(_) => receiver.recv_timeout(self.timeout + GRACE).unwrap_or_else(|error| {
                Err(match error {
                    RecvTimeoutError::Disconnected => "the case panicked".into(),
                    RecvTimeoutError::Timeout => {
                        locked(&self.state).abandoned += 1;
                        if let Some(turn) = &mut turn {
                            **turn = Some(name.clone());
                        }
                        let seconds = self.timeout.as_secs();
                        format!(
                            "it does not end: abandoned after {seconds} s{}",
                            stacks(task.recv().unwrap_or_default())
                        )
                    }
                })
            }),
        };
        let took = start.elapsed();
        self.ended(&name);
        (outcome, took)
    }

    fn ended(&self, name: &str) {
        let mut state = locked(&self.state);
        let lines = state.log.as_mut().map(KernelLog::alarms).unwrap_or_default();
        let during = state.running.clone();
        state.alarms.extend(lines.into_iter().map(|text| LogLine { text, during: during.clone() }));
        if let Some(at) = state.running.iter().position(|running| running == name) {
            state.running.swap_remove(at);
        }
    }

    /// What the kernel said that it should not have to, with the cases that ran.
    pub fn alarms(&self) -> Vec<LogLine> {
        self.ended("");
        std::mem::take(&mut locked(&self.state).alarms)
    }
}

/// Where a thread is in the kernel, and those that it started.
fn stacks(task: i32) -> String {
    let read = |task: &str, file: &str| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{task}/{file}"));
        text.map_or_else(|error| format!("({error})"), |text| text.trim_end().to_owned())
    };
    // A thread inherits the name.
    let name = read(&task.to_string(), "comm");
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let tasks = tasks.map(|entry| entry.file_name().to_string_lossy().into_owned());
    tasks
        .filter(|other| read(other, "comm") == name)
        .map(|task| {
            let status = read(&task, "status");
            let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or_default().trim();
            let (wchan, call) = (read(&task, "wchan"), read(&task, "syscall"));
            format!("\ntask {task}, state {state}, waits in {wchan}, system call {call}\n{}", read(&task, "stack"))
        })
        .collect()
}

/// The devices whose trouble counts, such as `loop0`. Some come about while cases run.
pub type Devices = Arc<Mutex<Vec<String>>>;

/// The kernel log from now on.
pub struct KernelLog {
    file: File,
    devices: Devices,
}

/// How lines begin that no kernel should have to write, whatever the cases do.
const BEGINNINGS: &[&str] = &["BUG:", "WARNING:", "Oops:", "INFO: task ", "INFO: rcu"];

/// What else is in such lines.
const ALARMS: &[&str] = &[
    "kernel BUG at",
    "KASAN:",
    "UBSAN:",
    "general protection fault",
    "unable to handle",
    "soft lockup",
    "blocked for more than",
    "detected stalls",
    "circular locking dependency",
    "inconsistent lock state",
    "suspicious RCU usage",
    "Kernel panic",
];

/// What file systems say of damage, on one of our devices.
const DAMAGE: &[&str] = &["orruption", "Internal error", "EXT4-fs error", "BTRFS critical", "BTRFS error"];

/// What is no damage, although btrfs calls it an error: what it counts when the storage agent of a case has written, which
/// does not go through the checksums, and why BTRFS_IOC_DEV_REPLACE failed, which its caller gets too.
const NO_DAMAGE: &[&str] = &["errs: wr 0, rd 0, flush 0, corrupt", "btrfs_scrub_dev("];

impl KernelLog {
    /// Opens it at its end.
    pub fn open(devices: Devices) -> std::io::Result<Self> {
        let mut file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, devices })
    }

    /// The alarming lines since the last time.
    fn alarms(&mut self) -> Vec<String> {
        let (mut lines, mut record) = (Vec::new(), vec![0; 8192]);
        loop {
            match self.file.read(&mut record).map_err(|error| error.raw_os_error().map(Errno::from_raw)) {
                Ok(0) => return lines,
                Ok(len) => lines.extend(alarm(&String::from_utf8_lossy(&record[..len]), &locked(&self.devices))),
                // Records that nobody read were overwritten.
                Err(Some(Errno::EPIPE)) => (),
                Err(_) => return lines,
            }
        }
    }
}

/// Whether a line, without its time, is one that no kernel should have to write.
pub(crate) fn is_alarming(text: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) || ALARMS.iter().any(|alarm| text.contains(alarm))
}

/// The text of a record `priority,number,time,flags;text`, if it is alarming.
fn alarm(record: &str, devices: &[String]) -> Option<String> {
    let text = record.split_once(';')?.1.lines().next()?;
    let of_ours = |device: &String| text.contains(&format!("({device})")) || text.contains(&format!("device {device}"));
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let damage = || has(DAMAGE) && !has(NO_DAMAGE);
    let alarming = is_alarming(text) || damage() && devices.iter().any(of_ours);
    alarming.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use std::sync::Barrier;

    /// One case keeps its turn until the second has been told to wait for it, and longer.
    #[test]
    fn waiting_for_a_turn_is_not_the_time_of_a_case() {
        const HELD: Duration = Duration::from_millis(200);
        let guard = Guard::new(TIMEOUT, None);
        let case = cases::all().find(|case| case.lane == Lane::Alone).unwrap();
        let begun = Arc::new(Barrier::new(2));
        let hold = {
            let begun = begun.clone();
            move || {
                begun.wait();
                let start = Instant::now();
                while start.elapsed() < HELD {
                    std::thread::yield_now();
                }
            }
        };
        std::thread::scope(|scope| {
            let holder = scope.spawn(|| guard.watch(case, hold).1);
            begun.wait();
            let waited = Instant::now();
            let (done, took) = guard.watch(case, || ());
            assert_eq!(done, Ok(()));
            assert!(took < waited.elapsed() / 2, "{took:?} of {:?}", waited.elapsed());
            assert!(holder.join().unwrap() >= HELD);
        });
    }

    #[test]
    fn alarming_lines_of_the_kernel_log() {
        let devices = ["loop3".to_owned()];
        let of = |text: &str| alarm(&format!("4,1234,5678,-;{text}\n SUBSYSTEM=block\n"), &devices);
        for text in [
            "WARNING: CPU: 1 PID: 77 at fs/xfs/xfs_inode.c:1850 xfs_inactive+0x10/0x20",
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "INFO: task fsync:812 blocked for more than 122 seconds.",
            "XFS (loop3): Metadata corruption detected at xfs_dinode_verify",
            "EXT4-fs error (device loop3): ext4_lookup:1827: inode #2: comm ls",
        ] {
            assert_eq!(of(text).as_deref(), Some(text));
        }
        for text in [
            "XFS (loop4): Metadata corruption detected",
            "XFS (loop3): Ending clean mount",
            "BTRFS error (device loop3): bdev /dev/loop3 errs: wr 0, rd 0, flush 0, corrupt 1, gen 0",
            "BTRFS error (device loop3): btrfs_scrub_dev(/dev/loop3, 1, /dev/loop2) failed -28",
        ] {
            assert_eq!(of(text), None);
        }
    }
}
