use super::seal::each;
use super::write::in_place;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::{Effect, File};
use crate::mechanism::BLOCK_LEN;
use crate::verdict::Seen;
use iomap_clauses::*;
use iomap_reference::Call;

pub(super) static CASES: &[Case] = &[
    case(&SHARE_SOURCE, "source", "a sealed file cannot be cloned from", |t| {
        t.needs_sharing()?;
        let target = t.beside("target", BLOCK_LEN)?;
        let file = t.sealed()?;
        let seen = file.act(&Call::Clone { from: file.fd(), to: target.fd() }, Effect::Nothing)?;
        let parts = each(&parts(t.size()), |(offset, len)| {
            let (from, from_offset, to, len) = (file.fd(), file.at(*offset), target.fd(), *len);
            file.act(&Call::CloneRange { from, from_offset, to, to_offset: 0, len }, Effect::Nothing)
        })?;
        let seen = seen.and(parts);
        Ok(seen.and(t.fact("the other file has its own size", target.stat()?.size as i64 == target.at(BLOCK_LEN))))
    }),
    case(&SHARE_SOURCE, "source_in_place", "a sealed file that was not cloned is still written in place", |t| {
        t.needs_sharing()?;
        let others = [t.beside("empty", 0)?, t.beside("larger", t.whole() + BLOCK_LEN)?];
        let file = t.sealed()?;
        in_place(t, &[&file], || {
            each(&others, |to| file.act(&Call::Clone { from: file.fd(), to: to.fd() }, Effect::Nothing))
        })
    }),
    case(&SHARE_WITHIN, "within", "a part of a sealed file cannot be cloned to another part of it", |t| {
        let clone = |file: &File, blocks| clone_within(file, 0, 2 * BLOCK_LEN, blocks);
        t.given(&clone(&t.beside("probe", t.size())?, 1), "no clone of a part to another part")?;
        let file = t.sealed()?;
        // The second half of the shortest file is two blocks, or less in the last one.
        let most = (t.size() / BLOCK_LEN - 2).clamp(1, 2);
        in_place(t, &[&file], || each(&[1, most], |blocks| file.refused(&clone(&file, *blocks))))
    }),
    case(&SHARE_WITHIN, "dedupe_within", "a part of a sealed file cannot be deduplicated with another part", |t| {
        let dedupe = |file: &File| {
            let (fd, from_offset, to_offset) = (file.fd(), file.at(0), file.at(2 * BLOCK_LEN));
            Call::Dedupe { from: fd, from_offset, to: fd, to_offset, len: BLOCK_LEN as usize }
        };
        let of_equal_parts = |name| {
            let file = t.file(name, t.size())?;
            let write = Call::Pwrite { fd: file.fd(), offset: file.at(2 * BLOCK_LEN), data: file.read(0, BLOCK_LEN)? };
            [write, Call::Fsync { fd: file.fd() }].iter().try_for_each(|call| t.setup(call).map(drop))?;
            Ok(file)
        };
        t.given(&dedupe(&of_equal_parts("probe")?), "no deduplication of two parts")?;
        let file = of_equal_parts("file")?;
        t.setup(&file.enter_call()?)?;
        in_place(t, &[&file], || file.refused(&dedupe(&file)))
    }),
    case(&SHARE_DEDUPE_SOURCE, "dedupe_source", "a sealed file cannot be the source of deduplication", |t| {
        deduplicated(t, |file, twin| (file, twin))
    }),
    case(&SHARE_DEDUPE_TARGET, "dedupe_target", "a sealed file cannot be the destination of deduplication", |t| {
        deduplicated(t, |file, twin| (twin, file))
    }),
    case(&SHARE_EXCHANGE, "exchange", "exchanging the contents of a sealed file is refused", |t| {
        t.reach(&Call::Exchange { one: 0, other: 0 })?;
        let other = t.beside("other", t.size())?;
        let file = t.sealed()?;
        file.act(&Call::Exchange { one: file.fd(), other: other.fd() }, Effect::Nothing)
    }),
    case(
        &SHARE_EXCHANGE_OTHER,
        "exchange_other",
        "exchanging contents with a sealed file as the second file is refused",
        |t| {
            t.reach(&Call::Exchange { one: 0, other: 0 })?;
            let other = t.beside("other", t.size())?;
            let file = t.sealed()?;
            file.act(&Call::Exchange { one: other.fd(), other: file.fd() }, Effect::Nothing)
        },
    ),
    alone(&SHARE_SNAPSHOT, "snapshot", "a snapshot that would share the storage of a sealed file is refused", |t| {
        t.reach(&Call::Snapshot)?;
        let file = t.sealed()?;
        in_place(t, &[&file], || file.act(&Call::Snapshot, Effect::Nothing))
    }),
    case(&SHARE_TARGET, "target", "a sealed file cannot be cloned into", |t| {
        t.needs_sharing()?;
        // A range ends inside a block only where both files end.
        let (from, equal) = (t.beside("origin", 2 * BLOCK_LEN)?, t.beside("equal", t.size())?);
        let file = t.sealed()?;
        let ranges = |from: &File, size| {
            each(&parts(size), |(offset, len)| {
                let (from_offset, to, to_offset, len) = (from.at(*offset), file.fd(), file.at(*offset), *len);
                file.act(&Call::CloneRange { from: from.fd(), from_offset, to, to_offset, len }, Effect::Nothing)
            })
        };
        let seen = file.act(&Call::Clone { from: from.fd(), to: file.fd() }, Effect::Nothing)?;
        Ok(seen.and(ranges(&from, t.size().min(2 * BLOCK_LEN))?).and(ranges(&equal, t.size())?))
    }),
];

/// Deduplication of a sealed file and another one with the same data, of which `roles` makes source and destination.
fn deduplicated(
    t: &Context,
    roles: for<'a, 'b> fn(&'a File<'b>, &'a File<'b>) -> (&'a File<'b>, &'a File<'b>),
) -> Seen {
    t.needs_sharing()?;
    let twin = t.beside("twin", t.size())?;
    let file = t.sealed()?;
    let (source, target) = roles(&file, &twin);
    in_place(t, &[&file], || {
        each(&[vec![(0, t.size())], parts(t.size())].concat(), |(offset, len)| {
            let (from, to, len) = (source.fd(), target.fd(), *len as usize);
            let (from_offset, to_offset) = (source.at(*offset), target.at(*offset));
            file.act(&Call::Dedupe { from, from_offset, to, to_offset, len }, Effect::Nothing)
        })
    })
}

/// Parts of a file of this size that can be shared, as offset and length: whole blocks, and the end.
fn parts(size: i64) -> Vec<(i64, i64)> {
    let last = (size - 1) / BLOCK_LEN * BLOCK_LEN;
    let all = [(0, BLOCK_LEN), (BLOCK_LEN, 2 * BLOCK_LEN), (last, size - last)];
    all.into_iter().filter(|(offset, len)| offset + len <= size).collect()
}

/// The call that clones so many blocks of a file to another place in it; both are offsets of the case.
pub(super) fn clone_within(file: &File, from: i64, to: i64, blocks: i64) -> Call {
    let (fd, from_offset, to_offset) = (file.fd(), file.at(from), file.at(to));
    Call::CloneRange { from: fd, from_offset, to: fd, to_offset, len: blocks * BLOCK_LEN }
}
