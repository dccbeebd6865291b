//! Finds out what the machine or the caller lacks.

use super::device::{attach, blank};
use super::sys::{process, swap, vfs};
use super::{activation, areas, proc};
use crate::filesystem::FsKind;
use crate::lack::{self, Capability, Counter, Lacking, Needs, Probe};
use crate::mechanism::Mechanism;
use iomap_reference::{Call, Caller};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::stat::Mode;
use nix::sys::statvfs::statvfs;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Raises the limits of descriptors and of address space to the highest values that this process may have.
pub(crate) fn raise_limits() {
    for resource in [Resource::RLIMIT_NOFILE, Resource::RLIMIT_AS] {
        // A limit that may not be raised stays, and the check before the run compares it.
        let _ = getrlimit(resource).and_then(|(_, hard)| setrlimit(resource, hard, hard));
    }
}

/// This machine, as a run on some file system sees it.
pub(crate) struct Machine {
    /// The directory in which images are made, if any are made.
    images: Option<PathBuf>,
    /// The place where the file system in an image is mounted.
    mounted: Option<PathBuf>,
    /// A directory on the file system of the user.
    directory: Option<PathBuf>,
}

/// An image once had no room: the data that were written to it then are lost. All images of a process are in one
/// directory.
static WAS_FULL: AtomicBool = AtomicBool::new(false);

impl Machine {
    /// A machine with images in the directory for temporary files.
    pub(crate) fn with_images() -> Self {
        Self { images: Some(std::env::temp_dir()), mounted: None, directory: None }
    }

    /// The same machine, for a file system that will be mounted at this place.
    pub(crate) fn below(self, mounted: &Path) -> Self {
        Self { mounted: Some(mounted.into()), ..self }
    }

    /// A machine without images.
    pub(crate) fn without_images() -> Self {
        Self { images: None, mounted: None, directory: None }
    }

    /// A machine with a directory of the user.
    pub(crate) fn with_directory(directory: &Path) -> Self {
        Self { images: None, mounted: None, directory: Some(directory.into()) }
    }

    /// The lack that made a privileged call fail.
    pub(crate) fn behind(&self, caller: Caller, call: &Call, errno: Errno) -> Option<Lacking> {
        if caller != Caller::Privileged {
            return None;
        }
        let lack = lack::behind(self, call, errno)?;
        if matches!(errno, Errno::EIO | Errno::EROFS | Errno::ENOSPC) {
            WAS_FULL.fetch_or(self.images.is_some(), Ordering::Relaxed);
        }
        Some(lack)
    }

    /// A new file, and its name.
    fn twin(directory: &Path) -> Result<(File, PathBuf), Errno> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let path = directory.join(format!("twin-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = File::options().read(true).write(true).create_new(true).open(&path).map_err(vfs::errno)?;
        Ok((file, path))
    }
}

impl Probe for Machine {
    fn descriptors(&self) -> Option<Counter> {
        let limit = getrlimit(Resource::RLIMIT_NOFILE).ok()?.0;
        // Since Linux 6.2 this is the number of descriptors. To read the directory would take one more, and would keep
        // each file open for a moment, also a file that its case closes just then.
        let used = match std::fs::metadata("/proc/self/fd").map(|metadata| metadata.len()) {
            Ok(used) if used > 0 => used,
            _ => std::fs::read_dir("/proc/self/fd").map_or(limit, |entries| entries.count() as u64),
        };
        Some(Counter { used, limit })
    }

    fn machine_descriptors(&self) -> Option<Counter> {
        let text = match std::fs::read_to_string("/proc/sys/fs/file-nr") {
            Err(error) if error.raw_os_error() == Some(Errno::ENFILE as i32) => {
                return Some(Counter { used: 1, limit: 1 });
            }
            text => text.ok()?,
        };
        let mut numbers = text.split_whitespace().map(str::parse);
        let (used, _, limit) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
        Some(Counter { used, limit })
    }

    fn address_space(&self) -> Option<Counter> {
        let limit = getrlimit(Resource::RLIMIT_AS).ok()?.0;
        let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
        Some(Counter { used: pages * page_size(), limit })
    }

    fn memory(&self) -> Option<Counter> {
        let text = std::fs::read_to_string("/proc/meminfo").ok()?;
        let field = |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            Some(line.trim().trim_end_matches(" kB").parse::<u64>().ok()? << 10)
        };
        let limit = field("MemTotal:")?;
        Some(Counter { used: limit - field("MemAvailable:")?, limit })
    }

