//! Mappings of files, and stores and loads through a mapping.

use super::ioctl::{Request, ioctl};
use super::process;
use super::vfs::errno;
use nix::errno::Errno;
use nix::sys::mman::{MRemapFlags, MapFlags, MmapAdvise, MsFlags, ProtFlags, mmap, mremap};
use nix::sys::statfs::{FUSE_SUPER_MAGIC, fstatfs};
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

const UFFDIO_REGISTER: Request<[u64; 4]> = Request::read_write(0xaa, 0x00);
const UFFDIO_WRITEPROTECT: Request<[u64; 3]> = Request::read_write(0xaa, 0x06);
const UFFDIO_API: Request<[u64; 3]> = Request::read_write(0xaa, 0x3f);

/// A mapping of a file, until it is dropped.
pub(crate) struct Mapping {
    pub(super) start: std::ptr::NonNull<libc::c_void>,
    pub(super) len: usize,
    /// Whether the file is on FUSE. At the end of such a mapping the kernel waits for the daemon to write (fuse_vma_close),
    /// with the lock of the address space. The daemon can be in this process, and need that lock.
    by_daemon: bool,
}

// SAFETY: the memory belongs to the process, so any thread may use it and unmap it.
unsafe impl Send for Mapping {}

impl Mapping {
    pub(crate) fn new(file: BorrowedFd, len: usize, shared: bool, write: bool) -> Result<Self, Errno> {
        let protection = if write { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        let flags = if shared { MapFlags::MAP_SHARED } else { MapFlags::MAP_PRIVATE };
        Self::with(file, len, protection, flags)
    }

    fn with(file: BorrowedFd, len: usize, protection: ProtFlags, flags: MapFlags) -> Result<Self, Errno> {
        Self::from(file, 0, len, protection, flags)
    }

    pub(super) fn from(
        file: BorrowedFd,
        offset: i64,
        len: usize,
        protection: ProtFlags,
        flags: MapFlags,
    ) -> Result<Self, Errno> {
        let size = std::num::NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        let by_daemon = fstatfs(file).is_ok_and(|fs| fs.filesystem_type() == FUSE_SUPER_MAGIC);
        let _forking = process::forking();
        // SAFETY: the kernel chooses the address, so no other memory is replaced.
        let start = unsafe { mmap(None, size, protection, flags, file, offset) }?;
        // A mapping consists of whole pages.
        let mapping = Self { start, len: len.next_multiple_of(iomap_reference::BLOCK), by_daemon };
        mapping.inherit(false)?;
        Ok(mapping)
    }

    pub(super) fn at(&self, offset: usize, len: usize) -> Result<*mut libc::c_void, Errno> {
        if offset.checked_add(len).is_none_or(|end| end > self.len) {
            return Err(Errno::EFAULT);
        }
        // SAFETY: the offset is inside the mapping.
        Ok(unsafe { self.start.as_ptr().byte_add(offset) })
    }

    /// Stores through the kernel. If a page cannot be written, the kernel reports EFAULT, where a store by the
    /// processor would raise SIGBUS. The fault that the file system sees is the same.
    pub(crate) fn store(&self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let scratch = scratch(data)?;
        let to = self.at(offset, data.len())?;
        // SAFETY: the kernel writes inside the mapping, to which no Rust reference exists.
        let count = unsafe { libc::pread(scratch.as_raw_fd(), to, data.len(), 0) };
        if Errno::result(count)? as usize == data.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// Loads in the same way.
    pub(crate) fn load(&self, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let scratch = scratch(&[])?;
        let from = self.at(offset, len)?;
        // SAFETY: the kernel reads inside the mapping.
        let count = unsafe { libc::pwrite(scratch.as_raw_fd(), from, len, 0) };
        if Errno::result(count)? as usize != len {
            return Err(Errno::EFAULT);
        }
        let mut data = vec![0; len];
        std::os::unix::fs::FileExt::read_exact_at(&scratch, &mut data, 0).map_err(|_| Errno::EIO)?;
        Ok(data)
    }

    /// mmap(2) with MAP_SHARED_VALIDATE and MAP_SYNC, for reading and writing.
    pub(crate) fn synchronous(file: BorrowedFd, len: usize) -> Result<Self, Errno> {
        let flags = MapFlags::MAP_SHARED_VALIDATE | MapFlags::MAP_SYNC;
        Self::with(file, len, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, flags)
    }

    /// Memory that belongs to no file.
    pub(crate) fn anonymous(len: usize) -> Result<Self, Errno> {
        let size = std::num::NonZeroUsize::new(len).ok_or(Errno::EINVAL)?;
        let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: the kernel chooses the address, so no other memory is replaced.
        let start = unsafe { nix::sys::mman::mmap_anonymous(None, size, protection, MapFlags::MAP_PRIVATE) }?;
        Ok(Self { start, len, by_daemon: false })
    }

    /// madvise(2) with MADV_PAGEOUT.
    pub(crate) fn swap_out(&self) -> Result<(), Errno> {
        // SAFETY: this advice changes no data.
        unsafe { nix::sys::mman::madvise(self.start, self.len, MmapAdvise::MADV_PAGEOUT) }
    }

    /// mprotect(2), to reading, and perhaps writing.
    pub(crate) fn protect(&self, write: bool) -> Result<(), Errno> {
        let protection = if write { ProtFlags::PROT_READ | ProtFlags::PROT_WRITE } else { ProtFlags::PROT_READ };
        // SAFETY: no Rust reference points into the mapping.
        unsafe { nix::sys::mman::mprotect(self.start, self.len, protection) }
    }

    /// mlock(2).
    pub(crate) fn lock(&self) -> Result<(), Errno> {
        // SAFETY: locking changes nothing that a program sees.
        unsafe { nix::sys::mman::mlock(self.start, self.len) }
    }

    /// madvise(2) with MADV_POPULATE_WRITE: every page is made writable now.
    pub(crate) fn populate(&self) -> Result<(), Errno> {
        // SAFETY: this advice changes no data.
        unsafe { nix::sys::mman::madvise(self.start, self.len, MmapAdvise::MADV_POPULATE_WRITE) }
    }

    /// Whether a child of fork(2) gets the mapping: madvise(2). Otherwise the programs that other cases start would use the
    /// file for a moment, also after its own case has unmapped it.
    fn inherit(&self, on: bool) -> Result<(), Errno> {
        let advice = if on { MmapAdvise::MADV_DOFORK } else { MmapAdvise::MADV_DONTFORK };
        // SAFETY: this advice changes no data.
        unsafe { nix::sys::mman::madvise(self.start, self.len, advice) }
    }

    /// mremap(2) to another place.
    pub(crate) fn elsewhere(mut self) -> Result<Self, Errno> {
        let flags = MRemapFlags::MREMAP_MAYMOVE | MRemapFlags::MREMAP_FIXED;
        let mut place = Self::anonymous(self.len)?;
        // SAFETY: the mapping replaces memory to which nothing points, and nothing points into the mapping.
        let start = unsafe { mremap(self.start, self.len, self.len, flags, Some(place.start)) }?;
        // The place belongs to the mapping now, and its old place to nothing.
        place.len = 0;
        Ok(Self { start, len: std::mem::take(&mut self.len), by_daemon: self.by_daemon })
    }

    /// munmap(2) of the last page.
    pub(crate) fn without_last_page(mut self) -> Result<Self, Errno> {
        let len = self.len - iomap_reference::BLOCK;
        // SAFETY: the page is inside the mapping, and nothing points into it.
        unsafe { nix::sys::mman::munmap(self.start.byte_add(len), iomap_reference::BLOCK) }?;
        self.len = len;
        Ok(self)
    }

    /// Write-protects every page by userfaultfd(2) in the asynchronous mode: the kernel itself lets the first store to
    /// each page through (Linux 6.7). The protection lasts until the descriptor is closed.
    pub(crate) fn write_protect(&self) -> Result<OwnedFd, Errno> {
        const UFFD_API: u64 = 0xaa;
        const UFFD_FEATURE_WP_ASYNC: u64 = 1 << 15;
        const MODE_WP: u64 = 1 << 1;
        const WRITEPROTECT_MODE_WP: u64 = 1;
        // SAFETY: the call takes a number.
        let fd = Errno::result(unsafe { libc::syscall(libc::SYS_userfaultfd, libc::O_CLOEXEC) })?;
        // SAFETY: the descriptor was just made and has no other owner.
        let fd = unsafe { OwnedFd::from_raw_fd(fd as i32) };
        let (start, len) = (self.start.as_ptr().addr() as u64, self.len as u64);
        let mut api = [UFFD_API, UFFD_FEATURE_WP_ASYNC, 0];
        let mut range = [start, len, MODE_WP, 0];
        let mut protection = [start, len, WRITEPROTECT_MODE_WP];
        ioctl(&fd, &UFFDIO_API, &mut api)?;
        ioctl(&fd, &UFFDIO_REGISTER, &mut range)?;
        ioctl(&fd, &UFFDIO_WRITEPROTECT, &mut protection)?;
        Ok(fd)
    }

    /// process_vm_writev(2) to this process. A page that cannot be written is EFAULT.
    pub(crate) fn store_remotely(&self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        use nix::sys::uio::{RemoteIoVec, process_vm_writev};
        let to = RemoteIoVec { base: self.at(offset, data.len())?.addr(), len: data.len() };
        let count = process_vm_writev(nix::unistd::getpid(), &[IoSlice::new(data)], &[to])?;
        if count == data.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// A store by a child of fork(2). A page that cannot be written ends the child by a signal: EFAULT.
    pub(crate) fn store_by_child(&self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let to = self.at(offset, data.len())?.cast::<u8>();
        // SAFETY: the bytes are inside the mapping, to which no Rust reference exists.
        let store = || unsafe { to.copy_from_nonoverlapping(data.as_ptr(), data.len()) };
        let forking = process::forking();
        self.inherit(true)?;
        let stored = process::in_child(&forking, store);
        self.inherit(false)?;
        stored
    }

    /// A write to /proc/self/mem, as a debugger writes.
    pub(crate) fn store_as_debugger(&self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let to = self.at(offset, data.len())?.addr() as u64;
        let memory = File::options().write(true).open("/proc/self/mem").map_err(errno)?;
        let count = memory.write_at(data, to).map_err(errno)?;
        if count == data.len() { Ok(()) } else { Err(Errno::EFAULT) }
    }

    /// A store. The processor then writes it back from its caches: CLFLUSH of each line, and SFENCE. Every x86-64 has
    /// these instructions; newer instructions are only faster.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn store_and_flush(&self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        const LINE: usize = 64;
        self.store(offset, data)?;
        for at in (offset..offset + data.len()).step_by(LINE).chain(data.len().checked_sub(1).map(|last| offset + last))
        {
            let line = self.at(at, 1)?;
            // SAFETY: the line is inside the mapping, and flushing changes no data.
            unsafe { std::arch::x86_64::_mm_clflush(line.cast()) };
        }
        // SAFETY: the instruction only orders what came before.
        unsafe { std::arch::x86_64::_mm_sfence() };
        Ok(())
    }

    /// The suite does not know the instructions of other processors.
    #[cfg(not(target_arch = "x86_64"))]
    pub(crate) fn store_and_flush(&self, _: usize, _: &[u8]) -> Result<(), Errno> {
        Err(Errno::ENOSYS)
    }

    /// A store of one byte by the processor. The file must keep its size: beyond its end this raises SIGBUS.
    pub(crate) fn set(&self, offset: usize, byte: u8) -> Result<(), Errno> {
        let to = self.at(offset, 1)?.cast::<u8>();
        // SAFETY: the byte is inside the mapping, to which no Rust reference exists.
        unsafe { to.write_volatile(byte) };
        Ok(())
    }

    /// pread(2) from a file into the mapping; with O_DIRECT a device writes to the pages.
    pub(crate) fn store_from(&self, offset: usize, from: BorrowedFd, len: usize) -> Result<(), Errno> {
        let to = self.at(offset, len)?;
        // SAFETY: the kernel writes inside the mapping, to which no Rust reference exists.
        let count = unsafe { libc::pread(from.as_raw_fd(), to, len, 0) };
        if Errno::result(count)? as usize == len { Ok(()) } else { Err(Errno::EFAULT) }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        if self.len == 0 {
            return;
        }
        if self.by_daemon {
            // SAFETY: the call changes no memory.
            let _ = unsafe { nix::sys::mman::msync(self.start, self.len, MsFlags::MS_SYNC) };
        }
        // SAFETY: this is the mapping that `new` made, and nothing points into it.
        let _ = unsafe { nix::sys::mman::munmap(self.start, self.len) };
    }
}

/// The long-term access of a device to the pages of a mapping. The pages are pinned (FOLL_LONGTERM) until this is
/// dropped. The mapping may end before.
pub(crate) trait Registration: Send {
    /// A descriptor that is open as long as the registration lasts.
    fn number(&self) -> i32;

    /// Makes the device write to the pages.
    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), Errno>;

    /// Makes the device read from the pages.
    fn read(&mut self, offset: usize, len: usize) -> Result<Vec<u8>, Errno>;
}

/// A file in memory with these contents.
pub(crate) fn scratch(data: &[u8]) -> Result<File, Errno> {
    let fd = nix::sys::memfd::memfd_create("scratch", nix::sys::memfd::MFdFlags::MFD_CLOEXEC)?;
    let file = File::from(fd);
    std::os::unix::fs::FileExt::write_all_at(&file, data, 0).map_err(|_| Errno::EIO)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    /// The stores through a moved, a cut and an inherited mapping are in the file; beyond the end of the file a store fails.
    #[test]
    fn stores_reach_the_file() {
        const PAGE: usize = iomap_reference::BLOCK;
        let file = tempfile::tempfile().unwrap();
        let map = |pages| Mapping::new(file.as_fd(), pages * PAGE, true, true).unwrap();
        assert_eq!(map(1).store_by_child(0, b"lost"), Err(Errno::EFAULT));
        file.set_len(PAGE as u64).unwrap();
        map(1).store_by_child(0, b"child").unwrap();
        map(1).elsewhere().unwrap().store(10, b"moved").unwrap();
        let cut = map(2).without_last_page().unwrap();
        cut.store(20, b"cut").unwrap();
        assert_eq!(cut.store(PAGE, b"gone"), Err(Errno::EFAULT));
        let mut data = [0; 23];
        file.read_exact_at(&mut data, 0).unwrap();
        assert_eq!(&data, b"child\0\0\0\0\0moved\0\0\0\0\0cut");
    }
}
