use super::seal::{each, mapped};
use super::{Case, alone, case};
use crate::context::{BLOCK_LEN, Effect, SIZE};
use crate::mechanism::Mechanism;
use iomap_clauses::*;
use iomap_reference::{Call, Caller, Mode};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&UNSEAL_UNSEALED, "unsealed", "a sealed file can be unsealed", |t| t.sealed()?.leave()),
    case(&UNSEAL_ORDINARY, "ordinary", "after unsealing the file can be cut, grown and punched", |t| {
        let file = t.sealed()?;
        let seen = file.leave()?;
        let shrink = Call::Ftruncate { fd: file.fd(), size: file.at(2 * BLOCK_LEN) };
        let seen = seen.and(t.observe(&shrink)?);
        let grow = Call::Fallocate { fd: file.fd(), mode: Mode::ALLOCATE, offset: file.at(0), len: SIZE };
        Ok(seen
            .and(t.observe(&grow)?)
            .and(t.fact("the size is that of the last call", file.stat()?.size as i64 == file.at(SIZE))))
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
        let file = t.file("file", SIZE)?;
        file.act(&file.leave_call()?, Effect::Nothing)
    }),
    case(&UNSEAL_AGAIN, "again_mapped", "also while it is mapped", |t| {
        let file = t.file("file", SIZE)?;
        mapped(&file, true, true)?;
        file.act(&file.leave_call()?, Effect::Nothing)
    }),
    case(&UNSEAL_MAPPED, "mapped_shared", "a sealed file that is mapped shared stays sealed", |t| {
        let file = t.sealed()?;
        mapped(&file, true, false)?;
        file.refused(&file.leave_call()?)
    }),
    case(&UNSEAL_MAPPED, "mapped_private", "a sealed file that is mapped privately stays sealed", |t| {
        let file = t.sealed()?;
        mapped(&file, false, false)?;
        file.refused(&file.leave_call()?)
    }),
    case(&UNSEAL_RANGE, "range", "only the whole file can be unsealed", |t| {
        t.needs_seal("range")?;
        let file = t.sealed()?;
        let ranges = [(0, 0), (0, -1), (-1, SIZE), (BLOCK_LEN, SIZE), (0, SIZE - 1)];
        each(&ranges, |(offset, len)| file.fallocate(Mode::UNSEAL, *offset, *len))
    }),
    case(&UNSEAL_COMBINED, "combined", "the mode is not combined with another", |t| {
        t.needs_seal("mode")?;
        let file = t.sealed()?;
        each(&[Mode::KEEP_SIZE, Mode::ZERO_RANGE, Mode::UNSHARE_RANGE], |other| {
            file.fallocate(Mode::UNSEAL | *other, 0, SIZE)
        })
    }),
    case(&UNSEAL_READONLY, "readonly", "a descriptor for reading is refused", |t| {
        t.needs_seal("descriptor that is open for reading only")?;
        let file = t.sealed()?;
        file.refused(&Mechanism::Seal.leave(file.reader(), SIZE))
    }),
    alone(&UNSEAL_READONLY_MOUNT, "readonly_mount", "on a read-only mount there is no way to unseal", |t| {
        t.needs_seal("attempt to make: the descriptor has to be open for writing")?;
        let file = t.sealed()?;
        let name = file.name();
        file.close()?;
        t.read_only_mount()?;
        t.observe(&Call::Open { name, flags: OFlag::O_RDWR, mode: 0 })
    }),
    case(&UNSEAL_PRIVILEGE, "privilege", "without the capability unsealing is refused", |t| {
        let file = t.sealed()?;
        file.act_as(Caller::Unprivileged, &file.leave_call()?, Effect::Nothing)
    }),
];
