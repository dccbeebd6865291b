//! The units, numbers and limits of the file system.

/// The unit of placement, in bytes.
pub const BLOCK: usize = 4096;

/// The place of a block: its number on the storage.
pub type Address = usize;

/// The number of an inode. Numbers are never reused.
pub type Ino = u64;

/// The root directory.
pub(crate) const ROOT: Ino = 1;

/// The largest size of a file, because offsets of calls are signed.
pub(crate) const LARGEST: u64 = i64::MAX as u64;

/// The longest name, in bytes.
pub(crate) const NAME_MAX: usize = 255;

/// The longest path, in bytes and without the NUL, and the longest target of a symbolic link.
pub(crate) const PATH_MAX: usize = 4095;
