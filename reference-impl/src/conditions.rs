//! The conditions under which a conditional violation shows: a kernel that errs does so in one situation, not in all.
//!
//! Each row of [`CONDITIONS`] is a name, the sentence that is true of the moment, and a test of the [`Facts`] of that
//! moment. The list was written from the ways in which file systems err, without the situations of the suite.

use crate::call::caller::{Capabilities, Credentials};
use crate::call::system_call::{Call, Fd};
use crate::rules::Op;
use crate::storage::inode::Inode;
use crate::units::{BLOCK, Ino};
use nix::fcntl::OFlag;
use std::collections::HashMap;
use std::mem::Discriminant;

/// The size of a block.
const UNIT: u64 = BLOCK as u64;

/// A side of a situation. A fault that a side cannot touch has no conditions of that side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Axis {
    /// The size of the file.
    Size,
    /// The part of the file that the call is about.
    Range,
    /// The storage of the file.
    Placement,
    /// Earlier calls on the file.
    History,
    /// The names of the file.
    Names,
    /// The descriptor of the call.
    Access,
    /// The caller.
    Caller,
    /// Mappings, registrations, swap, leases.
    Holders,
    /// Attributes of the file that have nothing to do with its data.
    Attributes,
    /// Other files, and the file system.
    Company,
    /// The other file of a call with two files.
    Pair,
}

/// One condition.
pub(crate) struct Condition {
    pub(crate) axis: Axis,
    pub(crate) name: &'static str,
    /// Completes "the fault shows only if …".
    pub(crate) sentence: &'static str,
    pub(crate) holds: fn(&Facts) -> bool,
}

/// The request that is being decided or carried out.
#[derive(Clone, Debug)]
pub(crate) struct Present {
    pub(crate) ino: Ino,
    /// The descriptor of this file in the call.
    pub(crate) fd: Option<Fd>,
    /// Offset and length of the part that the call is about.
    pub(crate) range: Option<(u64, u64)>,
    /// The other file of a call with two files.
    pub(crate) other: Option<Ino>,
    /// Whether this file is the second one.
    pub(crate) second: bool,
    pub(crate) kind: Option<Discriminant<Call>>,
    pub(crate) who: Option<Credentials>,
}

impl Present {
    /// A request about a file, of which nothing else is known.
    pub(crate) fn of(ino: Ino) -> Self {
        Self { ino, fd: None, range: None, other: None, second: false, kind: None, who: None }
    }

    /// The same, with the range of an operation, if the operation has one.
    pub(crate) fn with(mut self, who: &Credentials, op: Op, size: u64) -> Self {
        self.who = Some(who.clone());
        let range = match op {
            Op::Write { offset, len, .. } | Op::WriteAtomic { offset, len } | Op::CopyInto { offset, len } => {
                Some((offset, len))
            }
            Op::Fallocate(it) => Some((it.offset.unsigned_abs(), it.len.unsigned_abs())),
            // The bytes that are cut off or added.
            Op::Truncate { size: new, .. } => {
                let new = new.unsigned_abs();
                Some((new.min(size), new.abs_diff(size)))
            }
            Op::OpenToTruncate => Some((0, size)),
            _ => self.range,
        };
        self.range = range;
        self
    }
}

/// The past of a file, as far as the calls of this mount and the earlier ones show it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    pub(crate) seals: u32,
    pub(crate) unseals: u32,
    pub(crate) seals_refused: u32,
    pub(crate) refusals: u32,
    pub(crate) writes_sealed: u32,
    pub(crate) synced: bool,
    pub(crate) dirty: bool,
    pub(crate) remounts: u32,
    pub(crate) power_losses: u32,
    pub(crate) snapshots: u32,
    pub(crate) collections: u32,
    /// The number of log checkpoints before the first call on the file.
    pub(crate) checkpoints_before: u64,
    pub(crate) renamed: bool,
    pub(crate) renamed_over: bool,
    pub(crate) exchanged_names: bool,
    pub(crate) changed_directory: bool,
    pub(crate) temporary: bool,
    pub(crate) lost_name: bool,
    pub(crate) old_name: bool,
    pub(crate) chowned: bool,
    pub(crate) times_set: bool,
    pub(crate) mode_set: bool,
    pub(crate) project_set: bool,
    pub(crate) flags_set: bool,
    pub(crate) shared: bool,
    pub(crate) sparse: bool,
    pub(crate) preallocated: bool,
    pub(crate) punched: bool,
    pub(crate) shrunk: bool,
    pub(crate) inline: bool,
    pub(crate) moved: bool,
    pub(crate) exchanged: bool,
    pub(crate) copied_from: bool,
    pub(crate) written_mapped: bool,
    pub(crate) agent_wrote: bool,
    pub(crate) was_mapped: bool,
    pub(crate) was_registered: bool,
    pub(crate) was_swap: bool,
    pub(crate) was_leased: bool,
    /// Whether a mapping or registration ended while another one stayed.
    pub(crate) holder_gone: bool,
    pub(crate) sealer: Option<Fd>,
    pub(crate) sealer_closed: bool,
    /// Descriptors that were opened while the file was sealed.
    pub(crate) opened_sealed: Vec<Fd>,
    /// The calls of each kind so far.
    pub(crate) calls: HashMap<Discriminant<Call>, u32>,
}

