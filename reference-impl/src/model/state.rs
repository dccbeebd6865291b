//! The state of a mounted file system: its volume, and its open files.

use crate::call::route::Route;
use crate::call::system_call::{Fd, MapId};
use crate::model::descriptors::{Descriptor, Descriptors};
use crate::model::misbehaviour::Misbehaviour;
use crate::model::quota::Quota;
use crate::storage::inode::Inode;
use crate::storage::volume::Volume;
use crate::units::{Address, Ino};
use crate::violation::Violation;
use nix::errno::Errno;
use std::collections::BTreeMap;

/// A mapping. A private mapping keeps its changed pages in `private`.
#[derive(Clone, Debug)]
pub(crate) struct Mapping {
    pub(crate) ino: Ino,
    pub(crate) len: usize,
    pub(crate) shared: bool,
    pub(crate) write: bool,
    /// Whether mprotect(2) may allow writing.
    pub(crate) may_write: bool,
    pub(crate) private: BTreeMap<usize, u8>,
}

/// The pages that a device may access: those of a mapping, which may have ended.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) pages: Mapping,
    /// The route by which it was made.
    pub(crate) by: Option<Route>,
}

/// A clock: it returns nanoseconds since the epoch.
pub type Clock = fn() -> i128;

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) volume: Volume,
    pub(crate) descriptors: Descriptors,
    pub(crate) mappings: BTreeMap<MapId, Mapping>,
    pub(crate) registrations: BTreeMap<MapId, Registration>,
    /// The descriptors with a lease, and whether somebody wants it back.
    pub(crate) leases: BTreeMap<Fd, bool>,
    /// The addresses that active swap files had when they were activated.
    pub(crate) swap_places: BTreeMap<Ino, Vec<Address>>,
    pub(crate) quotas: BTreeMap<u32, Quota>,
    /// The source of the time; without it, times count changes.
    time: Option<Clock>,
    pub(crate) misbehaviour: Misbehaviour,
    /// Whether the options of the mount want files to be moved when they are written to.
    pub(crate) moves: bool,
    /// Whether the commit of a file's state waits for the storage.
    pub(crate) stalled: bool,
    /// The route of the present call.
    pub(crate) route: Option<Route>,
}

impl State {
    /// The state of a volume that was just mounted.
    pub(crate) fn new(volume: Volume, violation: Option<Violation>, time: Option<Clock>) -> Self {
        let mut state = Self {
            volume,
            descriptors: Descriptors::default(),
            mappings: BTreeMap::new(),
            registrations: BTreeMap::new(),
            leases: BTreeMap::new(),
            swap_places: BTreeMap::new(),
            quotas: BTreeMap::new(),
            time,
            misbehaviour: Misbehaviour::new(violation),
            moves: false,
            stalled: false,
            route: None,
        };
        state.begin_again();
        state
    }

    /// Takes times from a clock from now on.
    pub(crate) fn set_clock(&mut self, clock: Clock) {
        self.time = Some(clock);
    }

    pub(crate) fn descriptor(&self, fd: Fd) -> Result<&Descriptor, Errno> {
        self.descriptors.get(fd).ok_or(Errno::EBADF)
    }

    pub(crate) fn inode(&self, ino: Ino) -> &Inode {
        // Names, descriptors and mappings refer to existing inodes only: `release_unused` removes only unreferenced
        // ones.
        &self.volume.inodes[&ino]
    }

    pub(crate) fn inode_mut(&mut self, ino: Ino) -> &mut Inode {
        self.volume.inodes.existing(ino)
    }

    /// The inode, for a change of its reference counts, which are not stored.
    pub(crate) fn held_mut(&mut self, ino: Ino) -> &mut Inode {
        self.volume.inodes.untracked(ino).expect("names, descriptors and mappings refer to inodes that exist")
    }

    /// The next moment. Without a clock, no two changes have the same time.
    pub(crate) fn now(&mut self) -> i128 {
        self.volume.clock = self.time.map_or(self.volume.clock + 1, |clock| clock());
        self.volume.clock
    }

    /// The present moment, without advancing it.
    pub(crate) fn present(&self) -> i128 {
        self.time.map_or(self.volume.clock, |clock| clock())
    }
}
