use super::holds::{pinned, registered};
use super::meanwhile;
use super::refuse::at_once;
use super::seal::{each, succeeded};
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case, limited};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::{BLOCK_LEN, SIZE};
use crate::verdict::{Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Caller, Reply, Whence};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&WRITE_INSIDE, "pwrite", "pwrite inside the size works, aligned and not", |t| {
        let file = t.sealed()?;
        each(&[(0, BLOCK_LEN), (1, 10), (BLOCK_LEN - 5, 10), (t.size() - 1, 1), (0, t.size())], |(offset, len)| {
            file.write(*offset, &pattern(5, *len))
        })
    }),
    case(&WRITE_INSIDE, "write", "write at the file offset works and moves the offset", |t| {
        let file = t.sealed()?;
        t.setup(&Call::Seek { fd: file.fd(), offset: file.at(BLOCK_LEN), whence: Whence::Set })?;
        let data = pattern(6, BLOCK_LEN);
        let end = file.at(2 * BLOCK_LEN);
        file.act(
            &Call::Write { fd: file.fd(), data: data.clone() },
            Effect::Change(&|after| {
                after.patch(BLOCK_LEN, &data);
                after.position = end;
            }),
        )
    }),
    case(&WRITE_INSIDE, "pwritev", "pwritev2 of two parts works", |t| {
        let file = t.sealed()?;
        let parts = vec![pattern(7, 100), pattern(8, BLOCK_LEN)];
        let data = parts.concat();
        let call = Call::Pwritev { fd: file.fd(), offset: file.at(50), parts, append: None };
        file.write_with(call, 50, &data)
    }),
    case(&WRITE_INSIDE, "direct", "a write with O_DIRECT inside the size works", |t| {
        let file = t.sealed()?;
        let data = pattern(9, 2 * BLOCK_LEN);
        file.write_with(
            Call::Pwrite { fd: file.direct(), offset: file.at(BLOCK_LEN), data: data.clone() },
            BLOCK_LEN,
            &data,
        )
    }),
    alone(&WRITE_INSIDE, "o_sync", "data of a write with O_SYNC survive a loss of power", |t| {
        t.reach(&Call::PowerLoss { during: None })?;
        let (file, data) = (t.file("file", t.size())?, pattern(27, 2 * BLOCK_LEN));
        let fd = t.open("file", OFlag::O_RDWR | OFlag::O_SYNC)?;
        t.setup(&file.enter_call()?)?;
        let seen = t.observe(&Call::Pwrite { fd, offset: file.at(BLOCK_LEN), data: data.clone() })?;
        if !succeeded(&seen) {
            return Ok(seen);
        }
        t.power_loss(None)?;
        let there = File::survivor(t, "file")?.map(|file| file.holds(BLOCK_LEN, &data));
        Ok(seen.and(there.unwrap_or_else(|| t.fact("the file is there", false))))
    }),
    case(&WRITE_MAPPED, "store", "a store through a shared mapping is data of the file", |t| {
        let file = t.sealed()?;
        let (seen, map) = file.map(true, true)?;
        let Some(map) = map else { return Ok(seen) };
        let stores = each(&t.ranges(), |(offset, len)| {
            let data = pattern(10, *len);
            let call = Call::Store { map, offset: file.at(*offset) as usize, data: data.clone() };
            file.write_with(call, *offset, &data)
        })?;
        Ok(seen.and(stores))
    }),
    case(
        &WRITE_NO_APPEND,
        "no_append",
        "a write with RWF_NOAPPEND inside the size works on a descriptor with O_APPEND",
        |t| {
            let ordinary = t.beside("ordinary", t.size())?;
            t.given(&not_appended(&ordinary, 0, pattern(93, 10)), "not for an ordinary file either")?;
            let file = t.sealed()?;
            each(&[0, BLOCK_LEN + 1, t.size() - 10], |offset| {
                let data = pattern(94, 10);
                file.write_with(not_appended(&file, *offset, data.clone()), *offset, &data)
            })
        },
    ),
    case(&WRITE_COPY, "into", "copy_file_range into a sealed file leaves it in place", |t| {
        let file = t.sealed()?;
        let source = t.open("source", OFlag::O_RDWR | OFlag::O_CREAT)?;
        let data = pattern(11, t.size());
        t.setup(&Call::Pwrite { fd: source, offset: 0, data: data.clone() })?;
        t.setup(&Call::Fsync { fd: source })?;
        in_place(t, &[&file], || {
            each(&t.ranges(), |(to, len)| {
                let (from_offset, to_offset, len) = (*to, file.at(*to), *len as usize);
                let data = &data[*to as usize..][..len];
                file.write_with(Call::CopyRange { from: source, from_offset, to: file.fd(), to_offset, len }, *to, data)
            })
        })
    }),
    case(&WRITE_COPY, "within", "copy_file_range inside one sealed file leaves the file in place", |t| {
        let file = t.sealed()?;
        in_place(t, &[&file], || {
            each(&[(0, BLOCK_LEN), (t.size() - BLOCK_LEN - 10, 0)], |(from, to)| {
                let data = file.read(*from, BLOCK_LEN)?;
                let (from_offset, to_offset) = (file.at(*from), file.at(*to));
                let call = Call::CopyRange { from: file.fd(), from_offset, to: file.fd(), to_offset, len: BLOCK };
                file.write_with(call, *to, &data)
            })
        })
    }),
    case(
        &WRITE_COPY,
        "into_from_sealed",
        "copy_file_range from one sealed file into another leaves both in place",
        |t| {
            let (other, file) = (t.sealed_as("other")?, t.sealed()?);
            in_place(t, &[&file, &other], || {
                each(&t.ranges(), |(offset, len)| {
                    let data = other.read(*offset, *len)?;
                    let (from, from_offset, to_offset) = (other.fd(), other.at(*offset), file.at(*offset));
                    let call = Call::CopyRange { from, from_offset, to: file.fd(), to_offset, len: *len as usize };
                    file.write_with(call, *offset, &data)
                })
            })
        },
    ),
    case(&WRITE_COPY_FROM, "out", "copy_file_range out of a sealed file leaves it in place", |t| {
        let file = t.sealed()?;
        let to = t.open("copy", OFlag::O_RDWR | OFlag::O_CREAT)?;
        in_place(t, &[&file], || {
            each(&t.ranges(), |(offset, len)| {
                let (from_offset, len) = (file.at(*offset), *len as usize);
                file.act(&Call::CopyRange { from: file.fd(), from_offset, to, to_offset: 0, len }, Effect::Nothing)
            })
        })
    }),
    case(
        &WRITE_COPY_PROMPT,
        "copy_mapped",
        "copy_file_range does not wait for a process that has the file mapped",
        |t| copy_at_once(t, |file| file.map(true, true).map(drop)),
    ),
    case(&WRITE_COPY_PROMPT, "copy_registered", "copy_file_range does not wait for a device", |t| {
        copy_at_once(t, |file| registered(file, None).map(drop))
    }),
    case(&WRITE_COPY_PROMPT, "copy_pinned", "copy_file_range does not wait for a device that has a mapping", |t| {
        copy_at_once(t, pinned)
    }),
    case(&WRITE_ATOMIC, "atomic", "an atomic write stays in place or is refused", |t| {
        let data = pattern(24, BLOCK_LEN);
        atomic_in_place(
            t,
            |file| Call::PwriteAtomic { fd: file.direct(), offset: file.at(0), data: data.clone() },
            &data,
        )
    }),
    case(&WRITE_ATOMIC_SIZE, "atomic_size", "an atomic write of the size that statx tells of is accepted", |t| {
        let largest = |name: &str| t.setup_number(&Call::AtomicMax { name: name.into() });
        t.reach(&Call::AtomicMax { name: String::new() })?;
        let size = largest(&t.beside("ordinary", t.size())?.name())?;
        if size == 0 {
            return Err(Trouble::NotOffered("statx(2) tells of no atomic writes".into()));
        }
        let file = t.sealed_file("file", size)?;
        let (fd, offset, len) = (file.direct(), file.at(0), largest(&file.name())?);
        t.given(&Call::Pwrite { fd, offset, data: pattern(24, BLOCK_LEN) }, "no write to a file in the state")?;
        // The size has to be accepted here, whatever an ordinary file accepts.
        let call = Call::PwriteAtomic { fd, offset, data: pattern(24, len.min(size)) };
        let accepted = len <= size && t.attempt(&call)?.is_ok();
        Ok(t.fact(&format!("an atomic write of {len} bytes is accepted"), accepted))
    }),
    case(&WRITE_TIMES, "times", "a write inside the size updates the times", |t| {
        let file = t.sealed()?;
        each(&t.ranges(), |(offset, len)| {
            let before = file.stat()?;
            t.tick(&before);
            let seen = t.observe(&Call::Pwrite { fd: file.fd(), offset: file.at(*offset), data: pattern(23, *len) })?;
            if !succeeded(&seen) {
                return Err(Trouble::NotOffered("no write inside the size succeeds".into()));
            }
            let after = file.stat()?;
            let later = after.mtime > before.mtime && after.ctime > before.ctime;
            Ok(seen.and(t.fact("modification and status change time are later", later)))
        })
    }),
    case(&MAP_TAIL, "tail", "a store beyond the size in the last page does not become data of the file", |t| {
        let size = t.ragged();
        let file = t.sealed_file("file", size)?;
        let (_, map) = file.map(true, true)?;
        let map = map.ok_or_else(|| Trouble::NotOffered("no shared writable mapping".into()))?;
        let behind = BLOCK_LEN - size % BLOCK_LEN;
        let call = Call::Store { map, offset: file.at(size) as usize, data: pattern(25, behind.min(50)) };
        t.given(&call, "no store")?;
        Ok(t.fact("the size is what it was", file.stat()?.size as i64 == file.at(size)))
    }),
    case(
        &MAP_TAIL,
        "tail_meanwhile",
        "a store beyond the size does not become data after any call, refused or not",
        |t| {
            let enter = |name: &str| {
                let file = t.sealed_file(name, t.size() - 100)?;
                let (_, map) = file.map(true, true)?;
                let map = map.ok_or_else(|| Trouble::NotOffered("no shared writable mapping".into()))?;
                let call = Call::Store { map, offset: file.at(t.size() - 100) as usize, data: pattern(25, 50) };
                t.given(&call, "no store")?;
                Ok(file)
            };
            meanwhile::after_each_call(t, &enter, &|file, when| {
                let len = (file.stat()?.size as i64 - file.at(t.size() - 100)).clamp(0, 50);
                let data = if len == 0 { Vec::new() } else { file.read(t.size() - 100, len)? };
                let stored = data.windows(10).any(|part| part == &pattern(25, 50)[..10]);
                Ok(t.fact(&format!("bytes stored beyond the size are no data {when}"), !stored))
            })
        },
    ),
    case(&MAP_BEYOND, "beyond", "access to a mapping beyond the last page of the file raises SIGBUS", |t| {
        let file = t.sealed()?;
        let fd = file.reader();
        let len = file.at(t.whole() + t.size()) as usize;
        let Reply::Number(map) = t.setup(&Call::Map { fd, len, shared: true, write: false })? else {
            return Err(Trouble::Setup("mmap".into()));
        };
        let offset = file.at(t.whole()) as usize;
        let seen = each(&[1, t.size() as usize], |len| t.observe(&Call::Load { map: map as u64, offset, len: *len }))?;
        t.setup(&Call::Unmap { map: map as u64 })?;
        Ok(seen)
    }),
    alone(&WRITE_FULL, "full", "a full file system does not stop writes inside the size", |t| {
        let file = t.sealed()?;
        t.full()?;
        each(&t.ranges(), |(offset, len)| file.write(*offset, &pattern(12, *len)))
    }),
    limited(&WRITE_FULL, "quota", "an exhausted quota does not stop writes inside the size", |t| {
        let (file, _ordinary) = owner_at_limit(t)?;
        each(&t.ranges(), |(offset, len)| {
            let data = pattern(90, *len);
            let call = Call::Pwrite { fd: file.fd(), offset: file.at(*offset), data: data.clone() };
            file.act_as(Caller::Unprivileged, &call, Effect::Change(&|after| after.patch(*offset, &data)))
        })
    }),
    alone(&WRITE_FULL_SYNC, "full_sync", "a full file system does not make a later fsync fail", |t| {
        let file = t.sealed()?;
        t.full()?;
        let write = Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(13, t.size()) };
        t.given(&write, "no write to sync")?;
        file.act(&Call::Fsync { fd: file.fd() }, Effect::Nothing)
    }),
    case(&WRITE_NO_HOLE, "zeros", "writing zeros to a sealed file does not make a hole", |t| {
        let file = t.sealed()?;
        // If writes are refused, the case uses the file as it was made.
        for (offset, len) in t.ranges() {
            let _ = t.observe(&Call::Pwrite { fd: file.fd(), offset: file.at(offset), data: vec![0; len as usize] })?;
        }
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let hole = Call::Seek { fd: file.reader(), offset: 0, whence: Whence::Hole };
        let seen = t.observe(&hole)?;
        let end = Reply::Number(file.at(t.size()));
        Ok(seen.and(t.fact("SEEK_HOLE reports the end", t.setup(&hole) == Ok(end))))
    }),
    case(&WRITE_NO_HOLE, "offsets", "SEEK_HOLE from each offset of a sealed file finds the end", |t| {
        let file = t.sealed()?;
        each(&file.readers()?, |fd| {
            each(&[1, BLOCK_LEN, BLOCK_LEN + 1, t.size() - 1], |offset| {
                let hole = Call::Seek { fd: *fd, offset: file.at(*offset), whence: Whence::Hole };
                let end = Reply::Number(file.at(t.size()));
                Ok(t.fact(&format!("SEEK_HOLE from {offset} on reports the end"), t.attempt(&hole)? == Ok(end)))
            })
        })
    }),
    case(&WRITE_NO_HOLE, "meanwhile", "a sealed file has no hole after any call, refused or not", |t| {
        meanwhile::after_each_call(t, &|name| t.sealed_as(name), &|file, when| {
            let size = file.stat()?.size as i64;
            let hole = Call::Seek { fd: file.reader(), offset: 0, whence: Whence::Hole };
            let none = size == 0 || t.attempt(&hole)? == Ok(Reply::Number(size));
            Ok(t.fact(&format!("SEEK_HOLE reports the end, {size} bytes, {when}"), none))
        })
    }),
    case(&WRITE_CROSSING, "crossing_pwrite", "a pwrite across the end is refused as a whole", |t| {
        let file = t.sealed()?;
        each(&[(0, t.size() + 1), (t.size() - 1, 2), (t.near_end(), 2 * BLOCK_LEN)], |(offset, len)| {
            refused_write(&file, *offset, *len)
        })
    }),
    case(&WRITE_CROSSING, "crossing_write", "a refused write across the end does not move the file offset", |t| {
        let file = t.sealed()?;
        t.setup(&Call::Seek { fd: file.fd(), offset: file.at(BLOCK_LEN), whence: Whence::Set })?;
        file.refused(&Call::Write { fd: file.fd(), data: pattern(14, t.size()) })
    }),
    case(
        &WRITE_CROSSING,
        "crossing_pwritev",
        "a vectored write is refused as a whole when its last part crosses the end",
        |t| {
            let file = t.sealed()?;
            let parts = vec![pattern(15, t.size()), pattern(16, 1)];
            file.refused(&Call::Pwritev { fd: file.fd(), offset: file.at(0), parts, append: None })
        },
    ),
    case(&WRITE_COPY_BEYOND, "crossing_copy", "copy_file_range across the end is refused as a whole", |t| {
        let source = t.beside("source", t.size() + BLOCK_LEN)?;
        let file = t.sealed()?;
        let (from, from_offset) = (source.fd(), source.at(0));
        each(&[(0, t.size() + 1), (1, t.size()), (t.near_end().max(1), t.size())], |(to, len)| {
            let (to, to_offset, len) = (file.fd(), file.at(*to), *len as usize);
            file.refused(&Call::CopyRange { from, from_offset, to, to_offset, len })
        })
    }),
    case(
        &WRITE_COPY_BEYOND,
        "crossing_copy_from_sealed",
        "copy_file_range from a sealed file across the end of another is refused",
        |t| {
            let (other, file) = (t.sealed_as("other")?, t.sealed()?);
            let (from, to, to_offset) = (other.fd(), file.fd(), file.at(1));
            let len = t.size() as usize;
            file.refused(&Call::CopyRange { from, from_offset: other.at(0), to, to_offset, len })
        },
    ),
    case(
        &WRITE_COPY_BEYOND,
        "crossing_long_copy",
        "a copy of more than a pipe holds stores nothing if it would cross the end",
        |t| {
            const LONG: i64 = 1 << 18;
            let (file, source) = (t.sealed_file("file", LONG)?, t.beside("source", LONG)?);
            let (from, from_offset, to, to_offset) = (source.fd(), source.at(0), file.fd(), file.at(BLOCK_LEN));
            file.refused(&Call::CopyRange { from, from_offset, to, to_offset, len: LONG as usize })
        },
    ),
    case(&WRITE_CROSSING, "crossing_direct", "a write with O_DIRECT across the end is refused", |t| {
        let file = t.sealed()?;
        let data = pattern(17, 2 * BLOCK_LEN);
        file.refused(&Call::Pwrite { fd: file.direct(), offset: file.at(t.near_end()), data })
    }),
    case(&WRITE_BEYOND, "beyond", "a write that begins at the end of a sealed file, or later, is refused", |t| {
        let file = t.sealed()?;
        each(&[t.size(), t.size() + 1, t.size() + BLOCK_LEN, t.size() + 100 * SIZE], |offset| {
            refused_write(&file, *offset, 1)
        })
    }),
    case(&WRITE_COPY_BEYOND, "beyond_copy", "copy_file_range to the end or beyond is refused", |t| {
        let source = t.beside("source", t.size())?;
        let file = t.sealed()?;
        let (from, from_offset, len) = (source.fd(), source.at(0), 10);
        each(&[t.size(), 2 * t.size()], |to| {
            file.refused(&Call::CopyRange { from, from_offset, to: file.fd(), to_offset: file.at(*to), len })
        })
    }),
    case(&WRITE_BEYOND, "beyond_no_append", "a write with RWF_NOAPPEND at the end of a sealed file is refused", |t| {
        let ordinary = t.beside("ordinary", t.size())?;
        t.given(&not_appended(&ordinary, 0, pattern(93, 10)), "not for an ordinary file either")?;
        let file = t.sealed()?;
        file.refused(&not_appended(&file, t.size(), pattern(95, 10)))
    }),
    case(
        &WRITE_LIMIT,
        "limit",
        "a write across the end is refused before RLIMIT_FSIZE cuts it or ends the process",
        |t| {
            let file = t.sealed()?;
            each(&[t.size() - 1, t.near_end(), BLOCK_LEN], |limit| {
                let (offset, data) = (file.at(t.near_end()), pattern(96, 2 * BLOCK_LEN));
                file.refused(&Call::PwriteLimited {
                    fd: file.fd(),
                    offset,
                    data,
                    limit: file.at(*limit).unsigned_abs(),
                })
            })
        },
    ),
    case(&WRITE_APPEND, "o_append", "a write with O_APPEND to a sealed file is refused", |t| {
        let file = t.sealed()?;
        each(&[1, 1, BLOCK_LEN], |len| file.refused(&Call::Write { fd: file.append(), data: pattern(18, *len) }))
    }),
    case(&WRITE_APPEND, "rwf_append", "a write with RWF_APPEND to a sealed file is refused", |t| {
        let file = t.sealed()?;
        let parts = vec![pattern(19, 1)];
        file.refused(&Call::Pwritev { fd: file.fd(), offset: file.at(0), parts, append: Some(true) })
    }),
    case(&WRITE_EMPTY, "empty", "a write of 0 bytes returns 0 at every offset", |t| {
        let file = t.sealed()?;
        let seen = each(&[0, t.size(), 2 * t.size()], |offset| file.write_nothing(*offset))?;
        Ok(seen.and(file.act(&Call::Write { fd: file.append(), data: Vec::new() }, Effect::Nothing)?))
    }),
    case(
        &WRITE_READONLY,
        "readonly",
        "a write through a descriptor without write access reports that before the seal",
        |t| {
            let file = t.sealed()?;
            each(&file.readers()?, |fd| {
                each(&[0, t.size()], |offset| {
                    file.refused(&Call::Pwrite { fd: *fd, offset: file.at(*offset), data: pattern(20, BLOCK_LEN) })
                })
            })
        },
    ),
];

