//! The clauses, tested on every other way to make a call.
//!
//! Each case makes the same call on an ordinary file first: if that fails, the way does not exist.

use super::seal::each;
use super::write::atomic_in_place;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, FLAG_COMPRESS, FLAG_VERITY, Mode, Reply, Route, XFLAG_NODUMP};
use nix::fcntl::OFlag;

/// The cases of each way to write: inside the size, across the end, and beyond it.
macro_rules! writes {
    ($($route:ident $id:literal),* $(,)?) => {
        &[$(
            case(&WRITE_INSIDE, concat!("inside_", $id), concat!("a write inside the size works: ", $id), |t| {
                inside(t, Route::$route)
            }),
            case(&WRITE_CROSSING, concat!("crossing_", $id), concat!("a write across the end stores nothing: ", $id), |t| {
                refused(t, Route::$route, &[(t.near_end(), 2 * BLOCK_LEN), (0, t.size() + BLOCK_LEN)])
            }),
            case(&WRITE_BEYOND, concat!("beyond_", $id), concat!("a write at the end or later stores nothing: ", $id), |t| {
                refused(t, Route::$route, &[(t.size(), BLOCK_LEN), (4 * t.size(), BLOCK_LEN)])
            }),
        )*]
    };
}

/// The cases of a clause: one for each way to make its call.
macro_rules! cases {
    ($kind:ident $clause:ident, $prefix:literal, $about:literal, $check:ident: $($route:ident $id:literal),* $(,)?) => {
        &[$(
            $kind(&$clause, concat!($prefix, $id), concat!($about, ": ", $id), |t| {
                // Ask before the preparation: most file systems do not have most of these ways.
                t.reach(&Call::FreeSpace.via(Route::$route))?;
                $check(t, Route::$route)
            }),
        )*]
    };
}

