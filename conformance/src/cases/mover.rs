use super::{Case, alone, case};
use crate::context::{BLOCK_LEN, Effect, File, SIZE, StorageAgent, pattern};
use crate::verdict::{Observed, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, FLAG_COMPRESS};

pub(super) static CASES: &[Case] = &[
    case(&MOVER_DEFRAGMENT, "defragment", "defragmentation leaves a sealed file in place", |t| {
        t.reach(&Call::Defragment { fd: 0 })?;
        let file = t.sealed()?;
        let agent = file.agent()?;
        let call = Call::Defragment { fd: file.fd() };
        // Whether it is refused or does nothing, the file is as it was.
        let seen = file.act(&call, Effect::Nothing)?;
        Ok(seen.and(in_place(&file, &*agent)?))
    }),
    alone(&MOVER_COLLECT, "collect", "garbage collection passes a sealed file over", |t| {
        t.reach(&Call::Collect)?;
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.churn()?;
        let seen = t.observe(&Call::Collect)?;
        Ok(seen.and(in_place(&file, &*agent)?))
    }),
    alone(&MOVER_SHRINK, "shrink", "a file system does not shrink over a sealed file", |t| {
        t.reach(&Call::Shrink { size: 8 * BLOCK_LEN })?;
        // Something else takes the low addresses, so that the file is in the way.
        t.churn()?;
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.setup(&Call::Unlink { name: "churn".into() })?;
        let seen = file.act(&Call::Shrink { size: 8 * BLOCK_LEN }, Effect::Nothing)?;
        Ok(seen.and(in_place(&file, &*agent)?))
    }),
    case(&MOVER_ATTRIBUTE, "compress", "a sealed file cannot be marked for compression", |t| {
        let probe = t.file("probe", SIZE)?;
        let call = |fd| Call::ChangeFlags { fd, set: FLAG_COMPRESS, clear: 0 };
        t.given(&call(probe.fd()), "no compression")?;
        let file = t.sealed()?;
        file.refused(&call(file.fd()))
    }),
];

/// What an agent writes at the old place is what the file has.
pub(super) fn in_place(file: &File, agent: &dyn StorageAgent) -> Result<Observed, Trouble> {
    let data = pattern(50, SIZE);
    agent.write(file.at(0), &data)?;
    Ok(file.holds(0, &data))
}
