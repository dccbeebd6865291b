//! Processes and threads.

use nix::errno::Errno;
use nix::sched::{CloneFlags, clone};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::WaitStatus;
use std::os::fd::BorrowedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

/// The size of the stack of a process that makes a few calls.
const STACK: usize = 64 << 10;

/// Locked while this process is copied: fork(2). A copy has every mapping that is not marked MADV_DONTFORK, and with it the
/// file.
pub(crate) fn forking() -> MutexGuard<'static, Forking> {
    static FORKING: Mutex<Forking> = Mutex::new(Forking);
    FORKING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The right to copy this process.
pub(crate) struct Forking;

/// Locked for writing while a thread copies the table of descriptors.
static TABLE: RwLock<()> = RwLock::new(());

/// As long as the value lives, no thread copies the table of descriptors. With a copy, the file of another case would be
/// open at a second place.
pub(crate) fn one_table() -> RwLockReadGuard<'static, ()> {
    TABLE.read().unwrap_or_else(PoisonError::into_inner)
}

/// Gives this thread a table of descriptors of its own, with nothing in it but the standard three.
pub(crate) fn own_descriptors() -> Result<(), Errno> {
    // The kernel copies the table up to a multiple of 64, and then closes the descriptors (sane_fdtable_size).
    let _copying = TABLE.write().unwrap_or_else(PoisonError::into_inner);
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

/// pwrite(2) in a process with this RLIMIT_FSIZE. If SIGXFSZ is sent, that counts as EFBIG, which comes with it.
///
/// The process shares the table of descriptors: with a copy of the table, it would keep the files of other cases open
/// that these close and remove meanwhile.
pub(crate) fn pwrite_limited(file: BorrowedFd, data: &[u8], offset: i64, limit: u64) -> Result<usize, Errno> {
    in_process(CloneFlags::empty(), || {
        setrlimit(Resource::RLIMIT_FSIZE, limit, limit)?;
        SigSet::from(Signal::SIGXFSZ).thread_block()?;
        let written = nix::sys::uio::pwrite(file, data, offset);
        if is_pending(Signal::SIGXFSZ)? { Err(Errno::EFBIG) } else { written }
    })
}

/// System calls in a process that is root of a new user namespace.
pub(crate) fn in_user_namespace<T>(act: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    in_process(CloneFlags::CLONE_NEWUSER, act)
}

/// System calls in a process that shares memory and descriptors with this one. The calls take no locks and no memory.
fn in_process<T>(flags: CloneFlags, mut act: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    let mut answer = Err(Errno::EIO);
    let child = || {
        answer = act();
        0
    };
    let flags = flags | CloneFlags::CLONE_VM | CloneFlags::CLONE_VFORK | CloneFlags::CLONE_FILES;
    let mut stack = vec![0; STACK];
    // SAFETY: this thread waits until the process ends (CLONE_VFORK). Until then the process has the memory and the
    // thread-local data of this thread to itself. It makes system calls, and takes no locks and no memory.
    let child = unsafe { clone(Box::new(child), &mut stack, flags, Some(Signal::SIGCHLD as i32)) }?;
    nix::sys::wait::waitpid(child, None)?;
    answer
}

/// Work of a process with a copy of this one's memory, as after fork(2). It shares the descriptors, for the reason that
/// [`pwrite_limited`] has. EFAULT if the work cannot use memory, and EINTR if something else ends it.
pub(crate) fn in_child(_: &Forking, work: impl Fn()) -> Result<(), Errno> {
    let child = || {
        work();
        0
    };
    let flags = CloneFlags::CLONE_VFORK | CloneFlags::CLONE_FILES;
    let mut stack = vec![0; STACK];
    // SAFETY: the process has memory of its own. It does this work, and takes no locks and no memory.
    let child = unsafe { clone(Box::new(child), &mut stack, flags, Some(Signal::SIGCHLD as i32)) }?;
    match nix::sys::wait::waitpid(child, None)? {
        WaitStatus::Exited(_, 0) => Ok(()),
        WaitStatus::Signaled(_, Signal::SIGBUS | Signal::SIGSEGV, _) => Err(Errno::EFAULT),
        _ => Err(Errno::EINTR),
    }
}

/// Whether a signal waits for this process.
fn is_pending(signal: Signal) -> Result<bool, Errno> {
    let mut set = std::mem::MaybeUninit::uninit();
    // SAFETY: the call fills the set.
    Errno::result(unsafe { libc::sigpending(set.as_mut_ptr()) })?;
    // SAFETY: the set is filled.
    Ok(unsafe { SigSet::from_sigset_t_unchecked(set.assume_init()) }.contains(signal))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Runs a test whose descriptors no program has that other tests start.
    pub(crate) fn apart(test: impl FnOnce() + Send) {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                own_descriptors().unwrap();
                test();
            });
        });
    }

    #[test]
    fn a_limited_write_keeps_no_other_file_open() {
        apart(|| {
            let file = tempfile::tempfile().unwrap();
            assert_eq!(pwrite_limited(file.as_fd(), &[1; 8], 0, 4), Ok(4));
            assert_eq!(pwrite_limited(file.as_fd(), &[1; 8], 4, 4), Err(Errno::EFBIG));
            assert_eq!(pwrite_limited(file.as_fd(), &[1; 8], 4, 12), Ok(8));
            let ended = AtomicBool::new(false);
            std::thread::scope(|scope| {
                let write = || {
                    while !ended.load(Ordering::Relaxed) {
                        assert_eq!(pwrite_limited(file.as_fd(), &[1; 8], 0, 8), Ok(8));
                    }
                };
                scope.spawn(write);
                let mut kept = 0;
                for _ in 0..5000 {
                    let (reader, writer) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
                    drop(writer);
                    // A reader whose last writer is gone reads 0 bytes; otherwise it would have to wait.
                    kept += usize::from(nix::unistd::read(&reader, &mut [0]) != Ok(0));
                }
                ended.store(true, Ordering::Relaxed);
                assert_eq!(kept, 0);
            });
        });
    }
}
