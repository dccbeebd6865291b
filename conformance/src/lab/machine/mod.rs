//! A virtual machine: the kernel that it boots, the files that it starts with, its devices, and the command of QEMU.

pub(crate) mod bzimage;
pub(crate) mod console;
pub(crate) mod hardware;
pub(crate) mod initramfs;
pub(crate) mod kernel;
pub(crate) mod layout;
pub(crate) mod modules;
pub(crate) mod nvdimm;
pub(crate) mod packages;
pub(crate) mod qemu;
pub(crate) mod session;
