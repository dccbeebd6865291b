//! Kernels that are not running: booted in QEMU, with the suite inside.
//!
//! A guest is a kernel and an initramfs: the running program as the first process, the programs and modules that it
//! needs, and a manifest that says its work. Results come out through a virtio port as they come about, the kernel's log
//! through a serial console. Each kernel with each file system is a guest of its own.

mod board;
mod cache;
pub mod guest;
mod machine;
mod power;
mod protocol;
mod run;
pub mod scenario;
mod suite;

pub use machine::qemu::Accelerator;
pub use run::{Document, Options, human, interact, run};
