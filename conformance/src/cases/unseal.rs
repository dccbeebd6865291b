use super::seal::{each, hole_from, mapped};
use super::write::owner_at_limit;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case, limited};
use crate::case::file::{Effect, File};
use crate::case::picture::Picture;
use crate::case::prepare::pattern;
use crate::mechanism;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Caller, FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, Fd, Mode};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::ops::Range;

pub(super) static CASES: &[Case] = &[
    case(&UNSEAL_UNSEALED, "unsealed", "a sealed file can be unsealed", |t| t.sealed()?.leave()),
    case(&UNSEAL_ORDINARY, "ordinary", "an unsealed file can be shortened, grown and punched", |t| {
        let file = t.sealed()?;
        let seen = file.leave()?;
        let shrink = Call::Ftruncate { fd: file.fd(), size: file.at(2 * BLOCK_LEN) };
        let seen = seen.and(t.observe(&shrink)?);
        let grow = Call::Fallocate { fd: file.fd(), mode: Mode::ALLOCATE, offset: file.at(0), len: t.size() };
        Ok(seen
            .and(t.observe(&grow)?)
            .and(t.fact("the size is that of the last call", file.stat()?.size as i64 == file.at(t.size()))))
    }),
    case(&UNSEAL_ORDINARY, "punch", "a range that is punched after unsealing reads as zeros", |t| {
        let ranges =
            [(100, 50), (100, 2 * BLOCK_LEN), (t.size() - 10, BLOCK_LEN), (2 * t.size(), BLOCK_LEN), (0, t.size())];
        allocates(t, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, &ranges, |data, range| zeros(data, range, false))
    }),
    case(
        &UNSEAL_ORDINARY,
        "zero",
        "a range that is zeroed after unsealing reads as zeros and can make the file larger",
        |t| {
            let ranges = [
                (100, 50),
                (BLOCK_LEN - 100, BLOCK_LEN + 200),
                (t.size() - BLOCK_LEN, 2 * BLOCK_LEN),
                (2 * t.size(), 10),
            ];
            allocates(t, Mode::ZERO_RANGE, &ranges, |data, range| zeros(data, range, true))
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "zero_keep_size",
        "zeroing with FALLOC_FL_KEEP_SIZE after unsealing does not change the size",
        |t| {
            let ranges = [(BLOCK_LEN, BLOCK_LEN), (t.size() - 10, BLOCK_LEN), (2 * t.size(), BLOCK_LEN)];
            allocates(t, Mode::ZERO_RANGE | Mode::KEEP_SIZE, &ranges, |data, range| zeros(data, range, false))
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "collapse",
        "collapsing a range after unsealing joins the data before and after the range",
        |t| {
            let ranges = [(BLOCK_LEN, BLOCK_LEN), (0, 2 * BLOCK_LEN)];
            allocates(t, Mode::COLLAPSE_RANGE, &ranges, |data, range| drop(data.drain(range)))
        },
    ),
    case(&UNSEAL_ORDINARY, "insert", "inserting a range after unsealing puts zeros between the data", |t| {
        let ranges = [(BLOCK_LEN, BLOCK_LEN), (0, 2 * BLOCK_LEN)];
        allocates(t, Mode::INSERT_RANGE, &ranges, |data, range| {
            drop(data.splice(range.start..range.start, vec![0; range.len()]));
        })
    }),
    case(
        &UNSEAL_ORDINARY,
        "unaligned",
        "collapsing or inserting parts of blocks, or at the end, is refused after unsealing",
        |t| {
            let (collapse, insert) = (Mode::COLLAPSE_RANGE, Mode::INSERT_RANGE);
            let steps = [
                (collapse, 100, BLOCK_LEN),
                (collapse, BLOCK_LEN, 100),
                (collapse, 2 * BLOCK_LEN, t.whole() - 2 * BLOCK_LEN),
                (insert, 100, BLOCK_LEN),
                (insert, BLOCK_LEN, 100),
                (insert, t.size(), BLOCK_LEN),
            ];
            fails(t, &steps, Errno::EINVAL, |file, (mode, offset, len)| {
                let (offset, len) = (file.at(*offset), *len);
                Call::Fallocate { fd: file.fd(), mode: *mode, offset, len }
            })
        },
    ),
    case(&UNSEAL_ORDINARY, "holes", "SEEK_HOLE finds holes where they were punched after unsealing", |t| {
        let shape = |file: &File| {
            for offset in [BLOCK_LEN, 3 * BLOCK_LEN] {
                let (mode, offset) = (Mode::PUNCH_HOLE | Mode::KEEP_SIZE, file.at(offset));
                t.given(&Call::Fallocate { fd: file.fd(), mode, offset, len: BLOCK_LEN }, "no holes")?;
            }
            let holes = [0, BLOCK_LEN + 10, 2 * BLOCK_LEN + 10].map(|offset| hole_from(t, file, offset));
            t.setup(&Call::Ftruncate { fd: file.fd(), size: file.at(BLOCK_LEN + 100) })?;
            holes.into_iter().chain([hole_from(t, file, 0)]).collect::<Result<Vec<_>, _>>()
        };
        let (twin, file) = (t.beside("twin", t.size())?, unsealed(t)?);
        let expected = [BLOCK_LEN, BLOCK_LEN + 10, 3 * BLOCK_LEN, BLOCK_LEN];
        if shape(&twin)? != expected {
            return Err(Trouble::NotOffered("holes are not told from data".into()));
        }
        Ok(t.fact("lseek finds the holes", shape(&file)? == expected))
    }),
    case(&UNSEAL_ORDINARY, "zero_write", "a zeroed range beside a hole can be written again after unsealing", |t| {
        let punch = Mode::PUNCH_HOLE | Mode::KEEP_SIZE;
        let steps = [(Some(punch), BLOCK_LEN), (Some(Mode::ZERO_RANGE), 2 * BLOCK_LEN), (None, 2 * BLOCK_LEN)];
        let call = |file: &File, (mode, offset): &(Option<Mode>, i64)| {
            let (fd, offset) = (file.fd(), file.at(*offset));
            mode.map_or(Call::Pwrite { fd, offset, data: pattern(91, BLOCK_LEN) }, |mode| Call::Fallocate {
                fd,
                mode,
                offset,
                len: BLOCK_LEN,
            })
        };
        works(t, &steps, call, |data, (mode, offset)| {
            let new = mode.map_or(pattern(91, BLOCK_LEN), |_| vec![0; BLOCK]);
            data[*offset as usize..][..BLOCK].copy_from_slice(&new);
        })
    }),
    alone(&UNSEAL_FULL, "full_unseal", "a sealed file can be unsealed on a full file system", |t| {
        let file = t.sealed()?;
        t.full()?;
        file.leave()
    }),
    limited(&UNSEAL_FULL, "quota_unseal", "a sealed file whose owner has exhausted a quota can be unsealed", |t| {
        let (file, _ordinary) = owner_at_limit(t)?;
        file.leave()
    }),
    alone(&UNSEAL_ORDINARY, "full", "allocating and zeroing existing storage needs no space after unsealing", |t| {
        let (twin, file) = (t.beside("twin", t.size())?, unsealed(t)?);
        t.full()?;
        each(
            &[(Mode::ALLOCATE, BLOCK_LEN, t.size() - BLOCK_LEN), (Mode::ZERO_RANGE, 0, t.size())],
            |(mode, offset, len)| {
                let call = |f: &File| Call::Fallocate { fd: f.fd(), mode: *mode, offset: f.at(*offset), len: *len };
                t.given(&call(&twin), "on no file")?;
                t.observe(&call(&file))
            },
        )
    }),
    alone(
        &UNSEAL_ORDINARY,
        "zero_reserves",
        "zeroing a shared range reserves storage of its own after unsealing",
        |t| {
            t.needs_sharing()?;
            let (twin, file) = (t.beside("twin", t.size())?, unsealed(t)?);
            for (from, name) in [(&twin, "one"), (&file, "other")] {
                let to = t.beside(name, BLOCK_LEN)?;
                t.given(&Call::Clone { from: from.fd(), to: to.fd() }, "no clone of such a file")?;
                let (mode, offset) = (Mode::ZERO_RANGE, from.at(0));
                t.given(&Call::Fallocate { fd: from.fd(), mode, offset, len: t.size() }, "no zeros")?;
            }
            t.full()?;
            let write = |f: &File| Call::Pwrite { fd: f.fd(), offset: f.at(0), data: pattern(90, t.size()) };
            t.given(&write(&twin), "on no file")?;
            t.observe(&write(&file))
        },
    ),
    case(&UNSEAL_ORDINARY, "allocate", "allocation after unsealing makes the file larger, with zeros", |t| {
        let ranges = [(BLOCK_LEN, 10), (t.size(), 10), (2 * t.size(), BLOCK_LEN + 1)];
        allocates(t, Mode::ALLOCATE, &ranges, |data, range| data.resize(data.len().max(range.end), 0))
    }),
    case(
        &UNSEAL_ORDINARY,
        "keep_size",
        "allocation with FALLOC_FL_KEEP_SIZE after unsealing does not change the size",
        |t| allocates(t, Mode::KEEP_SIZE, &[(0, BLOCK_LEN), (t.size() - 1, 2 * BLOCK_LEN)], |_, _| ()),
    ),
    case(&UNSEAL_ORDINARY, "unshare", "unsharing after unsealing does not change the data, and grows the file", |t| {
        let ranges = [(0, t.size()), (t.size() - 1, 2 * BLOCK_LEN)];
        allocates(t, Mode::UNSHARE_RANGE, &ranges, |data, range| data.resize(data.len().max(range.end), 0))
    }),
    case(
        &UNSEAL_ORDINARY,
        "write_zeroes",
        "FALLOC_FL_WRITE_ZEROES after unsealing makes zeros, even beyond the size",
        |t| {
            let ranges = [(100, 2 * BLOCK_LEN), (t.size() - 10, 2 * BLOCK_LEN)];
            allocates(t, Mode::WRITE_ZEROES, &ranges, |data, range| zeros(data, range, true))
        },
    ),
    case(&UNSEAL_ORDINARY, "truncate", "data that a truncation removed after unsealing come back as zeros", |t| {
        let sizes = [t.size() - 100, t.size() + 10, BLOCK_LEN, BLOCK_LEN, 3 * BLOCK_LEN];
        works(
            t,
            &sizes,
            |file, size| Call::Ftruncate { fd: file.fd(), size: file.at(*size) },
            |data, size| {
                data.resize(*size as usize, 0);
            },
        )
    }),
    case(&UNSEAL_ORDINARY, "write", "writes across the end and beyond it make an unsealed file larger", |t| {
        let starts = [t.size() - 10, 2 * t.size() + 10];
        let call = |file: &File, at: &i64| Call::Pwrite { fd: file.fd(), offset: file.at(*at), data: pattern(80, 20) };
        works(t, &starts, call, |data, at| {
            data.resize(*at as usize, 0);
            data.extend(pattern(80, 20));
        })
    }),
    case(&UNSEAL_ORDINARY, "append", "a write with O_APPEND after unsealing goes to the end", |t| {
        let call = |file: &File, data: &Vec<u8>| Call::Write { fd: file.append(), data: data.clone() };
        works(t, &[pattern(81, 10), pattern(82, BLOCK_LEN)], call, |data, more| data.extend(more))
    }),
    case(&UNSEAL_ORDINARY, "o_trunc", "open with O_TRUNC empties an unsealed file", |t| {
        let file = unsealed(t)?;
        let open = Call::Open { name: file.name(), flags: OFlag::O_RDWR | OFlag::O_TRUNC, mode: 0 };
        Ok(t.observe(&open)?.and(t.fact("the file is empty", file.stat()?.size == 0)))
    }),
    case(
        &UNSEAL_ORDINARY,
        "clone",
        "a clone of an unsealed file has the data, and later writes reach one file only",
        |t| {
            t.needs_sharing()?;
            let copy = t.beside("copy", 2 * BLOCK_LEN)?;
            let file = unsealed(t)?;
            let seen = file.act(&Call::Clone { from: file.fd(), to: copy.fd() }, Effect::Times)?;
            t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(83, t.size()) })?;
            Ok(seen.and(copy.holds(0, &pattern(1, t.size()))).and(file.holds(0, &pattern(83, t.size()))))
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "clone_into",
        "an unsealed file has the data and size of a file that is cloned into it",
        |t| {
            t.needs_sharing()?;
            let file = unsealed(t)?;
            let (size, data) = (t.size() + BLOCK_LEN + 10, pattern(84, t.size() + BLOCK_LEN + 10));
            let from = t.beside("origin", size)?;
            t.setup(&Call::Pwrite { fd: from.fd(), offset: from.at(0), data: data.clone() })?;
            let clone = Call::Clone { from: from.fd(), to: file.fd() };
            let effect = |after: &mut Picture| {
                after.patch(0, &data);
                after.hole = file.at(size);
            };
            let seen = file.act(&clone, Effect::Change(&effect))?;
            t.setup(&Call::Ftruncate { fd: from.fd(), size: 0 })?;
            Ok(seen.and(t.fact("the data stay when the other file is cut", file.read(0, size)? == data)))
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "clone_range",
        "a cloned range of an unsealed file has the data, in another file and in the same file",
        |t| {
            t.needs_sharing()?;
            let other = t.beside("other", 2 * t.size())?;
            let file = unsealed(t)?;
            let clone = |offset, to: &File, there, len| {
                let (from_offset, to_offset) = (file.at(offset), to.at(there));
                Call::CloneRange { from: file.fd(), from_offset, to: to.fd(), to_offset, len }
            };
            let seen = file.act(&clone(BLOCK_LEN, &other, 3 * BLOCK_LEN, 2 * BLOCK_LEN), Effect::Times)?;
            let mut data = pattern(1, 2 * t.size());
            data.copy_within(BLOCK..3 * BLOCK, 3 * BLOCK);
            let seen = seen.and(other.holds(0, &data));
            let effect = |after: &mut Picture| {
                after.patch(3 * BLOCK_LEN, &pattern(1, 2 * BLOCK_LEN));
                after.hole = file.at(5 * BLOCK_LEN);
            };
            let seen = seen.and(file.act(&clone(0, &file, 3 * BLOCK_LEN, 2 * BLOCK_LEN), Effect::Change(&effect))?);
            t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(89, t.size()) })?;
            Ok(seen.and(other.holds(0, &data)).and(file.holds(4 * BLOCK_LEN, &pattern(1, t.size())[BLOCK..2 * BLOCK])))
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "clone_ranges",
        "cloning parts of blocks, overlaps and ranges beyond the end is refused after unsealing",
        |t| {
            t.needs_sharing()?;
            let steps = [
                (100, 2 * BLOCK_LEN, BLOCK_LEN),
                (0, 2 * BLOCK_LEN + 100, BLOCK_LEN),
                (0, 2 * BLOCK_LEN, 100),
                (0, BLOCK_LEN, 2 * BLOCK_LEN),
                (2 * BLOCK_LEN, 0, 3 * BLOCK_LEN),
            ];
            fails(t, &steps, Errno::EINVAL, |file, (from, to, len)| {
                let (from_offset, to_offset, len) = (file.at(*from), file.at(*to), *len);
                Call::CloneRange { from: file.fd(), from_offset, to: file.fd(), to_offset, len }
            })
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "clone_descriptors",
        "cloning into a descriptor that cannot write in place is refused after unsealing",
        |t| {
            t.needs_sharing()?;
            let steps: [fn(&File) -> Fd; 2] = [|file| file.reader(), |file| file.append()];
            fails(t, &steps, Errno::EBADF, |file, to| Call::Clone { from: file.fd(), to: to(file) })
        },
    ),
    case(
        &UNSEAL_ORDINARY,
        "dedupe_reader",
        "a user who may write to an unsealed file may deduplicate it through a read-only descriptor",
        |t| {
            t.needs_sharing()?;
            let file = unsealed(t)?;
            let (probe, twin) = (t.beside("probe", t.size())?, t.beside("twin", t.size())?);
            let len = file.at(t.size()) as usize;
            t.given(
                &Call::Dedupe { from: probe.fd(), from_offset: 0, to: twin.reader(), to_offset: 0, len },
                "no deduplication",
            )?;
            let dedupe = Call::Dedupe { from: twin.fd(), from_offset: 0, to: file.reader(), to_offset: 0, len };
            file.act_as(Caller::Unprivileged, &dedupe, Effect::Times)
        },
    ),
    case(&UNSEAL_ORDINARY, "dedupe", "deduplication after unsealing shares equal data only", |t| {
        t.needs_sharing()?;
        let file = unsealed(t)?;
        let (probe, twin, other) =
            (t.beside("probe", t.size())?, t.beside("twin", t.size())?, t.beside("other", t.size())?);
        let len = file.at(t.size()) as usize;
        t.given(
            &Call::Dedupe { from: probe.fd(), from_offset: 0, to: twin.fd(), to_offset: 0, len },
            "no deduplication",
        )?;
        t.setup(&Call::Pwrite { fd: other.fd(), offset: other.at(t.size() - 1), data: vec![0] })?;
        let seen = file
            .act(&Call::Dedupe { from: file.fd(), from_offset: 0, to: twin.fd(), to_offset: 0, len }, Effect::Times)?;
        let seen =
            seen.and(file.act(
                &Call::Dedupe { from: twin.fd(), from_offset: 0, to: file.fd(), to_offset: 0, len },
                Effect::Times,
            )?);
        let unequal =
            t.attempt(&Call::Dedupe { from: file.fd(), from_offset: 0, to: other.fd(), to_offset: 0, len })?;
        t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(85, t.size()) })?;
        Ok(seen
            .and(t.fact("files that differ are not shared", unequal.is_err()))
            .and(twin.holds(0, &pattern(1, t.size()))))
    }),
    case(&UNSEAL_ORDINARY, "exchange", "an unsealed file and another file exchange their contents", |t| {
        t.reach(&Call::Exchange { one: 0, other: 0 })?;
        let other = t.beside("other", t.size())?;
        let file = unsealed(t)?;
        t.setup(&Call::Pwrite { fd: other.fd(), offset: other.at(0), data: pattern(86, t.size()) })?;
        t.setup(&Call::Fsync { fd: other.fd() })?;
        let call = Call::Exchange { one: file.fd(), other: other.fd() };
        let effect = |after: &mut Picture| after.data = pattern(86, t.size());
        Ok(file.act(&call, Effect::Change(&effect))?.and(other.holds(0, &pattern(1, t.size()))))
    }),
    alone(
        &UNSEAL_ORDINARY,
        "snapshot",
        "a snapshot of an unsealed file keeps its data when the file is written again",
        |t| {
            t.reach(&Call::Snapshot)?;
            let file = unsealed(t)?;
            let agent = file.agent()?;
            let seen = file.act(&Call::Snapshot, Effect::Times)?;
            let seen = seen.and(file.write(0, &pattern(87, t.size()))?);
            t.setup(&Call::Fsync { fd: file.fd() })?;
            Ok(seen.and(t.fact(
                "the old storage is the snapshot's",
                agent.read(file.at(0), t.size() as usize)? == pattern(1, t.size()),
            )))
        },
    ),
    case(&UNSEAL_ORDINARY, "compress", "an unsealed file can be marked for compression", |t| {
        let probe = t.beside("probe", t.size())?;
        let call = |fd| Call::ChangeFlags { fd, set: FLAG_COMPRESS, clear: 0 };
        t.given(&call(probe.fd()), "no compression")?;
        let file = unsealed(t)?;
        file.act(&call(file.fd()), Effect::Times)
    }),
    case(&UNSEAL_ORDINARY, "zero_clone", "zeroing a clone after unsealing does not change the other file", |t| {
        t.needs_sharing()?;
        let copy = t.beside("copy", t.size())?;
        let file = unsealed(t)?;
        t.given(&Call::Clone { from: file.fd(), to: copy.fd() }, "no clone of such a file")?;
        let call = Call::Fallocate { fd: file.fd(), mode: Mode::ZERO_RANGE, offset: file.at(100), len: 2 * BLOCK_LEN };
        let seen = t.observe(&call)?;
        let mut data = pattern(1, t.size());
        let untouched = copy.holds(0, &data);
        data[100..100 + 2 * BLOCK].fill(0);
        let zeroed = t.fact("the range is zeros", file.read(0, t.size())? == data);
        Ok(seen.and(untouched).and(zeroed))
    }),
    alone(&UNSEAL_ORDINARY, "shrink", "a file system that shrinks moves an unsealed file out of the way", |t| {
        t.reach(&Call::Shrink { size: 8 * BLOCK_LEN })?;
        // Another file takes the low addresses first, so that the file is in the way.
        t.churn()?;
        let file = unsealed(t)?;
        t.setup(&Call::Truncate { name: "churn".into(), size: 0 })?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let seen = file.act(&Call::Shrink { size: 8 * BLOCK_LEN }, Effect::Times)?;
        let less = t.fact("there is less space", t.free_space()? <= 8 * BLOCK_LEN);
        let none = t.attempt(&Call::Shrink { size: 2 * BLOCK_LEN })?;
        let seen = seen.and(less).and(t.fact("the file needs more than two blocks", none.is_err()));
        let other = t.beside("other", t.size())?;
        t.setup(&Call::Pwrite { fd: other.fd(), offset: other.at(0), data: pattern(88, t.size()) })?;
        t.setup(&Call::Fsync { fd: other.fd() })?;
        Ok(seen.and(file.holds(0, &pattern(1, t.size()))))
    }),
    alone(&UNSEAL_ORDINARY, "punch_frees", "space that is punched out of an unsealed file becomes free", |t| {
        let len = 32 * t.size();
        let frees = |file: &File| {
            let before = t.free_space()?;
            let mode = Mode::PUNCH_HOLE | Mode::KEEP_SIZE;
            // Punch from the first byte on: btrfs frees an extent only as a whole.
            t.setup(&Call::Fallocate { fd: file.fd(), mode, offset: 0, len: file.at(len) })?;
            t.eventually(|| Ok(t.free_space()? - before > len / 2))
        };
        if !frees(&t.beside("twin", len)?)? {
            return Err(Trouble::NotOffered("the space of a hole is not free at once".into()));
        }
        let file = t.sealed_file("file", len)?;
        t.setup(&file.leave_call()?)?;
        Ok(t.fact("the space of the range is free again", frees(&file)?))
    }),
    case(&UNSEAL_KEEPS, "mtime", "unsealing leaves the modification time alone", |t| {
        let file = t.sealed()?;
        let before = file.stat()?.mtime;
        Ok(file.leave()?.and(t.fact("the modification time is the same", file.stat()?.mtime == before)))
    }),
    case(&UNSEAL_CTIME, "ctime", "unsealing updates the status change time", |t| {
        let file = t.sealed()?;
        let before = file.stat()?.ctime;
        Ok(file.leave()?.and(t.fact("the status change time is later", file.stat()?.ctime > before)))
    }),
    case(&UNSEAL_AGAIN, "again", "unsealing an unsealed file changes nothing", |t| {
        let file = t.file("file", t.size())?;
        file.act(&file.leave_call()?, Effect::Nothing)
    }),
    case(&UNSEAL_AGAIN, "again_mapped", "unsealing an unsealed file succeeds while the file is mapped", |t| {
        let file = t.file("file", t.size())?;
        mapped(&file, true, true)?;
        file.act(&file.leave_call()?, Effect::Nothing)
    }),
    case(&UNSEAL_MAPPED, "mapped_shared", "a sealed file that is mapped shared stays sealed", |t| {
        let file = t.sealed()?;
        let leave = file.leave_call()?;
        mapped(&file, true, false)?;
        file.refused(&leave)
    }),
    case(&UNSEAL_MAPPED, "mapped_private", "a sealed file that is mapped privately stays sealed", |t| {
        let file = t.sealed()?;
        let leave = file.leave_call()?;
        mapped(&file, false, false)?;
        file.refused(&leave)
    }),
    case(&UNSEAL_RANGE, "range", "only the whole file can be unsealed", |t| {
        t.needs_seal("range")?;
        let file = t.sealed()?;
        let ranges = [(0, 0), (0, -1), (-1, t.size()), (BLOCK_LEN, t.size()), (0, t.size() - 1)];
        each(&ranges, |(offset, len)| file.fallocate(Mode::UNSEAL, *offset, *len))
    }),
    case(&UNSEAL_COMBINED, "combined", "the unsealing mode combined with another mode is refused", |t| {
        t.needs_seal("mode")?;
        let file = t.sealed()?;
        each(&[Mode::KEEP_SIZE, Mode::ZERO_RANGE, Mode::UNSHARE_RANGE], |other| {
            file.fallocate(Mode::UNSEAL | *other, 0, t.size())
        })
    }),
    case(&UNSEAL_READONLY, "readonly", "unsealing through a descriptor without write access is refused", |t| {
        t.needs_seal("descriptor that is open for reading only")?;
        let file = t.sealed()?;
        each(&file.readers()?, |fd| file.refused(&mechanism::unseal(*fd, t.size())))
    }),
    case(&UNSEAL_READONLY, "readonly_alone", "unsealing through the only descriptor, which reads, is refused", |t| {
        t.needs_seal("descriptor that is open for reading only")?;
        let file = t.sealed()?;
        let name = file.name();
        let seen = t.observe(&mechanism::unseal(file.only_reader()?, t.size()))?;
        let cut = t.attempt(&Call::Truncate { name, size: t.size() + 1 })?;
        Ok(seen.and(t.fact("the file refuses to grow", cut == Err(Errno::ETXTBSY))))
    }),
    alone(&UNSEAL_READONLY_MOUNT, "readonly_mount", "a file on a read-only mount cannot be unsealed", |t| {
        t.needs_seal("attempt to make: the descriptor has to be open for writing")?;
        let file = t.sealed()?;
        let name = file.name();
        file.close()?;
        t.read_only_mount()?;
        t.observe(&Call::Open { name, flags: OFlag::O_RDWR, mode: 0 })
    }),
    case(&UNSEAL_DIRECTORY, "directory", "a directory is refused", |t| {
        t.needs_seal("descriptor of a directory")?;
        let fd = t.open(".", OFlag::O_RDONLY)?;
        t.observe(&mechanism::unseal(fd, t.size()))
    }),
    case(&UNSEAL_FIFO, "fifo", "a FIFO is refused", |t| {
        t.needs_seal("descriptor of a FIFO")?;
        t.setup(&Call::Mkfifo { name: "fifo".into() })?;
        let fd = t.open("fifo", OFlag::O_RDWR)?;
        t.observe(&mechanism::unseal(fd, t.size()))
    }),
    case(&UNSEAL_SPECIAL, "special", "unsealing a device or a socket is refused", |t| {
        t.needs_seal("descriptor of a device")?;
        each(&[false, true], |socket| t.observe(&mechanism::unseal(t.special(*socket)?, t.size())))
    }),
    case(&UNSEAL_APPEND_ONLY, "append_only", "a file with the append-only attribute is refused", |t| {
        with_attribute(t, FLAG_APPEND)
    }),
    case(&UNSEAL_IMMUTABLE, "immutable", "a file with the immutable attribute is refused", |t| {
        with_attribute(t, FLAG_IMMUTABLE)
    }),
    case(&UNSEAL_PRIVILEGE, "privilege", "without the capability unsealing is refused", |t| {
        let file = t.sealed()?;
        file.act_as(Caller::Unprivileged, &file.leave_call()?, Effect::Nothing)
    }),
];

