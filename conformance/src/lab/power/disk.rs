//! A disk with a volatile write cache: a loss of power takes the unflushed data.

use crate::host::device::nameless;
use crate::host::image::copy_data;
use std::env::temp_dir;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The unit of a write that is never torn, in bytes. File systems must cope with a smaller unit, but no present disk
/// tears this one.
const UNIT: u64 = 4096;

/// A state of the disk after a cut: the fate of the unflushed data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CrashState {
    /// All unflushed data are lost.
    OnlyFlushed,
    /// Each piece is lost or kept, depending on a seed.
    SomeKept(u64),
    /// All unflushed data had reached the medium.
    AllWritten,
    /// Persistent memory: all stores are kept, only the memory of the kernel is lost.
    AllStored,
}

impl CrashState {
    /// The state in the name of a file.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OnlyFlushed => "nothing-kept",
            Self::SomeKept(_) => "some-kept",
            Self::AllWritten => "all-kept",
            Self::AllStored => "stored-kept",
        }
    }
}

/// A disk of the lab. Its files have no names, so they end with the lab.
pub(crate) struct Disk {
    state: Mutex<State>,
    ended: Condvar,
    size: u64,
}

struct State {
    /// The contents that a read returns.
    current: File,
    /// The contents that survive every loss of power.
    medium: File,
    /// The writes since the last flush, in their order.
    cache: Vec<Piece>,
    /// The number of changing requests that are still carried out before the power is cut.
    fuse: Option<u32>,
    gone: Option<Instant>,
    /// The number of changing requests so far: writes and flushes.
    requests: u32,
    /// The number of flushes among them.
    flushes: usize,
    /// The changing requests, if they are kept.
    record: Option<Vec<Request>>,
    /// An I/O error that the lab caused, not the simulated device; for instance no space for the image of the disk.
    trouble: Option<String>,
}

/// A request that changes the disk.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) at: Instant,
    change: Change,
}

#[derive(Clone)]
enum Change {
    Write { offset: u64, data: Vec<u8> },
    Flush,
}

/// A part of a write that stays together.
#[derive(Clone)]
struct Piece {
    offset: u64,
    data: Vec<u8>,
}

impl Disk {
    /// A disk with these contents, which loses all unflushed data.
    pub(crate) fn volatile(image: &File) -> io::Result<Self> {
        Self::new(copy(image)?, copy(image)?)
    }

    /// A disk with these contents, which keeps all requests that change it.
    pub(crate) fn recording(image: &File) -> io::Result<Self> {
        let disk = Self::volatile(image)?;
        disk.state().record = Some(Vec::new());
        Ok(disk)
    }

    /// A disk with these contents that loses its power during the request after `count` others.
    pub(crate) fn cut_after(image: &File, requests: &[Request], count: usize) -> io::Result<Self> {
        let disk = Self::volatile(image)?;
        disk.state().fuse = Some(count as u32);
        for Request { change, .. } in requests {
            let done = match change {
                Change::Write { offset, data } => disk.write(*offset, data),
                Change::Flush => disk.flush(),
            };
            match done {
                Some(done) => done?,
                None => break,
            }
        }
        Ok(disk)
    }

    /// The requests that a recording disk has kept.
    pub(crate) fn recorded(&self) -> Vec<Request> {
        self.state().record.clone().unwrap_or_default()
    }

    /// A disk without a volatile cache.
    pub(crate) fn durable(image: File) -> io::Result<Self> {
        // Use one file for both: each write is on the medium at once.
        Self::new(image.try_clone()?, image)
    }

