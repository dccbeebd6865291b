use super::seal::succeeded;
use super::{Case, case};
use crate::context::SIZE;
use crate::verdict::Trouble;
use iomap_clauses::*;
use iomap_reference::Call;
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&HOLD_REGISTER, "register", "a mapping of a sealed file can be registered for a device", |t| {
        let file = t.sealed()?;
        let (seen, _) = file.register()?;
        Ok(seen)
    }),
    case(&HOLD_REFUSAL, "refusal", "a refused registration is refused by name", |t| {
        let file = t.sealed()?;
        let (seen, _) = file.register()?;
        Ok(seen)
    }),
    case(&HOLD_REGISTRATION, "unseal", "a registered file stays sealed, also without the mapping", |t| {
        let file = t.sealed()?;
        registered(file.register()?.1)?;
        file.refused(&file.leave_call()?)
    }),
    case(&HOLD_REGISTRATION, "seal", "a registered file cannot be sealed", |t| {
        let file = t.file("file", SIZE)?;
        registered(file.register()?.1)?;
        file.refused(&file.enter_call()?)
    }),
    case(&HOLD_CLOSE, "open_elsewhere", "an open descriptor does not keep a file sealed", |t| {
        let file = t.sealed()?;
        t.open(&file.name(), OFlag::O_RDONLY)?;
        let seen = t.observe(&file.leave_call()?)?;
        if !succeeded(&seen) {
            return Ok(seen);
        }
        let shrink = Call::Ftruncate { fd: file.fd(), size: file.at(SIZE / 2) };
        Ok(seen.and(t.fact("the file can be cut", t.attempt(&shrink)?.is_ok())))
    }),
];

fn registered(registration: Option<u64>) -> Result<(), Trouble> {
    registration.map(|_| ()).ok_or_else(|| Trouble::NotOffered("the file cannot be registered".into()))
}