/// Checks that a sealed file with this attribute refuses to be unsealed.
fn with_attribute(t: &Context, flag: u32) -> Seen {
    t.needs_seal("attribute beside the state")?;
    let file = t.sealed()?;
    t.setup(&Call::ChangeFlags { fd: file.fd(), set: flag, clear: 0 })?;
    let seen = file.refused(&file.leave_call()?);
    t.setup(&Call::ChangeFlags { fd: file.fd(), set: 0, clear: flag })?;
    seen
}

/// A file that was sealed and unsealed.
fn unsealed<'a>(t: &'a Context<'a>) -> Result<File<'a>, Trouble> {
    let file = t.sealed()?;
    t.setup(&file.leave_call()?)?;
    Ok(file)
}

/// Checks that calls that work one after the other on a file that was never sealed also work on an unsealed file. Each
/// call changes the bytes as `change` does. Both files have their holes at the same places.
fn works<T>(t: &Context, steps: &[T], call: impl Fn(&File, &T) -> Call, change: impl Fn(&mut Vec<u8>, &T)) -> Seen {
    let twin = t.beside("twin", t.size())?;
    let file = unsealed(t)?;
    each(steps, |step| {
        t.given(&call(&twin, step), "on no file")?;
        let hole = Picture::take(&twin)?.hole;
        let effect = |after: &mut Picture| {
            after.reserve = after.stat.size as i64;
            change(&mut after.data, step);
            after.stat.size = file.at(after.data.len() as i64) as u64;
            after.hole = hole;
        };
        file.act(&call(&file, step), Effect::Change(&effect))
    })
}

