//! The routes: other ways to make a call on this kernel.
//!
//! There is one row for each. A row that names no file system is for all file systems.

use super::above::Above;
use super::held::Held;
use super::sys::buffer::Aligned;
use super::sys::mapping::{self, Mapping};
use super::sys::vfs::Attribute;
use super::sys::{aio, btrfs, ext4, f2fs, process, rdma, ring, swap, vfs, xattr, xfs};
use crate::filesystem::FsKind;
use crate::programs;
use iomap_reference::{BLOCK, Call, Fd, Outcome, Reply, Route};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, PosixFadviseAdvice, RenameFlags, SpliceFFlags};
use nix::sys::stat::{FchmodatFlags, Mode as FileMode, UtimensatFlags};
use nix::sys::time::{TimeSpec, TimeValLike};
use nix::unistd;
use std::fs::File;
use std::io::IoSlice;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::process::Command;

struct Row {
    route: Route,
    fs: &'static [FsKind],
    make: fn(&Held, Route, &Call) -> Outcome,
}

const EVERY: &[FsKind] = &[];
const XFS: &[FsKind] = &[FsKind::Xfs];
const EXT4: &[FsKind] = &[FsKind::Ext4];
const BTRFS: &[FsKind] = &[FsKind::Btrfs];
const F2FS: &[FsKind] = &[FsKind::F2fs];

#[rustfmt::skip] // One route, one line.
static ROWS: &[Row] = &[
    Row { route: Route::Dsync, fs: EVERY, make: transfer },
    Row { route: Route::Uncached, fs: EVERY, make: transfer },
    Row { route: Route::Aio, fs: EVERY, make: transfer },
    Row { route: Route::Ring, fs: EVERY, make: transfer },
    Row { route: Route::RingFixed, fs: EVERY, make: transfer },
    Row { route: Route::Splice, fs: EVERY, make: transfer },
    Row { route: Route::Sendfile, fs: EVERY, make: transfer },
    Row { route: Route::Gift, fs: EVERY, make: transfer },
    Row { route: Route::Mprotect, fs: EVERY, make: map },
    Row { route: Route::Mlock, fs: EVERY, make: map },
    Row { route: Route::Populate, fs: EVERY, make: map },
    Row { route: Route::Userfault, fs: EVERY, make: map },
    Row { route: Route::MapSync, fs: EVERY, make: map },
    Row { route: Route::Mremap, fs: EVERY, make: map },
    Row { route: Route::Unmapped, fs: EVERY, make: map },
    Row { route: Route::ProcessVm, fs: EVERY, make: store },
    Row { route: Route::ProcMem, fs: EVERY, make: store },
    Row { route: Route::DirectInto, fs: EVERY, make: store },
    Row { route: Route::Fork, fs: EVERY, make: store },
    Row { route: Route::Flush, fs: EVERY, make: store },
    Row { route: Route::Rdma, fs: EVERY, make: register },
    Row { route: Route::RdmaRead, fs: EVERY, make: register },
    Row { route: Route::XfsReserve, fs: XFS, make: space },
    Row { route: Route::XfsUnreserve, fs: XFS, make: space },
    Row { route: Route::XfsZero, fs: XFS, make: space },
    Row { route: Route::XfsExchange, fs: XFS, make: exchange },
    Row { route: Route::Ext4Move, fs: EXT4, make: exchange },
    Row { route: Route::Ext4Boot, fs: EXT4, make: exchange },
    Row { route: Route::Ext4Migrate, fs: EXT4, make: defragment },
    Row { route: Route::XfsFsr, fs: XFS, make: defragment },
    Row { route: Route::E4defrag, fs: EXT4, make: defragment },
    Row { route: Route::BtrfsDefragRange, fs: BTRFS, make: defragment },
    Row { route: Route::BtrfsProperty, fs: BTRFS, make: attribute },
    Row { route: Route::F2fsDefragment, fs: F2FS, make: defragment },
    Row { route: Route::F2fsMove, fs: F2FS, make: exchange },
    Row { route: Route::F2fsErase, fs: F2FS, make: space },
    Row { route: Route::F2fsAtomic, fs: F2FS, make: atomic },
    Row { route: Route::ProjectId, fs: EVERY, make: attribute },
    Row { route: Route::ExtentSize, fs: EVERY, make: attribute },
    Row { route: Route::CowExtentSize, fs: EVERY, make: attribute },
    Row { route: Route::Dax, fs: EVERY, make: attribute },
    Row { route: Route::LinkByDescriptor, fs: EVERY, make: name },
    Row { route: Route::Whiteout, fs: EVERY, make: name },
    Row { route: Route::Acl, fs: EVERY, make: name },
    Row { route: Route::Fchmod, fs: EVERY, make: name },
    Row { route: Route::Fchown, fs: EVERY, make: name },
    Row { route: Route::Futimens, fs: EVERY, make: name },
    Row { route: Route::Now, fs: EVERY, make: name },
    Row { route: Route::Fsetxattr, fs: EVERY, make: name },
    Row { route: Route::Freeze, fs: EVERY, make: event },
    Row { route: Route::Trim, fs: EVERY, make: event },
    Row { route: Route::SyncRange, fs: EVERY, make: event },
    Row { route: Route::Fadvise, fs: EVERY, make: event },
    Row { route: Route::BtrfsScrub, fs: BTRFS, make: event },
    Row { route: Route::BtrfsDestroy, fs: BTRFS, make: name },
    Row { route: Route::BtrfsEncoded, fs: BTRFS, make: encoded },
    Row { route: Route::Verity, fs: EVERY, make: attribute },
    Row { route: Route::Preferred, fs: EVERY, make: activate },
    Row { route: Route::FileGetattr, fs: EVERY, make: query },
    Row { route: Route::Namespace, fs: EVERY, make: in_namespace },
    Row { route: Route::Overlay, fs: EVERY, make: from_above },
];

