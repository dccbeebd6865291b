use super::meanwhile;
use crate::case::context::Context;
use crate::case::definition::{Case, case};
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::BLOCK_LEN;
use crate::mechanism::Mechanism;
use crate::verdict::{Observed, Trouble};
use iomap_clauses::*;
use iomap_reference::{BLOCK, Call, Mode, Reply, Route};
use nix::fcntl::OFlag;
use std::cell::{Cell, RefCell};

pub(super) static CASES: &[Case] = &[
    case(&AGENT_SEES, "overwrite", "an agent reads data that a later write stored", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let data = pattern(30, t.size());
        let write = Call::Pwrite { fd: file.fd(), offset: file.at(0), data: data.clone() };
        t.given(&write, "no write to look for")?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        Ok(t.fact("the agent reads what was written", agent.read(file.at(0), t.size() as usize)? == data))
    }),
    case(
        &AGENT_SEES,
        "meanwhile",
        "an agent reads the data of the next write after any other call, refused or not",
        |t| {
            let agent = RefCell::new(None);
            let enter = |name: &str| {
                let file = t.sealed_as(name)?;
                agent.replace(Some(file.agent()?));
                Ok(file)
            };
            let number = Cell::new(100);
            meanwhile::after_each_call(t, &enter, &|file, when| {
                number.set(number.get() + 1);
                // A part that was cut off has no place any more.
                let len = (file.stat()?.size as i64 - file.at(0)).clamp(0, t.size()) / BLOCK_LEN * BLOCK_LEN;
                if len == 0 {
                    return Ok(Observed::default());
                }
                let data = pattern(number.get(), len);
                let write = Call::Pwrite { fd: file.fd(), offset: file.at(0), data: data.clone() };
                t.given(&write, "no write to look for")?;
                t.setup(&Call::Fsync { fd: file.fd() })?;
                let found = match &*agent.borrow() {
                    Some(agent) => agent.read(file.at(0), len as usize)? == data,
                    None => false,
                };
                Ok(t.fact(&format!("the agent reads the data written {when}"), found))
            })
        },
    ),
    case(
        &AGENT_WRITES,
        "swapped",
        "memory that is swapped out lies in the storage of the file, and comes back unchanged",
        |t| {
            // The number of pages that the header offers.
            const PAGES: i64 = 64;
            t.reach(&Call::SwapOut { fd: -1, data: Vec::new() })?;
            let ready = t.make("file", |fd| {
                let mut data = [Mechanism::Swapfile.header(), pattern(1, PAGES * BLOCK_LEN)].concat();
                data[1028..1032].copy_from_slice(&(PAGES as u32).to_ne_bytes());
                t.setup(&Call::Pwrite { fd, offset: 0, data })?;
                t.setup(&Call::Fsync { fd }).map(|_| ())
            })?;
            let file = File::from_ready(t, ready);
            if t.mechanism() != Mechanism::Swapfile {
                t.setup(&file.enter_call()?)?;
            }
            let fd = file.fd();
            t.given(&Call::Swapon { fd }.via(Route::Preferred), "no swap")?;
            // Each page has other data.
            let pages: Vec<Vec<u8>> =
                (0..PAGES as u8 / 2).map(|page| [vec![page; 8], pattern(page, BLOCK_LEN - 8)].concat()).collect();
            let data = pages.concat();
            t.given(&Call::SwapOut { fd, data: data.clone() }, "nothing is swapped out")?;
            // The kernel chooses the place of each page. It writes the pages one after another.
            let arrived = t.eventually(|| {
                let (offset, len) = (BLOCK_LEN, (PAGES * BLOCK_LEN) as usize);
                let Reply::Data(storage) = t.setup(&Call::Pread { fd: file.direct(), offset, len })? else {
                    return Ok(false);
                };
                Ok(pages.iter().any(|page| storage.chunks(BLOCK).any(|block| block == page)))
            })?;
            if !arrived && t.mechanism() == Mechanism::Swapfile {
                // For instance zswap.
                return Err(Trouble::NotOffered("the kernel keeps swapped-out memory in another place".into()));
            }
            let back = t.attempt(&Call::SwapIn { fd, len: data.len() })?;
            let seen = t.fact("read(2) with O_DIRECT returns the memory that was swapped out", arrived);
            let seen = seen.and(t.fact("the memory has its former contents", back == Ok(Reply::Data(data))));
            t.setup(&Call::Swapoff { fd })?;
            Ok(seen)
        },
    ),
    case(&AGENT_WRITES, "after_refusal", "read returns an agent's data, even after a refused call", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        let mode = Mode::ZERO_RANGE | Mode::KEEP_SIZE;
        let zero = Call::Fallocate { fd: file.fd(), mode, offset: file.at(0), len: BLOCK_LEN };
        let _ = t.observe(&zero)?;
        let data = pattern(31, t.size());
        agent.write(file.at(0), &data)?;
        Ok(file.holds(0, &data))
    }),
    case(&AGENT_WRITES, "after_rename", "read returns an agent's data, even after a rename", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        // Another clause says whether the file can be renamed.
        let _ = t.observe(&Call::Rename { from: file.name(), to: "renamed".into(), exchange: false })?;
        let data = pattern(32, t.size());
        agent.write(file.at(0), &data)?;
        Ok(file.holds(0, &data))
    }),
    case(&AGENT_NEIGHBOURS, "churn", "an agent's data do not reach a file that is made later", |t| {
        let file = t.sealed()?;
        let agent = file.agent()?;
        t.setup(&Call::Fsync { fd: file.fd() })?;
        let other = t.churn()?;
        agent.write(file.at(0), &pattern(33, t.size()))?;
        t.churn_intact(&other)
    }),
    case(
        &AGENT_WRITES,
        "writes_in_storm",
        "read returns an agent's data while other files are made, shared and removed",
        |t| {
            let file = t.sealed()?;
            let agent = file.agent()?;
            (0..STORMS).try_fold(Observed::default(), |seen, number| {
                storm(t, number)?;
                let data = pattern(34 + number, t.size());
                agent.write(file.at(0), &data)?;
                Ok(seen.and(file.holds(0, &data)))
            })
        },
    ),
    case(
        &AGENT_SEES,
        "sees_in_storm",
        "an agent reads earlier writes while other files are made, shared and removed",
        |t| {
            let file = t.sealed()?;
            let agent = file.agent()?;
            (0..STORMS).try_fold(Observed::default(), |seen, number| {
                let data = pattern(38 + number, t.size());
                let write = Call::Pwrite { fd: file.fd(), offset: file.at(0), data: data.clone() };
                t.given(&write, "no write to look for")?;
                t.setup(&Call::Fsync { fd: file.fd() })?;
                storm(t, number)?;
                let found = agent.read(file.at(0), t.size() as usize)? == data;
                Ok(seen.and(t.fact("the agent reads what was written", found)))
            })
        },
    ),
    case(
        &AGENT_NEIGHBOURS,
        "neighbours_in_storm",
        "files that are made while an agent writes have none of the agent's data",
        |t| {
            let file = t.sealed()?;
            let agent = file.agent()?;
            (0..STORMS).try_fold(Observed::default(), |seen, number| {
                let neighbours = storm(t, number)?;
                agent.write(file.at(0), &pattern(42 + number, t.size()))?;
                neighbours.into_iter().try_fold(seen, |seen, (name, data)| {
                    let fd = t.open(&name, OFlag::O_RDONLY | OFlag::O_DIRECT)?;
                    let read = t.attempt(&Call::Pread { fd, offset: 0, len: data.len() })?;
                    Ok(seen.and(t.fact("a neighbour has its own data", read == Ok(Reply::Data(data)))))
                })
            })
        },
    ),
];

