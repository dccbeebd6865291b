//! Durability: fsync(2), umount(2) and mount(2), and a loss of power.

use crate::call::caller::Credentials;
use crate::call::system_call::Fd;
use crate::model::state::State;
use crate::rules::Op;
use crate::storage::extents::Run;
use crate::units::{Address, Ino};
use crate::violation::Quirk;
use nix::errno::Errno;

impl State {
    /// fsync(2).
    pub(crate) fn sync(&mut self, who: &Credentials, fd: Fd) -> Result<(), Errno> {
        let descriptor = *self.descriptor(fd)?;
        self.guarded(who, descriptor.ino, descriptor.writable(), Op::Sync, |fs| {
            if fs.volume.free() == 0 && fs.has(Quirk::SyncNeedsSpace) {
                return Err(Errno::ENOSPC);
            }
            if fs.inode(descriptor.ino).sealed && fs.has(Quirk::MoveOnSync) {
                fs.volume.relocate(descriptor.ino);
            }
            fs.volume.commit()
        })
    }

    /// mount(2) with MS_REMOUNT.
    pub(crate) fn remount(&mut self, read_only: bool) -> Result<(), Errno> {
        if read_only && self.descriptors.values().any(|descriptor| descriptor.writable()) {
            return Err(Errno::EBUSY);
        }
        match self.volume.frozen() {
            Some(frozen) if !read_only => return Err(frozen),
            _ => self.volume.commit()?,
        }
        self.volume.read_only = read_only;
        Ok(())
    }

    /// umount(2) and mount(2).
    pub(crate) fn cycle(&mut self) -> Result<(), Errno> {
        let counts = |ino| !self.has_for(Quirk::RegistrationUnmounts, ino);
        let registered = self.registrations.values().any(|registration| counts(registration.pages.ino));
        if !self.descriptors.is_empty() || !self.mappings.is_empty() || registered {
            return Err(Errno::EBUSY);
        }
        self.volume.commit()?;
        self.volume.reload()?;
        self.begin_again();
        self.forget_states();
        Ok(())
    }

    /// Forgets states at a mount, under a violation only.
    fn forget_states(&mut self) {
        let forgotten = |ino: Ino, xflags: u32| {
            self.has_for(Quirk::MountForgets, ino)
                || (xflags != 0 && self.has_for(Quirk::AttributesDropStateOnDisk, ino))
        };
        let sealed = self.volume.inodes.iter().filter(|(_, file)| file.sealed);
        let sealed: Vec<Ino> =
            sealed.filter(|(ino, file)| forgotten(**ino, file.xflags)).map(|(ino, _)| *ino).collect();
        for ino in sealed {
            self.held_mut(ino).sealed = false;
        }
    }

    /// umount(2) and mount(2), with an option after which files are moved when they are written to.
    pub(crate) fn cycle_with(&mut self, option: &str) -> Result<(), Errno> {
        let moves = ["data=journal", "compress-force=zlib", "mode=lfs"].contains(&option);
        if !moves && option != "dax=never" {
            return Err(Errno::EINVAL);
        }
        self.cycle()?;
        self.moves = moves;
        Ok(())
    }

    /// A loss of power, and a restart.
    pub(crate) fn lose_power(&mut self) -> Result<(), Errno> {
        self.volume.lose_power()?;
        self.begin_again();
        let broken = |ino: &Ino| self.has_for(Quirk::RecoveryOverwrites, *ino);
        let sealed = self.volume.inodes.iter().filter(|(ino, file)| file.sealed && broken(ino));
        let places: Vec<Address> = sealed.flat_map(|(_, file)| file.map.addresses()).collect();
        places.into_iter().filter_map(|at| self.volume.store.zero(at).err()).for_each(drop);
        Ok(())
    }

    /// Resets the state as after a mount: no open files, and no files without a name.
    pub(crate) fn begin_again(&mut self) {
        self.descriptors.clear();
        self.mappings.clear();
        self.registrations.clear();
        self.leases.clear();
        self.moves = false;
        self.swap_places.clear();
        let unnamed: Vec<Ino> =
            self.volume.inodes.iter().filter(|(_, file)| file.links == 0).map(|(ino, _)| *ino).collect();
        let runs: Vec<Run> = unnamed.into_iter().flat_map(|ino| self.take_unused(ino)).collect();
        self.volume.release_runs(&runs);
    }
}
