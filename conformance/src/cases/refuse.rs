use super::holds::{pinned, registered};
use super::seal::each;
use crate::case::context::Context;
use crate::case::definition::{Case, case};
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{Call, Fd, Mode, Route};
use nix::fcntl::OFlag;
use std::time::Duration;

/// Makes a call that must come to this, which other clauses say, and must not wait for anything. On a slow machine a call
/// takes seconds without waiting, but less than the patience with one that waits, after which its hold is ended.
pub(super) fn at_once(t: &Context, call: &Call, expected: Result<(), Errno>) -> Seen {
    let (came, time) = t.attempt_beside_registrations(call)?;
    let (came, is_prompt) = (came.map(drop), time < AT_ONCE.max(t.patience() * 4 / 5));
    // A call that has waited may come to anything, because the hold has ended since.
    if is_prompt && came != expected {
        let came = came.map_or_else(words::failure, |()| "ok".into());
        return Err(Trouble::NotOffered(format!("{call} = {came}")));
    }
    Ok(t.fact(&format!("{call} returns at once"), is_prompt))
}

/// Sealing and unsealing of files that are held.
fn busy(t: &Context, hold: impl Fn(&File) -> Result<(), Trouble>) -> Seen {
    let file = t.file("unsealed", t.size())?;
    hold(&file)?;
    let seen = at_once(t, &file.enter_call()?, Err(Errno::EBUSY))?;
    let file = t.sealed()?;
    hold(&file)?;
    Ok(seen.and(at_once(t, &file.leave_call()?, Err(Errno::EBUSY))?))
}

/// Calls on a sealed file and another one that must be refused while a device has a mapping of the sealed file.
fn refused_while_pinned(t: &Context, calls: impl Fn(&File, &File) -> Vec<Call>) -> Seen {
    let (file, other) = (t.sealed()?, t.beside("other", t.size())?);
    pinned(&file)?;
    each(&calls(&file, &other), |call| at_once(t, call, Err(Errno::ETXTBSY)))
}

/// Opens a file that is open nowhere else, with a lease whose holder never answers.
pub(super) fn leased(t: &Context, name: &str) -> Result<Fd, Trouble> {
    leased_with(t, name, OFlag::O_RDWR)
}

/// A descriptor that is open with these flags, and has a lease.
fn leased_with(t: &Context, name: &str, flags: OFlag) -> Result<Fd, Trouble> {
    let holder = t.open(name, flags)?;
    t.given(&Call::SetLease { fd: holder, on: true }, "no leases")?;
    Ok(holder)
}

/// The observations with a descriptor that has a lease, for plain descriptors and others. The file is not open otherwise.
pub(super) fn each_lease(t: &Context, name: &str, see: impl Fn(Fd) -> Seen) -> Seen {
    let with = [OFlag::empty(), OFlag::O_APPEND, OFlag::O_DIRECT, OFlag::O_DSYNC].map(|flag| OFlag::O_RDWR | flag);
    each(&[&with[..], &[OFlag::O_WRONLY]].concat(), |flags| {
        let holder = leased_with(t, name, *flags)?;
        let seen = see(holder)?;
        t.close(holder)?;
        Ok(seen)
    })
}

/// The fact that nobody has asked for the lease.
pub(super) fn is_leased(t: &Context, holder: Fd) -> Seen {
    Ok(t.fact("nobody has asked for the lease", t.setup_number(&Call::GetLease { fd: holder })? == 1))
}

/// Far more than a call needs, far less than an agent can hold a file.
const AT_ONCE: Duration = Duration::from_secs(1);

