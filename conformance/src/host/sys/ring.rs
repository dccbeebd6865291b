//! io_uring: one request at a time, on a ring of its own.

use super::check_count;
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Where a request begins; nothing is the file offset.
fn place(offset: Option<i64>) -> u64 {
    offset.map_or(u64::MAX, i64::cast_unsigned)
}

/// Writes from a buffer, which is registered before if `fixed` says so. Returns the bytes written.
pub(in crate::host) fn write(file: BorrowedFd, data: &[u8], offset: Option<i64>, fixed: bool) -> Result<usize, Errno> {
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
pub(in crate::host) fn read(
    file: BorrowedFd,
    data: &mut [u8],
    offset: Option<i64>,
    fixed: bool,
) -> Result<usize, Errno> {
    let (fd, start, len) = (types::Fd(file.as_raw_fd()), data.as_mut_ptr(), data.len() as u32);
    let entry = if fixed {
        opcode::ReadFixed::new(fd, start, len, 0).offset(place(offset)).build()
    } else {
        opcode::Read::new(fd, start, len).offset(place(offset)).build()
    };
    let buffer = libc::iovec { iov_base: start.cast(), iov_len: data.len() };
    // SAFETY: the kernel writes to `data`, which nobody else has and which outlives the request.
    unsafe { submit(&entry, fixed.then_some(buffer)) }
}

/// Hands a request over and waits for its end. What it points to has to live as long.
unsafe fn submit(entry: &squeue::Entry, buffer: Option<libc::iovec>) -> Result<usize, Errno> {
    let mut ring = IoUring::new(1).map_err(super::errno)?;
    if let Some(buffer) = buffer {
        // SAFETY: the buffer is valid as long as the ring, which ends with this function.
        unsafe { ring.submitter().register_buffers(&[buffer]) }.map_err(super::errno)?;
    }
    // SAFETY: by the contract of this function.
    unsafe { ring.submission().push(entry) }.map_err(|_| Errno::EAGAIN)?;
    ring.submit_and_wait(1).map_err(super::errno)?;
    let result = ring.completion().next().ok_or(Errno::EIO)?.result();
    check_count(i64::from(result))
}