pub(super) static CASES: &[&[Case]] = &[
    writes!(
        Dsync "dsync", Uncached "uncached", Aio "aio", Ring "ring", RingFixed "ring_fixed", Splice "splice",
        Sendfile "sendfile", Gift "gift",
    ),
    cases!(
        case WRITE_CROSSING, "crossing_pieces_", "a long write across the end stores only whole pieces inside the size", in_pieces:
        Splice "splice", Sendfile "sendfile",
    ),
    cases!(case WRITE_APPEND, "append_", "a write that appends stores nothing", appended: Aio "aio", Ring "ring", RingFixed "ring_fixed"),
    cases!(
        case READ_ANY, "read_", "a read of a sealed file returns the data", read:
        Aio "aio", Ring "ring", RingFixed "ring_fixed", Splice "splice", Sendfile "sendfile",
    ),
    cases!(
        case WRITE_MAPPED, "mapped_", "stores through a mapping become data of the file", mapped:
        Mprotect "mprotect", Mlock "mlock", Populate "populate", Userfault "userfault", MapSync "map_sync",
        Mremap "mremap", Unmapped "munmap",
    ),
    cases!(
        case WRITE_MAPPED, "store_", "bytes put into mapped memory become data of the file", stored:
        ProcessVm "process_vm", ProcMem "proc_mem", DirectInto "direct_into", Fork "fork",
    ),
    cases!(case FALLOCATE_KEEP_BEYOND, "", "allocation beyond the size is refused", allocation: XfsReserve "xfs_resvsp"),
    cases!(case FALLOCATE_PUNCH, "", "punching a hole into a sealed file is refused", allocation: XfsUnreserve "xfs_unresvsp"),
    cases!(case FALLOCATE_ZERO, "", "zeroing a range of a sealed file is refused", allocation: XfsZero "xfs_zero", F2fsErase "f2fs_sec_trim"),
    cases!(
        case SHARE_EXCHANGE, "exchange_", "exchanging the contents of a sealed file is refused", exchange:
        XfsExchange "xfs_exchange", Ext4Move "ext4_move", F2fsMove "f2fs_move",
    ),
    cases!(case MOVER_MIGRATE, "exchange_", "exchanging a sealed file with that of a boot loader is refused", exchange: Ext4Boot "ext4_boot"),
    cases!(case MOVER_MIGRATE, "convert_", "converting the map of a sealed file is refused", converted: Ext4Migrate "ext4_migrate"),
    cases!(case REFUSE_OTHER, "other_", "a write that stores data in another form is refused", in_another_form: BtrfsEncoded "btrfs_encoded"),
    cases!(case MOVER_VERITY, "", "enabling fs-verity for a sealed file is refused", protected: Verity "verity"),
    cases!(case MOVER_DAX, "", "changing FS_XFLAG_DAX of a sealed file is refused", kept_as_it_is: Dax "dax"),
    cases!(
        case SEAL_PRIVILEGE, "privilege_", "sealing without the capability on this machine is refused", sealed_elsewhere:
        Namespace "namespace",
    ),
    cases!(
        case UNSEAL_PRIVILEGE, "privilege_", "unsealing without the capability on this machine is refused", unsealed_elsewhere:
        Namespace "namespace",
    ),
    cases!(case META_PROJECT, "", "the project of a sealed file can be changed", changed: ProjectId "project"),
    cases!(
        case SHARE_EXCHANGE_OTHER, "exchange_other_", "exchanging contents with a sealed file as the second file is refused", exchange_other:
        XfsExchange "xfs_exchange", Ext4Move "ext4_move", F2fsMove "f2fs_move",
    ),
    cases!(case WRITE_ATOMIC, "atomic_", "an atomic write stays in place or is refused", atomic: F2fsAtomic "f2fs"),
    cases!(
        case MOVER_DEFRAGMENT, "defragment_", "defragmentation leaves a sealed file in place", defragment:
        XfsFsr "xfs_fsr", E4defrag "e4defrag", BtrfsDefragRange "btrfs_range", F2fsDefragment "f2fs",
    ),
    cases!(case MOVER_ATTRIBUTE, "", "marking a sealed file for compression is refused", compression: BtrfsProperty "btrfs_property"),
    cases!(
        case QUERY_OTHERS, "others_", "changing an attribute does not change the state", attribute:
        ExtentSize "extsize", CowExtentSize "cowextsize",
    ),
    cases!(case NAME_LINK, "link_", "a sealed file can be given another name", linked: LinkByDescriptor "descriptor"),
    cases!(case NAME_UNLINK, "unlink_", "a sealed file can be removed", destroyed: BtrfsDestroy "btrfs_destroy"),
    cases!(case NAME_KEPT, "kept_", "a removed file stays usable and in place", kept: BtrfsDestroy "btrfs_destroy"),
    cases!(case SWAP_ON, "swapon_", "a sealed file can be an active swap file", activated: Preferred "preferred"),
    cases!(case NAME_RENAME, "rename_", "a sealed file can be renamed", renamed: Whiteout "whiteout"),
    cases!(case META_CHMOD, "chmod_", "the mode of a sealed file can be changed", chmod: Acl "acl", Fchmod "fchmod"),
    cases!(case META_CHOWN, "chown_", "the owner of a sealed file can be changed", chown: Fchown "fchown"),
    cases!(case META_UTIMES, "utimes_", "the times of a sealed file can be set", utimes: Futimens "futimens", Now "now"),
    cases!(case META_XATTR, "xattr_", "an extended attribute of a sealed file can be set", xattr: Fsetxattr "fsetxattr"),
    cases!(
        alone AGENT_WRITES, "after_", "read returns data that an agent writes after an operation", after:
        Freeze "freeze", Trim "trim", SyncRange "sync_range", Fadvise "fadvise", BtrfsScrub "btrfs_scrub",
    ),
];

fn in_another_form(t: &Context, route: Route) -> Seen {
    let call = |file: &File| pwrite(file, 0, vec![0; BLOCK]).via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    let agent = file.agent()?;
    let seen = file.refused(&call(&file))?;
    Ok(seen.and(super::mover::in_place(&file, &*agent)?))
}

/// An ordinary file on which the same can be done.
fn probe<'a>(t: &'a Context<'a>, call: impl Fn(&File) -> Call) -> Result<File<'a>, Trouble> {
    let file = t.beside("probe", t.size())?;
    t.given(&call(&file), "not for an ordinary file either")?;
    Ok(file)
}

fn pwrite(file: &File, offset: i64, data: Vec<u8>) -> Call {
    Call::Pwrite { fd: file.fd(), offset: file.at(offset), data }
}

fn inside(t: &Context, route: Route) -> Seen {
    let data = pattern(80, BLOCK_LEN);
    probe(t, |file| pwrite(file, 0, data.clone()).via(route))?;
    let file = t.sealed()?;
    each(&[(0, BLOCK_LEN), (BLOCK_LEN, t.size() - BLOCK_LEN)], |(offset, len)| {
        let data = pattern(81, *len);
        file.write_with(pwrite(&file, *offset, data.clone()).via(route), *offset, &data)
    })
}

