//! io_submit(2): one request at a time, in a context of the thread.

use super::vfs::check_count;
use nix::errno::Errno;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct iocb` of <linux/aio_abi.h>, on little-endian machines.
#[repr(C)]
#[derive(Default)]
struct Request {
    data: u64,
    key: u32,
    rw_flags: i32,
    opcode: u16,
    priority: i16,
    fd: u32,
    buffer: u64,
    len: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    event_fd: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Default)]
struct Event {
    data: u64,
    request: u64,
    result: i64,
    result_too: i64,
}

thread_local! {
    /// The context of this thread. It ends with the process: io_destroy(2) waits for a grace period, 100 ms.
    static CONTEXT: Result<libc::c_ulong, Errno> = setup();
}

fn setup() -> Result<libc::c_ulong, Errno> {
    let mut context: libc::c_ulong = 0;
    // SAFETY: the kernel writes the number of the context.
    Errno::result(unsafe { libc::syscall(libc::SYS_io_setup, 1, &raw mut context) }).map(|_| context)
}

/// Writes at an offset. Returns the bytes written.
pub(crate) fn write(file: BorrowedFd, data: &[u8], offset: i64) -> Result<usize, Errno> {
    const IOCB_CMD_PWRITE: u16 = 1;
    // SAFETY: the kernel reads `data`, which outlives the request.
    unsafe { submit(file, IOCB_CMD_PWRITE, data.as_ptr().addr(), data.len(), offset) }
}

/// Reads at an offset. Returns the bytes read.
pub(crate) fn read(file: BorrowedFd, data: &mut [u8], offset: i64) -> Result<usize, Errno> {
    const IOCB_CMD_PREAD: u16 = 0;
    // SAFETY: the kernel writes to `data`, which no other code uses and which outlives the request.
    unsafe { submit(file, IOCB_CMD_PREAD, data.as_mut_ptr().expose_provenance(), data.len(), offset) }
}

/// Submits a request and waits for its end. The buffer has to live until then.
unsafe fn submit(file: BorrowedFd, opcode: u16, buffer: usize, len: usize, offset: i64) -> Result<usize, Errno> {
    let context = CONTEXT.with(Clone::clone)?;
    let mut request = Request {
        opcode,
        fd: file.as_raw_fd().unsigned_abs(),
        buffer: buffer as u64,
        len: len as u64,
        offset,
        ..Request::default()
    };
    let mut requests = [&raw mut request];
    // SAFETY: there is one request. It points to a buffer that lives, by the contract of this function.
    Errno::result(unsafe { libc::syscall(libc::SYS_io_submit, context, 1, requests.as_mut_ptr()) })?;
    let mut event = Event::default();
    let no_timeout = std::ptr::null_mut::<libc::timespec>();
    // SAFETY: the kernel writes one event, for which there is room.
    let count = unsafe { libc::syscall(libc::SYS_io_getevents, context, 1, 1, &raw mut event, no_timeout) };
    Errno::result(count)?;
    check_count(event.result)
}
