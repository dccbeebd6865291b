//! Devices that have a mapping registered, and go on without it.

use super::holds::registered;
use crate::case::context::Context;
use crate::case::definition::{Case, case};
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Observed, Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, MapId, Reply, Route};

/// The cases of each device.
macro_rules! devices {
    ($($by:expr, $id:literal, $name:literal);* $(;)?) => {
        &[$(
            case(&AGENT_MEMORY, concat!("device_writes_", $id), concat!("read returns the data of a device: ", $name), |t| {
                writes(t, $by)
            }),
            case(
                &AGENT_MEMORY_SEES,
                concat!("device_sees_", $id),
                concat!("a device reads the data of a write: ", $name),
                |t| sees(t, $by),
            ),
            case(
                &AGENT_NEIGHBOURS,
                concat!("device_neighbours_", $id),
                concat!("data of a device do not reach another file after the name is removed: ", $name),
                |t| neighbours(t, $by),
            ),
            case(&WRITE_MAPPED, concat!("device_", $id), concat!("a mapping shows the data of a device: ", $name), |t| {
                mapped(t, $by)
            }),
            case(
                &REFUSE_PROMPT,
                concat!("registered_", $id),
                concat!("a refusal does not wait for a device, and the device continues: ", $name),
                |t| refusal(t, $by),
            ),
        )*]
    };
}

pub(super) static CASES: &[Case] = devices!(
    None, "ring", "io_uring";
    Some(Route::Rdma), "rdma", "RDMA";
);

fn stores(t: &Context, file: &File, registration: MapId, data: &[u8]) -> Result<(), Trouble> {
    t.setup(&Call::DeviceStore { registration, offset: file.at(0) as usize, data: data.into() }).map(drop)
}

/// Whether read(2) returns the data now, without and with O_DIRECT.
fn reads(t: &Context, file: &File, data: &[u8]) -> Seen {
    let cached = file.read(0, data.len() as i64)? == data;
    Ok(t.fact("read(2) returns what the device wrote", cached).and(file.holds(0, data)))
}

fn writes(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    let agent = file.agent()?;
    let registration = registered(&file, by)?;
    (0..2).try_fold(Observed::default(), |seen, number| {
        let data = pattern(50 + number, t.size());
        stores(t, &file, registration, &data)?;
        let seen = seen.and(reads(t, &file, &data)?);
        // In the first round the pages may be dirty for another reason. In the second round they are clean. A device of
        // persistent memory has nothing to write back.
        if !t.mechanism().is_always_on() {
            t.setup(&Call::Fsync { fd: file.fd() })?;
        }
        let found = agent.read(file.at(0), t.size() as usize)? == data;
        Ok(seen.and(t.fact("storage has what the device wrote", found)))
    })
}

fn sees(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    let registration = registered(&file, by)?;
    let data = pattern(52, t.size());
    t.given(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: data.clone() }, "no write to look for")?;
    let load = Call::DeviceLoad { registration, offset: file.at(0) as usize, len: data.len() };
    Ok(t.fact("the device reads what was written", t.setup(&load)? == Reply::Data(data)))
}

fn neighbours(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    let (registration, lead) = (registered(&file, by)?, file.at(0) as usize);
    t.given(&Call::Unlink { name: file.name() }, "the file keeps its name")?;
    file.close()?;
    let other = t.churn()?;
    t.setup(&Call::DeviceStore { registration, offset: lead, data: pattern(53, t.size()) })?;
    t.churn_intact(&other)
}

fn mapped(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    let (seen, map) = file.map(true, true)?;
    let Some(map) = map else { return Ok(seen) };
    let (_, registration) = file.register_mapping(map, by)?;
    let registration = registration.ok_or_else(|| Trouble::NotOffered("the file cannot be registered".into()))?;
    let data = pattern(54, BLOCK_LEN);
    stores(t, &file, registration, &data)?;
    let load = Call::Load { map, offset: file.at(0) as usize, len: data.len() };
    Ok(seen.and(t.fact("the mapping shows what the device wrote", t.setup(&load)? == Reply::Data(data))))
}

fn refusal(t: &Context, by: Option<Route>) -> Seen {
    let file = t.sealed()?;
    let registration = registered(&file, by)?;
    let call = Call::Ftruncate { fd: file.fd(), size: file.at(BLOCK_LEN) };
    let seen = super::refuse::at_once(t, &call, Err(Errno::ETXTBSY))?;
    let data = pattern(55, t.size());
    stores(t, &file, registration, &data)?;
    Ok(seen.and(reads(t, &file, &data)?))
}
