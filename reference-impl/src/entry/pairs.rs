//! Two reasons to refuse one call at once (rule.either). The reasons are the rows of the rules that apply; the
//! circumstances below only have to bring every row about.

use crate::call::caller::Caller;
use crate::call::flags::{FLAG_APPEND, FLAG_COMPRESS, FLAG_IMMUTABLE, FLAG_VERITY};
use crate::call::mode::Mode;
use crate::call::reply::{Outcome, Reply};
use crate::call::route::Route;
use crate::call::system_call::{Call, Fd};
use crate::entry::fs::Fs;
use crate::rules::{Answer, Rule, reasons_met, rows};
use iomap_clauses::{Clause, Errno};
use nix::fcntl::OFlag;
use std::ptr;

const BLOCK: i64 = 4096;
const SIZE: i64 = 4 * BLOCK;

/// The circumstances of a call.
#[derive(Clone)]
struct Try {
    name: &'static str,
    flags: OFlag,
    caller: Caller,
    /// More bits of the mode of fallocate(2).
    bits: Mode,
    offset: i64,
    len: i64,
    size: i64,
    /// The actions on the file before it is sealed.
    early: Vec<Act>,
    /// The actions on the file after that.
    late: Vec<Act>,
}

/// The files of a call.
struct Scene {
    fs: Fs,
    /// The descriptor of the file for its preparation.
    made: Fd,
    /// The descriptor of the file for the call.
    fd: Fd,
    other: Fd,
}

type Act = fn(&Scene) -> Outcome;
type Circumstance = fn(&mut Try);
type Operation = fn(&Scene, &Try) -> Call;

const CIRCUMSTANCES: &[Circumstance] = &[
    |t| t.len = 0,
    |t| t.len = -1,
    |t| t.len -= 1,
    |t| t.len += 1,
    |t| t.offset = -1,
    |t| t.offset = BLOCK,
    |t| t.offset = SIZE,
    |t| t.bits = t.bits | Mode::KEEP_SIZE,
    |t| t.bits = t.bits | Mode(1 << 20),
    |t| t.flags = OFlag::O_RDONLY,
    |t| t.flags |= OFlag::O_APPEND,
    |t| t.caller = Caller::Unprivileged,
    |t| t.size = 0,
    |t| t.size = 16,
    |t| t.name = "/",
    |t| t.name = "fifo",
    |t| t.name = "device",
    |t| t.early.push(|s| s.allocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE)),
    |t| t.early.push(|s| s.allocate(Mode::ZERO_RANGE)),
    |t| t.early.push(|s| s.make(&Call::Clone { from: s.made, to: s.other })),
    |t| t.early.push(|s| s.make(&within(s.made))),
    |t| t.early.push(|s| s.flag(FLAG_COMPRESS)),
    |t| t.late.push(|s| s.flag(FLAG_APPEND)),
    |t| t.late.push(|s| s.flag(FLAG_IMMUTABLE)),
    |t| t.late.push(Scene::map),
    |t| t.late.push(Scene::register),
    |t| t.late.push(|s| s.make(&Call::Swapon { fd: s.made })),
];

const STATES: &[Operation] = &[|s, t| s.fallocate(t, Mode::SEAL), |s, t| s.fallocate(t, Mode::UNSEAL)];

