//! What a file system lies on.

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
use std::sync::{Arc, Mutex, PoisonError};

/// What a file system lies on at present: after a loss of power that can be something else.
pub(crate) struct Storage {
    /// What is underneath, for whoever goes past the file system. Offsets and lengths are those of O_DIRECT.
    pub(crate) backing: Arc<File>,
    /// The device that was attached last; free for others once it is not mounted.
    pub(crate) device: PathBuf,
}

/// The address from which on not every byte of a device can be written at any time.
pub(crate) fn writable(medium: Medium) -> u64 {
    match medium {
        Medium::Zoned => CONVENTIONAL,
        Medium::Loop | Medium::Pmem => u64::MAX,
    }
}

/// An unused device, of `size` bytes where there is a choice, and a descriptor that keeps it attached.
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
    }
}

/// How much of a zoned device can be written as any other, in bytes: `zone_nr_conv`, in zones of `zone_size`.
const CONVENTIONAL: u64 = 256 * (2 << 20);

/// What a zoned device is like, by the attributes of null_blk: sizes are in MiB, and the last one switches it on. The
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

/// Where null_blk gets its devices from.
const NULL_BLK: &str = "/sys/kernel/config/nullb";

/// Adds a zoned device to a guest, under the next name. Nobody gets one that was used: mkfs.f2fs takes its random numbers
/// from the time in seconds, and f2fs recovers what a file system that was made in the same second has left of fsync(2).
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

/// Gives back the memory of a zoned device that nobody uses any more.
pub(crate) fn remove_zoned(device: &Path) {
    let directory = Path::new(NULL_BLK).join(device.file_name().unwrap_or_default());
    // If it is still in use, it stays until the guest ends.
    let _ = set(&directory.join("power"), "0").map(|()| std::fs::remove_dir(&directory));
}

/// What libnvdimm has in sysfs.
pub(crate) const ND: &str = "/sys/bus/nd";

/// Writes to an attribute in sysfs or configfs.
pub(crate) fn set(attribute: &Path, value: &str) -> Result<()> {
    std::fs::write(attribute, value).map_err(at(attribute))
}

/// The first device of a guest, by the beginning of its name, that is not mounted.
fn unused(prefix: &str) -> Result<PathBuf> {
    let mut devices = (0..).map(|number| PathBuf::from(format!("{prefix}{number}"))).take_while(|path| path.exists());
    // The kernel gives an exclusive descriptor of a device that is mounted to nobody.
    let unused = devices.find(|device| open(device, OFlag::O_EXCL).is_ok());
    unused.ok_or_else(|| format!("no device {prefix} that is not in use").into())
}

fn open(device: &Path, flags: OFlag) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(flags.bits()).open(device)
}

/// A device of a guest, which is there anyway.
fn opened(device: PathBuf) -> Result<(File, Storage)> {
    let backing = open(&device, OFlag::O_DIRECT).and_then(|backing| Ok((backing.try_clone()?, backing)));
    let (held, backing) = backing.map_err(at(&device))?;
    Ok((held, Storage { backing: Arc::new(backing), device }))
}

/// The device that gives loop devices.
pub(crate) const LOOP_CONTROL: &str = "/dev/loop-control";

/// A file of the size of an image, without contents.
pub(crate) fn blank(size: u64) -> std::result::Result<File, Errno> {
    let file = nameless()?;
    file.set_len(size).map_err(vfs::errno)?;
    Ok(file)
}

/// A file that never had a name, in the directory for temporary files, or in memory where that cannot be.
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
/// Where all devices are in use the kernel makes another one, whose node stays for the next user of a loop device.
/// LOOP_CTL_REMOVE would remove the node, but is not used: LOOP_CTL_GET_FREE reserves nothing, so between our last use
/// and the removal another process may have got the number, and its open(2) of the node would fail. No lock that
/// losetup(8) and mount(8) take prevents that.
///
/// One thread at a time: LOOP_CONFIGURE claims its device before it sees that another thread was faster (loop_configure),
/// and a mount of the device by that thread fails with EBUSY meanwhile.
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
            // Somebody else was faster.
            Err(Errno::EBUSY) => (),
            Err(errno) => return Err(at(&path)(errno)),
        }
    }
}
