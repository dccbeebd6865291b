//! The file systems that the suite can make: one row for each.
//!
//! A row has all facts that the suite needs about a file system, except its own calls: these are the rows of
//! [`crate::host::admin`] and [`crate::host::routes`].

/// The facts of a file system.
pub(crate) struct Facts {
    /// The name on the command line and in results.
    pub(crate) name: &'static str,
    /// The plain file system, if this one is the same in another place or mode; otherwise this one.
    pub(crate) family: FsKind,
    pub(crate) medium: Medium,
    /// The options of mount(2).
    pub(crate) options: &'static str,
    pub(crate) mkfs: &'static [&'static str],
    /// The other programs that the suite calls.
    pub(crate) tools: &'static [&'static str],
    /// Programs that are called only if they are installed. A route without its program is not offered.
    pub(crate) helpers: &'static [&'static str],
    /// The package of Debian that has the programs.
    pub(crate) package: &'static str,
    pub(crate) quotas: Quotas,
    /// The size of the image, in bytes. The file is sparse.
    pub(crate) size: u64,
    /// The room of a mounted image with a few files, in bytes. The images of a whole run take up to four times as much.
    pub(crate) room: u64,
    /// The first kernel that gives different times to changes that are close to each other (FS_MGTIME).
    pub(crate) fine_times: Option<(u32, u32)>,
    /// The kind of the addresses that FIEMAP returns.
    pub(crate) addresses: Addresses,
    /// Whether FS_IOC_SHUTDOWN stops the file system. This is one way to lose its power.
    pub(crate) shuts_down: bool,
    /// Whether the kernel activates only one swap file at a time, and answers EBUSY to the others.
    pub(crate) activates_in_turn: bool,
    /// The feature that mkfs leaves out, and that a program can add afterwards.
    pub(crate) addition: Addition,
    /// The arguments of mkfs for a feature that only some kernels know, and the file by which a kernel says that it does.
    pub(crate) known: Option<(&'static str, &'static [&'static str])>,
    /// Whether a guest can lose the power of the storage. False if all storage ends with the guest, or if the file
    /// system writes to places where no agent can write.
    pub(crate) is_cut: bool,
    /// The greatest size of a file whose data lie inside its metadata, in bytes; 0 if the data are never there.
    pub(crate) inline: u64,
    /// The layer below, if this file system lies on another one of the suite and not on a device.
    pub(crate) over: Option<Over>,
    /// The files below /sys/fs/FS/DEVICE with the number of times that the kernel repeats a write of metadata that
    /// failed.
    pub(crate) retries: &'static [&'static str],
    /// The program that makes the kernel forget a device, if the kernel recognizes such file systems by their identity.
    pub(crate) forget: Option<&'static [&'static str]>,
}

/// A kind of device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    /// A loop device over a file without a name.
    Loop,
    /// Persistent memory of a guest: each device is for one file system.
    Pmem,
    /// A device in the memory of a guest. Each zone of it is written from its beginning to its end.
    Zoned,
    /// The server of a guest. The one of this machine may serve others.
    Server,
}

/// The way in which a file system gets limits for users.
pub(crate) enum Quotas {
    /// Options of mkfs, and an option of mount(8).
    Mounted { mkfs: &'static [&'static str], mount: &'static str },
    /// Quota groups of subvolumes, which are switched on and off.
    Subvolumes,
    /// The file system has no limits that the suite knows.
    Missing,
}

/// The kinds of addresses that FIEMAP returns (`fe_physical`).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addresses {
    /// The address of a byte on the device.
    Device,
    /// A logical address of btrfs, which its chunk tree maps to the device.
    Chunks,
}

/// A file system that is mounted over directories of another one.
///
/// In its strings, `{below}` stands for the place where the other one is mounted, `{parent}` for the directory of that
/// place and `{name}` for its name there. `{number}` is a number that no other one has, and `{bytes}` is the same
/// number as the kernel reads four bytes, in hexadecimal digits.
pub(crate) struct Over {
    pub(crate) fs: FsKind,
    /// A file system of the kernel that is mounted first, and its place: the interface of a server.
    pub(crate) interface: Option<(&'static str, &'static str)>,
    /// The lines that are written before each mount, each with its file.
    pub(crate) before: &'static [(&'static str, &'static str)],
    /// The lines that are written after the file system was unmounted.
    pub(crate) after: &'static [(&'static str, &'static str)],
    /// The directories that are made first, in the other file system.
    pub(crate) directories: &'static [&'static str],
    /// The directory of the other file system that has the files of this one. Empty for its root.
    pub(crate) files: &'static str,
    /// The source of mount(2).
    pub(crate) source: &'static str,
}

/// A feature that mkfs leaves out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Addition {
    /// mkfs leaves out no feature.
    Nothing,
    /// The bit of the superblock of XFS that XFS_IOC_EXCHANGE_RANGE needs.
    ExchangeRange,
}

