use super::holds::{pinned, registered};
use super::prompt;
use super::seal::each;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case, limited};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Observed, Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, Mode};

/// Ranges that begin inside the size. Some of them cross the end.
fn inside(t: &Context) -> [(i64, i64); 3] {
    let size = t.size();
    let rest = if size > BLOCK_LEN { (BLOCK_LEN, size - BLOCK_LEN) } else { (0, size) };
    [(0, BLOCK_LEN), rest, (size.min(BLOCK_LEN) - 1, 2)]
}

/// Ranges across the end and beyond it: near it and far, short and long, in one block and in two.
fn beyond(t: &Context) -> [(i64, i64); 6] {
    let (size, border) = (t.size(), t.whole() + BLOCK_LEN);
    [
        (t.near_end(), 2 * BLOCK_LEN),
        (size, BLOCK_LEN),
        (size, 1),
        (border - 1, 2),
        (size + 1, 16 * BLOCK_LEN),
        (10 * size, BLOCK_LEN),
    ]
}

/// Ranges inside, across and beyond the size.
fn ranges(t: &Context) -> Vec<(i64, i64)> {
    [&inside(t)[..], &beyond(t)].concat()
}

/// Ranges of whole blocks that end before the last block, if the file has as many.
fn blocks(t: &Context) -> Vec<(i64, i64)> {
    let all = [(0, BLOCK_LEN), (BLOCK_LEN, BLOCK_LEN), (0, t.whole() - 2 * BLOCK_LEN)];
    all.into_iter().filter(|(_, len)| *len > 0).collect()
}

pub(super) static CASES: &[Case] = &[
    case(&FALLOCATE_INSIDE, "inside", "allocating space that a sealed file has already succeeds", |t| {
        succeeds(t, Mode::ALLOCATE)
    }),
    case(
        &FALLOCATE_INSIDE,
        "inside_keep_size",
        "allocating space inside the size with FALLOC_FL_KEEP_SIZE succeeds",
        |t| succeeds(t, Mode::KEEP_SIZE),
    ),
    case(
        &FALLOCATE_INSIDE,
        "inside_unshare",
        "unsharing a range of a sealed file, which shares nothing, succeeds",
        |t| succeeds(t, Mode::UNSHARE_RANGE),
    ),
    case(
        &FALLOCATE_INSIDE_PROMPT,
        "inside_mapped",
        "allocating space inside the size does not wait for a process that has the file mapped",
        |t| prompt::while_held(t, allocate_again, |file| file.map(true, true).map(drop)),
    ),
    case(
        &FALLOCATE_INSIDE_PROMPT,
        "inside_registered",
        "allocating space inside the size does not wait for a device",
        |t| prompt::while_held(t, allocate_again, |file| registered(file, None).map(drop)),
    ),
    case(
        &FALLOCATE_INSIDE_PROMPT,
        "inside_pinned",
        "allocating space inside the size does not wait for a device that has a mapping",
        |t| prompt::while_held(t, allocate_again, pinned),
    ),
    alone(
        &FALLOCATE_INSIDE_PROMPT,
        "inside_full",
        "allocating space inside the size works on a full file system",
        |t| prompt::when_full(t, allocate_again),
    ),
    limited(
        &FALLOCATE_INSIDE_PROMPT,
        "quota_inside",
        "allocating space inside the size works at the limit of a quota",
        |t| prompt::at_limit(t, allocate_again),
    ),
    case(
        &FALLOCATE_INSIDE_PROMPT,
        "inside_tail",
        "allocating space inside the size leaves bytes of an agent behind the end",
        |t| prompt::beside_an_agent(t, allocate_again),
    ),
    alone(
        &FALLOCATE_INSIDE_PROMPT,
        "database",
        "the calls with which a memory-mapped database opens its file work on a full file system",
        |t| {
            let file = t.sealed()?;
            let (fd, len) = (file.fd(), file.at(t.size()));
            let again = Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset: 0, len };
            t.given(&again, "not before the file system is full either")?;
            t.full()?;
            let fd = t.open(&file.name(), t.mechanism().access())?;
            let len = file.at(t.size());
            let seen = t.observe(&Call::Fallocate { fd, mode: Mode::ALLOCATE, offset: 0, len })?;
            t.given(&Call::Ftruncate { fd, size: len }, "no truncation to the size that the file has")?;
            let (mapped, map) = file.map(true, true)?;
            let Some(map) = map else { return Ok(seen.and(mapped)) };
            let data = pattern(97, BLOCK_LEN);
            let store = Call::Store { map, offset: file.at(0) as usize, data: data.clone() };
            Ok(seen.and(mapped).and(file.write_with(store, 0, &data)?))
        },
    ),
    case(&FALLOCATE_GROW, "grow", "allocating beyond the size of a sealed file is refused", |t| {
        refused(t, Mode::ALLOCATE, &[&[(0, t.size() + 1)], &beyond(t)[..]].concat())
    }),
    case(
        &FALLOCATE_KEEP_BEYOND,
        "keep_beyond",
        "allocating beyond the size with FALLOC_FL_KEEP_SIZE is refused",
        |t| refused(t, Mode::KEEP_SIZE, &beyond(t)),
    ),
    case(&FALLOCATE_KEEP_BEYOND, "unshare_beyond", "unsharing a range beyond the size is refused", |t| {
        refused(t, Mode::UNSHARE_RANGE, &beyond(t))
    }),
    case(&FALLOCATE_PUNCH, "punch", "punching a hole into a sealed file is refused", |t| {
        refused(
            t,
            Mode::PUNCH_HOLE | Mode::KEEP_SIZE,
            &[&inside(t)[..], &[(BLOCK_LEN, 2 * BLOCK_LEN), (1, 1), (0, t.size())]].concat(),
        )
    }),
    case(&FALLOCATE_ZERO, "zero", "zeroing a range of a sealed file is refused", |t| {
        refused(t, Mode::ZERO_RANGE, &ranges(t))
    }),
    case(&FALLOCATE_ZERO, "zero_keep_size", "zeroing a range with FALLOC_FL_KEEP_SIZE is refused", |t| {
        refused(t, Mode::ZERO_RANGE | Mode::KEEP_SIZE, &ranges(t))
    }),
    case(&FALLOCATE_COLLAPSE, "collapse", "collapsing a range of a sealed file is refused", |t| {
        refused(t, Mode::COLLAPSE_RANGE, &blocks(t))
    }),
    case(&FALLOCATE_INSERT, "insert", "inserting a range into a sealed file is refused", |t| {
        refused(t, Mode::INSERT_RANGE, &[&blocks(t)[..], &[(0, 16 * BLOCK_LEN)]].concat())
    }),
    case(&FALLOCATE_WRITE_ZEROES, "write_zeroes", "FALLOC_FL_WRITE_ZEROES on a sealed file is refused", |t| {
        refused(t, Mode::WRITE_ZEROES, &ranges(t))
    }),
    case(&FALLOCATE_NO_OP, "punch_beyond", "punching a hole beyond the end of a sealed file is refused", |t| {
        refused(t, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, &beyond(t)[1..])
    }),
    case(&FALLOCATE_UNKNOWN, "unknown", "fallocate with an unknown mode bit reports the bit before the seal", |t| {
        made(t, Mode(1 << 20), &[&[(0, t.size()), (BLOCK_LEN, BLOCK_LEN)], &ranges(t)[..]].concat())
    }),
    case(&FALLOCATE_ARGUMENT, "argument", "fallocate with a bad range reports the range before the seal", |t| {
        let file = t.sealed()?;
        each(&[(0, 0), (0, -1), (-1 - file.at(0), t.size())], |(offset, len)| {
            file.fallocate(Mode::ALLOCATE, *offset, *len)
        })
    }),
    case(
        &FALLOCATE_READONLY,
        "readonly",
        "fallocate through a descriptor without write access reports that before the seal",
        |t| {
            let file = t.sealed()?;
            let modes = [Mode::ALLOCATE, Mode::KEEP_SIZE];
            each(&file.readers()?, |fd| {
                each(&modes, |mode| {
                    each(&ranges(t), |(offset, len)| {
                        file.refused(&Call::Fallocate { fd: *fd, mode: *mode, offset: file.at(*offset), len: *len })
                    })
                })
            })
        },
    ),
    case(
        &FALLOCATE_READONLY,
        "readonly_alone",
        "fallocate reports that the only descriptor of a sealed file has no write access",
        |t| {
            let file = t.sealed()?;
            let (fd, size) = (file.only_reader()?, t.lead() + t.size());
            each(&[(0, size), (size, BLOCK_LEN)], |(offset, len)| {
                t.observe(&Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset: *offset, len: *len })
            })
        },
    ),
];