/// A mapping, or a registration.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) shared: bool,
    pub(crate) write: bool,
    /// Whether it covers less than the file.
    pub(crate) part: bool,
    /// Whether the descriptor that it was made with is closed.
    pub(crate) closed: bool,
}

/// The rest of the file system.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Company {
    pub(crate) full: bool,
    pub(crate) at_limit: bool,
    pub(crate) limited: bool,
    pub(crate) was_read_only: bool,
    pub(crate) leased: bool,
    /// Other sealed files.
    pub(crate) sealed: usize,
    /// Whether a sealed file is gone.
    pub(crate) sealed_gone: bool,
    pub(crate) files: usize,
    /// Whether another file has a mapping or a registration.
    pub(crate) held: bool,
    pub(crate) checkpoints: u64,
    /// Whether the other file of the call is sealed.
    pub(crate) other_sealed: Option<bool>,
    /// The size of the other file of the call.
    pub(crate) other_size: Option<u64>,
}

/// The facts of a moment at which a fault may show.
pub(crate) struct Facts<'a> {
    pub(crate) file: &'a Inode,
    pub(crate) past: &'a Past,
    pub(crate) request: &'a Present,
    /// Flags and offset of the descriptor of the call.
    pub(crate) descriptor: Option<(OFlag, u64)>,
    pub(crate) mappings: Vec<Held>,
    pub(crate) registrations: Vec<Held>,
    pub(crate) company: Company,
}

impl Facts<'_> {
    fn size(&self) -> u64 {
        self.file.size
    }

    fn extents(&self) -> usize {
        self.file.map.all().count()
    }

    /// Whether some range meets a test of offset, length and size.
    fn acts(&self, test: impl Fn(u64, u64, u64) -> bool) -> bool {
        self.request.range.is_some_and(|(offset, len)| test(offset, len, self.size()))
    }

    fn opened_with(&self, test: impl Fn(OFlag) -> bool) -> bool {
        self.descriptor.is_some_and(|(flags, _)| test(flags))
    }

    fn lacks(&self, capability: Capabilities) -> bool {
        self.request.who.as_ref().is_some_and(|who| !who.has(capability))
    }
}

const fn when(axis: Axis, name: &'static str, sentence: &'static str, holds: fn(&Facts) -> bool) -> Condition {
    Condition { axis, name, sentence, holds }
}

use Axis::{Access, Attributes, Caller, Company as Around, History, Holders, Names, Pair, Placement, Range, Size};

