//! The two entries of the file system: system calls, and requests of a kernel to its daemon.

pub(crate) mod calls;
pub(crate) mod fs;
mod past;
pub(crate) mod races;
pub(crate) mod requests;
#[cfg(test)]
mod situations;
