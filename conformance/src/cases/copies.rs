use crate::case::definition::{Case, case};
use iomap_clauses::*;
use iomap_reference::Call;
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&COPY_UNSEALED, "copy", "a copy of a sealed file can be shortened", |t| {
        let file = t.sealed()?;
        let to = t.open("copy", OFlag::O_RDWR | OFlag::O_CREAT)?;
        let len = t.size() as usize;
        let copy = Call::CopyRange { from: file.reader(), from_offset: file.at(0), to, to_offset: 0, len };
        t.given(&copy, "no copy")?;
        t.observe(&Call::Ftruncate { fd: to, size: t.size() / 2 })
    }),
    case(&COPY_INHERIT, "new_file", "a new file beside a sealed one can be written and shortened", |t| {
        t.sealed()?;
        let fd = t.open("new", OFlag::O_RDWR | OFlag::O_CREAT)?;
        let seen = t.observe(&Call::Pwrite { fd, offset: 0, data: vec![1; 10] })?;
        Ok(seen.and(t.observe(&Call::Ftruncate { fd, size: 5 })?))
    }),
];
