//! Serves files of the reference to a C program, so that the examples of the page run before any kernel can run them.
//!
//! On a mounted reference:
//!
//!     LD_PRELOAD=libiomap_preload.so ./program /mnt/file
//!
//! Calls that the kernel keeps from the daemon reach it by [`iomap_reference::ioctl`]: fallocate(2) with a mode that
//! seals or unseals, and FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR with every flag. Calls on other files go on to libc as
//! they are.
//!
//! Without a mount, for one process:
//!
//!     IOMAP_REFERENCE=/iomap LD_PRELOAD=libiomap_preload.so ./program /iomap/file
//!
//! Calls on names directly below the prefix in `IOMAP_REFERENCE`, on their descriptors and on their mappings go to one
//! [`iomap_reference::Fs`] in the process; all others go on to libc. The caller has CAP_LINUX_IMMUTABLE unless
//! `IOMAP_REFERENCE_UNPRIVILEGED` is set.
//!
//! Limits:
//!
//! - It replaces functions of glibc, on 64-bit targets. Static programs, direct system calls and what libc does inside
//!   (stdio, mkstemp) pass it by, and so do calls that are not in the table of `interpose.rs`.
//!
//! On a mount:
//!
//! - A daemon is not told who has a file mapped. The library tells it of the mappings that are in /proc/self/maps, so
//!   EBUSY comes where the page has it, but only for those of the process that calls. One that is made during the call
//!   can be missed.
//! - FICLONE ends in the kernel, with EOPNOTSUPP, as on every FUSE file system; FIDEDUPERANGE ends there too.
//! - Sealing writes back what is in the kernel's cache first, as fsync(2) does, also when it is refused then.
//! - A FIFO answers ioctl(2) itself: sealing one fails with EOPNOTSUPP instead of ESPIPE.
//!
//! In the process:
//!
//! - The files live and die with the process: no other process sees them, and a child of fork(2) has a copy.
//! - Calls that are not in the table fail with EBADF on one of its descriptors: underneath it is an O_PATH descriptor,
//!   which holds the number and nothing else.
//! - Names are absolute, and there are no directories. fstat(2) has no inode number.
//! - A mapping is memory of its own. A store reaches the file at msync(2), at munmap(2), and before the next call on
//!   any file of the model; what a call wrote is in the mapping when it returns. Until then two mappings of a file
//!   differ. A store into a hole for which there is no space is reported by msync(2), or lost, where a kernel sends
//!   SIGBUS.
//! - A mapping is unmapped as a whole, or munmap(2) fails with EINVAL; mremap(2), mprotect(2) and MAP_FIXED over a
//!   mapping go unnoticed.

mod interpose;
mod mounted;
mod shim;
