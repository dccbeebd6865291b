//! Open file descriptions, by their descriptors.

use crate::call::system_call::Fd;
use crate::units::Ino;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// An open file description.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Descriptor {
    pub(crate) ino: Ino,
    pub(crate) flags: OFlag,
    pub(crate) position: u64,
}

impl Descriptor {
    pub(crate) fn readable(&self) -> bool {
        self.flags & OFlag::O_ACCMODE != OFlag::O_WRONLY
    }

    pub(crate) fn writable(&self) -> bool {
        self.flags & OFlag::O_ACCMODE != OFlag::O_RDONLY
    }

    /// The access mode and the status flags: what open(2) got, without the flags that it only looks at
    /// (`do_dentry_open`).
    pub(crate) fn status_flags(&self) -> OFlag {
        self.flags & !(OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOCTTY | OFlag::O_TRUNC)
    }

    /// Whether each write is durable when the call returns.
    pub(crate) fn synchronous(&self) -> bool {
        // O_SYNC includes the bit of O_DSYNC.
        self.flags.contains(OFlag::O_DSYNC)
    }
}

/// The first descriptors belong to standard input, output and error.
const FIRST: usize = 3;

/// The table of descriptors. A new descriptor gets the lowest free number.
#[derive(Debug, Default)]
pub(crate) struct Descriptors {
    slots: Vec<Option<Descriptor>>,
    free: BinaryHeap<Reverse<usize>>,
}

impl Descriptors {
    /// Adds a descriptor. Fails with EMFILE.
    pub(crate) fn insert(&mut self, descriptor: Descriptor) -> Result<Fd, Errno> {
        let slot = match self.free.pop() {
            Some(Reverse(slot)) => slot,
            None => {
                self.slots.push(None);
                self.slots.len() - 1
            }
        };
        let fd = Fd::try_from(slot + FIRST).map_err(|_| Errno::EMFILE)?;
        self.slots[slot] = Some(descriptor);
        Ok(fd)
    }

    pub(crate) fn get(&self, fd: Fd) -> Option<&Descriptor> {
        self.slots.get(slot(fd)?)?.as_ref()
    }

    fn get_mut(&mut self, fd: Fd) -> Option<&mut Descriptor> {
        self.slots.get_mut(slot(fd)?)?.as_mut()
    }

    /// Sets the position of a descriptor, if it is open.
    pub(crate) fn advance(&mut self, fd: Fd, position: u64) {
        if let Some(descriptor) = self.get_mut(fd) {
            descriptor.position = position;
        }
    }

    pub(crate) fn remove(&mut self, fd: Fd) -> Option<Descriptor> {
        let slot = slot(fd)?;
        let removed = self.slots.get_mut(slot)?.take()?;
        self.free.push(Reverse(slot));
        Some(removed)
    }

    pub(crate) fn open(&self) -> Vec<Fd> {
        let numbers = (FIRST..).zip(&self.slots).filter(|(_, slot)| slot.is_some());
        numbers.filter_map(|(number, _)| Fd::try_from(number).ok()).collect()
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &Descriptor> {
        self.slots.iter().flatten()
    }

    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut Descriptor> {
        self.slots.iter_mut().flatten()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.values().next().is_none()
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

fn slot(fd: Fd) -> Option<usize> {
    usize::try_from(fd).ok()?.checked_sub(FIRST)
}
