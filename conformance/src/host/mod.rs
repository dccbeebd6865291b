//! This kernel: file systems of our own on loop devices, in a mount namespace of our own.
//!
//! Nothing is left behind, however the process ends. The image has no name, the loop device detaches itself, the
//! mounts live in a namespace that ends with its processes; only an active swap file outlives its process, and the
//! guardian takes care of that.

mod admin;
mod agent;
mod areas;
pub(crate) mod calls;
pub(crate) mod device;
mod device_dax;
pub mod directory;
pub(crate) mod found;
pub mod guardian;
mod image;
pub(crate) mod modes;
mod pool;
mod probe;
pub(crate) mod routes;
mod sandbox;
pub(crate) mod sys;
mod system;

pub(crate) use device::{blank, nameless};
pub use device_dax::DeviceDax;
pub(crate) use image::{copy_data, program};
pub use sandbox::Sandbox;
pub(crate) use sys::end_with_parent;

use crate::cases::{Case, Lane};
use crate::context::{SIZE as FILE_SIZE, System, make_written};
use crate::guard::Devices;
use crate::lack::{self, Needs};
use crate::mechanism::Mechanism;
use crate::target::Target;
use crate::verdict::Trouble;
use crate::words;
use areas::Areas;
use device::Medium;
use image::Image;
use iomap_reference::{Call, Caller, Reply};
use iomap_vocabulary::Series;
use modes::Modes;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd;
use pool::{Pool, Retirement};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use system::HostSystem;

/// A file system that the suite can make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FsKind {
    /// XFS
    Xfs,
    /// ext4
    Ext4,
    /// btrfs; swap files without copy-on-write, as it wants them
    Btrfs,
    /// f2fs, which this kernel may not have: see `lab`
    F2fs,
    /// XFS on persistent memory, every file mapped without the page cache; in `lab` only
    XfsDax,
    /// The same of ext4
    Ext4Dax,
    /// f2fs that writes nothing in place (mode=lfs)
    F2fsLfs,
    /// f2fs on a zoned device; in `lab` only
    F2fsZoned,
    /// No file system: a device of persistent memory that is mapped itself; in `lab` only
    Devdax,
}

/// What the suite has to know of a file system.
struct Facts {
    kind: FsKind,
    name: &'static str,
    /// The file system that it is, where it is one in another place or mode.
    family: FsKind,
    medium: Medium,
    /// What mount(2) gets.
    options: &'static str,
    mkfs: &'static [&'static str],
    /// What else the suite calls.
    tools: &'static [&'static str],
    /// What it calls where it is there: a route without its program is not offered.
    helpers: &'static [&'static str],
    package: &'static str,
    /// How limits for users come about.
    quotas: Quotas,
    /// In bytes. The file is sparse.
    size: u64,
    /// The bytes that a mounted image with a few files takes. The images of a whole run take up to four times as much.
    room: u64,
    /// The first kernel on which changes close to each other get different times (FS_MGTIME).
    fine_times: Option<(u32, u32)>,
}

/// What a file system needs to have limits for users.
enum Quotas {
    /// To be made with options of mkfs, and mounted with one of mount(8).
    Mounted { mkfs: &'static [&'static str], mount: &'static str },
    /// Nothing: they are switched on and off.
    Any,
}

/// mkfs.xfs makes nothing smaller than 300 MiB.
const SIZE: u64 = 320 << 20;

const XFS: Facts = Facts {
    kind: FsKind::Xfs,
    name: "xfs",
    family: FsKind::Xfs,
    medium: Medium::Loop,
    options: "",
    mkfs: &["mkfs.xfs", "-q", "-f", "-K"],
    tools: &[],
    helpers: &["xfs_db", "xfs_fsr"],
    package: "xfsprogs",
    quotas: Quotas::Mounted { mkfs: &[], mount: "uquota" },
    size: SIZE,
    room: 96 << 20,
    fine_times: Some((6, 13)),
};

