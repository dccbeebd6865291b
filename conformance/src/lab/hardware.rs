//! What a guest has besides a processor, memory and the port to the host, by what its runs need.

use super::kernel::Kernel;
use super::modules;
use crate::host::{self, FsKind};
use std::path::PathBuf;

/// Some equipment of a guest.
pub(super) struct Hardware {
    /// Modules without which there is no run.
    modules: &'static [&'static str],
    /// Modules without which less is offered.
    helpful: &'static [&'static str],
    /// Programs for the guest, where this machine has them.
    programs: &'static [&'static str],
    /// Commands that the guest carries out before its runs. What fails is said on the console, and less is offered.
    commands: &'static [&'static str],
    /// What the kernel is told.
    pub(super) line: &'static str,
    /// What QEMU is told.
    pub(super) arguments: &'static [&'static str],
}

/// What every guest has.
static COMMON: Hardware = Hardware {
    modules: &["virtio_pci", "virtio_console", "loop"],
    // Without it ext4 and f2fs have no quotas.
    helpful: &["quota_v2"],
    programs: &[],
    commands: &[],
    line: "",
    arguments: &[],
};

/// An RDMA adapter in software, on a network of one.
static RDMA: Hardware = Hardware {
    modules: &[],
    // The adapter asks for its checksum by name.
    helpful: &["dummy", "crc32_generic", "rdma_rxe"],
    programs: &["ip", "rdma"],
    commands: &[
        "ip address add 10.0.0.1/24 dev dummy0",
        "ip link set dummy0 up",
        "rdma link add rxe0 type rxe netdev dummy0",
    ],
    line: "",
    arguments: &[],
};

/// The equipment of a guest whose runs are on this file system.
pub(super) fn of(_: FsKind) -> Vec<&'static Hardware> {
    vec![&COMMON, &RDMA]
}

/// The commands that the guest carries out before its runs.
pub(super) fn commands(hardware: &[&Hardware]) -> Vec<String> {
    hardware.iter().flat_map(|row| row.commands).map(|command| (*command).to_owned()).collect()
}

/// The files of the modules that a guest needs, in the order in which they are loaded.
pub(super) fn modules(hardware: &[&Hardware], kernel: &Kernel, fs: FsKind) -> Result<Vec<PathBuf>, String> {
    let needed: Vec<&str> = hardware.iter().flat_map(|row| row.modules).copied().chain([fs.name()]).collect();
    let mut files = modules::resolve(kernel, &needed)?;
    for name in hardware.iter().flat_map(|row| row.helpful) {
        let more = modules::resolve(kernel, &[name]).unwrap_or_default();
        files.extend(more.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
    Ok(files)
}

/// The programs that a guest gets.
pub(super) fn programs(hardware: &[&Hardware], fs: FsKind) -> Vec<PathBuf> {
    let names = hardware.iter().flat_map(|row| row.programs).copied().chain(fs.all_programs());
    names.filter_map(host::program).collect()
}
