//! Files: what an inode holds, and how its bytes are found on the storage.

use crate::call::{FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, Fd};
use crate::directory::Directory;
use crate::store::{Address, BLOCK};
use std::collections::BTreeMap;

/// The number of an inode. It is never used again.
pub type Ino = u64;

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Where one block of a file lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) address: Address,
    /// False: allocated, reads as zeros until it is written.
    pub(crate) written: bool,
}

/// Files up to this size, in bytes, keep their data in the inode until they grow.
pub(crate) const INLINE: u64 = 64;

/// A file. `map` goes from the number of a block in the file to its place; what is missing is a hole. Times are in
/// nanoseconds since the epoch.
#[derive(Clone, Debug)]
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
    /// What it points to, if it is a symbolic link.
    pub(crate) target: Vec<u8>,
    /// Which device it stands for, if it does.
    pub(crate) rdev: u64,
    pub(crate) flags: u32,
    pub(crate) xflags: u32,
    pub(crate) map: BTreeMap<u64, Extent>,
    /// The data of a small file, which then has no map.
    pub(crate) inline: Option<Vec<u8>>,
    pub(crate) sealed: bool,
    /// The descriptor that sealed the file: only a violation looks at it.
    pub(crate) sealed_by: Option<Fd>,
    /// It never had a name, and may still get one.
    pub(crate) linkable: bool,
    /// How often a daemon's kernel was told of it and has not forgotten.
    pub(crate) lookups: u64,
    pub(crate) descriptors: usize,
    pub(crate) mappings: usize,
    pub(crate) registrations: usize,
    /// It is an active swap file.
    pub(crate) swap: bool,
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
            map: BTreeMap::new(),
            inline: None,
            sealed: false,
            sealed_by: None,
            linkable: false,
            lookups: 0,
            descriptors: 0,
            mappings: 0,
            registrations: 0,
            swap: false,
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

    /// How many blocks [0, size) spans.
    pub(crate) fn blocks(&self) -> u64 {
        self.size.div_ceil(BLOCK as u64)
    }

    /// The first block of [0, size) that is a hole.
    pub(crate) fn hole(&self) -> Option<u64> {
        let mapped = self.map.keys().zip(0..).take_while(|(block, expected)| *block == expected).count() as u64;
        (mapped < self.blocks()).then_some(mapped)
    }

    pub(crate) fn has_unwritten(&self) -> bool {
        self.map.range(..self.blocks()).any(|(_, extent)| !extent.written)
    }

    pub(crate) fn is_mapped(&self) -> bool {
        self.mappings > 0
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
