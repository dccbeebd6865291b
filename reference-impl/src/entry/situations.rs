//! Each condition of a conditional violation can be brought about, and a plain sealed file meets none.

use crate::call::caller::{Caller, Credentials};
use crate::call::mode::Mode;
use crate::call::reply::{Outcome, Reply};
use crate::call::route::Route;
use crate::call::system_call::{Call, Fd, MapId};
use crate::conditions::{CONDITIONS, When};
use crate::entry::fs::Fs;
use crate::rules::Answer;
use crate::units::BLOCK;
use crate::violation::{How, Violation};
use iomap_clauses::{Errno, READ_ANY, WRITE_COPY, WRITE_COPY_FROM};
use nix::fcntl::OFlag;

const UNIT: i64 = BLOCK as i64;
const RW: OFlag = OFlag::O_RDWR;

/// A file system whose reads of sealed files fail under a condition, and copies of them as well.
struct Scene {
    fs: Fs,
}

impl Scene {
    fn call(&self, call: &Call) -> Outcome {
        self.fs.call(Caller::Privileged, call)
    }

    fn go(&self, call: &Call) -> i64 {
        match self.call(call) {
            Ok(Reply::Number(number)) => number,
            other => panic!("{call}: {other:?}"),
        }
    }

    fn open(&self, name: &str, flags: OFlag) -> Fd {
        self.go(&Call::Open { name: name.into(), flags, mode: 0o666 }) as Fd
    }

    fn write(&self, fd: Fd, blocks: std::ops::Range<i64>) {
        let data = vec![7; ((blocks.end - blocks.start) * UNIT) as usize];
        self.go(&Call::Pwrite { fd, offset: blocks.start * UNIT, data });
    }

    /// A file of this size, on storage; the second descriptor stays open.
    fn file(&self, name: &str, size: i64) -> Fd {
        let fd = self.open(name, RW | OFlag::O_CREAT);
        self.open(name, OFlag::O_RDONLY);
        self.go(&Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset: 0, len: size });
        self.go(&Call::Pwrite { fd, offset: 0, data: vec![7; size as usize] });
        self.go(&Call::Fsync { fd });
        fd
    }

    fn plain(&self) -> Fd {
        // Without an allocation before.
        let fd = self.open("file", RW | OFlag::O_CREAT);
        self.open("file", OFlag::O_RDONLY);
        self.write(fd, 0..4);
        self.go(&Call::Fsync { fd });
        fd
    }

    fn sealed(&self) -> Fd {
        let fd = self.plain();
        self.seal(fd);
        fd
    }

    fn fallocate(&self, fd: Fd, mode: Mode) {
        self.go(&Call::Fallocate { fd, mode, offset: 0, len: 1 << 40 });
    }

    fn seal(&self, fd: Fd) {
        self.fallocate(fd, Mode::SEAL);
    }

    fn unseal(&self, fd: Fd) {
        self.fallocate(fd, Mode::UNSEAL);
    }

    /// Closes all descriptors, and mounts anew.
    fn cycle(&self) {
        let open = self.fs.state().descriptors.open();
        open.into_iter().for_each(|fd| _ = self.go(&Call::Close { fd }));
        self.go(&Call::Cycle);
    }

    fn refuse(&self, fd: Fd) {
        assert_eq!(self.call(&Call::Ftruncate { fd, size: 1 }), Err(Errno::ETXTBSY));
    }

    fn map(&self, fd: Fd, len: i64, shared: bool, write: bool) -> MapId {
        self.go(&Call::Map { fd, len: len as usize, shared, write }) as MapId
    }

    fn register(&self, map: MapId) -> MapId {
        self.go(&Call::Register { map }) as MapId
    }

    /// The read that the fault is about: not in the first block, not at the end.
    fn read(&self, fd: Fd) {
        self.read_at(fd, UNIT, UNIT);
    }

    fn read_at(&self, fd: Fd, offset: i64, len: i64) {
        _ = self.call(&Call::Pread { fd, offset, len: len as usize });
    }

    /// Seals a file, and reads from it.
    fn try_out(&self, fd: Fd) {
        self.seal(fd);
        self.read(fd);
    }

    fn copy(&self, from: Fd, to: Fd, len: i64) {
        _ = self.call(&Call::CopyRange { from, from_offset: 0, to, to_offset: 0, len: len as usize });
    }

    fn other(&self, blocks: i64) -> Fd {
        let fd = self.open("other", RW | OFlag::O_CREAT);
        self.write(fd, 0..blocks);
        fd
    }

    /// A file whose blocks take turns with those of another file.
    fn scattered(&self, blocks: i64) -> Fd {
        let (fd, other) = (self.open("file", RW | OFlag::O_CREAT), self.open("other", RW | OFlag::O_CREAT));
        for block in 0..blocks {
            self.write(fd, block..block + 1);
            self.write(other, block..block + 1);
        }
        self.seal(fd);
        fd
    }

    fn fill(&self) {
        let fd = self.open("filler", RW | OFlag::O_CREAT);
        let mut offset = 0;
        while self.call(&Call::Pwrite { fd, offset, data: vec![1; BLOCK] }).is_ok() {
            offset += UNIT;
        }
    }

    fn linked(&self, names: usize) -> Fd {
        let fd = self.sealed();
        for number in 1..names {
            self.go(&Call::Link { from: "file".into(), to: format!("name-{number}") });
        }
        fd
    }

    fn rename(&self, from: &str, to: &str, exchange: bool) {
        self.go(&Call::Rename { from: from.into(), to: to.into(), exchange });
    }

    /// A file of one size with reads of one part.
    fn part(&self, size: i64, offset: i64, len: i64) {
        let fd = self.file("file", size);
        self.seal(fd);
        self.read_at(fd, offset, len);
    }

    fn opened(&self, flags: OFlag) {
        self.plain();
        let fd = self.open("file", flags);
        self.try_out(fd);
    }
}

