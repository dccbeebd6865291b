//! The calls of a case, made to this kernel, in a directory of the case.

use super::activation::activation;
use super::areas::Places;
use super::calls::{Calls, spin, unless_busy};
use super::image::Image;
use super::sealing::Sealing;
use super::stock::{Retirement, Stock, Stocked, deactivate};
use super::sys::vfs;
use super::{admin, agent, guardian, proc};
use crate::filesystem::FsKind;
use crate::kernel;
use crate::lack::Lacking;
use crate::mechanism::Mechanism;
use crate::programs;
use crate::reach::{Kind, Site};
use crate::system::Step;
use crate::system::{Outcomes, Ready, StorageAgent, System};
use crate::verdict::Trouble;
use iomap_reference::{Call, Caller, FLAG_APPEND, FLAG_IMMUTABLE, Fd, Outcome, Reply};
use nix::errno::Errno;
use nix::sys::time::TimeValLike;
use nix::time::{ClockId, clock_gettime};
use nix::unistd;
use std::cell::Cell;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

/// A directory on a mounted file system, with what a case has open there.
pub(crate) struct HostSystem<'a> {
    calls: Calls,
    directory: PathBuf,
    image: &'a Image,
    stock: Option<&'a Stock>,
    retirement: &'a Retirement,
    /// Held while the case has the file system to itself.
    turn: Option<MutexGuard<'a, ()>>,
    places: Places,
    /// How often the power was lost.
    losses: Cell<u32>,
    /// The file system may have become smaller.
    resized: Cell<bool>,
    /// A call found the file system full.
    filled: Cell<bool>,
}

impl<'a> HostSystem<'a> {
    pub(crate) fn new(
        directory: PathBuf,
        image: &'a Image,
        stock: Option<&'a Stock>,
        retirement: &'a Retirement,
        turn: Option<MutexGuard<'a, ()>>,
        (kind, sealing): (Kind, Arc<Sealing>),
    ) -> Self {
        let site = Site { alone: turn.is_some(), sealing, ..Site::new(kind, Some(image.kind()), directory.clone()) };
        let calls = Calls::new(site, image.root().into());
        let (places, losses, resized, filled) = Default::default();
        Self { calls, directory, image, stock, retirement, turn, places, losses, resized, filled }
    }

    /// Gives the descriptors of a file away.
    pub(crate) fn release(&self, file: &Ready) -> Vec<std::os::fd::OwnedFd> {
        self.calls.release(file)
    }
}

impl HostSystem<'_> {
    fn administer(&self, call: &Call) -> Option<Outcome> {
        let (root, directory) = (self.image.root(), &*self.directory);
        let place = admin::Place { held: &self.calls, root, directory, image: Some(self.image) };
        admin::perform(self.image.kind(), &place, call)
    }

    /// The power goes, and with it all descriptors and mappings.
    fn lose_power(&self, during: Option<&Call>, first: Option<&Call>) -> Outcome {
        let returned = Cell::new(Ok(Reply::Number(0)));
        let count = self.losses.replace(self.losses.get() + 1);
        let at_a_moment = |act: &dyn Fn() -> Result<Loss, Errno>| match during {
            None => act(),
            Some(call) => {
                let later = || {
                    match first {
                        Some(call) => returned.set(self.calls.call(Caller::Privileged, call)),
                        // A later moment from time to time: it is what is tested.
                        None => spin(Duration::from_micros(20) * count),
                    }
                    act()
                };
                // Nobody learns what the call returned.
                self.calls
                    .while_making(Duration::ZERO, std::slice::from_ref(call), later)
                    .map_or(Err(Errno::EIO), |(loss, _)| loss)
            }
        };
        // Either way in turn, where there are two.
        let stop = match self.image.can_be_copied() {
            true => count % 2 == 1 && during.is_some_and(|call| self.can_be_stopped(call)),
            // In a guest, which no swap file outlives.
            false => true,
        };
        let loss = if stop {
            at_a_moment(&|| vfs::shut_down(&File::open(self.image.root()).map_err(vfs::errno)?).map(|()| Loss::Stopped))
        } else {
            at_a_moment(&|| self.image.copy().map(Loss::Copied))
        }?;
        // A copy has no active swap file, but this kernel has, and wants it back before the file system goes.
        guardian::deactivate_below(self.image.root());
        self.calls.clear();
        match loss {
            Loss::Copied(copy) => self.image.continue_with(copy),
            Loss::Stopped => self.image.cycle(),
        }?;
        returned.into_inner()
    }

    /// Whether FS_IOC_SHUTDOWN may be used during a call. With an active swap file it must not: the file cannot be
    /// opened any more, and stays active for ever.
    fn can_be_stopped(&self, call: &Call) -> bool {
        self.image.kind().facts().shuts_down
            && !matches!(call, Call::Swapon { .. } | Call::Swapoff { .. })
            && proc::active_below(self.image.root()).is_empty()
    }
}

