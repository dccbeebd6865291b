//! The hardware of a guest besides processor, memory and port: a row for each file system.

use crate::error::Result;
use crate::filesystem::{FsKind, Medium, Quotas};
use crate::lab::machine::kernel::BootKernel;
use crate::lab::machine::modules;
use crate::programs;
use std::path::PathBuf;

/// A piece of equipment.
pub(crate) struct Hardware {
    /// Modules that a run needs.
    modules: &'static [&'static str],
    /// Modules without which some features are not offered.
    helpful: &'static [&'static str],
    /// Programs for the guest, if they are installed on this machine.
    programs: &'static [&'static str],
    /// Commands that the guest runs before its runs. A failure is printed on the console, and some features are not
    /// offered.
    commands: &'static [&'static str],
    /// Additions to the command line of the kernel.
    pub(crate) line: &'static str,
    /// Arguments of QEMU.
    pub(crate) arguments: &'static [&'static str],
    /// Persistent memory, in MiB, in addition to `--memory`.
    pub(crate) pmem: u32,
}

const NOTHING: Hardware =
    Hardware { modules: &[], helpful: &[], programs: &[], commands: &[], line: "", arguments: &[], pmem: 0 };

/// The hardware of every guest.
static COMMON: Hardware = Hardware { modules: &["virtio_pci", "virtio_console", "loop"], ..NOTHING };

/// The module that ext4 and f2fs need for quotas.
static QUOTAS: Hardware = Hardware { helpful: &["quota_v2"], ..NOTHING };

/// An RDMA adapter in software, on a network of one machine.
pub(crate) static RDMA: Hardware = Hardware {
    // The adapter requests its checksum by name.
    helpful: &["dummy", "crc32_generic", "rdma_rxe"],
    programs: &["ip", "rdma"],
    commands: &[
        "ip address add 10.0.0.1/24 dev dummy0",
        "ip link set dummy0 up",
        "rdma link add rxe0 type rxe netdev dummy0",
    ],
    ..NOTHING
};

/// Six devices of persistent memory: one for each of the five file systems that a run makes, and one for the shell.
/// There are gaps between them, because the kernel would join adjacent devices.
static PMEM: Hardware = Hardware {
    modules: &["nd_e820", "nd_pmem"],
    line: "memmap=320M!4096M memmap=320M!4480M memmap=320M!4864M memmap=320M!5248M memmap=320M!5632M memmap=320M!6016M",
    pmem: 2304,
    ..NOTHING
};

/// Persistent memory in files of the lab. The arguments of QEMU are added when the files exist.
static NVDIMM: Hardware = Hardware { modules: &["nfit", "nd_pmem"], ..NOTHING };

/// Persistent memory for a device-dax, slightly larger than the device.
static DEVDAX: Hardware =
    Hardware { modules: &["nd_e820", "dax_pmem", "device_dax"], line: "memmap=16M!4096M", pmem: 64, ..NOTHING };

/// Modules for zoned devices in memory, one for each file system that a run makes.
static ZONED: Hardware = Hardware { modules: &["configfs", "null_blk"], ..NOTHING };

/// The NFS server of the kernel, and a network of one machine.
static SERVER: Hardware =
    Hardware { modules: &["nfsd", "nfsv4"], programs: &["ip"], commands: &["ip link set lo up"], ..NOTHING };

/// The hardware of a guest whose disks are served by the lab (NBD).
static DISKS: Hardware = Hardware { modules: &["virtio_blk"], ..NOTHING };

/// The storage that survives a guest whose power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Survivor {
    /// A disk of the lab, which loses its write cache.
    Disk,
    /// Persistent memory.
    Memory,
}

/// The hardware for a file system.
struct Row {
    /// The hardware of a guest that keeps its power.
    runs: Vec<&'static Hardware>,
    /// The hardware of a guest whose power is cut, and the storage that survives. `None` if the storage of the file
    /// system cannot lose unflushed data, or if it ends with the guest.
    cuts: Option<(Survivor, Vec<&'static Hardware>)>,
}

/// The hardware, from the facts of the file system.
fn row(fs: FsKind) -> Row {
    let facts = fs.facts();
    let quotas: &[&'static Hardware] = match facts.quotas {
        // mkfs makes them in the format of this module.
        Quotas::Mounted { mkfs: [_, ..], .. } => &[&QUOTAS],
        Quotas::Mounted { mkfs: [], .. } | Quotas::Subvolumes | Quotas::Missing => &[],
    };
    let (medium, survivor): (&[&'static Hardware], _) = match facts.medium {
        Medium::Loop => (&[], Some((Survivor::Disk, &DISKS))),
        Medium::Pmem if fs.is_mounted() => (&[&PMEM], Some((Survivor::Memory, &NVDIMM))),
        Medium::Pmem => (&[&DEVDAX], None),
        Medium::Zoned => (&[&ZONED], None),
        Medium::Server => (&[&SERVER], None),
    };
    let with = |storage: &[&'static Hardware]| [&[&COMMON], storage, quotas].concat();
    let cuts = survivor.filter(|_| facts.is_cut).map(|(survivor, disk)| (survivor, with(&[disk])));
    Row { runs: with(medium), cuts }
}

/// The storage of a file system that survives a power cut of the guest, if there is any.
pub(crate) fn survivor(fs: FsKind) -> Option<Survivor> {
    row(fs).cuts.map(|(survivor, _)| survivor)
}

/// The hardware of a guest for runs on this file system, or of a guest whose power is cut.
pub(crate) fn of(fs: FsKind, power_cuts: bool) -> Vec<&'static Hardware> {
    let Row { runs, cuts } = row(fs);
    match cuts {
        Some((_, hardware)) if power_cuts => hardware,
        Some(_) | None => runs,
    }
}

/// The missing program for the RDMA adapter, and how to install it.
pub(crate) fn without_programs() -> Option<String> {
    let missing = RDMA.programs.iter().find(|name| programs::find(name).is_none())?;
    Some(format!("the lab needs {missing}: apt-get install iproute2"))
}

/// The size of the persistent memory, in MiB.
pub(crate) fn pmem(hardware: &[&Hardware]) -> u32 {
    hardware.iter().map(|row| row.pmem).sum()
}

/// The commands that the guest runs before its runs.
pub(crate) fn commands(hardware: &[&Hardware]) -> Vec<String> {
    hardware.iter().flat_map(|row| row.commands).map(|command| (*command).to_owned()).collect()
}

/// The module files that a guest needs, in the order of loading.
pub(crate) fn modules(hardware: &[&Hardware], kernel: &BootKernel, fs: FsKind) -> Result<Vec<PathBuf>> {
    let needed: Vec<&str> = hardware.iter().flat_map(|row| row.modules).copied().chain(fs.modules()).collect();
    let mut files = modules::resolve(kernel, &needed)?;
    for name in hardware.iter().flat_map(|row| row.helpful) {
        let more = modules::resolve(kernel, &[name]).unwrap_or_default();
        files.extend(more.into_iter().filter(|file| !files.contains(file)).collect::<Vec<_>>());
    }
    Ok(files)
}

/// The programs for a guest.
pub(crate) fn programs(hardware: &[&Hardware], fs: FsKind) -> Vec<PathBuf> {
    let names = hardware.iter().flat_map(|row| row.programs).copied().chain(fs.all_programs());
    names.filter_map(programs::find).collect()
}