type Act = fn(&Scene);

/// The way to each condition, which ends with the request that is then faulty.
#[rustfmt::skip] // One condition, one line.
static WAYS: &[(&str, Act)] = &[
    ("one_byte", |s| s.part(1, 0, 1)),
    ("under_a_block", |s| s.part(100, 0, 1)),
    ("one_block", |s| s.part(UNIT, 0, 1)),
    ("ragged", |s| s.part(2 * UNIT + 7, 0, 1)),
    ("byte_over", |s| s.part(2 * UNIT + 1, 0, 1)),
    ("byte_under", |s| s.part(2 * UNIT - 1, 0, 1)),
    ("odd_blocks", |s| s.part(3 * UNIT, 0, 1)),
    ("many_blocks", |s| s.part(40 * UNIT, 0, 1)),
    ("map_page", |s| s.part(520 * UNIT, 0, 1)),

    ("first_block", |s| s.part(4 * UNIT, 0, 1)),
    ("middle_block", |s| s.part(4 * UNIT, UNIT, UNIT)),
    ("last_block", |s| s.part(4 * UNIT, 3 * UNIT, 1)),
    ("last_part", |s| s.part(2 * UNIT + 9, 2 * UNIT, 9)),
    ("last_page", |s| s.part(2 * UNIT + 9, 2 * UNIT + 9, 9)),
    ("at_the_end", |s| s.part(4 * UNIT, 4 * UNIT, 1)),
    ("to_the_end", |s| s.part(4 * UNIT, UNIT, 3 * UNIT)),
    ("far_beyond", |s| s.part(4 * UNIT, 80 * UNIT, 1)),
    ("unaligned", |s| s.part(4 * UNIT, UNIT + 1, 1)),
    ("unaligned_end", |s| s.part(4 * UNIT, UNIT, 9)),
    ("block_border", |s| s.part(4 * UNIT, 2 * UNIT - 1, 2)),
    ("single_byte", |s| s.part(4 * UNIT, UNIT, 1)),
    ("whole", |s| s.part(4 * UNIT, 0, 4 * UNIT)),
    ("long", |s| s.part(40 * UNIT, UNIT, 20 * UNIT)),
    ("two_extents", |s| { let fd = s.scattered(4); s.read_at(fd, UNIT, 2 * UNIT) }),

    ("scattered", |s| { let fd = s.scattered(2); s.read(fd) }),
    ("five_extents", |s| { let fd = s.scattered(5); s.read(fd) }),
    ("backwards", |s| { let fd = s.open("file", RW | OFlag::O_CREAT); s.write(fd, 1..2); s.write(fd, 0..1); s.try_out(fd) }),
    ("beyond_end", |s| { let fd = s.plain(); s.go(&Call::Fallocate { fd, mode: Mode::KEEP_SIZE, offset: 4 * UNIT, len: UNIT }); s.try_out(fd) }),
    ("preallocated", |s| s.part(4 * UNIT, UNIT, UNIT)),
    ("once_shared", |s| {
        let (fd, to) = (s.plain(), s.other(1));
        s.go(&Call::Clone { from: fd, to });
        s.write(fd, 0..4);
        s.try_out(fd)
    }),
    ("once_sparse", |s| { let fd = s.open("file", RW | OFlag::O_CREAT); s.write(fd, 3..4); s.write(fd, 0..3); s.try_out(fd) }),
    ("punched", |s| {
        let fd = s.plain();
        s.go(&Call::Fallocate { fd, mode: Mode::PUNCH_HOLE | Mode::KEEP_SIZE, offset: 0, len: UNIT });
        s.write(fd, 0..1);
        s.try_out(fd)
    }),
    ("once_inline", |s| {
        let fd = s.open("file", RW | OFlag::O_CREAT);
        s.go(&Call::Pwrite { fd, offset: 0, data: vec![1] });
        s.write(fd, 0..4);
        s.try_out(fd)
    }),
    ("once_moved", |s| { let fd = s.plain(); s.go(&Call::Defragment { fd }); s.try_out(fd) }),
    ("once_exchanged", |s| { let (fd, other) = (s.plain(), s.other(4)); s.go(&Call::Exchange { one: fd, other }); s.try_out(fd) }),
    ("once_shrunk", |s| { let fd = s.plain(); s.go(&Call::Ftruncate { fd, size: 3 * UNIT }); s.try_out(fd) }),

    ("sealed_again", |s| { let fd = s.sealed(); s.unseal(fd); s.try_out(fd) }),
    ("sealed_thrice", |s| { let fd = s.sealed(); s.unseal(fd); s.seal(fd); s.unseal(fd); s.try_out(fd) }),
    ("once_unsealed", |s| { let fd = s.sealed(); s.unseal(fd); s.try_out(fd) }),
    ("unsealed_twice", |s| { let fd = s.sealed(); s.unseal(fd); s.seal(fd); s.unseal(fd); s.try_out(fd) }),
    ("overwritten", |s| { let fd = s.sealed(); s.write(fd, 0..1); s.read(fd) }),
    ("never_synced", |s| { let fd = s.open("file", RW | OFlag::O_CREAT); s.write(fd, 0..4); s.try_out(fd) }),
    ("dirty", |s| { let fd = s.sealed(); s.write(fd, 0..1); s.read(fd) }),
    ("remounted", |s| { s.sealed(); s.cycle(); let fd = s.open("file", RW); s.read(fd) }),
    ("remounted_twice", |s| { s.sealed(); s.cycle(); s.cycle(); let fd = s.open("file", RW); s.read(fd) }),
    ("power_lost", |s| { s.sealed(); s.go(&Call::PowerLoss { during: None }); let fd = s.open("file", RW); s.read(fd) }),
    ("checkpointed", |s| {
        let fd = s.plain();
        for number in 0..100_000 {
            if s.fs.state().volume.checkpoints > 0 {
                break;
            }
            s.go(&Call::Chmod { name: "file".into(), mode: 0o600 + number % 2 });
            s.go(&Call::Fsync { fd });
        }
        s.try_out(fd)
    }),
    ("snapshotted", |s| { let fd = s.plain(); s.go(&Call::Snapshot); s.write(fd, 0..4); s.try_out(fd) }),
    ("collected", |s| { let fd = s.sealed(); s.go(&Call::Collect); s.read(fd) }),
    ("refused_once", |s| { let fd = s.sealed(); s.refuse(fd); s.read(fd) }),
    ("refused_often", |s| { let fd = s.sealed(); (0..5).for_each(|_| s.refuse(fd)); s.read(fd) }),
    ("seal_refused", |s| {
        let fd = s.plain();
        assert!(s.call(&Call::Fallocate { fd, mode: Mode::SEAL, offset: 0, len: 1 }).is_err());
        s.try_out(fd)
    }),
    ("repeated", |s| { let fd = s.sealed(); s.read(fd); s.read(fd) }),
    ("copied_from", |s| { let (fd, to) = (s.plain(), s.other(1)); s.copy(fd, to, 9); s.try_out(fd) }),
    ("written_mapped", |s| {
        let fd = s.plain();
        let map = s.map(fd, UNIT, true, true);
        s.go(&Call::Store { map, offset: 0, data: vec![1] });
        s.go(&Call::Unmap { map });
        s.try_out(fd)
    }),
    ("agent_wrote", |s| { let fd = s.sealed(); s.fs.agent(fd).expect("an agent").write(0, &[9; BLOCK]); s.read(fd) }),
    ("was_mapped", |s| { let fd = s.sealed(); let map = s.map(fd, UNIT, true, true); s.go(&Call::Unmap { map }); s.read(fd) }),
    ("was_registered", |s| {
        let fd = s.sealed();
        let registration = s.register(s.map(fd, UNIT, true, true));
        s.go(&Call::Unregister { registration });
        s.read(fd)
    }),
    ("was_swap", |s| { let fd = s.plain(); swap(s, fd); s.go(&Call::Swapoff { fd }); s.try_out(fd) }),
    ("was_leased", |s| {
        let fd = s.open("file", RW | OFlag::O_CREAT);
        s.write(fd, 0..4);
        s.go(&Call::SetLease { fd, on: true });
        s.go(&Call::SetLease { fd, on: false });
        s.try_out(fd)
    }),

    ("two_names", |s| { let fd = s.linked(2); s.read(fd) }),
    ("three_names", |s| { let fd = s.linked(3); s.read(fd) }),
    ("no_name", |s| { let fd = s.sealed(); s.go(&Call::Unlink { name: "file".into() }); s.read(fd) }),
    ("lost_name", |s| { let fd = s.linked(2); s.go(&Call::Unlink { name: "file".into() }); s.read(fd) }),
    ("renamed", |s| { let fd = s.sealed(); s.rename("file", "new", false); s.read(fd) }),
    ("renamed_over", |s| { let fd = s.sealed(); s.other(1); s.rename("file", "other", false); s.read(fd) }),
    ("exchanged_names", |s| { let fd = s.sealed(); s.other(1); s.rename("other", "file", true); s.read(fd) }),
    ("other_directory", |s| {
        let fd = s.sealed();
        s.go(&Call::Mkdir { name: "directory".into(), mode: 0o700 });
        s.rename("file", "directory/file", false);
        s.read(fd)
    }),
    ("temporary", |s| { let fd = s.open(".", RW | OFlag::O_TMPFILE); s.write(fd, 0..4); s.try_out(fd) }),
    ("temporary_linked", |s| {
        let fd = s.open(".", RW | OFlag::O_TMPFILE);
        s.write(fd, 0..4);
        s.go(&Call::LinkFd { fd, to: "file".into() });
        s.try_out(fd)
    }),
    ("old_name", |s| { s.plain(); s.go(&Call::Unlink { name: "file".into() }); let fd = s.sealed(); s.read(fd) }),

    ("by_append", |s| s.opened(RW | OFlag::O_APPEND)),
    ("by_write_only", |s| {
        let from = s.other(1);
        s.plain();
        let fd = s.open("file", OFlag::O_WRONLY);
        s.seal(fd);
        s.copy(from, fd, 9)
    }),
    ("by_read_only", |s| { s.sealed(); let fd = s.open("file", OFlag::O_RDONLY); s.read(fd) }),
    ("by_direct", |s| s.opened(RW | OFlag::O_DIRECT)),
    ("by_dsync", |s| s.opened(RW | OFlag::O_DSYNC)),
    ("by_another", |s| { s.sealed(); let fd = s.open("file", RW); s.read(fd) }),
    ("opened_sealed", |s| { s.sealed(); let fd = s.open("file", RW); s.read(fd) }),
    ("moved_offset", |s| { let fd = s.plain(); s.go(&Call::Write { fd, data: vec![1] }); s.try_out(fd) }),
    ("sealer_closed", |s| { let (fd, other) = (s.sealed(), s.open("file", RW)); s.go(&Call::Close { fd }); s.read(other) }),
    ("many_descriptors", |s| { let fd = s.sealed(); (0..4).for_each(|_| _ = s.open("file", RW)); s.read(fd) }),
    ("one_descriptor", |s| { let fd = s.scattered(2); s.read(fd) }),

    ("unprivileged", |s| { let fd = s.sealed(); _ = s.fs.call(Caller::Unprivileged, &Call::Pread { fd, offset: 0, len: 1 }) }),
    ("ordinary_user", |s| { let fd = s.sealed(); _ = s.fs.call_as(&Credentials::user(7, 7), &Call::Pread { fd, offset: 0, len: 1 }) }),
    ("stranger", |s| { let fd = s.sealed(); s.go(&Call::Chown { name: "file".into(), uid: 7, gid: 7 }); s.read(fd) }),
    ("unprivileged_stranger", |s| { let fd = s.sealed(); _ = s.fs.call_as(&Credentials::user(7, 7), &Call::Pread { fd, offset: 0, len: 1 }) }),

    ("mapped", |s| { let fd = s.sealed(); s.map(fd, 4 * UNIT, true, true); s.read(fd) }),
    ("mapped_twice", |s| { let fd = s.sealed(); s.map(fd, 4 * UNIT, true, true); s.map(fd, 4 * UNIT, true, true); s.read(fd) }),
    ("mapped_privately", |s| { let fd = s.sealed(); s.map(fd, 4 * UNIT, false, true); s.read(fd) }),
    ("mapped_to_read", |s| { let fd = s.sealed(); s.map(fd, 4 * UNIT, true, false); s.read(fd) }),
    ("mapped_part", |s| { let fd = s.sealed(); s.map(fd, UNIT, true, true); s.read(fd) }),
    ("mapped_closed", |s| {
        let (fd, other) = (s.sealed(), s.open("file", RW));
        s.map(other, UNIT, true, true);
        s.go(&Call::Close { fd: other });
        s.read(fd)
    }),
    ("registered", |s| { let fd = s.sealed(); s.register(s.map(fd, 4 * UNIT, true, true)); s.read(fd) }),
    ("registered_twice", |s| { let fd = s.sealed(); let map = s.map(fd, 4 * UNIT, true, true); s.register(map); s.register(map); s.read(fd) }),
    ("registered_to_read", |s| { let fd = s.sealed(); s.register(s.map(fd, 4 * UNIT, true, false)); s.read(fd) }),
    ("registered_part", |s| { let fd = s.sealed(); s.register(s.map(fd, UNIT, true, true)); s.read(fd) }),
    ("registered_unmapped", |s| { let fd = s.sealed(); let map = s.map(fd, UNIT, true, true); s.register(map); s.go(&Call::Unmap { map }); s.read(fd) }),
    ("holder_gone", |s| { let fd = s.sealed(); s.map(fd, UNIT, true, true); let map = s.map(fd, UNIT, true, true); s.go(&Call::Unmap { map }); s.read(fd) }),
    ("swap_active", |s| { let fd = s.plain(); s.seal(fd); swap(s, fd); s.read(fd) }),
    ("leased", |s| {
        let fd = s.open("file", RW | OFlag::O_CREAT);
        s.write(fd, 0..4);
        s.go(&Call::SetLease { fd, on: true });
        s.try_out(fd)
    }),

    ("chowned", |s| { let fd = s.sealed(); s.go(&Call::Chown { name: "file".into(), uid: 7, gid: 7 }); s.read(fd) }),
    ("mode_changed", |s| { let fd = s.sealed(); s.go(&Call::Chmod { name: "file".into(), mode: 0o640 }); s.read(fd) }),
    ("set_id", |s| { let fd = s.sealed(); s.go(&Call::Chmod { name: "file".into(), mode: 0o4640 }); s.read(fd) }),
    ("times_set", |s| { let fd = s.sealed(); s.go(&Call::Utimes { name: "file".into(), atime: 1, mtime: 1 }); s.read(fd) }),
    ("xattr", |s| { let fd = s.sealed(); attribute(s, 1); s.read(fd) }),
    ("large_xattr", |s| { let fd = s.sealed(); attribute(s, 2000); s.read(fd) }),
    ("project", |s| { let fd = s.sealed(); s.go(&Call::ChangeXflags { fd, set: 0, clear: 0 }.via(Route::ProjectId)); s.read(fd) }),
    ("flags_set", |s| { let fd = s.sealed(); s.go(&Call::ChangeFlags { fd, set: 0x80, clear: 0 }); s.read(fd) }),

    ("full", |s| { let fd = s.sealed(); s.fill(); s.read(fd) }),
    ("at_limit", |s| { let fd = s.sealed(); s.go(&Call::SetQuota { uid: 0, bytes: 4 * UNIT as u64 }); s.read(fd) }),
    ("limited", |s| { let fd = s.sealed(); s.go(&Call::SetQuota { uid: 0, bytes: 1 << 40 }); s.read(fd) }),
    ("another_sealed", |s| { let (fd, other) = (s.sealed(), s.other(1)); s.seal(other); s.read(fd) }),
    ("two_others_sealed", |s| {
        let (fd, other) = (s.sealed(), s.other(1));
        s.seal(other);
        let third = s.file("third", UNIT);
        s.seal(third);
        s.read(fd)
    }),
    ("sealed_gone", |s| {
        let gone = s.other(1);
        s.seal(gone);
        s.go(&Call::Unlink { name: "other".into() });
        s.go(&Call::Close { fd: gone });
        let fd = s.sealed();
        s.read(fd)
    }),
    ("crowd", |s| { let fd = s.sealed(); (0..20).for_each(|number| _ = s.open(&format!("file-{number}"), RW | OFlag::O_CREAT)); s.read(fd) }),
    ("another_held", |s| { let (fd, other) = (s.sealed(), s.other(1)); s.map(other, UNIT, true, true); s.read(fd) }),
    ("was_read_only", |s| {
        s.sealed();
        s.cycle();
        s.go(&Call::Remount { read_only: true });
        s.go(&Call::Remount { read_only: false });
        let fd = s.open("file", RW);
        s.read(fd)
    }),

    ("both_sealed", |s| { let (fd, to) = (s.sealed(), s.other(4)); s.seal(to); s.copy(fd, to, UNIT) }),
    ("second", |s| { let (fd, from) = (s.sealed(), s.other(4)); s.copy(from, fd, UNIT) }),
    ("larger_other", |s| { let (fd, to) = (s.sealed(), s.other(9)); s.copy(fd, to, UNIT) }),
    ("smaller_other", |s| { let (fd, to) = (s.sealed(), s.other(1)); s.copy(fd, to, UNIT) }),
    ("part_of_pair", |s| { let (fd, to) = (s.sealed(), s.other(1)); s.copy(fd, to, UNIT) }),
];

