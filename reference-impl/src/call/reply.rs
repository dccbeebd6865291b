//! Replies: the results of calls.

use nix::errno::Errno;

/// The result of a successful call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The number that the call returned: a count, a descriptor, an offset, flags, or 0.
    Number(i64),
    /// The bytes that were read.
    Data(Vec<u8>),
    /// fstat(2), the extended attributes included.
    Stat(Box<Stat>),
}

/// The results of fstat(2) and fgetxattr(2). Times are in nanoseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields of struct stat, under their names")]
pub struct Stat {
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    pub size: u64,
    pub atime: i128,
    pub mtime: i128,
    pub ctime: i128,
    pub xattrs: Vec<(String, Vec<u8>)>,
}

/// The outcome of a call: a reply, or the error.
pub type Outcome = Result<Reply, Errno>;
