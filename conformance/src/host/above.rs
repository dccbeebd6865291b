//! The directory of a case, as a file system above shows it.

use super::held::Held;
use super::sys::vfs;
use iomap_reference::Fd;
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// The directory of a case, as a file system above shows it.
pub(super) enum Above {
    /// The file system that is examined is above.
    Shown(PathBuf),
    /// An overlay whose upper layer is the directory.
    Overlay(Overlay),
}

impl Above {
    /// The file system above, or a new overlay where there is none.
    pub(super) fn of(calls: &Held) -> Result<Self, Errno> {
        match calls.above() {
            Some(place) => Ok(Self::Shown(place.into())),
            None => Overlay::new(calls).map(Self::Overlay),
        }
    }

    /// The place where the directory is shown.
    pub(super) fn at(&self) -> &Path {
        match self {
            Self::Shown(place) => place,
            Self::Overlay(overlay) => &overlay.at,
        }
    }

    /// The path of an open file of the case.
    pub(super) fn path(&self, calls: &Held, fd: Fd) -> Result<PathBuf, Errno> {
        let path = calls.with(fd, |file| std::fs::read_link(vfs::proc_path(&file)).map_err(vfs::errno))?;
        Ok(self.at().join(path.file_name().ok_or(Errno::ENOENT)?))
    }
}

/// An overlay, mounted until it is dropped.
pub(super) struct Overlay {
    /// The directory with all parts below.
    parts: PathBuf,
    /// The place where the overlay is mounted.
    at: PathBuf,
}

impl Overlay {
    fn new(calls: &Held) -> Result<Self, Errno> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let parts = calls.root().join(format!("overlay-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let overlay = Self { at: parts.join("at"), parts };
        // The directory that the kernel works in has to be on the file system of the upper layer.
        let [lower, work] = ["lower", "work"].map(|part| overlay.parts.join(part));
        for directory in [&lower, &work, &overlay.at] {
            std::fs::create_dir_all(directory).map_err(vfs::errno)?;
        }
        let (lower, upper, work) = (lower.display(), calls.path("."), work.display());
        let options = format!("lowerdir={lower},upperdir={},workdir={work}", upper.display());
        mount(Some("overlay"), &overlay.at, Some("overlay"), MsFlags::empty(), Some(&*options))?;
        Ok(overlay)
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        // If the mount failed, nothing is mounted there.
        let _ = umount2(&self.at, MntFlags::empty());
        let _ = std::fs::remove_dir_all(&self.parts);
    }
}
