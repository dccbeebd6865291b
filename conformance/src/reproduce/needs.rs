//! The conditions that a program requires, and the tests for them.

use crate::reproduce::origin::Origin;

/// A condition of a program.
pub(super) struct Need {
    /// The condition in words.
    pub(super) what: String,
    /// An expression of C that is true if the condition is met.
    pub(super) test: String,
}

/// The conditions of calls that contain one of these words.
#[rustfmt::skip] // One need, one line.
static CALLS: &[(&[&str], &str, &str)] = &[
    (&["swapon", "swapoff"], "a kernel with CONFIG_SWAP", "!access(\"/proc/swaps\", F_OK)"),
    (&["swapon", "swapoff"], "CAP_SYS_ADMIN, for swapon(2)", "capable(21)"),
    (&["swapon"], "a swap area that is free: the kernel has 23 or more", "swap_areas() < 23"),
    (&["FS_IMMUTABLE_FL", "FS_APPEND_FL", "change_xflags"], "CAP_LINUX_IMMUTABLE, for attributes of files", "capable(9)"),
    (&["0x100", "0x200"], "a kernel that offers sealing", "can_seal()"),
    (&["chown", "fchown"], "CAP_CHOWN, for chown(2)", "capable(0)"),
    (&["privileges"], "CAP_LINUX_IMMUTABLE and CAP_SYS_ADMIN, to do without them", "capable(9) && capable(21)"),
    (&["FIFREEZE", "FITRIM", "EXT4_IOC_SWAP_BOOT", "BTRFS_IOC_SCRUB", "BTRFS_IOC_ENCODED_WRITE", "destroy_subvolume_of", "F2FS_IOC_MOVE_RANGE"], "CAP_SYS_ADMIN, for the ioctl", "capable(21)"),
    (&["FICLONE", "FICLONERANGE", "FIDEDUPERANGE", "dedupe"], "a file system whose files can share storage (mkfs.xfs -m reflink=1)", "can_share()"),
    (&["XFS_IOC_EXCHANGE_RANGE"], "XFS with the exchange bit (mkfs.xfs -i exchange=1) and Linux 6.10", "can_exchange()"),
    (&["ring", "register_buffer"], "io_uring (sysctl kernel.io_uring_disabled=0)", "can_ring()"),
    (&["aio"], "a kernel with CONFIG_AIO", "can_aio()"),
    (&["write_protect"], "userfaultfd(2) with UFFD_FEATURE_WP_ASYNC: Linux 6.7 and CONFIG_USERFAULTFD", "can_write_protect()"),
    (&["RWF_DONTCACHE"], "RWF_DONTCACHE: Linux 6.14", "can_write_with(RWF_DONTCACHE)"),
    (&["xfs_fsr"], "the program xfs_fsr", "there_is(\"xfs_fsr\")"),
    (&["e4defrag"], "the program e4defrag", "there_is(\"e4defrag\")"),
];

/// File systems whose answers say nothing about other file systems: `f_type` of statfs(2), and the name that stat(1)
/// prints.
const FILE_SYSTEMS: &[(&str, &str, &str)] = &[
    ("xfs", "0x58465342", "xfs"),
    ("ext4", "0xef53", "ext2/ext3"),
    ("btrfs", "0x9123683e", "btrfs"),
    ("f2fs", "0xf2f52010", "f2fs"),
];

/// The conditions of a program that makes these calls.
pub(super) fn of(origin: &Origin, body: &str) -> Vec<Need> {
    let place = place(origin).map(|(name, magic, _)| Need {
        what: format!("a directory on {name}"),
        test: format!("on_file_system({magic})"),
    });
    let rows = CALLS.iter().filter(|(words, ..)| words.iter().any(|word| has_word(body, word)));
    let calls = rows.map(|(_, what, test)| Need { what: (*what).into(), test: (*test).into() });
    place.into_iter().chain(calls).collect()
}

/// The file system that the calls need: its name, its number in C, and its name in stat(1).
pub(super) fn place(origin: &Origin) -> Option<(&'static str, &'static str, &'static str)> {
    // xfs-dax is XFS as well.
    let family = origin.fs.split('-').next().unwrap_or_default();
    FILE_SYSTEMS.iter().find(|(name, ..)| *name == family).copied()
}

/// Whether a letter can be part of a name in C.
pub(super) fn is_word(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '_'
}

/// Whether a text contains this name of C.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    text.split(|letter| !is_word(letter)).any(|it| it == word)
}
