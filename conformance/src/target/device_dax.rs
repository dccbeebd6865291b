//! A device of persistent memory that applications map. There is no file system, no page cache, and nothing that could
//! move.
//!
//! The device is made of the memory that the kernel was told is persistent (memmap=), as ndctl(1) would make it. There
//! is one device, so one case runs at a time.

use crate::error::{Result, at};
use crate::filesystem::FsKind;
use crate::host::calls::Calls;
use crate::host::device::{ND, set};
use crate::host::sys::mapping::Mapping;
use crate::kernel_log::Devices;
use crate::mechanism::{DEVICE, DEVICE_LEN, Mechanism};
use crate::reach::{Kind, Site};
use crate::system::{Lane, Outcomes, Ready, StorageAgent, System, Target};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::Clause;
use iomap_reference::{Call, Caller, Fd, Outcome, Reply};
use nix::errno::Errno;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The device of this guest.
pub(crate) struct DeviceDax {
    turn: Mutex<()>,
}

/// The steps that turn a namespace into a device, by sysfs: the file, and the text to write to it. The unit of mappings
/// is a page, so that a mapping can reach beyond the end.
const STEPS: [(&str, &str); 5] = [
    ("devices/dax0.0/uuid", "5a1ed000-0000-4000-8000-000000000000"),
    ("devices/dax0.0/mode", "ram"),
    ("devices/dax0.0/align", "4096"),
    ("devices/dax0.0/namespace", "namespace0.0"),
    ("drivers/dax_pmem/bind", "dax0.0"),
];

impl DeviceDax {
    /// Makes the device, if this guest does not have it yet.
    pub(crate) fn new() -> Result<Self> {
        if !Path::new("/dev").join(DEVICE).exists() {
            STEPS.into_iter().try_for_each(|(file, text)| set(&Path::new(ND).join(file), text))?;
        }
        let path = format!("/sys/bus/dax/devices/{DEVICE}/size");
        let size = fs::read_to_string(&path).map_err(at(Path::new(&path)))?;
        match size.trim().parse() {
            Ok(DEVICE_LEN) => Ok(Self { turn: Mutex::default() }),
            _ => Err(format!("{path}: {} bytes, not {DEVICE_LEN}", size.trim()).into()),
        }
    }
}

impl Target for DeviceDax {
    fn system(&self, _: &Clause, _: Lane) -> std::result::Result<Box<dyn System + '_>, Trouble> {
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let site = Site::new(Kind::Device, Some(FsKind::Devdax), "/dev".into());
        let calls = Calls::new(site, "/dev".into());
        Ok(Box::new(DeviceSystem { calls, _turn: turn }))
    }

    fn lacks(&self, mechanism: Mechanism) -> Option<String> {
        (mechanism != Mechanism::DeviceDax).then(|| "a device has no call for it".into())
    }

    fn devices(&self) -> Option<Devices> {
        Some(Arc::new(vec![DEVICE.to_owned()].into()))
    }
}

/// The device, as long as a case has it.
struct DeviceSystem<'a> {
    calls: Calls,
    _turn: MutexGuard<'a, ()>,
}

impl System for DeviceSystem<'_> {
    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        let mut outcome = self.calls.call(caller, call);
        // fstat(2) says that a device is empty, so the size is filled in. `new` compared this size with sysfs.
        if let Ok(Reply::Stat(stat)) = &mut outcome {
            stat.size = DEVICE_LEN as u64;
        }
        outcome
    }

    fn reach(&self, call: &Call) -> std::result::Result<(), Trouble> {
        self.calls.site().ask(call)
    }

    fn race(&self, one: &[Call], other: &[Call]) -> std::result::Result<Outcomes, Trouble> {
        self.calls.race(one, other)
    }

    /// The agent gets a mapping of its own.
    fn agent(&self, fd: Fd) -> std::result::Result<Box<dyn StorageAgent>, Trouble> {
        let mapping = self.calls.with(fd, |file| Mapping::new(file, DEVICE_LEN, true, true));
        Ok(Box::new(DeviceAgent(mapping.map_err(|errno| Trouble::Setup(format!("mmap: {}", words::name(errno))))?)))
    }

    fn retire(&self, _: Mechanism, file: Ready) {
        drop(self.calls.release(&file));
    }
}

/// Stores and loads as a second process would make them.
struct DeviceAgent(Mapping);

impl StorageAgent for DeviceAgent {
    fn span(&self) -> std::result::Result<Range<i64>, Trouble> {
        Ok(0..DEVICE_LEN as i64)
    }

    fn read(&self, offset: i64, len: usize) -> std::result::Result<Vec<u8>, Trouble> {
        self.0.load(offset as usize, len).map_err(lost)
    }

    fn write(&self, offset: i64, data: &[u8]) -> std::result::Result<(), Trouble> {
        self.0.store(offset as usize, data).map_err(lost)
    }
}

fn lost(errno: Errno) -> Trouble {
    Trouble::Setup(format!("the agent's mapping: {}", words::name(errno)))
}
