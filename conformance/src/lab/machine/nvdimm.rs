//! Persistent memory that outlives a guest: each NVDIMM is a file of the lab that QEMU maps.
//!
//! What a processor has stored there is in the file when QEMU is killed: TCG has no caches to lose. What the kernel had in
//! its own memory is gone, and with it what it had not yet committed of where that data belongs.

use crate::host;
use crate::host::device::{ND, set};
use std::fs;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

/// In MiB: the smallest file system that mkfs.xfs makes, and what the kernel keeps for itself.
const SIZE: u64 = 320;

/// One that has nothing on it.
pub(crate) fn blank() -> Result<fs::File, String> {
    host::blank(SIZE << 20).map_err(|errno| format!("no memory in {}: {errno}", std::env::temp_dir().display()))
}

/// What becomes of what a guest stores in one.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stores {
    /// It is in the file.
    Lasting,
    /// It ends with QEMU, and the file stays as it is.
    Forgotten,
}

/// The path of one that has no name, as long as the lab runs.
pub(crate) fn path(file: &fs::File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// What QEMU is told of the files with these paths, in a guest with so many MiB of other memory.
pub(crate) fn arguments(memory: u32, modules: &[String], stores: Stores) -> Vec<String> {
    let count = modules.len();
    if count == 0 {
        return Vec::new();
    }
    let most = u64::from(memory) + SIZE * count as u64;
    let mut arguments = vec!["-machine".into(), "pc,nvdimm=on".into()];
    arguments.extend(["-m".into(), format!("slots={count},maxmem={most}M")]);
    let share = if stores == Stores::Lasting { "on" } else { "off" };
    for (number, path) in modules.iter().enumerate() {
        let backend = format!("memory-backend-file,id=memory{number},share={share},mem-path={path},size={SIZE}M");
        arguments.extend(["-object".into(), backend]);
        arguments.extend(["-device".into(), format!("nvdimm,id=nvdimm{number},memdev=memory{number}")]);
    }
    arguments
}

/// How a blank one becomes memory for filesystem DAX, by sysfs, as ndctl(1) would do it: the file and what is written to
/// it, with `N` for the number. The last step leaves a block there by which the next kernel knows it.
const STEPS: [(&str, &str); 6] = [
    ("drivers/nd_pmem/unbind", "namespaceN.0"),
    ("devices/pfnN.0/uuid", "5a1ed000-0000-4000-8000-00000000000N"),
    ("devices/pfnN.0/mode", "ram"),
    ("devices/pfnN.0/align", "2097152"),
    ("devices/pfnN.0/namespace", "namespaceN.0"),
    ("drivers/nd_pmem/bind", "pfnN.0"),
];

/// The devices of a guest: those that an earlier one has worked on, and a blank one, which is no longer blank then.
pub(crate) fn devices() -> Result<(Vec<PathBuf>, Option<PathBuf>), String> {
    let wait = format!("{ND}/devices/ndbus0/wait_probe");
    fs::read_to_string(&wait).map_err(|e| format!("{wait}: {e}"))?;
    let (mut left, mut work) = (Vec::new(), None);
    for number in 0.. {
        let Ok(dax) = fs::read_to_string(format!("/sys/block/pmem{number}/queue/dax")) else { break };
        let device = PathBuf::from(format!("/dev/pmem{number}"));
        if dax.trim() == "1" {
            left.push(device);
        } else {
            STEPS.into_iter().try_for_each(|step| write(number, step))?;
            work = Some(device);
        }
    }
    Ok((left, work))
}

fn write(number: usize, (file, text): (&str, &str)) -> Result<(), String> {
    let with_number = |text: &str| text.replace('N', &number.to_string());
    set(&Path::new(ND).join(with_number(file)), &with_number(text))
}
