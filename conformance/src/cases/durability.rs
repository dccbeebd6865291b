use crate::case::context::Context;
use crate::case::definition::{Case, moment, power};
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Outcome, Reply, Route};

pub(super) const POWER_LOSS: Call = Call::PowerLoss { during: None };

/// The number of power losses during a call. Each comes at another moment.
const ROUNDS: usize = 4;

pub(super) static CASES: &[Case] = &[
    power(&DURABLE_VISIBLE, "seen", "a file that is shown as sealed has its size and its data after a crash", |t| {
        t.reach(&POWER_LOSS)?;
        t.needs_seal("moment at which a file is shown as sealed")?;
        let bit = t.needs_query()?;
        let file = t.settled(t.make("file", |fd| {
            let data = t.contents(t.size());
            t.setup(&Call::Pwrite { fd, offset: 0, data }).map(|_| ())
        })?)?;
        let flags = power_loss_after(t, file.enter_call_uncommitted()?, Call::GetXflags { fd: file.fd() })?;
        match flags {
            Ok(Reply::Number(flags)) if flags as u32 & bit != 0 => afterwards(t, "file", |file| whole(t, file)),
            _ => Err(Trouble::NotOffered("nobody saw the state before the crash".into())),
        }
    }),
    power(&SEAL_AGAIN_DURABLE, "again_durable", "sealing a file that another call seals is durable on return", |t| {
        t.reach(&POWER_LOSS)?;
        t.needs_seal("second call that succeeds")?;
        let file = t.file("file", t.size())?;
        let call = file.enter_call()?;
        match power_loss_after(t, call.clone(), call)? {
            Ok(_) => afterwards(t, "file", |file| Ok(t.fact("the file is sealed", is_sealed(t, file)?))),
            Err(errno) => Err(Trouble::NotOffered(format!("the second call fails with {}", words::name(errno)))),
        }
    }),
    power(
        &SEAL_AGAIN_DURABLE,
        "unseal_durable",
        "unsealing a file that another call unseals is durable on return",
        |t| {
            t.reach(&POWER_LOSS)?;
            t.needs_seal("second call that succeeds")?;
            let file = t.sealed()?;
            let call = file.leave_call()?;
            match power_loss_after(t, call.clone(), call)? {
                Ok(_) => afterwards(t, "file", |file| Ok(t.fact("the file is not sealed", can_be_cut(t, file)?))),
                Err(errno) => Err(Trouble::NotOffered(format!("the second call fails with {}", words::name(errno)))),
            }
        },
    ),
    power(&DURABLE_SEAL, "sealed", "a sealed file stays sealed after a loss of power", |t| {
        t.reach(&POWER_LOSS)?;
        t.sealed()?;
        t.power_loss(None)?;
        afterwards(t, "file", |file| Ok(t.fact("the file is sealed", is_sealed(t, file)?)))
    }),
    power(&DURABLE_DATA, "without_fsync", "sealing makes size and data durable, without fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.settled(t.make("file", |fd| {
            let data = t.contents(t.size());
            t.setup(&Call::Pwrite { fd, offset: 0, data }).map(|_| ())
        })?)?;
        t.setup(&file.enter_call_uncommitted()?)?;
        t.power_loss(None)?;
        afterwards(t, "file", |file| whole(t, file))
    }),
    power(&DURABLE_DATA, "grown", "sealing makes data durable that were appended after the last fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.settled(t.make("file", |fd| {
            let data = t.contents(t.size());
            let (first, rest) = data.split_at(BLOCK);
            t.setup(&Call::Pwrite { fd, offset: 0, data: first.into() })?;
            t.setup(&Call::Fsync { fd })?;
            t.setup(&Call::Pwrite { fd, offset: BLOCK_LEN, data: rest.into() }).map(|_| ())
        })?)?;
        t.setup(&file.enter_call_uncommitted()?)?;
        t.power_loss(None)?;
        afterwards(t, "file", |file| whole(t, file))
    }),
    power(&DURABLE_VISIBLE, "seen_rewritten", "a file that is shown as sealed has its last data after a crash", |t| {
        t.reach(&POWER_LOSS)?;
        t.needs_seal("moment at which a file is shown as sealed")?;
        let bit = t.needs_query()?;
        let (file, data) = rewritten(t)?;
        let flags = power_loss_after(t, file.enter_call_uncommitted()?, Call::GetXflags { fd: file.fd() })?;
        match flags {
            Ok(Reply::Number(flags)) if flags as u32 & bit != 0 => {
                afterwards(t, &file.name(), |file| Ok(file.holds(0, &data)))
            }
            _ => Err(Trouble::NotOffered("nobody saw the state before the crash".into())),
        }
    }),
    power(&DURABLE_DATA, "rewritten", "sealing makes data durable that were overwritten after the last fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let (file, data) = rewritten(t)?;
        t.setup(&file.enter_call_uncommitted()?)?;
        t.power_loss(None)?;
        afterwards(t, &file.name(), |file| Ok(file.holds(0, &data)))
    }),
    moment(&DURABLE_EITHER, "during_seal", "a loss of power while sealing leaves either state", |t| {
        rounds(t, |name| {
            let file = t.file(name, t.size())?;
            file.enter_call_uncommitted()
        })
    }),
    moment(&DURABLE_EITHER, "during_unseal", "a loss of power while unsealing leaves either state", |t| {
        rounds(t, |name| {
            let file = t.sealed_as(name)?;
            t.setup(&Call::Fsync { fd: file.fd() })?;
            file.leave_call()
        })
    }),
    power(&DURABLE_REMOUNT, "remount", "a sealed file stays sealed after unmounting and mounting", |t| {
        t.reach(&Call::Cycle)?;
        t.sealed()?.close()?;
        let seen = t.observe(&Call::Cycle)?;
        Ok(seen.and(afterwards(t, "file", |file| Ok(t.fact("the file is sealed", is_sealed(t, file)?)))?))
    }),
    power(&DURABLE_REMOUNT, "churn", "a sealed file keeps its storage after unmounting and mounting", |t| {
        t.reach(&Call::Cycle)?;
        t.sealed()?.close()?;
        let seen = t.observe(&Call::Cycle)?;
        let other = t.churn()?;
        let file = afterwards(t, "file", |file| {
            let seen = whole(t, file)?;
            // Write as an agent: not every mechanism lets a process write.
            file.agent()?.write(file.at(0), &pattern(61, t.size()))?;
            Ok(seen.and(file.holds(0, &pattern(61, t.size()))))
        })?;
        Ok(seen.and(file).and(t.churn_intact(&other)?))
    }),
    power(&DURABLE_UNSEAL, "unsealed", "an unsealed file is not sealed after a loss of power", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.sealed()?;
        // Make the state durable first: then its end has to be durable too.
        t.setup(&Call::Fsync { fd: file.fd() })?;
        t.setup(&file.leave_call()?)?;
        t.power_loss(None)?;
        afterwards(t, "file", |file| Ok(t.fact("the file is not sealed", can_be_cut(t, file)?)))
    }),
    power(&DURABLE_AGENT, "agent", "data that an agent made durable survive a loss of power without fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.sealed()?;
        let data = pattern(60, t.size());
        file.agent()?.write(file.at(0), &data)?;
        t.power_loss(None)?;
        afterwards(t, "file", |file| Ok(file.holds(0, &data)))
    }),
    power(
        &DURABLE_RECOVERY,
        "journal",
        "recovery does not write what a file had before it was sealed over the data of an agent",
        |t| {
            t.reach(&POWER_LOSS)?;
            let file = t.file("file", t.size())?;
            // The last version before the seal is one that a journal may have.
            for seed in [58, 59] {
                t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(seed, t.size()) })?;
                t.setup(&Call::Fsync { fd: file.fd() })?;
            }
            t.setup(&file.enter_call_uncommitted()?)?;
            let data = pattern(60, t.size());
            file.agent()?.write(file.at(0), &data)?;
            // Later transactions follow the one with the old data.
            let other = t.churn()?;
            t.power_loss(None)?;
            let seen = afterwards(t, "file", |file| Ok(file.holds(0, &data)))?;
            Ok(seen.and(t.churn_intact(&other)?))
        },
    ),
    power(
        &DURABLE_AGENT,
        "flush",
        "data stored through MAP_SYNC and flushed survive a loss of power without fsync",
        |t| {
            t.reach(&POWER_LOSS)?;
            let file = t.sealed()?;
            let map = Call::Map { fd: file.fd(), len: file.at(t.size()) as usize, shared: true, write: true };
            let (_, map) = file.map_by(&map.via(Route::MapSync))?;
            let map = map.ok_or_else(|| Trouble::NotOffered("no shared writable mapping with MAP_SYNC".into()))?;
            let data = pattern(62, t.size());
            let store = Call::Store { map, offset: file.at(0) as usize, data: data.clone() };
            t.given(&store.via(Route::Flush), "no store to flush")?;
            t.power_loss(None)?;
            afterwards(t, "file", |file| Ok(file.holds(0, &data)))
        },
    ),
];

