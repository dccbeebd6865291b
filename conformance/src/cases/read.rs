use super::seal::each;
use crate::case::definition::{Case, case};
use crate::case::file::Effect;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::verdict::Trouble;
use crate::words;
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Reply, Whence};
use nix::fcntl::OFlag;

pub(super) static CASES: &[Case] = &[
    case(&READ_ANY, "calls", "pread with and without O_DIRECT returns the data of a sealed file", |t| {
        let file = t.sealed()?;
        let buffered = Call::Pread { fd: file.reader(), offset: file.at(0), len: t.size() as usize };
        let direct = Call::Pread { fd: file.direct(), offset: file.at(0), len: t.whole() as usize };
        let seen = t.observe(&buffered)?.and(t.observe(&direct)?).and(file.holds(0, &pattern(1, t.size())));
        let cached = t.setup(&buffered);
        Ok(seen.and(t.fact("the data is what was written", cached == Ok(Reply::Data(pattern(1, t.size()))))))
    }),
    case(&READ_ANY, "parts", "reads of parts of blocks, and across the end, return the data up to the end", |t| {
        let file = t.sealed()?;
        let data = pattern(1, t.size());
        let parts = [
            (1, 10),
            (BLOCK_LEN - 5, 10),
            (100, 2 * BLOCK_LEN),
            (t.size() - 5, 10),
            (t.size(), 10),
            (2 * t.size(), 10),
        ];
        each(&parts, |(offset, len)| {
            let (from, to) = ((*offset).min(t.size()) as usize, (offset + len).min(t.size()) as usize);
            let found = t.attempt(&Call::Pread { fd: file.reader(), offset: file.at(*offset), len: *len as usize })?;
            Ok(t.fact(
                &format!("{len} bytes from {offset} on are read"),
                found == Ok(Reply::Data(data[from..to].into())),
            ))
        })
    }),
    case(&READ_ANY, "sequence", "read(2) continues at the offset where the last read ended", |t| {
        let file = t.sealed()?;
        let data = pattern(1, t.size());
        t.setup(&Call::Seek { fd: file.fd(), offset: file.at(10), whence: Whence::Set })?;
        let first = t.attempt(&Call::Read { fd: file.fd(), len: BLOCK })?;
        let second = t.attempt(&Call::Read { fd: file.fd(), len: 2 * t.size() as usize })?;
        let both = (first, second)
            == (Ok(Reply::Data(data[10..][..BLOCK].into())), Ok(Reply::Data(data[10 + BLOCK..].into())));
        Ok(t.fact("each has its part, the last one up to the end", both))
    }),
    case(&READ_ANY, "mapping", "a read-only mapping of a sealed file shows the data", |t| {
        let file = t.sealed()?;
        let (seen, map) = file.map(true, false)?;
        let Some(map) = map else { return Ok(seen) };
        match t.setup(&Call::Load { map, offset: file.at(0) as usize, len: t.size() as usize })? {
            Reply::Data(data) => Ok(seen.and(t.fact("the data is what was written", data == pattern(1, t.size())))),
            other => Err(Trouble::Setup(format!("it returns {}", words::reply(&other)))),
        }
    }),
    case(&READ_ANY, "private", "a store to a private mapping does not change the file", |t| {
        let file = t.sealed()?;
        // A descriptor for reading is enough.
        let call = Call::Map { fd: file.reader(), len: file.at(t.size()) as usize, shared: false, write: true };
        let (seen, map) = file.map_by(&call)?;
        let Some(map) = map else { return Ok(seen) };
        let (offset, data) = (file.at(BLOCK_LEN) as usize, pattern(26, 2 * BLOCK_LEN));
        let seen = seen.and(file.act(&Call::Store { map, offset, data: data.clone() }, Effect::Nothing)?);
        let load = t.attempt(&Call::Load { map, offset, len: data.len() })?;
        let seen = seen.and(t.fact("the mapping shows the stored data", load == Ok(Reply::Data(data))));
        Ok(seen.and(file.holds(0, &pattern(1, t.size()))))
    }),
    case(&OPEN_WRITE, "read_write", "a sealed file can be opened for writing", |t| {
        let file = t.sealed()?;
        t.observe(&Call::Open { name: file.name(), flags: OFlag::O_RDWR, mode: 0 })
    }),
];
