//! Processes and threads.

use nix::errno::Errno;
use nix::sys::signal::Signal;
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
