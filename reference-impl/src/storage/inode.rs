//! Files: the contents of an inode.

use crate::call::flags::{FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, FLAG_JOURNAL};
use crate::call::system_call::Fd;
use crate::storage::directory::Directory;
use crate::storage::extents::ExtentMap;
use crate::units::{BLOCK, Ino};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the types of inode(7), under their names")]
pub enum Kind {
    Regular,
    Directory,
    Symlink,
    Fifo,
    Socket,
    Character,
    Block,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Regular => "regular file",
            Self::Directory => "directory",
            Self::Symlink => "symbolic link",
            Self::Fifo => "FIFO",
            Self::Socket => "socket",
            Self::Character => "character device",
            Self::Block => "block device",
        })
    }
}

/// The maximum size, in bytes, of files that keep their data in the inode.
pub(crate) const INLINE: u64 = 64;

/// A file. Times are in nanoseconds since the epoch. Fields without `skip` are on the storage. The map, and the names
/// of a directory, are written separately, so that a commit can write their changes only.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    /// The permissions, the set-ID bits and the sticky bit, without the file type.
    pub(crate) mode: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) links: u64,
    pub(crate) size: u64,
    pub(crate) atime: i128,
    pub(crate) mtime: i128,
    pub(crate) ctime: i128,
    pub(crate) birth: i128,
    pub(crate) xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// The names, if the file is a directory.
    pub(crate) directory: Directory,
    /// The target, if the file is a symbolic link.
    pub(crate) target: Vec<u8>,
    /// The device number, if the file is a device.
    pub(crate) rdev: u64,
    pub(crate) flags: u32,
    pub(crate) xflags: u32,
    #[serde(skip)]
    pub(crate) map: ExtentMap,
    /// Whether the file may share blocks. A block with two files is consistent only if both have this set.
    pub(crate) shares: bool,
    /// The data of a small file, which then has no map.
    pub(crate) inline: Option<Vec<u8>>,
    pub(crate) sealed: bool,
    /// The descriptor that sealed the file; used by a violation only.
    #[serde(skip)]
    pub(crate) sealed_by: Option<Fd>,
    /// Whether the file never had a name and may still get one.
    pub(crate) linkable: bool,
    /// The number of references of a daemon's kernel to the inode.
    #[serde(skip)]
    pub(crate) lookups: u64,
    #[serde(skip)]
    pub(crate) descriptors: usize,
    #[serde(skip)]
    pub(crate) mappings: usize,
    #[serde(skip)]
    pub(crate) registrations: usize,
    /// The number of changes of the data by calls, which inotify(7) reports.
    #[serde(skip)]
    pub(crate) modified: u64,
    /// Whether the file is an active swap file.
    #[serde(skip)]
    pub(crate) swap: bool,
    /// Whether the log has a version of the inode.
    #[serde(skip)]
    pub(crate) logged: bool,
    /// Whether the inode has changed since the last commit.
    #[serde(skip)]
    pub(crate) changed: bool,
}

impl Inode {
    pub(crate) fn new(kind: Kind, mode: u32, now: i128) -> Self {
        Self {
            kind,
            mode,
            uid: 0,
            gid: 0,
            links: 1,
            size: 0,
            atime: now,
            mtime: now,
            ctime: now,
            birth: now,
            xattrs: BTreeMap::new(),
            directory: Directory::default(),
            target: Vec::new(),
            rdev: 0,
            flags: 0,
            xflags: 0,
            map: ExtentMap::default(),
            shares: false,
            inline: None,
            sealed: false,
            sealed_by: None,
            linkable: false,
            lookups: 0,
            descriptors: 0,
            mappings: 0,
            registrations: 0,
            modified: 0,
            swap: false,
            logged: false,
            changed: false,
        }
    }

    /// An empty directory. Its name is in its parent.
    pub(crate) fn directory(parent: Ino, mode: u32, now: i128) -> Self {
        Self { links: 2, directory: Directory::within(parent), ..Self::new(Kind::Directory, mode, now) }
    }

    /// Whether the inode has references other than names.
    pub(crate) fn in_use(&self) -> bool {
        self.lookups > 0 || self.descriptors + self.mappings + self.registrations > 0
    }

    /// The number of blocks of [0, size).
    pub(crate) fn blocks(&self) -> u64 {
        self.size.div_ceil(BLOCK as u64)
    }

    /// The first block of [0, size) that is a hole.
    pub(crate) fn hole(&self) -> Option<u64> {
        self.map.hole(0..self.blocks())
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        self.map.runs(0..self.blocks()).any(|run| !run.written)
    }

    /// Whether two parts of the file share a block.
    pub(crate) fn shares_within(&self) -> bool {
        let mut seen = HashSet::new();
        self.shares && self.map.addresses().any(|at| !seen.insert(at))
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.mappings > 0
    }

    /// Fails unless the file is regular; calls on two files require that of both.
    pub(crate) fn must_be_regular(&self) -> Result<(), Errno> {
        match self.kind {
            Kind::Regular => Ok(()),
            Kind::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    /// Whether the file is a device or a socket, which the kernel serves.
    pub(crate) fn is_special(&self) -> bool {
        matches!(self.kind, Kind::Socket | Kind::Character | Kind::Block)
    }

    pub(crate) fn is_immutable(&self) -> bool {
        self.flags & FLAG_IMMUTABLE != 0
    }

    pub(crate) fn is_append_only(&self) -> bool {
        self.flags & FLAG_APPEND != 0
    }

    /// Whether a write goes to a new place, as in a compressed file, or to a journal first.
    pub(crate) fn never_in_place(&self) -> bool {
        self.flags & (FLAG_COMPRESS | FLAG_JOURNAL) != 0
    }
}