const OPERATIONS: &[Operation] = &[
    |s, t| s.fallocate(t, Mode::ALLOCATE),
    |s, t| s.fallocate(t, Mode::PUNCH_HOLE | Mode::KEEP_SIZE),
    |s, t| s.fallocate(t, Mode::ZERO_RANGE),
    |s, t| s.fallocate(t, Mode::COLLAPSE_RANGE),
    |s, t| s.fallocate(t, Mode::INSERT_RANGE),
    |s, t| s.fallocate(t, Mode::UNSHARE_RANGE),
    |s, t| s.fallocate(t, Mode::WRITE_ZEROES),
    |s, t| s.write(t),
    |s, t| s.write(t).via(Route::BtrfsEncoded),
    |s, t| Call::Pwritev { fd: s.fd, offset: t.offset, parts: vec![t.data()], append: Some(true) },
    |s, t| Call::PwriteAtomic { fd: s.fd, offset: t.offset, data: t.data() },
    |s, t| Call::PwriteLimited { fd: s.fd, offset: t.offset, data: t.data(), limit: SIZE as u64 },
    |s, t| s.copy(t, s.other, s.fd),
    |s, t| s.copy(t, s.fd, s.other),
    |s, t| Call::Ftruncate { fd: s.fd, size: t.len },
    |_, t| Call::Truncate { name: t.name.into(), size: t.len },
    |_, t| Call::Open { name: t.name.into(), flags: t.flags | OFlag::O_TRUNC, mode: 0 },
    |s, _| Call::Clone { from: s.fd, to: s.other },
    |s, _| Call::Clone { from: s.other, to: s.fd },
    |s, _| within(s.fd),
    |s, t| Call::Dedupe { from: s.fd, from_offset: 0, to: s.other, to_offset: 0, len: t.len as usize },
    |s, t| Call::Dedupe { from: s.other, from_offset: 0, to: s.fd, to_offset: 0, len: t.len as usize },
    |s, _| Call::Exchange { one: s.fd, other: s.other },
    |s, _| Call::Exchange { one: s.other, other: s.fd },
    |_, _| Call::Snapshot,
    |_, _| Call::Shrink { size: BLOCK },
    |s, _| Call::Defragment { fd: s.fd },
    |s, _| Call::Defragment { fd: s.fd }.via(Route::Ext4Migrate),
    |s, _| Call::ChangeFlags { fd: s.fd, set: FLAG_COMPRESS, clear: 0 },
    |s, _| Call::ChangeFlags { fd: s.fd, set: FLAG_VERITY, clear: 0 }.via(Route::Verity),
    |s, _| Call::ChangeXflags { fd: s.fd, set: 0x8000, clear: 0 }.via(Route::Dax),
];

/// Cloning of the first half of a file to its second half.
fn within(fd: Fd) -> Call {
    Call::CloneRange { from: fd, from_offset: 0, to: fd, to_offset: SIZE / 2, len: SIZE / 2 }
}

impl Try {
    fn data(&self) -> Vec<u8> {
        vec![7; usize::try_from(self.len).unwrap_or_default()]
    }
}

impl Scene {
    /// The files before the call. `None` if there can be no such file.
    fn prepare(it: &Try, sealed: bool) -> Option<Self> {
        let fs = Fs::new(32);
        let open = |name: &str, flags| number(fs.call(Caller::Privileged, &opening(name, flags)));
        fs.call(Caller::Privileged, &Call::Mkfifo { name: "fifo".into() }).ok()?;
        let [file, other] = ["file", "other"].map(|name| open(name, OFlag::O_RDWR | OFlag::O_CREAT));
        let mut data = vec![7; SIZE as usize];
        let header = BLOCK as usize - b"SWAPSPACE2".len()..BLOCK as usize;
        data[header].copy_from_slice(b"SWAPSPACE2");
        let mut of_size = data.clone();
        of_size.truncate(it.size as usize);
        for (fd, data) in [(file?, of_size), (other?, data)] {
            fs.call(Caller::Privileged, &Call::Pwrite { fd, offset: 0, data }).ok()?;
        }
        let fd = match it.name {
            "device" => number(fs.call(Caller::Privileged, &Call::Special { socket: false }))?,
            "/" => open("/", OFlag::O_RDONLY)?,
            "fifo" => open("fifo", it.flags | OFlag::O_NONBLOCK)?,
            name => open(name, it.flags)?,
        };
        let scene = Self { made: if it.name == "file" { file? } else { fd }, fd, other: other?, fs };
        let seal: &[Act] = if sealed { &[Self::seal] } else { &[] };
        it.early.iter().chain(seal).chain(&it.late).try_for_each(|act| act(&scene).map(drop)).ok()?;
        Some(scene)
    }

    fn make(&self, call: &Call) -> Outcome {
        self.fs.call(Caller::Privileged, call)
    }

    fn seal(&self) -> Outcome {
        self.make(&Call::Fallocate { fd: self.made, mode: Mode::SEAL, offset: 0, len: SIZE })
    }

    fn flag(&self, flag: u32) -> Outcome {
        self.make(&Call::ChangeFlags { fd: self.made, set: flag, clear: 0 })
    }

    fn allocate(&self, mode: Mode) -> Outcome {
        self.make(&Call::Fallocate { fd: self.made, mode, offset: BLOCK, len: BLOCK })
    }

    fn map(&self) -> Outcome {
        self.make(&Call::Map { fd: self.made, len: SIZE as usize, shared: true, write: true })
    }

