//! The reference: a small file system that follows the specification of immutable iomap files.
//!
//! [`Fs::call`] takes the system calls of [`Call`] and answers as a kernel would. Placement is real: a file has a map
//! from its blocks to the storage, blocks can be shared, and an [`Agent`] reaches them without asking. `rules.rs` is
//! the table to read beside the page. [`Fs::breaking`] makes a file system that breaks one clause.

mod call;
mod entry;
mod fuse;
mod model;
mod names;
mod rules;
mod storage;
mod units;
mod violation;

pub use call::caller::*;
pub use call::mode::Mode;
pub use call::route::Route;
pub use call::system_call::*;
pub use entry::fs::{Agent, Fs};
pub use entry::requests::{Listed, Space};
pub use fuse::daemon::MountOptions;
pub use fuse::ioctl;
pub use model::metadata::{Attributes, Changes, SetTime};
pub use model::quota::Quota;
pub use model::state::Clock;
pub use names::entries::{Place, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
pub use names::xattrs::{XATTR_CREATE, XATTR_REPLACE};
pub use rules::{BY_CONSTRUCTION, rules};
pub use storage::disk::{Aftermath, Disk, Event, FileDisk, MemoryDisk, SECTOR, Survivors, VolatileDisk};
pub use storage::error::{Finding, ImageError};
pub use storage::fsck::{Report, check};
pub use storage::image::{LABEL, MAGIC, Options};
pub use storage::inode::Kind;
pub use storage::volume::format;
pub use units::{Address, BLOCK, Ino};
pub use violation::{Violation, violations};
