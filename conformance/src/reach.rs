//! The calls that are not made, and the reasons: one table.
//!
//! A case asks this table before it makes a call ([`crate::system::System::reach`]) and gets the reason as its verdict.
//! Each system call asks again ([`crate::host::calls::Calls`]): if the case has not asked, the call fails with
//! EOPNOTSUPP. The first row that fits counts.

use crate::filesystem::{FsKind, Medium, Quotas};
use crate::host::sealing::Sealing;
use crate::host::sys::rdma;
use crate::host::{admin, routes};
use crate::mechanism;
use crate::verdict::Trouble;
use iomap_reference::{Call, FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, Mode, Route, XFLAG_APPEND, XFLAG_IMMUTABLE};
use std::path::PathBuf;
use std::sync::Arc;

/// The kind of a target on a kernel. The in-process reference is none of these: it takes every call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file system that the suite makes, with cases on it.
    Host,
    /// A file system of the suite that is examined, or that a person uses.
    Found,
    /// A directory on a file system that others use.
    Directory,
    /// The reference behind FUSE.
    Fuse,
    /// A device of persistent memory.
    Device,
    /// A program that repeats a case. A person may run it on any kernel.
    Program,
}

/// A place for calls.
#[derive(Clone)]
pub(crate) struct Site {
    pub(crate) kind: Kind,
    /// The file system, if the suite knows it.
    pub(crate) fs: Option<FsKind>,
    /// The name of the file system, for people.
    pub(crate) name: Arc<str>,
    /// The caller is not root of the machine.
    pub(crate) ordinary: bool,
    /// One case has the file system to itself.
    pub(crate) alone: bool,
    pub(crate) directory: PathBuf,
    pub(crate) sealing: Arc<Sealing>,
}