/// The number of rounds in which files come and go beside the sealed file.
const STORMS: u8 = 2;

/// Makes files, shares and moves them if that is possible, and removes every second one: its storage is free to be used
/// again. Returns the files that are left.
fn storm(t: &Context, number: u8) -> Result<Vec<(String, Vec<u8>)>, Trouble> {
    let mut left = Vec::new();
    for neighbour in 0..4 {
        let (name, copy) = (format!("neighbour-{number}-{neighbour}"), format!("copy-{number}-{neighbour}"));
        let data = pattern(90 + 4 * number + neighbour, 4 * BLOCK_LEN);
        let fd = t.open(&name, OFlag::O_RDWR | OFlag::O_CREAT)?;
        t.setup(&Call::Pwrite { fd, offset: 0, data: data.clone() })?;
        t.setup(&Call::Fsync { fd })?;
        let to = t.open(&copy, OFlag::O_RDWR | OFlag::O_CREAT)?;
        // Not every file system has these calls.
        let _ = t.attempt(&Call::Clone { from: fd, to });
        let _ = t.attempt(&Call::Defragment { fd });
        if neighbour % 2 == 0 {
            t.setup(&Call::Unlink { name })?;
        } else {
            left.push((name, data));
        }
        t.setup(&Call::Close { fd })?;
    }
    Ok(left)
}
