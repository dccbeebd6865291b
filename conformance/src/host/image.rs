//! A file system on a device of its own.

use super::device::{self, Storage, attach, blank, remove_zoned};
use super::probe::Machine;
use super::sys::{mapping, vfs};
use super::{proc, segments};
use crate::error::{Error, Result, at};
use crate::filesystem::{Addition, FsKind, Medium, Over, Quotas};
use crate::kernel_log::Devices;
use crate::lack;
use crate::programs::{self, Failure};
use nix::errno::Errno;
use nix::fcntl::{OFlag, copy_file_range, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::quota::{Dqblk, QuotaType, QuotaValidFlags, quotactl_set};
use nix::sys::stat::Mode;
use nix::unistd::{Whence, lseek};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The time limit for work that usually takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The number of copies of a storage that is written to meanwhile, before the suite gives up.
const COPIES: usize = 50;

/// The things on which a file system can lie.
enum Ground {
    Device(Mutex<Storage>),
    /// Another file system, with its number. It is mounted beside the one that lies on it.
    Layer(Box<Image>, u32),
}

/// A mounted file system.
pub(crate) struct Image {
    kind: FsKind,
    root: PathBuf,
    /// The options of mount(2).
    options: String,
    ground: Ground,
    /// The names of all devices that this file system and others have used.
    devices: Devices,
    /// The machine, which shows what it lacks.
    machine: Machine,
}

impl Image {
    pub(crate) fn new(kind: FsKind, root: PathBuf, devices: &Devices) -> Result<Self> {
        Self::mounted(kind, root, &[], "", devices)
    }

    /// A file system that can have limits for users, if the suite knows such limits for its kind.
    pub(crate) fn with_quotas(kind: FsKind, root: PathBuf, devices: &Devices) -> Result<Self> {
        match kind.facts().quotas {
            Quotas::Mounted { mkfs, mount } => Self::mounted(kind, root, mkfs, mount, devices),
            Quotas::Subvolumes | Quotas::Missing => Self::new(kind, root, devices),
        }
    }

    /// Mounts the file system that is already on a device.
    pub(crate) fn found(kind: FsKind, root: PathBuf, device: PathBuf) -> Result<Self> {
        let backing = File::options().read(true).write(true).open(&device);
        let backing = Arc::new(backing.map_err(at(&device))?);
        let (options, devices) = (kind.facts().options.to_owned(), Devices::default());
        let ground = Ground::Device(Mutex::new(Storage { backing, device: device.clone() }));
        let image = Self { kind, root, options, ground, devices, machine: Machine::without_images() };
        let mounted = image.mount(&device);
        mounted.map_err(|errno| Error::about(format!("mounting {}", kind.name()), errno))?;
        image.in_its_place().map(|()| image)
    }

    fn mounted(kind: FsKind, root: PathBuf, features: &[&str], option: &str, devices: &Devices) -> Result<Self> {
        let facts = kind.facts();
        if let Some(over) = &facts.over {
            return Self::over(kind, over, root, devices);
        }
        let machine =
            if kind.is_on_a_loop_device() { Machine::with_images().below(&root) } else { Machine::without_images() };
        let _turn = (facts.medium == Medium::Pmem).then(device::turn);
        let (device, storage) = device::storage(facts.medium, facts.size).map_err(|why| named(&machine, why))?;
        note(devices, &storage.device);
        make(kind, features, &storage.device).map_err(|why| named(&machine, why))?;
        let options = [facts.options, option].into_iter().filter(|option| !option.is_empty()).collect::<Vec<_>>();
        let path = storage.device.clone();
        let (options, ground) = (options.join(","), Ground::Device(Mutex::new(storage)));
        let image = Self { kind, root, options, ground, devices: devices.clone(), machine };
        image.first_mount(&path).map_err(|why| match why {
            Unmounted::Refused(Errno::ENODEV) => format!("this kernel has no {}", kind.name()).into(),
            Unmounted::Refused(errno) => {
                let unmade = unmade(kind, &path);
                named(&image.machine, format!("mounting {}: {errno}{unmade}", kind.name()).into())
            }
            Unmounted::Program(failure) => named(&image.machine, failure.into()),
        })?;
        if facts.medium == Medium::Zoned {
            // mkfs begins in conventional zones: the first segments are there, and all others are not.
            segments::next_segment(&image.root).map_err(|error| Error::about("the first segments", error))?;
        }
        // The device detaches itself after its last use, so it was kept open while the file system was made.
        drop(device);
        image.in_its_place().map(|()| image)
    }

    /// Checks that a file system for direct access really has it. XFS goes on without it if the device has none
    /// (xfs_setup_dax_always), and every verdict would be about the page cache.
    fn in_its_place(&self) -> Result<()> {
        if !self.kind.is_dax() {
            return Ok(());
        }
        const LEN: usize = 4096;
        let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
        let mapped = open(&self.root, flags, Mode::S_IRUSR | Mode::S_IWUSR).map(File::from).and_then(|file| {
            file.set_len(LEN as u64).map_err(vfs::errno)?;
            mapping::Mapping::synchronous(file.as_fd(), LEN)
        });
        let what = || format!("{} is not on DAX: no mapping with MAP_SYNC", self.kind.name());
        mapped.map(drop).map_err(|errno| Error::about(what(), errno))
    }

    /// The kind of the file system.
    pub(crate) fn kind(&self) -> FsKind {
        self.kind
    }

    /// The machine, which shows what it lacks.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// The place where the file system is mounted.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The file system below, and the directory there that has the files of this one.
    pub(crate) fn below(&self) -> Option<(&Self, PathBuf)> {
        match (&self.ground, &self.kind.facts().over) {
            (Ground::Layer(below, _), Some(over)) => Some((below, below.root.join(over.files))),
            _ => None,
        }
    }

    /// The size of the device, in bytes.
    fn size(&self) -> u64 {
        match &self.ground {
            Ground::Device(_) => self.kind.facts().size,
            Ground::Layer(below, _) => below.size(),
        }
    }

    /// The file or device below the file system.
    pub(crate) fn backing(&self) -> Arc<File> {
        self.storage().backing.clone()
    }

    fn storage(&self) -> MutexGuard<'_, Storage> {
        match &self.ground {
            Ground::Device(storage) => storage.lock().unwrap_or_else(PoisonError::into_inner),
            Ground::Layer(below, _) => below.storage(),
        }
    }

    /// Makes a file system, and another one over it.
    fn over(kind: FsKind, over: &Over, root: PathBuf, devices: &Devices) -> Result<Self> {
        let place = root.with_extension("below");
        std::fs::create_dir_all(&place).map_err(at(&place))?;
        let below = Self::new(over.fs, place, devices)?;
        for directory in over.directories {
            let path = below.root.join(directory);
            std::fs::create_dir(&path).map_err(at(&path))?;
        }
        let machine = Machine::with_images().below(&root);
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let options = filled_in(kind.facts().options, &below.root, number);
        let ground = Ground::Layer(Box::new(below), number);
        let image = Self { kind, root, options, ground, devices: devices.clone(), machine };
        if let Some((fs, place)) = over.interface {
            let mounted = mount(Some(fs), place, Some(fs), MsFlags::empty(), None::<&str>);
            // EBUSY: it is mounted already.
            mounted.or_else(|errno| if errno == Errno::EBUSY { Ok(()) } else { Err(Error::about(place, errno)) })?;
        }
        image.mount_over(over).map_err(|errno| match errno {
            Errno::ENODEV => format!("this kernel has no {}", kind.name()).into(),
            errno => named(&image.machine, Error::about(format!("mounting {}", kind.name()), errno)),
        })?;
        Ok(image)
    }

    fn mount_over(&self, over: &Over) -> std::result::Result<(), Errno> {
        let Ground::Layer(below, number) = &self.ground else { return Err(Errno::EINVAL) };
        self.write_each(over.before)?;
        self.mount(Path::new(&filled_in(over.source, &below.root, *number)))
    }

    /// Writes lines to files of the kernel.
    fn write_each(&self, lines: &[(&str, &str)]) -> std::result::Result<(), Errno> {
        let Ground::Layer(below, number) = &self.ground else { return Ok(()) };
        lines.iter().try_for_each(|(file, line)| {
            let line = filled_in(line, &below.root, *number) + "\n";
            match std::fs::write(file, line).map_err(vfs::errno) {
                // A server that runs has its settings.
                Err(Errno::EBUSY) => Ok(()),
                outcome => outcome,
            }
        })
    }

    /// Unmounts the file system, calls `act` on the layer below, and mounts the file system again.
    fn around(
        &self,
        below: &Self,
        act: impl FnOnce(&Self) -> std::result::Result<(), Errno>,
    ) -> std::result::Result<(), Errno> {
        let over = self.kind.facts().over.as_ref().ok_or(Errno::EINVAL)?;
        self.unmount()?;
        self.write_each(over.after)?;
        let done = act(below);
        self.mount_over(over).and(done)
    }

    fn mount(&self, device: &Path) -> std::result::Result<(), Errno> {
        self.mount_with(device, &self.options)
    }

    fn mount_with(&self, device: &Path, options: &str) -> std::result::Result<(), Errno> {
        let fs = self.kind.family().name();
        mount(Some(device), &self.root, Some(fs), MsFlags::empty(), Some(options))?;
        // XFS repeats a write for ever by default. While the image has no room, a call that waits for that write, such
        // as FIFREEZE or umount(2), would never return.
        let name = device.file_name().unwrap_or_default();
        for file in self.kind.facts().retries {
            let path = Path::new("/sys/fs").join(fs).join(name).join(file);
            // A kernel without the file, or without sysfs, keeps its default.
            let _ = std::fs::write(path, "0");
        }
        Ok(())
    }

    /// Mounts a new file system, with all features that this kernel knows.
    fn first_mount(&self, device: &Path) -> std::result::Result<(), Unmounted> {
        let plain = match self.kind.facts().addition {
            Addition::ExchangeRange => exchange::allow(device)?,
            Addition::Nothing => None,
        };
        match (self.mount(device), plain) {
            // The kernel does not know the bit.
            (Err(Errno::EINVAL), Some(features)) => {
                exchange::write(device, features)?;
                Ok(self.mount(device)?)
            }
            (other, _) => Ok(other?),
        }
    }

    /// umount(2). Fails with EBUSY while a file is open or a swap file is active.
    pub(crate) fn unmount(&self) -> std::result::Result<(), Errno> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match umount2(&self.root, MntFlags::empty()) {
                // The kernel may release closed files some time later, but an active swap file stays until it is
                // deactivated.
                Err(Errno::EBUSY) if Instant::now() < deadline && proc::active_below(&self.root).is_empty() => {
                    std::thread::yield_now();
                }
                outcome => return outcome,
            }
        }
    }

    /// umount(2) and mount(2). Fails with EBUSY while a file is open or a swap file is active.
    pub(crate) fn cycle(&self) -> std::result::Result<(), Errno> {
        if let Ground::Layer(below, _) = &self.ground {
            return self.around(below, Self::cycle);
        }
        let storage = self.storage();
        // Keep the device open, so that it stays attached.
        let _device = File::open(&storage.device).map_err(vfs::errno)?;
        self.unmount()?;
        self.mount(&storage.device)
    }

    /// Like [`Self::cycle`], with one more option of mount(2). If the mount is refused, the options stay as they were.
    pub(crate) fn cycle_with(&self, option: &str) -> std::result::Result<(), Errno> {
        if let Ground::Layer(below, _) = &self.ground {
            return self.around(below, |below| below.cycle_with(option));
        }
        let storage = self.storage();
        // Keep the device open, so that it stays attached.
        let _device = File::open(&storage.device).map_err(vfs::errno)?;
        self.unmount()?;
        let options = [&self.options, option].into_iter().filter(|option| !option.is_empty()).collect::<Vec<_>>();
        let mounted = self.mount_with(&storage.device, &options.join(","));
        mounted.or_else(|errno| self.mount(&storage.device).and(Err(errno)))
    }

    /// Whether [`Self::copy`] works. It needs the modification time of a file, and only a loop device lies on a file.
    pub(crate) fn can_be_copied(&self) -> bool {
        self.kind.is_on_a_loop_device()
    }

    /// A copy of the storage at this moment. All data that the loop device has taken count as durable. Data that are
    /// only in the memory of the file system do not.
    ///
    /// A copy takes a while, and a state that the storage never had would say nothing about the file system. So if the
    /// storage was written to meanwhile, which its modification time shows, another copy is made, until one is of a
    /// single moment.
    pub(crate) fn copy(&self) -> std::result::Result<File, Errno> {
        let backing = self.backing();
        let modified = || backing.metadata().and_then(|metadata| metadata.modified()).map_err(vfs::errno);
        let deadline = Instant::now() + PATIENCE;
        let mut copies = 0..COPIES;
        // A machine that is slow, such as a guest beside other work, gets as many attempts as a fast one.
        while copies.next().is_some() || Instant::now() < deadline {
            let before = modified()?;
            let copy = blank(self.size())?;
            copy_data(&backing, &copy)?;
            if modified()? == before {
                return Ok(copy);
            }
        }
        Err(Errno::ETIMEDOUT)
    }

    /// Continues with a copy in place of the storage. No file may be open, and no swap file may be active. If the copy
    /// cannot be mounted, nothing changes.
    pub(crate) fn continue_with(&self, copy: File) -> std::result::Result<(), Errno> {
        if let Ground::Layer(below, _) = &self.ground {
            return self.around(below, |below| below.continue_with(copy));
        }
        let mut storage = self.storage();
        let _device = File::open(&storage.device).map_err(vfs::errno)?;
        self.unmount()?;
        let replaced = attach(&copy).map_err(|_| Errno::EIO).and_then(|(device, path)| {
            note(&self.devices, &path);
            self.mount(&path)?;
            drop(device);
            Ok(path)
        });
        match replaced {
            Ok(device) => *storage = Storage { backing: Arc::new(copy), device },
            Err(errno) => self.mount(&storage.device).and(Err(errno))?,
        }
        Ok(())
    }

    /// Limits the size of all data of a user, in bytes; 0 means no limit.
    pub(crate) fn limit(&self, uid: u32, bytes: u64) -> std::result::Result<(), Errno> {
        match self.kind.facts().quotas {
            Quotas::Mounted { .. } => (),
            Quotas::Subvolumes => return limit_subvolume(&self.root, bytes),
            Quotas::Missing => return Err(Errno::EOPNOTSUPP),
        }
        let mut limits = Dqblk::default();
        // The limit is a number of units of QIF_DQBLKSIZE.
        limits.set_blocks_hard_limit(bytes / 1024);
        let (user, device) = (QuotaType::USRQUOTA, &self.storage().device);
        quotactl_set(user, device, uid.cast_signed(), &limits, QuotaValidFlags::QIF_BLIMITS)
    }

    /// Lets `change` move the file system to a new device, and continues there. The first path is that of the old
    /// device.
    pub(crate) fn change_device(
        &self,
        change: impl FnOnce(&Path, &Path) -> std::result::Result<(), Errno>,
    ) -> std::result::Result<(), Errno> {
        let mut storage = self.storage();
        let backing = blank(self.size())?;
        let (_attached, device) = attach(&backing).map_err(|_| Errno::EIO)?;
        note(&self.devices, &device);
        change(&storage.device, &device)?;
        *storage = Storage { backing: Arc::new(backing), device };
        Ok(())
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // If a swap file is still active there, the file system stays mounted: the guardian finds the file by its path,
        // and the mount ends with the namespace.
        let unmounted = umount2(&self.root, MntFlags::empty());
        if let Some(over) = &self.kind.facts().over {
            // If a line cannot be written, the layer below stays mounted, too.
            let _ = self.write_each(over.after);
        }
        if self.kind.facts().medium == Medium::Zoned && unmounted.is_ok() {
            remove_zoned(&self.storage().device);
        }
    }
}

