use super::share::clone_within;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::{Effect, File};
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::mechanism::{self, Mechanism};
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{
    BLOCK, Call, Caller, FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, FLAG_JOURNAL, Fd, Mode, Reply, Whence,
    XFLAG_APPEND, XFLAG_IMMUTABLE,
};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&SEAL_SEALED, "fit_file", "a fit file is sealed, and then refuses to shrink", |t| {
        let file = t.file("file", t.size())?;
        let seen = file.enter()?;
        let smaller = file.at(BLOCK_LEN.min(t.size() - 1));
        let shrink = t.observe(&Call::Ftruncate { fd: file.fd(), size: smaller })?;
        Ok(seen.and(t.fact("ftruncate to a smaller size is refused", shrink.0.iter().all(|o| o.outcome != Some(None)))))
    }),
    case(&SEAL_SEALED, "filled", "a file whose hole was filled is fit", |t| {
        let file = prepared(t, |fd, lead| {
            t.setup(&Call::Ftruncate { fd, size: lead + t.size() })?;
            each_block(t, |offset, data| t.setup(&Call::Pwrite { fd, offset: lead + offset, data }).map(|_| ()))
        })?;
        kept_apart(t, &file)
    }),
    case(&SEAL_SEALED, "allocated_ahead", "a file whose space was allocated before it was written is fit", |t| {
        let file = prepared(t, |fd, lead| {
            t.setup(&Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset: 0, len: lead + 2 * t.size() })?;
            each_block(t, |offset, data| t.setup(&Call::Pwrite { fd, offset: lead + offset, data }).map(|_| ()))
        })?;
        kept_apart(t, &file)
    }),
    case(&SEAL_SEALED, "small_once", "a file that was small and grew is fit", |t| {
        let file = prepared(t, |fd, lead| {
            t.setup(&Call::Pwrite { fd, offset: lead, data: pattern(1, 10) })?;
            t.setup(&Call::Fsync { fd })?;
            // A larger size meets a fault of ext4 with inline_data: the first seal writes the journal to its place, and
            // over data that were written since (ext4_convert_inline_data_nolock). See the book, "A kernel that seals".
            t.setup(&Call::Ftruncate { fd, size: lead + 50 })?;
            t.setup(&Call::Pwrite { fd, offset: lead + 10, data: pattern(1, t.size())[10..].into() }).map(|_| ())
        })?;
        let seen = kept_apart(t, &file)?;
        if t.mechanism() != Mechanism::Seal {
            return Ok(seen);
        }
        // Where the data were in the metadata, they may still be on their way to a block.
        let unsynced = t.make("unsynced", |fd| {
            t.setup(&Call::Pwrite { fd, offset: 0, data: pattern(1, 10) })?;
            t.setup(&Call::Fsync { fd })?;
            t.setup(&Call::Pwrite { fd, offset: 10, data: pattern(1, 2 * BLOCK_LEN) }).map(drop)
        })?;
        // Until then SEEK_HOLE of ext4 reports a hole there: the outcome is judged, and no picture.
        Ok(seen.and(t.observe(&File::from_ready(t, unsynced).enter_call()?)?))
    }),
    case(&SEAL_SEALED, "written_zeros", "a file that was allocated with FALLOC_FL_WRITE_ZEROES is fit", |t| {
        let file = prepared(t, |fd, offset| {
            t.given(&Call::Fallocate { fd, mode: Mode::WRITE_ZEROES, offset, len: t.size() }, "no such mode")
        })?;
        file.enter()
    }),
    case(&SEAL_SEALED, "unshared", "a file that shared storage and was unshared is fit", |t| {
        t.needs_sharing()?;
        let file = t.file("file", t.size())?;
        t.make("other", |to| t.setup(&Call::Clone { from: file.fd(), to }).map(|_| ()))?;
        let unshare = Call::Fallocate { fd: file.fd(), mode: Mode::UNSHARE_RANGE, offset: 0, len: file.at(t.size()) };
        t.given(&unshare, "no way to undo sharing but to write")?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        kept_apart(t, &file)
    }),
    case(&SEAL_SEALED, "rewritten", "a file that shared storage and was wholly overwritten is fit", |t| {
        t.needs_sharing()?;
        let file = t.file("file", t.size())?;
        t.make("other", |to| t.setup(&Call::Clone { from: file.fd(), to }).map(|_| ()))?;
        let data = t.contents(t.size());
        t.setup(&Call::Pwrite { fd: file.fd(), offset: 0, data })?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        kept_apart(t, &file)
    }),
    case(&SEAL_SEALED, "sharing_ended", "a file is fit when the files that shared its storage were truncated", |t| {
        t.needs_sharing()?;
        let (file, others) = shared_by_three(t)?;
        others.iter().try_for_each(|fd| t.setup(&Call::Ftruncate { fd: *fd, size: 0 }).map(|_| ()))?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        file.enter()
    }),
    case(&SEAL_SEALED, "clone_removed", "a file is fit when its clone was removed just before", |t| {
        t.needs_sharing()?;
        let file = t.file("file", t.size())?;
        let clone = t.make("clone", |to| {
            t.given(&Call::Clone { from: file.fd(), to }, "no clone of such a file")?;
            t.setup(&Call::Fsync { fd: to }).map(|_| ())
        })?;
        File::from_ready(t, clone).close()?;
        t.setup(&Call::Unlink { name: "clone".into() })?;
        kept_apart(t, &file)
    }),
    case(&SEAL_SEALED, "few_pages", "a file of a few pages is fit, whole pages or not", |t| {
        // A smaller file would be stored with the metadata. In a swap file whose blocks are smaller than a page, Linux
        // uses the pages that begin on a page boundary (iomap_swapfile_add_extent): with its header the file needs one
        // page more than it offers.
        each(&[BLOCK_LEN, BLOCK_LEN + 1], |size| t.file(&format!("file-{size}"), *size)?.enter())
    }),
    case(
        &SEAL_UNSHARED,
        "written_after",
        "writes to a file whose sharing ended before it was sealed are in place",
        |t| {
            t.needs_sharing()?;
            let file = t.file("file", t.size())?;
            let clone = t.make("clone", |to| {
                t.given(&Call::Clone { from: file.fd(), to }, "no clone of such a file")?;
                // Now the file has space in reserve to move to.
                t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(2, BLOCK_LEN) })?;
                t.setup(&Call::Fsync { fd: to }).map(|_| ())
            })?;
            File::from_ready(t, clone).close()?;
            t.setup(&Call::Unlink { name: "clone".into() })?;
            let seen = file.enter()?;
            if !succeeded(&seen) {
                return Ok(seen);
            }
            file.held()?;
            let agent = file.agent()?;
            let offsets = [0, BLOCK_LEN, t.whole() - 2 * BLOCK_LEN].into_iter().filter(|at| (0..t.size()).contains(at));
            each(&offsets.collect::<Vec<_>>(), |offset| {
                let data = pattern(23, BLOCK_LEN.min(t.size() - offset));
                let write = Call::Pwrite { fd: file.fd(), offset: file.at(*offset), data: data.clone() };
                t.given(&write, "no write to a file in the state")?;
                t.setup(&Call::Fsync { fd: file.fd() })?;
                let found = agent.read(file.at(*offset), data.len())?;
                Ok(t.fact("a write arrives on the storage that the file had when it was sealed", found == data))
            })
            .map(|written| seen.and(written))
        },
    ),
    alone(
        &SEAL_SEALED,
        "sharing_ended_remounted",
        "a file whose sharing ended is fit after unmounting and mounting",
        |t| {
            shared_by_three_remounted(t)?;
            for name in ["second", "third"] {
                t.setup(&Call::Truncate { name: name.into(), size: 0 })?;
            }
            let file = File::reopened(t, "file")?;
            t.setup(&Call::Fsync { fd: file.fd() })?;
            file.enter()
        },
    ),
    case(&SEAL_SEALED, "attribute_gone", "a file is sealed after a forbidding attribute was removed", |t| {
        let file = t.file("file", t.size())?;
        for flag in [FLAG_APPEND, FLAG_IMMUTABLE] {
            t.setup(&Call::ChangeFlags { fd: file.fd(), set: flag, clear: 0 })?;
            t.setup(&Call::ChangeFlags { fd: file.fd(), set: 0, clear: flag })?;
        }
        file.enter()
    }),
    case(&SEAL_KEEPS, "mtime", "sealing leaves the modification time alone", |t| {
        let file = t.file("file", t.size())?;
        let before = file.stat()?.mtime;
        Ok(file.enter()?.and(t.fact("the modification time is the same", file.stat()?.mtime == before)))
    }),
    case(&SEAL_CTIME, "ctime", "sealing updates the status change time", |t| {
        let file = t.file("file", t.size())?;
        let before = file.stat()?.ctime;
        Ok(file.enter()?.and(t.fact("the status change time is later", file.stat()?.ctime > before)))
    }),
    case(&SEAL_EVENT, "event", "inotify reports no change of the data when a file is sealed and unsealed", |t| {
        if t.mechanism() == Mechanism::Swapfile {
            return Err(Trouble::NotOffered("swapon(2) is no call on a descriptor of the file".into()));
        }
        let file = t.file("file", t.size())?;
        let watched = |call: Call| Call::Watched { name: file.name(), call: Box::new(call) };
        let write = Call::Pwrite { fd: file.fd(), offset: file.at(0), data: pattern(1, BLOCK_LEN) };
        if t.setup_number(&watched(write))? == 0 {
            return Err(Trouble::NotOffered("inotify(7) does not report a write".into()));
        }
        let (enter, leave) = (file.enter_call()?, file.leave_call()?);
        each(&[enter, leave], |call| match t.attempt(&watched(call.clone()))? {
            Ok(Reply::Number(events)) => Ok(t.fact(&format!("{call} is not reported as IN_MODIFY"), events == 0)),
            other => Err(Trouble::NotOffered(format!("{call} = {}", words::outcome(&other)))),
        })
    }),
    case(&SEAL_AGAIN, "again", "sealing a sealed file changes nothing", |t| {
        let file = t.sealed()?;
        file.act(&file.enter_call()?, Effect::Nothing)
    }),
    case(&SEAL_AGAIN_MAPPED, "again_mapped", "sealing a sealed file succeeds while it is mapped", |t| {
        let file = t.sealed()?;
        mapped(&file, true, false)?;
        file.act(&file.enter_call()?, Effect::Nothing)
    }),
    case(&SEAL_INODE, "other_descriptor", "another descriptor and another name show the state", |t| {
        t.needs_query()?;
        let file = t.file("file", t.size())?;
        t.setup(&Call::Link { from: file.name(), to: "second".into() })?;
        let further = [OFlag::O_APPEND, OFlag::O_DIRECT, OFlag::O_DSYNC].map(|flag| OFlag::O_RDWR | flag);
        let flags = [&[OFlag::O_RDONLY, OFlag::O_WRONLY], &further[..]].concat();
        let others: Vec<Fd> = flags.iter().map(|flags| t.open("second", *flags)).collect::<Result<_, _>>()?;
        t.setup(&Call::Seek { fd: others[0], offset: 1, whence: Whence::Set })?;
        let seen = file.enter()?;
        each(&others, |fd| Ok(t.fact("the second name shows the state", file.state(*fd)?))).map(|shown| seen.and(shown))
    }),
    case(&SEAL_UNLINKED, "unlinked", "a file without a name can be sealed", |t| {
        let file = t.file("file", t.size())?;
        t.setup(&Call::Unlink { name: file.name() })?;
        file.enter()
    }),
    case(&SEAL_LONG, "long", "a len beyond the end is accepted and grows nothing", |t| {
        t.needs_seal("length")?;
        // ext4 has no files as large as the last two; no file is larger than the last one.
        each(&[t.size() + 3 * BLOCK_LEN, (16 << 40) + 1, i64::MAX], |len| {
            let file = t.file(&format!("file-{len}"), t.size())?;
            let len = len.saturating_add(file.at(0));
            seal_with(&file, Mode::SEAL, 0, len, Effect::Change(&|after| after.state = Some(true)))
        })
    }),
    case(&SEAL_LENGTH, "length", "offsets below 0 and lengths of 0 or less are refused", |t| {
        refused_ranges(t, &[(0, 0), (0, -1), (-1, t.size()), (0, i64::MIN)])
    }),
    case(&SEAL_LENGTH, "length_readonly", "a bad length is reported before a descriptor without write access", |t| {
        t.needs_seal("range")?;
        let file = t.file("file", t.size())?;
        each(&[(0, 0), (0, -1), (-1, t.size())], |(offset, len)| {
            file.refused(&Call::Fallocate { fd: file.reader(), mode: Mode::SEAL, offset: *offset, len: *len })
        })
    }),
    case(&SEAL_OFFSET, "offset", "sealing with an offset other than 0 is refused", |t| {
        refused_ranges(t, &[(1, t.size()), (BLOCK_LEN, t.size()), (BLOCK_LEN, 2 * t.size())])
    }),
    case(&SEAL_SHORT, "short", "sealing with a len smaller than the size is refused", |t| {
        refused_ranges(t, &[(0, t.size() - 1), (0, BLOCK_LEN), (0, 1)])
    }),
    case(&SEAL_COMBINED, "combined", "the sealing mode combined with another mode is refused", |t| {
        t.needs_seal("mode")?;
        let file = t.file("file", t.size())?;
        let others = [Mode::KEEP_SIZE, Mode::ZERO_RANGE, Mode::UNSHARE_RANGE, Mode::UNSEAL];
        each(&others, |other| seal_with(&file, Mode::SEAL | *other, 0, t.size(), Effect::Nothing))
    }),
    case(&SEAL_READONLY, "readonly", "sealing through a descriptor without write access is refused", |t| {
        t.needs_seal("descriptor that is open for reading only")?;
        let file = t.file("file", t.size())?;
        each(&file.readers()?, |fd| file.refused(&mechanism::seal(*fd, t.size())))
    }),
    case(&SEAL_READONLY, "readonly_alone", "sealing through the only descriptor, which reads, is refused", |t| {
        t.needs_seal("descriptor that is open for reading only")?;
        let file = t.file("file", t.size())?;
        let name = file.name();
        let seen = t.observe(&mechanism::seal(file.only_reader()?, t.size()))?;
        let cut = t.attempt(&Call::Truncate { name, size: 1 })?;
        Ok(seen.and(t.fact("the file can be cut", cut.is_ok())))
    }),
    case(&SEAL_DIRECTORY, "directory", "sealing a directory is refused", |t| {
        t.needs_seal("descriptor of a directory")?;
        let fd = t.open(".", OFlag::O_RDONLY)?;
        t.observe(&mechanism::seal(fd, t.size()))
    }),
    case(&SEAL_PRIVILEGE, "privilege", "without the capability sealing is refused", |t| {
        let file = t.file("file", t.size())?;
        file.act_as(Caller::Unprivileged, &file.enter_call()?, Effect::Nothing)
    }),
    case(&SEAL_PRIVILEGE, "privilege_again", "sealing a sealed file without the capability is refused", |t| {
        t.needs_seal("call that succeeds on a file in the state")?;
        let file = t.sealed()?;
        file.act_as(Caller::Unprivileged, &file.enter_call()?, Effect::Nothing)
    }),
    case(&SEAL_ORDER, "order", "a descriptor without write access is reported before a missing capability", |t| {
        t.needs_seal("descriptor that is open for reading only")?;
        let file = t.file("file", t.size())?;
        each(&file.readers()?, |fd| file.act_as(Caller::Unprivileged, &mechanism::seal(*fd, t.size()), Effect::Nothing))
    }),
    case(&SEAL_APPEND_ONLY, "append_only", "sealing a file with the append-only attribute is refused", |t| {
        with_attribute(t, FLAG_APPEND)
    }),
    case(
        &SEAL_APPEND_ONLY,
        "append_only_xflag",
        "sealing a file that FS_IOC_FSSETXATTR made append-only is refused",
        |t| with_xflag(t, XFLAG_APPEND),
    ),
    case(&SEAL_IMMUTABLE, "immutable_xflag", "sealing a file that FS_IOC_FSSETXATTR made immutable is refused", |t| {
        with_xflag(t, XFLAG_IMMUTABLE)
    }),
    case(&SEAL_IMMUTABLE, "immutable", "sealing a file with the immutable attribute is refused", |t| {
        with_attribute(t, FLAG_IMMUTABLE)
    }),
    case(&SEAL_FIFO, "fifo", "sealing a FIFO is refused", |t| {
        t.needs_seal("descriptor of a FIFO")?;
        t.setup(&Call::Mkfifo { name: "fifo".into() })?;
        let fd = t.open("fifo", OFlag::O_RDWR)?;
        t.observe(&mechanism::seal(fd, t.size()))
    }),
    case(&SEAL_SPECIAL, "special", "sealing a device or a socket is refused", |t| {
        t.needs_seal("descriptor of a device")?;
        each(&[false, true], |socket| t.observe(&mechanism::seal(t.special(*socket)?, t.size())))
    }),
    case(&SEAL_EMPTY, "empty", "sealing an empty file is refused", |t| {
        if t.lead() > 0 {
            let name = t.mechanism().name();
            return Err(Trouble::NotOffered(format!("{name}: no empty file, its first bytes have to be there")));
        }
        let file = t.file("file", 0)?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_EMPTY, "emptied", "sealing a file that was cut to size 0 is refused", |t| {
        t.needs_seal("word on empty files")?;
        let file = t.file("file", t.size())?;
        t.given(&Call::Ftruncate { fd: file.fd(), size: 0 }, "the file keeps its size")?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_INLINE, "inline", "sealing a file whose data lie inside its metadata is refused", |t| {
        t.needs_seal("word on small files")?;
        let ready = t.make("file", |fd| {
            t.setup(&Call::Pwrite { fd, offset: 0, data: pattern(1, 10) })?;
            t.on_storage(fd)
        })?;
        let file = t.settled(ready)?;
        match file.agent() {
            Ok(agent) if agent.span().is_ok() => {
                return Err(Trouble::NotOffered("a file of 10 bytes has a block of its own".into()));
            }
            // In the directory of somebody there is no way to know.
            Err(trouble @ Trouble::NotReachable(_)) => return Err(trouble),
            Ok(_) | Err(_) => (),
        }
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_HOLE, "hole", "sealing a file with a hole is refused", |t| {
        let file = prepared(t, |fd, lead| {
            t.setup(&Call::Ftruncate { fd, size: lead + t.size() })?;
            let last = t.size() - BLOCK_LEN;
            let write = Call::Pwrite { fd, offset: lead + last, data: pattern(1, BLOCK_LEN) };
            if last > 0 { t.setup(&write).map(drop) } else { Ok(()) }
        })?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_HOLE, "hole_at_end", "sealing a file with a hole in its last block is refused", |t| {
        let file = prepared(t, |fd, lead| {
            t.setup(&Call::Pwrite { fd, offset: lead, data: pattern(1, BLOCK_LEN) })?;
            t.setup(&Call::Ftruncate { fd, size: lead + t.size() }).map(|_| ())
        })?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_HOLE, "hole_in_part", "sealing a file with a hole in a last block that is not full is refused", |t| {
        t.needs_seal("rule for a last block that is not full")?;
        let file = prepared(t, |fd, offset| {
            t.setup(&Call::Pwrite { fd, offset, data: pattern(1, t.whole()) })?;
            t.setup(&Call::Ftruncate { fd, size: offset + t.whole() + 100 }).map(|_| ())
        })?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_HOLE, "punched", "sealing a file with a punched hole between data is refused", |t| {
        let file = punched(t)?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_HOLE, "grown", "sealing a file that was written, and then grew without a write, is refused", |t| {
        let file = grown(t)?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_UNWRITTEN, "allocated_anew", "sealing a file with a hole that was allocated again is refused", |t| {
        let file = punched(t)?;
        let (mode, offset) = (Mode::ALLOCATE, file.at(BLOCK_LEN));
        t.given(&Call::Fallocate { fd: file.fd(), mode, offset, len: BLOCK_LEN }, "no space for the hole")?;
        t.on_storage(file.fd())?;
        file.refused(&file.enter_call()?)
    }),
    case(
        &SEAL_UNWRITTEN,
        "partly_unwritten",
        "sealing a file whose end was allocated but not written is refused",
        |t| {
            let file = prepared(t, |fd, offset| {
                // ext4 writes zeros to as much as 32 KiB beside a write, and then that is written.
                let len = t.size() + 64 * BLOCK_LEN;
                t.setup(&Call::Fallocate { fd, mode: Mode::ALLOCATE, offset, len })?;
                t.setup(&Call::Pwrite { fd, offset, data: pattern(1, t.size()) }).map(|_| ())
            })?;
            file.refused(&file.enter_call()?)
        },
    ),
    case(&SEAL_UNWRITTEN, "unwritten", "sealing a file that was allocated but not written is refused", |t| {
        let file = prepared(t, |fd, lead| {
            t.setup(&Call::Fallocate { fd, mode: Mode::ALLOCATE, offset: lead, len: t.size() }).map(|_| ())
        })?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_SHARED, "shared", "sealing either of two files that share storage is refused", |t| {
        t.needs_sharing()?;
        let file = t.file("file", t.size())?;
        let other =
            File::from_ready(t, t.make("other", |to| t.setup(&Call::Clone { from: file.fd(), to }).map(|_| ()))?);
        Ok(file.refused(&file.enter_call()?)?.and(other.refused(&other.enter_call()?)?))
    }),
    alone(
        &SEAL_SHARED,
        "remounted",
        "sealing a file that shares storage is refused after unmounting and mounting",
        |t| {
            shared_by_three_remounted(t)?;
            t.setup(&Call::Unlink { name: "second".into() })?;
            let file = File::reopened(t, "file")?;
            file.refused(&file.enter_call()?)
        },
    ),
    case(&SEAL_SHARED_WITHIN, "shared_within", "sealing a file two parts of which share storage is refused", |t| {
        let file = t.file("file", t.size())?;
        t.given(&clone_within(&file, 0, 2 * BLOCK_LEN, 1), "no clone of a part to another part")?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_SHARED, "partly_shared", "sealing a file that shares one block is refused", |t| {
        t.needs_sharing()?;
        let (file, other) = (t.file("file", t.size())?, t.beside("other", t.size())?);
        let call = Call::Dedupe { from: file.fd(), from_offset: 0, to: other.fd(), to_offset: 0, len: BLOCK };
        t.given(&call, "no deduplication")?;
        Ok(file.refused(&file.enter_call()?)?.and(other.refused(&other.enter_call()?)?))
    }),
    case(&SEAL_NEVER, "compressed", "sealing a compressed file is refused", |t| {
        never(t, FLAG_COMPRESS, "the file system does not compress")
    }),
    case(&SEAL_NEVER, "journaled", "sealing a file whose data are journaled is refused", |t| {
        never(t, FLAG_JOURNAL, "the file system journals no data")
    }),
    case(&SEAL_MAPPED, "mapped_shared", "sealing a file that is mapped shared and writable is refused", |t| {
        let file = t.file("file", t.size())?;
        mapped(&file, true, true)?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_MAPPED, "mapped_private", "sealing a file that is mapped privately for reading is refused", |t| {
        let file = t.file("file", t.size())?;
        mapped(&file, false, false)?;
        file.refused(&file.enter_call()?)
    }),
    case(&SEAL_UNCHANGED, "hole_stays", "a refused seal does not fill a hole", |t| {
        keeps_its_hole(t, &prepared(t, |fd, lead| t.setup(&Call::Ftruncate { fd, size: lead + t.size() }).map(drop))?)
    }),
    case(&SEAL_UNCHANGED, "growth_stays", "a refused seal does not fill a hole behind written data", |t| {
        keeps_its_hole(t, &grown(t)?)
    }),
    alone(&SEAL_UNCHANGED, "sharing_stays", "a refused seal does not end sharing, which would take space", |t| {
        t.needs_sharing()?;
        let file = t.file("file", t.size())?;
        File::from_ready(t, t.make("other", |to| t.setup(&Call::Clone { from: file.fd(), to }).map(|_| ()))?);
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let free = t.free_space()?;
        let seen = refusal(&file)?;
        Ok(seen.and(t.fact("no space was taken", t.free_space()? >= free)))
    }),
    alone(&SEAL_READONLY_MOUNT, "readonly_mount", "a file on a read-only mount cannot be sealed", |t| {
        t.needs_seal("attempt to make: the descriptor has to be open for writing")?;
        let name = closed(t)?;
        t.read_only_mount()?;
        t.observe(&Call::Open { name, flags: OFlag::O_RDWR, mode: 0 })
    }),
];

/// The observations of a step for each element of a list.
pub(super) fn each<T>(list: &[T], mut step: impl FnMut(&T) -> Seen) -> Seen {
    list.iter().try_fold(Default::default(), |seen: Observed, one| Ok(seen.and(step(one)?)))
}

/// Whether every call succeeded.
pub(super) fn succeeded(seen: &Observed) -> bool {
    seen.0.iter().all(|one| !matches!(one.outcome, Some(Some(_))))
}

/// Maps a file until the case ends.
pub(super) fn mapped(file: &File, shared: bool, write: bool) -> Result<(), Trouble> {
    let (_, map) = file.map(shared, write)?;
    map.map(|_| ()).ok_or_else(|| Trouble::Setup("the file cannot be mapped".into()))
}

/// The name of a file that is not in the state, and of which no descriptor is open.
pub(super) fn closed(t: &Context) -> Result<String, Trouble> {
    let file = t.file("file", t.size())?;
    let name = file.name();
    file.close()?;
    Ok(name)
}

/// A file with the mechanism's header, prepared by the case from there on.
fn prepared<'a>(t: &'a Context<'a>, prepare: impl FnOnce(Fd, i64) -> Result<(), Trouble>) -> Result<File<'a>, Trouble> {
    let lead = t.lead();
    let ready = t.make("file", |fd| {
        if lead > 0 {
            t.setup(&Call::Pwrite { fd, offset: 0, data: t.head() })?;
        }
        prepare(fd, lead)?;
        t.on_storage(fd)
    })?;
    t.settled(ready)
}

/// A file of the situation with a hole in the second block.
fn punched<'a>(t: &'a Context<'a>) -> Result<File<'a>, Trouble> {
    let file = t.file("file", t.size())?;
    let (mode, offset) = (Mode::PUNCH_HOLE | Mode::KEEP_SIZE, file.at(BLOCK_LEN));
    t.given(&Call::Fallocate { fd: file.fd(), mode, offset, len: BLOCK_LEN }, "no hole in such a file")?;
    t.on_storage(file.fd())?;
    Ok(file)
}

/// A file of the situation with a hole behind all that was written.
fn grown<'a>(t: &'a Context<'a>) -> Result<File<'a>, Trouble> {
    let file = t.file("file", t.size())?;
    let size = file.at(2 * t.whole() + 64 * BLOCK_LEN);
    t.given(&Call::Ftruncate { fd: file.fd(), size }, "the file keeps its size")?;
    t.on_storage(file.fd())?;
    Ok(file)
}

/// Writes the blocks of a file from the last to the first.
fn each_block(t: &Context, write: impl Fn(i64, Vec<u8>) -> Result<(), Trouble>) -> Result<(), Trouble> {
    let data = pattern(1, t.size());
    data.chunks(BLOCK).enumerate().rev().try_for_each(|(block, bytes)| write(block as i64 * BLOCK_LEN, bytes.into()))
}

/// Checks that the file is sealed, and that the file and a later one have their own data.
fn kept_apart(t: &Context, file: &File) -> Seen {
    let seen = file.enter()?;
    let other = t.churn()?;
    Ok(seen.and(file.holds(0, &pattern(1, t.size()))).and(t.churn_intact(&other)?))
}

/// A file that shares all its storage with two others, which are open.
fn shared_by_three<'a>(t: &'a Context<'a>) -> Result<(File<'a>, [Fd; 2]), Trouble> {
    let file = t.file("file", t.size())?;
    let mut others = [0; 2];
    for (fd, name) in others.iter_mut().zip(["second", "third"]) {
        let call = Call::Open { name: name.into(), flags: OFlag::O_RDWR | OFlag::O_CREAT, mode: 0o600 };
        if let Reply::Number(number) = t.setup(&call)? {
            *fd = number as Fd;
        }
        t.given(&Call::Clone { from: file.fd(), to: *fd }, "no clone of such a file")?;
    }
    t.setup(&Call::Fsync { fd: file.fd() })?;
    Ok((file, others))
}

/// The same after unmounting and mounting: nothing is open.
fn shared_by_three_remounted(t: &Context) -> Result<(), Trouble> {
    let (file, others) = shared_by_three(t)?;
    t.reach(&Call::Cycle)?;
    others.iter().try_for_each(|fd| t.setup(&Call::Close { fd: *fd }).map(|_| ()))?;
    file.close()?;
    t.setup(&Call::Cycle).map(|_| ())
}

/// The state that a refused sealing leaves. Other clauses say whether it is refused.
fn refusal(file: &File) -> Seen {
    let seen = file.refused(&file.enter_call()?)?;
    if succeeded(&seen) {
        return Err(Trouble::NotOffered("the file is not refused".into()));
    }
    Ok(seen)
}

/// A refused seal leaves the first hole of a file where it is.
fn keeps_its_hole(t: &Context, file: &File) -> Seen {
    let hole = hole_from(t, file, 0)?;
    let seen = refusal(file)?;
    Ok(seen.and(t.fact("the hole is where it was", hole_from(t, file, 0)? == hole)))
}

/// The first hole from an offset on; both are offsets of the case.
pub(super) fn hole_from(t: &Context, file: &File, offset: i64) -> Result<i64, Trouble> {
    let seek = Call::Seek { fd: file.reader(), offset: file.at(offset), whence: Whence::Hole };
    match t.setup(&seek)? {
        Reply::Number(at) => Ok(at - file.at(0)),
        other => Err(Trouble::Setup(format!("{seek} = {}", words::reply(&other)))),
    }
}

fn seal_with(file: &File, mode: Mode, offset: i64, len: i64, effect: Effect) -> Seen {
    file.act(&Call::Fallocate { fd: file.fd(), mode, offset, len }, effect)
}

fn refused_ranges(t: &Context, ranges: &[(i64, i64)]) -> Seen {
    t.needs_seal("range")?;
    let file = t.file("file", t.size())?;
    each(ranges, |(offset, len)| seal_with(&file, Mode::SEAL, *offset, *len, Effect::Nothing))
}

/// A file of the situation that got an attribute, and then was written again, cannot be sealed.
fn never(t: &Context, flag: u32, without: &str) -> Seen {
    t.needs_seal("word on such files")?;
    let file = t.file("file", t.size())?;
    t.given(&Call::ChangeFlags { fd: file.fd(), set: flag, clear: 0 }, without)?;
    let data = pattern(1, t.size());
    t.setup(&Call::Pwrite { fd: file.fd(), offset: file.at(0), data })?;
    t.on_storage(file.fd())?;
    file.refused(&file.enter_call()?)
}

fn with_attribute(t: &Context, flag: u32) -> Seen {
    between(t, |fd| Call::ChangeFlags { fd, set: flag, clear: 0 }, |fd| Call::ChangeFlags { fd, set: 0, clear: flag })
}

fn with_xflag(t: &Context, flag: u32) -> Seen {
    between(t, |fd| Call::ChangeXflags { fd, set: flag, clear: 0 }, |fd| Call::ChangeXflags { fd, set: 0, clear: flag })
}

/// Sealing is refused between a call that gives an attribute and one that takes it away.
fn between(t: &Context, one: impl Fn(Fd) -> Call, other: impl Fn(Fd) -> Call) -> Seen {
    if t.mechanism() == Mechanism::ImmutableAttr {
        return Err(Trouble::NotOffered("immutable-attr: the state is an attribute itself".into()));
    }
    let file = t.file("file", t.size())?;
    t.setup(&one(file.fd()))?;
    let seen = file.refused(&file.enter_call()?)?;
    t.setup(&other(file.fd()))?;
    Ok(seen)
}
