//! The unit of storage.

/// The unit of placement, in bytes.
pub const BLOCK: usize = 4096;

/// Where a block lives: its number on the storage.
pub type Address = usize;
