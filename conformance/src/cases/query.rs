use super::meanwhile;
use super::seal::{closed, each, succeeded};
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::{Effect, File};
use crate::system::System;
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{Call, Caller, FLAG_APPEND, Fd, Reply, Route, XFLAG_APPEND, XFLAG_NODUMP, XFLAG_SEALED};
use nix::fcntl::OFlag;

/// `FS_NODUMP_FL` of FS_IOC_SETFLAGS.
const FLAG_NODUMP: u32 = 0x40;

pub(super) static CASES: &[Case] = &[
    case(&QUERY_SEALED, "sealed", "the query shows a sealed file as sealed", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        shows(t, file.fd(), true)
    }),
    case(&QUERY_SEALED, "meanwhile", "a sealed file is shown as sealed after any other call, refused or not", |t| {
        t.needs_query()?;
        meanwhile::after_each_call(t, &|name| t.sealed_as(name), &|file, when| {
            Ok(t.fact(&format!("the file is shown as sealed {when}"), file.state(file.fd())?))
        })
    }),
    case(&QUERY_UNSEALED, "unsealed", "the query shows an unsealed file as not sealed", |t| {
        t.needs_query()?;
        let file = t.file("file", t.size())?;
        shows(t, file.fd(), false)
    }),
    case(&QUERY_STATX, "statx", "statx shows a sealed file as sealed, without privilege and by each name", |t| {
        let bit = t.needs_statx()?;
        let file = t.sealed()?;
        let linked = "another-name".to_owned();
        // Not every mechanism lets a file in the state have another name.
        let again = t.attempt(&Call::Link { from: file.name(), to: linked.clone() })?.is_ok();
        let names = [file.name(), linked];
        each(&names[..1 + usize::from(again)], |name| statx_shows(t, name, false, bit, true))
    }),
    case(&QUERY_STATX, "statx_again", "statx shows a file as sealed that was sealed for the second time", |t| {
        let bit = t.needs_statx()?;
        let file = t.sealed()?;
        t.setup(&file.leave_call()?)?;
        t.setup(&file.enter_call()?)?;
        statx_shows(t, &file.name(), false, bit, true)
    }),
    case(&QUERY_STATX, "statx_unsealed", "statx shows neither an unsealed file nor a directory as sealed", |t| {
        let bit = t.needs_statx()?;
        let file = t.file("unsealed", t.size())?;
        let left = t.sealed_as("left")?;
        t.setup(&left.leave_call()?)?;
        let directory = "directory".to_owned();
        t.setup(&Call::Mkdir { name: directory.clone(), mode: 0o700 })?;
        each(&[file.name(), left.name(), directory, ".".into()], |name| statx_shows(t, name, false, bit, false))
    }),
    alone(&QUERY_STATX, "statx_readonly_mount", "statx shows a sealed file as sealed on a read-only mount", |t| {
        let bit = t.needs_statx()?;
        let file = t.sealed_as("file")?;
        let name = file.name();
        file.close()?;
        t.read_only_mount()?;
        statx_shows(t, &name, false, bit, true)
    }),
    case(&QUERY_STATX_MASK, "statx_mask", "the mask of statx has the bit for files and directories", |t| {
        let bit = t.needs_statx()?;
        let (sealed, file) = (t.sealed()?, t.file("unsealed", t.size())?);
        each(&[sealed.name(), file.name(), ".".into()], |name| statx_shows(t, name, true, bit, true))
    }),
    alone(&QUERY_STATX_MASK, "statx_mask_readonly", "the mask of statx has the bit on a read-only mount", |t| {
        let bit = t.needs_statx()?;
        let name = closed(t)?;
        t.read_only_mount()?;
        each(&[name, ".".into()], |name| statx_shows(t, name, true, bit, true))
    }),
    case(&QUERY_STATX_MASK, "statx_mask_elsewhere", "the mask of statx is clear where no file can be sealed", |t| {
        let bit = t.needs_statx()?;
        t.given(&Call::Statx { name: "/proc/self/stat".into(), mask: true }, "no other file system")?;
        each(&["/proc", "/proc/self/stat"], |name| statx_shows(t, name, true, bit, false))
    }),
    case(
        &QUERY_FILE_GETATTR,
        "file_getattr",
        "file_getattr shows a sealed file as sealed and an unsealed one as not",
        |t| {
            let bit = t.needs_query()?;
            let query = |file: &File| Call::GetXflags { fd: file.reader() }.via(Route::FileGetattr);
            let file = t.file("unsealed", t.size())?;
            t.given(&query(&file), "no such call")?;
            let sealed = t.sealed()?;
            each(&[(&file, false), (&sealed, true)], |(file, state)| {
                let seen = t.observe(&query(file))?;
                if !succeeded(&seen) {
                    return Ok(seen);
                }
                let what = format!("it shows the state of {}", file.name());
                Ok(seen.and(shown(t, t.caller(&query(file)), &query(file), (bit.into(), *state), &what)))
            })
        },
    ),
    case(&QUERY_READONLY, "readonly", "the query works on a descriptor for reading", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        each(&file.readers()?, |fd| shows(t, *fd, true))
    }),
    case(&QUERY_UNPRIVILEGED, "unprivileged", "the query works without privilege", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        shows_to(t, Caller::Unprivileged, file.fd(), true)
    }),
    alone(&QUERY_READONLY_MOUNT, "readonly_mount", "the query works on a read-only mount", |t| {
        t.needs_query()?;
        let file = t.sealed_as("file")?;
        file.close()?;
        t.read_only_mount()?;
        let fd = t.open("file", OFlag::O_RDONLY)?;
        shows(t, fd, true)
    }),
    case(&QUERY_SET_IGNORED, "set", "setting the bit with FS_IOC_FSSETXATTR is ignored", |t| {
        let bit = t.needs_query()?;
        let file = t.file("file", t.size())?;
        let seen = file.act(&Call::ChangeXflags { fd: file.fd(), set: bit, clear: 0 }, Effect::Times)?;
        Ok(seen.and(t.fact("the file is not shown as sealed", !file.state(file.fd())?)))
    }),
    case(&QUERY_CLEAR_IGNORED, "clear", "clearing the bit with FS_IOC_FSSETXATTR is ignored", |t| {
        let bit = t.needs_query()?;
        let file = t.sealed()?;
        let seen = file.act(&Call::ChangeXflags { fd: file.fd(), set: 0, clear: bit }, Effect::Times)?;
        Ok(seen.and(t.fact("the file is shown as sealed", file.state(file.fd())?)))
    }),
    case(&QUERY_OTHERS, "others", "changing another attribute does not change the state", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        let before = xflags(t, &file)?;
        let call = Call::ChangeXflags { fd: file.fd(), set: XFLAG_NODUMP, clear: 0 };
        let set = file.act(&call, Effect::Times)?;
        if !succeeded(&set) {
            return Ok(set);
        }
        let again = file.act(&call, Effect::Times)?;
        let set = set.and(again).and(t.fact("nothing but it is set", xflags(t, &file)? == before | XFLAG_NODUMP));
        let clear = Call::ChangeXflags { fd: file.fd(), set: 0, clear: XFLAG_NODUMP };
        Ok(set
            .and(file.act(&clear, Effect::Times)?)
            .and(t.fact("nothing but it is clear", xflags(t, &file)? == before)))
    }),
    alone(
        &QUERY_OTHERS,
        "others_remounted",
        "a change of another attribute leaves the state after the next mount",
        |t| {
            let bit = t.needs_query()?;
            t.reach(&Call::Cycle)?;
            let file = t.sealed()?;
            t.given(&Call::ChangeXflags { fd: file.fd(), set: XFLAG_NODUMP, clear: 0 }, "no other attribute")?;
            file.close()?;
            t.setup(&Call::Cycle)?;
            let fd = t.open("file", OFlag::O_RDONLY)?;
            let flags = t.setup_number(&Call::GetXflags { fd })? as u32;
            let both = t.fact("both attributes are shown", flags & (bit | XFLAG_NODUMP) == bit | XFLAG_NODUMP);
            Ok(both.and(t.fact("the file refuses to shrink", refuses_cut(t, "file")?)))
        },
    ),
    case(
        &QUERY_UNSEALED,
        "after_others",
        "a file that was unsealed after a change of attributes is shown as not sealed",
        |t| {
            t.needs_query()?;
            let file = t.sealed()?;
            t.given(&Call::ChangeXflags { fd: file.fd(), set: XFLAG_NODUMP, clear: 0 }, "no other attribute")?;
            t.setup(&file.leave_call()?)?;
            shows(t, file.fd(), false)
        },
    ),
    case(&QUERY_UNSEALED, "other_attribute", "an unsealed file with another attribute is shown as not sealed", |t| {
        t.needs_query()?;
        let file = t.file("file", t.size())?;
        t.given(&Call::ChangeXflags { fd: file.fd(), set: XFLAG_NODUMP, clear: 0 }, "no other attribute")?;
        shows(t, file.fd(), false)
    }),
    case(
        &QUERY_OTHERS,
        "others_unprivileged",
        "an unprivileged change of another attribute does not change the state",
        |t| beside_append_only(t, |fd| Call::ChangeXflags { fd, set: XFLAG_NODUMP, clear: 0 }),
    ),
    case(
        &QUERY_OTHERS,
        "flags_unprivileged",
        "an unprivileged change with FS_IOC_SETFLAGS does not change the state",
        |t| {
            t.needs_seal("attribute beside the state")?;
            let file = t.sealed()?;
            t.setup(&Call::ChangeFlags { fd: file.fd(), set: FLAG_APPEND, clear: 0 })?;
            let set = Call::ChangeFlags { fd: file.fd(), set: FLAG_NODUMP, clear: 0 };
            file.act_as(Caller::Unprivileged, &set, Effect::Times)
        },
    ),
    case(&QUERY_OTHERS, "flags", "changing an attribute with FS_IOC_SETFLAGS does not change the state", |t| {
        t.needs_query()?;
        let file = t.sealed()?;
        let set = Call::ChangeFlags { fd: file.fd(), set: FLAG_NODUMP, clear: 0 };
        let again = file.act(&set, Effect::Times)?;
        let set = file.act_as(Caller::Unprivileged, &set, Effect::Times)?.and(again);
        Ok(set.and(file.act(&Call::ChangeFlags { fd: file.fd(), set: 0, clear: FLAG_NODUMP }, Effect::Times)?))
    }),
];

