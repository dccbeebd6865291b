//! The table of the scenario `stress`: what works on a file system beside sealed files, and beside the suite.

use crate::filesystem::FsKind;
use crate::lab::machine::packages::Tool;

/// Work beside the suite.
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) fs: &'static [FsKind],
    /// The program without which there is no such load.
    pub(crate) program: &'static str,
    /// One round, for bash, in a directory of its own. `$ROOT` is where the file system is mounted; the sealed files are
    /// there. It lasts for seconds, and fails if the file system does something wrong.
    pub(crate) round: &'static str,
}

/// The file systems of the scenario.
pub(crate) const SYSTEMS: [FsKind; 4] = [FsKind::Xfs, FsKind::Ext4, FsKind::XfsDax, FsKind::Ext4Dax];

const XFS: &[FsKind] = &[FsKind::Xfs, FsKind::XfsDax];
const EXT4: &[FsKind] = &[FsKind::Ext4, FsKind::Ext4Dax];

/// The loads, one at a time.
pub(crate) static LOADS: [Load; 10] = [
    Load {
        name: "stress-ng on files",
        fs: &SYSTEMS,
        program: "stress-ng",
        round: "stress-ng --quiet --temp-path . --timeout 3 --hdd 1 --hdd-bytes 4M --fallocate 1 --fallocate-bytes 4M \
            --rename 1 --link 1 --fiemap 1 --fiemap-bytes 1M --mmap 1 --mmap-file --mmap-bytes 1M",
    },
    Load {
        name: "memory pressure",
        fs: &SYSTEMS,
        program: "stress-ng",
        round: "echo 3 >/proc/sys/vm/drop_caches; stress-ng --quiet --temp-path . --timeout 3 --vm 1 --vm-bytes 60%",
    },
    Load { name: "fsx", fs: &SYSTEMS, program: "fsx", round: "fsx -N 500 file" },
    Load {
        name: "freezing",
        fs: &SYSTEMS,
        program: "fsfreeze",
        round: "fsfreeze -f \"$ROOT\"; sleep 0.2; fsfreeze -u \"$ROOT\"; sleep 1",
    },
    Load {
        name: "a user at the limit",
        fs: &SYSTEMS,
        program: "setquota",
        // The user has 256 KiB, and 1 MiB is too much.
        round: "chmod 777 .
            setquota -u 4321 0 256 0 0 \"$ROOT\"
            ! setpriv --reuid 4321 --clear-groups dd if=/dev/zero of=much bs=64k count=16 conv=fsync status=none 2>/dev/null
            setpriv --reuid 4321 --clear-groups dd if=/dev/zero of=much bs=64k count=2 conv=fsync status=none
            setquota -u 4321 0 0 0 0 \"$ROOT\"
            rm much",
    },
    Load {
        name: "clones",
        fs: XFS,
        program: "cp",
        round: "dd if=/dev/urandom of=base bs=64k count=8 status=none
            for clone in 1 2 3 4 5 6 7 8; do
                cp --reflink=always base clone-$clone
                dd if=/dev/zero of=clone-$clone bs=4k seek=$clone count=2 conv=notrunc,fsync status=none
                ! cp --reflink=always \"$ROOT/large\" clone-of-a-sealed-file 2>/dev/null
            done
            rm -f clone-*",
    },
    Load {
        name: "xfs_fsr",
        fs: XFS,
        program: "xfs_fsr",
        // A sealed file cannot be defragmented; that is no reason to end.
        round: "for part in 1 2 3 4 5 6 7 8; do
                dd if=/dev/urandom of=one bs=4k seek=$part count=1 conv=notrunc,fsync status=none
                dd if=/dev/urandom of=two bs=4k seek=$part count=1 conv=notrunc,fsync status=none
            done
            xfs_fsr one \"$ROOT\"/scattered \"$ROOT\"/large || true
            rm one two",
    },
    Load {
        name: "growing and shrinking",
        fs: XFS,
        program: "xfs_io",
        round: "blocks=$(stat -f -c %b \"$ROOT\")
            size=$(xfs_io -r -c statfs \"$ROOT\" | sed -n 's/^geom.datablocks = //p')
            # There may be no room at the end.
            xfs_growfs -D $((size - 64)) \"$ROOT\" >/dev/null || true
            xfs_growfs -D $size \"$ROOT\" >/dev/null
            [ \"$(stat -f -c %b \"$ROOT\")\" = \"$blocks\" ]",
    },
    Load { name: "xfs_scrub", fs: XFS, program: "xfs_scrub", round: "xfs_scrub -n \"$ROOT\" >/dev/null; sleep 1" },
    Load {
        name: "e4defrag",
        fs: EXT4,
        program: "e4defrag",
        round: "dd if=/dev/urandom of=file bs=64k count=8 conv=fsync status=none
            e4defrag file \"$ROOT\"/scattered \"$ROOT\"/large >/dev/null || true
            sleep 1",
    },
];

/// The programs, and their packages.
pub(crate) const TOOLS: &[Tool] = &[
    ("bash", "bash"),
    ("chmod", "coreutils"),
    ("cp", "coreutils"),
    ("dd", "coreutils"),
    ("e4defrag", "e2fsprogs"),
    ("fsfreeze", "util-linux"),
    ("rm", "coreutils"),
    ("sed", "sed"),
    ("setpriv", "util-linux"),
    ("setquota", "quota"),
    ("sleep", "coreutils"),
    ("stat", "coreutils"),
    ("stress-ng", "stress-ng"),
    ("xfs_fsr", "xfsprogs"),
    ("xfs_growfs", "xfsprogs"),
    ("xfs_io", "xfsprogs"),
    ("xfs_scrub", "xfsprogs"),
];

/// A program that no package has: `cargo install fsx`.
pub(crate) const OPTIONAL: &str = "fsx";