    fn has(&self, capability: Capability) -> bool {
        // Root of another user namespace has every capability there, but not on the machine.
        let first = std::fs::read_to_string("/proc/self/uid_map");
        let is_first = first.map_or(true, |map| map.split_whitespace().eq(["0", "0", "4294967295"]));
        let status = std::fs::read_to_string("/proc/thread-self/status").unwrap_or_default();
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = effective.and_then(|set| u64::from_str_radix(set.trim(), 16).ok());
        is_first && effective.is_none_or(|set| set >> capability.bit & 1 == 1)
    }

    fn refuses_process(&self, errno: Errno) -> bool {
        process::in_child(&process::forking(), || ()) == Err(errno)
    }

    fn swap_areas(&self) -> Option<Counter> {
        Some(Counter { used: proc::swaps().len() as u64, limit: areas::LIMIT as u64 })
    }

    fn refuses_swap(&self, errno: Errno) -> bool {
        let Some(directory) = &self.directory else { return false };
        let Ok((file, path)) = Self::twin(directory) else { return false };
        let _ = vfs::change_flags(&file, iomap_reference::FLAG_NOCOW, 0);
        let mut data = Mechanism::Swapfile.header();
        data.resize(data.len() + 4096, 1);
        let written = (&file).write_all(&data).and_then(|()| file.sync_all());
        let turn = activation::turn();
        let outcome = written.map_err(vfs::errno).and_then(|()| swap::swapon(&vfs::proc_path(&file), 0));
        drop(turn);
        if outcome.is_ok() {
            let _ = swap::swapoff(&vfs::proc_path(&file));
        }
        let _ = std::fs::remove_file(path);
        outcome == Err(errno)
    }

    fn room(&self) -> Option<(String, Counter)> {
        let place = self.images.as_ref()?;
        let name = place.display().to_string();
        if WAS_FULL.load(Ordering::Relaxed) {
            return Some((name, Counter { used: 0, limit: 0 }));
        }
        // If files without a name cannot be made here, images are in memory, and a lack of memory has a row of its own.
        open(place, OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::S_IRUSR).ok()?;
        let stat = statvfs(place).ok()?;
        // Some file systems in memory report no number of blocks.
        let limit = (stat.blocks() > 0).then(|| stat.blocks() * stat.fragment_size())?;
        let left = if nix::unistd::geteuid().is_root() { stat.blocks_free() } else { stat.blocks_available() };
        Some((name, Counter { used: limit.saturating_sub(left * stat.fragment_size()), limit }))
    }

    fn room_inside(&self) -> Option<Counter> {
        let stat = statvfs(self.mounted.as_ref()?).ok()?;
        let [limit, left] = [stat.blocks(), stat.blocks_free()].map(|blocks| blocks * stat.fragment_size());
        Some(Counter { used: limit - left, limit })
    }

    fn refuses_block(&self, errno: Errno) -> Option<String> {
        let directory = self.directory.as_ref()?;
        let written = Self::twin(directory).and_then(|(mut file, path)| {
            let written = file.write_all(&[1; 4096]).and_then(|()| file.sync_all()).map_err(vfs::errno);
            let _ = std::fs::remove_file(path);
            written
        });
        (written == Err(errno)).then(|| format!("another file in {} gets no block: {errno}", directory.display()))
    }

    fn loop_device(&self) -> Option<String> {
        self.images.as_ref()?;
        attach(&blank(1 << 20).ok()?).err().map(|error| error.to_string())
    }
}

fn page_size() -> u64 {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok().flatten().map_or(4096, i64::cast_unsigned)
}
/// The needs of a run with the usual number of threads.
pub(crate) fn needs(kind: FsKind) -> Needs {
    let room = if kind.is_on_a_loop_device() { kind.facts().room } else { 0 };
    Needs { descriptors: DESCRIPTORS, address_space: ADDRESS_SPACE, rights: lack::ADMINISTRATION, room, swap_areas: 0 }
}

/// The number of descriptors that a run takes.
pub(crate) const DESCRIPTORS: u64 = 384;

/// The address space that its threads take, in bytes.
pub(crate) const ADDRESS_SPACE: u64 = 1 << 30;

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{RecvTimeoutError, channel};
    use std::time::Duration;

    /// btrfs answers EBUSY to an activation beside another one: the suite's own must cause none in a case.
    #[test]
    fn an_activation_that_asks_about_the_machine_waits_for_its_turn() {
        let directory = tempfile::tempdir().unwrap();
        let (turn, (returned, news)) = (activation::turn(), channel());
        let path = directory.path().to_owned();
        let asking = std::thread::spawn(move || {
            Machine::with_directory(&path).refuses_swap(Errno::EBUSY);
            let _ = returned.send(());
        });
        assert_eq!(news.recv_timeout(Duration::from_millis(200)), Err(RecvTimeoutError::Timeout));
        drop(turn);
        asking.join().unwrap();
        assert_eq!(news.recv(), Ok(()));
    }
}
