use super::{Case, case};
use crate::context::{BLOCK_LEN, Effect};
use iomap_clauses::*;
use iomap_reference::Call;

pub(super) static CASES: &[Case] = &[
    case(&SHARE_SOURCE, "source", "a sealed file cannot be cloned from", |t| {
        t.needs_sharing()?;
        let file = t.sealed()?;
        let target = t.file("target", BLOCK_LEN)?;
        let seen = file.act(&Call::Clone { from: file.fd(), to: target.fd() }, Effect::Nothing)?;
        Ok(seen.and(t.fact("the other file has its own size", target.stat()?.size as i64 == target.at(BLOCK_LEN))))
    }),
    case(&SHARE_TARGET, "target", "a sealed file cannot be cloned into", |t| {
        t.needs_sharing()?;
        let file = t.sealed()?;
        let from = t.file("origin", 2 * BLOCK_LEN)?;
        file.act(&Call::Clone { from: from.fd(), to: file.fd() }, Effect::Nothing)
    }),
];
