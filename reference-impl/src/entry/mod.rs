//! The two ways into the file system: by system call, and by request of a kernel to its daemon.

pub(crate) mod requests;
