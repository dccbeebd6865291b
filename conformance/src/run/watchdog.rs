//! The watchdog of a run: it abandons cases that do not end, and collects the alarms of the kernel log.

use crate::kernel_log::KernelLog;
use crate::programs;
use crate::system::Lane;
use iomap_results::LogLine;
use nix::unistd::gettid;
use std::cell::RefCell;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time between killing a case's programs and abandoning the case. In this time the case can still name the killed
/// program.
const GRACE: Duration = Duration::from_secs(1);

/// The number of abandoned cases after which no more are started: each further case would probably wait for its
/// timeout.
const ABANDONED: usize = 8;

/// The watchdog of a run.
pub struct Guard {
    timeout: Duration,
    /// A lock for each lane of [`Lane::IN_TURN`]. It contains the name of a case that has the lane and does not end.
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

/// The value in a mutex, also after the panic of another thread.
pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread that runs cases one after the other: a new thread for each costs more than most cases on the reference.
struct Worker {
    jobs: Sender<Job>,
    /// Its number in the kernel.
    task: i32,
}

type Job = Box<dyn FnOnce() + Send>;

thread_local! {
    /// The worker of this thread, while no case runs on it. A worker whose case does not end is left alone.
    static WORKER: RefCell<Option<Worker>> = const { RefCell::new(None) };
}

impl Worker {
    /// The worker of this thread, or a new one.
    fn of_this_thread() -> io::Result<Self> {
        WORKER.take().map_or_else(Self::start, Ok)
    }

    fn start() -> io::Result<Self> {
        let (jobs, queue) = channel::<Job>();
        let (about, task) = channel();
        // The threads that a case starts inherit the name, and are found by it.
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("cases {}", STARTED.fetch_add(1, Ordering::Relaxed));
        std::thread::Builder::new().name(name).spawn(move || {
            let _ = about.send(gettid().as_raw());
            queue.into_iter().for_each(|job| job());
        })?;
        Ok(Self { jobs, task: task.recv().unwrap_or_default() })
    }
}

impl Guard {
    /// A watchdog that gives each case this time, and reads the kernel log if there is one.
    pub fn new(timeout: Duration, log: Option<KernelLog>) -> Self {
        Self { timeout, turns: Default::default(), state: Mutex::new(State { log, ..State::default() }) }
    }

    /// Runs a case on another thread, and measures its time. A case that does not end is abandoned, with the reason.
    pub(crate) fn watch<T: Send + 'static>(
        &self,
        (name, lane): (&str, Lane),
        work: impl FnOnce() -> T + Send + 'static,
    ) -> (Result<T, String>, Duration) {
        // The time of waiting for other cases does not count.
        let lane = Lane::IN_TURN.iter().position(|turn| *turn == lane);
        let mut turn = lane.map(|lane| locked(&self.turns[lane]));
        if let Some(holder) = turn.as_ref().and_then(|holder| holder.as_ref()) {
            let why = format!("{holder} has the file system to itself and does not end");
            return (Err(why), Duration::ZERO);
        }
        if locked(&self.state).abandoned >= ABANDONED {
            return (Err(format!("not run: {ABANDONED} cases before it did not end")), Duration::ZERO);
        }
        let start = Instant::now();
        let name = name.to_owned();
        locked(&self.state).running.push(name.clone());
        let (sender, receiver) = channel();
        let timeout = self.timeout;
        let job = move || {
            programs::set_deadline(timeout);
            let done = work();
            // If a program was killed, the case did not do its work, whatever it returned.
            let _ = sender.send(programs::cut_short().map_or(Ok(done), Err));
        };
        let outcome = match Worker::of_this_thread() {
            Err(error) => Err(format!("no thread for the case: {error}")),
            Ok(worker) => {
                // If the worker has ended, the receiver says so.
                let _ = worker.jobs.send(Box::new(job));
                let received = receiver.recv_timeout(self.timeout + GRACE);
                match received {
                    Ok(done) => {
                        WORKER.set(Some(worker));
                        done
                    }
                    Err(RecvTimeoutError::Disconnected) => Err("the case panicked".into()),
                    Err(RecvTimeoutError::Timeout) => {
                        locked(&self.state).abandoned += 1;
                        if let Some(turn) = &mut turn {
                            **turn = Some(name.clone());
                        }
                        let (seconds, stacks) = (self.timeout.as_secs(), stacks(worker.task));
                        Err(format!("it does not end: abandoned after {seconds} s{stacks}"))
                    }
                }
            }
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

    /// The alarming lines of the kernel log, with the cases that ran at that time.
    pub fn alarms(&self) -> Vec<LogLine> {
        self.ended("");
        std::mem::take(&mut locked(&self.state).alarms)
    }
}

/// The kernel stacks of a worker and of the threads that its case has started.
fn stacks(task: i32) -> String {
    let read = |task: &str, file: &str| {
        let text = std::fs::read_to_string(format!("/proc/self/task/{task}/{file}"));
        text.map_or_else(|error| format!("({error})"), |text| text.trim_end().to_owned())
    };
    // A new thread inherits the name of its parent.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use std::sync::{Arc, Barrier};

    /// One case keeps the lane until the second case waits for it, and longer.
    #[test]
    fn waiting_for_a_turn_is_not_the_time_of_a_case() {
        const HELD: Duration = Duration::from_millis(200);
        let guard = Guard::new(programs::TIMEOUT, None);
        let case = cases::list::all().find(|case| case.lane == Lane::Alone).unwrap();
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
            let holder = scope.spawn(|| guard.watch((&case.full_name(), case.lane), hold).1);
            begun.wait();
            let waited = Instant::now();
            let (done, took) = guard.watch((&case.full_name(), case.lane), || ());
            assert_eq!(done, Ok(()));
            assert!(took < waited.elapsed() / 2, "{took:?} of {:?}", waited.elapsed());
            assert!(holder.join().unwrap() >= HELD);
        });
    }
}
