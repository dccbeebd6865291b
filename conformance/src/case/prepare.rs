//! The preparation of files, on any system.

use crate::mechanism::{BLOCK_LEN, Mechanism};
use crate::system::{Ready, System};
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::{Clause, Errno, OPEN_WRITE, SEAL_SEALED, UNSEAL_UNSEALED, WRITE_INSIDE};
use iomap_reference::{Call, Caller, Fd, Mode, Reply};
use nix::fcntl::OFlag;

/// Bytes that differ from block to block and from seed to seed.
pub(crate) fn pattern(seed: u8, len: i64) -> Vec<u8> {
    pattern_after(Vec::new(), seed, len)
}

/// These bytes with a pattern behind them.
pub(crate) fn pattern_after(mut bytes: Vec<u8>, seed: u8, len: i64) -> Vec<u8> {
    // The bytes of a block repeat a period. Every case makes patterns, so that they are copied, not computed.
    const PERIOD: usize = 251;
    static NUMBERS: [u8; 256 + PERIOD] = {
        let mut all = [0; 256 + PERIOD];
        let mut at = 0;
        while at < all.len() {
            all[at] = at as u8;
            at += 1;
        }
        all
    };
    let start = bytes.len();
    bytes.reserve_exact(len as usize);
    for block in 0..(len + BLOCK_LEN - 1) / BLOCK_LEN {
        let first = usize::from(seed.wrapping_add(block as u8).wrapping_mul(31));
        let period = &NUMBERS[first..first + PERIOD];
        let end = start + ((block + 1) * BLOCK_LEN).min(len) as usize;
        while bytes.len() < end {
            let from = (bytes.len() - start) % PERIOD;
            let take = (PERIOD - from).min(end - bytes.len());
            bytes.extend_from_slice(&period[from..from + take]);
        }
    }
    bytes
}

pub(super) fn setup(system: &dyn System, call: &Call) -> Result<Reply, Trouble> {
    system.reach(call)?;
    system.call(Caller::Privileged, call).map_err(|errno| {
        let why = format!("{call} = {}", words::failure(errno));
        match (call, errno) {
            (Call::Pin { .. }, Errno::EFBIG) => Trouble::NotOffered("f2fs pins a file only while it is empty".into()),
            _ => match owed(call, errno) {
                Some(clause) => Trouble::Refused(clause.id.into(), why),
                None => Trouble::Setup(why),
            },
        }
    })
}

/// The clause that a refusal breaks while a case is prepared: preparations make such calls only where they succeed.
fn owed(call: &Call, errno: Errno) -> Option<&'static Clause> {
    let busy = errno == Errno::ETXTBSY;
    match call {
        Call::Fallocate { mode: Mode::SEAL, .. } if CONTRACT.contains(&errno) => Some(&SEAL_SEALED),
        // A hold of the situation may end late (hold.late).
        Call::Fallocate { mode: Mode::UNSEAL, .. } if CONTRACT.contains(&errno) && errno != Errno::EBUSY => {
            Some(&UNSEAL_UNSEALED)
        }
        Call::Open { flags, .. } if busy && !flags.contains(OFlag::O_TRUNC) => Some(&OPEN_WRITE),
        Call::Pwrite { .. } if busy => Some(&WRITE_INSIDE),
        _ => None,
    }
}

/// The errors with which the specification lets sealing and unsealing fail.
const CONTRACT: [Errno; 6] =
    [Errno::EBADF, Errno::EBUSY, Errno::EINVAL, Errno::EOPNOTSUPP, Errno::EPERM, Errno::ETXTBSY];

pub(super) fn open(system: &dyn System, name: &str, flags: OFlag) -> Result<Fd, Trouble> {
    match setup(system, &Call::Open { name: name.into(), flags, mode: 0o600 })? {
        Reply::Number(fd) => Ok(fd as Fd),
        other => Err(Trouble::Setup(format!("open = {}", words::reply(&other)))),
    }
}

/// Makes an empty file, passes it to `prepare`, and opens all descriptors that cases use.
pub(super) fn make(
    system: &dyn System,
    mechanism: Mechanism,
    name: &str,
    prepare: impl FnOnce(Fd) -> Result<(), Trouble>,
) -> Result<Ready, Trouble> {
    make_by(system, mechanism, name, OFlag::O_CREAT | OFlag::O_EXCL, prepare)
}

/// The same with these flags of open(2). With O_TMPFILE, `prepare` gives the file its name.
pub(super) fn make_by(
    system: &dyn System,
    mechanism: Mechanism,
    name: &str,
    how: OFlag,
    prepare: impl FnOnce(Fd) -> Result<(), Trouble>,
) -> Result<Ready, Trouble> {
    let made_as = if how.contains(OFlag::O_TMPFILE) { "." } else { name };
    let fd = open(system, made_as, OFlag::O_RDWR | how)?;
    // btrfs needs this mark on a swap file before its first byte; other file systems do not have the attribute.
    if mechanism == Mechanism::Swapfile {
        let mark = Call::ChangeFlags { fd, set: iomap_reference::FLAG_NOCOW, clear: 0 };
        let _ = system.call(Caller::Privileged, &mark);
    }
    prepare(fd)?;
    others(system, name, fd, OFlag::O_RDWR)
}

/// Opens the other descriptors that cases use, with the same access.
pub(super) fn others(system: &dyn System, name: &str, fd: Fd, access: OFlag) -> Result<Ready, Trouble> {
    Ok(Ready {
        name: name.into(),
        fd,
        append: open(system, name, access | OFlag::O_APPEND)?,
        direct: open(system, name, access | OFlag::O_DIRECT)?,
        reader: open(system, name, OFlag::O_RDONLY)?,
    })
}

/// Makes a file of `size` bytes after this head, all written and on storage.
pub(crate) fn make_written(
    system: &dyn System,
    mechanism: Mechanism,
    name: &str,
    head: &[u8],
    size: i64,
) -> Result<Ready, Trouble> {
    make(system, mechanism, name, |fd| {
        let data = pattern_after(head.to_vec(), 1, size);
        if !data.is_empty() {
            setup(system, &Call::Pwrite { fd, offset: 0, data })?;
        }
        setup(system, &Call::Fsync { fd }).map(|_| ())
    })
}

/// Makes a file that was pinned while empty, as f2fs requires since Linux 6.9. fallocate(2) allocates its storage in
/// whole sections, and later writes stay there.
pub(super) fn make_pinned(system: &dyn System, name: &str, size: i64) -> Result<Ready, Trouble> {
    make(system, Mechanism::F2fsPin, name, |fd| {
        let allocate = Call::Fallocate { fd, mode: Mode::ALLOCATE, offset: 0, len: size };
        let write = Call::Pwrite { fd, offset: 0, data: pattern(1, size) };
        [Call::Pin { fd, on: true }, allocate, write, Call::Fsync { fd }]
            .iter()
            .try_for_each(|call| setup(system, call).map(|_| ()))
    })
}
