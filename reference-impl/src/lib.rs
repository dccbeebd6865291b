//! A small file system that follows the specification of immutable iomap files, in memory or on an image.
//!
//! [`Fs::call`] takes a system call of [`Call`] and answers as a kernel would. A file has a map from its blocks to the
//! storage, blocks can be shared, and an [`Agent`] reads and writes the storage of a file without asking the file
//! system. While a file is sealed, the file system refuses each call that would change its map:
//!
//! ```
//! use iomap_reference::{BLOCK, Call, Caller, Fs, Mode, Reply};
//! use nix::{errno::Errno, fcntl::OFlag};
//!
//! let fs = Fs::new(64);
//! let call = |call: Call| fs.call(Caller::Privileged, &call);
//! let flags = OFlag::O_RDWR | OFlag::O_CREAT;
//! let Ok(Reply::Number(fd)) = call(Call::Open { name: "file".into(), flags, mode: 0o600 }) else { panic!() };
//! let fd = fd as i32;
//! call(Call::Pwrite { fd, offset: 0, data: vec![1; BLOCK] })?;
//! call(Call::Fallocate { fd, mode: Mode::SEAL, offset: 0, len: BLOCK as i64 })?;
//!
//! // A write inside the size goes to the same place, and an agent sees it.
//! let agent = fs.agent(fd)?;
//! call(Call::Pwrite { fd, offset: 0, data: vec![2; BLOCK] })?;
//! assert_eq!(agent.read(0, BLOCK), vec![2; BLOCK]);
//! // A smaller size would give the place to other files.
//! assert_eq!(call(Call::Ftruncate { fd, size: 0 }), Err(Errno::ETXTBSY));
//! # Ok::<(), Errno>(())
//! ```
//!
//! - [`rules()`] lists the answers in the order of the checks, each with its clause. `rules.rs` is the table to read
//!   beside the page.
//! - [`Fs::breaking`] makes a file system that breaks one clause in one way; [`violations()`] lists the ways, and
//!   [`conditional()`] those ways under conditions.
//! - [`format()`] makes an image on a [`Disk`], [`Fs::mount`] mounts it, [`check()`] looks for inconsistencies in it.
//! - [`Fs::lookup`] and the functions beside it take the requests of a kernel to a daemon, on inodes and names.
//!   [`Fs::session`] serves them through FUSE, and [`ioctl`] has the calls that kernels keep from a daemon.
//!
//! # Limits
//!
//! The file system is made to be read and to be compared with other file systems, not to keep data. All metadata of an
//! image are in memory. Data have no checksums, and [`check()`] repairs nothing. Calls run one after the other: one
//! lock is for the whole file system. There are no file locks and no access control lists. A mapping is not memory of
//! the process, but loads and stores by [`Call`]. Quotas and snapshots cannot be read back. The on-disk format can
//! change with any version.

mod call;
mod conditional;
mod conditions;
mod entry;
mod fuse;
mod model;
mod names;
mod rules;
mod storage;
mod units;
mod violation;

pub use call::caller::{Caller, Capabilities, Credentials, EXECUTE, READ, WRITE};
pub use call::flags::{
    FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, FLAG_JOURNAL, FLAG_NOCOW, FLAG_VERITY, STATX_SEALED, XFLAG_APPEND,
    XFLAG_IMMUTABLE, XFLAG_NODUMP, XFLAG_SEALED,
};
pub use call::mode::Mode;
pub use call::reply::{Outcome, Reply, Stat};
pub use call::route::Route;
pub use call::system_call::{At, Call, Fd, MapId, Whence, append_flag};
pub use conditional::{conditional, conditions, left_out_pairs};
pub use entry::fs::{Agent, Fs};
pub use entry::requests::{Listed, Space};
pub use fuse::ioctl;
pub use fuse::session::MountOptions;
pub use model::metadata::{Attributes, Changes, SetTime};
pub use model::quota::Quota;
pub use model::state::Clock;
pub use names::entries::{Place, RENAME_EXCHANGE, RENAME_NOREPLACE, RENAME_WHITEOUT};
pub use names::xattrs::{XATTR_CREATE, XATTR_REPLACE};
pub use rules::{BY_CONSTRUCTION, reasons, rules};
pub use storage::disk::{Aftermath, Disk, Event, FileDisk, MemoryDisk, SECTOR, Survivors, VolatileDisk};
pub use storage::error::{Finding, ImageError};
pub use storage::fsck::{Report, check};
pub use storage::image::{LABEL, MAGIC, Options};
pub use storage::inode::Kind;
pub use storage::volume::format;
pub use units::{Address, BLOCK, Ino};
pub use violation::{Violation, violations};
