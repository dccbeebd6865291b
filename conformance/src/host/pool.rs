//! Active swap files made ahead, and deactivated behind.
//!
//! swapoff(2) waits for grace periods: about 19 ms in which nothing is done. Waiting for several at once costs no more
//! than waiting for one, so cases neither wait for an activation nor for a deactivation. Each file serves one case.

use super::areas::{Areas, Place};
use super::image::Image;
use super::sys;
use super::system::HostSystem;
use crate::case::prepare::make_written;
use crate::case::trace::{Recorder, Trace};
use crate::mechanism::Mechanism;
use crate::mechanism::SIZE;
use crate::system::Step;
use crate::system::{Ready, System};
use crate::verdict::Trouble;
use crate::words;
use iomap_reference::{Call, Caller, FLAG_APPEND, FLAG_IMMUTABLE};
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

/// How many threads make files: one fsync(2) waits for the disk.
const MAKING: usize = 3;

/// How many threads deactivate.
const RETIRING: usize = 12;

/// A file with the descriptors that it owns.
pub(crate) struct Stocked {
    pub(crate) file: Ready,
    /// How it was made.
    pub(crate) steps: Vec<Step>,
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) place: Place,
}

/// Files in the state, ready to be used.
pub(crate) struct Pool {
    ready: Mutex<Receiver<Result<Stocked, Trouble>>>,
    makers: Vec<JoinHandle<()>>,
    ended: Arc<AtomicBool>,
    retirement: Arc<Retirement>,
}

impl Pool {
    /// Starts making files on a file system.
    pub(crate) fn new(image: &Arc<Image>, retirement: &Arc<Retirement>) -> io::Result<Self> {
        let (sender, receiver) = sync_channel(MAKING);
        let ended = Arc::new(AtomicBool::new(false));
        let makers = (0..MAKING).map(|number| {
            let maker = Maker {
                directory: format!("ready-{number}"),
                image: image.clone(),
                retirement: retirement.clone(),
                sender: sender.clone(),
                ended: ended.clone(),
            };
            std::thread::Builder::new().spawn(move || maker.run())
        });
        let makers = makers.collect::<io::Result<_>>()?;
        Ok(Self { ready: Mutex::new(receiver), makers, ended, retirement: retirement.clone() })
    }

    /// The next file.
    pub(crate) fn take(&self) -> Result<Stocked, Trouble> {
        let ended = |_| Err(Trouble::Setup("the pool of swap files has ended".into()));
        locked(&self.ready).recv().unwrap_or_else(ended)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // The makers end one by one; what they made and nobody took is active all the same.
        while let Ok(made) = locked(&self.ready).recv() {
            made.into_iter().for_each(|Stocked { descriptors, place, .. }| self.retirement.send(descriptors, place));
        }
        for maker in self.makers.drain(..) {
            let _ = maker.join();
        }
    }
}

struct Maker {
    directory: String,
    image: Arc<Image>,
    retirement: Arc<Retirement>,
    sender: SyncSender<Result<Stocked, Trouble>>,
    ended: Arc<AtomicBool>,
}

impl Maker {
    fn run(self) {
        let place = self.image.root().join(&self.directory);
        if let Err(error) = std::fs::create_dir(&place) {
            let _ = self.sender.send(Err(Trouble::Setup(format!("{}: {error}", place.display()))));
            return;
        }
        let mut number = 0;
        while !self.ended.load(Ordering::Relaxed) {
            number += 1;
            let made = self.make(&place, number, self.retirement.areas().take_for_pool());
            let failed = made.is_err();
            // The pool receives until the last maker has ended.
            let _ = self.sender.send(made);
            if failed {
                return;
            }
        }
    }

    fn make(&self, directory: &Path, number: usize, place: Place) -> Result<Stocked, Trouble> {
        let system = HostSystem::new(directory.into(), &self.image, None, &self.retirement, None, Arc::default());
        let trace = Trace::default();
        let recorder = Recorder::new(&system, trace.clone());
        // The directory of a case lies beside this one, so that the name is good in both.
        let name = format!("../{}/{number}", self.directory);
        let file = make_written(&recorder, Mechanism::Swapfile, &name, SIZE)?;
        let call = Call::Swapon { fd: file.fd };
        let outcome = recorder.call(Caller::Privileged, &call);
        outcome.map_err(|errno| Trouble::Setup(format!("{call}: {}", words::name(errno))))?;
        Ok(Stocked { descriptors: system.release(&file), file, steps: trace.steps().0, place })
    }
}

/// Takes files out of the state, several at once, and counts those that are in it.
pub(crate) struct Retirement {
    areas: Arc<Areas>,
    queue: Option<Sender<(Vec<OwnedFd>, Place)>>,
    threads: Vec<JoinHandle<()>>,
}

impl Retirement {
    /// Starts the threads.
    pub(crate) fn new(areas: Arc<Areas>) -> io::Result<Self> {
        let (sender, receiver) = channel::<(Vec<OwnedFd>, Place)>();
        let receiver = Arc::new(Mutex::new(receiver));
        let thread = |_| {
            let receiver = receiver.clone();
            std::thread::Builder::new().spawn(move || {
                // The lock is held while waiting for a file, not while deactivating it.
                while let Ok((descriptors, place)) = { locked(&receiver).recv() } {
                    deactivate(&descriptors);
                    drop(place);
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
            let _ = queue.send((descriptors, place));
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

/// swapoff(2) opens the file for writing, which the attributes forbid: they go first.
pub(crate) fn deactivate(descriptors: &[OwnedFd]) {
    if let Some(file) = descriptors.first() {
        let _ = sys::change_flags(file, 0, FLAG_IMMUTABLE | FLAG_APPEND);
        let _ = sys::swapoff(&sys::proc_path(file));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
