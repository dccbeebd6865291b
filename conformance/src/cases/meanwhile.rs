//! Facts that hold as long as a file is in the state, checked after each kind of call that a program may make on it.
//!
//! Other clauses say whether the call is refused. If a call breaks the fact, the next calls get another file.

use crate::case::context::Context;
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::{Seen, Trouble};
use iomap_reference::{Call, Mode};
use nix::fcntl::OFlag;

/// The check after a call: its observations have a fault if the fact does not hold.
type Look<'a> = dyn Fn(&File, &str) -> Seen + 'a;

/// The calls. Those with the smallest changes come first. `other` is a file beside the file in the state.
#[rustfmt::skip] // One call, one line.
static KINDS: &[fn(&File, &File) -> Call] = &[
    |file, _| Call::Pwrite { fd: file.fd(), offset: file.at(0), data: vec![0; BLOCK_LEN as usize] },
    |file, _| Call::Fsync { fd: file.fd() },
    |file, _| Call::Chmod { name: file.name(), mode: 0o640 },
    |file, _| Call::Link { from: file.name(), to: format!("{}-linked", file.name().replace('/', "-")) },
    |file, _| Call::Ftruncate { fd: file.fd(), size: file.at(file.len()) },
    |file, _| allocate(file, Mode::ALLOCATE, 0, file.len()),
    |file, _| allocate(file, Mode::KEEP_SIZE, file.len(), file.len()),
    |file, _| allocate(file, Mode::UNSHARE_RANGE, 0, file.len()),
    |file, _| allocate(file, Mode::ZERO_RANGE, BLOCK_LEN, BLOCK_LEN),
    |file, _| allocate(file, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, BLOCK_LEN, BLOCK_LEN),
    |file, _| allocate(file, Mode::COLLAPSE_RANGE, BLOCK_LEN, BLOCK_LEN),
    |file, _| allocate(file, Mode::INSERT_RANGE, BLOCK_LEN, BLOCK_LEN),
    |file, other| Call::Clone { from: file.fd(), to: other.fd() },
    |file, other| Call::Dedupe { from: other.fd(), from_offset: 0, to: file.fd(), to_offset: 0, len: file.at(file.len()) as usize },
    |file, other| Call::CloneRange { from: other.fd(), from_offset: other.at(0), to: file.fd(), to_offset: file.at(0), len: BLOCK_LEN },
    |file, other| Call::CopyRange { from: other.fd(), from_offset: other.at(0), to: file.fd(), to_offset: file.at(0), len: BLOCK_LEN as usize },
    |file, _| Call::Defragment { fd: file.fd() },
    |file, other| Call::Exchange { one: file.fd(), other: other.fd() },
    |file, _| allocate(file, Mode::ALLOCATE, file.len(), file.len()),
    |file, _| Call::Ftruncate { fd: file.fd(), size: file.at(2 * file.len()) },
    |file, _| Call::Truncate { name: file.name(), size: file.at(2 * file.len()) },
    |file, _| Call::Pwrite { fd: file.fd(), offset: file.at(file.len() - 1), data: pattern(92, 2) },
    |file, _| Call::Pwrite { fd: file.fd(), offset: file.at(2 * file.len()), data: pattern(92, BLOCK_LEN) },
    |file, _| Call::Write { fd: file.append(), data: pattern(92, 10) },
    |file, other| Call::CopyRange { from: other.fd(), from_offset: other.at(0), to: file.fd(), to_offset: file.at(2 * file.len()), len: BLOCK_LEN as usize },
    |file, _| Call::Ftruncate { fd: file.fd(), size: file.at(file.len() / 2) },
    |file, _| Call::Open { name: file.name(), flags: OFlag::O_RDWR | OFlag::O_TRUNC, mode: 0 },
];

fn allocate(file: &File, mode: Mode, offset: i64, len: i64) -> Call {
    Call::Fallocate { fd: file.fd(), mode, offset: file.at(offset), len }
}

/// Makes each kind of call on a file that `enter` brings into the state, and makes the check after each.
pub(super) fn after_each_call<'a>(
    t: &'a Context<'a>,
    enter: &dyn Fn(&str) -> Result<File<'a>, Trouble>,
    look: &Look,
) -> Seen {
    let other = t.beside("beside", t.size())?;
    let mut file = enter("file-0")?;
    let mut seen = look(&file, "at the beginning")?;
    if seen.has_faults() {
        return Ok(seen);
    }
    for (number, kind) in KINDS.iter().enumerate() {
        let call = kind(&file, &other);
        // Not every file system has all of these calls.
        if t.reach(&call).is_err() {
            continue;
        }
        let came = t.observe(&call)?;
        let succeeded = super::seal::succeeded(&came);
        let after = look(&file, &format!("after {call}, which {}", if succeeded { "succeeds" } else { "fails" }))?;
        let changed = after.has_faults() || file.stat()?.size as i64 != file.at(t.size());
        seen = seen.and(after);
        if changed && number + 1 < KINDS.len() {
            file = enter(&format!("file-{}", number + 1))?;
        }
    }
    Ok(seen)
}
