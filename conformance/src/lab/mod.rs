//! Kernels that are not running: booted in QEMU, with the suite inside.
//!
//! A guest is a kernel and an initramfs: the running program as the first process, the programs and modules that it
//! needs, and a manifest that says its work. Results come through a virtio port while the guest runs, and the log of
//! the kernel comes through a serial console. Each kernel with each file system is a guest of its own.

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
mod suite;

pub use crate::error::Error;
pub use document::LabDocument;
pub use guest::init::run_as_guest;
pub use machine::qemu::Accelerator;
pub use options::Options;
pub use protocol::GUEST_COMMAND;
pub use run::{human, interact, run};
pub use scenario::{Play, ScenarioDocument, play_all, played};
pub use scripts::Scenario;