/// Whether the file of this name refuses to become smaller.
fn refuses_cut(t: &Context, name: &str) -> Result<bool, Trouble> {
    Ok(t.attempt(&Call::Truncate { name: name.into(), size: 1 })?.is_err())
}

/// statx(2) without privilege, whose mask or attributes have a bit, or have it not.
fn statx_shows(t: &Context, name: &str, mask: bool, bit: u64, set: bool) -> Seen {
    let call = Call::Statx { name: name.into(), mask };
    let caller = match t.caller(&call) {
        Caller::Privileged => Caller::Unprivileged,
        other => other,
    };
    let word = if set { "set" } else { "clear" };
    has_bit(t, caller, &call, (bit, set), &format!("the bit is {word} for {name:?}"))
}

/// A query by a caller, whose answer has a bit, or has it not.
fn has_bit(t: &Context, caller: Caller, call: &Call, (bit, set): (u64, bool), what: &str) -> Seen {
    let seen = t.observe_as(caller, call)?;
    if !succeeded(&seen) {
        return Ok(seen);
    }
    Ok(seen.and(shown(t, caller, call, (bit, set), what)))
}

/// The fact that the same query, made again, has a bit in its answer, or has it not.
fn shown(t: &Context, caller: Caller, call: &Call, (bit, set): (u64, bool), what: &str) -> Observed {
    match t.system.call(caller, call) {
        Ok(Reply::Number(shown)) => t.fact(what, (shown.cast_unsigned() & bit != 0) == set),
        _ => t.fact("the same query succeeds again", false),
    }
}

