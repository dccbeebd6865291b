//! The file system behind FUSE: the daemon, and the calls that reach it by ioctl(2).

pub(crate) mod convert;
pub(crate) mod daemon;
pub mod ioctl;
pub(crate) mod session;