macro_rules! file_systems {
    ($($(#[$about:meta])+ $kind:ident: $facts:expr;)+) => {
        /// A file system that the suite can make.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
        pub enum FsKind {
            $($(#[$about])+ $kind,)+
        }

        impl FsKind {
            /// Every file system.
            pub const ALL: [Self; [$(stringify!($kind)),+].len()] = [$(Self::$kind),+];

            /// The row of this file system.
            pub(crate) fn facts(self) -> &'static Facts {
                match self {
                    $(Self::$kind => const { &$facts },)+
                }
            }
        }
    };
}

file_systems! {
    /// XFS
    Xfs: XFS;
    /// ext4
    Ext4: EXT4;
    /// btrfs; swap files without copy-on-write, as it wants them
    Btrfs: BTRFS;
    /// f2fs, which this kernel may not have: see `lab`
    F2fs: F2FS;
    /// XFS on persistent memory, every file mapped without the page cache; in `lab` only
    XfsDax: Facts { name: "xfs-dax", medium: Medium::Pmem, options: "dax=always", ..XFS };
    /// The same of ext4
    Ext4Dax: Facts { name: "ext4-dax", medium: Medium::Pmem, options: "dax=always", ..EXT4 };
    /// ext4 with inline_data: a small file has no block
    Ext4Inline: Facts {
        name: "ext4-inline",
        mkfs: &["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard", "-O", "inline_data"],
        is_cut: false,
        // The blocks of an inode, without the room for attributes behind it.
        inline: 60,
        ..EXT4
    };
    /// f2fs that writes nothing in place (mode=lfs)
    F2fsLfs: Facts { name: "f2fs-lfs", options: "mode=lfs", is_cut: false, ..F2FS };
    /// f2fs on a zoned device; in `lab` only
    F2fsZoned: Facts {
        name: "f2fs-zoned",
        medium: Medium::Zoned,
        is_cut: false,
        mkfs: &["mkfs.f2fs", "-q", "-f", "-t", "1", "-m"],
        ..F2FS
    };
    /// overlayfs over XFS: the files of the cases are in its upper layer
    Overlay: OVERLAY;
    /// NFS from the kernel's own server, which exports XFS; in `lab` only
    Nfs: NFS;
    /// No file system: a device of persistent memory that is mapped itself; in `lab` only
    Devdax: Facts { name: "devdax", family: FsKind::Devdax, medium: Medium::Pmem, ..PLAIN };
}

/// The values that a row does not set.
const PLAIN: Facts = Facts {
    name: "",
    family: FsKind::Devdax,
    medium: Medium::Loop,
    options: "",
    mkfs: &[],
    tools: &[],
    helpers: &[],
    package: "",
    quotas: Quotas::Missing,
    size: 0,
    room: 0,
    fine_times: None,
    addresses: Addresses::Device,
    shuts_down: false,
    activates_in_turn: false,
    addition: Addition::Nothing,
    known: None,
    is_cut: false,
    inline: 0,
    over: None,
    retries: &[],
    forget: None,
};

/// mkfs.xfs makes nothing smaller than 300 MiB.
const SIZE: u64 = 320 << 20;

const XFS: Facts = Facts {
    name: "xfs",
    family: FsKind::Xfs,
    mkfs: &["mkfs.xfs", "-q", "-f", "-K"],
    helpers: &["xfs_db", "xfs_fsr"],
    package: "xfsprogs",
    quotas: Quotas::Mounted { mkfs: &[], mount: "uquota" },
    size: SIZE,
    room: 96 << 20,
    fine_times: Some((6, 13)),
    shuts_down: true,
    is_cut: true,
    addition: Addition::ExchangeRange,
    retries: &["error/metadata/EIO/max_retries", "error/metadata/ENOSPC/max_retries"],
    ..PLAIN
};

const EXT4: Facts = Facts {
    name: "ext4",
    family: FsKind::Ext4,
    mkfs: &["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", "nodiscard"],
    helpers: &["e4defrag"],
    package: "e2fsprogs",
    quotas: Quotas::Mounted { mkfs: &["-O", "quota"], mount: "usrquota" },
    size: SIZE,
    room: 48 << 20,
    fine_times: Some((6, 13)),
    shuts_down: true,
    known: Some(("/sys/fs/ext4/features/verity", &["-O", "verity"])),
    is_cut: true,
    ..PLAIN
};

const BTRFS: Facts = Facts {
    name: "btrfs",
    family: FsKind::Btrfs,
    mkfs: &["mkfs.btrfs", "-q", "-f", "-K"],
    tools: &["btrfs"],
    package: "btrfs-progs",
    quotas: Quotas::Subvolumes,
    size: SIZE,
    room: 48 << 20,
    fine_times: Some((6, 13)),
    addresses: Addresses::Chunks,
    // The default of the mount option max_inline.
    inline: 2048,
    activates_in_turn: true,
    is_cut: true,
    forget: Some(&["btrfs", "device", "scan", "--forget"]),
    ..PLAIN
};

const F2FS: Facts = Facts {
    name: "f2fs",
    family: FsKind::F2fs,
    mkfs: &["mkfs.f2fs", "-q", "-f", "-t", "0"],
    package: "f2fs-tools",
    quotas: Quotas::Mounted { mkfs: &["-O", "quota"], mount: "usrquota" },
    // Each pinned file takes a section, 2 MiB.
    size: 2 << 30,
    room: 128 << 20,
    shuts_down: true,
    is_cut: true,
    ..PLAIN
};

const OVERLAY: Facts = Facts {
    name: "overlay",
    family: FsKind::Overlay,
    options: "lowerdir={below}/lower,upperdir={below}/upper,workdir={below}/work",
    over: Some(Over {
        fs: FsKind::Xfs,
        interface: None,
        before: &[],
        after: &[],
        directories: &["lower", "upper", "work"],
        files: "upper",
        source: "overlay",
    }),
    room: XFS.room,
    fine_times: XFS.fine_times,
    ..PLAIN
};

/// The server has no programs here: their answers to its questions are in the caches of the kernel before it asks
/// (Documentation/filesystems/nfs/rpc-cache.rst). The numbers are far in the future, the flags of exports of
/// linux/nfsd/export.h (the root has a number and shows what is mounted in it), and the kind of file handles that have
/// a number (FSID_NUM).
const NFS: Facts = Facts {
    name: "nfs",
    family: FsKind::Nfs,
    medium: Medium::Server,
    options: "vers=4.2,addr=127.0.0.1,clientaddr=127.0.0.1",
    over: Some(Over {
        fs: FsKind::Xfs,
        interface: Some(("nfsd", "/proc/fs/nfsd")),
        before: &[
            ("/proc/net/rpc/auth.unix.ip/channel", "nfsd 127.0.0.1 2147483647 suite"),
            ("/proc/net/rpc/nfsd.export/channel", "suite {parent} 2147483647 25602 -2 -2 0"),
            ("/proc/net/rpc/nfsd.fh/channel", "suite 1 \\x00000000 2147483647 {parent}"),
            ("/proc/net/rpc/nfsd.export/channel", "suite {below} 2147483647 9730 -2 -2 {number}"),
            ("/proc/net/rpc/nfsd.fh/channel", "suite 1 \\x{bytes} 2147483647 {below}"),
            // The older versions need rpcbind(8).
            ("/proc/fs/nfsd/versions", "-2 -3"),
            // No client is there from before, and for this time the server waits for such clients.
            ("/proc/fs/nfsd/nfsv4leasetime", "10"),
            ("/proc/fs/nfsd/nfsv4gracetime", "10"),
            ("/proc/fs/nfsd/threads", "4"),
        ],
        // A cached answer keeps the exported file system mounted.
        after: &[("/proc/net/rpc/nfsd.fh/flush", "1"), ("/proc/net/rpc/nfsd.export/flush", "1")],
        directories: &[],
        files: "",
        source: "127.0.0.1:/{name}",
    }),
    ..PLAIN
};

impl FsKind {
    /// The file systems that almost every kernel has.
    pub const USUAL: [Self; 3] = [Self::Xfs, Self::Ext4, Self::Btrfs];

    /// Whether the file system is on persistent memory, which applications map without a cache.
    pub(crate) fn is_dax(self) -> bool {
        self.facts().medium == Medium::Pmem
    }

    /// The greatest size of a file whose data lie inside its metadata, in bytes; 0 if the data are never there.
    pub(crate) fn inline(self) -> u64 {
        self.facts().inline
    }

    /// Whether the suite makes the file system on a loop device. The other devices exist only in guests.
    pub(crate) fn is_on_a_loop_device(self) -> bool {
        self.facts().medium == Medium::Loop
    }

    /// This file system, and the file systems below it.
    pub(crate) fn layers(self) -> impl Iterator<Item = Self> {
        std::iter::successors(Some(self), |fs| fs.facts().over.as_ref().map(|over| over.fs))
    }

    /// The programs that make and examine the file system, each with its package.
    pub(crate) fn programs(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let of_layer = |facts: &'static Facts| {
            facts.mkfs.iter().take(1).chain(facts.tools).map(|program| (*program, facts.package))
        };
        self.layers().flat_map(move |fs| of_layer(fs.facts()))
    }

    /// Every program that the suite may call for the file system.
    pub(crate) fn all_programs(self) -> impl Iterator<Item = &'static str> {
        self.programs()
            .map(|(program, _)| program)
            .chain(self.layers().flat_map(|fs| fs.facts().helpers.iter().copied()))
    }

    /// The name on the command line and in results.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// Whether this is a file system. Otherwise it is a device.
    pub(crate) fn is_mounted(self) -> bool {
        self.family() != Self::Devdax
    }

    /// The modules of the kernel for the file system.
    pub(crate) fn modules(self) -> impl Iterator<Item = &'static str> {
        self.layers().filter(|fs| fs.is_mounted()).map(|fs| fs.family().name())
    }

    /// The plain file system, without its place and mode. mount(2) knows it by its name.
    pub fn family(self) -> Self {
        self.facts().family
    }
}
