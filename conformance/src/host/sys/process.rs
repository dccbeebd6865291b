//! Processes and threads.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Gives this thread a table of descriptors of its own, with nothing in it but the standard three.
pub(crate) fn own_descriptors() -> Result<(), Errno> {
    // SAFETY: the call takes numbers. The descriptors that it closes stay open in the table that this thread leaves.
    let result = unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_UNSHARE) };
    Errno::result(result).map(|_| ())
}

/// Makes the kernel send SIGKILL to a program when the thread that starts it ends.
pub(crate) fn end_with_parent(command: &mut Command) {
    let parent = nix::unistd::getpid();
    let bind = move || {
        nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have ended already.
        if nix::unistd::getppid() == parent { Ok(()) } else { Err(Errno::ESRCH.into()) }
    };
    // SAFETY: between fork and exec the closure makes two system calls, and takes neither memory nor locks.
    unsafe { command.pre_exec(bind) };
}

/// pwrite(2) in a child with this RLIMIT_FSIZE. A child that is ended by SIGXFSZ counts as EFBIG, which comes with it.
pub(crate) fn pwrite_limited(file: BorrowedFd, data: &[u8], offset: i64, limit: u64) -> Result<usize, Errno> {
    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_CLOEXEC)?;
    let size = libc::rlimit { rlim_cur: limit, rlim_max: limit };
    let core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: after fork the child makes system calls only, on memory that it has a copy of, and ends.
    let child = unsafe { libc::fork() };
    if child == 0 {
        // SAFETY: as above. The data and the answer live until the child ends.
        unsafe {
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            libc::setrlimit(libc::RLIMIT_CORE, &raw const core);
            libc::setrlimit(libc::RLIMIT_FSIZE, &raw const size);
            let count = libc::pwrite(file.as_raw_fd(), data.as_ptr().cast(), data.len(), offset);
            let answer = if count < 0 { -i64::from(Errno::last_raw()) } else { count as i64 };
            libc::write(writer.as_raw_fd(), (&raw const answer).cast(), size_of::<i64>());
            libc::_exit(0);
        }
    }
    let child = nix::unistd::Pid::from_raw(Errno::result(child)?);
    drop(writer);
    let mut answer = [0; size_of::<i64>()];
    let answered = nix::unistd::read(&reader, &mut answer);
    nix::sys::wait::waitpid(child, None)?;
    match answered? {
        0 => Err(Errno::EFBIG),
        _ => super::vfs::check_count(i64::from_ne_bytes(answer)),
    }
}
