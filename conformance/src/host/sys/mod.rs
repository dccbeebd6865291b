//! System calls that nix does not wrap, by file system and subject. All `unsafe` is here.
#![expect(unsafe_code, reason = "the edge to the kernel")]

pub(crate) mod aio;
pub(crate) mod btrfs;
pub(crate) mod buffer;
pub(crate) mod caps;
pub(crate) mod counter;
pub(crate) mod ext4;
pub(crate) mod f2fs;
pub(crate) mod ioctl;
pub(crate) mod loop_device;
pub(crate) mod mapping;
pub(crate) mod process;
pub(crate) mod rdma;
pub(crate) mod ring;
pub(crate) mod swap;
pub(crate) mod vfs;
pub(crate) mod xattr;
pub(crate) mod xfs;