const EXT4: Facts = Facts {
    kind: FsKind::Ext4,
    name: "ext4",
    family: FsKind::Ext4,
    medium: Medium::Loop,
    options: "",
    mkfs: &["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard"],
    tools: &[],
    helpers: &["e4defrag"],
    package: "e2fsprogs",
    quotas: Quotas::Mounted { mkfs: &["-O", "quota"], mount: "usrquota" },
    size: SIZE,
    room: 48 << 20,
    fine_times: Some((6, 13)),
};

const BTRFS: Facts = Facts {
    kind: FsKind::Btrfs,
    name: "btrfs",
    family: FsKind::Btrfs,
    medium: Medium::Loop,
    options: "",
    mkfs: &["mkfs.btrfs", "-q", "-f", "-K"],
    tools: &["btrfs"],
    helpers: &[],
    package: "btrfs-progs",
    quotas: Quotas::Any,
    size: SIZE,
    room: 48 << 20,
    fine_times: Some((6, 13)),
};

const F2FS: Facts = Facts {
    kind: FsKind::F2fs,
    name: "f2fs",
    family: FsKind::F2fs,
    medium: Medium::Loop,
    options: "",
    mkfs: &["mkfs.f2fs", "-q", "-f", "-t", "0"],
    tools: &[],
    helpers: &[],
    package: "f2fs-tools",
    quotas: Quotas::Mounted { mkfs: &["-O", "quota"], mount: "usrquota" },
    // Each pinned file takes a section, 2 MiB.
    size: 2 << 30,
    room: 128 << 20,
    fine_times: None,
};

static FACTS: [Facts; 9] = [
    XFS,
    EXT4,
    BTRFS,
    F2FS,
    Facts { kind: FsKind::XfsDax, name: "xfs-dax", medium: Medium::Pmem, options: "dax=always", ..XFS },
    Facts { kind: FsKind::Ext4Dax, name: "ext4-dax", medium: Medium::Pmem, options: "dax=always", ..EXT4 },
    Facts { kind: FsKind::F2fsLfs, name: "f2fs-lfs", options: "mode=lfs", ..F2FS },
    Facts {
        kind: FsKind::F2fsZoned,
        name: "f2fs-zoned",
        medium: Medium::Zoned,
        mkfs: &["mkfs.f2fs", "-q", "-f", "-t", "1", "-m"],
        ..F2FS
    },
    // Nothing is made there, or mounted.
    Facts {
        kind: FsKind::Devdax,
        name: "devdax",
        family: FsKind::Devdax,
        medium: Medium::Pmem,
        options: "",
        mkfs: &[],
        tools: &[],
        helpers: &[],
        package: "",
        quotas: Quotas::Any,
        size: 0,
        room: 0,
        fine_times: None,
    },
];

impl FsKind {
    /// Every file system.
    pub const ALL: [Self; 9] = [
        Self::Xfs,
        Self::Ext4,
        Self::Btrfs,
        Self::F2fs,
        Self::XfsDax,
        Self::Ext4Dax,
        Self::F2fsLfs,
        Self::F2fsZoned,
        Self::Devdax,
    ];

    /// Those that hardly any kernel is without.
    pub const USUAL: [Self; 3] = [Self::Xfs, Self::Ext4, Self::Btrfs];

    fn facts(self) -> &'static Facts {
        // The table has an entry for each.
        FACTS.iter().find(|facts| facts.kind == self).unwrap_or(&FACTS[0])
    }

    /// Whether it is on persistent memory, which applications map without a cache.
    pub(crate) fn is_dax(self) -> bool {
        self.facts().medium == Medium::Pmem
    }

    /// Whether changes close to each other get different times on this kernel.
    fn has_fine_times(self) -> bool {
        let this = Series::of_release(&crate::kernel_release());
        self.facts().fine_times.is_some_and(|(major, minor)| this >= Some(Series(major, minor)))
    }

    /// The programs that make it and look into it.
    pub(crate) fn programs(self) -> impl Iterator<Item = &'static str> {
        let facts = self.facts();
        facts.mkfs.iter().take(1).chain(facts.tools).copied()
    }

    /// Every program that it may call.
    pub(crate) fn all_programs(self) -> impl Iterator<Item = &'static str> {
        self.programs().chain(self.facts().helpers.iter().copied())
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The kernel's module for it, if it is a file system.
    pub(crate) fn module(self) -> Option<&'static str> {
        (self != Self::Devdax).then(|| self.family().name())
    }

    /// The file system that it is, whatever place or mode it is in. Its name is the one that mount(2) knows.
    pub fn family(self) -> Self {
        self.facts().family
    }
}

