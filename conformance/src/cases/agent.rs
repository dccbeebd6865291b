use super::{Case, case};
use crate::context::{BLOCK_LEN, SIZE, pattern};
use iomap_clauses::*;
use iomap_reference::{Call, Mode};

pub(super) static CASES: &[Case] = &[
    case(&AGENT_SEES, "overwrite", "an agent finds what was written later", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let data = pattern(30, SIZE);
        let write = Call::Pwrite { fd: file.fd(), offset: file.at(0), data: data.clone() };
        t.given(&write, "no write to look for")?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        Ok(t.fact("the agent reads what was written", agent.read(file.at(0), SIZE as usize)? == data))
    }),
    case(&AGENT_WRITES, "after_refusal", "what an agent writes is read, also after a refused call", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let mode = Mode::ZERO_RANGE | Mode::KEEP_SIZE;
        let zero = Call::Fallocate { fd: file.fd(), mode, offset: file.at(0), len: BLOCK_LEN };
        let _ = t.observe(&zero)?;
        let data = pattern(31, SIZE);
        agent.write(file.at(0), &data)?;
        Ok(file.holds(0, &data))
    }),
    case(&AGENT_WRITES, "after_rename", "what an agent writes is read, also after a rename", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        // Whether it can be renamed is for another clause.
        let _ = t.observe(&Call::Rename { from: file.name(), to: "renamed".into(), exchange: false })?;
        let data = pattern(32, SIZE);
        agent.write(file.at(0), &data)?;
        Ok(file.holds(0, &data))
    }),
    case(&AGENT_NEIGHBOURS, "churn", "what an agent writes does not reach a file made later", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let other = t.churn()?;
        agent.write(file.at(0), &pattern(33, SIZE))?;
        t.churn_intact(&other)
    }),
];
