//! Whether a run meets its situation, and the effect of a situation on calls of the case.

use crate::case::context::Context;
use crate::mechanism::BLOCK_LEN;
use crate::situation::axes::{AXES, Access, Company, Holders, Names, Privilege, Situation};
use crate::system::CLOSED;
use crate::verdict::Trouble;
use iomap_clauses::{Clause, Errno, QUERY_SET_IGNORED, QUERY_UNSEALED, SWAP_SEAL, SWAP_UNSEALED, UNSEAL_AGAIN};
use iomap_reference::{Call, Caller, FLAG_APPEND, FLAG_IMMUTABLE, Fd, Route, XFLAG_APPEND, XFLAG_IMMUTABLE};
use iomap_results::Verdict;

/// The reason why a run says nothing about its situation.
#[derive(Clone, Debug)]
pub(crate) enum Unfit {
    /// The target does not offer a value, alone or beside the others.
    Offer(String),
    /// The target does not offer the case.
    Case(String),
    /// The case does not meet a value, or not beside the others.
    Values(String),
}

impl Unfit {
    /// The reason in words.
    pub(crate) fn why(&self) -> &str {
        match self {
            Self::Offer(why) | Self::Case(why) | Self::Values(why) => why,
        }
    }
}

impl Context<'_> {
    /// The caller of a call that is judged.
    pub(crate) fn caller(&self, call: &Call) -> Caller {
        let caller = match self.situation.caller {
            Privilege::All => return Caller::Privileged,
            _ if wants_privilege(call) => return Caller::Privileged,
            Privilege::None => Caller::Unprivileged,
            Privilege::Owner => Caller::Owner,
        };
        self.did(|done| done.caller = self.situation.caller);
        caller
    }

    /// The number of rounds in which a case looks for a moment. In a situation, many runs share the search.
    pub(crate) fn rounds(&self, plain: usize) -> usize {
        if self.situation.is_plain() { plain } else { plain.div_ceil(8) }
    }

    /// Parts of the file, as offset and length: whole blocks and not, short and long, at its borders. A descriptor with
    /// O_DIRECT reaches whole blocks only.
    pub(crate) fn ranges(&self) -> Vec<(i64, i64)> {
        let size = self.size();
        let all = [(0, BLOCK_LEN), (BLOCK_LEN, 2 * BLOCK_LEN), (BLOCK_LEN - 1, 2), (1, 1), (size - 1, 1), (0, size)];
        let reached = |number: i64| self.situation.access != Access::Direct || number % BLOCK_LEN == 0;
        let fits = |(offset, len): &(i64, i64)| offset + len <= size && reached(*offset) && reached(*len);
        all.into_iter().filter(fits).collect()
    }

    /// Notes that an axis had its effect.
    pub(super) fn did(&self, note: impl FnOnce(&mut Situation)) {
        let mut done = self.applied.get();
        note(&mut done);
        self.applied.set(done);
    }

    /// The reason why a run with this verdict says nothing about its situation, if there is one. A case that is violated,
    /// or ends by an error, before all of the situation is there has this verdict.
    pub(crate) fn unfit(&self, verdict: Verdict) -> Option<Unfit> {
        // A lack in the plain situation is a lack of the case: that is its verdict.
        if self.situation.is_plain() {
            return None;
        }
        let applied = self.applied.get();
        let missed = || self.situation.axes().find(|axis| applied.get(*axis) != self.situation.get(*axis));
        let without_effect = |axis: usize| match verdict {
            Verdict::Violated | Verdict::Error => None,
            Verdict::NotOffered | Verdict::NotReachable => Some(Unfit::Case(format!("the case is {verdict}"))),
            _ => Some(Unfit::Values(format!("the case does not meet the axis {}", AXES[axis].name))),
        };
        self.unfit.borrow().clone().or_else(|| missed().and_then(without_effect))
    }

    /// Notes that the situation does not fit the case.
    pub(in crate::case) fn does_not_fit(&self, why: &str) {
        self.is_unfit(Unfit::Values(why.to_owned()));
    }

    /// The first reason counts.
    fn is_unfit(&self, why: Unfit) {
        self.unfit.borrow_mut().get_or_insert(why);
    }

    /// Looks at a call of the case: some calls have another outcome in the situation, for a reason of their own.
    pub(in crate::case) fn concerns(&self, call: &Call) {
        if self.situation.is_plain() || self.preparing.get() {
            return;
        }
        if matches!(call, Call::Cycle | Call::CycleWith { .. } | Call::Remount { .. })
            && (self.situation.holders != Holders::None || self.situation.company == Company::Busy)
        {
            self.does_not_fit("the case unmounts the file system");
        }
        if self.situation.names == Names::Gone && names(call).iter().any(|name| self.gone.borrow().contains(name)) {
            self.does_not_fit("the case uses a name of the file");
        }
        if let Call::Close { fd } = call {
            // The number can be that of another file soon.
            self.opened.borrow_mut().retain(|opened| opened != fd);
        }
        if let Some(why) = of_access(self.situation.access, call, &self.opened.borrow()) {
            self.does_not_fit(why);
        }
        if self.situation.holders == Holders::Swap && is_refused_of_swap_files(call) {
            self.does_not_fit(
                "Linux neither maps an active swap file for stores nor copies it (do_mmap, generic_copy_file_checks)",
            );
        }
    }

    /// A descriptor beside the one of the situation. Notes that the case does not fit if it is closed.
    pub(in crate::case) fn further(&self, fd: Fd) -> Fd {
        if fd == CLOSED {
            self.does_not_fit("the case uses another descriptor");
        }
        fd
    }

    /// Notes that the case takes the file out of the state.
    pub(in crate::case) fn leaves(&self) {
        let held = !matches!(self.situation.holders, Holders::None | Holders::Descriptor);
        if held && !self.bears_holders() {
            self.does_not_fit("a file that is held stays in the state");
        }
    }

    /// Looks at an outcome that the case needs.
    pub(in crate::case) fn failed(&self, errno: Errno) {
        let wants_space = match self.situation.company {
            Company::Full => errno == Errno::ENOSPC,
            Company::Limited => errno == Errno::EDQUOT,
            _ => false,
        };
        if wants_space && self.accompanied.get() {
            self.does_not_fit("the case needs space");
        }
    }

    /// Makes a step of the preparation. If the target does not offer it, the situation is unfit.
    pub(in crate::case) fn step<T>(&self, step: impl FnOnce() -> Result<T, Trouble>) -> Result<T, Trouble> {
        let before = self.preparing.replace(true);
        let done = step();
        self.preparing.set(before);
        done.inspect_err(|trouble| {
            if let Trouble::NotOffered(why) | Trouble::NotReachable(why) = trouble {
                self.is_unfit(Unfit::Offer(why.clone()));
            }
        })
    }

    /// Whether the case is about a call that changes no state.
    pub(super) fn bears_holders(&self) -> bool {
        const CLAUSES: [&Clause; 5] = [&UNSEAL_AGAIN, &QUERY_UNSEALED, &QUERY_SET_IGNORED, &SWAP_SEAL, &SWAP_UNSEALED];
        self.clause.is_some_and(|clause| self.is_about_a_refusal() || CLAUSES.contains(&clause))
    }

    /// Whether the case is about a call to seal or unseal that is refused.
    fn is_about_a_refusal(&self) -> bool {
        self.clause.is_some_and(|clause| matches!(clause.family(), "seal" | "unseal") && !clause.ok)
    }

    /// Whether the situation is another reason for the error of a call to seal or unseal (rule.either).
    pub(in crate::case) fn is_other_reason(&self, errno: Errno) -> bool {
        let held = !matches!(self.applied.get().holders, Holders::None | Holders::Descriptor);
        errno == Errno::EBUSY && held && self.is_about_a_refusal()
    }
}