/// A reason. `{fs}`, `{route}` and `{call}` in it stand for their names.
enum Why {
    Text(&'static str),
    /// The answer of the kernel to the question whether it knows sealing.
    Kernel,
}

/// Whether a row applies to a site, for this route and this call.
type Where = fn(&Site, Option<Route>, &Call) -> bool;

/// A call that is not made at some sites.
struct Row {
    at: Where,
    /// The call, and the route by which it is made.
    call: fn(Option<Route>, &Call) -> bool,
    answer: fn(String) -> Trouble,
    why: Why,
}

macro_rules! rows {
    ($($at:expr, $call:pat $(if $guard:expr)? => $answer:ident, $why:expr;)+) => {
        &[$(Row {
            at: $at,
            call: |route, call| matches!((route, call), $call $(if $guard)?),
            answer: Trouble::$answer,
            why: $why,
        }),+]
    };
}

use Why::{Kernel, Text};

const ANYWHERE: Where = |_, _, _| true;
const WITH_OTHERS: Where = |site, _, _| matches!(site.kind, Kind::Directory | Kind::Found | Kind::Program);
const ASKED: Where = |site, _, _| site.kind != Kind::Program;
const IN_TURN: Where = |site, _, _| matches!(site.kind, Kind::Host | Kind::Found) && !site.alone;
const FUSE: Where = |site, _, _| site.kind == Kind::Fuse;
const FUSE_OF_A_USER: Where = |site, _, _| site.kind == Kind::Fuse && site.ordinary;
const DEVICE: Where = |site, _, _| site.kind == Kind::Device;
const DIRECTORY: Where = |site, _, _| site.kind == Kind::Directory;
const DIRECTORY_OF_A_USER: Where = |site, _, _| site.kind == Kind::Directory && site.ordinary;
const STRANGE: Where = |site, _, _| site.kind == Kind::Directory && site.fs.is_none();
const EXT4: Where = |site, _, _| site.fs.is_some_and(|fs| fs.family() == FsKind::Ext4);
const DAX: Where = |site, _, _| site.fs.is_some_and(FsKind::is_dax);
const ZONES: Where = |site, _, _| site.fs.is_some_and(|fs| fs.facts().medium == Medium::Zoned);
const NO_LAYER: Where = |site, _, _| site.kind != Kind::Host;
const NO_ADAPTER: Where = |_, _, _| !rdma::is_there();
const NO_ROUTE: Where = |site, route, _| route.is_some_and(|route| !routes::has(site.fs, route));
const NO_QUOTAS: Where = |site, _, _| site.fs.is_some_and(|fs| matches!(fs.facts().quotas, Quotas::Missing));
/// The file system is known, and has no such operation of administrators.
const NO_OPERATION: Where = |site, _, call| site.fs.is_some_and(|fs| !admin::has(fs, call));

const WRITES_ZEROES: &str = "the suite never passes FALLOC_FL_WRITE_ZEROES to a kernel: where it works, it wipes data";
const UNKNOWN_MODE: &str = "no unknown mode of fallocate(2) is tried where others work: a kernel may come to know it";
const NOT_CARRIED: &str =
    "FUSE refuses modes of fallocate(2) but KEEP_SIZE, PUNCH_HOLE and ZERO_RANGE before the daemon sees them";
const UNKNOWN_BITS: &str = "since Linux 6.17 FS_IOC_FSGETXATTR does not show bits that the kernel does not know: \
    writing back what was read would clear the state";
const ENDLESS_STORE: &str = "Linux 6.12 never ends a store to a DAX mapping that userfaultfd(2) protects (insert_pfn)";
const INSIDE_A_ZONE: &str = "F2FS_IOC_SEC_TRIM_FILE writes inside a zone, and nobody can write there any more";

/// The reason against a call that would disturb the other users of a file system.
pub(crate) const OTHERS: &str =
    "others use the file system of the directory: the suite does not fill, remount, crash or move it";

const ROOT_ONLY: &str = "only root can change this attribute";
const NO_OTHER_FILE: &str = "a device has no other file beside it";

/// The modes of fallocate(2) that `fuse_file_fallocate` lets through.
const CARRIED: u32 = Mode::KEEP_SIZE.0 | Mode::PUNCH_HOLE.0 | Mode::ZERO_RANGE.0;

/// A size that is too small for each of these file systems, in bytes.
const SMALLEST: i64 = 16 << 20;

const FLAGS: u32 = FLAG_IMMUTABLE | FLAG_APPEND;
const XFLAGS: u32 = XFLAG_IMMUTABLE | XFLAG_APPEND;

#[rustfmt::skip] // One call, one line.
static ROWS: &[Row] = rows! {
    // Modes of fallocate(2).
    ANYWHERE, (None, Call::Fallocate { mode, .. }) if mode.contains(Mode::WRITE_ZEROES) => NotReachable, Text(WRITES_ZEROES);
    WITH_OTHERS, (None, Call::Fallocate { mode, .. }) if !mode.has_name() => NotReachable, Text(UNKNOWN_MODE);
    ASKED, (None, Call::Fallocate { mode, .. }) if mode.changes_state() => NotOffered, Kernel;
    FUSE, (None, Call::Fallocate { mode, .. }) if mode.0 & !CARRIED != 0 => NotReachable, Text(NOT_CARRIED);

    // The other calls that a daemon behind FUSE does not get.
    FUSE, (None, Call::Clone { .. } | Call::CloneRange { .. } | Call::Dedupe { .. }) => NotReachable, Text("FUSE has no FICLONE and no FIDEDUPERANGE: both end in the kernel");
    FUSE, (None, Call::PowerLossAfter { .. }) => NotReachable, Text("the daemon answers one call after the other");
    FUSE, (None, Call::Special { .. }) => NotReachable, Text("the kernel serves devices and sockets, and not a daemon");
    FUSE, (None, Call::Mkfifo { .. }) => NotReachable, Text("an ioctl on a FIFO goes to the FIFO, and not to the file system that has its name");
    FUSE, (None, Call::Exchange { .. }) => NotReachable, Text("the number of a descriptor in the argument of an ioctl means nothing to a daemon");
    FUSE, (_, Call::SetLease { .. }) => NotReachable, Text("the kernel has the leases of a mount, and asks for them before it asks the daemon");
    FUSE, (_, Call::Statx { .. } | Call::AtomicMax { .. }) => NotReachable, Text("FUSE passes no attribute of statx(2) on (fuse_fillattr)");
    FUSE, (Some(_), Call::GetXflags { .. }) => NotReachable, Text(UNKNOWN_BITS);
    FUSE, (_, Call::PwriteLimited { .. }) => NotReachable, Text("the kernel cuts a write at RLIMIT_FSIZE before a daemon sees it (generic_write_checks)");
    FUSE, (Some(_), Call::ChangeXflags { .. }) => NotReachable, Text(UNKNOWN_BITS);
    FUSE, (Some(Route::Rdma | Route::RdmaRead), _) | (None, Call::Register { .. }) => NotReachable, Text("a daemon is not told what is registered for a device");
    FUSE, (Some(Route::Preferred), _) | (None, Call::Swapon { .. } | Call::Swapoff { .. }) => NotReachable, Text("FUSE has no swap files: swapon(2) ends in the kernel");
    FUSE, (Some(Route::Namespace), _) => NotReachable, Text("what seals through FUSE is an ioctl of the daemon, and the route makes the system call");
    FUSE_OF_A_USER, (_, Call::ChangeFlags { set, clear, .. }) if (set | clear) & FLAGS != 0 => NotReachable, Text("only root of the first user namespace can change this attribute");
    FUSE_OF_A_USER, (_, Call::Chown { uid, gid, .. }) if (*uid, *gid) != (0, 0) => NotReachable, Text("there is one user in this user namespace");

    // A device is no file system. `FreeSpace` by a route is the question whether the route exists.
    DEVICE, (_, Call::PowerLoss { .. } | Call::PowerLossAfter { .. }) => NotReachable, Text("the memory of a guest is lost with its power");
    DEVICE, (_, Call::Open { name, .. } | Call::Truncate { name, .. }) if name != mechanism::DEVICE => NotOffered, Text(NO_OTHER_FILE);
    DEVICE, (Some(Route::DirectInto), _) => NotOffered, Text(NO_OTHER_FILE);
    DEVICE, (_, Call::Unlink { .. } | Call::Rename { .. } | Call::RenameNew { .. } | Call::Link { .. } | Call::LinkFd { .. }) => NotOffered, Text("a device has no names: those of its node belong to devtmpfs");
    DEVICE, (_, Call::Symlink { .. } | Call::Mkdir { .. } | Call::Rmdir { .. } | Call::Mkfifo { .. }) => NotOffered, Text("a device has no names");
    DEVICE, (_, Call::Chmod { .. } | Call::Chown { .. } | Call::Utimes { .. }) => NotOffered, Text("a device has no metadata: those of its node belong to devtmpfs");
    DEVICE, (_, Call::SetXattr { .. } | Call::RemoveXattr { .. }) => NotOffered, Text("a device has no extended attributes");
    DEVICE, (_, Call::Fsync { .. }) => NotOffered, Text("fsync(2) fails with EINVAL: a device has nothing to write back");
    DEVICE, (_, Call::Cycle | Call::CycleWith { .. } | Call::Remount { .. } | Call::SetQuota { .. } | Call::Snapshot) | (None, Call::FreeSpace) => NotOffered, Text("a device is not mounted");
    DEVICE, (_, Call::Subvolume { .. }) => NotOffered, Text("a device has no file systems inside");
    DEVICE, (_, Call::Exchange { .. } | Call::Defragment { .. } | Call::Collect | Call::Shrink { .. }) => NotOffered, Text("nothing moves what is on a device");
    DEVICE, (_, Call::RemoveDevice | Call::ReplaceDevice) => NotOffered, Text("it is the device");

    // Routes. The last of these rows is for every route that `host/routes.rs` does not have for the file system.
    NO_LAYER, (Some(Route::Overlay), _) => NotReachable, Text("the suite mounts an overlay over file systems of its own only");
    NO_ADAPTER, (Some(Route::Rdma | Route::RdmaRead), _) => NotOffered, Text("no RDMA adapter: rdma link add rxe0 type rxe netdev DEVICE");
    DAX, (Some(Route::Userfault), _) => NotReachable, Text(ENDLESS_STORE);
    ZONES, (Some(Route::F2fsErase), _) => NotReachable, Text(INSIDE_A_ZONE);
    NO_ROUTE, (Some(_), _) => NotOffered, Text("{fs}: no {route}");

    // Calls on the whole file system, while other cases or other people use it.
    IN_TURN, (None, Call::Cycle | Call::CycleWith { .. } | Call::PowerLoss { .. } | Call::PowerLossAfter { .. }) => Setup, Text("{call}: other cases are at work on this file system");
    DIRECTORY, (None, Call::FreeSpace | Call::Remount { .. } | Call::Cycle | Call::PowerLoss { .. } | Call::SetQuota { .. }) => NotReachable, Text(OTHERS);
    DIRECTORY, (None, Call::CycleWith { .. } | Call::PowerLossAfter { .. }) => NotReachable, Text(OTHERS);
    DIRECTORY, (None, Call::Subvolume { .. } | Call::Snapshot | Call::Collect | Call::Shrink { .. }) => NotReachable, Text(OTHERS);
    DIRECTORY, (None, Call::RemoveDevice | Call::ReplaceDevice) => NotReachable, Text(OTHERS);
    // The last of these routes touches the inode of the boot loader.
    DIRECTORY, (Some(Route::BtrfsDestroy | Route::Freeze | Route::Trim | Route::BtrfsScrub | Route::Ext4Boot), _) => NotReachable, Text(OTHERS);
    DIRECTORY, (None, Call::SwapOut { .. }) => NotReachable, Text("the suite has nothing swapped to a file system that others use");
    DIRECTORY_OF_A_USER, (_, Call::ChangeFlags { set, clear, .. }) if (set | clear) & FLAGS != 0 => NotReachable, Text(ROOT_ONLY);
    DIRECTORY_OF_A_USER, (_, Call::ChangeXflags { set, clear, .. }) if (set | clear) & XFLAGS != 0 => NotReachable, Text(ROOT_ONLY);
    DIRECTORY_OF_A_USER, (_, Call::Chown { .. }) => NotReachable, Text("only root can give files away");
    DIRECTORY_OF_A_USER, (_, Call::Swapon { .. } | Call::Swapoff { .. }) => NotReachable, Text("only root can activate swap files");

    // Operations of administrators. A file system has an operation if `host/admin.rs` has a row for both.
    STRANGE, (None, Call::Exchange { .. } | Call::Defragment { .. }) => NotReachable, Text("{call}: the suite does not know how {fs} does it");
    EXT4, (None, Call::ChangeFlags { set, .. }) if set & FLAG_COMPRESS != 0 => NotOffered, Text("ext4 has the flag for compression, and no compression");
    ANYWHERE, (None, Call::Shrink { size }) if *size < SMALLEST => NotOffered, Text("{fs}: no file system is as small as that");
    NO_QUOTAS, (None, Call::SetQuota { .. }) => NotOffered, Text("{fs}: no limits for users");
    NO_OPERATION, (None, Call::Exchange { .. }) => NotOffered, Text("{fs}: no call exchanges the contents of two files");
    NO_OPERATION, (None, Call::Snapshot) => NotOffered, Text("{fs}: no snapshots");
    NO_OPERATION, (None, Call::Subvolume { .. }) => NotOffered, Text("{fs}: no file systems inside");
    NO_OPERATION, (None, Call::Defragment { .. }) => NotOffered, Text("{fs}: no defragmentation");
    NO_OPERATION, (None, Call::Collect) => NotOffered, Text("{fs}: nothing moves files that nobody touches");
    NO_OPERATION, (None, Call::Shrink { .. }) => NotOffered, Text("{fs}: the suite knows no call that makes it smaller while it is mounted");
    NO_OPERATION, (None, Call::RemoveDevice | Call::ReplaceDevice) => NotOffered, Text("{fs}: it has one device");
};

/// Calls that can be made, but not in a race.
#[rustfmt::skip]
static RACES: &[Row] = rows! {
    FUSE, (None, call) if is_done_by_the_daemon(call) => NotReachable, Text("{call}: the daemon does that beside the calls of the kernel");
};

/// Whether the daemon itself does this, because the call does not go through a kernel.
pub(crate) fn is_done_by_the_daemon(call: &Call) -> bool {
    matches!(
        call,
        Call::Collect
            | Call::Snapshot
            | Call::Shrink { .. }
            | Call::SetQuota { .. }
            | Call::RemoveDevice
            | Call::ReplaceDevice
    )
}

/// Whether a call may be part of a program that repeats a case.
pub(crate) fn ask_for_program(call: &Call) -> Result<(), Trouble> {
    Site::new(Kind::Program, None, PathBuf::new()).ask(call)
}

impl Site {
    /// A site on a mounted reference, or on a device.
    pub(crate) fn new(kind: Kind, fs: Option<FsKind>, directory: PathBuf) -> Self {
        let name = fs.map_or("this file system", FsKind::name).into();
        Self { kind, fs, name, ordinary: false, alone: false, directory, sealing: Arc::default() }
    }

