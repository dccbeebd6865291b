//! Disks: the storage of an image, the effects of a loss of power, and failures.

use crate::units::BLOCK;
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag};
use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The unit that a loss of power never tears, in bytes.
pub const SECTOR: usize = 512;

/// One block of [`BLOCK`] bytes.
pub(crate) type Block = Arc<[u8; BLOCK]>;

/// A disk of blocks of [`BLOCK`] bytes. A buffer covers whole blocks, starting at `at`. Every call outside the disk
/// fails.
///
/// A write is durable after the next successful flush. Before that, a loss of power can keep any subset of the writes,
/// in any order, and each sector has its old or its new contents.
pub trait Disk: fmt::Debug + Send {
    /// The number of blocks.
    fn blocks(&self) -> u64;
    /// Reads blocks.
    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()>;
    /// Writes blocks, into the disk's volatile cache if it has one.
    fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()>;
    /// Writes blocks that are durable when the call returns (force unit access). Earlier writes may still be volatile.
    fn write_fua(&mut self, at: u64, data: &[u8]) -> io::Result<()>;
    /// Makes all earlier writes durable.
    fn flush(&mut self) -> io::Result<()>;
    /// Appends `count` blocks to a buffer.
    fn read_onto(&mut self, at: u64, count: usize, data: &mut Vec<u8>) -> io::Result<()> {
        let from = data.len();
        data.resize(from + count * BLOCK, 0);
        self.read(at, &mut data[from..])
    }
    /// Writes one block, like [`Self::write`]. A disk in memory keeps the block itself, and no copy.
    fn put(&mut self, at: u64, block: &Block) -> io::Result<()> {
        self.write(at, &block[..])
    }
    /// Whether a block is known to be all zeros without reading it.
    fn is_blank(&self, _at: u64) -> bool {
        false
    }
    /// A loss of power, and a restart. It has no effect on a disk that is a file of a running system.
    fn lose_power(&mut self) {}
}

impl<D: Disk + ?Sized> Disk for Arc<Mutex<D>> {
    fn blocks(&self) -> u64 {
        self.lock().unwrap_or_else(PoisonError::into_inner).blocks()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).read(at, into)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).write(at, data)
    }

    fn write_fua(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).write_fua(at, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).flush()
    }

    fn read_onto(&mut self, at: u64, count: usize, data: &mut Vec<u8>) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).read_onto(at, count, data)
    }

    fn put(&mut self, at: u64, block: &Block) -> io::Result<()> {
        self.lock().unwrap_or_else(PoisonError::into_inner).put(at, block)
    }

    fn is_blank(&self, at: u64) -> bool {
        self.lock().unwrap_or_else(PoisonError::into_inner).is_blank(at)
    }

    fn lose_power(&mut self) {
        self.lock().unwrap_or_else(PoisonError::into_inner).lose_power();
    }
}

/// The offset of the blocks in bytes, if all of them are on the disk.
fn span(at: u64, len: usize, blocks: u64) -> io::Result<u64> {
    let end = at.checked_add((len / BLOCK) as u64).filter(|end| *end <= blocks && len.is_multiple_of(BLOCK));
    let outside = || io::Error::new(io::ErrorKind::InvalidInput, format!("block {at} of a disk of {blocks} blocks"));
    end.map(|_| at * BLOCK as u64).ok_or_else(outside)
}

/// An image in a file, or a block device.
#[derive(Debug)]
pub struct FileDisk {
    file: Flock<File>,
    blocks: u64,
}

/// The time to wait for the lock: umount(8) returns before the daemon has written the last changes.
const PATIENCE: Duration = Duration::from_secs(2);

impl FileDisk {
    /// Opens an image and locks it. A process that writes has exclusive access.
    pub fn open(path: &Path, read_only: bool) -> io::Result<Self> {
        let device = std::fs::metadata(path)?.file_type().is_block_device();
        // On a mounted device, open(2) with this flag fails.
        let flags = if device && !read_only { OFlag::O_EXCL } else { OFlag::empty() };
        let file = File::options().read(true).write(!read_only).custom_flags(flags.bits()).open(path)?;
        Self::locked(file, read_only)
    }