/// The conditions, by axis.
#[rustfmt::skip] // One condition, one line.
pub(crate) static CONDITIONS: &[Condition] = &[
    when(Size, "one_byte", "the file has one byte", |f| f.size() == 1),
    when(Size, "under_a_block", "the file is smaller than a block", |f| (1..UNIT).contains(&f.size())),
    when(Size, "one_block", "the file has exactly one block", |f| f.size() == UNIT),
    when(Size, "ragged", "the size is no multiple of the block", |f| !f.size().is_multiple_of(UNIT)),
    when(Size, "byte_over", "the size is one byte over a multiple of the block", |f| f.size() > UNIT && f.size() % UNIT == 1),
    when(Size, "byte_under", "the size is one byte under a multiple of the block", |f| f.size() % UNIT == UNIT - 1),
    when(Size, "odd_blocks", "the file has an odd number of blocks", |f| f.file.blocks() % 2 == 1),
    when(Size, "many_blocks", "the file has more than 32 blocks", |f| f.file.blocks() > 32),
    when(Size, "map_page", "the file has more blocks than a page has addresses", |f| f.file.blocks() > UNIT / 8),

    when(Range, "first_block", "the call acts in the first block", |f| f.acts(|at, _, _| at < UNIT)),
    when(Range, "middle_block", "the call acts neither in the first nor in the last block", |f| {
        f.acts(|at, len, size| at >= UNIT && len > 0 && at + len <= (size.max(1) - 1) / UNIT * UNIT)
    }),
    when(Range, "last_block", "the call acts in the last block", |f| {
        f.acts(|at, len, size| size > UNIT && at < size && at.saturating_add(len) > (size - 1) / UNIT * UNIT)
    }),
    when(Range, "last_part", "the call acts in a last block that is not full", |f| {
        f.acts(|at, len, size| !size.is_multiple_of(UNIT) && at < size && at.saturating_add(len) > size / UNIT * UNIT)
    }),
    when(Range, "last_page", "the call acts behind the end, in the page of the end", |f| {
        f.acts(|at, _, size| at >= size && at < size.next_multiple_of(UNIT))
    }),
    when(Range, "at_the_end", "the call begins exactly at the end", |f| f.acts(|at, _, size| at == size)),
    when(Range, "to_the_end", "the call ends exactly at the end", |f| f.acts(|at, len, size| len > 0 && at.saturating_add(len) == size)),
    when(Range, "far_beyond", "the call begins beyond twice the size", |f| f.acts(|at, _, size| at > 2 * size)),
    when(Range, "unaligned", "the call begins inside a block", |f| f.acts(|at, _, _| !at.is_multiple_of(UNIT))),
    when(Range, "unaligned_end", "the call ends inside a block", |f| f.acts(|at, len, _| !at.saturating_add(len).is_multiple_of(UNIT))),
    when(Range, "block_border", "the call touches two blocks and fills neither", |f| {
        f.acts(|at, len, _| len > 1 && len < UNIT && at / UNIT != at.saturating_add(len - 1) / UNIT)
    }),
    when(Range, "single_byte", "the call is about one byte", |f| f.acts(|_, len, _| len == 1)),
    when(Range, "whole", "the call is about the whole file", |f| f.acts(|at, len, size| at == 0 && len >= size)),
    when(Range, "long", "the call is about 64 KiB or more", |f| f.acts(|_, len, _| len >= 1 << 16)),
    when(Range, "two_extents", "the call is about more than one extent", |f| {
        f.acts(|at, len, _| f.file.map.runs(at / UNIT..at.saturating_add(len).div_ceil(UNIT).max(at / UNIT)).count() > 1)
    }),

    when(Placement, "scattered", "the file has more than one extent", |f| f.extents() > 1),
    when(Placement, "five_extents", "the file has more extents than an inode has room for", |f| f.extents() > 4),
    when(Placement, "backwards", "a later part of the file lies before an earlier one", |f| {
        let starts: Vec<_> = f.file.map.all().map(|run| run.address).collect();
        starts.windows(2).any(|pair| pair[1] < pair[0])
    }),
    when(Placement, "beyond_end", "the file has storage beyond its end", |f| f.file.map.end() > f.file.blocks()),
    when(Placement, "preallocated", "storage of the file was once allocated and not written", |f| f.past.preallocated),
    when(Placement, "once_shared", "the file shared storage once", |f| f.past.shared),
    when(Placement, "once_sparse", "the file had a hole once", |f| f.past.sparse),
    when(Placement, "punched", "a hole was once punched into the file", |f| f.past.punched),
    when(Placement, "once_inline", "the data of the file were once in the inode", |f| f.past.inline),
    when(Placement, "once_moved", "the file was once defragmented", |f| f.past.moved),
    when(Placement, "once_exchanged", "the file once exchanged its contents with another", |f| f.past.exchanged),
    when(Placement, "once_shrunk", "the file was larger once", |f| f.past.shrunk),

    when(History, "sealed_again", "the file was sealed before its present sealing", |f| f.past.seals > 1 || (!f.file.sealed && f.past.seals > 0)),
    when(History, "sealed_thrice", "the file was sealed three times", |f| f.past.seals > 2),
    when(History, "once_unsealed", "the file was unsealed once", |f| f.past.unseals > 0),
    when(History, "unsealed_twice", "the file was unsealed twice", |f| f.past.unseals > 1),
    when(History, "overwritten", "the file was overwritten while it was sealed", |f| f.past.writes_sealed > 0),
    when(History, "never_synced", "no call of fsync(2) was made for the file", |f| !f.past.synced),
    when(History, "dirty", "the file was written to and not synced since", |f| f.past.dirty),
    when(History, "remounted", "the file was there at a mount", |f| f.past.remounts > 0),
    when(History, "remounted_twice", "the file was there at two mounts", |f| f.past.remounts > 1),
    when(History, "power_lost", "the file survived a loss of power", |f| f.past.power_losses > 0),
    when(History, "checkpointed", "the log was written anew since the file was made", |f| f.company.checkpoints > f.past.checkpoints_before),
    when(History, "snapshotted", "a snapshot was asked for since the file was made", |f| f.past.snapshots > 0),
    when(History, "collected", "garbage was collected since the file was made", |f| f.past.collections > 0),
    when(History, "refused_once", "a call on the sealed file was refused", |f| f.past.refusals > 0),
    when(History, "refused_often", "five calls on the sealed file were refused", |f| f.past.refusals > 4),
    when(History, "seal_refused", "sealing the file was refused once", |f| f.past.seals_refused > 0),
    when(History, "repeated", "a call of the same kind was made on the file before", |f| {
        f.request.kind.is_some_and(|kind| f.past.calls.contains_key(&kind))
    }),
    when(History, "copied_from", "the file was the source of a copy", |f| f.past.copied_from),
    when(History, "written_mapped", "the file was written through a mapping", |f| f.past.written_mapped),
    when(History, "agent_wrote", "an agent has written to the file", |f| f.past.agent_wrote),
    when(History, "was_mapped", "a mapping of the file has ended", |f| f.past.was_mapped),
    when(History, "was_registered", "a registration of the file has ended", |f| f.past.was_registered),
    when(History, "was_swap", "the file was an active swap file", |f| f.past.was_swap && !f.file.swap),
    when(History, "was_leased", "a lease of the file was given", |f| f.past.was_leased),

    when(Names, "two_names", "the file has two names or more", |f| f.file.links > 1),
    when(Names, "three_names", "the file has at least three names", |f| f.file.links > 2),
    when(Names, "no_name", "the file has no name", |f| f.file.links == 0),
    when(Names, "lost_name", "the file had another name once", |f| f.past.lost_name),
    when(Names, "renamed", "the file was renamed", |f| f.past.renamed),
    when(Names, "renamed_over", "the file was renamed over another file", |f| f.past.renamed_over),
    when(Names, "exchanged_names", "the file exchanged its name with another", |f| f.past.exchanged_names),
    when(Names, "other_directory", "the file was renamed or linked to another directory", |f| f.past.changed_directory),
    when(Names, "temporary", "the file was made by O_TMPFILE", |f| f.past.temporary),
    when(Names, "temporary_linked", "the file was made by O_TMPFILE and got a name", |f| f.past.temporary && f.file.links > 0),
    when(Names, "old_name", "the name of the file belonged to another file", |f| f.past.old_name),

    when(Access, "by_append", "the descriptor has O_APPEND", |f| f.opened_with(|flags| flags.contains(OFlag::O_APPEND))),
    when(Access, "by_write_only", "the descriptor has O_WRONLY", |f| f.opened_with(|flags| flags & OFlag::O_ACCMODE == OFlag::O_WRONLY)),
    when(Access, "by_read_only", "the descriptor has O_RDONLY", |f| f.opened_with(|flags| flags & OFlag::O_ACCMODE == OFlag::O_RDONLY)),
    when(Access, "by_direct", "the descriptor has O_DIRECT", |f| f.opened_with(|flags| flags.contains(OFlag::O_DIRECT))),
    when(Access, "by_dsync", "the descriptor has O_DSYNC", |f| f.opened_with(|flags| flags.contains(OFlag::O_DSYNC))),
    when(Access, "by_another", "the descriptor is another than that of the sealer", |f| {
        f.request.fd.is_some() && f.past.seals > 0 && f.request.fd != f.past.sealer
    }),
    when(Access, "opened_sealed", "the descriptor was opened while the file was sealed", |f| {
        f.request.fd.is_some_and(|fd| f.past.opened_sealed.contains(&fd))
    }),
    when(Access, "moved_offset", "the descriptor has an offset other than 0", |f| f.descriptor.is_some_and(|(_, position)| position > 0)),
    when(History, "sealer_closed", "the descriptor of the sealer is closed", |f| f.past.sealer_closed),
    when(Holders, "many_descriptors", "the file has more than five descriptors", |f| f.file.descriptors > 5),
    when(Holders, "one_descriptor", "the file has a single descriptor", |f| f.file.descriptors == 1),

    when(Caller, "unprivileged", "the caller lacks CAP_LINUX_IMMUTABLE", |f| f.lacks(Capabilities::LINUX_IMMUTABLE)),
    when(Caller, "ordinary_user", "the caller has no capability to override permissions", |f| f.lacks(Capabilities::DAC_OVERRIDE)),
    when(Caller, "stranger", "the caller is not the owner", |f| f.request.who.as_ref().is_some_and(|who| who.uid != f.file.uid)),
    when(Caller, "unprivileged_stranger", "the caller lacks CAP_LINUX_IMMUTABLE and is not the owner", |f| {
        f.lacks(Capabilities::LINUX_IMMUTABLE) && f.request.who.as_ref().is_some_and(|who| who.uid != f.file.uid)
    }),

    when(Holders, "mapped", "the file is mapped", |f| !f.mappings.is_empty()),
    when(Holders, "mapped_twice", "the file is mapped twice", |f| f.mappings.len() > 1),
    when(Holders, "mapped_privately", "the file has a private mapping", |f| f.mappings.iter().any(|it| !it.shared)),
    when(Holders, "mapped_to_read", "the file has a shared mapping for reading", |f| f.mappings.iter().any(|it| it.shared && !it.write)),
    when(Holders, "mapped_part", "a mapping covers a part of the file", |f| f.mappings.iter().any(|it| it.part)),
    when(Holders, "mapped_closed", "the descriptor of a mapping is closed", |f| f.mappings.iter().any(|it| it.closed)),
    when(Holders, "registered", "the file is registered", |f| !f.registrations.is_empty()),
    when(Holders, "registered_twice", "the file is registered twice", |f| f.registrations.len() > 1),
    when(Holders, "registered_to_read", "the file is registered for reading", |f| f.registrations.iter().any(|it| !it.write)),
    when(Holders, "registered_part", "a registration covers a part of the file", |f| f.registrations.iter().any(|it| it.part)),
    when(Holders, "registered_unmapped", "the file is registered and not mapped", |f| !f.registrations.is_empty() && f.mappings.is_empty()),
    when(Holders, "holder_gone", "of two mappings or registrations one has ended", |f| f.past.holder_gone && !(f.mappings.is_empty() && f.registrations.is_empty())),
    when(Holders, "swap_active", "the file is an active swap file", |f| f.file.swap),
    when(Holders, "leased", "a descriptor of the file has a lease", |f| f.company.leased),

    when(Attributes, "chowned", "the owner of the file was changed", |f| f.past.chowned),
    when(Attributes, "mode_changed", "the mode of the file was changed", |f| f.past.mode_set),
    when(Attributes, "set_id", "the file has a set-ID bit", |f| f.file.mode & 0o6000 != 0),
    when(Attributes, "times_set", "the times of the file were set", |f| f.past.times_set),
    when(Attributes, "xattr", "the file has an extended attribute", |f| !f.file.xattrs.is_empty()),
    when(Attributes, "large_xattr", "the file has an extended attribute of 1000 bytes or more", |f| f.file.xattrs.values().any(|it| it.len() >= 1000)),
    when(Attributes, "project", "the file got a project id", |f| f.past.project_set),
    when(Attributes, "flags_set", "a flag of the file was changed", |f| f.past.flags_set),

    when(Around, "full", "the file system is full", |f| f.company.full),
    when(Around, "at_limit", "the owner is at the limit", |f| f.company.at_limit),
    when(Around, "limited", "the owner has a limit", |f| f.company.limited),
    when(Around, "another_sealed", "another sealed file exists", |f| f.company.sealed > 0),
    when(Around, "two_others_sealed", "two other sealed files exist", |f| f.company.sealed > 1),
    when(Around, "sealed_gone", "a sealed file was removed before", |f| f.company.sealed_gone),
    when(Around, "crowd", "more than 16 files exist", |f| f.company.files > 16),
    when(Around, "another_held", "another file is mapped or registered", |f| f.company.held),
    when(Around, "was_read_only", "the mount was read-only once", |f| f.company.was_read_only),

    when(Pair, "both_sealed", "both files of the call are sealed", |f| f.file.sealed && f.company.other_sealed == Some(true)),
    when(Pair, "second", "the file is the second of the call", |f| f.request.second),
    when(Pair, "larger_other", "the other file of the call is larger", |f| f.company.other_size.is_some_and(|other| other > f.size())),
    when(Pair, "smaller_other", "the other file of the call is smaller", |f| f.company.other_size.is_some_and(|other| other < f.size())),
    when(Pair, "part_of_pair", "the call is about a part of each file", |f| {
        f.request.other.is_some() && f.acts(|at, len, size| at > 0 || (len > 0 && len < size))
    }),
];

/// A condition of a violation.
#[derive(Clone, Copy)]
pub(crate) struct When(pub(crate) &'static Condition);

impl std::fmt::Debug for When {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0.name)
    }
}