/// A string of [`Over`] with its words filled in.
fn filled_in(text: &str, below: &Path, number: u32) -> String {
    let name = below.file_name().unwrap_or_default().to_string_lossy();
    let parent = below.parent().unwrap_or(below).to_string_lossy();
    text.replace("{below}", &below.to_string_lossy())
        .replace("{parent}", &parent)
        .replace("{name}", &name)
        .replace("{number}", &number.to_string())
        .replace("{bytes}", &format!("{:08x}", number.swap_bytes()))
}

/// btrfs has limits for subvolumes, of which the first has the number 5. It counts only after it was told to count.
fn limit_subvolume(root: &Path, bytes: u64) -> std::result::Result<(), Errno> {
    let limit = bytes.to_string();
    let commands: &[&[&str]] = match bytes {
        0 => &[&["quota", "disable"]],
        _ => &[&["quota", "enable"], &["quota", "rescan", "-w"], &["qgroup", "limit", &limit, "0/5"]],
    };
    commands.iter().try_for_each(|command| {
        let program = programs::find("btrfs").ok_or(Errno::ENOENT)?;
        programs::within_limit(Command::new(program).args(*command).arg(root)).map(drop).map_err(|_| Errno::EIO)
    })
}

/// Copies the data, but not the holes.
pub(crate) fn copy_data(from: &File, to: &File) -> std::result::Result<(), Errno> {
    let mut end = 0;
    loop {
        let start = match lseek(from, end, Whence::SeekData) {
            Ok(start) => start,
            // There are no data any more.
            Err(Errno::ENXIO) => return Ok(()),
            Err(errno) => return Err(errno),
        };
        end = lseek(from, start, Whence::SeekHole)?;
        let (mut source, mut target) = (start, start);
        while source < end {
            let rest = (end - source) as usize;
            let copied = match copy_file_range(from, Some(&mut source), to, Some(&mut target), rest) {
                // The files are on file systems of different kinds.
                Err(Errno::EXDEV) => copy_block(from, to, &mut source, rest).map_err(vfs::errno)?,
                copied => copied?,
            };
            target = source;
            if copied == 0 {
                return Err(Errno::EIO);
            }
        }
    }
}

