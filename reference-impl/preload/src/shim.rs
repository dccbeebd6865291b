//! The model, and the descriptors and mappings of this process that belong to it.

use iomap_reference::{BLOCK, Call, Caller, Fd, Fs, MapId, Outcome, Reply, Stat, Whence};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::memfd::{MFdFlags, memfd_create};
use std::ffi::{CStr, OsString};
use std::fs::{File, OpenOptions};
use std::ops::Range;
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// 64 MiB of storage.
const BLOCKS: usize = 16 * 1024;

/// The model's descriptor for each descriptor of the process; 0 for descriptors that are not the model's. The table is
/// outside of the lock, because the shim makes calls on ordinary descriptors while it holds the lock.
static DESCRIPTORS: [AtomicI32; 1024] = [const { AtomicI32::new(0) }; 1024];

/// The number of mappings: without any, munmap(2) needs no lock.
static MAPPINGS: AtomicUsize = AtomicUsize::new(0);

static PREFIX: LazyLock<Option<Vec<u8>>> =
    LazyLock::new(|| std::env::var_os("IOMAP_REFERENCE").map(OsString::into_vec).filter(|prefix| !prefix.is_empty()));

static SHIM: LazyLock<Mutex<Shim>> = LazyLock::new(|| {
    let caller = match std::env::var_os("IOMAP_REFERENCE_UNPRIVILEGED") {
        Some(_) => Caller::Unprivileged,
        None => Caller::Privileged,
    };
    Mutex::new(Shim { fs: Fs::new(BLOCKS), caller, mappings: Vec::new() })
});

/// The model's name for a path below the prefix.
pub(crate) fn name(path: &CStr) -> Option<String> {
    let name = path.to_bytes().strip_prefix(PREFIX.as_deref()?)?.strip_prefix(b"/")?;
    Some(String::from_utf8_lossy(name).into_owned())
}

/// The model's descriptor behind a descriptor of the process.
pub(crate) fn descriptor(fd: RawFd) -> Option<Fd> {
    let entry = DESCRIPTORS.get(usize::try_from(fd).ok()?)?;
    Some(entry.load(SeqCst)).filter(|fd| *fd != 0)
}

/// Whether a range of memory touches a mapping of the model.
pub(crate) fn is_mapped(range: &Range<usize>) -> bool {
    MAPPINGS.load(SeqCst) > 0 && shim().mappings.iter().any(|mapping| mapping.overlaps(range))
}

pub(crate) fn shim() -> MutexGuard<'static, Shim> {
    SHIM.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct Shim {
    fs: Fs,
    caller: Caller,
    mappings: Vec<Mapping>,
}

impl Shim {
    /// Makes a call. Stores of all mappings reach their files before it, and its effect reaches all mappings after it.
    fn call(&mut self, call: &Call) -> Outcome {
        // Ignore a failure, because another thread may have stored the data; msync(2) reports it.
        let _ = self.store();
        let outcome = self.fs.call(self.caller, call);
        for mapping in &mut self.mappings {
            mapping.load(&self.fs, self.caller)?;
        }
        outcome
    }

    pub(crate) fn number(&mut self, call: &Call) -> Result<i64, Errno> {
        match self.call(call)? {
            Reply::Number(number) => Ok(number),
            Reply::Data(_) | Reply::Stat(_) => Err(Errno::EIO),
        }
    }

    pub(crate) fn data(&mut self, call: &Call) -> Result<Vec<u8>, Errno> {
        match self.call(call)? {
            Reply::Data(data) => Ok(data),
            Reply::Number(_) | Reply::Stat(_) => Err(Errno::EIO),
        }
    }

    pub(crate) fn stat(&mut self, fd: Fd) -> Result<Stat, Errno> {
        match self.call(&Call::Stat { fd })? {
            Reply::Stat(stat) => Ok(*stat),
            Reply::Number(_) | Reply::Data(_) => Err(Errno::EIO),
        }
    }

