//! Subvolumes and snapshots of btrfs, by path.

use super::sys;
use nix::errno::Errno;
use std::ffi::CString;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// BTRFS_IOC_SNAP_CREATE, and the snapshot goes again.
pub(crate) fn snapshot(root: &Path) -> Result<(), Errno> {
    let root = File::open(root).map_err(sys::errno)?;
    sys::btrfs_snapshot(root.as_fd(), root.as_fd(), c"snapshot")?;
    sys::btrfs_destroy(root.as_fd(), c"snapshot")
}

/// BTRFS_IOC_SUBVOL_CREATE.
pub(crate) fn subvolume(path: &Path) -> Result<(), Errno> {
    let (parent, name) = place_of(path)?;
    sys::btrfs_subvolume(parent.as_fd(), &name)
}

/// BTRFS_IOC_SNAP_DESTROY of the subvolume that a file is in.
pub(crate) fn destroy_subvolume_of(file: &Path) -> Result<(), Errno> {
    let (parent, name) = place_of(file.parent().ok_or(Errno::EINVAL)?)?;
    sys::btrfs_destroy(parent.as_fd(), &name)
}

/// The directory that contains a path, and the name in it.
fn place_of(path: &Path) -> Result<(File, CString), Errno> {
    let (parent, name) = path.parent().zip(path.file_name()).ok_or(Errno::EINVAL)?;
    Ok((File::open(parent).map_err(sys::errno)?, CString::new(name.as_encoded_bytes()).map_err(|_| Errno::EINVAL)?))
}
