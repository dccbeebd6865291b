use super::{Case, case};
use crate::context::{SIZE, pattern};
use crate::verdict::Trouble;
use iomap_clauses::*;
use iomap_reference::{Call, Reply};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&READ_ANY, "calls", "pread, with and without O_DIRECT, returns the data", |t| {
        let file = t.sealed()?;
        let buffered = Call::Pread { fd: file.reader(), offset: file.at(0), len: SIZE as usize };
        let direct = Call::Pread { fd: file.direct(), offset: file.at(0), len: SIZE as usize };
        let seen = t.observe(&buffered)?.and(t.observe(&direct)?).and(file.holds(0, &pattern(1, SIZE)));
        let cached = t.setup(&buffered);
        Ok(seen.and(t.fact("the data is what was written", cached == Ok(Reply::Data(pattern(1, SIZE))))))
    }),
    case(&READ_ANY, "mapping", "a mapping for reading shows the data", |t| {
        let file = t.sealed()?;
        let (seen, map) = file.map(true, false)?;
        let Some(map) = map else { return Ok(seen) };
        match t.setup(&Call::Load { map, offset: file.at(0) as usize, len: SIZE as usize })? {
            Reply::Data(data) => Ok(seen.and(t.fact("the data is what was written", data == pattern(1, SIZE)))),
            other => Err(Trouble::Setup(format!("{other:?}"))),
        }
    }),
    case(&OPEN_WRITE, "read_write", "a sealed file can be opened for writing", |t| {
        let file = t.sealed()?;
        t.observe(&Call::Open { name: file.name(), flags: OFlag::O_RDWR, mode: 0 })
    }),
];