impl File<'_> {
    fn write_nothing(&self, offset: i64) -> Seen {
        self.act(&Call::Pwrite { fd: self.fd(), offset: self.at(offset), data: Vec::new() }, Effect::Nothing)
    }
}

/// A write to a descriptor with O_APPEND that is not to append.
fn not_appended(file: &File, offset: i64, data: Vec<u8>) -> Call {
    Call::Pwritev { fd: file.append(), offset: file.at(offset), parts: vec![data], append: Some(false) }
}

/// Copies into a sealed file and out of it, while it is held.
fn copy_at_once(t: &Context, hold: impl Fn(&File) -> Result<(), Trouble>) -> Seen {
    let (file, other) = (t.sealed()?, t.beside("other", t.size())?);
    hold(&file)?;
    each(&[(&other, &file), (&file, &other)], |(from, to)| {
        let (from_offset, to_offset, len) = (from.at(0), to.at(0), BLOCK);
        let call = Call::CopyRange { from: from.fd(), from_offset, to: to.fd(), to_offset, len };
        at_once(t, &call, Ok(()))
    })
}

fn given_away(file: &File, uid: u32) -> Call {
    Call::Chown { name: file.name(), uid, gid: uid }
}

fn refused_write(file: &File, offset: i64, len: i64) -> Seen {
    file.refused(&Call::Pwrite { fd: file.fd(), offset: file.at(offset), data: pattern(21, len) })
}

