//! A file system for its users, and agents that access its storage directly.

use crate::call::caller::{Caller, Credentials};
use crate::call::reply::Outcome;
use crate::call::system_call::{Call, Fd};
use crate::model::state::{Clock, State};
use crate::storage::disk::{Disk, FileDisk, MemoryDisk, VolatileDisk};
use crate::storage::error::ImageError;
use crate::storage::fsck;
use crate::storage::image::{Layout, Options, share};
use crate::storage::log::{Log, Metadata};
use crate::storage::volume::{Volume, make};
use crate::units::{Address, BLOCK, Ino};
use crate::violation::Violation;
use nix::errno::Errno;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file system, in memory or on an image. Clones are the same file system.
#[derive(Clone, Debug)]
pub struct Fs(Arc<Mutex<State>>);

/// The maximum number of blocks in the cache of a file system in memory: 16 MiB.
const CACHE: usize = 4096;
/// The minimum number of blocks of its metadata area: enough for the names and files of tests.
const AREA: u64 = 1024;

impl Fs {
    /// An empty file system in memory, with `blocks` blocks of [`BLOCK`] bytes for data. Its time is the number of
    /// changes so far, so that the same calls give the same times.
    pub fn new(blocks: usize) -> Self {
        Self::with(blocks, None, None)
    }

    /// Like [`Self::new`], but the file system breaks one clause.
    pub fn breaking(blocks: usize, violation: Violation) -> Self {
        Self::with(blocks, Some(violation), None)
    }

    /// Like [`Self::new`], with times from a clock.
    pub fn timed(blocks: usize, clock: Clock) -> Self {
        Self::with(blocks, None, Some(clock))
    }

    fn with(blocks: usize, violation: Option<Violation>, time: Option<Clock>) -> Self {
        let area = share(blocks as u64).max(AREA);
        let mut disk = VolatileDisk::new(MemoryDisk::new(Layout::around(blocks as u64, area)));
        let now = time.map_or(0, |clock| clock());
        let options = Options { area_blocks: Some(area), time: now, ..Options::default() };
        let found = make(&mut disk, &options).expect("memory has no errors, and the areas are large enough");
        Self::begin(Box::new(disk), found, CACHE, false, (violation, time))
    }

    /// Mounts the image in a file or on a block device, with at most `cache` bytes of data in memory. The image is
    /// locked: no other process can open it. When the last clone is dropped, uncommitted changes are lost, as in a loss
    /// of power.
    ///
    /// The error names the fault of the image and its place.
    pub fn open_image(path: &Path, cache: usize, read_only: bool) -> Result<Self, ImageError> {
        let disk = FileDisk::open(path, read_only).map_err(|error| ImageError::io("opening", error))?;
        Self::mount(Box::new(disk), cache, read_only)
    }

    /// Mounts the image on a disk. Mounting writes nothing. Times count on from the last commit, unless
    /// [`Self::set_clock`] sets a clock.
    pub fn mount(mut disk: Box<dyn Disk>, cache: usize, read_only: bool) -> Result<Self, ImageError> {
        let found = fsck::open(&mut *disk)?;
        Ok(Self::begin(disk, found, cache / BLOCK, read_only, (None, None)))
    }

    /// Takes times from a clock from now on.
    pub fn set_clock(&self, clock: Clock) {
        self.state().set_clock(clock);
    }

    /// Makes all changes durable. Descriptors become invalid.
    pub fn unmount(self) -> Result<(), Errno> {
        let mut state = self.state();
        state.descriptors.clear();
        state.volume.commit()
    }

    fn begin(
        disk: Box<dyn Disk>,
        found: (Log, Metadata),
        cache: usize,
        read_only: bool,
        (violation, time): (Option<Violation>, Option<Clock>),
    ) -> Self {
        let volume = Volume::new(disk, found, cache, read_only);
        Self(Arc::new(Mutex::new(State::new(volume, violation, time))))
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Another thread may have panicked during a call. That is a bug which the case of that thread reports.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a system call of the suite.
    pub fn call(&self, caller: Caller, call: &Call) -> Outcome {
        self.call_as(caller.credentials(), call)
    }

    /// Makes a system call as this caller. Paths start at the root.
    pub fn call_as(&self, who: &Credentials, call: &Call) -> Outcome {
        self.state().call(who, call)
    }

    /// Gives access to the present storage of a file. The agent is not a hold: it stands for a device that was told the
    /// location of the file once and does not ask again.
    ///
    /// Fails with EBADF for a bad descriptor and with EINVAL for a file that has a hole.
    pub fn agent(&self, fd: Fd) -> Result<Agent, Errno> {
        let state = self.state();
        let ino = state.descriptor(fd)?.ino;
        let file = state.inode(ino);
        let place = |block| file.map.get(block).map(|extent| extent.address).ok_or(Errno::EINVAL);
        let places = (0..file.blocks()).map(place).collect::<Result<_, _>>()?;
        Ok(Agent { fs: self.clone(), ino, places })
    }
}

/// Direct access to the storage that a file had when the access was given.
#[derive(Debug)]
pub struct Agent {
    fs: Fs,
    ino: Ino,
    places: Vec<Address>,
}

impl Agent {
    /// Reads `len` bytes of the blocks that were at `offset` of the file; both are multiples of [`BLOCK`]. Returns no
    /// bytes if the disk fails.
    pub fn read(&self, offset: usize, len: usize) -> Vec<u8> {
        let mut state = self.fs.state();
        let blocks = self.span(offset, len).iter().map(|at| state.agent_reads(*at));
        blocks.collect::<io::Result<Vec<_>>>().unwrap_or_default().concat()
    }

    /// Writes to the blocks that were at `offset` of the file; `offset` and the length are multiples of [`BLOCK`].
    pub fn write(&self, offset: usize, data: &[u8]) {
        let mut state = self.fs.state();
        let outer = state.agent_comes(self.ino);
        for (at, bytes) in self.span(offset, data.len()).iter().zip(data.as_chunks::<BLOCK>().0) {
            // The device's own driver sees the error, the file system does not.
            let _ = state.agent_wrote(*at, bytes);
        }
        state.resume(outer);
    }

    /// The addresses of the file's blocks at that time, in the order of the file.
    pub fn places(&self) -> &[Address] {
        &self.places
    }

    fn span(&self, offset: usize, len: usize) -> &[Address] {
        self.places.get(offset / BLOCK..(offset + len) / BLOCK).unwrap_or_default()
    }
}