    fn new(current: File, medium: File) -> io::Result<Self> {
        let size = medium.metadata()?.len();
        let state = State {
            current,
            medium,
            cache: Vec::new(),
            fuse: None,
            gone: None,
            requests: 0,
            flushes: 0,
            record: None,
            trouble: None,
        };
        Ok(Self { state: Mutex::new(state), ended: Condvar::new(), size })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Reads data. Returns `None` without power: then the request is not answered.
    pub(crate) fn read(&self, offset: u64, data: &mut [u8]) -> Option<io::Result<()>> {
        let state = self.state();
        state.gone.is_none().then(|| state.current.read_exact_at(data, offset))
    }

    /// Takes data into the cache. The write during which the power is lost may reach the medium, like every other
    /// write.
    pub(crate) fn write(&self, offset: u64, data: &[u8]) -> Option<io::Result<()>> {
        let mut state = self.state();
        if state.gone.is_some() {
            return None;
        }
        note(&mut state, || Change::Write { offset, data: data.into() });
        state.cache.extend(pieces(offset, data));
        if self.burns_down(&mut state) {
            return None;
        }
        let written = state.current.write_all_at(data, offset);
        Some(noting(&mut state, written))
    }

    /// Writes the cache to the medium.
    pub(crate) fn flush(&self) -> Option<io::Result<()>> {
        let mut state = self.state();
        if state.gone.is_some() {
            return None;
        }
        note(&mut state, || Change::Flush);
        if self.burns_down(&mut state) {
            return None;
        }
        state.flushes += 1;
        let cache = std::mem::take(&mut state.cache);
        let written = cache.iter().try_for_each(|piece| state.medium.write_all_at(&piece.data, piece.offset));
        Some(noting(&mut state, written))
    }

    /// Counts a changing request. Returns whether the power is cut during it.
    fn burns_down(&self, state: &mut State) -> bool {
        state.requests += 1;
        match &mut state.fuse {
            Some(0) => {
                state.gone = Some(Instant::now());
                self.ended.notify_all();
                true
            }
            Some(left) => {
                *left -= 1;
                false
            }
            None => false,
        }
    }

    /// Cuts the power during the changing request after `requests` others, but not later than after this time. Returns
    /// the time of the cut: no request was answered after it.
    pub(crate) fn cut(&self, requests: u32, at_latest: Duration) -> Instant {
        let mut state = self.state();
        state.fuse = Some(requests);
        let (mut state, _) = self
            .ended
            .wait_timeout_while(state, at_latest, |state| state.gone.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        *state.gone.get_or_insert_with(Instant::now)
    }

    /// The number of changing requests so far.
    pub(crate) fn requests(&self) -> u32 {
        self.state().requests
    }

    /// The number of flushes so far.
    pub(crate) fn flushes(&self) -> usize {
        self.state().flushes
    }

    /// An I/O error that the lab caused, not the simulated device; for instance no space for the image of the disk.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.state().trouble.clone()
    }

    /// The disk after a cut, in this state.
    pub(crate) fn left(&self, fate: CrashState) -> io::Result<File> {
        let state = self.state();
        let medium = copy(&state.medium)?;
        let mut random = fastrand::Rng::with_seed(if let CrashState::SomeKept(seed) = fate { seed } else { 0 });
        for piece in &state.cache {
            let kept = match fate {
                CrashState::OnlyFlushed => false,
                CrashState::SomeKept(_) => random.bool(),
                CrashState::AllWritten | CrashState::AllStored => true,
            };
            if kept {
                medium.write_all_at(&piece.data, piece.offset)?;
            }
        }
        Ok(medium)
    }
}

/// Keeps a request of a recording disk.
fn note(state: &mut State, change: impl FnOnce() -> Change) {
    if let Some(record) = &mut state.record {
        record.push(Request { at: Instant::now(), change: change() });
    }
}

fn noting(state: &mut State, written: io::Result<()>) -> io::Result<()> {
    written.inspect_err(|error| {
        state.trouble = Some(format!("the disk of the guest in {}: {error}", temp_dir().display()))
    })
}

/// A copy in a file without a name.
pub(crate) fn copy(image: &File) -> io::Result<File> {
    let copy = nameless()?;
    copy_to(image, &copy)?;
    Ok(copy)
}

/// Copies to an empty file. Holes stay holes.
pub(crate) fn copy_to(image: &File, copy: &File) -> io::Result<()> {
    copy.set_len(image.metadata()?.len())?;
    Ok(copy_data(image, copy)?)
}

/// The pieces of a write.
fn pieces(mut offset: u64, mut data: &[u8]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    while !data.is_empty() {
        let (piece, rest) = data.split_at(((UNIT - offset % UNIT) as usize).min(data.len()));
        pieces.push(Piece { offset, data: piece.into() });
        offset += piece.len() as u64;
        data = rest;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::sys::memfd::{MFdFlags, memfd_create};
    use std::os::unix::fs::MetadataExt;

    fn blank(blocks: u64) -> Disk {
        let image = nameless().unwrap();
        image.set_len(blocks * UNIT).unwrap();
        Disk::volatile(&image).unwrap()
    }

    /// The first byte of each block.
    fn first_bytes(file: &File, blocks: u64) -> Vec<u8> {
        let byte = |block| {
            let mut byte = [0];
            file.read_exact_at(&mut byte, block * UNIT).unwrap();
            byte[0]
        };
        (0..blocks).map(byte).collect()
    }

    const DELAY: Duration = Duration::from_secs(60);

    #[test]
    fn only_a_flush_makes_durable() {
        let disk = blank(64);
        disk.write(0, &[1; 16 * UNIT as usize]).unwrap().unwrap();
        disk.flush().unwrap().unwrap();
        disk.write(8 * UNIT, &[2; 32 * UNIT as usize]).unwrap().unwrap();
        let left = |state| first_bytes(&disk.left(state).unwrap(), 64);
        assert_eq!(left(CrashState::OnlyFlushed), [vec![1; 16], vec![0; 48]].concat());
        assert_eq!(left(CrashState::AllWritten), [vec![1; 8], vec![2; 32], vec![0; 24]].concat());
        let (some, others) = (left(CrashState::SomeKept(1)), left(CrashState::SomeKept(2)));
        assert_eq!(left(CrashState::SomeKept(1)), some);
        assert_ne!(some, others);
        for (block, byte) in some.iter().enumerate() {
            let (old, new) = (u8::from(block < 16), if (8..40).contains(&block) { 2 } else { u8::from(block < 16) });
            assert!([old, new].contains(byte), "block {block} has {byte}");
        }
        let mut read = [0; 1];
        disk.read(8 * UNIT, &mut read).unwrap().unwrap();
        assert_eq!(read, [2], "the cache is read");
    }

    #[test]
    fn a_disk_without_a_cache_loses_nothing() {
        let image = nameless().unwrap();
        image.set_len(UNIT).unwrap();
        let disk = Disk::durable(image).unwrap();
        disk.write(0, &[1; 512]).unwrap().unwrap();
        assert_eq!(first_bytes(&disk.left(CrashState::OnlyFlushed).unwrap(), 1), [1]);
    }

    #[test]
    fn a_disk_without_power_answers_no_request() {
        let disk = blank(4);
        std::thread::scope(|scope| {
            let cut = scope.spawn(|| disk.cut(1, DELAY));
            // The cut may not be set yet. When it is, one more write is carried out, and the next is not answered.
            while disk.write(0, &[7; 512]).is_some() {}
            cut.join().unwrap();
        });
        assert!(disk.read(0, &mut [0]).is_none() && disk.write(0, &[8]).is_none() && disk.flush().is_none());
        assert_eq!(first_bytes(&disk.left(CrashState::OnlyFlushed).unwrap(), 1), [0]);
        assert_eq!(
            first_bytes(&disk.left(CrashState::AllWritten).unwrap(), 1),
            [7],
            "what was not answered may be there"
        );
    }

    /// Each beginning of the requests is a disk that had lost its power during the next one.
    #[test]
    fn each_request_can_be_the_last() {
        let image = nameless().unwrap();
        image.set_len(4 * UNIT).unwrap();
        let disk = Disk::recording(&image).unwrap();
        disk.write(0, &[1; 512]).unwrap().unwrap();
        disk.flush().unwrap().unwrap();
        disk.write(0, &[2; 512]).unwrap().unwrap();
        let requests = disk.recorded();
        assert_eq!(requests.len(), 3);
        let left =
            |count, state| first_bytes(&Disk::cut_after(&image, &requests, count).unwrap().left(state).unwrap(), 1)[0];
        let states = |count| [CrashState::OnlyFlushed, CrashState::AllWritten].map(|state| left(count, state));
        assert_eq!([0, 1, 2].map(states), [[0, 1], [0, 1], [1, 2]]);
        assert!(requests.is_sorted_by_key(|request| request.at));
    }

    #[test]
    fn a_unit_stays_together() {
        let pieces = pieces(3 * UNIT - 512, &[1; 2 * UNIT as usize]);
        let spans: Vec<(u64, usize)> = pieces.iter().map(|piece| (piece.offset, piece.data.len())).collect();
        assert_eq!(spans, [(3 * UNIT - 512, 512), (3 * UNIT, 4096), (4 * UNIT, 3584)]);
    }

    /// Copies from memory to the directory of temporary files, which is on another file system on most machines.
    #[test]
    fn a_copy_elsewhere() {
        let memory = File::from(memfd_create("image", MFdFlags::MFD_CLOEXEC).unwrap());
        memory.set_len(64 << 20).unwrap();
        let data: Vec<u8> = (0..3 << 20).map(|byte: u32| (byte % 251) as u8).collect();
        memory.write_all_at(&data, 32 << 20).unwrap();
        let copy = copy(&memory).unwrap();
        let mut read = vec![0; data.len()];
        copy.read_exact_at(&mut read, 32 << 20).unwrap();
        assert!(read == data);
        let facts = copy.metadata().unwrap();
        assert_eq!(facts.len(), 64 << 20);
        assert!(facts.blocks() * 512 < 8 << 20, "what is a hole stays one");
    }
}
