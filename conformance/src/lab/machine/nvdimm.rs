//! Persistent memory that outlives a guest: each NVDIMM is a file of the lab that QEMU maps.
//!
//! Stores of the guest are in the file when QEMU is killed, because TCG has no cache to lose. The memory of the kernel
//! is lost, and with it the uncommitted metadata that locate the data.

use crate::error::{Error, Result};
use crate::host::device;
use std::fs;
use std::os::fd::AsRawFd;

/// The size in MiB: the smallest file system of mkfs.xfs, and the part that the kernel reserves.
const SIZE: u64 = 320;

/// The file of a blank NVDIMM.
pub(crate) fn blank() -> Result<fs::File> {
    let place = format!("no memory in {}", std::env::temp_dir().display());
    device::blank(SIZE << 20).map_err(|errno| Error::about(place, errno))
}

/// The effect of the guest's stores on the file, as in mmap(2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backing {
    /// The stores reach the file.
    Shared,
    /// The stores are lost when QEMU ends, and the file stays unchanged.
    Private,
}

/// The path of a file without a name, valid while the lab runs.
pub(crate) fn path(file: &fs::File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// The arguments of QEMU for the files at these paths, in a guest with `memory` MiB of other memory.
pub(crate) fn arguments(memory: u32, modules: &[String], backing: Backing) -> Vec<String> {
    let count = modules.len();
    if count == 0 {
        return Vec::new();
    }
    let most = u64::from(memory) + SIZE * count as u64;
    let mut arguments = vec!["-machine".into(), "pc,nvdimm=on".into()];
    arguments.extend(["-m".into(), format!("slots={count},maxmem={most}M")]);
    let share = if backing == Backing::Shared { "on" } else { "off" };
    for (number, path) in modules.iter().enumerate() {
        let backend = format!("memory-backend-file,id=memory{number},share={share},mem-path={path},size={SIZE}M");
        arguments.extend(["-object".into(), backend]);
        arguments.extend(["-device".into(), format!("nvdimm,id=nvdimm{number},memdev=memory{number}")]);
    }
    arguments
}
