//! The NVDIMMs of a guest, and the devices that the kernel makes for them.

use crate::error::{Error, Result};
use crate::host::device::{ND, set};
use std::fs;
use std::path::{Path, PathBuf};

/// The steps that set a blank NVDIMM up for filesystem DAX, through sysfs, as ndctl(1) would do it: the file, and the
/// text to write to it, with `N` for the number. The last step leaves a block on the NVDIMM by which later guests
/// recognise it.
const STEPS: [(&str, &str); 6] = [
    ("drivers/nd_pmem/unbind", "namespaceN.0"),
    ("devices/pfnN.0/uuid", "5a1ed000-0000-4000-8000-00000000000N"),
    ("devices/pfnN.0/mode", "ram"),
    ("devices/pfnN.0/align", "2097152"),
    ("devices/pfnN.0/namespace", "namespaceN.0"),
    ("drivers/nd_pmem/bind", "pfnN.0"),
];

/// The devices of a guest: those that an earlier guest has used, and a blank one for the work of this guest.
pub(crate) fn devices() -> Result<(Vec<PathBuf>, Option<PathBuf>)> {
    let wait = format!("{ND}/devices/ndbus0/wait_probe");
    fs::read_to_string(&wait).map_err(|e| Error::about(&wait, e))?;
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

fn write(number: usize, (file, text): (&str, &str)) -> Result<()> {
    let with_number = |text: &str| text.replace('N', &number.to_string());
    set(&Path::new(ND).join(with_number(file)), &with_number(text))
}
