//! Conditional violations: the faults of `violation.rs`, each under each condition that can be true where the fault is.

use crate::conditions::{Axis, CONDITIONS, Condition, When};
use crate::violation::{How, Violation, violations};

/// Faults by their ids; `*` at the end or at the beginning stands for anything.
enum Faults {
    These(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

enum Conditions {
    All,
    Of(&'static [Axis]),
    Named(&'static [&'static str]),
}

/// Pairs that are left out.
struct LeftOut {
    faults: Faults,
    conditions: Conditions,
    why: &'static str,
}

use Conditions::{All, Named, Of};
use Faults::{AllBut, These};

/// Clauses about calls that name a part of the file.
const RANGED: &[&str] = &[
    "read.any/*",
    "write.inside/*",
    "write.mapped/*",
    "write.copy/*",
    "write.copy_from/*",
    "write.atomic/*",
    "write.times/*",
    "write.full/*",
    "write.no_hole/*",
    "write.crossing/*",
    "write.beyond/*",
    "write.append/*",
    "write.limit/*",
    "write.copy_beyond/*",
    "write.no_append/*",
    "map.tail/*",
    "map.beyond/*",
    "agent.memory/*",
    "agent.sees/move_on_overwrite",
    "truncate.shrink/*",
    "truncate.grow/*",
    "truncate.path/*",
    "fallocate.*",
    "share.source/*",
    "share.target/*",
    "share.within/*",
    "share.dedupe_source/*",
    "share.dedupe_target/*",
    "refuse.nothing/*",
];

/// Clauses about calls with two files.
const PAIRED: &[&str] = &[
    "write.copy/*",
    "write.copy_from/*",
    "write.copy_beyond/*",
    "share.source/*",
    "share.target/*",
    "share.dedupe_source/*",
    "share.dedupe_target/*",
    "share.exchange/*",
    "share.exchange_other/*",
    "name.replace/*",
    "name.exchange/*",
    "copy.unsealed/*",
];

/// Clauses about calls by a name, or about events without a call on the file.
const WITHOUT_DESCRIPTOR: &[&str] = &[
    "open.write/*",
    "truncate.path/*",
    "truncate.open/*",
    "share.snapshot/*",
    "mover.shrink/*",
    "mover.collect/*",
    "name.*",
    "meta.*",
    "query.statx/*",
    "query.statx_mask/*",
    "write.atomic_size/*",
    "agent.*",
    "durable.remount/*",
    "mount.options/*",
    "durable.recovery/*",
    "durable.agent/*",
    "query.others/drops_state_on_disk",
    "copy.inherit/*",
    "map.*",
    "write.mapped/*",
    "hold.register/*",
    "hold.refusal/*",
    "hold.unmount/*",
    "seal.readonly_mount/*",
    "unseal.readonly_mount/*",
];

/// Clauses about what happens when no process has the file open.
const AT_A_MOUNT: &[&str] =
    &["durable.remount/*", "durable.recovery/*", "query.others/drops_state_on_disk", "mount.options/*"];

/// Clauses about sealing that succeeds, and unsealing that succeeds.
const CHANGES_OF_STATE: &[&str] = &[
    "seal.sealed/*",
    "seal.keeps/*",
    "seal.ctime/*",
    "seal.event/*",
    "seal.inode/*",
    "seal.unlinked/*",
    "seal.long/*",
    "unseal.unsealed/*",
    "unseal.ordinary/*",
    "unseal.keeps/*",
    "unseal.ctime/*",
    "unseal.full/*",
    "durable.seal/*",
    "durable.data/*",
    "durable.visible/*",
    "durable.either/*",
    "durable.unseal/*",
    "hold.lease/*",
    "hold.close/*",
];

/// The other users of a file.
const USED: &[&str] = &[
    "mapped",
    "mapped_twice",
    "mapped_privately",
    "mapped_to_read",
    "mapped_part",
    "mapped_closed",
    "registered",
    "registered_twice",
    "registered_to_read",
    "registered_part",
    "registered_unmapped",
    "holder_gone",
    "swap_active",
];

#[rustfmt::skip] // One reason, one row.
static LEFT_OUT: &[LeftOut] = &[
    LeftOut { faults: These(&["race.*"]), conditions: All, why: "the model loses a race as a whole, before it knows the request" },
    LeftOut { faults: These(&["*/waits"]), conditions: All, why: "each such fault waits for a second, in each situation" },
    LeftOut {
        faults: These(&["seal.directory/*", "seal.fifo/*", "seal.special/*", "unseal.directory/*", "unseal.fifo/*", "unseal.special/*", "query.statx/of_directories"]),
        conditions: All,
        why: "the file is not regular: it has none of these pasts",
    },
    LeftOut { faults: AllBut(RANGED), conditions: Of(&[Axis::Range]), why: "the call is not about a part of the file" },
    LeftOut { faults: AllBut(PAIRED), conditions: Of(&[Axis::Pair]), why: "the call has one file" },
    LeftOut { faults: These(WITHOUT_DESCRIPTOR), conditions: Of(&[Axis::Access]), why: "the call has no descriptor of the file" },
    LeftOut {
        faults: These(AT_A_MOUNT),
        conditions: Of(&[Axis::Holders, Axis::Caller]),
        why: "no process has the file at a mount",
    },
    LeftOut { faults: These(AT_A_MOUNT), conditions: Named(&["no_name", "repeated", "dirty", "full"]), why: "a mount leaves no such file" },
    LeftOut { faults: These(&["agent.*", "durable.agent/*"]), conditions: Of(&[Axis::Caller]), why: "an agent is no caller" },
    LeftOut {
        faults: These(CHANGES_OF_STATE),
        conditions: Named(USED),
        why: "a hold refuses the change of the state",
    },
    LeftOut {
        faults: These(&["seal.*", "unseal.*", "durable.*", "hold.*", "refuse.busy/*"]),
        conditions: Named(&["unprivileged", "ordinary_user", "unprivileged_stranger"]),
        why: "the capability comes first: without it the call has another clause",
    },
    LeftOut { faults: These(&["seal.empty/*"]), conditions: Of(&[Axis::Size, Axis::Placement]), why: "the file is empty" },
    LeftOut { faults: These(&["seal.inline/*"]), conditions: Of(&[Axis::Placement]), why: "the file has no storage" },
    LeftOut { faults: These(&["seal.inline/*"]), conditions: Named(&["one_block", "byte_over", "byte_under", "many_blocks", "map_page"]), why: "such a file is small" },
    LeftOut {
        faults: These(&["seal.readonly/*", "unseal.readonly/*", "seal.order/*", "write.readonly/*", "fallocate.readonly/*", "query.readonly/*"]),
        conditions: Named(&["by_append", "by_write_only", "by_read_only"]),
        why: "the descriptor has O_RDONLY in each case",
    },
    LeftOut {
        faults: AllBut(&["read.any/*", "query.*", "seal.readonly/*", "unseal.readonly/*", "seal.order/*", "write.readonly/*", "fallocate.readonly/*", "write.copy_from/*", "share.source/*", "share.dedupe_source/*", "write.no_hole/*", "truncate.order/*", "write.full_sync/*", "mover.attribute/*"]),
        conditions: Named(&["by_read_only"]),
        why: "without O_RDWR or O_WRONLY the call fails for another reason",
    },
    LeftOut {
        faults: These(&["read.any/*", "write.copy_from/*", "share.source/*", "share.dedupe_source/*", "write.crossing/short_write"]),
        conditions: Named(&["by_write_only"]),
        why: "the call reads",
    },
    LeftOut { faults: These(&["write.append/*", "write.no_append/*"]), conditions: Of(&[Axis::Access]), why: "the descriptor has O_APPEND in most cases" },
    LeftOut {
        faults: These(&["write.inside/*", "write.atomic/*", "write.times/*", "write.full/*", "write.beyond/*", "write.crossing/*", "write.limit/*", "write.copy/*", "write.copy_beyond/*", "share.target/*"]),
        conditions: Named(&["by_append"]),
        why: "O_APPEND makes another clause count",
    },
    LeftOut { faults: These(&["write.append/*"]), conditions: Named(&["first_block", "middle_block", "last_block", "last_part", "to_the_end", "far_beyond", "at_the_end", "whole"]), why: "an append is at the end" },
    LeftOut { faults: These(&["write.beyond/*"]), conditions: Named(&["first_block", "middle_block", "last_block", "last_part", "to_the_end", "whole", "two_extents"]), why: "the write is beyond the end" },
    LeftOut { faults: These(&["write.inside/*", "write.atomic/*", "write.full/*", "write.copy/*", "write.times/*", "write.no_append/*", "agent.*", "write.no_hole/*"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "the write is inside the file" },
    LeftOut { faults: These(&["write.crossing/*"]), conditions: Named(&["middle_block", "last_page", "at_the_end", "to_the_end", "far_beyond"]), why: "the write crosses the end" },
    LeftOut { faults: These(&["write.atomic/*"]), conditions: Named(&["unaligned", "unaligned_end", "block_border", "single_byte", "long", "last_part", "two_extents"]), why: "an atomic write is one block" },
    LeftOut { faults: These(&["truncate.grow/*"]), conditions: Named(&["first_block", "middle_block", "last_block", "last_part", "to_the_end", "whole", "two_extents"]), why: "the added part is beyond the end" },
    LeftOut { faults: These(&["truncate.shrink/*"]), conditions: Named(&["middle_block", "last_page", "at_the_end", "far_beyond", "whole"]), why: "the part that is cut off ends at the end" },
    LeftOut { faults: These(&["fallocate.grow/*"]), conditions: Named(&["to_the_end", "middle_block"]), why: "the range goes beyond the end" },
    LeftOut { faults: These(&["fallocate.inside/*", "fallocate.inside_prompt/*"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "the range is inside the file" },
    LeftOut { faults: These(&["fallocate.no_op/*", "fallocate.keep_beyond/*"]), conditions: Named(&["first_block", "middle_block", "last_block", "last_part", "to_the_end", "whole", "two_extents"]), why: "the range is beyond the end" },
    LeftOut { faults: These(&["fallocate.collapse/*", "fallocate.insert/*"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "such a call fails for another reason" },
    LeftOut { faults: These(&["map.tail/*"]), conditions: Named(&["one_block", "ragged"]), why: "a file has a tail if, and only if, its size is no multiple" },
    LeftOut { faults: These(&["seal.unlinked/*", "name.*", "truncate.path/*", "truncate.open/*", "open.write/*", "meta.*", "query.statx/*", "query.statx_mask/*", "write.atomic_size/*", "swap.on/*", "swap.keeps/*", "swap.unsealed/*"]), conditions: Named(&["no_name"]), why: "the call takes a name, or the clause is about having none" },
    LeftOut { faults: These(&["seal.sealed/*", "seal.long/refused"]), conditions: Named(&["no_name"]), why: "seal.unlinked is the clause about it" },
    LeftOut { faults: These(&["seal.unlinked/*", "name.freed/*", "agent.neighbours/device_astray"]), conditions: Named(&["two_names", "three_names", "temporary_linked"]), why: "the file has no name" },
    LeftOut {
        faults: These(&["write.inside/refused", "write.copy/refused", "unseal.unsealed/refused", "write.full/*", "write.full_sync/*", "unseal.full/*"]),
        conditions: Named(&["full", "at_limit"]),
        why: "the clauses about full file systems count there, and always",
    },
    LeftOut { faults: These(&["fallocate.argument/*"]), conditions: Of(&[Axis::Range]), why: "the range is none" },
    LeftOut { faults: These(&["write.atomic/*"]), conditions: Named(&["one_byte", "under_a_block"]), why: "an atomic write would cross the end" },
    LeftOut { faults: These(&["fallocate.collapse/*"]), conditions: Named(&["one_byte", "under_a_block", "one_block"]), why: "a whole block before the last one is removed" },
    LeftOut { faults: These(&["truncate.shrink/*", "seal.short/*"]), conditions: Named(&["one_byte"]), why: "less than one byte is another clause" },
    LeftOut { faults: These(&["seal.shared_within/*", "share.within/*"]), conditions: Named(&["one_byte", "under_a_block", "one_block"]), why: "two parts of a file share a block" },
    LeftOut { faults: These(&["swap.on/*", "swap.off/*", "swap.keeps/*", "swap.unsealed/*", "swap.again/*", "swap.seal/*", "swap.unseal/*"]), conditions: Named(&["unprivileged", "ordinary_user", "unprivileged_stranger"]), why: "swap needs CAP_SYS_ADMIN, and sealing its own capability" },
    LeftOut { faults: These(&["hold.close/*"]), conditions: Named(&["one_descriptor"]), why: "the clause is about several descriptors" },
    LeftOut { faults: These(&["name.kept/*"]), conditions: Named(&["two_names", "three_names", "temporary_linked"]), why: "the last name is gone" },
    LeftOut { faults: These(&["share.exchange/*", "share.exchange_other/*", "name.*"]), conditions: Named(&["part_of_pair"]), why: "the call is about whole files" },
    LeftOut { faults: AllBut(&["name.exchange/*"]), conditions: Named(&["second"]), why: "each clause is about one role" },
    LeftOut { faults: These(&["write.*", "share.*", "fallocate.*", "truncate.*"]), conditions: Named(&["swap_active"]), why: "an active swap file refuses such calls by itself" },
    LeftOut { faults: These(&["swap.*", "hold.register/*", "hold.refusal/*"]), conditions: Named(&["registered", "swap_active", "registered_unmapped"]), why: "the clause is about this holder" },
    LeftOut { faults: These(&["write.copy_beyond/*", "write.limit/*"]), conditions: Named(&["to_the_end"]), why: "the call goes beyond the end" },
    LeftOut { faults: These(&["write.copy_beyond/in_pieces"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "a piece of the copy lies before the end" },
    LeftOut { faults: These(&["write.copy_from/*", "map.tail/*"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "there is no byte to copy or to store" },
    LeftOut { faults: These(&["fallocate.collapse/*", "fallocate.insert/*", "share.*"]), conditions: Named(&["unaligned", "block_border"]), why: "the call is about whole blocks" },
    LeftOut { faults: These(&["fallocate.collapse/*", "fallocate.insert/*"]), conditions: Named(&["unaligned_end", "single_byte"]), why: "the range has whole blocks" },
    LeftOut { faults: These(&["fallocate.collapse/*"]), conditions: Named(&["to_the_end", "whole"]), why: "a collapse to the end fails for another reason" },
    LeftOut { faults: These(&["fallocate.collapse/late"]), conditions: Named(&["last_block", "last_part"]), why: "no block can be removed there" },
    LeftOut { faults: These(&["share.*"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "two files share nothing beyond their ends" },
    LeftOut { faults: These(&["mover.defragment/*", "mover.collect/moves", "agent.*", "swap.keeps/moves", "write.atomic/moves"]), conditions: Named(&["full"]), why: "there is no place to move the file to" },
    LeftOut { faults: These(&["swap.*"]), conditions: Named(&["one_byte", "under_a_block", "one_block"]), why: "a swap file has a header and a page" },
    LeftOut { faults: These(&["durable.seal/*", "durable.data/*", "durable.visible/*", "durable.either/*", "durable.unseal/*"]), conditions: Named(&["no_name"]), why: "after a loss of power such a file is gone" },
    LeftOut { faults: These(&["query.readonly_mount/*", "seal.readonly_mount/*", "unseal.readonly_mount/*"]), conditions: Named(&["by_append", "by_write_only", "by_direct", "by_dsync", "mapped", "mapped_twice", "mapped_privately", "mapped_to_read", "mapped_part", "mapped_closed", "registered", "registered_twice", "registered_to_read", "registered_part", "registered_unmapped", "holder_gone", "swap_active", "leased"]), why: "a mount that became read-only has no such user" },
    LeftOut { faults: These(&["map.tail/*"]), conditions: Named(&["middle_block", "last_block", "last_part", "to_the_end", "whole", "block_border", "long", "two_extents"]), why: "the store is behind the end, in the page of the end" },
    LeftOut { faults: These(&["share.*"]), conditions: Named(&["both_sealed"]), why: "the other sealed file refuses the call, too" },
    LeftOut { faults: These(&["name.exchange/*"]), conditions: Named(&["both_sealed"]), why: "two files in the same state exchange no state" },
    LeftOut { faults: These(&["copy.unsealed/*"]), conditions: Named(&["both_sealed"]), why: "the copy is a new file" },
    LeftOut { faults: These(&["write.crossing/*"]), conditions: Named(&["single_byte"]), why: "the write has a byte on each side of the end" },
    LeftOut { faults: These(&["share.within/*"]), conditions: Named(&["single_byte", "unaligned_end"]), why: "the parts are whole blocks" },
    LeftOut { faults: These(&["write.no_hole/punches_zeros"]), conditions: Named(&["single_byte", "block_border"]), why: "the fault is about a whole block of zeros" },
    LeftOut { faults: These(&["query.statx_mask/*"]), conditions: Of(&[Axis::Holders]), why: "the mask is about the file system" },
    LeftOut { faults: These(&["hold.registration/*"]), conditions: Named(&["mapped", "mapped_twice", "mapped_privately", "mapped_to_read", "mapped_part", "mapped_closed", "swap_active"]), why: "the other hold refuses it, too" },
    LeftOut { faults: These(AT_A_MOUNT), conditions: Named(&["limited", "at_limit"]), why: "the reference keeps no limit over a mount" },
    LeftOut { faults: These(&["mover.verity/*"]), conditions: Of(&[Axis::Access]), why: "fs-verity takes a descriptor for reading" },
    LeftOut { faults: These(&["refuse.nothing/unmaps"]), conditions: Named(&["registered_unmapped"]), why: "there is no mapping to lose" },
    LeftOut { faults: These(&["seal.again/*"]), conditions: Named(&["swap_active"]), why: "swap.seal is the clause about it" },
    LeftOut { faults: These(&["seal.empty/*"]), conditions: Named(&["registered", "registered_twice", "registered_to_read", "registered_part", "registered_unmapped", "was_registered", "written_mapped", "agent_wrote"]), why: "an empty file has no byte for a device or a store" },
    LeftOut { faults: These(&["truncate.grow/*", "write.mapped/*"]), conditions: Named(&["far_beyond"]), why: "the part begins at the end or before it" },
    LeftOut { faults: These(&["name.freed/*"]), conditions: Of(&[Axis::Holders]), why: "the storage is freed when nothing holds the file" },
    LeftOut { faults: These(&["name.freed/*"]), conditions: Named(&["unprivileged", "ordinary_user", "unprivileged_stranger"]), why: "close(2) asks for no privilege" },
    LeftOut { faults: These(&["refuse.prompt/breaks_leases"]), conditions: Named(USED), why: "a file with a lease has no other user" },
    LeftOut { faults: These(&["refuse.prompt/breaks_leases"]), conditions: Named(&["many_descriptors", "no_name"]), why: "open(2) breaks a lease, and so do calls by name" },
    LeftOut { faults: These(&["swap.*"]), conditions: Named(&["never_synced", "dirty"]), why: "swapon(2) wants the file on storage" },
    LeftOut { faults: These(&["swap.*"]), conditions: Named(&["no_name"]), why: "swapon(2) takes a name, and an active swap file keeps it" },
    LeftOut { faults: These(&["swap.seal/*", "swap.unseal/*"]), conditions: Named(USED), why: "another hold refuses it, too" },
    LeftOut { faults: These(&["hold.unmount/*"]), conditions: Named(&["mapped", "mapped_twice", "mapped_privately", "mapped_to_read", "mapped_part", "mapped_closed", "many_descriptors", "one_descriptor", "swap_active", "leased"]), why: "a file that is open or mapped keeps the mount anyway" },
    LeftOut { faults: These(&["seal.again_durable/*"]), conditions: Named(USED), why: "a hold begins after the first seal has returned, which is durable then" },
    LeftOut { faults: These(&["map.beyond/*"]), conditions: Named(&["first_block", "middle_block", "last_block", "last_part", "last_page", "to_the_end", "whole", "two_extents"]), why: "the store is in a page beyond the end" },
    LeftOut { faults: These(&["write.copy_beyond/in_pieces"]), conditions: Named(&["one_byte", "under_a_block", "one_block", "single_byte", "block_border"]), why: "a piece of a copy is 64 KiB long" },
    LeftOut { faults: These(&["mover.*", "share.snapshot/*", "meta.chown/*"]), conditions: Named(&["unprivileged", "ordinary_user", "unprivileged_stranger"]), why: "the call needs a capability, or may need it" },
    LeftOut { faults: These(&["mover.shrink/*", "mover.collect/*"]), conditions: Named(&["one_descriptor", "leased"]), why: "a mover of all files looks at no descriptor" },
    LeftOut { faults: These(&["seal.again/*"]), conditions: Named(USED), why: "seal.again_mapped is the clause about it" },
    LeftOut { faults: These(&["fallocate.punch/*"]), conditions: Named(&["last_page", "at_the_end", "far_beyond"]), why: "fallocate.no_op is the clause about it" },
    LeftOut { faults: These(&["truncate.path/*"]), conditions: Named(&["middle_block", "far_beyond"]), why: "the part that is cut off or added touches the end" },
    LeftOut { faults: These(&["share.within/*", "share.dedupe_target/*", "share.exchange/*", "share.exchange_other/*", "mover.defragment/*", "mover.migrate/*"]), conditions: Named(&["by_append"]), why: "the call takes no descriptor that only appends" },
    LeftOut { faults: These(&["share.within/*", "share.exchange/*", "share.exchange_other/*", "mover.defragment/*", "mover.migrate/*"]), conditions: Named(&["by_write_only"]), why: "the call reads and writes by the descriptor" },
    LeftOut { faults: These(&["share.exchange/*", "share.exchange_other/*"]), conditions: Named(&["larger_other", "smaller_other"]), why: "files of different sizes exchange nothing" },
    LeftOut { faults: These(&["seal.shared/*", "seal.shared_within/*", "seal.unshared/*", "seal.unchanged/unshares"]), conditions: Named(&["swap_active"]), why: "a swap file shares nothing" },
    LeftOut { faults: These(&["copy.*", "write.copy_from/*"]), conditions: Named(&["full", "at_limit", "limited"]), why: "a copy takes space" },
    LeftOut { faults: These(&["write.copy_from/*", "copy.unsealed/*"]), conditions: Named(&["larger_other", "both_sealed"]), why: "the target is a new file" },
    LeftOut { faults: These(&["query.sealed/*", "query.unsealed/*", "query.readonly/*"]), conditions: Named(&["unprivileged", "ordinary_user", "unprivileged_stranger"]), why: "query.unprivileged is the clause about it" },
    LeftOut { faults: These(&["swap.unseal/*", "swap.seal/*", "swap.off/*", "swap.writes/*", "swap.again/*"]), conditions: Named(&["was_swap"]), why: "it still is an active swap file" },
    LeftOut { faults: These(&["swap.on/*", "swap.off/*", "swap.keeps/*"]), conditions: Of(&[Axis::Access]), why: "swapon(2) and swapoff(2) take no descriptor" },
    LeftOut { faults: These(&["query.readonly_mount/*", "seal.readonly_mount/*", "unseal.readonly_mount/*"]), conditions: Named(&["no_name"]), why: "such a file keeps the mount writable" },
    LeftOut { faults: These(AT_A_MOUNT), conditions: Named(&["another_held"]), why: "such a file keeps the mount" },
    LeftOut { faults: These(&["hold.unmount/*", "query.readonly_mount/*", "seal.readonly_mount/*", "unseal.readonly_mount/*", "query.statx_mask/of_writable_mounts"]), conditions: Named(&["another_held"]), why: "such a file keeps the mount as it is" },
    LeftOut { faults: These(&["seal.shared_within/*", "seal.shared/*", "seal.unshared/*"]), conditions: Named(&["by_write_only"]), why: "the file was shared by a descriptor that reads" },
    LeftOut { faults: These(&["seal.shared_within/*", "seal.unshared/*"]), conditions: Named(&["by_append"]), why: "the file is written to between the sharing and the seal, or shares with itself" },
    LeftOut { faults: These(&["seal.inode/*"]), conditions: Named(&["one_descriptor"]), why: "the state is seen by another descriptor" },
];

fn matches(pattern: &str, id: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(beginning), _) => id.starts_with(beginning),
        (_, Some(end)) => id.ends_with(end),
        _ => id == pattern,
    }
}

impl Faults {
    fn has(&self, id: &str) -> bool {
        match self {
            These(patterns) => patterns.iter().any(|pattern| matches(pattern, id)),
            AllBut(patterns) => !patterns.iter().any(|pattern| matches(pattern, id)),
        }
    }
}

impl Conditions {
    fn has(&self, condition: &Condition) -> bool {
        match self {
            All => true,
            Of(axes) => axes.contains(&condition.axis),
            Named(names) => names.contains(&condition.name),
        }
    }
}

/// The reason to leave out a pair, if there is one.
fn left_out(fault: &str, condition: &Condition) -> Option<&'static str> {
    let row = LEFT_OUT.iter().find(|row| row.faults.has(fault) && row.conditions.has(condition));
    row.map(|row| row.why)
}

/// The violations that get conditions. A wrong errno is noticed like a permitted call, unless the row only says which
/// error comes first; another way to make a call is a condition by itself.
fn faults() -> Vec<Violation> {
    let all = violations();
    let refused = |it: &Violation| all.iter().any(|other| other.id == format!("{}/permitted", it.clause));
    let chosen = all.iter().filter(|it| match it.how {
        How::Way(..) => false,
        How::Answer(_) if it.id.ends_with("/errno") => !refused(it),
        How::Answer(_) | How::Late(_) | How::Quirk(_) => true,
    });
    chosen.cloned().collect()
}

/// Every violation under every condition, such as `truncate.shrink/permitted@three_names`, in the order of the rules.
/// Pairs that make no sense are left out.
pub fn conditional() -> Vec<Violation> {
    let pairs = faults().into_iter().flat_map(|fault| {
        let sensible = CONDITIONS.iter().filter(|condition| left_out(&fault.id, condition).is_none());
        let under = |condition: &'static Condition| {
            let id = format!("{}@{}", fault.id, condition.name);
            Violation::new(id, fault.clause, fault.how, Some(When(condition)))
        };
        sensible.map(under).collect::<Vec<_>>()
    });
    pairs.collect()
}

/// The reasons to leave pairs out of [`conditional()`], and the number of pairs that each leaves out.
pub fn left_out_pairs() -> Vec<(&'static str, usize)> {
    let faults = faults();
    let pairs = || faults.iter().flat_map(|fault| CONDITIONS.iter().filter_map(|it| left_out(&fault.id, it)));
    let mut sums: Vec<(&str, usize)> = LEFT_OUT.iter().map(|row| (row.why, 0)).collect();
    for why in pairs() {
        sums.iter_mut().filter(|(reason, _)| *reason == why).for_each(|(_, sum)| *sum += 1);
    }
    sums
}

/// The name of each condition, and the sentence that is then true.
pub fn conditions() -> impl Iterator<Item = (&'static str, &'static str)> {
    CONDITIONS.iter().map(|condition| (condition.name, condition.sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeSet, HashSet};

    #[test]
    fn names_and_sentences_are_unique() {
        let mut seen = HashSet::new();
        for (name, sentence) in conditions() {
            assert!(seen.insert(name) && seen.insert(sentence), "{name}: {sentence}");
        }
    }

    #[test]
    fn the_product_is_large() {
        let (all, faults) = (conditional(), faults());
        let ids: BTreeSet<&str> = all.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids.len(), all.len(), "two violations have one id");
        let used = faults.iter().filter(|it| ids.iter().any(|id| id.starts_with(&format!("{}@", it.id)))).count();
        assert!(used >= 40 && all.len() >= 1000, "{used} faults, {} violations", all.len());
        for (name, _) in conditions() {
            assert!(ids.iter().any(|id| id.ends_with(&format!("@{name}"))), "no fault has the condition {name}");
        }
    }

    /// A later row can repeat an earlier one without any effect.
    #[test]
    fn no_reason_is_idle() {
        let mut reasons = HashSet::new();
        for (why, pairs) in left_out_pairs() {
            assert!(pairs > 0 && reasons.insert(why), "{why}: {pairs} pairs");
        }
    }

    /// A row that leaves nothing out, or a name in a row that nothing has, is a misspelling.
    #[test]
    fn every_reason_leaves_something_out() {
        let faults = faults();
        for (number, row) in LEFT_OUT.iter().enumerate() {
            assert!(!row.why.is_empty());
            let (These(patterns) | AllBut(patterns)) = &row.faults;
            for pattern in *patterns {
                assert!(faults.iter().any(|it| matches(pattern, &it.id)), "row {number}: no fault {pattern}");
            }
            if let Named(names) = &row.conditions {
                for name in *names {
                    assert!(CONDITIONS.iter().any(|it| it.name == *name), "row {number}: no condition {name}");
                }
            }
        }
    }
}