fn refused(t: &Context, route: Route, ranges: &[(i64, i64)]) -> Seen {
    probe(t, |file| pwrite(file, 0, pattern(82, BLOCK_LEN)).via(route))?;
    let file = t.sealed()?;
    each(ranges, |(offset, len)| file.refused(&pwrite(&file, *offset, pattern(83, *len)).via(route)))
}

/// A write that the kernel may make in several pieces, each of which is refused or not.
fn in_pieces(t: &Context, route: Route) -> Seen {
    const LONG: i64 = 1 << 18;
    let file = t.sealed_file("file", LONG)?;
    let (mut expected, data) = (file.read(0, LONG)?, pattern(99, LONG));
    let call = pwrite(&file, BLOCK_LEN, data.clone()).via(route);
    match t.attempt(&call)? {
        Ok(Reply::Number(written)) => {
            let (from, len) = (BLOCK_LEN as usize, (written as usize).min((LONG - BLOCK_LEN) as usize));
            expected[from..from + len].copy_from_slice(&data[..len]);
        }
        Err(Errno::ETXTBSY) => (),
        other => return Ok(t.one(call.to_string(), Some(other.err()), Vec::new())),
    }
    let size = t.fact("the size is what it was", file.stat()?.size as i64 == file.at(LONG));
    Ok(size.and(t.fact("the file has what the call says that it wrote", file.read(0, LONG)? == expected)))
}

fn appended(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Write { fd: file.append(), data: pattern(84, BLOCK_LEN) }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.refused(&call(&file))
}

fn read(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Pread { fd: file.reader(), offset: file.at(0), len: t.size() as usize }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    let expected = file.read(0, t.size())?;
    let seen = file.act(&call(&file), Effect::Nothing)?;
    let got = t.attempt(&call(&file))?;
    Ok(seen.and(t.fact("it returns what the file has", got.is_err() || got == Ok(Reply::Data(expected)))))
}

fn mapped(t: &Context, route: Route) -> Seen {
    let call = |file: &File| {
        Call::Map { fd: file.fd(), len: file.at(t.size()) as usize, shared: true, write: true }.via(route)
    };
    if t.mechanism().is_always_on() && matches!(route, Route::Mremap | Route::Unmapped) {
        return Err(Trouble::NotOffered(
            "a device is mapped in large pages, which do not move and have no parts".into(),
        ));
    }
    // There are no ordinary devices.
    if !t.mechanism().is_always_on() {
        let ordinary = t.beside("probe", t.size())?;
        let (seen, map) = ordinary.map_by(&call(&ordinary))?;
        if map.is_none() {
            let errno = seen.0.first().and_then(|one| one.outcome.flatten());
            let why =
                errno.map_or(String::new(), |errno| format!(": {} fails with {}", call(&ordinary), words::name(errno)));
            return Err(Trouble::NotOffered(format!("not for an ordinary file either{why}")));
        }
    }
    let file = t.sealed()?;
    let (seen, map) = file.map_by(&call(&file))?;
    let Some(map) = map else { return Ok(seen) };
    let data = pattern(85, 300);
    let store = Call::Store { map, offset: file.at(BLOCK_LEN) as usize, data: data.clone() };
    Ok(seen.and(file.write_with(store, BLOCK_LEN, &data)?))
}

fn stored(t: &Context, route: Route) -> Seen {
    let file = t.sealed()?;
    let (seen, map) = file.map(true, true)?;
    let Some(map) = map else { return Ok(seen) };
    let data = pattern(86, BLOCK_LEN);
    let call = Call::Store { map, offset: file.at(BLOCK_LEN) as usize, data: data.clone() }.via(route);
    Ok(seen.and(file.write_with(call, BLOCK_LEN, &data)?))
}

/// The mode of fallocate(2) that does the same as an ioctl of a file system.
fn mode(route: Route) -> Mode {
    match route {
        Route::XfsUnreserve => Mode::PUNCH_HOLE | Mode::KEEP_SIZE,
        Route::XfsZero | Route::F2fsErase => Mode::ZERO_RANGE | Mode::KEEP_SIZE,
        _ => Mode::KEEP_SIZE,
    }
}

fn allocation(t: &Context, route: Route) -> Seen {
    let call = |file: &File, offset| {
        let (mode, offset) = (mode(route), file.at(offset));
        Call::Fallocate { fd: file.fd(), mode, offset, len: BLOCK_LEN }.via(route)
    };
    probe(t, |file| call(file, BLOCK_LEN))?;
    let file = t.sealed()?;
    // Inside the size, an allocation changes nothing.
    let offsets: &[i64] = if mode(route) == Mode::KEEP_SIZE { &[t.size()] } else { &[0, BLOCK_LEN, t.size()] };
    each(offsets, |offset| file.refused(&call(&file, *offset)))
}