/// The same check for ranges of fallocate(2).
fn allocates(t: &Context, mode: Mode, ranges: &[(i64, i64)], change: impl Fn(&mut Vec<u8>, Range<usize>)) -> Seen {
    let call = |file: &File, (offset, len): &(i64, i64)| {
        let (offset, len) = (file.at(*offset), *len);
        Call::Fallocate { fd: file.fd(), mode, offset, len }
    };
    works(t, ranges, call, |data, (offset, len)| change(data, *offset as usize..(*offset + *len) as usize))
}

/// Zeros a range: all of it if it `grows`, otherwise the part of it that exists.
fn zeros(data: &mut Vec<u8>, range: Range<usize>, grows: bool) {
    if grows {
        data.resize(data.len().max(range.end), 0);
    }
    let len = data.len();
    data[range.start.min(len)..range.end.min(len)].fill(0);
}

/// Checks that calls that fail on a file that was never sealed fail in the same way on an unsealed file, and change
/// nothing but the times: some kernels update the times before their other checks.
fn fails<T>(t: &Context, steps: &[T], errno: Errno, call: impl Fn(&File, &T) -> Call) -> Seen {
    let (twin, file) = (t.beside("twin", t.size())?, unsealed(t)?);
    each(steps, |step| {
        let (probe, call) = (call(&twin, step), call(&file, step));
        if t.attempt(&probe)? != Err(errno) {
            return Err(Trouble::NotOffered(format!("{probe} does not fail with {}", words::name(errno))));
        }
        let before = Picture::take(&file)?;
        let outcome = t.attempt(&call)?;
        let same = before.differences(&Picture::take(&file)?, false).is_empty();
        Ok(t.fact(
            &format!("{call} fails with {} and changes no data", words::name(errno)),
            outcome == Err(errno) && same,
        ))
    })
}
