use super::durability::POWER_LOSS;
use super::seal::each;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case, power};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::system::StorageAgent;
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{Call, FLAG_COMPRESS, FLAG_JOURNAL, Mode};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    power(&MOUNT_OPTIONS, "options", "a sealed file stays in place when it is mounted with other options", |t| {
        with_each_option(t, mounted_with)
    }),
    power(
        &MOUNT_OPTIONS,
        "options_recovery",
        "recovery after a mount with other options does not write over the data of an agent",
        |t| {
            t.reach(&POWER_LOSS)?;
            with_each_option(t, recovered_with)
        },
    ),
    case(&MOVER_DEFRAGMENT, "defragment", "defragmentation leaves a sealed file in place", |t| {
        t.reach(&Call::Defragment { fd: 0 })?;
        let file = t.sealed()?;
        let agent = file.agent()?;
        let call = Call::Defragment { fd: file.fd() };
        // The call may be refused, or it may do nothing. In both cases the file stays as it was.
        let seen = file.act(&call, Effect::Nothing)?;
        Ok(seen.and(in_place(&file, &*agent)?))
    }),
    alone(&MOVER_COLLECT, "collect", "garbage collection leaves a sealed file in place", |t| {
        t.reach(&Call::Collect)?;
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.churn()?;
        let seen = t.observe(&Call::Collect)?;
        Ok(seen.and(in_place(&file, &*agent)?))
    }),
    alone(&MOVER_SHRINK, "shrink", "a file system does not shrink over the storage of a sealed file", |t| {
        t.reach(&Call::Shrink { size: i64::MAX })?;
        let mut why = None;
        for number in 0..FILES {
            match shrunk(t, number)? {
                Ok(seen) => return Ok(seen),
                Err(without) => why = Some(without),
            }
        }
        Err(Trouble::NotOffered(why.unwrap_or_default()))
    }),
    alone(&MOVER_SHRINK, "remove_device", "a device that stores a sealed file is not removed", |t| {
        evacuated(t, &Call::RemoveDevice)
    }),
    alone(&MOVER_SHRINK, "replace_device", "a device that stores a sealed file is not replaced by another", |t| {
        evacuated(t, &Call::ReplaceDevice)
    }),
    case(&MOVER_ATTRIBUTE, "compress", "a sealed file cannot be marked for compression", |t| {
        marked(t, FLAG_COMPRESS, "no compression")
    }),
    case(&MOVER_ATTRIBUTE, "journal", "a sealed file cannot be marked for journaling of its data", |t| {
        marked(t, FLAG_JOURNAL, "no journaling of data")
    }),
];

/// The options with each of which some file system writes data to another place, or twice.
const OPTIONS: [&str; 4] = ["data=journal", "compress-force=zlib", "mode=lfs", "dax=never"];

fn with_each_option(t: &Context, mounted: impl Fn(&Context, &str, &Call) -> Seen) -> Seen {
    each(&OPTIONS, |option| {
        let mount = Call::CycleWith { option: (*option).into() };
        t.reach(&mount)?;
        let seen = mounted(t, option, &mount)?;
        // With this option, the file of the next one could perhaps not be sealed.
        t.setup(&Call::Cycle)?;
        Ok(seen)
    })
}

/// A sealed file after a mount with an option, the access to the storage that it had before, and the outcome of the mount.
fn behind_mount<'a>(
    t: &'a Context<'a>,
    option: &str,
    mount: &Call,
) -> Result<(Observed, File<'a>, Box<dyn StorageAgent>), Trouble> {
    let file = t.sealed_as(&format!("file-{option}"))?;
    let (name, agent) = (file.name(), file.agent()?);
    file.close()?;
    let seen = t.observe(mount)?;
    if seen.0.iter().any(|one| one.outcome == Some(Some(Errno::EBUSY))) {
        return Err(Trouble::NotOffered(format!("{mount} fails while the file is in the state")));
    }
    Ok((seen, File::reopened(t, &name)?, agent))
}

/// A sealed file after a mount with an option and a loss of power: it has what its agent stored after the last call.
fn recovered_with(t: &Context, option: &str, mount: &Call) -> Seen {
    let (seen, file, agent) = behind_mount(t, option, mount)?;
    if t.attempt(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(41, BLOCK_LEN) })?.is_ok() {
        t.setup(&Call::Fsync { fd: file.fd() })?;
    }
    let data = pattern(42, BLOCK_LEN);
    agent.write(file.at(0), &data)?;
    let name = file.name();
    file.close()?;
    // Later transactions follow the one with the old data.
    t.churn()?;
    t.power_loss(None)?;
    let file = File::reopened(t, &name)?;
    let seen = seen.and(file.holds(0, &data));
    file.close()?;
    Ok(seen)
}

/// A sealed file, after it was mounted with an option: it has the bytes that its agent stores, and its storage those that
/// a call writes.
fn mounted_with(t: &Context, option: &str, mount: &Call) -> Seen {
    let (seen, file, agent) = behind_mount(t, option, mount)?;
    let data = pattern(41, BLOCK_LEN);
    agent.write(file.at(0), &data)?;
    let seen = seen.and(file.holds(0, &data));
    let data = pattern(42, BLOCK_LEN);
    let write = Call::Pwrite { fd: file.fd(), offset: file.at(BLOCK_LEN), data: data.clone() };
    if t.attempt(&write)?.is_err() {
        file.close()?;
        return Ok(seen);
    }
    t.setup(&Call::Fsync { fd: file.fd() })?;
    let there = agent.read(file.at(BLOCK_LEN), data.len())? == data;
    file.close()?;
    Ok(seen.and(t.fact("a write arrives on the storage that the file had", there)))
}