/// Copies a part of the data through a buffer.
fn copy_block(from: &File, to: &File, at: &mut i64, rest: usize) -> io::Result<usize> {
    let mut buffer = vec![0; rest.min(1 << 20)];
    let read = from.read_at(&mut buffer, *at as u64)?;
    to.write_all_at(&buffer[..read], *at as u64)?;
    *at += read as i64;
    Ok(read)
}

/// The reason why a file system was not made, with the lack that caused it.
fn named(machine: &Machine, why: Error) -> Error {
    match lack::now(machine) {
        Some(lack) => Error::about(lack, why),
        None => why,
    }
}

/// Notes the name of a device, because the kernel log may name it.
fn note(devices: &Devices, device: &Path) {
    let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
    devices.lock().unwrap_or_else(PoisonError::into_inner).push(name);
}

pub(crate) fn make(kind: FsKind, features: &[&str], device: &Path) -> Result<()> {
    let [name, arguments @ ..] = kind.facts().mkfs else {
        return Err(format!("no program makes {}", kind.name()).into());
    };
    let program = programs::find(name).ok_or_else(|| format!("{name} is not installed"))?;
    // Of two lists of features, mkfs.ext4 takes the last.
    let known = kind.facts().known.filter(|(file, _)| features.is_empty() && Path::new(file).exists());
    let features = known.map_or(features, |(_, arguments)| arguments);
    let made = programs::within_limit(Command::new(program).args(arguments).args(features).arg(device));
    Ok(made.map(drop)?)
}