fn atomic(t: &Context, route: Route) -> Seen {
    let data = pattern(88, BLOCK_LEN);
    let call = |file: &File| Call::PwriteAtomic { fd: file.fd(), offset: file.at(0), data: data.clone() }.via(route);
    probe(t, call)?;
    atomic_in_place(t, call, &data)
}

fn exchange(t: &Context, route: Route) -> Seen {
    let other = t.beside("other", t.size())?;
    let call = |file: &File| Call::Exchange { one: file.fd(), other: other.fd() }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.refused(&call(&file))
}

fn exchange_other(t: &Context, route: Route) -> Seen {
    let other = t.beside("other", t.size())?;
    let call = |file: &File| Call::Exchange { one: other.fd(), other: file.fd() }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.refused(&call(&file))
}

fn defragment(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Defragment { fd: file.fd() }.via(route);
    let ordinary = scattered(t, "probe")?;
    let place = ordinary.agent()?;
    t.given(&call(&ordinary), "not for an ordinary file either")?;
    let data = pattern(87, t.size());
    t.setup(&pwrite(&ordinary, 0, data.clone()))?;
    t.setup(&Call::Fsync { fd: ordinary.fd() })?;
    if place.read(ordinary.at(0), t.size() as usize)? == data {
        return Err(Trouble::NotOffered(format!("{route}: an ordinary file stays where it is, too")));
    }
    let file = scattered(t, "file")?;
    t.setup(&file.enter_call()?)?;
    let agent = file.agent()?;
    // Some programs set and clear attributes during their work.
    let seen = file.act(&call(&file), Effect::Times)?;
    Ok(seen.and(super::mover::in_place(&file, &*agent)?))
}

/// A file of [`t.size()`] bytes, not in the state, that lies in pieces, so that defragmentation has work to do.
fn scattered<'a>(t: &'a Context<'a>, name: &str) -> Result<File<'a>, Trouble> {
    let spacer = t.open(&format!("{name}-spacer"), OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_DIRECT)?;
    let data = t.contents(t.size());
    let ready = t.make(name, |_| {
        let fd = t.open(name, OFlag::O_RDWR | OFlag::O_DIRECT)?;
        data.chunks(BLOCK).enumerate().try_for_each(|(block, bytes)| {
            let offset = block as i64 * BLOCK_LEN;
            [fd, spacer].into_iter().try_for_each(|fd| {
                t.setup(&Call::Pwrite { fd, offset, data: bytes.into() })?;
                t.setup(&Call::Fsync { fd }).map(|_| ())
            })
        })
    })?;
    Ok(File::from_ready(t, ready))
}

fn compression(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::ChangeFlags { fd: file.fd(), set: FLAG_COMPRESS, clear: 0 }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.refused(&call(&file))
}

fn attribute(t: &Context, route: Route) -> Seen {
    t.needs_query()?;
    changed(t, route)
}

/// Sealing and unsealing by somebody who has every capability somewhere else.
fn sealed_elsewhere(t: &Context, route: Route) -> Seen {
    elsewhere(t, route)?;
    let file = t.file("file", t.size())?;
    file.refused(&file.enter_call()?.via(route))
}

fn unsealed_elsewhere(t: &Context, route: Route) -> Seen {
    elsewhere(t, route)?;
    let file = t.sealed()?;
    file.refused(&file.leave_call()?.via(route))
}

fn elsewhere(t: &Context, route: Route) -> Result<(), Trouble> {
    t.needs_seal("call with the descriptor alone")?;
    t.given(&Call::FreeSpace.via(route), "no user namespaces")
}

/// fs-verity wants a file that nobody has open for writing, and nobody can open it for that afterwards.
fn protected(t: &Context, route: Route) -> Seen {
    t.needs_seal("state without a descriptor for writing")?;
    let call = |fd| Call::ChangeFlags { fd, set: FLAG_VERITY, clear: 0 }.via(route);
    t.beside("probe", t.size())?.close()?;
    t.given(&call(t.open("probe", OFlag::O_RDONLY)?), "not for an ordinary file either")?;
    let file = t.sealed()?;
    let name = file.name();
    file.close()?;
    let seen = t.observe(&call(t.open(&name, OFlag::O_RDONLY)?))?;
    let writer = t.attempt(&Call::Open { name, flags: OFlag::O_RDWR, mode: 0 })?;
    Ok(seen.and(t.fact("the file can be opened for writing", writer.is_ok())))
}

