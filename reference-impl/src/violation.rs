//! Ways to break single clauses, so that the suite can show that it detects each of them.

use crate::call::route::Route;
use crate::conditions::When;
use crate::rules::{self, Answer};
use iomap_clauses::*;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// One way to break one clause.
#[derive(Clone, Debug)]
pub struct Violation {
    /// The clause and the manner, such as `truncate.shrink/permitted`, and perhaps the condition: `…@three_names`.
    pub id: String,
    /// The broken clause.
    pub clause: &'static Clause,
    pub(crate) how: How,
    /// The condition without which the fault does not show.
    pub(crate) when: Option<When>,
    /// Whether the condition was true where the fault is.
    shown: Arc<AtomicBool>,
}

impl Violation {
    pub(crate) fn new(id: String, clause: &'static Clause, how: How, when: Option<When>) -> Self {
        Self { id, clause, how, when, shown: Arc::default() }
    }

    /// The fault shows.
    pub(crate) fn shows(&self) {
        self.shown.store(true, Ordering::Relaxed);
    }

    /// Whether the condition of the violation was true where its fault is, in some file system that was made with this
    /// violation or with a clone of it.
    pub fn was_met(&self) -> bool {
        self.shown.load(Ordering::Relaxed)
    }

    /// The sentence of the condition: the fault shows only if it is true.
    pub fn condition(&self) -> Option<&'static str> {
        self.when.map(|when| when.0.sentence)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// Requests to which the row applies get this answer.
    Answer(Answer),
    /// The request is carried out, and then fails with the right error.
    Late(Errno),
    /// Requests by one route only get this answer.
    Way(Route, Answer),
    /// The file system misbehaves outside the table of rules.
    Quirk(Quirk),
}

/// Misbehaviour outside the table of rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quirk {
    SealDoesNothing,
    SealTouchesMtime,
    SealSkipsCtime,
    SealGrows,
    SealLimited,
    SealFillsHoles,
    SealUnshares,
    SealPerDescriptor,
    MoveOnceShared,
    ReadonlyMountSeals,
    UnsealTouchesMtime,
    UnsealSkipsCtime,
    UnsealIsCosmetic,
    UnsealNeedsSpace,
    RefusalTouchesMtime,
    RefusalMovesOffset,
    RefusalDropsAppend,
    RefusalHarmsOthers,
    RefusalTouchesAtime,
    RefusalChangesFlags,
    RefusalTakesSpace,
    RefusalUnmaps,
    ShortWrite,
    MoveOnOverwrite,
    MoveOnRename,
    MoveOnRefusal,
    MoveOnSync,
    MoveOnUnlink,
    ShareOnCopyInto,
    ShareOnCopyFrom,
    SpaceForOverwrite,
    QuotaForOverwrite,
    SyncNeedsSpace,
    PunchZeros,
    StoreIsLost,
    FreedWithName,
    NeverFreed,
    StateFollowsName,
    StateHidden,
    StateAlwaysShown,
    AttributesDropState,
    AttributesDropStateOnDisk,
    AttributesSeal,
    AttributesUnseal,
    RefusalWaits,
    UnsealNeedsOnlyOpener,
    RegistrationBusy,
    DeviceStoreIsLost,
    DeviceStoreGoesAstray,
    DeviceSeesOld,
    MoveOnAtomicWrite,
    WriteKeepsTimes,
    TailIsData,
    AccessBeyond,
    CollectMoves,
    SwaponMoves,
    SwapoffUnseals,
    SwaponSeals,
    SealNotCommitted,
    SealVisibleEarly,
    AgainEarly,
    SealCommitsNoData,
    TornSeal,
    MountForgets,
    UnsealNotCommitted,
    AgentDataLost,
    RecoveryOverwrites,
    CopyInherits,
    NewFileInherits,
    RaceLost,
    RaceBusy,
    StatxHidden,
    StatxOfDirectories,
    MaskMissing,
    MaskOfWritable,
    BusyWaits,
    RegistrationUnmounts,
    NoAppendIgnored,
    CopyWaits,
    CopyInPieces,
    LimitFirst,
    TruncateWaits,
    TruncateTakesSpace,
    TruncateZeroes,
    TruncateKeepsTimes,
    InsideWaits,
    InsideTakesSpace,
    InsideZeroes,
    AtomicSizeLarger,
    SealModifies,
    SealBreaksLeases,
    SealWaitsForLeases,
    RefusalBreaksLeases,
    ProtectUnmaps,
    OptionsMove,
}

