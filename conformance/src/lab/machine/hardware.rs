//! What a guest has besides a processor, memory and the port to the host, by what its runs need.

use crate::host::{self, FsKind};
use crate::lab::machine::kernel::Kernel;
use crate::lab::machine::modules;
use std::path::PathBuf;

/// Some equipment of a guest.
pub(crate) struct Hardware {
    /// Modules without which there is no run.
    modules: &'static [&'static str],
    /// Modules without which less is offered.
    helpful: &'static [&'static str],
    /// Programs for the guest, where this machine has them.
    programs: &'static [&'static str],
    /// Commands that the guest carries out before its runs. What fails is said on the console, and less is offered.
    commands: &'static [&'static str],
    /// What the kernel is told.
    pub(crate) line: &'static str,
    /// What QEMU is told.
    pub(crate) arguments: &'static [&'static str],
    /// Persistent memory, in MiB. It lies above what `--memory` says.
    pub(crate) pmem: u32,
}

const NOTHING: Hardware =
    Hardware { modules: &[], helpful: &[], programs: &[], commands: &[], line: "", arguments: &[], pmem: 0 };

/// What every guest has.
static COMMON: Hardware = Hardware { modules: &["virtio_pci", "virtio_console", "loop"], ..NOTHING };

/// What ext4 and f2fs have limits for users with.
static QUOTAS: Hardware = Hardware { helpful: &["quota_v2"], ..NOTHING };

/// An RDMA adapter in software, on a network of one.
pub(crate) static RDMA: Hardware = Hardware {
    // The adapter asks for its checksum by name.
    helpful: &["dummy", "crc32_generic", "rdma_rxe"],
    programs: &["ip", "rdma"],
    commands: &[
        "ip address add 10.0.0.1/24 dev dummy0",
        "ip link set dummy0 up",
        "rdma link add rxe0 type rxe netdev dummy0",
    ],
    ..NOTHING
};

/// Three devices of persistent memory, one for each file system that a run makes. They are apart: what is adjacent would
/// become one.
static PMEM: Hardware = Hardware {
    modules: &["nd_e820", "nd_pmem"],
    line: "memmap=320M!4096M memmap=320M!4480M memmap=320M!4864M",
    pmem: 1152,
    ..NOTHING
};

/// Persistent memory on files of the lab, of which QEMU is told when they are there.
static NVDIMM: Hardware = Hardware { modules: &["nfit", "nd_pmem"], ..NOTHING };

/// A little more persistent memory than the device takes that is to be made of it.
static DEVDAX: Hardware =
    Hardware { modules: &["nd_e820", "dax_pmem", "device_dax"], line: "memmap=16M!4096M", pmem: 64, ..NOTHING };

/// What makes zoned devices of memory, one for each file system that a run makes.
static ZONED: Hardware = Hardware { modules: &["configfs", "null_blk"], ..NOTHING };

/// What a guest has besides whose disks the lab serves.
static DISKS: Hardware = Hardware { modules: &["virtio_blk"], ..NOTHING };

/// The equipment of a guest whose runs are on this file system, or of one that loses its power.
pub(crate) fn of(fs: FsKind, power: bool) -> Vec<&'static Hardware> {
    let pmem = if power { &NVDIMM } else { &PMEM };
    let mut hardware = match fs {
        FsKind::XfsDax => vec![&COMMON, pmem],
        FsKind::Ext4Dax => vec![&COMMON, pmem, &QUOTAS],
        FsKind::Devdax => vec![&COMMON, &DEVDAX],
        FsKind::F2fsZoned => vec![&COMMON, &ZONED, &QUOTAS],
        FsKind::Xfs | FsKind::Btrfs => vec![&COMMON],
        FsKind::Ext4 | FsKind::F2fs | FsKind::F2fsLfs => vec![&COMMON, &QUOTAS],
    };
    if power && !fs.is_dax() {
        hardware.push(&DISKS);
    }
    hardware
}

/// Which program is missing to set up the RDMA adapter, and how to get it.
pub(crate) fn without_programs() -> Option<String> {
    let missing = RDMA.programs.iter().find(|name| host::program(name).is_none())?;
    Some(format!("the lab needs {missing}: apt-get install iproute2"))
}

/// How much persistent memory there is, in MiB.
pub(crate) fn pmem(hardware: &[&Hardware]) -> u32 {
    hardware.iter().map(|row| row.pmem).sum()
}

/// The commands that the guest carries out before its runs.
pub(crate) fn commands(hardware: &[&Hardware]) -> Vec<String> {
    hardware.iter().flat_map(|row| row.commands).map(|command| (*command).to_owned()).collect()
}

/// The files of the modules that a guest needs, in the order in which they are loaded.
pub(crate) fn modules(hardware: &[&Hardware], kernel: &Kernel, fs: FsKind) -> Result<Vec<PathBuf>, String> {
    let needed: Vec<&str> = hardware.iter().flat_map(|row| row.modules).copied().chain(fs.module()).collect();
    let mut files = modules::resolve(kernel, &needed)?;
    for name in hardware.iter().flat_map(|row| row.helpful) {
        let more = modules::resolve(kernel, &[name]).unwrap_or_default();
        files.extend(more.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
    Ok(files)
}

/// The programs that a guest gets.
pub(crate) fn programs(hardware: &[&Hardware], fs: FsKind) -> Vec<PathBuf> {
    let names = hardware.iter().flat_map(|row| row.programs).copied().chain(fs.all_programs());
    names.filter_map(host::program).collect()
}
