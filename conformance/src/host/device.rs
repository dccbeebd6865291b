//! The devices below file systems.

use super::sys::{loop_device, vfs};
use crate::error::{Error, Result, at};
use crate::filesystem::Medium;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The present storage of a file system. A loss of power can replace it.
pub(crate) struct Storage {
    /// The storage, for access that bypasses the file system. Offsets and lengths must suit O_DIRECT.
    pub(crate) backing: Arc<File>,
    /// The device that was attached last. When it is not mounted any more, others can get it.
    pub(crate) device: PathBuf,
}

/// The end of the part of a device in which every byte can be written at any time.
pub(crate) fn writable(medium: Medium) -> u64 {
    match medium {
        Medium::Zoned => CONVENTIONAL,
        Medium::Loop | Medium::Pmem | Medium::Server => u64::MAX,
    }
}

/// An unused device, and a descriptor that keeps it attached. The device has `size` bytes if the suite can choose the
/// size.
pub(crate) fn storage(medium: Medium, size: u64) -> Result<(File, Storage)> {
    match medium {
        Medium::Loop => {
            let backing = blank(size)
                .map_err(|errno| Error::about(format!("no image in {}", std::env::temp_dir().display()), errno))?;
            let (held, device) = attach(&backing)?;
            Ok((held, Storage { backing: Arc::new(backing), device }))
        }
        Medium::Pmem => unused("/dev/pmem").and_then(opened),
        Medium::Zoned => add_zoned().and_then(opened),
        Medium::Server => Err("a server is no device".into()),
    }
}

/// The size of the part of a zoned device that can be written like other devices, in bytes: `zone_nr_conv`, in zones of
/// `zone_size`.
const CONVENTIONAL: u64 = 256 * (2 << 20);

/// The attributes of a zoned device of null_blk. Sizes are in MiB, and the last attribute switches the device on. The
/// conventional zones are for metadata and for pinned files.
const ZONED: [(&str, &str); 7] = [
    ("size", "2048"),
    ("blocksize", "4096"),
    ("memory_backed", "1"),
    ("zoned", "1"),
    ("zone_size", "2"),
    ("zone_nr_conv", "256"),
    ("power", "1"),
];

/// The directory in which devices of null_blk are made.
const NULL_BLK: &str = "/sys/kernel/config/nullb";

/// Adds a zoned device to a guest, under the next name. A used device is never used again. mkfs.f2fs takes its random
/// numbers from the time in seconds, so two file systems of the same second have the same numbers. f2fs would then
/// recover data of fsync(2) that the other file system left on the device.
fn add_zoned() -> Result<PathBuf> {
    let root = Path::new(NULL_BLK);
    if !root.exists() {
        let mounted = Path::new("/sys/kernel/config");
        mount(Some("configfs"), mounted, Some("configfs"), MsFlags::empty(), None::<&str>).map_err(at(mounted))?;
    }
    let mut names = (0..).map(|number| format!("zoned{number}"));
    let made = names.find_map(|name| match std::fs::create_dir(root.join(&name)) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
        made => Some(made.map(|()| name).map_err(at(root))),
    });
    let name = made.unwrap_or_else(|| Err(format!("{NULL_BLK}: no name").into()))?;
    ZONED.iter().try_for_each(|(attribute, value)| set(&root.join(&name).join(attribute), value))?;
    Ok(Path::new("/dev").join(name))
}

/// Gives back the memory of a zoned device that is not needed any more.
pub(crate) fn remove_zoned(device: &Path) {
    let directory = Path::new(NULL_BLK).join(device.file_name().unwrap_or_default());
    // If it is still in use, it stays until the guest ends.
    let _ = set(&directory.join("power"), "0").map(|()| std::fs::remove_dir(&directory));
}

/// The directory of libnvdimm in sysfs.
pub(crate) const ND: &str = "/sys/bus/nd";

/// Writes to an attribute in sysfs or configfs.
pub(crate) fn set(attribute: &Path, value: &str) -> Result<()> {
    std::fs::write(attribute, value).map_err(at(attribute))
}

/// A turn to take a device of persistent memory and to mount it. The kernel refuses to give out a mounted device twice, and
/// before that, another thread could find the same one free.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The first device of a guest that has a name with this beginning and is not mounted.
fn unused(prefix: &str) -> Result<PathBuf> {
    let mut devices = (0..).map(|number| PathBuf::from(format!("{prefix}{number}"))).take_while(|path| path.exists());
    // The kernel refuses an exclusive descriptor of a mounted device.
    let unused = devices.find(|device| open(device, OFlag::O_EXCL).is_ok());
    unused.ok_or_else(|| format!("no device {prefix} that is not in use").into())
}

fn open(device: &Path, flags: OFlag) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(device)
}

/// Opens an existing device of a guest.
fn opened(device: PathBuf) -> Result<(File, Storage)> {
    let backing = open(&device, OFlag::O_DIRECT).and_then(|backing| Ok((backing.try_clone()?, backing)));
    let (held, backing) = backing.map_err(at(&device))?;
    Ok((held, Storage { backing: Arc::new(backing), device }))
}

/// The device that provides loop devices.
pub(crate) const LOOP_CONTROL: &str = "/dev/loop-control";

/// A file of the size of an image, without data.
pub(crate) fn blank(size: u64) -> std::result::Result<File, Errno> {
    let file = nameless()?;
    file.set_len(size).map_err(vfs::errno)?;
    Ok(file)
}

/// A file that never had a name, in the directory for temporary files, or in memory if it cannot be there.
pub(crate) fn nameless() -> std::result::Result<File, Errno> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    match nix::fcntl::open(&std::env::temp_dir(), flags, Mode::S_IRUSR | Mode::S_IWUSR) {
        Err(Errno::EOPNOTSUPP | Errno::EISDIR) => memfd_create("iomap-conformance", MFdFlags::MFD_CLOEXEC),
        other => other,
    }
    .map(File::from)
}

/// Attaches a file to a free loop device that detaches itself after its last use.
///
/// If all devices are in use, the kernel makes another one. Its node stays for the next user of a loop device.
/// LOOP_CTL_REMOVE would remove the node, but is not used: LOOP_CTL_GET_FREE reserves nothing. Between our last use and
/// the removal, another process may have got the number, and its open(2) of the node would fail. No lock that
/// losetup(8) and mount(8) take prevents that.
///
/// Only one thread at a time attaches a file. LOOP_CONFIGURE claims its device before it sees that another thread was
/// faster (loop_configure); meanwhile, a mount of the device by that other thread fails with EBUSY.
pub(crate) fn attach(backing: &File) -> Result<(File, PathBuf)> {
    static ATTACHING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ATTACHING.lock().unwrap_or_else(PoisonError::into_inner);
    let control = File::open(LOOP_CONTROL).map_err(at(Path::new(LOOP_CONTROL)))?;
    loop {
        let number = loop_device::free(&control).map_err(|errno| match errno {
            Errno::ENOTTY => {
                Error::from(format!("{LOOP_CONTROL} is not the device of this name: it gives no loop devices"))
            }
            _ => Error::about(format!("no free loop device from {LOOP_CONTROL}"), errno),
        })?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(true).open(&path);
        let device = device.map_err(at(&path))?;
        match loop_device::attach(&device, backing) {
            Ok(()) => return Ok((device, path)),
            // Another process was faster.
            Err(Errno::EBUSY) => (),
            Err(errno) => return Err(at(&path)(errno)),
        }
    }
}