pub(super) static CASES: &[Case] = &[
    case(&REFUSE_PROMPT, "while_mapped", "a refusal does not wait for a process that has the file mapped", |t| {
        let file = t.sealed()?;
        // If the file cannot be mapped, there is one thing less to wait for.
        let _ = file.map(true, true)?;
        at_once(t, &Call::Ftruncate { fd: file.fd(), size: file.at(BLOCK_LEN) }, Err(Errno::ETXTBSY))
    }),
    case(&REFUSE_PROMPT, "while_leased", "a refusal neither waits for a lease nor breaks it", |t| {
        t.needs_seal("answer before the lease: Linux asks for it, and waits, before it finds a swap file")?;
        let file = t.sealed()?;
        let (name, size) = (file.name(), file.at(BLOCK_LEN));
        file.close()?;
        each_lease(t, &name, |holder| {
            let calls = [
                Call::Ftruncate { fd: holder, size },
                Call::Truncate { name: name.clone(), size },
                Call::Open { name: name.clone(), flags: OFlag::O_WRONLY | OFlag::O_TRUNC, mode: 0 },
            ];
            let seen = each(&calls, |call| at_once(t, call, Err(Errno::ETXTBSY)))?;
            Ok(seen.and(is_leased(t, holder)?))
        })
    }),
    case(
        &REFUSE_PROMPT,
        "changes_pinned",
        "a refused change of the size or the storage does not wait for a device that has a mapping",
        |t| {
            refused_while_pinned(t, |file, _| {
                let call = |mode, offset| Call::Fallocate { fd: file.fd(), mode, offset, len: BLOCK_LEN };
                let modes =
                    [Mode::PUNCH_HOLE | Mode::KEEP_SIZE, Mode::ZERO_RANGE, Mode::COLLAPSE_RANGE, Mode::INSERT_RANGE];
                let beyond = [Mode::ALLOCATE, Mode::KEEP_SIZE].map(|mode| call(mode, file.at(t.size())));
                let truncate = |size| Call::Ftruncate { fd: file.fd(), size: file.at(size) };
                let truncations = [t.size() / 2, 2 * t.size()].map(truncate);
                modes.map(|mode| call(mode, file.at(0))).into_iter().chain(beyond).chain(truncations).collect()
            })
        },
    ),
    case(
        &REFUSE_PROMPT,
        "sharing_pinned",
        "refused cloning and deduplication do not wait for a device that has a mapping",
        |t| {
            t.needs_sharing()?;
            refused_while_pinned(t, |file, other| {
                let clone = |from: &File, to: &File| Call::Clone { from: from.fd(), to: to.fd() };
                let (from, from_offset) = (file.fd(), file.at(0));
                let dedupe = Call::Dedupe { from, from_offset, to: other.fd(), to_offset: 0, len: BLOCK_LEN as usize };
                vec![clone(file, other), clone(other, file), dedupe]
            })
        },
    ),
    case(&REFUSE_PROMPT, "exchange_pinned", "a refused exchange does not wait for a device that has a mapping", |t| {
        t.reach(&Call::Exchange { one: 0, other: 0 })?;
        refused_while_pinned(t, |file, other| {
            let call = Call::Exchange { one: file.fd(), other: other.fd() };
            let range = call.clone().via(Route::XfsExchange);
            [call].into_iter().chain(t.reach(&range).is_ok().then_some(range)).collect()
        })
    }),
    case(
        &REFUSE_BUSY,
        "busy_mapped",
        "sealing and unsealing do not wait for a process that has the file mapped",
        |t| busy(t, |file| file.map(true, true).map(drop)),
    ),
    case(&REFUSE_BUSY, "busy_registered", "sealing and unsealing do not wait for a device", |t| {
        busy(t, |file| registered(file, None).map(drop))
    }),
    case(&REFUSE_BUSY, "busy_pinned", "sealing and unsealing do not wait for a device that has a mapping", |t| {
        busy(t, pinned)
    }),
    case(
        &REFUSE_NOTHING,
        "several_in_a_row",
        "refused calls of every kind, one after the other, change nothing",
        |t| {
            let other = t.churn()?;
            let file = t.sealed()?;
            let crossing = Call::Write { fd: file.fd(), data: pattern(9, t.size() + file.at(BLOCK_LEN)) };
            let seen = file.truncate(BLOCK_LEN)?;
            let seen = seen.and(file.refused(&crossing)?);
            let seen = seen.and(file.fallocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, 0, BLOCK_LEN)?);
            let seen = seen.and(file.fallocate(Mode::KEEP_SIZE, t.size(), BLOCK_LEN)?);
            let byte = Call::Pwrite { fd: file.fd(), offset: file.at(t.size()), data: vec![1] };
            let seen = seen.and(file.refused(&byte)?);
            Ok(refusals(seen)?.and(t.churn_intact(&other)?))
        },
    ),
    case(
        &REFUSE_NOTHING,
        "changes_in_a_row",
        "refused changes of the size and the storage, one after the other, change nothing",
        |t| {
            let other = t.churn()?;
            let (file, size) = (t.sealed()?, t.size());
            let truncations = each(&[size - 1, size + 1, 2 * size], |size| file.truncate(*size))?;
            let holes = [(0, BLOCK_LEN), (size.min(BLOCK_LEN) - 1, 2), (10 * size, BLOCK_LEN)];
            let punched =
                each(&holes, |(offset, len)| file.fallocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, *offset, *len))?;
            let ends = [(size, 1), (size, 16 * BLOCK_LEN), (10 * size, BLOCK_LEN)];
            let allocated = each(&ends, |(offset, len)| file.fallocate(Mode::KEEP_SIZE, *offset, *len))?;
            Ok(refusals(truncations.and(punched).and(allocated))?.and(t.churn_intact(&other)?))
        },
    ),
];

/// The observations of calls that fail with ETXTBSY. The clause is about these; other clauses say which calls do.
fn refusals(seen: Observed) -> Seen {
    let refusals: Vec<_> = seen.0.into_iter().filter(|one| one.outcome == Some(Some(Errno::ETXTBSY))).collect();
    if refusals.is_empty() {
        return Err(Trouble::NotOffered("no call fails with ETXTBSY".into()));
    }
    Ok(Observed(refusals))
}
