//! The values that a case cannot bear, with the reasons: one table.

use crate::mechanism::Mechanism;
use crate::situation::axes::{AXES, Situation, Size, value_name};
use crate::system::Lane;
use std::collections::HashMap;
use std::sync::LazyLock;

/// The facts about a case, and about the place where it runs, that decide which values it can bear.
pub(crate) struct Facts<'a> {
    /// The full name of the case: `truncate::shrink`.
    pub(crate) case: &'a str,
    pub(crate) lane: Lane,
    pub(crate) mechanism: Mechanism,
    /// Whether cases share a file system that a kernel has mounted. On the reference, each case has its own.
    pub(crate) kernel: bool,
    /// The greatest size of a file whose data lie inside its metadata, in bytes; 0 if the data are never there.
    pub(crate) inline: u64,
}

impl Facts<'_> {
    /// Whether the data of the case's file lie inside its metadata. A swap file has its header besides.
    fn keeps_inside(&self, size: Size) -> bool {
        self.mechanism != Mechanism::Swapfile && size.bytes().is_some_and(|len| len.cast_unsigned() <= self.inline)
    }
}

/// Values that some cases do not meet.
struct Row {
    when: fn(&Facts) -> bool,
    /// Patterns of names of cases.
    cases: &'static [&'static str],
    /// Patterns of values, such as `names=gone` or `holders=*`.
    values: &'static [&'static str],
    why: &'static str,
}