/// Whether a call needs a capability.
fn wants_privilege(call: &Call) -> bool {
    match call {
        Call::Fallocate { mode, .. } => mode.changes_state(),
        Call::ChangeFlags { set, clear, .. } | Call::ChangeXflags { set, clear, .. } => {
            (set | clear) & (FLAG_IMMUTABLE | FLAG_APPEND | XFLAG_IMMUTABLE | XFLAG_APPEND) != 0
        }
        // The route mounts a file system.
        Call::Via { route: Route::Overlay, .. } => true,
        Call::Via { call, .. } | Call::Watched { call, .. } => wants_privilege(call),
        Call::Swapon { .. } | Call::Swapoff { .. } | Call::Pin { .. } | Call::Collect | Call::Snapshot => true,
        Call::Shrink { .. } | Call::RemoveDevice | Call::ReplaceDevice | Call::Defragment { .. } => true,
        Call::Cycle | Call::CycleWith { .. } | Call::Remount { .. } | Call::Chown { .. } => true,
        _ => false,
    }
}

/// The names in the arguments of a call.
fn names(call: &Call) -> Vec<String> {
    match call {
        Call::Open { name, .. } | Call::Truncate { name, .. } | Call::Unlink { name } => vec![name.clone()],
        Call::Chmod { name, .. } | Call::Chown { name, .. } | Call::Utimes { name, .. } => vec![name.clone()],
        Call::SetXattr { name, .. } | Call::RemoveXattr { name, .. } => vec![name.clone()],
        Call::Statx { name, .. } | Call::AtomicMax { name } => vec![name.clone()],
        Call::Rename { from, to, .. } | Call::RenameNew { from, to } | Call::Link { from, to } => {
            vec![from.clone(), to.clone()]
        }
        Call::LinkFd { to, .. } => vec![to.clone()],
        Call::Watched { name, call } => [vec![name.clone()], names(call)].concat(),
        Call::Via { call, .. } => names(call),
        _ => Vec::new(),
    }
}