/// An atomic write of `data` at the beginning. If it succeeds, the data arrive on the storage that the file had.
pub(super) fn atomic_in_place(t: &Context, call: impl FnOnce(&File) -> Call, data: &[u8]) -> Seen {
    let file = t.sealed()?;
    let agent = file.agent()?;
    let seen = file.write_with(call(&file), 0, data)?;
    if !succeeded(&seen) {
        return Ok(seen);
    }
    t.setup(&Call::Fsync { fd: file.fd() })?;
    Ok(seen.and(t.fact("the data is where the file was", agent.read(file.at(0), data.len())? == data)))
}

/// A file in the state and an ordinary one, of a user who may take no more space.
pub(super) fn owner_at_limit<'a>(t: &'a Context<'a>) -> Result<(File<'a>, File<'a>), Trouble> {
    const OWNER: u32 = 1234;
    t.reach(&Call::SetQuota { uid: OWNER, bytes: 0 })?;
    let ordinary = t.beside("ordinary", t.size())?;
    t.setup(&given_away(&ordinary, OWNER))?;
    let file = t.sealed()?;
    if t.attempt(&given_away(&file, OWNER))?.is_err() {
        // An immutable file has to stop being that for a moment.
        [file.leave_call()?, given_away(&file, OWNER), file.enter_call()?]
            .iter()
            .try_for_each(|call| t.setup(call).map(drop))?;
    }
    let (fd, offset, data) = (ordinary.fd(), ordinary.at(t.size()), pattern(89, BLOCK_LEN));
    t.limit(OWNER, BLOCK as u64, &Call::Pwrite { fd, offset, data })?;
    Ok((file, ordinary))
}

/// The observations of `act`, and the fact that a write after its calls reaches the storage which the files had before:
/// it would not if that had become shared. Where writes are refused there is nothing to see.
pub(super) fn in_place(t: &Context, files: &[&File], act: impl FnOnce() -> Seen) -> Seen {
    let agents = files.iter().map(|file| file.agent()).collect::<Result<Vec<_>, _>>()?;
    let seen = act()?;
    let after = each(&files.iter().zip(agents).collect::<Vec<_>>(), |(file, agent)| {
        let (offset, data) = (file.at(0), pattern(22, t.size()));
        let arrived = match t.attempt(&Call::Pwrite { fd: file.fd(), offset, data: data.clone() })? {
            Ok(_) => {
                t.setup(&Call::Fsync { fd: file.fd() })?;
                agent.read(offset, t.whole() as usize)?.starts_with(&data)
            }
            // A write in place takes no storage.
            Err(errno) => !matches!(errno, Errno::ENOSPC | Errno::EDQUOT),
        };
        Ok(t.fact("the next write arrives on the same storage", arrived))
    })?;
    Ok(seen.and(after))
}
