use super::holds::{pinned, registered};
use super::prompt;
use super::refuse::{at_once, leased};
use super::seal::each;
use crate::case::context::Context;
use crate::case::definition::{Case, alone, case, limited};
use crate::case::file::{Effect, File};
use crate::mechanism::{BLOCK_LEN, SIZE};
use crate::verdict::Trouble;
use iomap_clauses::*;
use iomap_reference::Call;
use nix::fcntl::OFlag;

fn same_size(file: &File) -> Result<Vec<Call>, Trouble> {
    Ok(vec![Call::Ftruncate { fd: file.fd(), size: file.stat()?.size as i64 }])
}

/// The result of a truncation to the own size, and whether it changes the modification and the status change time.
fn changed_times<T>(
    t: &Context,
    file: &File,
    make: impl FnOnce(&Call) -> Result<T, Trouble>,
) -> Result<(T, [bool; 2]), Trouble> {
    let before = file.stat()?;
    t.tick(&before);
    let made = make(&Call::Ftruncate { fd: file.fd(), size: before.size as i64 })?;
    let after = file.stat()?;
    Ok((made, [after.mtime != before.mtime, after.ctime != before.ctime]))
}

pub(super) static CASES: &[Case] = &[
    case(&TRUNCATE_SHRINK, "shrink", "shrinking a sealed file is refused and changes nothing", |t| {
        let file = t.sealed()?;
        let smaller = [2 * BLOCK_LEN, t.size() - 1, t.size() - 2, 1].map(|size| size.clamp(0, t.size() - 1));
        each(&smaller, |size| file.truncate(*size))
    }),
    case(&TRUNCATE_EMPTY, "empty", "truncating a sealed file to size 0 is refused", |t| {
        let file = t.sealed()?;
        file.refused(&Call::Ftruncate { fd: file.fd(), size: 0 })
    }),
    case(&TRUNCATE_SAME_SIZE, "same_size", "truncating a sealed file to its own size succeeds", |t| {
        let file = t.sealed()?;
        file.act(&Call::Ftruncate { fd: file.fd(), size: file.at(t.size()) }, Effect::Times)
    }),
    case(&TRUNCATE_SAME_SIZE, "same_size_by_name", "truncating a sealed file by name to its own size succeeds", |t| {
        let file = t.sealed()?;
        file.act(&Call::Truncate { name: file.name(), size: file.at(t.size()) }, Effect::Times)
    }),
    case(
        &TRUNCATE_SAME_SIZE,
        "same_size_times",
        "truncating a sealed file to its own size changes the times that it changes for any other file",
        |t| {
            let ordinary = t.beside("ordinary", t.size())?;
            let file = t.sealed()?;
            let given = |call: &Call| t.given(call, "not for an ordinary file either");
            let ((), expected) = changed_times(t, &ordinary, given)?;
            let (seen, changed) = changed_times(t, &file, |call| t.observe(call))?;
            Ok(seen.and(t.fact("the same times change as for a file that is not sealed", changed == expected)))
        },
    ),
    case(
        &TRUNCATE_SAME_PROMPT,
        "same_mapped",
        "truncation to the own size does not wait for a process that has the file mapped",
        |t| prompt::while_held(t, same_size, |file| file.map(true, true).map(drop)),
    ),
    case(&TRUNCATE_SAME_PROMPT, "same_registered", "truncation to the own size does not wait for a device", |t| {
        prompt::while_held(t, same_size, |file| registered(file, None).map(drop))
    }),
    case(
        &TRUNCATE_SAME_PROMPT,
        "same_pinned",
        "truncation to the own size does not wait for a device that has a mapping",
        |t| prompt::while_held(t, same_size, pinned),
    ),
    case(&TRUNCATE_SAME_PROMPT, "same_leased", "truncation to the own size does not wait for a lease", |t| {
        t.needs_seal("file that is opened for writing, with a lease, in the state")?;
        let file = t.sealed()?;
        let (name, size) = (file.name(), file.at(t.size()));
        file.close()?;
        let holder = leased(t, &name)?;
        let calls = [Call::Ftruncate { fd: holder, size }, Call::Truncate { name, size }];
        each(&calls, |call| at_once(t, call, Ok(())))
    }),
    alone(&TRUNCATE_SAME_PROMPT, "same_full", "truncation to the own size works on a full file system", |t| {
        prompt::when_full(t, same_size)
    }),
    limited(&TRUNCATE_SAME_PROMPT, "quota_same", "truncation to the own size works at the limit of a quota", |t| {
        prompt::at_limit(t, same_size)
    }),
    case(
        &TRUNCATE_SAME_PROMPT,
        "same_tail",
        "truncation to the own size leaves bytes of an agent behind the end",
        |t| prompt::beside_an_agent(t, same_size),
    ),
    case(&TRUNCATE_GROW, "grow", "growing a sealed file is refused", |t| {
        let file = t.sealed()?;
        each(&[t.size() + 1, t.size() + 2, 2 * t.size(), t.size() + 200 * SIZE], |size| file.truncate(*size))
    }),
    case(&TRUNCATE_PATH, "by_name", "truncate by name on a sealed file is refused for every other size", |t| {
        let file = t.sealed()?;
        let size = t.size();
        let mut others = vec![0, 1, BLOCK_LEN, size - 2, size - 1, size + 1, size + 2, 2 * size];
        others.retain(|other| *other >= 0 && *other != size);
        each(&others, |size| file.refused(&Call::Truncate { name: file.name(), size: file.at(*size) }))
    }),
    case(&TRUNCATE_OPEN, "o_trunc", "open of a sealed file with O_TRUNC is refused and leaves the data", |t| {
        let file = t.sealed()?;
        let by = [OFlag::O_WRONLY, OFlag::O_RDWR, OFlag::O_RDONLY, OFlag::O_RDWR | OFlag::O_CREAT];
        each(&by, |flags| file.refused(&Call::Open { name: file.name(), flags: *flags | OFlag::O_TRUNC, mode: 0o600 }))
    }),
    case(&TRUNCATE_ORDER, "order", "truncation with a bad length or descriptor reports that before the seal", |t| {
        let file = t.sealed()?;
        let negative = file.refused(&Call::Ftruncate { fd: file.fd(), size: -1 })?;
        Ok(negative.and(file.refused(&Call::Ftruncate { fd: file.reader(), size: file.at(0) })?))
    }),
];