static ROWS: &[Row] = &[
    Row {
        when: |facts| facts.keeps_inside(Size::Byte),
        cases: &["*"],
        values: &["size=byte"],
        why: "the data of such a file lie inside its metadata (seal.inline)",
    },
    Row {
        when: |facts| facts.keeps_inside(Size::Part),
        cases: &["*"],
        values: &["size=part"],
        why: "the data of such a file lie inside its metadata (seal.inline)",
    },
    Row {
        when: |facts| matches!(facts.mechanism, Mechanism::DeviceDax | Mechanism::F2fsPin),
        cases: &["*"],
        values: &["*"],
        why: "the mechanism makes its files itself",
    },
    Row {
        when: |facts| facts.mechanism != Mechanism::Seal,
        cases: &["*"],
        values: &[
            "names=gone",
            "access=*",
            "holders=*",
            "past=*",
            "history=refused",
            "company=sealed",
            "metadata=attribute",
        ],
        why: "only seal leaves names, descriptors and holders alone",
    },
    Row {
        when: |facts| facts.mechanism != Mechanism::Seal,
        cases: &["*"],
        values: &["history=remounted", "history=power_loss"],
        why: "only a sealed file stays as it is, and can be opened for writing, when it is mounted again",
    },
    Row {
        when: |facts| facts.mechanism == Mechanism::Swapfile,
        cases: &["seal::hole*", "seal::partly*"],
        values: &["size=byte", "size=part", "size=less", "size=more"],
        why: "swapon(2) ignores the part of a page at the end",
    },
    Row {
        when: |facts| facts.mechanism == Mechanism::Swapfile,
        cases: &["*"],
        values: &["names=temporary"],
        why: "for swapon(2), the descriptor of O_TMPFILE stays without a name",
    },
    Row {
        when: |facts| facts.kernel && facts.lane == Lane::Shared,
        cases: &["*"],
        values: &[
            "history=remounted",
            "history=power_loss",
            "history=frozen",
            "company=snapshot",
            "company=moved",
            "company=full",
            "company=limited",
        ],
        why: "other cases use the file system",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["*"],
        values: &["access=leased"],
        why: "an open(2) waits for the holder of the lease",
    },
    Row {
        when: |facts| facts.kernel && facts.lane != Lane::Power,
        cases: &["*"],
        values: &["history=power_loss"],
        why: "the file system does not lose its power",
    },
    Row {
        when: |_| true,
        cases: &["race::*", "share::snapshot_orders"],
        values: &["part=*", "size=*"],
        why: "the model has the file of the plain situation",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["write::crossing_sendfile"],
        values: &["size=many", "size=large"],
        why: "sendfile(2) sends 64 KiB at a time: the first part lies inside the file (write::crossing_pieces_sendfile)",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["write::crossing_splice", "write::crossing_gift"],
        values: &["size=large"],
        why: "the data do not fit into a pipe: the first part lies inside the file (write::crossing_pieces_splice)",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["share::exchange_other_ext4_move"],
        values: &["metadata=set_id"],
        why: "the kernel takes extents of no file with the set-user-ID bit (mext_check_arguments)",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["*::meanwhile"],
        values: &["size=large"],
        why: "the case makes a file for each kind of call",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["seal::*", "unseal::*", "hold::*", "durable::*", "race::*"],
        values: &["past=device"],
        why: "a hold may end late, and the case changes the state (hold.late)",
    },
    Row {
        when: |_| true,
        cases: &["*::one_of_two_*"],
        values: &["*"],
        why: "the case brings about its circumstances itself",
    },
    Row { when: |_| true, cases: &["swap::*"], values: &["names=gone"], why: "swapon(2) takes a name" },
    Row {
        when: |facts| facts.kernel,
        cases: &["write::empty"],
        values: &["holders=swap"],
        why: "Linux looks for an active swap file before it looks at the length (generic_write_checks_count)",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["name::unlink*", "name::rename*", "name::replace*", "name::exchange"],
        values: &["holders=swap"],
        why: "the names of an active swap file are fixed (may_delete, vfs_unlink, vfs_rename)",
    },
    Row {
        when: |_| true,
        cases: &["query::after_others"],
        values: &["holders=*"],
        why: "the case changes the state of its file",
    },
    Row { when: |_| true, cases: &["swap::*"], values: &["holders=swap"], why: "the case activates the swap file" },
    Row {
        when: |facts| facts.kernel,
        cases: &["seal::inline"],
        values: &["history=*", "past=*"],
        why: "a file that had blocks is not put into its inode",
    },
    Row {
        when: |_| true,
        cases: &["swap::in_place"],
        values: &["size=part", "size=byte", "part=*"],
        why: "the case acts in the block after the header",
    },
    Row { when: |_| true, cases: &["agent::swapped"], values: &["*"], why: "the case makes a swap file" },
    Row {
        when: |_| true,
        cases: &[
            "write::pwrite*",
            "write::write",
            "write::direct",
            "write::no_append",
            "write::into*",
            "write::quota",
            "write::within",
            "write::copy_mapped",
            "write::copy_pinned",
            "write::copy_registered",
            "write::atomic*",
            "write::times",
            "write::full*",
            "write::inside_*",
            "agent::overwrite",
            "agent::meanwhile",
            "agent::sees_in_storm",
            "agent::device_sees_*",
            "fallocate::inside*",
            "fallocate::quota_inside",
            "fallocate::database",
            "name::kept",
            "durable::seen",
        ],
        values: &["holders=swap"],
        why: "an active swap file is not written to (swap.writes)",
    },
    Row {
        when: |_| true,
        cases: &[
            "seal::*share*",
            "seal::*sharing*",
            "seal::remounted",
            "seal::emptied",
            "seal::grown",
            "seal::growth_stays",
            "seal::punched",
            "seal::allocated_anew",
            "seal::compressed",
            "seal::journaled",
            "seal::written_after",
            "race::*",
            "*::snapshot_orders",
        ],
        values: &["holders=swap"],
        why: "the case changes the file before it is sealed",
    },
    Row {
        when: |_| true,
        cases: &["seal::readonly_alone"],
        values: &["holders=swap"],
        why: "Linux does not cut an active swap file",
    },
    Row {
        when: |_| true,
        cases: &["seal::growth_stays"],
        values: &["placement=beyond", "placement=unshared", "history=unsynced"],
        why: "for lseek(2), unwritten storage that was read may be data (iomap_seek_hole)",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["seal::unwritten"],
        values: &["holders=mapping", "holders=private", "holders=two"],
        why: "for lseek(2), unwritten storage that was read may be data (iomap_seek_hole)",
    },
    Row {
        when: |_| true,
        cases: &["unseal::full"],
        values: &["placement=scattered", "placement=backwards", "placement=beyond"],
        why: "the map of such a file may need a block for the change",
    },
    Row {
        when: |_| true,
        cases: &["query::statx_mask_elsewhere"],
        values: &["*"],
        why: "the case is about another file system",
    },
    Row {
        when: |_| true,
        cases: &["mover::shrink", "unseal::shrink", "map::tail_meanwhile"],
        values: &[
            "size=many",
            "size=large",
            "part=*",
            "placement=scattered",
            "placement=unshared",
            "placement=beyond",
            "past=moved",
            "past=copied",
            "names=over",
            "company=*",
        ],
        why: "the case needs the space for itself",
    },
    Row {
        when: |_| true,
        cases: &[
            "unseal::punch_frees",
            "unseal::zero_reserves",
            "unseal::dedupe",
            "name::freed*",
            "mount::options*",
            "durable::during_*",
        ],
        values: &["size=large"],
        why: "the files of the case are large or many",
    },
    Row {
        when: |_| true,
        cases: &["unseal::punch_frees", "name::freed*", "mount::options*", "durable::during_*"],
        values: &["size=many", "part=*"],
        why: "the files of the case are large or many",
    },
    Row {
        when: |_| true,
        cases: &["mover::defragment_*"],
        values: &["size=less", "size=more", "size=large"],
        why: "the case writes whole blocks",
    },
    Row {
        when: |_| true,
        cases: &[
            "read::private",
            "read::sequence",
            "seal::allocated_anew",
            "seal::hole_at_end",
            "seal::punched",
            "seal::short",
            "seal::written_after",
            "share::dedupe_within",
            "unseal::collapse",
            "unseal::full",
            "unseal::holes",
            "unseal::insert",
            "unseal::ordinary",
            "unseal::zero_clone",
            "unseal::zero_write",
            "write::direct",
            "write::mapped_*",
            "write::no_append",
            "write::o_sync",
            "write::offsets",
            "write::pwrite",
            "write::pwritev",
            "write::store_*",
            "write::within",
            "write::write",
        ],
        values: &["size=block", "size=part", "size=byte"],
        why: "the case acts in several blocks",
    },
    Row {
        when: |_| true,
        cases: &[
            "agent::meanwhile",
            "durable::grown",
            "fallocate::database",
            "mount::options*",
            "mover::defragment_*",
            "name::kept",
            "seal::partly_shared",
            "seal::shared_within",
            "share::within",
            "unseal::clone",
            "unseal::zero",
            "unseal::zero_reserves",
            "write::atomic*",
            "write::device_*",
            "write::inside_*",
        ],
        values: &["size=part", "size=byte"],
        why: "the case acts in a whole block",
    },
    Row {
        when: |_| true,
        cases: &[
            "durable::seen",
            "durable::without_fsync",
            "map::tail*",
            "query::others_remounted",
            "read::parts",
            "seal::small_once",
            "truncate::shrink",
            "unseal::punch*",
            "unseal::truncate",
            "unseal::write*",
            "unseal::zero_keep_size",
            "write::times",
        ],
        values: &["size=byte"],
        why: "the case acts in several bytes",
    },
    Row {
        when: |_| true,
        cases: &[
            "refuse::registered_r*",
            "refuse::while_*",
            "seal::fit_file",
            "truncate::by_name",
            "write::crossing_copy",
        ],
        values: &["size=block"],
        why: "the case cuts the file to a block",
    },
    Row {
        when: |_| true,
        cases: &["unseal::clone_range", "unseal::shrink"],
        values: &["size=*"],
        why: "the case counts the blocks",
    },
    Row {
        when: |facts| facts.mechanism != Mechanism::Seal,
        cases: &["durable::*"],
        values: &["history=unsynced"],
        why: "only seal makes the name of the file durable",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["unseal::punch_frees"],
        values: &["placement=beyond"],
        why: "btrfs frees an allocation as a whole, and a part of it is beyond the end",
    },
    Row {
        when: |facts| facts.kernel,
        cases: &["write::atomic_size"],
        values: &["part=*"],
        why: "an atomic write begins at a multiple of its length",
    },
    Row {
        when: |_| true,
        cases: &["durable::during_*", "seal::sharing_stays"],
        values: &["company=full", "company=limited"],
        why: "the case makes files",
    },
    Row {
        when: |_| true,
        cases: &["durable::during_*"],
        values: &["history=unsynced"],
        why: "the name of the file may be lost with the power",
    },
    Row {
        when: |_| true,
        cases: &["durable::seen", "durable::grown", "durable::unsynced"],
        values: &["part=*"],
        why: "the case writes all of its file",
    },
    Row { when: |_| true, cases: &["seal::empty"], values: &["part=*"], why: "the file is empty" },
    Row {
        when: |_| true,
        cases: &["write::crossing_copy_from_sealed"],
        values: &["access=direct"],
        why: "the copy begins inside a block",
    },
    Row { when: |_| true, cases: &["name::freed*"], values: &["names=three"], why: "the case removes the last name" },
    Row {
        when: |_| true,
        cases: &["seal::written_after"],
        values: &["names=gone"],
        why: "the other users open the file by its name",
    },
    Row {
        when: |_| true,
        cases: &["foreign::overlay*"],
        values: &["names=gone"],
        why: "an overlay shows files by their names",
    },
    Row { when: |_| true, cases: &["name::replace"], values: &["names=gone"], why: "the case replaces the name" },
    Row {
        when: |_| true,
        cases: &["name::freed*", "hold::unmount*", "hold::lease", "refuse::while_leased", "truncate::same_leased"],
        values: &["holders=*"],
        why: "the file has to be open nowhere else",
    },
    Row {
        when: |_| true,
        cases: &["unseal::snapshot", "share::snapshot_orders"],
        values: &["company=sealed"],
        why: "no snapshot is made beside a file in the state",
    },
    Row {
        when: |_| true,
        cases: &[
            "seal::shared_within",
            "truncate::same_size_times",
            "unseal::unaligned",
            "unseal::unshare",
            "unseal::full*",
            "unseal::ordinary",
            "unseal::zero*",
            "write::full*",
            "unseal::clone*",
            "unseal::snapshot",
            "copy::new_file",
            "write::out",
            "*::quota*",
        ],
        values: &["company=snapshot", "company=full", "company=limited"],
        why: "the case needs space",
    },
    Row {
        when: |_| true,
        cases: &["name::freed*"],
        values: &[
            "size=part",
            "size=byte",
            "placement=scattered",
            "placement=unshared",
            "past=moved",
            "past=copied",
            "company=full",
        ],
        why: "the case compares the free space before and after",
    },
    Row {
        when: |_| true,
        cases: &["meta::chmod*", "meta::chown*"],
        values: &["metadata=set_id"],
        why: "the case looks at the mode",
    },
    Row {
        when: |_| true,
        cases: &["meta::xattr*"],
        values: &["metadata=xattr"],
        why: "the case looks at all extended attributes",
    },
    Row {
        when: |_| true,
        cases: &["query::others*"],
        values: &["metadata=attribute", "metadata=project"],
        why: "the case looks at all attributes",
    },
];