/// A file whose last data are not on storage, and these data.
fn rewritten<'a>(t: &'a Context<'a>) -> Result<(File<'a>, Vec<u8>), Trouble> {
    let (file, data) = (t.file("file", t.size())?, pattern(63, t.size()));
    t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: data.clone() })?;
    Ok((file, data))
}

/// Makes a call while another one is at work, and loses the power when it has returned.
fn power_loss_after(t: &Context, begun: Call, call: Call) -> Result<Outcome, Trouble> {
    t.attempt(&Call::PowerLossAfter { begun: Box::new(begun), call: Box::new(call) })
}

/// Prepares a file and loses the power during a call, in several rounds.
fn rounds(t: &Context, call: impl Fn(&str) -> Result<Call, Trouble>) -> Seen {
    t.reach(&POWER_LOSS)?;
    (0..ROUNDS).try_fold(Observed::default(), |seen, number| {
        let name = format!("file-{number}");
        t.power_loss(Some(call(&name)?))?;
        let found = afterwards(t, &name, |file| {
            let seen = whole(t, file)?;
            // A wrong size or wrong data are a fault in both states, and not every mechanism shows the state.
            if seen.has_faults() {
                return Ok(seen);
            }
            let either = is_sealed(t, file)? || can_be_cut(t, file)?;
            Ok(seen.and(t.fact("the file is sealed, or it is not", either)))
        })?;
        Ok(seen.and(found))
    })
}

