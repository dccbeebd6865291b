use super::{Case, case};
use crate::context::{BLOCK_LEN, SIZE, pattern};
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Mode};

pub(super) static CASES: &[Case] = &[
    case(&AGENT_SEES, "overwrite", "an agent finds what was written later", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let data = pattern(30, SIZE);
        let seen = file.write(0, &data)?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        Ok(seen.and(t.fact("the agent reads what was written", agent.read(file.at(0), SIZE as usize)? == data)))
    }),
    case(&AGENT_WRITES, "after_refusal", "what an agent writes is read, also after a refused call", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let _ = t.observe(&Call::Ftruncate { fd: file.fd(), size: file.at(2 * SIZE) })?;
        let zero = Mode::ZERO_RANGE | Mode::KEEP_SIZE;
        let zero = Call::Fallocate { fd: file.fd(), mode: zero, offset: file.at(0), len: BLOCK_LEN };
        let _ = t.observe(&zero)?;
        let data = pattern(31, SIZE);
        agent.write(file.at(0), &data)?;
        Ok(t.fact("read(2) returns what the agent wrote", file.read_direct(0, SIZE)? == data))
    }),
    case(&AGENT_WRITES, "after_rename", "what an agent writes is read, also after a rename", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let renamed = t.observe(&Call::Rename { from: file.name(), to: "renamed".into(), exchange: false })?;
        let data = pattern(32, SIZE);
        agent.write(file.at(0), &data)?;
        let same = file.read_direct(0, SIZE)? == data;
        Ok(renamed.and(t.fact("read(2) returns what the agent wrote", same)))
    }),
    case(&AGENT_NEIGHBOURS, "churn", "what an agent writes does not reach a file made later", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let other = t.churn()?;
        agent.write(file.at(0), &pattern(33, SIZE))?;
        let intact = t.fact("the other file is what was written to it", t.churn_intact(&other)?);
        Ok(intact.and(t.fact("the file is what the agent wrote", file.read_direct(0, BLOCK as i64)? == pattern(33, BLOCK_LEN))))
    }),
];
