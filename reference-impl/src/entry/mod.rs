//! The two ways into the file system: by system call, and by request of a kernel to its daemon.

pub(crate) mod calls;
pub(crate) mod fs;
pub(crate) mod races;
pub(crate) mod requests;
