//! The table of the scenario `unaware`: disks that a kernel seals a file on, and what a kernel and programs that do not
//! know the state may do with them.

use crate::filesystem::FsKind;
use crate::lab::machine::packages::Tool;
use crate::words;
use iomap_clauses::FOREIGN_UNAWARE;

/// The end of the kernel that sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It unmounted the file system.
    Unmounted,
    /// Its power was cut right after the call that sealed had returned: the log has that, and all else that is not
    /// flushed is lost.
    Cut,
}

/// A disk of the scenario.
pub(crate) struct Medium {
    /// The name of the disk in the guests, and at the beginning of its steps.
    pub(crate) name: &'static str,
    pub(crate) fs: FsKind,
    pub(crate) end: End,
}

/// The disks. Those that lose their power come last, because the guest may wait for such a disk for ever.
pub(crate) static DISKS: [Medium; 4] = [
    Medium { name: "xfs-unmounted", fs: FsKind::Xfs, end: End::Unmounted },
    Medium { name: "ext4-unmounted", fs: FsKind::Ext4, end: End::Unmounted },
    Medium { name: "xfs-cut", fs: FsKind::Xfs, end: End::Cut },
    Medium { name: "ext4-cut", fs: FsKind::Ext4, end: End::Cut },
];

/// A program that looks at a disk, and what it must say.
pub(crate) struct Look {
    pub(crate) fs: FsKind,
    pub(crate) program: &'static str,
    /// Its arguments; the device follows.
    pub(crate) arguments: &'static [&'static str],
    /// The exit status.
    pub(crate) status: i32,
    /// A part of its output.
    pub(crate) says: &'static str,
}

/// The programs. None of them changes a disk: they refuse it, or read only.
pub(crate) static LOOKS: [Look; 5] = [
    Look {
        fs: FsKind::Xfs,
        program: "xfs_repair",
        arguments: &["-n"],
        status: 1,
        says: "Found unsupported filesystem features",
    },
    Look {
        fs: FsKind::Xfs,
        program: "xfs_db",
        arguments: &["-r", "-c", "sb 0", "-c", "print features_ro_compat"],
        status: 0,
        says: "features_ro_compat = 0x4",
    },
    Look {
        fs: FsKind::Ext4,
        program: "e2fsck",
        arguments: &["-fn"],
        status: 12,
        says: "Get a newer version of e2fsck",
    },
    Look { fs: FsKind::Ext4, program: "tune2fs", arguments: &["-l"], status: 0, says: "FEATURE_R30" },
    Look {
        fs: FsKind::Ext4,
        program: "tune2fs",
        arguments: &["-L", "other"],
        status: 1,
        says: "has unsupported read-only feature(s)",
    },
];

/// The programs of the table, and their packages.
pub(crate) const TOOLS: &[Tool] =
    &[("xfs_repair", "xfsprogs"), ("xfs_db", "xfsprogs"), ("e2fsck", "e2fsprogs"), ("tune2fs", "e2fsprogs")];

/// The outcomes of a mount for writing that the clause allows.
pub(crate) fn refusals() -> Vec<String> {
    FOREIGN_UNAWARE.errnos.iter().map(|errno| words::name(*errno)).collect()
}
