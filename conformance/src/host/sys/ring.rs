//! io_uring: one request at a time, on a ring of its own.

use super::mapping::{Mapping, Registration, scratch};
use super::vfs::{check_count, errno};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::fs::FileExt;

/// The place where a request begins; `None` means the file offset.
fn place(offset: Option<i64>) -> u64 {
    offset.map_or(u64::MAX, i64::cast_unsigned)
}

/// Writes from a buffer, which is registered first if `fixed` is set. Returns the bytes written.
pub(crate) fn write(file: BorrowedFd, data: &[u8], offset: Option<i64>, fixed: bool) -> Result<usize, Errno> {
    let (fd, start, len) = (types::Fd(file.as_raw_fd()), data.as_ptr(), data.len() as u32);
    let entry = if fixed {
        opcode::WriteFixed::new(fd, start, len, 0).offset(place(offset)).build()
    } else {
        opcode::Write::new(fd, start, len).offset(place(offset)).build()
    };
    let buffer = libc::iovec { iov_base: start.cast_mut().cast(), iov_len: data.len() };
    // SAFETY: the kernel reads `data`, which outlives the request: `submit` waits for its end.
    unsafe { submit(&entry, fixed.then_some(buffer)) }
}

/// Reads into a buffer in the same way. Returns the bytes read.
pub(crate) fn read(file: BorrowedFd, data: &mut [u8], offset: Option<i64>, fixed: bool) -> Result<usize, Errno> {
    let (fd, start, len) = (types::Fd(file.as_raw_fd()), data.as_mut_ptr(), data.len() as u32);
    let entry = if fixed {
        opcode::ReadFixed::new(fd, start, len, 0).offset(place(offset)).build()
    } else {
        opcode::Read::new(fd, start, len).offset(place(offset)).build()
    };
    let buffer = libc::iovec { iov_base: start.cast(), iov_len: data.len() };
    // SAFETY: the kernel writes to `data`, which no other code uses and which outlives the request.
    unsafe { submit(&entry, fixed.then_some(buffer)) }
}

/// Submits a request and waits for its end. The memory to which it points has to live until then.
unsafe fn submit(entry: &squeue::Entry, buffer: Option<libc::iovec>) -> Result<usize, Errno> {
    let mut ring = IoUring::new(1).map_err(errno)?;
    if let Some(buffer) = buffer {
        // SAFETY: the buffer is valid as long as the ring, which ends with this function.
        unsafe { ring.submitter().register_buffers(&[buffer]) }.map_err(errno)?;
    }
    // SAFETY: by the contract of this function.
    unsafe { complete(&mut ring, entry) }
}

/// Submits a request to an existing ring, in the same way.
unsafe fn complete(ring: &mut IoUring, entry: &squeue::Entry) -> Result<usize, Errno> {
    // SAFETY: by the contract of this function.
    unsafe { ring.submission().push(entry) }.map_err(|_| Errno::EAGAIN)?;
    ring.submit_and_wait(1).map_err(errno)?;
    let result = ring.completion().next().ok_or(Errno::EIO)?.result();
    check_count(i64::from(result))
}

/// A mapping as the registered buffer of a ring.
pub(crate) struct Buffer {
    ring: IoUring,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(mapping: &Mapping) -> Result<Self, Errno> {
        let ring = IoUring::new(1).map_err(errno)?;
        let buffer = libc::iovec { iov_base: mapping.start.as_ptr(), iov_len: mapping.len };
        // SAFETY: the kernel pins the pages, and does not ask later whether they are mapped.
        unsafe { ring.submitter().register_buffers(&[buffer]) }.map_err(errno)?;
        Ok(Self { ring, start: mapping.start.as_ptr().expose_provenance(), len: mapping.len })
    }

    /// The address at which the buffer was mapped. It is only a name for the page there.
    fn at(&self, offset: usize, len: usize) -> Result<*mut u8, Errno> {
        let inside = offset.checked_add(len).is_some_and(|end| end <= self.len);
        if inside { Ok(std::ptr::with_exposed_provenance_mut(self.start + offset)) } else { Err(Errno::EFAULT) }
    }

    fn transfer(&mut self, entry: &squeue::Entry, len: usize) -> Result<(), Errno> {
        // SAFETY: the request uses only the pinned pages and our own file.
        let count = unsafe { complete(&mut self.ring, entry) }?;
        if count == len { Ok(()) } else { Err(Errno::EIO) }
    }
}

impl Registration for Buffer {
    fn number(&self) -> i32 {
        self.ring.as_raw_fd()
    }

    fn write(&mut self, offset: usize, data: &[u8]) -> Result<(), Errno> {
        let from = scratch(data)?;
        let fd = types::Fd(from.as_raw_fd());
        let entry = opcode::ReadFixed::new(fd, self.at(offset, data.len())?, data.len() as u32, 0).build();
        self.transfer(&entry, data.len())
    }

    fn read(&mut self, offset: usize, len: usize) -> Result<Vec<u8>, Errno> {
        let to = scratch(&[])?;
        let fd = types::Fd(to.as_raw_fd());
        let entry = opcode::WriteFixed::new(fd, self.at(offset, len)?, len as u32, 0).build();
        self.transfer(&entry, len)?;
        let mut data = vec![0; len];
        to.read_exact_at(&mut data, 0).map_err(errno)?;
        Ok(data)
    }
}