/// A call by root of a new user namespace, who has every capability there.
fn in_namespace(calls: &Held, _: Route, call: &Call) -> Outcome {
    match call {
        // The question whether the route exists.
        Call::FreeSpace => done(process::in_user_namespace(|| Ok(()))),
        Call::Fallocate { fd, mode, offset, len } => {
            let make = |file: BorrowedFd| process::in_user_namespace(|| vfs::fallocate(file, *mode, *offset, *len));
            done(calls.with(*fd, make))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// A call through a file system above the directory of the case.
fn from_above(calls: &Held, _: Route, call: &Call) -> Outcome {
    let above = Above::of(calls)?;
    match call {
        // The question whether the route exists.
        Call::FreeSpace => Ok(Reply::Number(0)),
        Call::Fallocate { fd, mode, offset, len } => {
            let file = File::options().write(true).open(above.path(calls, *fd)?).map_err(vfs::errno)?;
            done(vfs::fallocate(file.as_fd(), *mode, *offset, *len))
        }
        Call::GetXflags { fd } => {
            let file = File::open(above.path(calls, *fd)?).map_err(vfs::errno)?;
            vfs::xflags(file.as_fd()).map(|flags| Reply::Number(flags.into()))
        }
        Call::Statx { name, mask } => {
            let (attributes, of_all) = vfs::statx(&above.at().join(name))?;
            Ok(Reply::Number((if *mask { of_all } else { attributes }).cast_signed()))
        }
        _ => Err(Errno::EINVAL),
    }
}

/// Whether a file system has a route.
pub(crate) fn has(fs: Option<FsKind>, route: Route) -> bool {
    let fits = |row: &Row| row.fs.is_empty() || fs.is_some_and(|fs| row.fs.contains(&fs.family()));
    ROWS.iter().any(|row| row.route == route && fits(row))
}

/// Makes a call by a route.
pub(crate) fn make(calls: &Held, route: Route, call: &Call) -> Outcome {
    let row = ROWS.iter().find(|row| row.route == route).ok_or(Errno::ENOSYS)?;
    (row.make)(calls, route, call)
}

/// The answer for a route that the function in its row does not know: no other call is made in its place.
fn unknown<T>(_: Route) -> Result<T, Errno> {
    Err(Errno::ENOSYS)
}

fn count(number: usize) -> Reply {
    Reply::Number(number as i64)
}

fn done(result: Result<(), Errno>) -> Outcome {
    result.map(|()| Reply::Number(0))
}

/// Reads and writes.
fn transfer(calls: &Held, route: Route, call: &Call) -> Outcome {
    match call {
        Call::Pwrite { fd, offset, data } => {
            let data = Aligned::of(data);
            calls.with(*fd, |file| write(route, file, Some(*offset), data.get())).map(count)
        }
        // This is for descriptors with O_APPEND: the kernel chooses the offset.
        Call::Write { fd, data } => {
            let data = Aligned::of(data);
            calls.with(*fd, |file| write(route, file, None, data.get())).map(count)
        }
        Call::Pread { fd, offset, len } => {
            let mut data = Aligned::new(*len);
            let got = calls.with(*fd, |file| read(route, file, *offset, data.get_mut()))?;
            Ok(Reply::Data(data.get()[..got].into()))
        }
        _ => Err(Errno::EINVAL),
    }
}

fn write(route: Route, file: BorrowedFd, offset: Option<i64>, data: &[u8]) -> Result<usize, Errno> {
    let at = offset.unwrap_or(0);
    match route {
        Route::Dsync => vfs::pwritev2(file, &[data], at, vfs::DSYNC),
        Route::Uncached => vfs::pwritev2(file, &[data], at, vfs::UNCACHED),
        Route::Aio => aio::write(file, data, at),
        Route::Ring => ring::write(file, data, offset, false),
        Route::RingFixed => ring::write(file, data, offset, true),
        Route::Splice => spliced(file, at, data, SpliceFFlags::empty(), |pipe, part| unistd::write(pipe, part)),
        Route::Gift => spliced(file, at, data, SpliceFFlags::SPLICE_F_MOVE, |pipe, part| {
            nix::fcntl::vmsplice(pipe, &[IoSlice::new(part)], SpliceFFlags::SPLICE_F_GIFT)
        }),
        // sendfile(2) writes at the file offset. The old file offset is restored afterwards, so that this route, too,
        // is a write at an offset.
        Route::Sendfile => {
            let from = mapping::scratch(data)?;
            let before = unistd::lseek(file, 0, unistd::Whence::SeekCur)?;
            unistd::lseek(file, at, unistd::Whence::SeekSet)?;
            let sent = nix::sys::sendfile::sendfile(file, &from, Some(&mut 0), data.len());
            unistd::lseek(file, before, unistd::Whence::SeekSet)?;
            sent
        }
        other => unknown(other),
    }
}

/// A pipe that has room for all data that most cases write at once.
fn pipe() -> Result<(std::os::fd::OwnedFd, std::os::fd::OwnedFd), Errno> {
    let (reader, writer) = unistd::pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(1 << 20))?;
    Ok((reader, writer))
}

/// Fills a pipe and splices it into a file, until the file has all data or takes no more.
fn spliced(
    file: BorrowedFd,
    at: i64,
    data: &[u8],
    flags: SpliceFFlags,
    fill: impl Fn(&std::os::fd::OwnedFd, &[u8]) -> Result<usize, Errno>,
) -> Result<usize, Errno> {
    let (reader, writer) = pipe()?;
    let mut moved = 0;
    while moved < data.len() {
        let filled = fill(&writer, &data[moved..])?;
        match drain(reader.as_fd(), file, at + moved as i64, filled, flags) {
            Err(errno) if moved == 0 => return Err(errno),
            Ok(more) if more == filled => moved += more,
            Ok(more) => return Ok(moved + more),
            Err(_) => break,
        }
    }
    Ok(moved)
}

/// splice(2) from a pipe until it is empty, or until the file takes no more.
fn drain(pipe: BorrowedFd, file: BorrowedFd, at: i64, len: usize, flags: SpliceFFlags) -> Result<usize, Errno> {
    let (mut offset, mut moved) = (at, 0);
    while moved < len {
        match nix::fcntl::splice(pipe, None, file, Some(&mut offset), len - moved, flags) {
            Ok(0) => break,
            Ok(more) => moved += more,
            Err(errno) if moved == 0 => return Err(errno),
            Err(_) => break,
        }
    }
    Ok(moved)
}

fn read(route: Route, file: BorrowedFd, offset: i64, data: &mut [u8]) -> Result<usize, Errno> {
    match route {
        Route::Aio => aio::read(file, data, offset),
        Route::Ring => ring::read(file, data, Some(offset), false),
        Route::RingFixed => ring::read(file, data, Some(offset), true),
        Route::Splice => {
            let (reader, writer) = pipe()?;
            let (mut at, mut got) = (offset, 0);
            while got < data.len() {
                let rest = data.len() - got;
                match nix::fcntl::splice(file, Some(&mut at), &writer, None, rest, SpliceFFlags::empty())? {
                    0 => break,
                    moved => got += unistd::read(&reader, &mut data[got..got + moved])?,
                }
            }
            Ok(got)
        }
        Route::Sendfile => {
            let (to, mut at) = (mapping::scratch(&[])?, offset);
            let sent = nix::sys::sendfile::sendfile(&to, file, Some(&mut at), data.len())?;
            std::os::unix::fs::FileExt::read_exact_at(&to, &mut data[..sent], 0).map_err(vfs::errno)?;
            Ok(sent)
        }
        other => unknown(other),
    }
}

/// Makes shared writable mappings.
fn map(calls: &Held, route: Route, call: &Call) -> Outcome {
    let Call::Map { fd, len, shared: true, write: true } = call else { return Err(Errno::EINVAL) };
    let plain = |write| calls.with(*fd, |file| Mapping::new(file, *len, true, write));
    let mapping = match route {
        Route::MapSync => calls.with(*fd, |file| Mapping::synchronous(file, *len))?,
        Route::Mprotect => {
            let mapping = plain(false)?;
            mapping.protect(true)?;
            mapping
        }
        Route::Mlock => {
            let mapping = plain(true)?;
            mapping.lock()?;
            mapping
        }
        Route::Populate => {
            let mapping = plain(true)?;
            mapping.populate()?;
            mapping
        }
        Route::Userfault => {
            let mapping = plain(true)?;
            calls.keep(mapping.write_protect()?);
            mapping
        }
        Route::Mremap => plain(true)?.elsewhere()?,
        Route::Unmapped => {
            let longer = calls.with(*fd, |file| Mapping::new(file, *len + BLOCK, true, true))?;
            longer.without_last_page()?
        }
        other => return unknown(other),
    };
    Ok(Reply::Number(calls.keep_mapping(mapping)))
}

/// Stores through a mapping.
fn store(calls: &Held, route: Route, call: &Call) -> Outcome {
    let Call::Store { map, offset, data } = call else { return Err(Errno::EINVAL) };
    let result = calls.with_mapping(*map, |mapping| match route {
        Route::ProcessVm => mapping.store_remotely(*offset, data),
        Route::ProcMem => mapping.store_as_debugger(*offset, data),
        Route::Fork => mapping.store_by_child(*offset, data),
        Route::Flush => mapping.store_and_flush(*offset, data),
        Route::DirectInto => {
            let path = calls.path("device");
            std::fs::write(&path, data).map_err(vfs::errno)?;
            let mode = FileMode::empty();
            let from = nix::fcntl::open(&path, OFlag::O_RDONLY | OFlag::O_DIRECT | OFlag::O_CLOEXEC, mode)?;
            unistd::unlink(&path)?;
            unistd::fsync(&from)?;
            mapping.store_from(*offset, from.as_fd(), data.len())
        }
        other => unknown(other),
    });
    done(result)
}

/// Registers a mapping with another device.
fn register(calls: &Held, route: Route, call: &Call) -> Outcome {
    let Call::Register { map } = call else { return Err(Errno::EINVAL) };
    let region = calls.with_mapping(*map, |mapping| rdma::Region::new(mapping, route == Route::Rdma))?;
    Ok(Reply::Number(calls.keep_registration(Box::new(region))))
}

/// Allocation by ioctls of a file system.
fn space(calls: &Held, route: Route, call: &Call) -> Outcome {
    let Call::Fallocate { fd, offset, len, .. } = call else { return Err(Errno::EINVAL) };
    let act = match route {
        Route::XfsReserve => xfs::reserve,
        Route::XfsUnreserve => xfs::unreserve,
        Route::F2fsErase => f2fs::erase,
        Route::XfsZero => xfs::zero,
        other => return unknown(other),
    };
    done(calls.with(*fd, |file| act(file, *offset, *len)))
}

/// Queries of attributes.
fn query(calls: &Held, _: Route, call: &Call) -> Outcome {
    let Call::GetXflags { fd } = call else { return Err(Errno::EINVAL) };
    calls.with(*fd, vfs::file_getattr).map(|flags| Reply::Number(flags.cast_signed()))
}

/// An atomic write in several calls.
fn atomic(calls: &Held, _: Route, call: &Call) -> Outcome {
    let Call::PwriteAtomic { fd, offset, data } = call else { return Err(Errno::EINVAL) };
    calls.with(*fd, |file| f2fs::atomic(file, || nix::sys::uio::pwrite(file, data, *offset))).map(count)
}

/// Exchanges of storage between two files, over their whole size.
fn exchange(calls: &Held, route: Route, call: &Call) -> Outcome {
    let Call::Exchange { one, other } = call else { return Err(Errno::EINVAL) };
    let result = calls.with(*one, |one| {
        let size = nix::sys::stat::fstat(one)?.st_size as u64;
        calls.with(*other, |other| match route {
            Route::XfsExchange => xfs::exchange_range(one, other, size),
            Route::F2fsMove => f2fs::move_range(one, other, size),
            Route::Ext4Move => ext4::move_extents(one, other, size.div_ceil(BLOCK as u64)),
            Route::Ext4Boot => ext4::swap_boot(one),
            other => unknown(other),
        })
    });
    done(result)
}

/// Defragmentation of one file.
fn defragment(calls: &Held, route: Route, call: &Call) -> Outcome {
    const EXT4_EXTENTS_FL: u32 = 0x8_0000;
    let Call::Defragment { fd } = call else { return Err(Errno::EINVAL) };
    match route {
        Route::F2fsDefragment => done(calls.with(*fd, f2fs::defragment)),
        Route::BtrfsDefragRange => done(calls.with(*fd, btrfs::defragment_range)),
        Route::Ext4Migrate => done(calls.with(*fd, |file| {
            // Turn the extents into a map of blocks, and back.
            vfs::change_flags(&file, 0, EXT4_EXTENTS_FL)?;
            ext4::migrate(file)
        })),
        Route::XfsFsr => program(calls, *fd, "xfs_fsr", &["-v"]),
        Route::E4defrag => program(calls, *fd, "e4defrag", &["-v"]),
        other => unknown(other),
    }
}

/// Runs a program on a file. The program's own verdict does not count: the case looks for the place of the file
/// afterwards.
fn program(calls: &Held, fd: Fd, name: &str, arguments: &[&str]) -> Outcome {
    let program = programs::find(name).ok_or(Errno::ENOENT)?;
    let path = calls.with(fd, |file| std::fs::read_link(vfs::proc_path(&file)).map_err(vfs::errno))?;
    match programs::within_limit(Command::new(program).args(arguments).arg(path)) {
        Err(failure) if failure.is_cut_short() => Err(Errno::EIO),
        _ => Ok(Reply::Number(0)),
    }
}

/// Attributes besides the flags of [`Call::ChangeFlags`].
fn attribute(calls: &Held, route: Route, call: &Call) -> Outcome {
    let (Call::ChangeXflags { fd, .. } | Call::ChangeFlags { fd, .. }) = call else { return Err(Errno::EINVAL) };
    const HINT: u32 = 16 * BLOCK as u32;
    let attribute = match route {
        Route::BtrfsProperty => {
            let set = |file: BorrowedFd| xattr::set_xattr(&vfs::proc_path(&file), "btrfs.compression", b"zlib");
            return done(calls.with(*fd, set));
        }
        Route::Verity => return done(calls.with(*fd, vfs::enable_verity)),
        Route::ProjectId => Attribute::Project(42),
        Route::ExtentSize => Attribute::ExtentSize(HINT),
        Route::CowExtentSize => Attribute::CowExtentSize(HINT),
        Route::Dax => Attribute::Dax,
        other => return unknown(other),
    };
    done(calls.with(*fd, |file| vfs::set_attribute(file, attribute)))
}

/// Writes zeros that are compressed already.
fn encoded(calls: &Held, route: Route, call: &Call) -> Outcome {
    match (route, call) {
        (Route::BtrfsEncoded, Call::Pwrite { fd, offset, data }) if *data == [0; BLOCK] => {
            calls.with(*fd, |file| btrfs::write_encoded_zeros(file, *offset)).map(|()| count(BLOCK))
        }
        (other, _) => unknown(other),
    }
}

/// Names and metadata, by descriptor where the plain call takes a name.
fn name(calls: &Held, route: Route, call: &Call) -> Outcome {
    let here = nix::fcntl::AT_FDCWD;
    let open = |name: &str| -> Result<(File, PathBuf), Errno> {
        let file = File::open(calls.path(name)).map_err(vfs::errno)?;
        let path = vfs::proc_path(&file);
        Ok((file, path))
    };
    done(match (route, call) {
        (Route::LinkByDescriptor, Call::Link { from, to }) => {
            let (_file, path) = open(from)?;
            unistd::linkat(here, &path, here, &calls.path(to), AtFlags::AT_SYMLINK_FOLLOW)
        }
        (Route::BtrfsDestroy, Call::Unlink { name }) => btrfs::destroy_subvolume_of(&calls.path(name)),
        (Route::Whiteout, Call::Rename { from, to, .. }) => {
            let flags = RenameFlags::from_bits_retain(libc::RENAME_WHITEOUT);
            nix::fcntl::renameat2(here, &calls.path(from), here, &calls.path(to), flags)
        }
        (Route::Acl, Call::Chmod { name, mode }) => {
            xattr::set_xattr(&calls.path(name), "system.posix_acl_access", &access_list(*mode))
        }
        (Route::Fchmod, Call::Chmod { name, mode }) => {
            let (_file, path) = open(name)?;
            let mode = FileMode::from_bits_truncate(*mode);
            nix::sys::stat::fchmodat(here, &path, mode, FchmodatFlags::FollowSymlink)
        }
        (Route::Fchown, Call::Chown { name, uid, gid }) => {
            unistd::fchown(open(name)?.0, Some((*uid).into()), Some((*gid).into()))
        }
        (Route::Futimens, Call::Utimes { name, atime, mtime }) => {
            nix::sys::stat::futimens(open(name)?.0, &TimeSpec::seconds(*atime), &TimeSpec::seconds(*mtime))
        }
        (Route::Now, Call::Utimes { name, .. }) => {
            let (_file, path) = open(name)?;
            let flags = UtimensatFlags::FollowSymlink;
            nix::sys::stat::utimensat(AT_FDCWD, &path, &TimeSpec::UTIME_NOW, &TimeSpec::UTIME_NOW, flags)
        }
        (Route::Fsetxattr, Call::SetXattr { name, key, value }) => {
            let (_file, path) = open(name)?;
            xattr::set_xattr(&path, key, value)
        }
        (other, _) => unknown(other),
    })
}

/// Activates a swap file.
fn activate(calls: &Held, _: Route, call: &Call) -> Outcome {
    let Call::Swapon { fd } = call else { return Err(Errno::EINVAL) };
    done(calls.with(*fd, |file| swap::swapon(&vfs::proc_path(&file), swap::PREFERRED)))
}

/// `struct posix_acl_xattr_header` and its entries: the mode bits as an access control list.
fn access_list(mode: u32) -> Vec<u8> {
    const VERSION: u32 = 2;
    const NOBODY: u32 = u32::MAX;
    let mut list = VERSION.to_le_bytes().to_vec();
    // ACL_USER_OBJ, ACL_GROUP_OBJ, ACL_OTHER.
    for (tag, shift) in [(0x01_u16, 6), (0x04, 3), (0x20, 0)] {
        let permissions = (mode >> shift & 7) as u16;
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(NOBODY.to_le_bytes());
    }
    list
}

/// Events of the whole file system, or of the cached data of a file.
fn event(calls: &Held, route: Route, call: &Call) -> Outcome {
    let Call::Fsync { fd } = call else { return Err(Errno::EINVAL) };
    let root = || File::open(calls.root()).map_err(vfs::errno);
    done(match route {
        Route::Freeze => {
            let root = root()?;
            vfs::freeze(root.as_fd())?;
            vfs::thaw(root.as_fd())
        }
        Route::Trim => vfs::trim(root()?.as_fd()),
        Route::BtrfsScrub => btrfs::scrub(root()?.as_fd()),
        Route::SyncRange => calls.with(*fd, vfs::sync_range),
        Route::Fadvise => {
            calls.with(*fd, |file| nix::fcntl::posix_fadvise(file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED))
        }
        other => unknown(other),
    })
}
