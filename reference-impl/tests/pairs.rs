//! Two reasons to refuse one call at once (rule.either): the error is that of either clause, and of the first one where
//! a clause says that it is reported before the other.

use iomap_clauses::*;
use iomap_reference::{Call, Caller, FLAG_APPEND, FLAG_IMMUTABLE, Fd, Fs, Mode, Outcome, Reply};
use nix::fcntl::OFlag;

const SIZE: i64 = 16384;

/// The circumstances of a call, beside its own arguments.
#[derive(Clone)]
struct Try {
    flags: OFlag,
    caller: Caller,
    /// The file is sealed before the call.
    sealed: bool,
    mode: Mode,
    offset: i64,
    len: i64,
    /// The actions on the file before the call.
    before: Vec<fn(&Fs, Fd) -> Outcome>,
}

type Reason = (&'static Clause, fn(&mut Try));

const SEALING: &[Reason] = &[
    (&SEAL_LENGTH, |t| t.len = 0),
    (&SEAL_COMBINED, |t| t.mode = t.mode | Mode::KEEP_SIZE),
    (&SEAL_READONLY, |t| t.flags = OFlag::O_RDONLY),
    (&SEAL_PRIVILEGE, |t| t.caller = Caller::Unprivileged),
    (&SEAL_APPEND_ONLY, |t| t.before.push(|fs, fd| flag(fs, fd, FLAG_APPEND))),
    (&SEAL_IMMUTABLE, |t| t.before.push(|fs, fd| flag(fs, fd, FLAG_IMMUTABLE))),
    (&SEAL_OFFSET, |t| t.offset = 4096),
    (&SEAL_SHORT, |t| t.len = SIZE - 1),
    (&SEAL_HOLE, |t| t.before.insert(0, |fs, fd| allocate(fs, fd, Mode::PUNCH_HOLE | Mode::KEEP_SIZE))),
    (&SEAL_UNWRITTEN, |t| t.before.insert(0, |fs, fd| allocate(fs, fd, Mode::ZERO_RANGE))),
    (&SEAL_MAPPED, |t| t.before.push(map)),
    (&HOLD_REGISTRATION, |t| t.before.push(register)),
];

const UNSEALING: &[Reason] = &[
    (&UNSEAL_RANGE, |t| t.offset = 4096),
    (&UNSEAL_COMBINED, |t| t.mode = t.mode | Mode::KEEP_SIZE),
    (&UNSEAL_READONLY, |t| t.flags = OFlag::O_RDONLY),
    (&UNSEAL_PRIVILEGE, |t| t.caller = Caller::Unprivileged),
    (&UNSEAL_APPEND_ONLY, |t| t.before.push(|fs, fd| flag(fs, fd, FLAG_APPEND))),
    (&UNSEAL_IMMUTABLE, |t| t.before.push(|fs, fd| flag(fs, fd, FLAG_IMMUTABLE))),
    (&UNSEAL_MAPPED, |t| t.before.push(map)),
    (&HOLD_REGISTRATION, |t| t.before.push(register)),
];

const ALLOCATING: &[Reason] = &[
    (&FALLOCATE_ARGUMENT, |t| t.len = 0),
    (&FALLOCATE_UNKNOWN, |t| t.mode = t.mode | Mode(1 << 20)),
    (&FALLOCATE_READONLY, |t| t.flags = OFlag::O_RDONLY),
    (&FALLOCATE_PUNCH, |t| t.mode = t.mode | Mode::PUNCH_HOLE | Mode::KEEP_SIZE),
    (&FALLOCATE_ZERO, |t| t.mode = t.mode | Mode::ZERO_RANGE),
    (&FALLOCATE_GROW, |t| t.offset = SIZE),
];

/// The clauses whose errors are reported before those that come after them in the lists, or before some of these.
const BEFORE: &[(&Clause, &[&Clause])] = &[
    (&SEAL_READONLY, &[&SEAL_PRIVILEGE]),
    (&UNSEAL_READONLY, &[&UNSEAL_PRIVILEGE]),
    (&FALLOCATE_ARGUMENT, &[&FALLOCATE_PUNCH, &FALLOCATE_ZERO, &FALLOCATE_GROW]),
    (&FALLOCATE_UNKNOWN, &[&FALLOCATE_PUNCH, &FALLOCATE_ZERO, &FALLOCATE_GROW]),
    (&FALLOCATE_READONLY, &[&FALLOCATE_PUNCH, &FALLOCATE_ZERO, &FALLOCATE_GROW]),
];

fn flag(fs: &Fs, fd: Fd, flag: u32) -> Outcome {
    fs.call(Caller::Privileged, &Call::ChangeFlags { fd, set: flag, clear: 0 })
}

fn allocate(fs: &Fs, fd: Fd, mode: Mode) -> Outcome {
    fs.call(Caller::Privileged, &Call::Fallocate { fd, mode, offset: 4096, len: 4096 })
}

fn map(fs: &Fs, fd: Fd) -> Outcome {
    fs.call(Caller::Privileged, &Call::Map { fd, len: SIZE as usize, shared: true, write: true })
}

fn register(fs: &Fs, fd: Fd) -> Outcome {
    let Reply::Number(map) = map(fs, fd)? else { panic!("a mapping is a number") };
    let registered = fs.call(Caller::Privileged, &Call::Register { map: map as u64 });
    fs.call(Caller::Privileged, &Call::Unmap { map: map as u64 })?;
    registered
}

fn open(fs: &Fs, flags: OFlag) -> Fd {
    let call = Call::Open { name: "file".into(), flags: flags | OFlag::O_CREAT, mode: 0o600 };
    let Ok(Reply::Number(fd)) = fs.call(Caller::Privileged, &call) else { panic!("the file can be opened") };
    fd as Fd
}

fn come(it: &Try) -> Outcome {
    let fs = Fs::new(64);
    let made = open(&fs, OFlag::O_RDWR);
    let made_and_asked = |call: &Call| fs.call(Caller::Privileged, call).expect("the preparation succeeds");
    made_and_asked(&Call::Pwrite { fd: made, offset: 0, data: vec![7; SIZE as usize] });
    let fd = open(&fs, it.flags);
    if it.sealed {
        made_and_asked(&Call::Fallocate { fd: made, mode: Mode::SEAL, offset: 0, len: SIZE });
    }
    for act in &it.before {
        act(&fs, made).expect("the preparation succeeds");
    }
    fs.call(it.caller, &Call::Fallocate { fd, mode: it.mode, offset: it.offset, len: it.len })
}

#[test]
fn either_of_two_reasons_is_reported() {
    let groups = [(SEALING, Mode::SEAL, false), (UNSEALING, Mode::UNSEAL, true), (ALLOCATING, Mode::ALLOCATE, true)];
    for (reasons, mode, sealed) in groups {
        let (flags, caller, before) = (OFlag::O_RDWR, Caller::Privileged, Vec::new());
        let plain = Try { flags, caller, sealed, mode, offset: 0, len: SIZE, before };
        assert!(come(&plain).is_ok(), "{mode}");
        for (at, (one, add_one)) in reasons.iter().enumerate() {
            let mut with_one = plain.clone();
            add_one(&mut with_one);
            let came = come(&with_one).expect_err("it is refused");
            assert!(one.allows(Some(came)), "{one}: {came}");
            for (other, add_other) in &reasons[at + 1..] {
                let mut with_both = with_one.clone();
                add_other(&mut with_both);
                let came = come(&with_both).expect_err("it is refused");
                let binding = BEFORE.iter().any(|(first, later)| first == one && later.contains(other));
                let allowed = one.allows(Some(came)) || (!binding && other.allows(Some(came)));
                assert!(allowed, "{one} and {other}: {came}");
            }
        }
    }
}
