//! Kernels other than the running one: booted in QEMU, with the suite inside.
//!
//! A guest is a kernel and an initramfs. The initramfs has this program as the first process, the programs and modules
//! that it needs, and a manifest with the guest's work. Results arrive through a virtio port while the guest runs, and
//! the kernel log through a serial console. Each kernel with each file system is a separate guest.

mod board;
mod cache;
mod document;
mod error;
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

pub use document::LabDocument;
pub use error::Error;
pub use guest::init::run_as_guest;
pub use machine::qemu::Accelerator;
pub use options::Options;
pub use protocol::GUEST_COMMAND;
pub use run::{human, interact, run};
pub use scenario::{Play, ScenarioDocument, play_all, played};
pub use scripts::Scenario;