/// Checks a file that has to exist.
fn afterwards(t: &Context, name: &str, look: impl FnOnce(&File) -> Seen) -> Seen {
    match File::survivor(t, name)? {
        Some(file) => look(&file),
        None => Ok(t.fact("the file is there", false)),
    }
}

/// Whether the file behaves as a file in the state, and the query, if there is one, shows the state.
pub(crate) fn is_sealed(t: &Context, file: &File) -> Result<bool, Trouble> {
    let without = || Trouble::NotOffered(format!("{}: a file in the state can be cut", t.mechanism().name()));
    let refuses = cut(t, file)? == Err(t.mechanism().refusal().ok_or_else(without)?);
    Ok(refuses && (t.mechanism().state_bit().is_none() || file.state(file.fd())?))
}

/// Whether the file can be cut, and the query, if there is one, does not show the state.
pub(crate) fn can_be_cut(t: &Context, file: &File) -> Result<bool, Trouble> {
    Ok(cut(t, file)?.is_ok() && (t.mechanism().state_bit().is_none() || !file.state(file.fd())?))
}

/// Cuts a file by its name: not every mechanism lets a file in the state be opened for writing.
fn cut(t: &Context, file: &File) -> Result<Outcome, Trouble> {
    t.attempt(&Call::Truncate { name: file.name(), size: file.at(t.size() / 2) })
}

/// Checks that size and data are those with which the file was made.
fn whole(t: &Context, file: &File) -> Result<Observed, Trouble> {
    let size = t.fact("the size is what it was", file.stat()?.size as i64 == file.at(t.size()));
    Ok(size.and(file.holds(0, &pattern(1, t.size()))))
}
