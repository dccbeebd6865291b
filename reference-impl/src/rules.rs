//! The rules of the sealed state, to be read beside the page.
//!
//! Each row is one clause: the requests to which it applies, and the answer. Rows are checked from top to bottom, and
//! the first that applies decides, so their order is the order of checks. A request to which no row applies is refused
//! if the file is sealed, unless it is one of the few that leave the size and the place of every file alone.

use crate::call::caller::{Capabilities, Credentials};
use crate::call::flags::{FLAG_COMPRESS, FLAG_JOURNAL, XFLAG_SEALED};
use crate::call::mode::Mode;
use crate::storage::inode::{Inode, Kind};
use crate::units::Address;
use iomap_clauses::*;
use std::cell::RefCell;

/// The arguments of fallocate(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Allocation {
    pub(crate) mode: Mode,
    pub(crate) offset: i64,
    pub(crate) len: i64,
}

/// A request of a caller to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    Seal(Allocation),
    Unseal(Allocation),
    Read,
    OpenToWrite,
    OpenToTruncate,
    Write {
        offset: u64,
        len: u64,
        append: bool,
    },
    WriteAtomic {
        offset: u64,
        len: u64,
    },
    CopyInto {
        offset: u64,
        len: u64,
    },
    CopyFrom,
    Map {
        shared: bool,
        write: bool,
    },
    Sync,
    SeekHole,
    Truncate {
        size: i64,
        by_name: bool,
    },
    Fallocate(Allocation),
    CloneFrom,
    CloneInto,
    DedupeFrom,
    DedupeInto,
    ShareWithin,
    ExchangeOne,
    ExchangeOther,
    Snapshot,
    Defragment,
    ShrinkAway,
    SetFlags {
        old: u32,
        new: u32,
    },
    Register,
    Swapon,
    Unlink,
    Rename,
    Replace,
    Exchange,
    Link,
    Chmod,
    Chown,
    Utimes,
    Xattr,
    Query,
    SetXflags {
        old: u32,
        new: u32,
    },
    SetProject,
    SetDax,
    EnableVerity,
    Convert,
    /// Any other change of the size or the place, which no section of the table is about.
    Other,
}

/// The parts of the file system that a rule can read.
pub(crate) trait View {
    /// Whether more than one file has the block.
    fn is_shared(&self, at: Address) -> bool;
    /// Whether no space is left, for all users or for this user.
    fn is_full(&self, uid: u32) -> bool;
    /// Whether the mount is read-only.
    fn is_read_only(&self) -> bool;
}

/// The input of a rule.
pub(crate) struct Request<'a> {
    pub(crate) op: Op,
    pub(crate) file: &'a Inode,
    pub(crate) fs: &'a dyn View,
    pub(crate) who: &'a Credentials,
    /// Whether the descriptor is open for writing, or the call takes a name.
    pub(crate) writable: bool,
}

impl Request<'_> {
    fn sealed(&self) -> bool {
        self.file.sealed
    }

    fn privileged(&self) -> bool {
        self.who.has(Capabilities::LINUX_IMMUTABLE)
    }

    /// Whether the file shares storage with another file.
    fn shared(&self) -> bool {
        self.file.map.addresses().any(|at| self.fs.is_shared(at))
    }

    fn full(&self) -> bool {
        self.fs.is_full(self.file.uid)
    }

    /// The range that a call writes: offset and length.
    fn written(&self) -> Option<(u64, u64)> {
        match self.op {
            Op::Write { offset, len, .. } | Op::WriteAtomic { offset, len } | Op::CopyInto { offset, len } => {
                Some((offset, len))
            }
            _ => None,
        }
    }

    fn sealing(&self, test: impl Fn(Allocation) -> bool) -> bool {
        matches!(self.op, Op::Seal(call) if test(call))
    }

    fn unsealing(&self, test: impl Fn(Allocation) -> bool) -> bool {
        matches!(self.op, Op::Unseal(call) if test(call))
    }

    fn allocating(&self, test: impl Fn(Allocation) -> bool) -> bool {
        self.sealed() && matches!(self.op, Op::Fallocate(call) if test(call))
    }

    fn writing(&self, test: impl Fn(u64, u64) -> bool) -> bool {
        self.sealed() && self.written().is_some_and(|(offset, len)| test(offset, len))
    }

    fn any(&self, test: impl Fn(Op) -> bool) -> bool {
        self.sealed() && test(self.op)
    }

    fn is(&self, op: Op) -> bool {
        self.any(|it| it == op)
    }
}