/// An addition to the reason why a file system cannot be mounted.
fn unmade(kind: FsKind, device: &Path) -> String {
    const SUPERBLOCKS: usize = 128 << 10;
    let (mut start, name) = (vec![0; SUPERBLOCKS], kind.facts().mkfs.first().unwrap_or(&"mkfs"));
    match File::open(device).and_then(|device| device.read_exact_at(&mut start, 0)) {
        Ok(()) if start.iter().all(|byte| *byte == 0) => format!(": {name} made no file system"),
        _ => String::new(),
    }
}

/// The reason why a new file system is not mounted.
enum Unmounted {
    Refused(Errno),
    /// The program that should prepare it was killed.
    Program(Failure),
}

impl From<Errno> for Unmounted {
    fn from(errno: Errno) -> Self {
        Self::Refused(errno)
    }
}

impl From<Failure> for Unmounted {
    fn from(failure: Failure) -> Self {
        Self::Program(failure)
    }
}

/// The bit of the superblock that XFS_IOC_EXCHANGE_RANGE needs. mkfs.xfs can set it since 6.10; xfs_db(8) always could.
/// Without the bit the call is not offered. Only an xfs_db that has to be killed is an error.
mod exchange {
    use crate::programs::{self, Failure};
    use std::fs::File;
    use std::os::unix::fs::FileExt;
    use std::path::Path;
    use std::process::Command;