static QUIRKS: &[(Quirk, &Clause, &str)] = &[
    (Quirk::SealDoesNothing, &SEAL_SEALED, "does_nothing"),
    (Quirk::SealTouchesMtime, &SEAL_KEEPS, "touches_mtime"),
    (Quirk::SealSkipsCtime, &SEAL_CTIME, "skipped"),
    (Quirk::SealGrows, &SEAL_LONG, "grows"),
    (Quirk::SealLimited, &SEAL_LONG, "limited"),
    (Quirk::SealFillsHoles, &SEAL_UNCHANGED, "fills_holes"),
    (Quirk::SealUnshares, &SEAL_UNCHANGED, "unshares"),
    (Quirk::SealPerDescriptor, &SEAL_INODE, "per_descriptor"),
    (Quirk::MoveOnceShared, &SEAL_UNSHARED, "moves"),
    (Quirk::ReadonlyMountSeals, &SEAL_READONLY_MOUNT, "permitted"),
    (Quirk::UnsealTouchesMtime, &UNSEAL_KEEPS, "touches_mtime"),
    (Quirk::UnsealSkipsCtime, &UNSEAL_CTIME, "skipped"),
    (Quirk::UnsealIsCosmetic, &UNSEAL_ORDINARY, "cosmetic"),
    (Quirk::UnsealNeedsSpace, &UNSEAL_FULL, "needs_space"),
    (Quirk::RefusalTouchesMtime, &REFUSE_NOTHING, "touches_mtime"),
    (Quirk::RefusalMovesOffset, &REFUSE_NOTHING, "moves_offset"),
    (Quirk::RefusalDropsAppend, &REFUSE_NOTHING, "drops_append"),
    (Quirk::RefusalHarmsOthers, &REFUSE_NOTHING, "harms_others"),
    (Quirk::RefusalTouchesAtime, &REFUSE_NOTHING, "touches_atime"),
    (Quirk::RefusalChangesFlags, &REFUSE_NOTHING, "changes_flags"),
    (Quirk::RefusalTakesSpace, &REFUSE_NOTHING, "takes_space"),
    (Quirk::RefusalUnmaps, &REFUSE_NOTHING, "unmaps"),
    (Quirk::ShortWrite, &WRITE_CROSSING, "short_write"),
    (Quirk::SealModifies, &SEAL_EVENT, "modifies"),
    (Quirk::SealBreaksLeases, &HOLD_LEASE, "broken"),
    (Quirk::SealWaitsForLeases, &HOLD_LEASE, "waits"),
    (Quirk::RefusalBreaksLeases, &REFUSE_PROMPT, "breaks_leases"),
    (Quirk::ProtectUnmaps, &RACE_MAPPING, "protect_unmaps"),
    (Quirk::AtomicSizeLarger, &WRITE_ATOMIC_SIZE, "larger"),
    (Quirk::MoveOnOverwrite, &AGENT_SEES, "move_on_overwrite"),
    (Quirk::MoveOnRename, &AGENT_WRITES, "move_on_rename"),
    (Quirk::MoveOnRefusal, &AGENT_WRITES, "move_on_refusal"),
    (Quirk::MoveOnSync, &AGENT_NEIGHBOURS, "move_on_sync"),
    (Quirk::MoveOnUnlink, &AGENT_SEES, "move_on_unlink"),
    (Quirk::MoveOnUnlink, &AGENT_WRITES, "move_on_unlink"),
    (Quirk::MoveOnUnlink, &AGENT_NEIGHBOURS, "move_on_unlink"),
    (Quirk::NoAppendIgnored, &WRITE_NO_APPEND, "ignored"),
    (Quirk::CopyInPieces, &WRITE_COPY_BEYOND, "in_pieces"),
    (Quirk::CopyWaits, &WRITE_COPY_PROMPT, "waits"),
    (Quirk::LimitFirst, &WRITE_LIMIT, "limit_first"),
    (Quirk::TruncateKeepsTimes, &TRUNCATE_SAME_SIZE, "keeps_times"),
    (Quirk::TruncateWaits, &TRUNCATE_SAME_PROMPT, "waits"),
    (Quirk::TruncateTakesSpace, &TRUNCATE_SAME_PROMPT, "takes_space"),
    (Quirk::TruncateZeroes, &TRUNCATE_SAME_PROMPT, "zeroes"),
    (Quirk::InsideWaits, &FALLOCATE_INSIDE_PROMPT, "waits"),
    (Quirk::InsideTakesSpace, &FALLOCATE_INSIDE_PROMPT, "takes_space"),
    (Quirk::InsideZeroes, &FALLOCATE_INSIDE_PROMPT, "zeroes"),
    (Quirk::ShareOnCopyInto, &WRITE_COPY, "shares"),
    (Quirk::ShareOnCopyFrom, &WRITE_COPY_FROM, "shares"),
    (Quirk::SpaceForOverwrite, &WRITE_FULL, "needs_space"),
    (Quirk::QuotaForOverwrite, &WRITE_FULL, "needs_quota"),
    (Quirk::SyncNeedsSpace, &WRITE_FULL_SYNC, "needs_space"),
    (Quirk::PunchZeros, &WRITE_NO_HOLE, "punches_zeros"),
    (Quirk::StoreIsLost, &WRITE_MAPPED, "store_lost"),
    (Quirk::FreedWithName, &NAME_KEPT, "freed_with_name"),
    (Quirk::NeverFreed, &NAME_FREED, "never_freed"),
    (Quirk::StateFollowsName, &NAME_EXCHANGE, "state_follows_name"),
    (Quirk::StateHidden, &QUERY_SEALED, "hidden"),
    (Quirk::StateAlwaysShown, &QUERY_UNSEALED, "always_shown"),
    (Quirk::StatxHidden, &QUERY_STATX, "hidden"),
    (Quirk::StatxOfDirectories, &QUERY_STATX, "of_directories"),
    (Quirk::MaskMissing, &QUERY_STATX_MASK, "missing"),
    (Quirk::MaskOfWritable, &QUERY_STATX_MASK, "of_writable_mounts"),
    (Quirk::AttributesDropState, &QUERY_OTHERS, "drops_state"),
    (Quirk::AttributesDropStateOnDisk, &QUERY_OTHERS, "drops_state_on_disk"),
    (Quirk::AttributesSeal, &QUERY_SET_IGNORED, "seals"),
    (Quirk::AttributesUnseal, &QUERY_CLEAR_IGNORED, "unseals"),
    (Quirk::RefusalWaits, &REFUSE_PROMPT, "waits"),
    (Quirk::BusyWaits, &REFUSE_BUSY, "waits"),
    (Quirk::ReadonlyMountSeals, &UNSEAL_READONLY_MOUNT, "permitted"),
    (Quirk::UnsealNeedsOnlyOpener, &HOLD_CLOSE, "counts_descriptors"),
    (Quirk::RegistrationBusy, &HOLD_REFUSAL, "busy"),
    (Quirk::RegistrationUnmounts, &HOLD_UNMOUNT, "permitted"),
    (Quirk::DeviceStoreIsLost, &AGENT_MEMORY, "device_lost"),
    (Quirk::DeviceStoreGoesAstray, &AGENT_NEIGHBOURS, "device_astray"),
    (Quirk::DeviceSeesOld, &AGENT_MEMORY_SEES, "device_sees_old"),
    (Quirk::MoveOnAtomicWrite, &WRITE_ATOMIC, "moves"),
    (Quirk::WriteKeepsTimes, &WRITE_TIMES, "keeps_times"),
    (Quirk::TailIsData, &MAP_TAIL, "is_data"),
    (Quirk::AccessBeyond, &MAP_BEYOND, "permitted"),
    (Quirk::OptionsMove, &MOUNT_OPTIONS, "moves"),
    (Quirk::CollectMoves, &MOVER_COLLECT, "moves"),
    (Quirk::SwaponMoves, &SWAP_KEEPS, "moves"),
    (Quirk::SwapoffUnseals, &SWAP_OFF, "unseals"),
    (Quirk::SwaponSeals, &SWAP_UNSEALED, "seals"),
    (Quirk::AgainEarly, &SEAL_AGAIN_DURABLE, "early"),
    (Quirk::SealVisibleEarly, &DURABLE_VISIBLE, "early"),
    (Quirk::SealNotCommitted, &DURABLE_SEAL, "not_committed"),
    (Quirk::SealCommitsNoData, &DURABLE_DATA, "no_data"),
    (Quirk::TornSeal, &DURABLE_EITHER, "torn"),
    (Quirk::MountForgets, &DURABLE_REMOUNT, "forgotten"),
    (Quirk::UnsealNotCommitted, &DURABLE_UNSEAL, "not_committed"),
    (Quirk::AgentDataLost, &DURABLE_AGENT, "lost"),
    (Quirk::RecoveryOverwrites, &DURABLE_RECOVERY, "overwrites"),
    (Quirk::CopyInherits, &COPY_UNSEALED, "inherits"),
    (Quirk::NewFileInherits, &COPY_INHERIT, "inherits"),
    (Quirk::RaceBusy, &RACE_SEALS, "busy"),
    (Quirk::RaceLost, &RACE_TRUNCATE, "lost"),
    (Quirk::RaceLost, &RACE_WRITE, "lost"),
    (Quirk::RaceLost, &RACE_ALLOCATION, "lost"),
    (Quirk::RaceLost, &RACE_MAPPING, "lost"),
    (Quirk::RaceLost, &RACE_ORDER, "lost"),
    (Quirk::RaceBusy, &RACE_ORDER, "busy"),
];