/// The answer to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The request is carried out.
    Proceed,
    /// The request succeeds at once and changes nothing.
    Done,
    /// The request fails and changes nothing.
    Refuse(Errno),
}

/// One row.
pub(crate) struct Rule {
    pub(crate) clause: &'static Clause,
    pub(crate) applies: fn(&Request) -> bool,
    pub(crate) answer: Answer,
    /// Whether the row only decides which error comes first: the request could not be carried out anyway.
    pub(crate) precedence: bool,
}

const fn refuse(clause: &'static Clause, errno: Errno, applies: fn(&Request) -> bool) -> Rule {
    Rule { clause, applies, answer: Answer::Refuse(errno), precedence: false }
}

const fn first(clause: &'static Clause, errno: Errno, applies: fn(&Request) -> bool) -> Rule {
    Rule { clause, applies, answer: Answer::Refuse(errno), precedence: true }
}

const fn done(clause: &'static Clause, applies: fn(&Request) -> bool) -> Rule {
    Rule { clause, applies, answer: Answer::Done, precedence: false }
}

const fn grant(clause: &'static Clause, applies: fn(&Request) -> bool) -> Rule {
    Rule { clause, applies, answer: Answer::Proceed, precedence: false }
}

/// Rows about the same requests: only this section is searched for them.
struct Section {
    about: fn(Op) -> bool,
    rules: &'static [Rule],
}

const fn section(about: fn(Op) -> bool, rules: &'static [Rule]) -> Section {
    Section { about, rules }
}

use Errno::{EBADF, EBUSY, EINVAL, ENODEV, EOPNOTSUPP, EPERM, ESPIPE, ETXTBSY};