/// Pairs of values that no situation has, each with the reason.
static CLASHES: &[(&str, &str, &str)] = &[
    ("placement=scattered", "history=unsynced", "each scattered block is synced"),
    ("access=other", "history=remounted", "a mount closes all descriptors"),
    ("access=other", "history=power_loss", "a loss of power closes all descriptors"),
    ("size=less", "access=direct", "O_DIRECT reads and writes whole blocks"),
    ("size=more", "access=direct", "O_DIRECT reads and writes whole blocks"),
    ("placement=unshared", "history=unsynced", "a file is synced before it is shared"),
    ("placement=scattered", "past=moved", "defragmentation makes one piece"),
    ("placement=backwards", "past=moved", "defragmentation makes one piece"),
    ("size=part", "access=direct", "O_DIRECT reads and writes whole blocks"),
    ("size=byte", "access=direct", "O_DIRECT reads and writes whole blocks"),
    ("past=swap", "history=unsynced", "a swap file is synced"),
    ("company=busy", "history=remounted", "a mount ends all mappings"),
    ("company=busy", "history=power_loss", "a loss of power ends all mappings"),
    ("size=large", "*=*", "a large file costs too much to meet every value"),
    ("access=single", "holders=descriptor", "the file has one descriptor"),
    ("access=leased", "holders=*", "the holder has a descriptor of its own"),
    ("holders=swap", "names=gone", "swapon(2) takes a name"),
    ("metadata=set_id", "caller=owner", "a write of a caller without CAP_FSETID clears the bit"),
    ("metadata=owner", "caller=owner", "the caller does not own the file"),
];

