use super::seal::each;
use crate::case::definition::{Case, alone, case};
use crate::case::file::Effect;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call};

pub(super) static CASES: &[Case] = &[
    case(&NAME_UNLINK, "unlink", "a name of a sealed file can be removed", |t| {
        let file = t.sealed()?;
        file.act(&Call::Unlink { name: file.name() }, Effect::Change(&|after| after.stat.links -= 1))
    }),
    case(&NAME_KEPT, "kept", "a file without a name stays usable, sealed and in place", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.given(&Call::Unlink { name: file.name() }, "no way to remove the name")?;
        let other = t.churn()?;
        let data = pattern(40, BLOCK_LEN);
        let seen = file.write(0, &data)?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let seen = seen.and(t.fact("the agent finds the next write", agent.read(file.at(0), BLOCK)? == data));
        Ok(seen.and(t.churn_intact(&other)?))
    }),
    alone(&NAME_FREED, "freed", "the space of a removed file is free after its last reference has gone", |t| {
        let before = t.free_space()?;
        let len = 32 * t.size();
        let file = t.sealed_file("big", len)?;
        t.given(&Call::Unlink { name: file.name() }, "no way to remove the name")?;
        file.close()?;
        let freed = t.eventually(|| Ok(before - t.free_space()? < len / 2))?;
        Ok(t.fact("the space of the file is free again", freed))
    }),
    alone(&NAME_FREED, "freed_later", "the space of a removed file is free after unmounting and mounting", |t| {
        let (before, len) = (t.free_space()?, 32 * t.size());
        let file = t.file("big", len)?;
        t.setup(&Call::Link { from: file.name(), to: "second".into() })?;
        t.setup(&file.enter_call()?)?;
        t.given(&Call::Unlink { name: file.name() }, "no way to remove a name")?;
        t.reach(&Call::Cycle)?;
        file.close()?;
        t.setup(&Call::Cycle)?;
        t.setup(&Call::Unlink { name: "second".into() })?;
        let freed = t.eventually(|| Ok(before - t.free_space()? < len / 2))?;
        Ok(t.fact("the space of the file is free again", freed))
    }),
    case(&NAME_RENAME, "rename", "a sealed file can be renamed", |t| {
        let file = t.sealed()?;
        file.act(&Call::Rename { from: file.name(), to: "renamed".into(), exchange: false }, Effect::Times)
    }),
    case(&NAME_REPLACE, "replace", "another file can be renamed over a sealed file", |t| {
        t.beside("other", BLOCK_LEN)?;
        let file = t.sealed()?;
        let call = Call::Rename { from: "other".into(), to: file.name(), exchange: false };
        file.act(&call, Effect::Change(&|after| after.stat.links -= 1))
    }),
    case(&NAME_REPLACE, "replace_sealed", "a sealed file can be renamed over another sealed file", |t| {
        let other = t.sealed_as("other")?;
        let file = t.sealed()?;
        let call = Call::Rename { from: other.name(), to: file.name(), exchange: false };
        file.act(&call, Effect::Change(&|after| after.stat.links -= 1))
    }),
    case(
        &NAME_EXCHANGE,
        "exchange",
        "a sealed file can exchange names with another file, and the state stays with the file",
        |t| {
            t.beside("other", BLOCK_LEN)?;
            let file = t.sealed()?;
            let (name, other) = (file.name(), "other".to_owned());
            // Each of the two files is the first one once, and each is renamed back.
            each(&[(&other, &name), (&other, &name), (&name, &other), (&name, &other)], |(from, to)| {
                let (from, to) = ((*from).clone(), (*to).clone());
                file.act(&Call::Rename { from, to, exchange: true }, Effect::Times)
            })
        },
    ),
    case(&NAME_LINK, "link", "a sealed file can be given another name", |t| {
        let file = t.sealed()?;
        let call = Call::Link { from: file.name(), to: "second".into() };
        file.act(&call, Effect::Change(&|after| after.stat.links += 1))
    }),
];