static ACTIVATION: Mutex<()> = Mutex::new(());

/// btrfs answers EBUSY while it activates another file: that must not reach a case from its neighbours.
fn activation(kind: FsKind, call: &Call) -> Option<MutexGuard<'static, ()>> {
    if let Call::Via { call, .. } = call {
        return activation(kind, call);
    }
    let one_by_one = kind == FsKind::Btrfs && matches!(call, Call::Swapon { .. });
    one_by_one.then(|| ACTIVATION.lock().unwrap_or_else(PoisonError::into_inner))
}

/// A file system that is made when a case wants it.
struct Spare {
    /// Where it is going to be mounted.
    root: PathBuf,
    image: OnceLock<Result<Image, String>>,
    /// The turn of a case on this file system.
    turn: Mutex<()>,
}

impl Spare {
    fn new(root: PathBuf) -> Self {
        Self { root, image: OnceLock::new(), turn: Mutex::default() }
    }

    fn get(&self, make: impl FnOnce(PathBuf) -> Result<Image, String>) -> Result<&Image, &str> {
        self.image.get_or_init(|| make(self.root.clone())).as_ref().map_err(String::as_str)
    }
}

/// One file system of this kernel, with one mechanism.
pub struct Host {
    // Dropped in this order: what uses a mount, then the mounts.
    pool: Option<Pool>,
    retirement: Arc<Retirement>,
    main: Arc<Image>,
    /// For cases that want a file system to themselves.
    alone: Spare,
    /// For cases whose file system loses its power: these cases take long, and the others need not wait for them.
    power: Spare,
    moment: Spare,
    /// One more for limits, which not every case has to live with: after a loss of power f2fs finds its quotas damaged.
    limited: Spare,
    /// Those of all of them.
    devices: Devices,
    cases: AtomicUsize,
    modes: Arc<Modes>,
    /// The reason why no case can run.
    not_offered: Option<String>,
}

impl Host {
    /// Makes and mounts the file systems. The error is one line for people.
    pub fn new(sandbox: &Sandbox, kind: FsKind, mechanism: Mechanism) -> Result<Self, String> {
        probe::raise_limits();
        let machine = probe::Machine::with_images();
        if let Some(missing) = lack::missing(&machine, &needs(kind)) {
            return Err(missing);
        }
        let areas = if mechanism == Mechanism::Swapfile { Areas::new()? } else { Areas::unlimited() };
        let swap = Needs { swap_areas: areas::FEWEST as u64, ..Needs::default() };
        if let Some(missing) = lack::missing(&machine, &swap).filter(|_| mechanism == Mechanism::Swapfile) {
            return Err(missing);
        }
        let root = |name: &str| sandbox.directory(&format!("{}-{name}", kind.name()));
        let devices = Devices::default();
        let threads = |e: std::io::Error| format!("lacking memory: no thread: {e}");
        let main = Arc::new(Image::new(kind, root("main")?, &devices)?);
        let mut host = Self {
            pool: None,
            retirement: Arc::new(Retirement::new(Arc::new(areas)).map_err(threads)?),
            main,
            alone: Spare::new(root("alone")?),
            power: Spare::new(root("power")?),
            moment: Spare::new(root("moment")?),
            limited: Spare::new(root("limited")?),
            devices,
            cases: AtomicUsize::default(),
            modes: Arc::default(),
            not_offered: None,
        };
        let place = host.place(&host.main, None).map_err(|trouble| trouble.reason().to_owned())?;
        let not_offered = lacks(&place, mechanism)?;
        drop(place);
        host.not_offered = not_offered;
        if mechanism == Mechanism::Swapfile && host.not_offered.is_none() {
            host.pool = Some(Pool::new(&host.main, &host.retirement).map_err(threads)?);
        }
        Ok(host)
    }