/// The rules, in the order of the checks.
static SECTIONS: &[Section] = &[
    // Sealing.
    section(
        |op| matches!(op, Op::Seal(_)),
        &[
            first(&SEAL_LENGTH, EINVAL, |r| r.sealing(|c| c.offset < 0 || c.len <= 0)),
            refuse(&SEAL_COMBINED, EOPNOTSUPP, |r| r.sealing(|c| c.mode != Mode::SEAL)),
            first(&SEAL_DIRECTORY, EBADF, |r| r.sealing(|_| r.file.kind == Kind::Directory)),
            first(&SEAL_ORDER, EBADF, |r| r.sealing(|_| !r.writable && !r.privileged())),
            refuse(&SEAL_READONLY, EBADF, |r| r.sealing(|_| !r.writable)),
            refuse(&SEAL_PRIVILEGE, EPERM, |r| r.sealing(|_| !r.privileged())),
            refuse(&SEAL_APPEND_ONLY, EPERM, |r| r.sealing(|_| r.file.is_append_only())),
            refuse(&SEAL_IMMUTABLE, EPERM, |r| r.sealing(|_| r.file.is_immutable())),
            first(&SEAL_FIFO, ESPIPE, |r| r.sealing(|_| r.file.kind == Kind::Fifo)),
            first(&SEAL_SPECIAL, ENODEV, |r| r.sealing(|_| r.file.is_special())),
            refuse(&SEAL_OFFSET, EINVAL, |r| r.sealing(|c| c.offset != 0)),
            refuse(&SEAL_SHORT, EINVAL, |r| r.sealing(|c| c.len.unsigned_abs() < r.file.size)),
            done(&SWAP_AGAIN, |r| r.sealing(|_| r.sealed() && r.file.swap)),
            done(&SEAL_AGAIN_MAPPED, |r| r.sealing(|_| r.sealed() && r.file.is_mapped())),
            done(&SEAL_AGAIN, |r| r.sealing(|_| r.sealed())),
            refuse(&SEAL_NEVER, EOPNOTSUPP, |r| r.sealing(|_| r.file.never_in_place())),
            refuse(&SEAL_EMPTY, EINVAL, |r| r.sealing(|_| r.file.size == 0)),
            refuse(&SEAL_INLINE, EINVAL, |r| r.sealing(|_| r.file.inline.is_some())),
            refuse(&SEAL_HOLE, EINVAL, |r| r.sealing(|_| r.file.hole().is_some())),
            refuse(&SEAL_UNWRITTEN, EINVAL, |r| r.sealing(|_| r.file.has_unwritten())),
            refuse(&SEAL_SHARED_WITHIN, EINVAL, |r| r.sealing(|_| r.file.shares_within())),
            refuse(&SEAL_SHARED, EINVAL, |r| r.sealing(|_| r.shared())),
            refuse(&SEAL_MAPPED, EBUSY, |r| r.sealing(|_| r.file.is_mapped())),
            refuse(&HOLD_REGISTRATION, EBUSY, |r| r.sealing(|_| r.file.registrations > 0)),
            refuse(&SWAP_SEAL, EBUSY, |r| r.sealing(|_| r.file.swap)),
            grant(&SEAL_UNLINKED, |r| r.sealing(|_| r.file.links == 0)),
            grant(&SEAL_LONG, |r| r.sealing(|c| c.len.unsigned_abs() > r.file.size)),
            grant(&SEAL_SEALED, |r| r.sealing(|_| true)),
        ],
    ),
    // Unsealing.
    section(
        |op| matches!(op, Op::Unseal(_)),
        &[
            refuse(&UNSEAL_RANGE, EINVAL, |r| r.unsealing(|c| c.offset < 0 || c.len <= 0)),
            refuse(&UNSEAL_COMBINED, EOPNOTSUPP, |r| r.unsealing(|c| c.mode != Mode::UNSEAL)),
            first(&UNSEAL_DIRECTORY, EBADF, |r| r.unsealing(|_| r.file.kind == Kind::Directory)),
            first(&SEAL_ORDER, EBADF, |r| r.unsealing(|_| !r.writable && !r.privileged())),
            refuse(&UNSEAL_READONLY, EBADF, |r| r.unsealing(|_| !r.writable)),
            refuse(&UNSEAL_PRIVILEGE, EPERM, |r| r.unsealing(|_| !r.privileged())),
            refuse(&UNSEAL_APPEND_ONLY, EPERM, |r| r.unsealing(|_| r.file.is_append_only())),
            refuse(&UNSEAL_IMMUTABLE, EPERM, |r| r.unsealing(|_| r.file.is_immutable())),
            first(&UNSEAL_FIFO, ESPIPE, |r| r.unsealing(|_| r.file.kind == Kind::Fifo)),
            first(&UNSEAL_SPECIAL, ENODEV, |r| r.unsealing(|_| r.file.is_special())),
            refuse(&UNSEAL_RANGE, EINVAL, |r| r.unsealing(|c| c.offset != 0)),
            refuse(&UNSEAL_RANGE, EINVAL, |r| r.unsealing(|c| c.len.unsigned_abs() < r.file.size)),
            done(&SWAP_AGAIN, |r| r.unsealing(|_| !r.sealed() && r.file.swap)),
            done(&UNSEAL_AGAIN, |r| r.unsealing(|_| !r.sealed())),
            refuse(&UNSEAL_MAPPED, EBUSY, |r| r.unsealing(|_| r.file.is_mapped())),
            refuse(&HOLD_REGISTRATION, EBUSY, |r| r.unsealing(|_| r.file.registrations > 0)),
            refuse(&SWAP_UNSEAL, EBUSY, |r| r.unsealing(|_| r.file.swap)),
            grant(&UNSEAL_FULL, |r| r.unsealing(|_| r.full())),
            grant(&UNSEAL_UNSEALED, |r| r.unsealing(|_| true)),
        ],
    ),
    // Holds.
    section(|op| matches!(op, Op::Register), &[grant(&HOLD_REGISTER, |r| r.is(Op::Register))]),
    // Reading and opening.
    section(
        |op| matches!(op, Op::Read | Op::OpenToWrite),
        &[grant(&READ_ANY, |r| r.is(Op::Read)), grant(&OPEN_WRITE, |r| r.is(Op::OpenToWrite))],
    ),
    // Writes.
    section(
        |op| {
            matches!(
                op,
                Op::Write { .. }
                    | Op::WriteAtomic { .. }
                    | Op::CopyInto { .. }
                    | Op::CopyFrom
                    | Op::Map { .. }
                    | Op::Sync
                    | Op::SeekHole
            )
        },
        &[
            first(&WRITE_READONLY, EBADF, |r| r.written().is_some() && !r.writable),
            done(&WRITE_EMPTY, |r| r.writing(|_, len| len == 0)),
            refuse(&SWAP_WRITES, ETXTBSY, |r| r.file.swap && r.written().is_some_and(|(_, len)| len > 0)),
            refuse(&WRITE_APPEND, ETXTBSY, |r| r.any(|op| matches!(op, Op::Write { append: true, .. }))),
            refuse(&WRITE_COPY_BEYOND, ETXTBSY, |r| {
                r.any(|op| matches!(op, Op::CopyInto { offset, len } if offset.saturating_add(len) > r.file.size))
            }),
            refuse(&WRITE_BEYOND, ETXTBSY, |r| r.writing(|offset, _| offset >= r.file.size)),
            refuse(&WRITE_CROSSING, ETXTBSY, |r| r.writing(|offset, len| offset.saturating_add(len) > r.file.size)),
            grant(&WRITE_ATOMIC, |r| r.any(|op| matches!(op, Op::WriteAtomic { .. }))),
            grant(&WRITE_FULL, |r| r.writing(|_, _| r.full())),
            grant(&WRITE_COPY, |r| r.any(|op| matches!(op, Op::CopyInto { .. }))),
            grant(&WRITE_INSIDE, |r| r.writing(|_, _| true)),
            grant(&WRITE_COPY_FROM, |r| r.is(Op::CopyFrom)),
            grant(&WRITE_MAPPED, |r| r.is(Op::Map { shared: true, write: true })),
            grant(&WRITE_FULL_SYNC, |r| r.is(Op::Sync) && r.full()),
            grant(&WRITE_NO_HOLE, |r| r.is(Op::SeekHole)),
        ],
    ),
    // Truncation.
    section(
        |op| matches!(op, Op::Truncate { .. } | Op::OpenToTruncate),
        &[
            first(&TRUNCATE_ORDER, EINVAL, |r| matches!(r.op, Op::Truncate { size, .. } if size < 0 || !r.writable)),
            grant(&TRUNCATE_SAME_SIZE, |r| {
                r.any(|op| matches!(op, Op::Truncate { size, .. } if size.unsigned_abs() == r.file.size))
            }),
            refuse(&TRUNCATE_PATH, ETXTBSY, |r| r.any(|op| matches!(op, Op::Truncate { by_name: true, .. }))),
            refuse(&TRUNCATE_EMPTY, ETXTBSY, |r| r.is(Op::Truncate { size: 0, by_name: false })),
            refuse(&TRUNCATE_SHRINK, ETXTBSY, |r| {
                r.any(|op| matches!(op, Op::Truncate { size, .. } if size.unsigned_abs() < r.file.size))
            }),
            refuse(&TRUNCATE_GROW, ETXTBSY, |r| r.any(|op| matches!(op, Op::Truncate { .. }))),
            refuse(&TRUNCATE_OPEN, ETXTBSY, |r| r.is(Op::OpenToTruncate)),
        ],
    ),
    // Allocation. The first three hold for every file.
    section(
        |op| matches!(op, Op::Fallocate(_)),
        &[
            first(&FALLOCATE_ARGUMENT, EINVAL, |r| matches!(r.op, Op::Fallocate(c) if c.offset < 0 || c.len <= 0)),
            first(&FALLOCATE_UNKNOWN, EOPNOTSUPP, |r| matches!(r.op, Op::Fallocate(c) if !known(c.mode))),
            first(&FALLOCATE_READONLY, EBADF, |r| matches!(r.op, Op::Fallocate(_) if !r.writable)),
            refuse(&FALLOCATE_PUNCH, ETXTBSY, |r| {
                r.allocating(|c| c.mode.contains(Mode::PUNCH_HOLE) && inside(r, c.offset))
            }),
            refuse(&FALLOCATE_ZERO, ETXTBSY, |r| r.allocating(|c| c.mode.contains(Mode::ZERO_RANGE))),
            refuse(&FALLOCATE_COLLAPSE, ETXTBSY, |r| r.allocating(|c| c.mode.contains(Mode::COLLAPSE_RANGE))),
            refuse(&FALLOCATE_INSERT, ETXTBSY, |r| r.allocating(|c| c.mode.contains(Mode::INSERT_RANGE))),
            refuse(&FALLOCATE_WRITE_ZEROES, ETXTBSY, |r| r.allocating(|c| c.mode.contains(Mode::WRITE_ZEROES))),
            refuse(&FALLOCATE_NO_OP, ETXTBSY, |r| r.allocating(|c| c.mode.contains(Mode::PUNCH_HOLE))),
            grant(&FALLOCATE_INSIDE, |r| r.allocating(|c| inside(r, c.offset.saturating_add(c.len) - 1))),
            refuse(&FALLOCATE_GROW, ETXTBSY, |r| r.allocating(|c| c.mode == Mode::ALLOCATE)),
            refuse(&FALLOCATE_KEEP_BEYOND, ETXTBSY, |r| r.allocating(|_| true)),
        ],
    ),
    // Sharing.
    section(
        |op| {
            matches!(
                op,
                Op::CloneFrom
                    | Op::CloneInto
                    | Op::DedupeFrom
                    | Op::DedupeInto
                    | Op::ShareWithin
                    | Op::ExchangeOne
                    | Op::ExchangeOther
                    | Op::Snapshot
            )
        },
        &[
            refuse(&SHARE_SOURCE, ETXTBSY, |r| r.is(Op::CloneFrom)),
            refuse(&SHARE_TARGET, ETXTBSY, |r| r.is(Op::CloneInto)),
            refuse(&SHARE_WITHIN, ETXTBSY, |r| r.is(Op::ShareWithin)),
            refuse(&SHARE_DEDUPE_SOURCE, ETXTBSY, |r| r.is(Op::DedupeFrom)),
            refuse(&SHARE_DEDUPE_TARGET, ETXTBSY, |r| r.is(Op::DedupeInto)),
            refuse(&SHARE_EXCHANGE, ETXTBSY, |r| r.is(Op::ExchangeOne)),
            refuse(&SHARE_EXCHANGE_OTHER, ETXTBSY, |r| r.is(Op::ExchangeOther)),
            refuse(&SHARE_SNAPSHOT, ETXTBSY, |r| r.is(Op::Snapshot)),
        ],
    ),
    // Moves by the file system.
    section(
        |op| {
            matches!(
                op,
                Op::Defragment | Op::ShrinkAway | Op::SetFlags { .. } | Op::SetDax | Op::EnableVerity | Op::Convert
            )
        },
        &[
            refuse(&MOVER_DEFRAGMENT, ETXTBSY, |r| r.is(Op::Defragment)),
            refuse(&MOVER_DAX, ETXTBSY, |r| r.is(Op::SetDax)),
            refuse(&MOVER_VERITY, ETXTBSY, |r| r.is(Op::EnableVerity)),
            refuse(&MOVER_MIGRATE, ETXTBSY, |r| r.is(Op::Convert)),
            refuse(&MOVER_SHRINK, ETXTBSY, |r| r.is(Op::ShrinkAway)),
            refuse(&MOVER_ATTRIBUTE, ETXTBSY, |r| {
                r.any(|op| matches!(op, Op::SetFlags { old, new } if new & !old & (FLAG_COMPRESS | FLAG_JOURNAL) != 0))
            }),
        ],
    ),
    // Names.
    section(
        |op| matches!(op, Op::Unlink | Op::Rename | Op::Replace | Op::Exchange | Op::Link),
        &[
            grant(&NAME_UNLINK, |r| r.is(Op::Unlink)),
            grant(&NAME_RENAME, |r| r.is(Op::Rename)),
            grant(&NAME_REPLACE, |r| r.is(Op::Replace)),
            grant(&NAME_EXCHANGE, |r| r.is(Op::Exchange)),
            grant(&NAME_LINK, |r| r.is(Op::Link)),
        ],
    ),
    // Metadata.
    section(
        |op| matches!(op, Op::Chmod | Op::Chown | Op::Utimes | Op::Xattr | Op::SetProject),
        &[
            grant(&META_CHMOD, |r| r.is(Op::Chmod)),
            grant(&META_CHOWN, |r| r.is(Op::Chown)),
            grant(&META_UTIMES, |r| r.is(Op::Utimes)),
            grant(&META_XATTR, |r| r.is(Op::Xattr)),
            grant(&META_PROJECT, |r| r.is(Op::SetProject)),
        ],
    ),
    // Swap.
    section(|op| matches!(op, Op::Swapon), &[grant(&SWAP_ON, |r| r.is(Op::Swapon))]),
    // Queries of the state.
    section(
        |op| matches!(op, Op::Query),
        &[
            grant(&QUERY_READONLY_MOUNT, |r| r.fs.is_read_only()),
            grant(&QUERY_UNPRIVILEGED, |r| !r.privileged()),
            grant(&QUERY_READONLY, |r| !r.writable),
            grant(&QUERY_SEALED, |r| r.sealed()),
            grant(&QUERY_UNSEALED, |_| true),
        ],
    ),
    // Other attributes.
    section(
        |op| matches!(op, Op::SetXflags { .. }),
        &[
            grant(
                &QUERY_SET_IGNORED,
                |r| matches!(r.op, Op::SetXflags { new, .. } if !r.sealed() && new & XFLAG_SEALED != 0),
            ),
            grant(
                &QUERY_CLEAR_IGNORED,
                |r| matches!(r.op, Op::SetXflags { new, .. } if r.sealed() && new & XFLAG_SEALED == 0),
            ),
            grant(&QUERY_OTHERS, |r| r.sealed()),
        ],
    ),
];

