//! Calls that change nothing about a sealed file: they wait for nothing, need nothing and leave all as it is.

use super::refuse::at_once;
use super::seal::each;
use super::write::owner_at_limit;
use crate::case::context::Context;
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Seen, Trouble};
use crate::words;
use iomap_clauses::Errno;
use iomap_reference::{Call, Caller};

/// The calls on a file. Other clauses say that they succeed.
type Make = fn(&File) -> Result<Vec<Call>, Trouble>;

/// The call while a hold exists that does not end.
pub(super) fn while_held(t: &Context, make: Make, hold: impl Fn(&File) -> Result<(), Trouble>) -> Seen {
    let file = t.sealed()?;
    hold(&file)?;
    each(&make(&file)?, |call| at_once(t, call, Ok(())))
}

/// The call on a full file system.
pub(super) fn when_full(t: &Context, make: Make) -> Seen {
    let file = t.sealed()?;
    let calls = make(&file)?;
    calls.iter().try_for_each(|call| t.given(call, "not before the file system is full either"))?;
    t.full()?;
    each(&calls, |call| t.observe(call))
}

/// The call for a user who may take no more space.
pub(super) fn at_limit(t: &Context, make: Make) -> Seen {
    let (file, _ordinary) = owner_at_limit(t)?;
    each(&make(&file)?, |call| {
        let seen = t.observe_as(Caller::Unprivileged, call)?;
        let failed = seen.0.iter().find(|one| !one.ordinary).and_then(|one| one.outcome.flatten());
        match failed {
            None | Some(Errno::EDQUOT | Errno::ENOSPC) => Ok(seen),
            Some(errno) => Err(Trouble::NotOffered(format!("{call} fails with {}", words::name(errno)))),
        }
    })
}

/// The call after an agent has stored in the last block, before and behind the end of the file.
pub(super) fn beside_an_agent(t: &Context, make: Make) -> Seen {
    let size = t.ragged();
    let file = t.sealed_file("file", size)?;
    let (calls, agent) = (make(&file)?, file.agent()?);
    let (last, data) = (file.at((size - 1) / BLOCK_LEN * BLOCK_LEN), pattern(98, BLOCK_LEN));
    agent.write(last, &data)?;
    for call in &calls {
        t.given(call, "no such call succeeds")?;
        // The caller of the situation may be another one.
        t.observe(call)?;
    }
    t.setup(&Call::Fsync { fd: file.fd() })?;
    Ok(t.fact("the storage has what the agent stored", agent.read(last, data.len())? == data))
}
