//! Operations of administrators and their programs on files and file systems: defragmentation, balancing, snapshots,
//! exchange.
//!
//! There is one row for each operation and each file system that has it. A file system without a row does not offer the
//! operation.

use super::held::Held;
use super::image::Image;
use super::segments::{self, SEGMENT};
use super::sys::buffer::Aligned;
use super::sys::{btrfs, ext4, f2fs, vfs, xfs};
use crate::filesystem::FsKind;
use iomap_reference::{BLOCK, Call, Outcome, Reply};
use nix::errno::Errno;
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// The place of an operation.
pub(crate) struct Place<'a> {
    pub(crate) held: &'a Held,
    /// The place where the file system is mounted.
    pub(crate) root: &'a Path,
    /// The directory of the case.
    pub(crate) directory: &'a Path,
    /// The storage of the file system, if the suite made it.
    pub(crate) image: Option<&'a Image>,
}

/// The operations.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Exchange,
    Snapshot,
    Subvolume,
    Defragment,
    Collect,
    Shrink,
    RemoveDevice,
    ReplaceDevice,
}

struct Row {
    operation: Operation,
    fs: FsKind,
    run: fn(&Place, &Call) -> Result<(), Errno>,
}

static ROWS: &[Row] = &[
    Row { operation: Operation::Exchange, fs: FsKind::Xfs, run: exchange },
    Row { operation: Operation::Snapshot, fs: FsKind::Btrfs, run: |place, _| btrfs::snapshot(place.root) },
    Row { operation: Operation::Subvolume, fs: FsKind::Btrfs, run: make_subvolume },
    Row { operation: Operation::Defragment, fs: FsKind::Xfs, run: swap_extents },
    Row { operation: Operation::Defragment, fs: FsKind::Ext4, run: move_extents },
    Row { operation: Operation::Defragment, fs: FsKind::Btrfs, run: defragment },
    Row { operation: Operation::Defragment, fs: FsKind::F2fs, run: f2fs_defragment },
    Row { operation: Operation::Collect, fs: FsKind::Btrfs, run: balance },
    Row { operation: Operation::Collect, fs: FsKind::F2fs, run: collect },
    Row { operation: Operation::Shrink, fs: FsKind::Xfs, run: xfs_resize },
    Row { operation: Operation::Shrink, fs: FsKind::Btrfs, run: btrfs_resize },
    Row { operation: Operation::RemoveDevice, fs: FsKind::Btrfs, run: remove_device },
    Row { operation: Operation::ReplaceDevice, fs: FsKind::Btrfs, run: replace_device },
];

fn operation(call: &Call) -> Option<Operation> {
    Some(match call {
        Call::Exchange { .. } => Operation::Exchange,
        Call::Snapshot => Operation::Snapshot,
        Call::Subvolume { .. } => Operation::Subvolume,
        Call::Defragment { .. } => Operation::Defragment,
        Call::Collect => Operation::Collect,
        Call::Shrink { .. } => Operation::Shrink,
        Call::RemoveDevice => Operation::RemoveDevice,
        Call::ReplaceDevice => Operation::ReplaceDevice,
        _ => return None,
    })
}

fn row(fs: FsKind, operation: Operation) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.fs == fs.family() && row.operation == operation)
}

/// Whether a file system has the operation of a call.
pub(crate) fn has(fs: FsKind, call: &Call) -> bool {
    operation(call).is_some_and(|operation| row(fs, operation).is_some())
}

/// Carries out a call, if it is an operation that the file system has.
pub(crate) fn perform(fs: FsKind, place: &Place, call: &Call) -> Option<Outcome> {
    let row = row(fs, operation(call)?)?;
    Some((row.run)(place, call).map(|()| Reply::Number(0)))
}

/// XFS_IOC_SWAPEXT, which every XFS has. It needs files of one size.
fn exchange(place: &Place, call: &Call) -> Result<(), Errno> {
    let Call::Exchange { one, other } = call else { return Err(Errno::EINVAL) };
    place.held.with(*one, |one| place.held.with(*other, |other| xfs::swap_extents(one, other)))
}

/// Defragments as xfs_fsr(8) does: copies the file to storage that XFS chooses, and exchanges the two.
fn swap_extents(place: &Place, call: &Call) -> Result<(), Errno> {
    with_copy(place, call, |file, copy| xfs::swap_extents(file.as_fd(), copy.as_fd()))
}

/// Defragments as e4defrag(8) does: moves the file to the storage of another file.
fn move_extents(place: &Place, call: &Call) -> Result<(), Errno> {
    with_copy(place, call, |file, copy| {
        let blocks = file.metadata().map_err(vfs::errno)?.len().div_ceil(BLOCK as u64);
        ext4::move_extents(file.as_fd(), copy.as_fd(), blocks)
    })
}

