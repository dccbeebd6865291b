use super::refuse::{at_once, each_lease, is_leased};
use super::seal::{each, succeeded};
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::File;
use crate::mechanism::Mechanism;
use crate::verdict::{Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, MapId, Route};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&HOLD_REGISTER, "register", "a mapping of a sealed file can be registered for a device", |t| {
        register(t, None)
    }),
    case(&HOLD_REGISTER, "register_rdma", "a mapping of a sealed file can be registered with an RDMA adapter", |t| {
        register(t, RDMA)
    }),
    case(&HOLD_REFUSAL, "refusal", "a registration that is refused fails at once with a documented error", |t| {
        register(t, None)
    }),
    case(
        &HOLD_REFUSAL,
        "refusal_rdma",
        "a registration that an RDMA adapter refuses fails at once with a documented error",
        |t| register(t, RDMA),
    ),
    case(&HOLD_REGISTRATION, "unseal", "a registered file stays sealed, even after the mapping is gone", |t| {
        unseal(t, None)
    }),
    case(
        &HOLD_REGISTRATION,
        "unseal_rdma",
        "a file that is registered with an RDMA adapter stays sealed, even after the mapping is gone",
        |t| unseal(t, RDMA),
    ),
    case(
        &HOLD_REGISTRATION,
        "unseal_rdma_reader",
        "a file that an RDMA adapter can read stays sealed, even after the mapping is gone",
        |t| {
            let file = t.sealed()?;
            readable(t, &file)?;
            file.refused(&file.leave_call()?)
        },
    ),
    case(&HOLD_REGISTRATION, "seal", "a registered file cannot be sealed", |t| seal(t, None)),
    case(&HOLD_REGISTRATION, "seal_rdma", "a file that is registered with an RDMA adapter cannot be sealed", |t| {
        seal(t, RDMA)
    }),
    alone(&HOLD_UNMOUNT, "unmount", "a file system is not unmounted while a removed file of it is registered", |t| {
        unmount(t, |file| registered(file, None))
    }),
    alone(
        &HOLD_UNMOUNT,
        "unmount_rdma_reader",
        "a file system is not unmounted while an RDMA adapter can read a removed file",
        |t| unmount(t, |file| readable(t, file)),
    ),
    case(&HOLD_LEASE, "lease", "sealing and unsealing neither wait for a lease nor break it", |t| {
        if t.mechanism() == Mechanism::Swapfile {
            return Err(Trouble::NotOffered("swapon(2) opens the file, which asks for the lease".into()));
        }
        let file = t.file("file", t.size())?;
        let (name, size) = (file.name(), file.at(t.size()));
        file.close()?;
        each_lease(t, &name, |holder| {
            let calls = [t.mechanism().enter(holder, size)?, t.mechanism().leave(holder, size)?];
            each(&calls, |call| {
                let seen = at_once(t, call, Ok(()))?;
                Ok(seen.and(is_leased(t, holder)?))
            })
        })
    }),
    case(&HOLD_CLOSE, "open_elsewhere", "an open descriptor does not keep a file sealed", |t| {
        let file = t.sealed()?;
        t.open(&file.name(), OFlag::O_RDONLY)?;
        let seen = t.observe(&file.leave_call()?)?;
        if !succeeded(&seen) {
            return Ok(seen);
        }
        let shrink = Call::Ftruncate { fd: file.fd(), size: file.at(t.size() / 2) };
        Ok(seen.and(t.fact("the file can be cut", t.attempt(&shrink)?.is_ok())))
    }),
];

const RDMA: Option<Route> = Some(Route::Rdma);

fn unmount(t: &Context, register: impl Fn(&File) -> Result<MapId, Trouble>) -> Seen {
    t.reach(&Call::Cycle)?;
    let file = t.sealed()?;
    let registration = register(&file)?;
    t.given(&Call::Unlink { name: file.name() }, "the file keeps its name")?;
    file.close()?;
    let seen = t.observe(&Call::Cycle)?;
    if succeeded(&seen) {
        return Ok(seen);
    }
    t.setup(&Call::Unregister { registration })?;
    let after = t.eventually(|| Ok(t.attempt(&Call::Cycle)?.is_ok()))?;
    Ok(seen.and(t.fact("it is unmounted after the registration has ended", after)))
}

/// Registers a mapping for reading. Its pages are there before and were stored to, so that the kernel can take them in
/// the fast way (gup_fast): it takes no others for reading (gup_must_unshare).
fn readable(t: &Context, file: &File) -> Result<MapId, Trouble> {
    let (_, map) = file.map(true, true)?;
    let map = map.ok_or_else(|| Trouble::NotOffered("no shared mapping to register".into()))?;
    let (offset, len) = (file.at(0) as usize, t.size() as usize);
    let data = t.setup_data(&Call::Load { map, offset, len })?;
    t.given(&Call::Store { map, offset, data }, "no store to a shared mapping")?;
    let (_, registration) = file.register_mapping(map, Some(Route::RdmaRead))?;
    t.setup(&Call::Unmap { map })?;
    registration.ok_or_else(|| Trouble::NotOffered("a mapping for reading cannot be registered".into()))
}

/// Registers a file alone, and beside a registration of a part, a mapping for reading and a registration for reading.
fn register(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    let (seen, registration) = file.register(by)?;
    if registration.is_none() {
        return Ok(seen);
    }
    let part = Call::Map { fd: file.fd(), len: BLOCK, shared: true, write: true };
    let (mapped, map) = file.map_by(&part)?;
    let Some(map) = map else { return Ok(seen.and(mapped)) };
    let seen = seen.and(file.register_mapping(map, by)?.0).and(file.register(by)?.0);
    file.map(true, false)?;
    let seen = seen.and(file.register(by)?.0);
    match readable(t, &file) {
        Ok(_) => Ok(seen.and(file.register(by)?.0)),
        Err(Trouble::NotOffered(_)) => Ok(seen),
        Err(other) => Err(other),
    }
}

fn unseal(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    registered(&file, by)?;
    file.refused(&file.leave_call()?)
}

fn seal(t: &Context, by: Option<Route>) -> Seen {
    let file = t.file("file", t.size())?;
    registered(&file, by)?;
    file.refused(&file.enter_call()?)
}

/// Registers a mapping that stays: some kernels look for the pins of a file only as long as it is mapped.
pub(super) fn pinned(file: &File) -> Result<(), Trouble> {
    let (_, map) = file.map(true, true)?;
    let map = map.ok_or_else(|| Trouble::NotOffered("no shared writable mapping to register".into()))?;
    let (_, registration) = file.register_mapping(map, None)?;
    registration.map(drop).ok_or_else(|| Trouble::NotOffered("the mapping cannot be registered".into()))
}

/// Registers the file with a device. The mapping for that is gone afterwards.
pub(super) fn registered(file: &File, by: Option<Route>) -> Result<MapId, Trouble> {
    let (seen, registration) = file.register(by)?;
    let errno = seen.0.first().and_then(|one| one.outcome.flatten());
    let why = errno.map_or(String::new(), |errno| format!(": {}", words::name(errno)));
    registration.ok_or_else(|| Trouble::NotOffered(format!("the file cannot be registered{why}")))
}