    fn place<'a>(&'a self, image: &'a Image, turn: Option<MutexGuard<'a, ()>>) -> Result<HostSystem<'a>, Trouble> {
        let number = self.cases.fetch_add(1, Ordering::Relaxed);
        let directory = image.root().join(format!("case-{number}"));
        make_directory(&directory).map_err(|error| Trouble::Setup(format!("mkdir: {error}")))?;
        if turn.is_some() {
            // The directory is the suite's: it has to be there after a loss of power.
            let synced = File::open(image.root()).map_err(sys::errno).and_then(unistd::syncfs);
            synced.map_err(|errno| Trouble::Setup(format!("syncfs: {errno:?}")))?;
        }
        let pool = if turn.is_none() { self.pool.as_ref() } else { None };
        Ok(HostSystem::new(directory, image, pool, &self.retirement, turn, self.modes.clone()))
    }
}

/// Makes the directory of a case. The case before it may have filled the file system, and XFS frees the space of files
/// that were removed in the background (xfs_inodegc_worker).
fn make_directory(path: &Path) -> std::io::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match std::fs::create_dir(path) {
            Err(error) if error.kind() == std::io::ErrorKind::StorageFull && Instant::now() < deadline => {
                std::thread::yield_now();
            }
            made => return made,
        }
    }
}

/// How long a file system may take until removed files are free space again.
const PATIENCE: Duration = Duration::from_secs(5);

impl Target for Host {
    fn system(&self, case: &Case) -> Result<Box<dyn System + '_>, Trouble> {
        let spare = match case.lane {
            Lane::Shared => return Ok(Box::new(self.place(&self.main, None)?)),
            Lane::Alone => &self.alone,
            Lane::Power => &self.power,
            Lane::Moment => &self.moment,
            Lane::Limits => &self.limited,
        };
        let turn = spare.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let (kind, limits) = (self.main.kind(), case.lane == Lane::Limits);
        let image = spare.get(|root| match limits {
            true => Image::with_quotas(kind, root, &self.devices),
            false => Image::new(kind, root, &self.devices),
        });
        let image = image.map_err(|why| match self.lacking() {
            None if limits => Trouble::NotOffered(format!("no limits for users: {why}")),
            // The lack is named in the reason, except where a program failed.
            Some(lack) if limits => Trouble::Setup(format!("{lack}: {why}")),
            _ => Trouble::Setup(why.into()),
        })?;
        Ok(Box::new(self.place(image, Some(turn))?))
    }

    fn lacks(&self, _: Mechanism) -> Option<String> {
        self.not_offered.clone()
    }

    fn lacking(&self) -> Option<String> {
        lack::now(self.main.machine())
    }

    fn devices(&self) -> Option<Devices> {
        Some(self.devices.clone())
    }
}

/// The needs of a run with the usual number of threads.
fn needs(kind: FsKind) -> Needs {
    let room = if kind.facts().medium == Medium::Loop { kind.facts().room } else { 0 };
    Needs { descriptors: DESCRIPTORS, address_space: ADDRESS_SPACE, rights: lack::ADMINISTRATION, room, swap_areas: 0 }
}

/// The number of descriptors that a run takes.
const DESCRIPTORS: u64 = 384;

/// The address space that its threads take, in bytes.
const ADDRESS_SPACE: u64 = 1 << 30;

