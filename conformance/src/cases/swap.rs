use super::seal::succeeded;
use crate::case::context::Context;
use crate::case::definition::{Case, case};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::mechanism::Mechanism;
use crate::verdict::{Observed, Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Fd};
use nix::fcntl::OFlag;

/// The offset from which on a case may read a file to which the kernel swaps: after the header and the page that it
/// offers.
const AFTER_SWAP: i64 = 2 * BLOCK_LEN;

pub(super) static CASES: &[Case] = &[
    case(&SWAP_ON, "swapon", "a sealed file can be an active swap file", |t| {
        let file = sealed_swap_file(t)?;
        let seen = t.observe(&Call::Swapon { fd: file.fd() })?;
        off(t, &file, &seen)?;
        Ok(seen)
    }),
    case(&SWAP_KEEPS, "in_place", "swapon does not change size and placement of a sealed file", |t| {
        let file = sealed_swap_file(t)?;
        let agent = file.agent()?;
        let size = file.stat()?.size;
        t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
        let data = pattern(51, BLOCK_LEN);
        agent.write(AFTER_SWAP, &data)?;
        t.setup(&Call::Swapoff { fd: file.fd() })?;
        let same = t.fact("the size is what it was", file.stat()?.size == size);
        Ok(same.and(file.holds(AFTER_SWAP, &data)))
    }),
    case(&SWAP_WRITES, "write", "an active swap file is not written to, sealed or not", |t| {
        let file = sealed_swap_file(t)?;
        t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
        let data = vec![1; BLOCK];
        let seen = file.refused(&Call::Pwrite { fd: file.fd(), offset: AFTER_SWAP, data })?;
        t.setup(&Call::Swapoff { fd: file.fd() })?;
        Ok(seen)
    }),
    case(&SWAP_OFF, "swapoff", "a sealed file stays sealed after swapoff", |t| {
        let file = sealed_swap_file(t)?;
        t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
        let seen = file.act(&Call::Swapoff { fd: file.fd() }, Effect::Nothing)?;
        Ok(seen.and(t.fact("the file is sealed", file.state(file.fd())?)))
    }),
    case(&SWAP_UNSEALED, "does_not_seal", "swapon does not seal a file", |t| {
        let file = swap_file(t)?;
        t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
        t.setup(&Call::Swapoff { fd: file.fd() })?;
        let seen = t.fact("the file is not sealed", !file.state(file.fd())?);
        let shrink = Call::Ftruncate { fd: file.fd(), size: AFTER_SWAP };
        Ok(seen.and(t.fact("afterwards the file can be cut", t.attempt(&shrink)?.is_ok())))
    }),
    case(&SWAP_SEAL, "seal", "an active swap file cannot be sealed", |t| {
        let file = swap_file(t)?;
        t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
        let seen = file.refused(&file.enter_call()?);
        t.setup(&Call::Swapoff { fd: file.fd() })?;
        seen
    }),
    case(&SWAP_AGAIN, "seal_again", "an active swap file that is sealed can be sealed again", |t| {
        let file = sealed_swap_file(t)?;
        again(t, &file, &file.enter_call()?)
    }),
    case(&SWAP_AGAIN, "unseal_again", "an active swap file that is not sealed can be unsealed again", |t| {
        let file = swap_file(t)?;
        again(t, &file, &file.leave_call()?)
    }),
    case(&SWAP_UNSEAL, "unseal", "an active swap file cannot be unsealed", |t| {
        let file = sealed_swap_file(t)?;
        t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
        let seen = file.refused(&file.leave_call()?)?;
        t.setup(&Call::Swapoff { fd: file.fd() })?;
        Ok(seen)
    }),
];

/// A call on an active swap file that changes nothing.
fn again(t: &Context, file: &File, call: &Call) -> Seen {
    t.given(&Call::Swapon { fd: file.fd() }, "no swap")?;
    let seen = file.act(call, Effect::Nothing);
    t.setup(&Call::Swapoff { fd: file.fd() })?;
    seen
}

/// A file with a swap header, whatever the mechanism.
pub(super) fn swap_file<'a>(t: &'a Context<'a>) -> Result<File<'a>, Trouble> {
    t.needs_seal("second state beside it")?;
    let header = Mechanism::Swapfile.header();
    let file = t.file("swap", header.len() as i64 + t.size())?;
    // The descriptor of the case may write at the end only.
    let fd = t.setup_number(&Call::Open { name: file.name(), flags: OFlag::O_WRONLY, mode: 0 })? as Fd;
    for call in [Call::Pwrite { fd, offset: 0, data: header }, Call::Fsync { fd }, Call::Close { fd }] {
        t.setup(&call)?;
    }
    Ok(file)
}

/// The same in the state.
fn sealed_swap_file<'a>(t: &'a Context<'a>) -> Result<File<'a>, Trouble> {
    let file = swap_file(t)?;
    t.setup(&file.enter_call()?)?;
    file.held()?;
    Ok(file)
}

pub(super) fn off(t: &Context, file: &File, activation: &Observed) -> Result<(), Trouble> {
    if succeeded(activation) { t.setup(&Call::Swapoff { fd: file.fd() }).map(|_| ()) } else { Ok(()) }
}
