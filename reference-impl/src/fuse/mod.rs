//! The file system behind FUSE: the daemon, and the calls that reach it by ioctl(2).

pub(crate) mod daemon;
pub mod ioctl;