/// Whether a name matches a pattern, in which each `*` stands for any characters.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let Some((before, after)) = pattern.split_once('*') else { return pattern == name };
    let Some(rest) = name.strip_prefix(before) else { return false };
    (0..=rest.len()).any(|at| rest.get(at..).is_some_and(|rest| fits(after, rest)))
}

fn any(patterns: &[&str], name: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern, name))
}

/// The values that cases do not meet, as their runs on the reference show: a line for each reason, then a line for each
/// value with the cases. `the_cases_meet_the_other_values` holds this file to the runs.
pub(crate) static UNMET: &str = include_str!("unmet.txt");

/// The reasons of [`UNMET`], for a value of a case.
static OBSERVED: LazyLock<HashMap<(&str, &str), &str>> = LazyLock::new(|| {
    let mut why = "";
    let mut observed = HashMap::new();
    for line in UNMET.lines() {
        match line.strip_prefix("  ").and_then(|line| line.split_once(": ")) {
            Some((value, cases)) => observed.extend(cases.split(' ').map(|case| ((case, value), why))),
            None => why = line,
        }
    }
    observed
});

/// The values that one case meets at one place.
pub(crate) struct Fit<'a> {
    case: &'a str,
    /// The rows of the table for the case.
    rows: Vec<&'static Row>,
}

