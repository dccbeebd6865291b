//! The reference: a small file system that follows the specification of immutable iomap files.
//!
//! [`Fs::call`] takes the system calls of [`Call`] and answers as a kernel would. Placement is real: a file has a map
//! from its blocks to the storage, blocks can be shared, and an [`Agent`] reaches them without asking. `rules.rs` is
//! the table to read beside the page. [`Fs::breaking`] makes a file system that breaks one clause.

mod allocation;
mod attributes;
mod cache;
mod call;
mod data;
mod disk;
mod durability;
mod extents;
mod fs;
mod fsck;
mod holds;
mod image;
mod inode;
mod log;
mod mode;
mod mover;
mod names;
mod rules;
mod sharing;
mod store;
mod tracked;
mod violation;

pub use call::*;
pub use disk::{Aftermath, Disk, Event, FileDisk, MemoryDisk, SECTOR, Survivors, VolatileDisk};
pub use durability::format;
pub use fs::{Agent, Fs};
pub use fsck::{Finding, Report, check};
pub use image::{ImageError, LABEL, MAGIC, Options};
pub use mode::Mode;
pub use rules::{BY_CONSTRUCTION, rules};
pub use store::{Address, BLOCK};
pub use violation::{Violation, violations};
