//! Storage: disks, images on disks, and the inodes and blocks of an image.

pub(crate) mod allocator;
pub(crate) mod directory;
pub(crate) mod disk;
pub(crate) mod error;
pub(crate) mod extents;
pub(crate) mod fsck;
pub(crate) mod image;
pub(crate) mod inode;
pub(crate) mod inode_table;
pub(crate) mod log;
pub(crate) mod placement;
pub(crate) mod store;
pub(crate) mod volume;