/// The answer to requests to which no row above applies: a new operation needs a row before it can change a sealed file.
static OTHER: Rule = refuse(&REFUSE_OTHER, ETXTBSY, |r| r.any(|op| !leaves_alone(op)));

/// The requests without rows that change neither the size nor the place of a file.
fn leaves_alone(op: Op) -> bool {
    matches!(op, Op::Map { .. } | Op::Sync | Op::SetFlags { .. })
}

/// Clauses that hold because of the design of the whole file system, not because of one row. Each has a violation in
/// `violation.rs`, too.
pub static BY_CONSTRUCTION: &[(&Clause, &str)] = &[
    (&REFUSE_PROMPT, "the rules come before anything that could wait"),
    (&REFUSE_BUSY, "the rules come before anything that could wait"),
    (&REFUSE_NOTHING, "a refused request returns before anything is changed"),
    (&SEAL_KEEPS, "sealing sets the state and the status change time, nothing else"),
    (&SEAL_CTIME, "sealing sets the status change time"),
    (&SEAL_EVENT, "only changes of the data are reported"),
    (&SEAL_INODE, "the state is a field of the inode"),
    (&SEAL_UNCHANGED, "sealing prepares nothing"),
    (&SEAL_AGAIN_DURABLE, "a call that finds the state commits, too"),
    (&SEAL_UNSHARED, "only the present references to a block count"),
    (&SEAL_READONLY_MOUNT, "nothing can be opened for writing on a read-only mount"),
    (&UNSEAL_READONLY_MOUNT, "nothing can be opened for writing on a read-only mount"),
    (&HOLD_REFUSAL, "no registration is refused"),
    (&HOLD_LEASE, "opening asks for leases, and truncation by name"),
    (&HOLD_UNMOUNT, "a registration is a use of the mount"),
    (&HOLD_CLOSE, "descriptors are not looked at"),
    (&WRITE_NO_APPEND, "the flag of the call counts before that of the descriptor"),
    (&WRITE_COPY_PROMPT, "a copy is a read and a write"),
    (&WRITE_ATOMIC_SIZE, "one size is told and accepted"),
    (&WRITE_LIMIT, "the limit is looked at when a write is carried out, after the rules"),
    (&WRITE_TIMES, "a write is a write"),
    (&TRUNCATE_SAME_PROMPT, "only times are set"),
    (&FALLOCATE_INSIDE_PROMPT, "what is allocated and written is left alone"),
    (&MAP_TAIL, "only what is inside the size is written"),
    (&MAP_BEYOND, "a mapping ends with the last page of the file"),
    (&MOUNT_OPTIONS, "sealed files are written in place, whatever the options are"),
    (&MOVER_COLLECT, "sealed files are passed over"),
    (&SWAP_KEEPS, "activation reads the header and the map"),
    (&SWAP_OFF, "being active and being sealed are two fields"),
    (&SWAP_UNSEALED, "being active and being sealed are two fields"),
    (&DURABLE_VISIBLE, "sealing commits size and data before it sets the state"),
    (&DURABLE_SEAL, "sealing commits before it returns"),
    (&DURABLE_DATA, "sealing commits the data as well"),
    (&DURABLE_EITHER, "a commit is done as a whole or not at all"),
    (&DURABLE_REMOUNT, "the state is committed with the inode"),
    (&DURABLE_UNSEAL, "unsealing commits before it returns"),
    (&DURABLE_RECOVERY, "a mount reads the log, which has no data"),
    (&DURABLE_AGENT, "an agent writes to storage, not to the write cache"),
    (&QUERY_FILE_GETATTR, "both calls show the same attributes"),
    (&QUERY_STATX, "the bit is the state of the inode"),
    (&QUERY_STATX_MASK, "every file system of this kind offers sealing"),
    (&COPY_UNSEALED, "copying is writing to another file"),
    (&COPY_INHERIT, "a new inode is not sealed"),
    (&RACE_SEALS, "calls follow one another"),
    (&RACE_TRUNCATE, "calls follow one another"),
    (&RACE_WRITE, "calls follow one another"),
    (&RACE_ALLOCATION, "calls follow one another"),
    (&RACE_MAPPING, "calls follow one another"),
    (&RACE_ORDER, "calls follow one another"),
    (&UNSEAL_ORDINARY, "the state is all that the rules look at"),
    (&UNSEAL_KEEPS, "unsealing clears the state and sets the status change time, nothing else"),
    (&UNSEAL_CTIME, "unsealing sets the status change time"),
    (&AGENT_SEES, "a written, unshared block is overwritten in place"),
    (&AGENT_MEMORY, "a device stores to the blocks of the file"),
    (&AGENT_MEMORY_SEES, "a device loads from the blocks of the file"),
    (&AGENT_WRITES, "nothing moves a written, unshared block"),
    (&AGENT_NEIGHBOURS, "a block is free only when no file refers to it"),
    (&NAME_KEPT, "storage is released with the last name, descriptor, mapping and registration"),
    (&NAME_FREED, "storage is released with the last name, descriptor, mapping and registration"),
    (&FOREIGN_LAYERS, "a call from above never reaches the rules with a mode that seals"),
    (&FOREIGN_REPORT, "a query from above loses the bit on its way up"),
];

