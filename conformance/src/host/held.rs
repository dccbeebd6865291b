//! The things that a case has open, mapped and registered in its directory.

use super::sys::mapping::{Mapping, Registration};
use crate::system::Ready;
use iomap_reference::{Fd, MapId};
use nix::errno::Errno;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A directory, and the things that are open, mapped and registered there.
pub(crate) struct Held {
    directory: PathBuf,
    /// The place where the file system is mounted.
    root: PathBuf,
    /// The same directory, as a file system above shows it.
    above: Option<PathBuf>,
    open: RefCell<BTreeMap<Fd, OwnedFd>>,
    maps: RefCell<BTreeMap<MapId, Mapping>>,
    /// Another thread ends them for a call that waits for them.
    registrations: Arc<Mutex<Registrations>>,
}

type Registrations = BTreeMap<MapId, Box<dyn Registration>>;

/// A place that is passed to another thread, with duplicates of the open descriptors.
pub(crate) struct Duplicate {
    directory: PathBuf,
    root: PathBuf,
    open: BTreeMap<Fd, OwnedFd>,
}

impl From<Duplicate> for Held {
    fn from(Duplicate { directory, root, open }: Duplicate) -> Self {
        Self { open: RefCell::new(open), ..Self::new(directory, root) }
    }
}

fn locked(registrations: &Mutex<Registrations>) -> MutexGuard<'_, Registrations> {
    registrations.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    pub(crate) fn new(directory: PathBuf, root: PathBuf) -> Self {
        let (open, maps, registrations) = Default::default();
        Self { directory, root, above: None, open, maps, registrations }
    }

    /// The same place for a second thread, which makes it with [`Self::from`]. Mappings stay with their thread.
    pub(crate) fn duplicate(&self) -> io::Result<Duplicate> {
        let again = |(fd, file): (&Fd, &OwnedFd)| Ok((*fd, file.try_clone()?));
        let open: io::Result<_> = self.open.borrow().iter().map(again).collect();
        Ok(Duplicate { directory: self.directory.clone(), root: self.root.clone(), open: open? })
    }

    /// Closes a file.
    pub(crate) fn close(&self, fd: Fd) -> Result<(), Errno> {
        self.open.borrow_mut().remove(&fd).map(drop).ok_or(Errno::EBADF)
    }

    /// Unmaps a mapping.
    pub(crate) fn unmap(&self, map: MapId) -> Result<(), Errno> {
        self.maps.borrow_mut().remove(&map).map(drop).ok_or(Errno::EINVAL)
    }

    /// Undoes a registration.
    pub(crate) fn unregister(&self, registration: MapId) -> Result<(), Errno> {
        locked(&self.registrations).remove(&registration).map(drop).ok_or(Errno::ENXIO)
    }

    /// Calls `act`, and ends all registrations if it has not returned in this time.
    pub(crate) fn unless_waiting<T>(&self, within: Duration, act: impl FnOnce() -> T) -> T {
        let registrations = self.registrations.clone();
        let (returned, news) = channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                if news.recv_timeout(within) == Err(RecvTimeoutError::Timeout) {
                    locked(&registrations).clear();
                }
            });
            let done = act();
            drop(returned);
            done
        })
    }

    /// Takes the descriptors of a file out, without closing them.
    pub(crate) fn release(&self, file: &Ready) -> Vec<OwnedFd> {
        let mut open = self.open.borrow_mut();
        [file.fd, file.append, file.direct, file.reader].iter().filter_map(|fd| open.remove(fd)).collect()
    }

    /// Whether nothing is open or mapped. The kernel has to know of what is registered.
    pub(crate) fn is_closed(&self) -> bool {
        self.maps.borrow().is_empty() && self.open.borrow().is_empty()
    }

    /// Undoes registrations, unmaps and closes everything.
    pub(crate) fn clear(&self) {
        locked(&self.registrations).clear();
        self.maps.borrow_mut().clear();
        self.open.borrow_mut().clear();
    }

    /// Makes a file system above show the directory here.
    pub(crate) fn show_at(&mut self, above: PathBuf) {
        self.above = Some(above);
    }

    /// The same directory, as the file system above shows it, if the suite has mounted one.
    pub(crate) fn above(&self) -> Option<&Path> {
        self.above.as_deref()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Calls `act` with an open file.
    pub(crate) fn with<T>(&self, fd: Fd, act: impl FnOnce(BorrowedFd) -> Result<T, Errno>) -> Result<T, Errno> {
        act(self.open.borrow().get(&fd).ok_or(Errno::EBADF)?.as_fd())
    }

    /// Keeps a descriptor, and returns its number.
    pub(crate) fn keep(&self, fd: OwnedFd) -> i64 {
        let number = fd.as_raw_fd();
        self.open.borrow_mut().insert(number, fd);
        number.into()
    }

    /// The place where the file system is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Keeps a mapping, and returns its number.
    pub(crate) fn keep_mapping(&self, mapping: Mapping) -> i64 {
        let mut maps = self.maps.borrow_mut();
        let id = maps.last_key_value().map_or(0, |(id, _)| id + 1);
        maps.insert(id, mapping);
        id as i64
    }

    /// Keeps a registration, and returns its number.
    pub(crate) fn keep_registration(&self, registration: Box<dyn Registration>) -> i64 {
        let number = registration.number();
        locked(&self.registrations).insert(number as MapId, registration);
        number.into()
    }

    /// Calls `act` with a registration.
    pub(crate) fn with_registration<T>(
        &self,
        id: MapId,
        act: impl FnOnce(&mut dyn Registration) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        act(&mut **locked(&self.registrations).get_mut(&id).ok_or(Errno::ENXIO)?)
    }

    /// Calls `act` with a mapping.
    pub(crate) fn with_mapping<T>(
        &self,
        map: MapId,
        act: impl FnOnce(&Mapping) -> Result<T, Errno>,
    ) -> Result<T, Errno> {
        act(self.maps.borrow().get(&map).ok_or(Errno::EFAULT)?)
    }
}