/// What a loss of power left.
enum Loss {
    /// A copy of what the storage had.
    Copied(File),
    /// The storage itself: the file system was shut down in the middle, and its log not written.
    Stopped,
}

impl System for HostSystem<'_> {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        let _turn = activation(self.image.kind(), call);
        let done = |outcome: Result<(), Errno>| outcome.map(|()| Reply::Number(0));
        if matches!(call, Call::Swapon { .. }) {
            // The clones of the file that were removed are no reason to refuse it.
            programs::settle();
        }
        let outcome = match call {
            Call::Remount { .. } => unless_busy(self.patience(), || self.calls.call(caller, call)),
            Call::Cycle if !self.calls.is_clear() => Err(Errno::EBUSY),
            Call::Cycle => done(self.image.cycle()),
            Call::PowerLoss { during } => self.lose_power(during.as_deref(), None),
            Call::PowerLossAfter { begun, call } => self.lose_power(Some(begun), Some(call)),
            Call::SetQuota { uid, bytes } => done(self.image.limit(*uid, *bytes)),
            Call::Shrink { .. } => {
                self.resized.set(true);
                self.administer(call).unwrap_or(Err(Errno::ENOSYS))
            }
            _ => self.administer(call).unwrap_or_else(|| self.calls.call(caller, call)),
        };
        if outcome == Err(Errno::ENOSPC) {
            self.filled.set(true);
        }
        outcome
    }

    fn reach(&self, call: &Call) -> Result<(), Trouble> {
        self.calls.site().ask(call)?;
        self.places.make(self.retirement.areas(), call)
    }

    fn lacking(&self, caller: Caller, call: &Call, errno: Errno) -> Option<Lacking> {
        self.image.machine().behind(caller, call, errno)
    }

    fn tick(&self, time: i128) {
        if has_fine_times(self.image.kind()) {
            return;
        }
        let deadline = Instant::now() + self.patience();
        while coarse_clock() <= time && Instant::now() < deadline {
            std::thread::yield_now();
        }
    }

    fn race(&self, one: &[Call], other: &[Call]) -> Result<Outcomes, Trouble> {
        let _turn = one.iter().chain(other).find_map(|call| activation(self.image.kind(), call));
        self.calls.race(one, other)
    }

    fn agent(&self, fd: Fd) -> Result<Box<dyn StorageAgent>, Trouble> {
        let (kind, root, backing) = (self.image.kind(), self.image.root(), self.image.backing());
        let agent = self.calls.with(fd, |file| Ok(agent::BackingAgent::new(file, kind, root, backing)));
        let agent = agent.map_err(|_| Trouble::Setup("the file is not open".into()))??;
        Ok(Box::new(agent))
    }

    fn ready(&self) -> Option<(Ready, Vec<Step>)> {
        // If the stock fails, the case makes its own file and so finds out why.
        let Stocked { file, steps, descriptors, place } = self.stock?.take().ok()?;
        self.places.add(file.fd, place);
        descriptors.into_iter().for_each(|fd| {
            self.calls.keep(fd);
        });
        Some((file, steps))
    }

    fn retire(&self, mechanism: Mechanism, file: Ready) {
        let descriptors = self.release(&file);
        match (mechanism, self.places.remove(file.fd), descriptors.first()) {
            // Where the file system goes away or its blocks are counted, no work is left for later.
            (Mechanism::Swapfile, Some(place), _) if self.turn.is_none() => self.retirement.send(descriptors, place),
            (Mechanism::Swapfile, ..) => deactivate(&descriptors),
            (_, _, Some(file)) => drop(vfs::change_flags(file, 0, FLAG_IMMUTABLE | FLAG_APPEND)),
            (_, _, None) => (),
        }
    }
}

/// Whether changes close to each other get different times on this kernel.
fn has_fine_times(fs: FsKind) -> bool {
    let this = kernel::version(&kernel::release());
    fs.facts().fine_times.is_some_and(|since| this.is_some_and(|this| this >= since))
}

/// The clock that the kernel takes times of files from, in nanoseconds. It goes on with each interrupt of the timer.
fn coarse_clock() -> i128 {
    // The clock is there since Linux 2.6.32.
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(i128::MAX, |now| i128::from(now.num_nanoseconds()))
}

impl Drop for HostSystem<'_> {
    fn drop(&mut self) {
        self.calls.clear();
        if self.turn.is_some() {
            if self.resized.get() {
                let _ = self.administer(&Call::Shrink { size: self.image.kind().facts().size as i64 });
            }
            let _ = std::fs::remove_dir_all(&self.directory);
            // The next case wants the space. File systems give it back in the background (xfs_inodegc_worker,
            // btrfs_delete_unused_bgs), and refuse writes with ENOSPC until then; unmounting waits for the end of that.
            if !self.filled.get() || self.image.cycle().is_err() {
                let _ = File::open(self.image.root()).map(unistd::syncfs);
            }
        }
    }
}
