//! Files: what an inode holds, and how its bytes are found on the storage.

use crate::call::flags::{FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE};
use crate::call::system_call::Fd;
use crate::storage::directory::Directory;
use crate::storage::extents::ExtentMap;
use crate::units::{BLOCK, Ino};
use nix::errno::Errno;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
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

/// Files up to this size, in bytes, keep their data in the inode until they grow.
pub(crate) const INLINE: u64 = 64;

/// A file. Times are in nanoseconds since the epoch. Fields without `skip` are on the storage; the map and the names of
/// a directory are written apart, so that a commit need not have all.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Inode {
    pub(crate) kind: Kind,
    /// The permissions, the set-ID bits and the sticky bit: no type.
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
    /// The names, if it is a directory.
    pub(crate) directory: Directory,
    /// The target, if it is a symbolic link.
    pub(crate) target: Vec<u8>,
    /// The number of the device, if it is one.
    pub(crate) rdev: u64,
    pub(crate) flags: u32,
    pub(crate) xflags: u32,
    #[serde(skip)]
    pub(crate) map: ExtentMap,
    /// It may share blocks with other files: a block that two files have is right only if both say so.
    pub(crate) shares: bool,
    /// The data of a small file, which then has no map.
    pub(crate) inline: Option<Vec<u8>>,
    pub(crate) sealed: bool,
    /// The descriptor that sealed the file: only a violation looks at it.
    #[serde(skip)]
    pub(crate) sealed_by: Option<Fd>,
    /// It never had a name, and may still get one.
    pub(crate) linkable: bool,
    /// How often a daemon's kernel was told of it and has not forgotten.
    #[serde(skip)]
    pub(crate) lookups: u64,
    #[serde(skip)]
    pub(crate) descriptors: usize,
    #[serde(skip)]
    pub(crate) mappings: usize,
    #[serde(skip)]
    pub(crate) registrations: usize,
    /// It is an active swap file.
    #[serde(skip)]
    pub(crate) swap: bool,
    /// The log has it, as it is now or was before.
    #[serde(skip)]
    pub(crate) logged: bool,
    /// It changed since the last commit.
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
            swap: false,
            logged: false,
            changed: false,
        }
    }

    /// An empty directory; its parent has the name.
    pub(crate) fn directory(parent: Ino, mode: u32, now: i128) -> Self {
        Self { links: 2, directory: Directory::within(parent), ..Self::new(Kind::Directory, mode, now) }
    }

    /// Whether anything but a name refers to it.
    pub(crate) fn in_use(&self) -> bool {
        self.lookups > 0 || self.descriptors + self.mappings + self.registrations > 0
    }

    /// The number of blocks that [0, size) spans.
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

    pub(crate) fn is_mapped(&self) -> bool {
        self.mappings > 0
    }

    /// Calls that work on two files want both to be regular ones.
    pub(crate) fn must_be_regular(&self) -> Result<(), Errno> {
        match self.kind {
            Kind::Regular => Ok(()),
            Kind::Directory => Err(Errno::EISDIR),
            _ => Err(Errno::EINVAL),
        }
    }

    pub(crate) fn is_immutable(&self) -> bool {
        self.flags & FLAG_IMMUTABLE != 0
    }

    pub(crate) fn is_append_only(&self) -> bool {
        self.flags & FLAG_APPEND != 0
    }

    /// A compressed file is written to a new place each time.
    pub(crate) fn never_in_place(&self) -> bool {
        self.flags & FLAG_COMPRESS != 0
    }
}