/// The reason why a kernel does not have a mechanism on some file system, or `None`. An ordinary file shows it. A
/// failure to find out is no answer: the error is one line for people.
fn lacks(system: &dyn System, mechanism: Mechanism) -> Result<Option<String>, String> {
    let call = |call: &Call| {
        let outcome = system.call(Caller::Privileged, call);
        let lack = outcome.as_ref().err().and_then(|errno| system.lacking(Caller::Privileged, call, *errno));
        lack.map_or(Ok(outcome), |lack| Err(lack.to_string()))
    };
    let open = |name: &str, flags| call(&Call::Open { name: name.into(), flags, mode: 0o600 });
    let fd = match open("probe", OFlag::O_RDWR | OFlag::O_CREAT)? {
        Ok(Reply::Number(fd)) => fd as i32,
        other => return Err(format!("no file can be made: {}", words::outcome(&other))),
    };
    if mechanism != Mechanism::Seal && open("probe", OFlag::O_RDWR | OFlag::O_DIRECT)? == Err(Errno::EINVAL) {
        return Ok(Some("the file system has no O_DIRECT, which shows the data on storage".into()));
    }
    Ok(match mechanism {
        Mechanism::Seal => {
            system.reach(&mechanism.enter(fd, FILE_SIZE)).err().map(|trouble| trouble.reason().to_owned())
        }
        Mechanism::Swapfile => {
            let file = make_written(system, mechanism, "swap-probe", FILE_SIZE)
                .map_err(|trouble| trouble.reason().to_owned())?;
            let activate = Call::Swapon { fd: file.fd };
            system.reach(&activate).map_err(|trouble| trouble.reason().to_owned())?;
            match call(&activate)? {
                Err(Errno::ENOSYS) => Some("this kernel has no swap".into()),
                Err(Errno::EINVAL) => Some("swapon(2) takes no file of this file system: EINVAL".into()),
                Err(errno) => return Err(format!("swapon(2) of an ordinary file: {errno}")),
                // No later step waits for the deactivation.
                Ok(_) => {
                    system.retire(mechanism, file);
                    None
                }
            }
        }
        Mechanism::ImmutableAttr => match call(&mechanism.enter(fd, 0))? {
            Err(errno @ (Errno::ENOTTY | Errno::EOPNOTSUPP | Errno::EINVAL)) => {
                Some(format!("the file system has no immutable attribute: {}", words::name(errno)))
            }
            Err(errno) => return Err(format!("FS_IOC_SETFLAGS with FS_IMMUTABLE_FL of an ordinary file: {errno}")),
            Ok(_) => match call(&mechanism.leave(fd, 0))? {
                Err(errno) => return Err(format!("FS_IOC_SETFLAGS without FS_IMMUTABLE_FL: {errno}")),
                Ok(_) => None,
            },
        },
        // On anything else the call does not exist.
        Mechanism::F2fsPin => match call(&Call::Pin { fd, on: true })? {
            Err(Errno::ENOTTY | Errno::EOPNOTSUPP) => Some("only f2fs pins files".into()),
            Err(Errno::EINVAL) => Some("f2fs pins no file where it writes nothing in place: EINVAL".into()),
            _ => None,
        },
        Mechanism::DeviceDax => Some("a file system is no device".into()),
    })
}

/// What is missing for the host target, in one line, or nothing.
pub fn missing(kind: FsKind) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("target host needs root: it makes, mounts and swaps to file systems of its own".into());
    }
    if kind.facts().medium != Medium::Loop {
        return Some(format!("target host has no {}: only guests have its devices, see lab", kind.name()));
    }
    if !Path::new(device::LOOP_CONTROL).exists() {
        return Some(format!("target host needs loop devices: {} is missing", device::LOOP_CONTROL));
    }
    without_programs(kind).map(|what| format!("target host needs {what}"))
}

/// Which program is missing to make a file system, and how to get it.
pub(crate) fn without_programs(kind: FsKind) -> Option<String> {
    let facts = kind.facts();
    let missing = kind.programs().find(|name| program(name).is_none())?;
    Some(format!("{missing} for {}: apt-get install {}", facts.name, facts.package))
}