fn known(mode: Mode) -> bool {
    let bits = crate::call::mode::NAMES.iter().filter(|(m, _)| !matches!(*m, Mode::SEAL | Mode::UNSEAL));
    bits.fold(mode.0, |rest, (m, _)| rest & !m.0) == 0
}

fn inside(request: &Request, offset: i64) -> bool {
    offset.unsigned_abs() < request.file.size
}

/// Every row, in the order of the checks.
pub(crate) fn rows() -> impl Iterator<Item = &'static Rule> {
    SECTIONS.iter().flat_map(|section| section.rules).chain([&OTHER])
}

/// The clause and the answer of each row, in the order of the checks.
pub fn rules() -> impl Iterator<Item = (&'static Clause, String)> {
    rows().map(|rule| {
        let answer = match rule.answer {
            Answer::Proceed => "carried out".into(),
            Answer::Done => "success, nothing changes".into(),
            Answer::Refuse(errno) => format!("{errno:?}"),
        };
        (rule.clause, answer)
    })
}

/// The first row that applies.
pub(crate) fn rule_for(request: &Request) -> Option<&'static Rule> {
    let section = SECTIONS.iter().find(|section| (section.about)(request.op));
    let rules = section.map_or(&[][..], |section| section.rules);
    let mut applying = rules.iter().filter(|rule| (rule.applies)(request));
    let first = applying.next().or_else(|| Some(&OTHER).filter(|rule| (rule.applies)(request)));
    REASONS.with_borrow_mut(|reasons| {
        let Some(reasons) = reasons else { return };
        let refusing = |rule: &&Rule| matches!(rule.answer, Answer::Refuse(_));
        let met = first.into_iter().chain(applying).take_while(refusing);
        reasons.extend(met.map(|rule| rule.clause));
    });
    first
}

