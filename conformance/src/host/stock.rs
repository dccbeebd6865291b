//! Swap files that are activated before a case needs one, and the deactivation of those that cases have used.
//!
//! swapoff(2) waits for grace periods: about 19 ms in which the thread is idle. Waiting for several at once costs no
//! more than waiting for one, so cases wait neither for an activation nor for a deactivation. Each file serves one
//! case.

use super::areas::{Areas, Place};
use super::sys::{swap, vfs};
use crate::system::{Ready, Step};
use crate::verdict::Trouble;
use iomap_reference::{FLAG_APPEND, FLAG_IMMUTABLE};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The number of threads that deactivate files.
const RETIRING: usize = 12;

/// The time after which a directory with an active file stays. A deactivation takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(1);

/// A file with the descriptors that it owns.
pub(crate) struct Stocked {
    pub(crate) file: Ready,
    /// The steps that made the file.
    pub(crate) steps: Vec<Step>,
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) place: Place,
}

/// Files in the state, ready for cases.
pub(crate) struct Stock(Mutex<Receiver<Result<Stocked, Trouble>>>);

impl Stock {
    /// A stock that receives these files.
    pub(crate) fn new(files: Receiver<Result<Stocked, Trouble>>) -> Self {
        Self(Mutex::new(files))
    }

    /// The next file.
    pub(crate) fn take(&self) -> Result<Stocked, Trouble> {
        self.next().unwrap_or_else(|| Err(Trouble::Setup("the pool of swap files has ended".into())))
    }

    /// The next file, or `None` after the last maker has ended.
    pub(crate) fn next(&self) -> Option<Result<Stocked, Trouble>> {
        locked(&self.0).recv().ok()
    }
}

/// The work that is left of a case.
enum Rest {
    /// An active file.
    File(Vec<OwnedFd>, Place),
    /// A directory with files that were active at the end of the case: they cannot be removed before.
    Directory(PathBuf),
}

/// Threads that take files out of the state, several at once, and the places for active files.
pub(crate) struct Retirement {
    areas: Arc<Areas>,
    queue: Option<Sender<Rest>>,
    threads: Vec<JoinHandle<()>>,
}

impl Retirement {
    /// Starts the threads.
    pub(crate) fn new(areas: Arc<Areas>) -> io::Result<Self> {
        let (sender, receiver) = channel::<Rest>();
        let receiver = Arc::new(Mutex::new(receiver));
        let thread = |_| {
            let receiver = receiver.clone();
            std::thread::Builder::new().spawn(move || {
                // The thread holds the lock while it waits for a file, not while it deactivates the file.
                while let Ok(rest) = { locked(&receiver).recv() } {
                    match rest {
                        Rest::File(descriptors, place) => {
                            deactivate(&descriptors);
                            drop(place);
                        }
                        Rest::Directory(path) => remove_patiently(&path),
                    }
                }
            })
        };
        let threads = (0..RETIRING).map(thread).collect::<io::Result<_>>()?;
        Ok(Self { areas, queue: Some(sender), threads })
    }

    /// The places for active swap files.
    pub(crate) fn areas(&self) -> &Arc<Areas> {
        &self.areas
    }

    /// Deactivates a file later, and gives its place back.
    pub(crate) fn send(&self, descriptors: Vec<OwnedFd>, place: Place) {
        if let Some(queue) = &self.queue {
            // The threads live as long as the queue.
            let _ = queue.send(Rest::File(descriptors, place));
        }
    }

    /// Removes a directory when none of its files is active any more.
    pub(crate) fn remove(&self, directory: PathBuf) {
        if let Some(queue) = &self.queue {
            let _ = queue.send(Rest::Directory(directory));
        }
    }
}

impl Drop for Retirement {
    fn drop(&mut self) {
        drop(self.queue.take());
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Deactivates a file. swapoff(2) opens the file for writing, which the attributes forbid, so they are removed first.
pub(crate) fn deactivate(descriptors: &[OwnedFd]) {
    if let Some(file) = descriptors.first() {
        let _ = vfs::change_flags(file, 0, FLAG_IMMUTABLE | FLAG_APPEND);
        let _ = swap::swapoff(&vfs::proc_path(file));
    }
}

/// Removes a directory, as soon as another thread has deactivated its files.
fn remove_patiently(path: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while std::fs::remove_dir_all(path).is_err() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
