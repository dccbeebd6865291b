use super::{Case, alone};
use crate::context::{Context, File, SIZE, pattern};
use crate::verdict::{Observed, Trouble};
use iomap_clauses::*;
use iomap_reference::Call;

const POWER_LOSS: Call = Call::PowerLoss { during: None };

pub(super) static CASES: &[Case] = &[
    alone(&DURABLE_SEAL, "sealed", "a sealed file is sealed after a loss of power", |t| {
        t.reach(&POWER_LOSS)?;
        t.sealed()?;
        t.power_loss(None)?;
        let file = File::reopened(t, "file")?;
        Ok(t.fact("the file is sealed", refuses_to_shrink(t, &file)?))
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
        Ok(seen.and(t.fact("the file is sealed", refuses_to_shrink(t, &file)?)))
    }),
    alone(&DURABLE_UNSEAL, "unsealed", "an unsealed file is not sealed after a loss of power", |t| {
        t.reach(&POWER_LOSS)?;
        let file = t.sealed()?;
        t.setup(&file.leave_call()?)?;
        t.power_loss(None)?;
        let file = File::reopened(t, "file")?;
        Ok(t.fact("the file is not sealed", !refuses_to_shrink(t, &file)?))
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

fn refuses_to_shrink(t: &Context, file: &File) -> Result<bool, Trouble> {
    Ok(t.attempt(&Call::Ftruncate { fd: file.fd(), size: file.at(SIZE / 2) })? == Err(Errno::ETXTBSY))
}

/// Size and data are those that the file was made with.
fn whole(t: &Context, file: &File) -> Result<Observed, Trouble> {
    let size = t.fact("the size is what it was", file.stat()?.size as i64 == file.at(SIZE));
    Ok(size.and(file.holds(0, &pattern(1, SIZE))))
}
