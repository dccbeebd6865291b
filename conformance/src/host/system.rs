//! The calls of a case on this kernel, in a directory of the case.

use super::activation::activation;
use super::areas::Places;
use super::calls::{Calls, spin, unless_busy};
use super::image::Image;
use super::sealing::Sealing;
use super::stock::{Retirement, Stock, Stocked, deactivate};
use super::sys::{process, vfs};
use super::{admin, agent, guardian, proc};
use crate::filesystem::FsKind;
use crate::kernel;
use crate::lack::Lacking;
use crate::mechanism::Mechanism;
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

/// A directory on a mounted file system, with the files that a case has open there.
pub(crate) struct HostSystem<'a> {
    calls: Calls,
    directory: PathBuf,
    image: &'a Image,
    stock: Option<&'a Stock>,
    retirement: &'a Retirement,
    /// Held while the case has the file system to itself.
    turn: Option<MutexGuard<'a, ()>>,
    places: Places,
    /// The number of times that the power was lost.
    losses: Cell<u32>,
    /// The file system may have become smaller.
    resized: Cell<bool>,
    /// A call found the file system full.
    cycles: Cell<bool>,
    /// Whether the directory ends with this value.
    ends: bool,
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
        let (places, losses, resized, cycles) = Default::default();
        Self { calls, directory, image, stock, retirement, turn, places, losses, resized, cycles, ends: false }
    }

    /// The same, with a directory that only one case uses.
    pub(crate) fn of_a_case(mut self) -> Self {
        self.ends = true;
        self
    }

    /// The same, with its directory shown here by a file system above.
    pub(crate) fn shown_at(mut self, above: PathBuf) -> Self {
        self.calls.show_at(above);
        self
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

    /// Loses the power, and with it all descriptors and mappings.
    fn lose_power(&self, during: Option<&Call>, first: Option<&Call>) -> Outcome {
        let returned = Cell::new(Ok(Reply::Number(0)));
        let count = self.losses.replace(self.losses.get() + 1);
        let at_a_moment = |act: &dyn Fn() -> Result<Loss, Errno>| match during {
            None => act(),
            Some(call) => {
                let later = || {
                    match first {
                        Some(call) => returned.set(self.calls.call(Caller::Privileged, call)),
                        // Each loss of power comes a little later in the call than the one before.
                        None => spin(Duration::from_micros(20) * count),
                    }
                    act()
                };
                // The result of the call is lost with the power.
                self.calls
                    .while_making(Duration::ZERO, std::slice::from_ref(call), later)
                    .map_or(Err(Errno::EIO), |(loss, _)| loss)
            }
        };
        // If both ways are possible, they take turns.
        let stop = match self.image.can_be_copied() {
            true => count % 2 == 1 && during.is_some_and(|call| self.can_be_stopped(call)),
            // In a guest, no swap file outlives the guest.
            false => true,
        };
        let loss = if stop {
            at_a_moment(&|| vfs::shut_down(&File::open(self.image.root()).map_err(vfs::errno)?).map(|()| Loss::Stopped))
        } else {
            at_a_moment(&|| self.image.copy().map(Loss::Copied))
        }?;
        // The copy has no active swap file, but this kernel has. Deactivate it before the file system is unmounted.
        guardian::deactivate_below(self.image.root());
        self.calls.clear();
        match loss {
            Loss::Copied(copy) => self.image.continue_with(copy),
            Loss::Stopped => self.image.cycle(),
        }?;
        returned.into_inner()
    }

    /// Whether FS_IOC_SHUTDOWN may be used during a call. It must not be used with an active swap file: the file could
    /// not be opened any more, and would stay active for ever.
    fn can_be_stopped(&self, call: &Call) -> bool {
        self.image.kind().facts().shuts_down
            && !matches!(call, Call::Swapon { .. } | Call::Swapoff { .. })
            && proc::active_below(self.image.root()).is_empty()
    }
}