    const XFS_SB_FEAT_INCOMPAT_EXCHRANGE: u32 = 1 << 6;

    /// The offsets of sb_magicnum and sb_features_incompat in `struct xfs_dsb`, both in big endian.
    const MAGIC: u64 = 0;
    const FEATURES: u64 = 216;
    const XFS_SB_MAGIC: u32 = u32::from_be_bytes(*b"XFSB");

    /// Sets the bit, and returns the former value of the field, if there is a superblock.
    pub(crate) fn allow(device: &Path) -> Result<Option<u32>, Failure> {
        let superblock = File::open(device).ok();
        let field = |at: u64| {
            let mut bytes = [0; 4];
            superblock.as_ref()?.read_exact_at(&mut bytes, at).ok().map(|()| u32::from_be_bytes(bytes))
        };
        let Some(before) = field(FEATURES).filter(|_| field(MAGIC) == Some(XFS_SB_MAGIC)) else { return Ok(None) };
        write(device, before | XFS_SB_FEAT_INCOMPAT_EXCHRANGE)?;
        Ok(Some(before))
    }

    /// Sets the field and the checksum.
    pub(crate) fn write(device: &Path, value: u32) -> Result<(), Failure> {
        let Some(program) = programs::find("xfs_db") else { return Ok(()) };
        let set = format!("write -d features_incompat {value:#x}");
        match programs::within_limit(Command::new(program).args(["-x", "-c", "sb 0", "-c", &set]).arg(device)) {
            Err(failure) if failure.is_cut_short() => Err(failure),
            _ => Ok(()),
        }
    }
}