/// Allocates all of a file, and parts of it: the file has its space already.
fn allocate_again(file: &File) -> Result<Vec<Call>, Trouble> {
    let (fd, mode, size) = (file.fd(), Mode::KEEP_SIZE, file.stat()?.size as i64);
    let parts = [(0, size), (size - 1, 1), (1, size - 1), (BLOCK_LEN, BLOCK_LEN), (BLOCK_LEN - 1, 2)];
    let parts = parts.into_iter().filter(|(offset, len)| *len > 0 && offset + len <= size);
    Ok(parts.map(|(offset, len)| Call::Fallocate { fd, mode, offset, len }).collect())
}

/// The answer of a file in the state. Where no file has the mode, EOPNOTSUPP says nothing about the state.
fn refused(t: &Context, mode: Mode, ranges: &[(i64, i64)]) -> Seen {
    offered(t, mode, made(t, mode, ranges)?)
}

/// The same for ranges inside the size, with a mode that changes nothing there.
fn succeeds(t: &Context, mode: Mode) -> Seen {
    let file = t.sealed()?;
    let size = t.size();
    let parts = [(0, size), (size - 1, 1), (BLOCK_LEN, 1), (BLOCK_LEN - 1, 2), (size - BLOCK_LEN, BLOCK_LEN)];
    let parts = parts.into_iter().filter(|(offset, len)| *offset >= 0 && offset + len <= size);
    let seen = each(&parts.collect::<Vec<_>>(), |(offset, len)| {
        file.act(&Call::Fallocate { fd: file.fd(), mode, offset: file.at(*offset), len: *len }, Effect::Times)
    })?;
    offered(t, mode, seen)
}

fn offered(t: &Context, mode: Mode, seen: Observed) -> Seen {
    let unsupported = Some(Some(Errno::EOPNOTSUPP));
    if seen.0.iter().any(|one| one.outcome == unsupported) && !t.mechanism().is_always_on() {
        let probe = t.beside("probe", t.size())?;
        let call = Call::Fallocate { fd: probe.fd(), mode, offset: probe.at(0), len: BLOCK_LEN };
        if t.attempt(&call)? == Err(Errno::EOPNOTSUPP) {
            return Err(Trouble::NotOffered(format!("{call} fails with EOPNOTSUPP for an ordinary file, too")));
        }
    }
    Ok(seen)
}

fn made(t: &Context, mode: Mode, ranges: &[(i64, i64)]) -> Seen {
    let file = t.sealed()?;
    each(ranges, |(offset, len)| file.fallocate(mode, *offset, *len))
}
