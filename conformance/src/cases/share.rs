use super::{Case, case};
use crate::context::Effect;
use iomap_clauses::*;
use iomap_reference::Call;
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&SHARE_SOURCE, "source", "a sealed file cannot be cloned from", |t| {
        t.needs_sharing()?;
        let file = t.sealed()?;
        let to = t.open("clone", OFlag::O_RDWR | OFlag::O_CREAT)?;
        file.act(&Call::Clone { from: file.fd(), to }, Effect::Nothing)
    }),
    case(&SHARE_TARGET, "target", "a sealed file cannot be cloned into", |t| {
        t.needs_sharing()?;
        let file = t.sealed()?;
        let from = t.file("origin", 2 * crate::context::BLOCK_LEN)?;
        file.act(&Call::Clone { from: from.fd(), to: file.fd() }, Effect::Nothing)
    }),
];
