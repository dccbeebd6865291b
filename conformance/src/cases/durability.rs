use super::{Case, alone};
use crate::context::{BLOCK_LEN, Context, File, SIZE, pattern};
use crate::verdict::{Observed, Trouble};
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call};

const POWER_LOSS: Call = Call::PowerLoss { during: None };

pub(super) static CASES: &[Case] = &[
    alone(&DURABLE_SEAL, "sealed", "a sealed file is sealed after a loss of power", |t| {
        t.reach(&POWER_LOSS)?;
        t.sealed()?;
        t.power_loss(None)?;
        let file = File::reopened(t, "file")?;
        Ok(t.fact("the file is sealed", is_sealed(t, &file)?))
    }),
    alone(&DURABLE_DATA, "without_fsync", "sealing makes size and data durable, without fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let ready = t.make("file", |fd| {
            let data = [t.mechanism().header(), pattern(1, SIZE)].concat();
            t.setup(&Call::Pwrite { fd, offset: 0, data }).map(|_| ())
        })?;
        let file = File::from_ready(t, ready);
        t.setup(&file.enter_call()?)?;
        t.power_loss(None)?;
        whole(t, &File::reopened(t, "file")?)
    }),
    alone(&DURABLE_DATA, "grown", "also what was added after the last fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let ready = t.make("file", |fd| {
            let data = [t.mechanism().header(), pattern(1, SIZE)].concat();
            let (first, rest) = data.split_at(BLOCK);
            t.setup(&Call::Pwrite { fd, offset: 0, data: first.into() })?;
            t.setup(&Call::Fsync { fd })?;
            t.setup(&Call::Pwrite { fd, offset: BLOCK_LEN, data: rest.into() }).map(|_| ())
        })?;
        let file = File::from_ready(t, ready);
        t.setup(&file.enter_call()?)?;
        t.power_loss(None)?;
        whole(t, &File::reopened(t, "file")?)
    }),
    alone(&DURABLE_EITHER, "during_seal", "a loss of power while sealing leaves either state", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.file("file", SIZE)?;
        let call = file.enter_call()?;
        t.power_loss(Some(call))?;
        whole(t, &File::reopened(t, "file")?)
    }),
    alone(&DURABLE_EITHER, "during_unseal", "and while unsealing", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.sealed()?;
        let call = file.leave_call()?;
        t.power_loss(Some(call))?;
        whole(t, &File::reopened(t, "file")?)
    }),
    alone(&DURABLE_REMOUNT, "remount", "a sealed file is sealed after unmounting and mounting", |t| {
        t.reach(&Call::Cycle)?;
        t.sealed()?.close()?;
        let seen = t.observe(&Call::Cycle)?;
        let file = File::reopened(t, "file")?;
        Ok(seen.and(t.fact("the file is sealed", is_sealed(t, &file)?)))
    }),
    alone(&DURABLE_REMOUNT, "churn", "and nobody else gets its storage then", |t| {
        t.reach(&Call::Cycle)?;
        t.sealed()?.close()?;
        let seen = t.observe(&Call::Cycle)?;
        let file = File::reopened(t, "file")?;
        let other = t.churn()?;
        let seen = seen.and(whole(t, &file)?).and(file.write(0, &pattern(61, SIZE))?);
        t.setup(&Call::Fsync { fd: file.fd() })?;
        Ok(seen.and(t.churn_intact(&other)?))
    }),
    alone(&DURABLE_UNSEAL, "unsealed", "an unsealed file is not sealed after a loss of power", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.sealed()?;
        t.setup(&file.leave_call()?)?;
        t.power_loss(None)?;
        let file = File::reopened(t, "file")?;
        Ok(t.fact("the file is not sealed", can_be_cut(t, &file)?))
    }),
    alone(&DURABLE_AGENT, "agent", "what an agent made durable needs no fsync", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.sealed()?;
        let data = pattern(60, SIZE);
        file.agent()?.write(file.at(0), &data)?;
        t.power_loss(None)?;
        Ok(File::reopened(t, "file")?.holds(0, &data))
    }),
];

/// It behaves as a sealed file, and the query, where there is one, does not say otherwise.
fn is_sealed(t: &Context, file: &File) -> Result<bool, Trouble> {
    let refuses = t.attempt(&Call::Ftruncate { fd: file.fd(), size: file.at(SIZE / 2) })? == Err(Errno::ETXTBSY);
    Ok(refuses && (t.mechanism().state_bit().is_none() || file.state(file.fd())?))
}

/// The opposite, all of it.
fn can_be_cut(t: &Context, file: &File) -> Result<bool, Trouble> {
    let cut = t.attempt(&Call::Ftruncate { fd: file.fd(), size: file.at(SIZE / 2) })?.is_ok();
    Ok(cut && (t.mechanism().state_bit().is_none() || !file.state(file.fd())?))
}

/// Size and data are those that the file was made with.
fn whole(t: &Context, file: &File) -> Result<Observed, Trouble> {
    let size = t.fact("the size is what it was", file.stat()?.size as i64 == file.at(SIZE));
    Ok(size.and(file.holds(0, &pattern(1, SIZE))))
}
