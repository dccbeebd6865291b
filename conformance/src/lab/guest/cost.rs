//! The cost of calls in instructions. The clock of the guest counts them, so the numbers are those of the kernel and not
//! of this machine.
//!
//! Each call is made many times. A call that a timer interrupts, or that has to wait for a lock of another thread, costs
//! more, so the number is the one below which only a tenth of the calls are.

use crate::error::{Error, Result, at};
use crate::filesystem::FsKind;
use crate::host::sys::buffer::Aligned;
use crate::host::sys::counter::now;
use crate::host::sys::mapping::Mapping;
use crate::lab::protocol::{Message, ScriptStep};
use crate::mechanism::{Mechanism, seal};
use crate::target::found::Mounted;
use crate::words;
use iomap_reference::{BLOCK, Call, Caller, Reply};
use nix::fcntl::OFlag;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The file systems.
const SYSTEMS: [FsKind; 2] = [FsKind::Xfs, FsKind::Ext4];

/// The number of blocks of a file.
const BLOCKS: usize = 64;

/// The size of a file.
const SIZE: i64 = (BLOCKS * BLOCK) as i64;

/// The number of times that each call is made.
const TIMES: usize = 1024;

/// Counts the instructions of each call on each file system.
pub(crate) fn run(tell: &mut dyn FnMut(&Message) -> Result<()>) -> Result<()> {
    for fs in SYSTEMS {
        let root = Path::new("/mnt").join(fs.name());
        fs::create_dir(&root).map_err(at(&root))?;
        let mounted = Mounted::fresh(fs, &root)?;
        let seals = mounted.lacks("", Mechanism::Seal).is_none();
        for sealed in [false, true].into_iter().filter(|sealed| !sealed || seals) {
            let path = root.join(if sealed { "sealed" } else { "normal" });
            fs::write(&path, vec![1; SIZE as usize]).map_err(at(&path))?;
            // Sealing writes the file to its storage, and another file should be no less settled.
            writable(&path).and_then(|file| file.sync_all()).map_err(at(&path))?;
            if sealed {
                enter(&mounted, "sealed")?;
            }
            for (name, is_possible, measure) in CALLS {
                if sealed && !is_possible {
                    continue;
                }
                let outcome = measure(&path).map_err(at(&path))?.to_string();
                let state = if sealed { "sealed" } else { "not sealed" };
                let step = format!("{}, {state}: {name}", fs.name());
                tell(&Message::Step(ScriptStep { step, outcome, traffic: String::new(), expected: None }))?;
            }
        }
    }
    Ok(())
}

/// Brings a file into the state.
fn enter(mounted: &Mounted, name: &str) -> Result<()> {
    let system = mounted.system("");
    let fd = match system.call(Caller::Privileged, &Call::Open { name: name.into(), flags: OFlag::O_RDWR, mode: 0 }) {
        Ok(Reply::Number(fd)) => fd as i32,
        other => return Err(Error::from(format!("open: {}", words::outcome(&other)))),
    };
    match system.call(Caller::Privileged, &seal(fd, SIZE)) {
        Ok(_) => Ok(()),
        other => Err(Error::from(format!("sealing: {}", words::outcome(&other)))),
    }
}

/// Makes a call on a file many times.
type Measure = fn(&Path) -> std::io::Result<u64>;

/// The calls: the name, whether a sealed file takes it, and the measurement.
const CALLS: [(&str, bool, Measure); 7] = [
    ("buffered write of 4 KiB", true, buffered),
    ("direct write of 4 KiB", true, direct),
    ("store to a clean page", true, mapped),
    ("open and close", true, open),
    ("stat", true, stat),
    ("truncation to the same size", true, truncated_to_its_size),
    ("truncation to another size and back", false, truncated),
];

/// The instructions of a call, which gets the number of the block to use.
fn count(mut call: impl FnMut(usize) -> std::io::Result<()>) -> std::io::Result<u64> {
    let mut counts = Vec::with_capacity(TIMES);
    for time in 0..TIMES {
        let begin = now();
        call(time % BLOCKS)?;
        counts.push(now() - begin);
    }
    Ok(typical(counts))
}

/// The number below which a tenth of the counts are.
fn typical(mut counts: Vec<u64>) -> u64 {
    counts.sort_unstable();
    counts[counts.len() / 10]
}

fn writable(path: &Path) -> std::io::Result<File> {
    File::options().read(true).write(true).open(path)
}

fn buffered(path: &Path) -> std::io::Result<u64> {
    let (file, data) = (writable(path)?, [2; BLOCK]);
    count(|block| file.write_all_at(&data, (block * BLOCK) as u64))
}

fn direct(path: &Path) -> std::io::Result<u64> {
    let file = File::options().read(true).write(true).custom_flags(libc::O_DIRECT).open(path)?;
    // A direct write of a dirty page would write that page first.
    file.sync_all()?;
    let data = Aligned::new(BLOCK);
    count(|block| file.write_all_at(data.get(), (block * BLOCK) as u64))
}

/// The first store to each page after its data were written to storage: the file system learns of each.
fn mapped(path: &Path) -> std::io::Result<u64> {
    let file = writable(path)?;
    let mapping = Mapping::new(file.as_fd(), SIZE as usize, true, true)?;
    let mut counts = Vec::with_capacity(TIMES);
    for _ in 0..TIMES / BLOCKS {
        file.sync_all()?;
        for block in 0..BLOCKS {
            let begin = now();
            mapping.set(block * BLOCK, 3)?;
            counts.push(now() - begin);
        }
    }
    Ok(typical(counts))
}

fn open(path: &Path) -> std::io::Result<u64> {
    count(|_| writable(path).map(drop))
}

fn stat(path: &Path) -> std::io::Result<u64> {
    count(|_| fs::metadata(path).map(drop))
}

fn truncated_to_its_size(path: &Path) -> std::io::Result<u64> {
    let file = writable(path)?;
    count(|_| file.set_len(SIZE as u64))
}

fn truncated(path: &Path) -> std::io::Result<u64> {
    let file = writable(path)?;
    count(|_| file.set_len((SIZE - BLOCK as i64) as u64).and_then(|()| file.set_len(SIZE as u64)))
}