/// On a file that has the append-only attribute beside the state, which only a privileged caller may change.
fn beside_append_only(t: &Context, set: impl Fn(Fd) -> Call) -> Seen {
    t.needs_seal("attribute beside the state")?;
    let file = t.sealed()?;
    // Some file systems show there that a file has attributes by name.
    let before = xflags(t, &file)? | XFLAG_SEALED;
    let shows = |flags: u32| Ok(t.fact("it shows what it has", xflags(t, &file)? == before | flags));
    let append = Call::ChangeXflags { fd: file.fd(), set: XFLAG_APPEND, clear: 0 };
    let seen = file.act(&append, Effect::Times)?.and(shows(XFLAG_APPEND)?);
    let seen = seen.and(file.act_as(Caller::Unprivileged, &set(file.fd()), Effect::Times)?);
    let seen = seen.and(shows(XFLAG_APPEND | XFLAG_NODUMP)?);
    let clear = Call::ChangeFlags { fd: file.fd(), set: 0, clear: FLAG_APPEND };
    Ok(seen.and(file.act(&clear, Effect::Times)?).and(shows(XFLAG_NODUMP)?))
}

/// `fsx_xflags` of a file.
fn xflags(t: &Context, file: &File) -> Result<u32, Trouble> {
    match t.setup(&Call::GetXflags { fd: file.fd() })? {
        Reply::Number(flags) => Ok(flags as u32),
        other => Err(Trouble::Setup(format!("the attributes are {}", words::reply(&other)))),
    }
}

/// Checks that the query works through a descriptor, and shows whether the file is sealed.
fn shows(t: &Context, fd: Fd, sealed: bool) -> Seen {
    shows_to(t, t.caller(&Call::GetXflags { fd }), fd, sealed)
}

/// The same for this caller.
fn shows_to(t: &Context, caller: Caller, fd: Fd, sealed: bool) -> Seen {
    let bit = t.needs_query()?;
    let what = if sealed { "the state is shown" } else { "the state is not shown" };
    has_bit(t, caller, &Call::GetXflags { fd }, (bit.into(), sealed), what)
}
