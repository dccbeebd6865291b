//! One run of cases on a target, with a bar on a terminal.

use crate::filesystem::FsKind;
use crate::host::sandbox::Sandbox;
use crate::kernel;
use crate::kernel_log::KernelLog;
use crate::mechanism::Mechanism;
use crate::results::Results;
use crate::run::expectations::Expectations;
use crate::run::plan::Run;
use crate::run::trials::{self, Event, Progress, Subject};
use crate::run::watchdog::Guard;
use crate::system::Target;
use crate::target;
use iomap_command::{Error, Exit, bar, can_pass, passing, tell_line};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::time::{Duration, Instant};

/// Cases on kernels wait for disks and for grace periods, so more of them run than there are processors.
pub(crate) const HOST_THREADS: usize = 8;

pub(crate) const REFERENCE_THREADS: usize = 2;

/// The runs to make, and how to make them.
pub(crate) struct Chosen<'a> {
    pub(crate) runs: &'a [Run],
    /// The number of cases that run at the same time, if the user gave it.
    pub(crate) threads: Option<usize>,
    pub(crate) timeout: Duration,
}

pub(crate) fn host_run(
    sandbox: &Sandbox,
    fs: FsKind,
    mechanism: Mechanism,
    chosen: &Chosen,
) -> Result<(Results, Duration), Error> {
    let target = target::of_kernel(sandbox, fs, mechanism).map_err(|error| Error::of(Exit::Environment, error))?;
    let expectations = expected(&[mechanism.name()], fs.name())?;
    let subject = Subject { target: "host", mechanism, fs: fs.name() };
    Ok(one_run(&target, &subject, chosen, HOST_THREADS, &expectations))
}

pub(crate) fn expected(names: &[&str], fs: &str) -> Result<Expectations, Error> {
    Expectations::of(names, fs, &kernel::release())
}

/// The message is printed once, for any number of runs.
static UNREADABLE: Once = Once::new();

pub(crate) fn one_run(
    target: &Arc<dyn Target>,
    subject: &Subject,
    chosen: &Chosen,
    threads: usize,
    expectations: &Expectations,
) -> (Results, Duration) {
    let begin = Instant::now();
    let log = target.devices().and_then(|devices| match KernelLog::open(devices) {
        Ok(log) => Some(log),
        Err(error) => {
            UNREADABLE.call_once(|| {
                tell_line(format_args!("iomap-conformance: the kernel log is not watched: /dev/kmsg: {error}"))
            });
            None
        }
    });
    let guard = Arc::new(Guard::new(chosen.timeout, log));
    let progress = progress(&format!("{}/{}", subject.fs, subject.mechanism.name()), chosen.runs.len());
    let runs = (chosen.runs, chosen.threads.unwrap_or(threads));
    let results = trials::run(target, subject, runs, expectations, &guard, &progress);
    passing("");
    (results, begin.elapsed())
}

pub(crate) fn sandbox(kinds: &[FsKind]) -> Result<Sandbox, Error> {
    // All missing programs are named in one line, so that the user installs packages once.
    let mut missing: Vec<String> = kinds.iter().filter_map(|kind| target::host::missing(*kind)).collect();
    missing.dedup();
    if !missing.is_empty() {
        return Err(Error::environment(missing.join("; ")));
    }
    Sandbox::enter().map_err(|error| Error::of(Exit::Environment, error))
}

/// A bar on a terminal that shows the progress of the run. Without a terminal, no bar.
fn progress(label: &str, total: usize) -> Progress {
    if !can_pass() {
        return Arc::new(|_| ());
    }
    let (label, done) = (label.to_owned(), AtomicUsize::new(0));
    let shown = Mutex::new(Instant::now());
    Arc::new(move |event: Event| {
        let Event::Ended(name) = event else { return };
        let number = done.fetch_add(1, Ordering::Relaxed) + 1;
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.elapsed() > Duration::from_millis(50) {
            *shown = Instant::now();
            passing(&bar(&label, number, total, name));
        }
    })
}