/// Whether Linux refuses a call on an active swap file that the reference makes.
fn is_refused_of_swap_files(call: &Call) -> bool {
    match call {
        Call::Via { call, .. } | Call::Watched { call, .. } => is_refused_of_swap_files(call),
        Call::Map { shared, write, .. } => *shared && *write,
        Call::CopyRange { .. } => true,
        _ => false,
    }
}

/// The reason why a call through one of these descriptors has another outcome than through a plain one.
fn of_access(access: Access, call: &Call, opened: &[Fd]) -> Option<&'static str> {
    let block = |number: i64| number % BLOCK_LEN == 0;
    let is = |fd: &Fd| opened.contains(fd);
    let reads = match call {
        Call::Via { call, .. } | Call::Watched { call, .. } | Call::PowerLoss { during: Some(call) } => {
            return of_access(access, call, opened);
        }
        Call::PowerLossAfter { begun, call } => {
            return of_access(access, begun, opened).or_else(|| of_access(access, call, opened));
        }
        Call::Map { fd, .. } | Call::Read { fd, .. } | Call::Pread { fd, .. } => is(fd),
        Call::CopyRange { from, .. } | Call::Clone { from, .. } | Call::CloneRange { from, .. } => is(from),
        Call::Dedupe { from, .. } => is(from),
        Call::Exchange { one, other } => is(one) || is(other),
        Call::Defragment { fd } => is(fd),
        _ => false,
    };
    let writes = match call {
        Call::Pwrite { fd, .. } | Call::Pwritev { fd, .. } | Call::PwriteLimited { fd, .. } => is(fd),
        Call::PwriteAtomic { fd, .. } | Call::Write { fd, .. } => is(fd),
        Call::CopyRange { to, .. } | Call::Clone { to, .. } | Call::CloneRange { to, .. } => is(to),
        Call::Dedupe { to, .. } => is(to),
        // XFS exchanges nothing with a file that only grows, sealed or not.
        Call::Exchange { one, other } => is(one) || is(other),
        Call::Defragment { fd } => is(fd),
        _ => false,
    };
    let changes = match call {
        Call::Ftruncate { fd, .. } | Call::Fallocate { fd, .. } | Call::Map { fd, shared: true, write: true, .. } => {
            is(fd)
        }
        _ => writes,
    };
    let aligned = match call {
        Call::Pwrite { offset, data, .. } | Call::PwriteLimited { offset, data, .. } => {
            block(*offset) && block(data.len() as i64)
        }
        Call::Write { data, .. } => block(data.len() as i64),
        Call::CopyRange { from_offset, to_offset, len, .. } => {
            block(*from_offset) && block(*to_offset) && block(*len as i64)
        }
        Call::Read { .. } | Call::Pread { .. } | Call::Pwritev { .. } => false,
        _ => true,
    };
    let at_offset = matches!(call, Call::Read { fd, .. } | Call::Write { fd, .. } if is(fd));
    match access {
        Access::Offset if at_offset => Some("the case uses the offset of the descriptor"),
        Access::WriteOnly if reads => Some("the descriptor is not open for reading"),
        Access::ReadOnly if changes => Some("the descriptor is not open for writing"),
        Access::Append if writes => Some("the descriptor writes at the end only"),
        Access::Direct if (reads || writes) && !aligned => Some("the descriptor reads and writes whole blocks"),
        _ => None,
    }
}