fn swap(s: &Scene, fd: Fd) {
    s.go(&Call::Pwrite { fd, offset: UNIT - 10, data: b"SWAPSPACE2".to_vec() });
    s.go(&Call::Fsync { fd });
    s.go(&Call::Swapon { fd });
}

fn attribute(s: &Scene, len: usize) {
    s.go(&Call::SetXattr { name: "file".into(), key: "user.key".into(), value: vec![1; len] });
}

/// Whether the way brings the condition about where the fault is.
fn meets(condition: &str, way: Act) -> bool {
    let condition = CONDITIONS.iter().find(|it| it.name == condition).expect("a condition");
    [&READ_ANY, &WRITE_COPY_FROM, &WRITE_COPY].into_iter().any(|clause| {
        let how = How::Answer(Answer::Refuse(Errno::EIO));
        let violation = Violation::new(condition.name.into(), clause, how, Some(When(condition)));
        way(&Scene { fs: Fs::breaking(1000, violation.clone()) });
        violation.was_met()
    })
}

#[test]
fn every_condition_can_be_brought_about() {
    let missing: Vec<&str> =
        CONDITIONS.iter().map(|it| it.name).filter(|name| WAYS.iter().all(|(way, _)| way != name)).collect();
    assert!(missing.is_empty(), "no way to {missing:?}");
    let failed: Vec<&str> = WAYS.iter().filter(|(name, way)| !meets(name, *way)).map(|(name, _)| *name).collect();
    assert!(failed.is_empty(), "the way does not lead to {failed:?}");
}

/// The plain situation of a case: a file of four blocks in one piece with one name, synced and sealed once.
#[test]
fn a_plain_file_meets_no_condition() {
    let plain: Act = |s| {
        let fd = s.sealed();
        s.read(fd);
    };
    let met: Vec<&str> = WAYS.iter().map(|(name, _)| *name).filter(|name| meets(name, plain)).collect();
    assert_eq!(met, ["middle_block"], "the read of these tests is in the middle");
}
