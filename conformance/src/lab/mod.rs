//! Kernels other than the running one: booted in QEMU, with the suite inside.
//!
//! A guest is a kernel and an initramfs. The initramfs has this program as the first process, the programs and modules
//! that it needs, and a manifest with the guest's work. Results arrive through a virtio port while the guest runs, and
//! the kernel log through a serial console. Each kernel with each file system is a separate guest.

mod board;
mod cache;
mod document;
mod guest;
mod job;
mod machine;
mod options;
mod plans;
mod power;
mod protocol;
mod run;
mod scenario;
mod scripts;
mod stress;
mod suite;
mod unaware;

pub(crate) use document::LabDocument;
pub(crate) use guest::init::run_as_guest;
pub(crate) use options::Options;
pub(crate) use protocol::GUEST_COMMAND;
pub(crate) use run::{human, interact, plan, run};
pub(crate) use scenario::{play_all, played};