    /// Like [`Self::open`], for a file that is already open.
    pub fn locked(mut file: File, read_only: bool) -> io::Result<Self> {
        let kind = if read_only { FlockArg::LockSharedNonblock } else { FlockArg::LockExclusiveNonblock };
        let deadline = Instant::now() + PATIENCE;
        let mut file = loop {
            file = match Flock::lock(file, kind) {
                Ok(locked) => break locked,
                Err((file, Errno::EWOULDBLOCK | Errno::EINTR)) if Instant::now() < deadline => file,
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process has it open"));
                }
                Err((_, errno)) => return Err(errno.into()),
            };
            std::thread::sleep(Duration::from_millis(5));
        };
        let blocks = file.seek(SeekFrom::End(0))? / BLOCK as u64;
        Ok(Self { file, blocks })
    }
}

impl Disk for FileDisk {
    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, span(at, into.len(), self.blocks)?)
    }

    fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.file.write_all_at(data, span(at, data.len(), self.blocks)?)
    }

    fn write_fua(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.write(at, data)?;
        self.file.sync_data()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A disk in memory, without a volatile cache. Blocks that were never written are zeros and take no memory, because the
/// metadata areas are large and mostly empty, and the suite makes hundreds of such disks.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    blocks: u64,
    written: HashMap<u64, Block>,
}

impl MemoryDisk {
    /// A disk of this number of blocks, all zeros.
    pub fn new(blocks: u64) -> Self {
        Self { blocks, written: HashMap::new() }
    }

    /// A disk with these contents. Bytes after the last whole block are ignored.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let written = numbered(0, bytes).filter(|(_, block)| block.iter().any(|byte| *byte != 0));
        Self { blocks: (bytes.len() / BLOCK) as u64, written: written.collect() }
    }

    /// A copy of all bytes of the disk.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.blocks as usize * BLOCK];
        for (at, block) in &self.written {
            put(&mut bytes, *at, 0, &block[..]);
        }
        bytes
    }

    fn block(&self, at: u64) -> &[u8; BLOCK] {
        self.written.get(&at).map_or(&[0; BLOCK], |block| &**block)
    }
}

impl Disk for MemoryDisk {
    fn blocks(&self) -> u64 {
        self.blocks
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        span(at, into.len(), self.blocks)?;
        for (at, block) in (at..).zip(into.as_chunks_mut::<BLOCK>().0) {
            *block = *self.block(at);
        }
        Ok(())
    }

    fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        span(at, data.len(), self.blocks)?;
        self.written.extend(numbered(at, data));
        Ok(())
    }

    fn write_fua(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.write(at, data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read_onto(&mut self, at: u64, count: usize, data: &mut Vec<u8>) -> io::Result<()> {
        span(at, count.saturating_mul(BLOCK), self.blocks)?;
        (at..at + count as u64).for_each(|at| data.extend_from_slice(self.block(at)));
        Ok(())
    }

    fn put(&mut self, at: u64, block: &Block) -> io::Result<()> {
        span(at, BLOCK, self.blocks)?;
        self.written.insert(at, block.clone());
        Ok(())
    }

    fn is_blank(&self, at: u64) -> bool {
        !self.written.contains_key(&at)
    }
}

/// A request to a disk.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are the arguments of the calls, under their names")]
pub enum Event {
    /// A write of blocks; with `fua` they were durable when the call returned.
    Write { at: u64, data: Vec<u8>, fua: bool },
    /// A flush.
    Flush,
}

/// A volatile write cache in front of a disk.
#[derive(Debug)]
pub struct VolatileDisk<D> {
    disk: D,
    cache: HashMap<u64, Block>,
    log: Option<Vec<Event>>,
}

impl<D: Disk> VolatileDisk<D> {
    /// Puts a cache in front of a disk.
    pub fn new(disk: D) -> Self {
        Self { disk, cache: HashMap::new(), log: None }
    }

    /// Like [`Self::new`], but records each request.
    pub fn recording(disk: D) -> Self {
        Self { log: Some(Vec::new()), ..Self::new(disk) }
    }

    /// The requests so far, if they were recorded.
    pub fn log(&self) -> &[Event] {
        self.log.as_deref().unwrap_or_default()
    }

    fn record(&mut self, event: impl FnOnce() -> Event) {
        if let Some(log) = &mut self.log {
            log.push(event());
        }
    }
}

/// The blocks of a buffer with their numbers.
fn numbered(at: u64, data: &[u8]) -> impl Iterator<Item = (u64, Block)> + '_ {
    // Arc::new would copy each block twice.
    (at..)
        .zip(data.as_chunks::<BLOCK>().0)
        .map(|(at, block)| (at, Arc::<[u8]>::from(&block[..]).try_into().expect("a block")))
}

impl<D: Disk> Disk for VolatileDisk<D> {
    fn blocks(&self) -> u64 {
        self.disk.blocks()
    }

