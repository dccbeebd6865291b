use super::seal::{make_closed, succeeded};
use super::{Case, alone, case};
use crate::context::{Context, Effect, File, SIZE};
use crate::verdict::Seen;
use iomap_clauses::*;
use iomap_reference::{Call, Caller, Fd, XFLAG_NODUMP};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&QUERY_SEALED, "sealed", "the query shows a sealed file as sealed", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        shows(t, &file, file.fd(), true)
    }),
    case(&QUERY_UNSEALED, "unsealed", "the query shows an unsealed file as not sealed", |t| {
        t.needs_query()?;
        let file = t.file("file", SIZE)?;
        shows(t, &file, file.fd(), false)
    }),
    case(&QUERY_READONLY, "readonly", "the query works on a descriptor for reading", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        shows(t, &file, file.reader(), true)
    }),
    case(&QUERY_UNPRIVILEGED, "unprivileged", "the query works without privilege", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        t.observe_as(Caller::Unprivileged, &Call::GetXflags { fd: file.fd() })
    }),
    alone(&QUERY_READONLY_MOUNT, "readonly_mount", "the query works on a read-only mount", |t| {
        t.needs_query()?;
        make_closed(t, "file")?;
        t.read_only_mount()?;
        let fd = t.open("file", OFlag::O_RDONLY)?;
        t.observe(&Call::GetXflags { fd })
    }),
    case(&QUERY_SET, "set", "setting the bit is refused", |t| {
        let bit = t.needs_query()?;
        let file = t.file("file", SIZE)?;
        file.refused(&Call::ChangeXflags { fd: file.fd(), set: bit, clear: 0 })
    }),
    case(&QUERY_CLEAR, "clear", "clearing the bit is refused", |t| {
        let bit = t.needs_query()?;
        let file = t.sealed()?;
        file.refused(&Call::ChangeXflags { fd: file.fd(), set: 0, clear: bit })
    }),
    case(&QUERY_OTHERS, "others", "changing another attribute leaves the state alone", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        let set = file.act(&Call::ChangeXflags { fd: file.fd(), set: XFLAG_NODUMP, clear: 0 }, Effect::Times)?;
        let clear = Call::ChangeXflags { fd: file.fd(), set: 0, clear: XFLAG_NODUMP };
        Ok(set.and(file.act(&clear, Effect::Times)?))
    }),
];

/// The query works through a descriptor, and shows what it has to.
fn shows(t: &Context, file: &File, fd: Fd, sealed: bool) -> Seen {
    let seen = t.observe(&Call::GetXflags { fd })?;
    if !succeeded(&seen) {
        return Ok(seen);
    }
    let what = if sealed { "the state is shown" } else { "the state is not shown" };
    Ok(seen.and(t.fact(what, file.state(fd)? == sealed)))
}