    fn register(&self) -> Outcome {
        let map = number(self.map()).ok_or(Errno::EFAULT)? as u64;
        let registered = self.make(&Call::Register { map });
        self.make(&Call::Unmap { map })?;
        registered
    }

    fn fallocate(&self, it: &Try, mode: Mode) -> Call {
        Call::Fallocate { fd: self.fd, mode: mode | it.bits, offset: it.offset, len: it.len }
    }

    fn write(&self, it: &Try) -> Call {
        Call::Pwrite { fd: self.fd, offset: it.offset, data: it.data() }
    }

    fn copy(&self, it: &Try, from: Fd, to: Fd) -> Call {
        Call::CopyRange { from, from_offset: 0, to, to_offset: it.offset, len: it.len as usize }
    }
}

fn opening(name: &str, flags: OFlag) -> Call {
    Call::Open { name: name.into(), flags, mode: 0o600 }
}

fn number(outcome: Outcome) -> Option<Fd> {
    match outcome {
        Ok(Reply::Number(number)) => Some(number as Fd),
        _ => None,
    }
}

/// The outcome of a call, and the rows that refuse it, each by itself. `None` if there can be no such file.
fn come(it: &Try, operation: Operation, sealed: bool) -> Option<(Call, Outcome, Vec<&'static Rule>)> {
    let scene = Scene::prepare(it, sealed)?;
    let call = operation(&scene, it);
    drop(reasons_met());
    let outcome = scene.fs.call(it.caller, &call);
    Some((call, outcome, reasons_met()))
}

/// The errors that come after that of this clause, because its text says so.
fn comes_before(clause: &Clause) -> Option<Errno> {
    let (_, later) = clause.text.split_once("reported before ")?;
    [("ETXTBSY", Errno::ETXTBSY), ("that of the missing capability", Errno::EPERM)]
        .into_iter()
        .find_map(|(words, errno)| later.starts_with(words).then_some(errno))
}

/// Whether the outcome is one that the reasons allow.
fn is_allowed(outcome: &Outcome, reasons: &[&Rule], ordinary: impl FnOnce(Errno) -> bool) -> bool {
    let Err(errno) = outcome else { return reasons.is_empty() };
    let binding = reasons.iter().find(|one| {
        let later = comes_before(one.clause).map(Answer::Refuse);
        reasons.iter().any(|other| later == Some(other.answer))
    });
    match binding {
        Some(first) => first.clause.allows(Some(*errno)),
        // The limit RLIMIT_FSIZE comes after the reasons (write.limit).
        None if *errno == Errno::EFBIG => reasons.is_empty() && ordinary(*errno),
        None => reasons.iter().any(|reason| reason.clause.allows(Some(*errno))) || ordinary(*errno),
    }
}

#[test]
fn either_of_two_reasons_is_reported() {
    let plain = Try {
        name: "file",
        flags: OFlag::O_RDWR,
        caller: Caller::Privileged,
        bits: Mode::ALLOCATE,
        offset: 0,
        len: SIZE,
        size: SIZE,
        early: Vec::new(),
        late: Vec::new(),
    };
    let mut met: Vec<&Rule> = Vec::new();
    let states = STATES.iter().flat_map(|operation| [(operation, false, false), (operation, true, false)]);
    let others = OPERATIONS.iter().map(|operation| (operation, true, true));
    for (operation, sealed, has_twin) in states.chain(others) {
        for (at, one) in CIRCUMSTANCES.iter().enumerate() {
            // The last round has one circumstance only.
            for other in CIRCUMSTANCES[at + 1..].iter().map(Some).chain([None]) {
                let mut it = plain.clone();
                one(&mut it);
                other.inspect(|add| add(&mut it));
                let Some((call, outcome, reasons)) = come(&it, *operation, sealed) else { continue };
                // A call that fails on any file may fail on a sealed one (rule.ordinary).
                let ordinary = |errno| {
                    let twin = if has_twin { come(&it, *operation, false) } else { None };
                    twin.is_some_and(|(_, outcome, _)| outcome == Err(errno))
                };
                let clauses: Vec<_> = reasons.iter().map(|reason| reason.clause.id).collect();
                assert!(is_allowed(&outcome, &reasons, ordinary), "{call} = {outcome:?}, the reasons are {clauses:?}");
                met.extend(reasons);
            }
        }
    }
    for rule in rows().filter(|rule| matches!(rule.answer, Answer::Refuse(_))) {
        assert!(met.iter().any(|one| ptr::eq(*one, rule)), "no call meets {}", rule.clause);
    }
}