    fn read(&mut self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.disk.read(at, into)?;
        for (at, block) in (at..).zip(into.as_chunks_mut::<BLOCK>().0) {
            if let Some(newer) = self.cache.get(&at) {
                *block = **newer;
            }
        }
        Ok(())
    }

    fn write(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        span(at, data.len(), self.blocks())?;
        self.cache.extend(numbered(at, data));
        self.record(|| Event::Write { at, data: data.to_vec(), fua: false });
        Ok(())
    }

    fn write_fua(&mut self, at: u64, data: &[u8]) -> io::Result<()> {
        self.disk.write_fua(at, data)?;
        for (at, _) in numbered(at, data) {
            self.cache.remove(&at);
        }
        self.record(|| Event::Write { at, data: data.to_vec(), fua: true });
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        for (at, block) in &self.cache {
            self.disk.put(*at, block)?;
        }
        self.disk.flush()?;
        self.cache.clear();
        self.record(|| Event::Flush);
        Ok(())
    }

    fn read_onto(&mut self, at: u64, count: usize, data: &mut Vec<u8>) -> io::Result<()> {
        let from = data.len();
        self.disk.read_onto(at, count, data)?;
        for (at, block) in (at..).zip(data[from..].as_chunks_mut::<BLOCK>().0) {
            if let Some(newer) = self.cache.get(&at) {
                *block = **newer;
            }
        }
        Ok(())
    }

    fn is_blank(&self, at: u64) -> bool {
        !self.cache.contains_key(&at) && self.disk.is_blank(at)
    }

    fn lose_power(&mut self) {
        self.cache.clear();
        self.disk.lose_power();
    }
}

/// The possible contents of a disk after a loss of power, at each of its requests.
#[derive(Clone, Debug)]
pub struct Aftermath {
    durable: Vec<u8>,
    /// The writes since the last flush, in their order.
    pending: Vec<(u64, Block)>,
}

/// The writes that survive a loss of power although they were not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Survivors {
    /// No write.
    None,
    /// Every write.
    All,
    /// For each block any version, whole.
    Blocks,
    /// For each sector any version.
    Sectors,
}

impl Aftermath {
    /// Starts with the contents of the disk.
    pub fn new(durable: Vec<u8>) -> Self {
        Self { durable, pending: Vec::new() }
    }

    /// The disk has completed this request.
    pub fn done(&mut self, event: &Event) {
        match event {
            Event::Write { at, data, fua: true } => {
                let end = at + (data.len() / BLOCK) as u64;
                self.pending.retain(|(other, _)| !(*at..end).contains(other));
                put(&mut self.durable, *at, 0, data);
            }
            Event::Write { at, data, fua: false } => self.pending.extend(numbered(*at, data)),
            Event::Flush => {
                for (at, data) in self.pending.drain(..) {
                    put(&mut self.durable, at, 0, &data[..]);
                }
            }
        }
    }

    /// The number of writes that are not durable.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// A disk after a loss of power during the request `doing`. `choose` picks a number below its argument.
    pub fn disk(&self, doing: &Event, survivors: Survivors, mut choose: impl FnMut(usize) -> usize) -> MemoryDisk {
        let mut bytes = self.durable.clone();
        let mut versions: HashMap<u64, Vec<&Block>> = HashMap::new();
        let under_way: Vec<(u64, Block)> = match doing {
            Event::Write { at, data, .. } => numbered(*at, data).collect(),
            Event::Flush => Vec::new(),
        };
        for (at, data) in self.pending.iter().chain(&under_way) {
            versions.entry(*at).or_default().push(data);
        }
        let mut versions: Vec<(u64, Vec<&Block>)> = versions.into_iter().collect();
        versions.sort_by_key(|(at, _)| *at);
        for (at, versions) in versions {
            let unit = if survivors == Survivors::Sectors { SECTOR } else { BLOCK };
            for from in (0..BLOCK).step_by(unit) {
                // The last number stands for the contents before all of these writes.
                let version = match survivors {
                    Survivors::None => versions.len(),
                    Survivors::All => versions.len() - 1,
                    Survivors::Blocks | Survivors::Sectors => choose(versions.len() + 1),
                };
                if let Some(version) = versions.get(version) {
                    put(&mut bytes, at, from, &version[from..from + unit]);
                }
            }
        }
        MemoryDisk::from_bytes(&bytes)
    }
}

fn put(bytes: &mut [u8], at: u64, within: usize, data: &[u8]) {
    let from = at as usize * BLOCK + within;
    bytes[from..from + data.len()].copy_from_slice(data);
}
