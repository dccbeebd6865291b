//! A file system on which the suite runs no cases: a power loss left it, or it will lose its power, or a person at a
//! shell uses it.

use crate::error::{Error, Result};
use crate::filesystem::FsKind;
use crate::host::areas::Areas;
use crate::host::device::blank;
use crate::host::image::{Image, make};
use crate::host::offer::lacks;
use crate::host::stock::Retirement;
use crate::host::sys::vfs;
use crate::host::system::HostSystem;
use crate::kernel_log::Devices;
use crate::mechanism::Mechanism;
use crate::programs;
use crate::reach::Kind;
use crate::system::System;
use nix::unistd::syncfs;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// The mounted file system.
pub(crate) struct Mounted {
    image: Image,
    retirement: Retirement,
}

impl Mounted {
    /// Mounts an existing file system.
    pub(crate) fn mount(kind: FsKind, device: &Path, root: &Path) -> Result<Self> {
        let image = Image::found(kind, root.into(), device.into())?;
        Self::with(image)
    }

    /// Makes a file system on the storage that its kind has on this machine, and mounts it.
    pub(crate) fn fresh(kind: FsKind, root: &Path) -> Result<Self> {
        let image = Image::new(kind, root.into(), &Devices::default())?;
        Self::with(image)
    }

    /// The same with limits for users, if the suite knows such limits for the kind.
    pub(crate) fn with_quotas(kind: FsKind, root: &Path) -> Result<Self> {
        let image = Image::with_quotas(kind, root.into(), &Devices::default())?;
        Self::with(image)
    }

    fn with(image: Image) -> Result<Self> {
        let retirement = Retirement::new(Arc::new(Areas::unlimited()));
        Ok(Self { image, retirement: retirement.map_err(|error| Error::about("lacking memory: no thread", error))? })
    }

    /// A place for calls: a directory of the file system.
    pub(crate) fn system(&self, directory: &str) -> Box<dyn System + '_> {
        let directory = self.image.root().join(directory);
        Box::new(HostSystem::new(directory, &self.image, None, &self.retirement, None, (Kind::Found, Arc::default())))
    }

    /// The reason why the file system does not have a mechanism; `None` if it has. The test leaves its files in the
    /// directory.
    pub(crate) fn lacks(&self, directory: &str, mechanism: Mechanism) -> Option<String> {
        lacks(&*self.system(directory), mechanism).unwrap_or_else(|error| Some(error.to_string()))
    }

    /// Writes all data to storage.
    pub(crate) fn sync(&self) -> Result<()> {
        let synced = File::open(self.image.root()).map_err(vfs::errno).and_then(syncfs);
        synced.map_err(|errno| Error::about("syncfs", errno))
    }

    /// Makes the data durable that an agent wrote to the device. Data that the file system still keeps elsewhere are
    /// not made durable.
    pub(crate) fn flush_device(&self) -> Result<()> {
        self.image.backing().sync_all().map_err(|error| Error::about("fsync of the device", error))
    }

    /// Unmounts the file system, and makes the kernel forget it. btrfs knows file systems by the identity in their
    /// data, and takes another disk with the same data for the same file system.
    pub(crate) fn unmount(self) -> Result<()> {
        self.image.unmount().map_err(|errno| Error::about("unmounting", errno))?;
        if let Some([name, arguments @ ..]) = self.image.kind().facts().forget
            && let Some(program) = programs::find(name)
        {
            // The program fails if the kernel has nothing to forget.
            let _ = programs::within_limit(Command::new(program).args(arguments));
        }
        Ok(())
    }
}

/// Makes a file system on a device of this guest.
pub(crate) fn format(kind: FsKind, device: &Path) -> Result<()> {
    make(kind, &[], device)
}

/// An image without a name, with a new file system that was never mounted.
pub(crate) fn image(kind: FsKind) -> Result<File> {
    let file = blank(kind.facts().size)
        .map_err(|errno| Error::about(format!("no image in {}", std::env::temp_dir().display()), errno))?;
    let path = PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd()));
    make(kind, &[], &path).map(|()| file)
}