thread_local! {
    /// The reasons that were met on this thread, if they are asked for.
    static REASONS: RefCell<Option<Vec<&'static Clause>>> = const { RefCell::new(None) };
}

/// Does some work, and returns the clauses that refuse the requests of this work, each by itself (rule.either): the
/// clauses of all rows that apply before one that lets the request through.
pub fn reasons<T>(work: impl FnOnce() -> T) -> (T, Vec<&'static Clause>) {
    REASONS.set(Some(Vec::new()));
    let done = work();
    (done, REASONS.take().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request by an operation that no section of the table is about.
    #[test]
    fn an_operation_without_a_row_is_refused_on_a_sealed_file() {
        struct Plain;
        impl View for Plain {
            fn is_shared(&self, _: Address) -> bool {
                false
            }
            fn is_full(&self, _: u32) -> bool {
                false
            }
            fn is_read_only(&self) -> bool {
                false
            }
        }
        assert!(SECTIONS.iter().all(|section| !(section.about)(Op::Other)));
        let mut file = Inode::new(Kind::Regular, 0o600, 0);
        let who = crate::call::caller::Caller::Privileged.credentials();
        let answer =
            |file: &Inode, op| rule_for(&Request { op, file, fs: &Plain, who, writable: true }).map(|rule| rule.answer);
        assert_eq!(answer(&file, Op::Other), None);
        file.sealed = true;
        assert_eq!(answer(&file, Op::Other), Some(Answer::Refuse(ETXTBSY)));
        assert_eq!(answer(&file, Op::Sync), None);
    }

    /// Every clause of the page has a row or holds by construction, and the clause of each row allows its answer.
    #[test]
    fn table_follows_the_page() {
        for rule in rows() {
            let outcome = match rule.answer {
                Answer::Refuse(errno) => Some(errno),
                Answer::Proceed | Answer::Done => None,
            };
            assert!(rule.clause.allows(outcome), "{}: {:?} is not in its envelope", rule.clause, rule.answer);
        }
        for clause in ALL.iter().filter(|clause| clause.uncased.is_none()) {
            let rows = rows().filter(|rule| rule.clause == *clause).count();
            let constructed = BY_CONSTRUCTION.iter().filter(|(c, _)| c == clause).count();
            assert!((rows > 0) != (constructed > 0), "{clause}: {rows} rows, {constructed} constructions");
        }
    }
}