    /// Whether a call may be made here. The error is the reason, as the verdict of a case.
    pub(crate) fn ask(&self, call: &Call) -> Result<(), Trouble> {
        self.look(ROWS, call)?;
        match call {
            Call::PowerLoss { during: Some(call) } | Call::Watched { call, .. } => self.ask(call),
            Call::PowerLossAfter { begun, call } => self.ask(begun).and_then(|()| self.ask(call)),
            _ => Ok(()),
        }
    }

    /// Whether two series of calls may be made here at the same time.
    pub(crate) fn ask_for_race(&self, one: &[Call], other: &[Call]) -> Result<(), Trouble> {
        one.iter().chain(other).try_for_each(|call| self.look(RACES, call))
    }

    /// Whether a call goes to a mounted reference by ioctl(2), together with all its other modes.
    pub(crate) fn goes_by_ioctl(&self, call: &Call) -> bool {
        self.kind == Kind::Fuse && matches!(call, Call::Fallocate { mode, .. } if mode.changes_state())
    }

    fn look(&self, rows: &[Row], made: &Call) -> Result<(), Trouble> {
        if self.goes_by_ioctl(made) {
            return Ok(());
        }
        let (route, call) = match made {
            Call::Via { route, call } => (Some(*route), call.bare()),
            call => (None, call),
        };
        for row in rows.iter().filter(|row| (row.call)(route, call) && (row.at)(self, route, call)) {
            let why = match row.why {
                Text(why) => why,
                Kernel => match self.sealing.lack(&self.directory) {
                    None => continue,
                    Some(why) => return Err((row.answer)(why)),
                },
            };
            let route = route.map_or_else(String::new, |route| route.to_string());
            let why = why.replace("{fs}", &self.name).replace("{route}", &route).replace("{call}", &made.to_string());
            return Err((row.answer)(why));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Kind::{Device, Directory, Found, Fuse, Host, Program};

    /// A site whose kernel knows sealing or does not know it.
    fn site(kind: Kind, fs: Option<FsKind>, knows: bool) -> Site {
        let sealing = Sealing::answered((!knows).then(|| "unknown".into()));
        Site { sealing: Arc::new(sealing), ..Site::new(kind, fs, "/nowhere".into()) }
    }

    fn fallocate(mode: Mode) -> Call {
        Call::Fallocate { fd: 3, mode, offset: 0, len: 1 }
    }

    #[test]
    fn no_kernel_gets_a_mode_that_wipes_data() {
        let first = &ROWS[0];
        let call = fallocate(Mode::WRITE_ZEROES);
        assert!((first.call)(None, &call) && matches!(first.why, Text(WRITES_ZEROES)));
        let modes = [Mode::WRITE_ZEROES, Mode::WRITE_ZEROES | Mode::KEEP_SIZE, Mode::WRITE_ZEROES | Mode::SEAL];
        for kind in [Host, Found, Directory, Device, Program] {
            for fs in FsKind::ALL.map(Some).into_iter().chain([None]) {
                for call in modes.map(fallocate) {
                    let during = Call::PowerLoss { during: Some(Box::new(call.clone())) };
                    let here = Site { alone: true, ..site(kind, fs, true) };
                    assert!(here.ask(&call).is_err() && here.ask(&during).is_err(), "{kind:?}, {call}");
                }
            }
        }
        assert!(site(Fuse, None, true).ask(&call).is_err());
    }

    #[test]
    fn modes_by_site_and_kernel() {
        let all = [(Host, false), (Host, true), (Directory, false), (Directory, true)];
        let rows = [
            (Mode::ALLOCATE, [true; 4]),
            (Mode::PUNCH_HOLE | Mode::KEEP_SIZE, [true; 4]),
            (Mode::SEAL, [false, true, false, true]),
            (Mode::UNSEAL | Mode::KEEP_SIZE, [false, true, false, true]),
            (Mode(1 << 20), [true, true, false, false]),
            (Mode(1 << 2), [true, true, false, false]),
            (Mode(1 << 20) | Mode::SEAL, [false, true, false, false]),
        ];
        for (mode, expected) in rows {
            let passed = all.map(|(kind, knows)| site(kind, None, knows).ask(&fallocate(mode)).is_ok());
            assert_eq!(passed, expected, "{mode}");
        }
    }

    #[test]
    fn a_mounted_reference_gets_sealing_by_ioctl() {
        let fuse = site(Fuse, None, false);
        assert!(fuse.ask(&fallocate(Mode::SEAL | Mode::INSERT_RANGE)).is_ok());
        assert!(fuse.ask(&fallocate(Mode::INSERT_RANGE)).is_err());
    }

    #[test]
    fn a_reason_has_the_names() {
        let here = site(Host, Some(FsKind::Xfs), false);
        let why = |call: &Call| here.ask(call).unwrap_err().reason().to_owned();
        assert_eq!(why(&Call::Snapshot), "xfs: no snapshots");
        assert_eq!(why(&Call::FreeSpace.via(Route::Ext4Move)), "xfs: no EXT4_IOC_MOVE_EXT");
        assert_eq!(why(&Call::Cycle), "umount and mount: other cases are at work on this file system");
    }
}