    pub(crate) fn open(&mut self, name: String, flags: i32, mode: u32) -> Result<i64, Errno> {
        if name.contains('/') {
            return Err(Errno::ENOENT);
        }
        let reserved = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open("/dev/null");
        let reserved = reserved.map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EMFILE)))?;
        let entry = DESCRIPTORS.get(reserved.as_raw_fd() as usize).ok_or(Errno::EMFILE)?;
        let call = Call::Open { name, flags: OFlag::from_bits_truncate(flags), mode: mode & 0o7777 };
        entry.store(self.number(&call)? as Fd, SeqCst);
        Ok(reserved.into_raw_fd().into())
    }

    /// Closes the model's descriptor. The number stays reserved.
    pub(crate) fn close(&mut self, fd: Fd) -> Result<i64, Errno> {
        let entry = DESCRIPTORS.iter().find(|entry| entry.load(SeqCst) == fd).ok_or(Errno::EBADF)?;
        entry.store(0, SeqCst);
        self.number(&Call::Close { fd })
    }

    pub(crate) fn seek(&mut self, fd: Fd, offset: i64, whence: i32) -> Result<i64, Errno> {
        let (offset, whence) = match whence {
            libc::SEEK_SET => (offset, Whence::Set),
            libc::SEEK_CUR => (offset, Whence::Cur),
            libc::SEEK_HOLE => (offset, Whence::Hole),
            libc::SEEK_END => (offset.checked_add_unsigned(self.stat(fd)?.size).ok_or(Errno::EOVERFLOW)?, Whence::Set),
            _ => return Err(Errno::EINVAL),
        };
        self.number(&Call::Seek { fd, offset, whence })
    }

    /// Copies between positions. Without a position, the descriptor's own position is used and advanced.
    pub(crate) fn copy_range(
        &mut self,
        (from, from_offset): (Fd, Option<&mut i64>),
        (to, to_offset): (Fd, Option<&mut i64>),
        len: usize,
    ) -> Result<i64, Errno> {
        let position = |shim: &mut Self, fd, given: &Option<&mut i64>| match given {
            Some(offset) => Ok(**offset),
            None => shim.seek(fd, 0, libc::SEEK_CUR),
        };
        let call = Call::CopyRange {
            from,
            from_offset: position(self, from, &from_offset)?,
            to,
            to_offset: position(self, to, &to_offset)?,
            len,
        };
        let count = self.number(&call)?;
        for (fd, given) in [(from, from_offset), (to, to_offset)] {
            match given {
                Some(offset) => *offset += count,
                None => _ = self.seek(fd, count, libc::SEEK_CUR)?,
            }
        }
        Ok(count)
    }

    /// Maps the first `len` bytes of a file. `place` maps the memory, given as a descriptor, at the address that the
    /// program wants.
    pub(crate) fn map(
        &mut self,
        fd: Fd,
        len: usize,
        (shared, write): (bool, bool),
        place: impl FnOnce(RawFd) -> Result<Range<usize>, Errno>,
    ) -> Result<i64, Errno> {
        // A mapping consists of whole pages.
        let len = len.checked_next_multiple_of(BLOCK).ok_or(Errno::ENOMEM)?;
        let id = self.number(&Call::Map { fd, len, shared, write })? as MapId;
        let placed = memfd_create("mapping", MFdFlags::MFD_CLOEXEC).and_then(|memory| {
            let mut mapping = Mapping { id, range: 0..0, memory: File::from(memory), known: Vec::new() };
            mapping.load(&self.fs, self.caller)?;
            mapping.range = place(mapping.memory.as_raw_fd())?;
            Ok(mapping)
        });
        match placed {
            Ok(mapping) => {
                let start = mapping.range.start as i64;
                self.mappings.push(mapping);
                MAPPINGS.fetch_add(1, SeqCst);
                Ok(start)
            }
            Err(errno) => {
                self.number(&Call::Unmap { map: id })?;
                Err(errno)
            }
        }
    }

    /// Ends the mapping in the model. Its memory stays mapped.
    pub(crate) fn unmap(&mut self, range: &Range<usize>) -> Result<i64, Errno> {
        let index = self.mappings.iter().position(|mapping| mapping.range == *range).ok_or(Errno::EINVAL)?;
        let _ = self.store();
        let mapping = self.mappings.swap_remove(index);
        MAPPINGS.fetch_sub(1, SeqCst);
        self.number(&Call::Unmap { map: mapping.id })
    }

    /// Writes the stores of all mappings to their files.
    pub(crate) fn store(&mut self) -> Result<i64, Errno> {
        self.mappings.iter_mut().try_for_each(|mapping| mapping.store(&self.fs, self.caller)).map(|()| 0)
    }
}

/// A mapping. Its memory is a memfd, so that the kernel implements protection, private copies and SIGBUS beyond the
/// end.
struct Mapping {
    id: MapId,
    range: Range<usize>,
    memory: File,
    /// The last contents that memory and file had in common.
    known: Vec<u8>,
}

impl Mapping {
    fn overlaps(&self, range: &Range<usize>) -> bool {
        self.range.start < range.end && range.start < self.range.end
    }

    /// Writes changed bytes to the file, and only these: bytes between them may have been changed through another
    /// mapping.
    fn store(&mut self, fs: &Fs, caller: Caller) -> Result<(), Errno> {
        let mut memory = vec![0; self.known.len()];
        self.memory.read_exact_at(&mut memory, 0).map_err(|_| Errno::EIO)?;
        let changed: Vec<usize> = (0..memory.len()).filter(|at| memory[*at] != self.known[*at]).collect();
        for run in changed.chunk_by(|at, next| at + 1 == *next) {
            let data = memory[run[0]..run[0] + run.len()].to_vec();
            fs.call(caller, &Call::Store { map: self.id, offset: run[0], data })?;
        }
        self.known = memory;
        Ok(())
    }

    /// Copies changed pages of the file into the memory, up to the end of the file in the model.
    fn load(&mut self, fs: &Fs, caller: Caller) -> Result<(), Errno> {
        let page = |index| fs.call(caller, &Call::Load { map: self.id, offset: index * BLOCK, len: BLOCK });
        let pages = (0..).map_while(|index| match page(index) {
            Ok(Reply::Data(data)) => Some(data),
            _ => None,
        });
        let file: Vec<u8> = pages.flatten().collect();
        if file != self.known {
            self.memory.set_len(file.len() as u64).map_err(|_| Errno::ENOMEM)?;
            self.memory.write_all_at(&file, 0).map_err(|_| Errno::ENOMEM)?;
            self.known = file;
        }
        Ok(())
    }
}