impl<'a> Fit<'a> {
    pub(crate) fn of(facts: &Facts<'a>) -> Self {
        let rows = ROWS.iter().filter(|row| (row.when)(facts) && any(row.cases, facts.case)).collect();
        Self { case: facts.case, rows }
    }

    /// The reason in the table why the case does not meet a value, if there is one.
    pub(crate) fn ruled_out(&self, axis: usize, value: usize) -> Option<&'static str> {
        if value == 0 || self.rows.is_empty() {
            return None;
        }
        let name = value_name(axis, value);
        self.rows.iter().find(|row| any(row.values, &name)).map(|row| row.why)
    }

    /// The reason why the case does not meet a value, if there is one.
    pub(crate) fn left_out(&self, axis: usize, value: usize) -> Option<&'static str> {
        self.ruled_out(axis, value).or_else(|| {
            let family = self.case.split("::").next().unwrap_or_default();
            let cases = [self.case, &format!("{family}::*")];
            let values = [value_name(axis, value), format!("{}=*", AXES[axis].name)];
            let value = values.iter().filter(|_| value > 0);
            value.flat_map(|value| cases.map(|case| OBSERVED.get(&(case, value.as_str())).copied())).flatten().next()
        })
    }

    /// The reason why the case cannot run in a situation, if there is one.
    pub(crate) fn unfit(&self, situation: &Situation) -> Option<&'static str> {
        let set: Vec<(usize, usize)> = situation.axes().map(|axis| (axis, situation.get(axis))).collect();
        let alone = set.iter().find_map(|(axis, value)| self.left_out(*axis, *value));
        let others = |one: &(usize, usize)| set.iter().filter(|other| other.0 != one.0).copied().collect::<Vec<_>>();
        alone.or_else(|| set.iter().find_map(|one| others(one).iter().find_map(|other| reason_of_clash(*one, *other))))
    }
}

/// The reason why two values exclude each other, if they do.
fn reason_of_clash(one: (usize, usize), other: (usize, usize)) -> Option<&'static str> {
    let names = [one, other].map(|(axis, value)| value_name(axis, value));
    let row = CLASHES.iter().find(|(a, b, _)| {
        let both = |x: &str, y: &str| fits(a, x) && fits(b, y);
        both(&names[0], &names[1]) || both(&names[1], &names[0])
    });
    row.map(|(_, _, why)| *why)
}

/// The places of all values in one row: the first of each axis.
static STARTS: LazyLock<Vec<usize>> =
    LazyLock::new(|| AXES.iter().scan(0, |sum, axis| Some(std::mem::replace(sum, *sum + axis.values.len()))).collect());

/// Whether two values exclude each other, for each two places: covering arrays ask this more often than anything else.
static CLASHING: LazyLock<Vec<Vec<bool>>> = LazyLock::new(|| {
    let values = || (0..AXES.len()).flat_map(|axis| (0..AXES[axis].values.len()).map(move |value| (axis, value)));
    let with = |one| values().map(|other| reason_of_clash(one, other).is_some()).collect();
    values().map(with).collect()
});

/// Whether two values exclude each other.
pub(crate) fn clash(one: (usize, usize), other: (usize, usize)) -> bool {
    CLASHING[STARTS[one.0] + one.1][STARTS[other.0] + other.1]
}