/// The storage after a loss of power.
enum Loss {
    /// A copy of the storage.
    Copied(File),
    /// The storage itself: the file system was shut down in the middle, without writing its log.
    Stopped,
}

impl System for HostSystem<'_> {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        let _turn = activation(self.image.kind(), call);
        let done = |outcome: Result<(), Errno>| outcome.map(|()| Reply::Number(0));
        // A thread that gets a table of descriptors of its own has those of the others for a moment, perhaps of clones that
        // were removed. That is no reason to refuse the call.
        let is_sealing = matches!(call, Call::Fallocate { mode, .. } if mode.changes_state());
        let is_picky = is_sealing || matches!(call, Call::Swapon { .. } | Call::SetLease { .. });
        let _one_table = is_picky.then(process::one_table);
        let outcome = match call {
            Call::Remount { .. } => unless_busy(self.patience(), || self.calls.call(caller, call)),
            Call::Cycle | Call::CycleWith { .. } if !self.calls.is_closed() => Err(Errno::EBUSY),
            Call::Cycle => done(self.image.cycle()),
            Call::CycleWith { option } => {
                // The next case wants the usual options.
                self.cycles.set(true);
                done(self.image.cycle_with(option))
            }
            Call::PowerLoss { during } => self.lose_power(during.as_deref(), None),
            Call::PowerLossAfter { begun, call } => self.lose_power(Some(begun), Some(call)),
            Call::SetQuota { uid, bytes } => done(self.image.limit(*uid, *bytes)),
            Call::Shrink { .. } => {
                self.resized.set(true);
                self.administer(call).unwrap_or(Err(Errno::ENOSYS))
            }
            _ => self.administer(call).unwrap_or_else(|| self.calls.call(caller, call)),
        };
        match (call, &outcome) {
            (_, Err(Errno::ENOSPC)) => self.cycles.set(true),
            // A case may activate many files, one after the other.
            (Call::Swapoff { fd }, Ok(_)) => self.places.leave(*fd),
            _ => (),
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

    fn shows_access_times(&self) -> bool {
        !matches!(self.image.kind().family(), FsKind::Nfs | FsKind::Overlay)
    }

    fn writes_registered_pages(&self) -> bool {
        true
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

    fn call_beside_registrations(&self, call: &Call, within: Duration) -> Outcome {
        self.calls.unless_waiting(within, || self.call(Caller::Privileged, call))
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
        // If the stock fails, the case makes its own file and so finds the reason.
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
            // The case has closed all of its descriptors.
            (Mechanism::Swapfile, _, None) => guardian::deactivate_below(&self.directory),
            // A case that has the file system to itself may unmount it or count its blocks, so no work is left for
            // later.
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

/// The clock from which the kernel takes the times of files, in nanoseconds. It advances with each interrupt of the
/// timer.
fn coarse_clock() -> i128 {
    // The clock is there since Linux 2.6.32.
    clock_gettime(ClockId::CLOCK_REALTIME_COARSE).map_or(i128::MAX, |now| i128::from(now.num_nanoseconds()))
}

impl Drop for HostSystem<'_> {
    fn drop(&mut self) {
        self.calls.clear();
        // A case that ended early, or whose swapon(2) was to fail, leaves its file active.
        if !self.places.is_empty() {
            guardian::deactivate_below(&self.directory);
        }
        if self.turn.is_some() && self.resized.get() {
            let _ = self.administer(&Call::Shrink { size: self.image.kind().facts().size as i64 });
        }
        // A run in many situations would fill the file system. A file that is still in the state stays.
        if self.ends && std::fs::remove_dir_all(&self.directory).is_err() {
            self.retirement.remove(self.directory.clone());
        }
        if self.turn.is_some() {
            // The next case needs the space. File systems free it in the background (xfs_inodegc_worker,
            // btrfs_delete_unused_bgs), and refuse writes with ENOSPC until then. Unmounting waits until that has
            // ended.
            if !self.cycles.get() || self.image.cycle().is_err() {
                let _ = File::open(self.image.root()).map(unistd::syncfs);
            }
        }
    }
}
