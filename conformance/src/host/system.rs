//! The calls of a case, made to this kernel, in a directory of the case.

use super::calls::{Calls, Transport};
use super::image::Image;
use super::pool::{Pool, Retirement, Stocked, deactivate};
use super::sys;
use super::{FsKind, admin, agent};
use crate::context::{Ready, StorageAgent, System};
use crate::mechanism::Mechanism;
use crate::verdict::Trouble;
use iomap_reference::{Call, Caller, FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, Fd, Mode, Outcome};
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use nix::unistd;
use std::cell::RefCell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

static ACTIVATION: Mutex<()> = Mutex::new(());

/// A directory on a mounted file system, with what a case has open there.
pub(super) struct HostSystem<'a> {
    calls: Calls,
    directory: PathBuf,
    root: PathBuf,
    kind: FsKind,
    backing: Arc<File>,
    pool: Option<&'a Pool>,
    retirement: &'a Retirement,
    /// Held while the case has the file system to itself.
    alone: Option<MutexGuard<'a, Image>>,
    /// The files that came from the pool: their places in it are free again when they retire.
    pooled: RefCell<Vec<Fd>>,
}

impl<'a> HostSystem<'a> {
    pub(super) fn new(
        directory: PathBuf,
        root: PathBuf,
        kind: FsKind,
        backing: Arc<File>,
        pool: Option<&'a Pool>,
        retirement: &'a Retirement,
        alone: Option<MutexGuard<'a, Image>>,
    ) -> Self {
        let calls = Calls::new(directory.clone(), root.clone(), Transport::Kernel);
        Self { calls, directory, root, kind, backing, pool, retirement, alone, pooled: RefCell::default() }
    }

    /// Gives the descriptors of a file away.
    pub(super) fn release(&self, file: &Ready) -> Vec<std::os::fd::OwnedFd> {
        self.calls.release(file)
    }
}

impl System for HostSystem<'_> {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        // btrfs answers EBUSY while it activates another file: that must not reach a case from its neighbours.
        let one_by_one = self.kind == FsKind::Btrfs && matches!(call, Call::Swapon { .. });
        let _lock = one_by_one.then(|| ACTIVATION.lock().unwrap_or_else(PoisonError::into_inner));
        let place = admin::Place { calls: &self.calls, root: &self.root, directory: &self.directory };
        admin::perform(self.kind, &place, call).unwrap_or_else(|| self.calls.call(caller, call))
    }

    fn reach(&self, call: &Call) -> Result<(), Trouble> {
        let why = match call {
            Call::Fallocate { mode, .. } if mode.contains(Mode::WRITE_ZEROES) => {
                "the suite never passes FALLOC_FL_WRITE_ZEROES to a kernel: where it works, it wipes data".into()
            }
            Call::ChangeFlags { set, .. } if set & FLAG_COMPRESS != 0 && self.kind == FsKind::Ext4 => {
                return Err(Trouble::NotOffered("ext4 has the flag for compression, and no compression".into()));
            }
            Call::Shrink { .. } => format!("{call}: the suite does not make this call on kernels yet"),
            Call::Cycle | Call::PowerLoss { .. } => {
                format!("{call}: the suite does not take kernels through this yet")
            }
            _ => return admin::offered(self.kind, call),
        };
        Err(Trouble::NotReachable(why))
    }

    fn tick(&self, time: i128) {
        if self.kind.has_fine_times() {
            return;
        }
        let deadline = Instant::now() + self.patience();
        while coarse_clock() <= time && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    fn race(&self, one: &Call, other: &Call) -> Result<(Outcome, Outcome), Trouble> {
        self.calls.race(one, other)
    }

    fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
        let agent =
            self.calls.with(fd, |file| Ok(agent::BackingAgent::new(file, self.kind, &self.root, self.backing.clone())));
        let agent = agent.map_err(|_| Trouble::Setup("the file is not open".into()))??;
        Ok(Box::new(agent))
    }

    fn ready(&self) -> Option<Ready> {
        // If the pool fails, the case makes its own file and so finds out why.
        let Stocked { file, descriptors } = self.pool?.take().ok()?;
        self.pooled.borrow_mut().push(file.fd);
        descriptors.into_iter().for_each(|fd| {
            self.calls.keep(fd);
        });
        Some(file)
    }

    fn retire(&self, mechanism: Mechanism, file: Ready) {
        let descriptors = self.release(&file);
        match mechanism {
            Mechanism::Swapfile if self.pooled.borrow().contains(&file.fd) => {
                self.retirement.send(Stocked { file, descriptors });
            }
            Mechanism::Swapfile => deactivate(&descriptors),
            Mechanism::ImmutableAttr | Mechanism::Seal | Mechanism::F2fsPin => {
                if let Some(file) = descriptors.first() {
                    let _ = sys::change_flags(file, 0, FLAG_IMMUTABLE | FLAG_APPEND);
                }
            }
        }
    }
}

/// The clock that the kernel takes times of files from, in nanoseconds. It goes on with each interrupt of the timer.
fn coarse_clock() -> i128 {
    // The clock is there since Linux 2.6.32.
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(i128::MAX, |now| i128::from(now.num_nanoseconds()))
}

impl Drop for HostSystem<'_> {
    fn drop(&mut self) {
        self.calls.clear();
        if self.alone.is_some() {
            // The next case wants the space, which btrfs gives back when it commits.
            let _ = std::fs::remove_dir_all(&self.directory);
            let _ = File::open(&self.root).map(unistd::syncfs);
        }
    }
}