/// The call that sets an attribute by a route, whose other attribute is of no concern here.
fn set_attribute(file: &File, route: Route) -> Call {
    Call::ChangeXflags { fd: file.fd(), set: XFLAG_NODUMP, clear: 0 }.via(route)
}

fn kept_as_it_is(t: &Context, route: Route) -> Seen {
    probe(t, |file| set_attribute(file, route))?;
    let file = t.sealed()?;
    file.refused(&set_attribute(&file, route))
}

fn changed(t: &Context, route: Route) -> Seen {
    probe(t, |file| set_attribute(file, route))?;
    let file = t.sealed()?;
    file.act(&set_attribute(&file, route), Effect::Times)
}

fn converted(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Defragment { fd: file.fd() }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    let agent = file.agent()?;
    let seen = file.refused(&call(&file))?;
    Ok(seen.and(super::mover::in_place(&file, &*agent)?))
}

fn linked(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Link { from: file.name(), to: format!("{}-linked", file.name()) }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.act(&call(&file), Effect::Change(&|after| after.stat.links += 1))
}

/// A file in a subvolume, and a call that removes the subvolume with all its files.
fn inside_another<'a>(t: &'a Context<'a>, name: &str) -> Result<(File<'a>, Call), Trouble> {
    let subvolume = Call::Subvolume { name: name.into() };
    t.reach(&subvolume)?;
    t.setup(&subvolume)?;
    let name = format!("{name}/file");
    Ok((t.file(&name, t.size())?, Call::Unlink { name }))
}

fn destroyed(t: &Context, route: Route) -> Seen {
    let (_ordinary, call) = inside_another(t, "probe")?;
    t.given(&call.via(route), "not for an ordinary file either")?;
    let (file, call) = inside_another(t, "volume")?;
    t.setup(&file.enter_call()?)?;
    let seen = t.observe(&call.via(route))?;
    Ok(seen.and(file.holds(0, &pattern(1, t.size()))))
}

fn kept(t: &Context, route: Route) -> Seen {
    let (file, call) = inside_another(t, "volume")?;
    t.setup(&file.enter_call()?)?;
    let agent = file.agent()?;
    t.given(&call.via(route), "no way to remove the file system inside")?;
    let other = t.churn()?;
    let seen = super::mover::in_place(&file, &*agent)?;
    Ok(seen.and(t.churn_intact(&other)?))
}

fn activated(t: &Context, route: Route) -> Seen {
    let file = super::swap::swap_file(t)?;
    t.setup(&file.enter_call()?)?;
    let seen = t.observe(&Call::Swapon { fd: file.fd() }.via(route))?;
    super::swap::off(t, &file, &seen)?;
    Ok(seen)
}

fn renamed(t: &Context, route: Route) -> Seen {
    let call = |file: &File| {
        let (from, to) = (file.name(), format!("{}-renamed", file.name()));
        Call::Rename { from, to, exchange: false }.via(route)
    };
    probe(t, call)?;
    let file = t.sealed()?;
    file.act(&call(&file), Effect::Times)
}

fn chmod(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Chmod { name: file.name(), mode: 0o640 }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.act(&call(&file), Effect::Change(&|after| after.stat.mode = after.stat.mode & !0o777 | 0o640))
}

fn chown(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Chown { name: file.name(), uid: 1234, gid: 4321 }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.act(&call(&file), Effect::Change(&|after| (after.stat.uid, after.stat.gid) = (1234, 4321)))
}

fn utimes(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Utimes { name: file.name(), atime: 1_000, mtime: 2_000 }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    file.act(&call(&file), Effect::Times)
}

fn xattr(t: &Context, route: Route) -> Seen {
    let (key, value) = ("user.iomap".to_owned(), b"value".to_vec());
    let call = |file: &File| Call::SetXattr { name: file.name(), key: key.clone(), value: value.clone() }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    let pair = (key.clone(), value.clone());
    file.act(&call(&file), Effect::Change(&|after| after.stat.xattrs.push(pair.clone())))
}

fn after(t: &Context, route: Route) -> Seen {
    let call = |file: &File| Call::Fsync { fd: file.fd() }.via(route);
    probe(t, call)?;
    let file = t.sealed()?;
    let agent = file.agent()?;
    t.churn()?;
    let seen = t.observe(&call(&file))?;
    Ok(seen.and(super::mover::in_place(&file, &*agent)?))
}