/// BTRFS_IOC_DEFRAG.
fn defragment(place: &Place, call: &Call) -> Result<(), Errno> {
    let Call::Defragment { fd } = call else { return Err(Errno::EINVAL) };
    place.held.with(*fd, btrfs::defragment)
}

/// BTRFS_IOC_BALANCE_V2 of all data and metadata.
fn balance(place: &Place, _: &Call) -> Result<(), Errno> {
    btrfs::balance(File::open(place.root).map_err(vfs::errno)?.as_fd(), false)
}

/// F2FS_IOC_DEFRAGMENT.
fn f2fs_defragment(place: &Place, call: &Call) -> Result<(), Errno> {
    let Call::Defragment { fd } = call else { return Err(Errno::EINVAL) };
    place.held.with(*fd, f2fs::defragment)
}

/// F2FS_IOC_GARBAGE_COLLECT_RANGE of every segment: by itself, f2fs finds nothing to collect on a clean image.
fn collect(place: &Place, _: &Call) -> Result<(), Errno> {
    // f2fs does not collect the segment that it is writing to, so the file must not be in that one.
    segments::next_segment(place.directory).map_err(vfs::errno)?;
    let root = File::open(place.root).map_err(vfs::errno)?;
    let image = place.image.ok_or(Errno::ENOSYS)?.backing();
    let (first, segments) = segments::main_area(&image).map_err(vfs::errno)?;
    (first..).step_by(SEGMENT).take(segments).try_for_each(|block| {
        match f2fs::collect(root.as_fd(), block) {
            // The segment is empty, is busy at this moment, or has data that must not be moved.
            Err(Errno::ENODATA | Errno::EAGAIN | Errno::EBUSY) => Ok(()),
            other => other,
        }
    })
}

fn make_subvolume(place: &Place, call: &Call) -> Result<(), Errno> {
    let Call::Subvolume { name } = call else { return Err(Errno::EINVAL) };
    btrfs::subvolume(&place.directory.join(name))
}

/// XFS_IOC_FSGROWFSDATA, which can also take away free space at the end of the last allocation group.
fn xfs_resize(place: &Place, call: &Call) -> Result<(), Errno> {
    let Call::Shrink { size } = call else { return Err(Errno::EINVAL) };
    xfs::resize(File::open(place.root).map_err(vfs::errno)?.as_fd(), size.cast_unsigned() / BLOCK as u64)
}

/// BTRFS_IOC_RESIZE.
fn btrfs_resize(place: &Place, call: &Call) -> Result<(), Errno> {
    let Call::Shrink { size } = call else { return Err(Errno::EINVAL) };
    btrfs::resize(File::open(place.root).map_err(vfs::errno)?.as_fd(), *size)
}

/// BTRFS_IOC_ADD_DEV of a new device, then BTRFS_IOC_RM_DEV of the old one.
fn remove_device(place: &Place, _: &Call) -> Result<(), Errno> {
    let root = File::open(place.root).map_err(vfs::errno)?;
    place.image.ok_or(Errno::ENOSYS)?.change_device(|old, new| {
        btrfs::add_device(root.as_fd(), new)?;
        let removed = btrfs::remove_device(root.as_fd(), old);
        if removed.is_err() {
            btrfs::remove_device(root.as_fd(), new)?;
        }
        removed
    })
}

/// BTRFS_IOC_DEV_REPLACE. It needs room for another chunk. The chunks of removed files become free only some time
/// later, so they are freed first.
fn replace_device(place: &Place, _: &Call) -> Result<(), Errno> {
    let root = File::open(place.root).map_err(vfs::errno)?;
    btrfs::balance(root.as_fd(), true)?;
    place.image.ok_or(Errno::ENOSYS)?.change_device(|old, new| btrfs::replace_device(root.as_fd(), old, new))
}

/// Calls `act` with a file and a new copy of it.
fn with_copy(place: &Place, call: &Call, act: impl FnOnce(&File, &File) -> Result<(), Errno>) -> Result<(), Errno> {
    let Call::Defragment { fd } = call else { return Err(Errno::EINVAL) };
    let path = place.directory.join("donor");
    let copy = File::options().read(true).write(true).create_new(true).open(&path).map_err(vfs::errno)?;
    // The copy needs no name.
    std::fs::remove_file(&path).map_err(vfs::errno)?;
    place.held.with(*fd, |file| {
        let file = File::from(file.try_clone_to_owned().map_err(vfs::errno)?);
        let len = file.metadata().map_err(vfs::errno)?.len() as usize;
        // The buffer is aligned, because the descriptor may have O_DIRECT.
        let mut data = Aligned::new(len);
        std::os::unix::fs::FileExt::read_exact_at(&file, data.get_mut(), 0).map_err(vfs::errno)?;
        std::os::unix::fs::FileExt::write_all_at(&copy, data.get(), 0).map_err(vfs::errno)?;
        copy.sync_all().map_err(vfs::errno)?;
        act(&file, &copy)
    })
}