/// All violations, in the order of the rules.
pub fn violations() -> Vec<Violation> {
    let rows = rules::rows().flat_map(|rule| {
        let Answer::Refuse(errno) = rule.answer else {
            return vec![("refused", How::Answer(Answer::Refuse(other(rule.clause))), rule.clause)];
        };
        let wrong = ("errno", How::Answer(Answer::Refuse(other(rule.clause))), rule.clause);
        if rule.precedence {
            return vec![wrong];
        }
        let permitted = ("permitted", How::Answer(Answer::Proceed), rule.clause);
        vec![permitted, wrong, ("late", How::Late(errno), rule.clause)]
    });
    let quirks = QUIRKS.iter().map(|(quirk, clause, name)| (*name, How::Quirk(*quirk), *clause));
    let mut all: Vec<Violation> = Vec::new();
    let ways = Route::all()
        .flat_map(|route| route.clauses().iter().map(move |clause| (route.id(), way(route, clause), *clause)));
    for (name, how, clause) in rows.chain(quirks).chain(ways) {
        let id = format!("{clause}/{name}");
        // Two rows of one clause make one violation.
        if all.iter().all(|v| v.id != id) {
            all.push(Violation::new(id, clause, how, None));
        }
    }
    all
}

/// The opposite of the clause, for one route only: an allowed request is refused, or a refused request is allowed.
fn way(route: Route, clause: &Clause) -> How {
    let refusing = !clause.allows(None) || clause == &MOVER_DEFRAGMENT;
    How::Way(route, if refusing { Answer::Proceed } else { Answer::Refuse(other(clause)) })
}

/// An error that the clause does not allow, but that an implementation might return instead.
fn other(clause: &Clause) -> Errno {
    let candidates = [Errno::ETXTBSY, Errno::EPERM];
    candidates.into_iter().find(|errno| !clause.allows(Some(*errno))).unwrap_or(Errno::EIO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_clause_can_be_broken() {
        let all = violations();
        for clause in ALL.iter().filter(|clause| clause.uncased.is_none()) {
            assert!(all.iter().any(|v| v.clause == *clause), "{clause} has no violation");
        }
    }

    #[test]
    fn violations_have_names_of_their_own() {
        for (_, clause, name) in QUIRKS {
            assert_eq!(QUIRKS.iter().filter(|(_, c, n)| c == clause && n == name).count(), 1, "{clause}/{name}");
        }
    }
}