/// A sealed file does not get an attribute that an ordinary file can have.
fn marked(t: &Context, flag: u32, without: &str) -> Seen {
    let probe = t.beside("probe", t.size())?;
    let call = |fd| Call::ChangeFlags { fd, set: flag, clear: 0 };
    t.given(&call(probe.fd()), without)?;
    let file = t.sealed()?;
    file.refused(&call(file.fd()))
}

/// The number of files to try. Metadata that cannot be moved may lie behind a file, and then the file is not in the
/// way.
const FILES: i32 = 4;

/// The number of attempts to shrink if no file is in the way. The file system frees the blocks when it is synced.
const TRIES: usize = 10;

/// The result of shrinking over a file, or the reason why the result says nothing about the file.
fn shrunk(t: &Context, number: i32) -> Result<Result<Observed, String>, Trouble> {
    let file = far(t, number)?;
    t.setup(&file.enter_call()?)?;
    let agent = file.agent()?;
    let shrink = Call::Shrink { size: agent.span()?.end - BLOCK_LEN };
    let seen = file.act(&shrink, Effect::Nothing)?.and(in_place(&file, &*agent)?);
    let outcomes = || seen.0.iter().filter_map(|one| one.outcome);
    if outcomes().all(|outcome| outcome.is_none() || MOVER_SHRINK.allows(outcome)) {
        return Ok(Ok(seen));
    }
    // An error of another kind can have another cause: the file is its cause only if the error is gone with the file.
    let (len, before) = (file.stat()?.size as i64, t.free_space()?);
    t.setup(&file.leave_call()?)?;
    t.setup(&Call::Unlink { name: file.name() })?;
    file.close()?;
    t.eventually(|| Ok(t.free_space()? >= before + len / 2))?;
    let mut last = None;
    for _ in 0..TRIES {
        t.free_space()?;
        last = t.attempt(&shrink)?.err();
        if last.is_none() {
            return Ok(Ok(seen));
        }
    }
    let errno = last.map_or(String::new(), |errno| format!(" with {}", words::name(errno)));
    Ok(Err(format!("{shrink} fails{errno} without the file, too")))
}

fn evacuated(t: &Context, call: &Call) -> Seen {
    t.reach(call)?;
    let file = t.sealed()?;
    let agent = file.agent()?;
    let seen = file.act(call, Effect::Nothing)?;
    Ok(seen.and(in_place(&file, &*agent)?))
}

/// A file far behind free space. The file system is filled up in parts. The last part makes room for the file, and all
/// other parts are removed. A new directory gets the next allocation group, so the file is tried in several
/// directories.
fn far<'a>(t: &'a Context<'a>, attempt: i32) -> Result<File<'a>, Trouble> {
    let numbers = 0..8;
    let len = t.free_space()? / 10 / BLOCK_LEN * BLOCK_LEN;
    let part = |number: i32| format!("{attempt}-{number}/part");
    numbers
        .clone()
        .try_for_each(|number| t.setup(&Call::Mkdir { name: format!("{attempt}-{number}"), mode: 0o700 }).map(drop))?;
    let mut starts = Vec::new();
    for number in numbers.clone() {
        let fd = t.open(&part(number), OFlag::O_RDWR | OFlag::O_CREAT)?;
        // There may be less space than the file system says.
        if t.attempt(&Call::Fallocate { fd, mode: Mode::ALLOCATE, offset: 0, len })?.is_ok() {
            t.free_space()?;
            starts.push((t.agent(fd)?.span()?.start, number));
        }
        t.setup(&Call::Close { fd })?;
    }
    t.full()?;
    let (_, last) = starts.into_iter().max().ok_or_else(|| Trouble::Setup("no space for a part".into()))?;
    t.setup(&Call::Unlink { name: part(last) })?;
    // XFS frees the space of a removed file in the background (xfs_inodegc_worker).
    t.eventually(|| Ok(t.free_space()? >= len / 2))?;
    let candidate = |number| {
        let file = t.file(&format!("{attempt}-{number}/file"), t.size().max(len / 64 / BLOCK_LEN * BLOCK_LEN))?;
        Ok((file.agent()?.span()?.end, file))
    };
    let mut candidates = numbers.clone().take(4).map(candidate).collect::<Result<Vec<_>, Trouble>>()?;
    candidates.sort_by_key(|(end, _)| *end);
    let (_, file) = candidates.pop().ok_or_else(|| Trouble::Setup("no file".into()))?;
    for (_, other) in candidates {
        t.setup(&Call::Unlink { name: other.name() })?;
        other.close()?;
    }
    numbers.filter(|number| *number != last).try_for_each(|n| t.setup(&Call::Unlink { name: part(n) }).map(drop))?;
    t.setup(&Call::Truncate { name: "filler".into(), size: 0 })?;
    t.free_space()?;
    Ok(file)
}

/// Checks that the file has the data that an agent writes at the old place.
pub(super) fn in_place(file: &File, agent: &dyn StorageAgent) -> Result<Observed, Trouble> {
    let data = pattern(50, file.stat()?.size as i64 - file.at(0));
    agent.write(file.at(0), &data)?;
    Ok(file.holds(0, &data))
}
