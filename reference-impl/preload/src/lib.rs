//! Serves files of the reference to a C program, so that the examples of the page run before any kernel can run them.
//!
//! On a mounted reference:
//!
//!     LD_PRELOAD=libiomap_preload.so ./program /mnt/file
//!
//! Calls that the kernel does not pass to the daemon reach it by [`iomap_reference::ioctl`]: fallocate(2) with a mode
//! that seals or unseals, and FS_IOC_FSGETXATTR and FS_IOC_FSSETXATTR with every flag. Calls on other files go to libc
//! unchanged.
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
//! - It replaces functions of glibc, on 64-bit targets. It does not see static programs, direct system calls, calls
//!   inside of libc (stdio, mkstemp), and functions that are not in the table of `interpose.rs`.
//!
//! On a mount:
//!
//! - A daemon does not know which processes have a file mapped. The library tells it of the mappings in
//!   /proc/self/maps. So EBUSY occurs as on the page, but only for mappings of the calling process. A mapping that is
//!   made during the call can be missed.
//! - The kernel itself answers FICLONE, with EOPNOTSUPP, as on every FUSE file system, and FIDEDUPERANGE.
//! - Sealing first writes back the data in the kernel's cache, as fsync(2) does, even if the sealing is then refused.
//! - The kernel answers ioctl(2) on a FIFO: sealing one fails with EOPNOTSUPP instead of ESPIPE.
//!
//! In the process:
//!
//! - The files exist only in the process: no other process sees them, and a child of fork(2) has a copy.
//! - On a descriptor of the model, calls that are not in the table fail with EBADF: to the kernel it is an O_PATH
//!   descriptor, which only reserves the number.
//! - Names are absolute, and there are no directories. fstat(2) has no inode number.
//! - A mapping is separate memory. A store reaches the file at msync(2), at munmap(2), and before the next call on any
//!   file of the model. Data of a call are in the mapping when the call returns. In between, two mappings of a file can
//!   differ. If there is no space for a store into a hole, msync(2) reports it, or the store is lost; a kernel would
//!   send SIGBUS.
//! - A mapping is unmapped as a whole, or munmap(2) fails with EINVAL; the library does not notice mremap(2),
//!   mprotect(2) and MAP_FIXED over a mapping.

mod interpose;
mod mounted;
mod shim;
