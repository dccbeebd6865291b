use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::case::trace::Trace;
use crate::mechanism::Mechanism;
use crate::mechanism::{BLOCK_LEN, SIZE};
use crate::target::reference::BLOCKS;
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{Call, Fs, Mode, Outcome, Reply, STATX_SEALED};

pub(super) static CASES: &[Case] = &[
    case(&RACE_SEALS, "seals", "two racing seals both succeed", |t| {
        t.needs_seal("range: of two calls that enter the state one may fail")?;
        entering(t, |race| vec![race.enter.clone()])
    }),
    case(&RACE_TRUNCATE, "truncate", "a racing truncation comes before the seal or is refused", |t| {
        t.needs_seal("refusal of growth: the calls race for nothing")?;
        // A file that grew has a hole: sealing would be refused after that.
        entering(t, |race| vec![Call::Ftruncate { fd: race.file.fd(), size: race.file.at(2 * SIZE) }])
    }),
    case(
        &RACE_TRUNCATE,
        "cut_orders",
        "a racing truncation to a smaller size comes before the seal or is refused",
        |t| entering(t, |race| vec![Call::Ftruncate { fd: race.file.fd(), size: race.file.at(SIZE / 2) }]),
    ),
    case(
        &RACE_TRUNCATE,
        "cut_by_name_orders",
        "a racing truncation by name comes before the seal or is refused",
        |t| entering(t, |race| vec![Call::Truncate { name: race.file.name(), size: race.file.at(BLOCK_LEN) }]),
    ),
    case(&RACE_WRITE, "write", "a racing write beyond the size comes before the seal or is refused", |t| {
        entering(t, |race| vec![race.append(BLOCK_LEN)])
    }),
    case(&RACE_WRITE, "append_orders", "a racing write with O_APPEND comes before the seal or is refused", |t| {
        entering(t, |race| vec![Call::Write { fd: race.file.append(), data: pattern(72, 100) }])
    }),
    case(&RACE_ALLOCATION, "punch_orders", "a racing punch comes before the seal or is refused", |t| {
        t.needs_seal("race that a hole is sure to lose, on btrfs, each time that somebody looks")?;
        entering(t, |race| vec![race.fallocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE)])
    }),
    case(&RACE_ALLOCATION, "zero_orders", "a racing zeroing of a range comes before the seal or is refused", |t| {
        t.needs_seal("objection to what was allocated and never written")?;
        entering(t, |race| vec![race.fallocate(Mode::ZERO_RANGE)])
    }),
    case(
        &RACE_ALLOCATION,
        "collapse_orders",
        "a racing collapse of a range comes before the seal or is refused",
        |t| entering(t, |race| vec![race.fallocate(Mode::COLLAPSE_RANGE)]),
    ),
    case(&RACE_ALLOCATION, "insert_orders", "a racing insertion of a range comes before the seal or is refused", |t| {
        entering(t, |race| vec![race.fallocate(Mode::INSERT_RANGE)])
    }),
    case(&RACE_MAPPING, "before_seal", "a racing mapping makes sealing fail, or maps the sealed file", |t| {
        t.needs_seal("objection to mappings")?;
        entering(t, |race| race.mapping())
    }),
    case(
        &RACE_MAPPING,
        "statx_before_seal",
        "sealing fails if statx(2) shows the file unsealed after a racing mapping",
        |t| {
            t.needs_statx()?;
            entering(t, |race| race.mapping_and_statx())
        },
    ),
    case(
        &RACE_MAPPING,
        "statx_before_unseal",
        "unsealing fails if statx(2) shows the file sealed after a racing mapping",
        |t| {
            t.needs_statx()?;
            orders(t, true, |race| race.mapping_and_statx(), |race| vec![race.leave.clone()])
        },
    ),
    case(&RACE_MAPPING, "before_unseal", "a racing mapping makes unsealing fail, or maps the unsealed file", |t| {
        t.needs_seal("objection to mappings")?;
        orders(t, true, |race| race.mapping(), |race| vec![race.leave.clone()])
    }),
    case(&RACE_MAPPING, "protect", "unsealing fails throughout a storm of mprotect on a mapping", |t| {
        t.needs_seal("objection to mappings")?;
        let mut seen = Observed::default();
        for number in 0..t.rounds(ROUNDS) {
            t.system.round();
            let file = t.sealed_as(&format!("file-{number}"))?;
            let map = file.map(true, true)?.1.ok_or_else(|| Trouble::NotOffered("no mapping".into()))?;
            let storm: Vec<Call> = (0..16).map(|turn| Call::Protect { map, write: turn % 2 == 1 }).collect();
            let leave = file.leave_call()?;
            let (_, came) = t.race(&storm, std::slice::from_ref(&leave))?;
            let refused = came.iter().all(|came| *came == Err(Errno::EBUSY));
            seen = seen.and(t.fact(&format!("{leave} is refused while the file is mapped"), refused));
        }
        Ok(seen)
    }),
    case(
        &RACE_ORDER,
        "source_orders",
        "some order of the calls explains the result of a racing clone from the file",
        |t| entering(t, |race| vec![share(&race.file, &race.neighbour)]),
    ),
    case(
        &RACE_ORDER,
        "target_orders",
        "some order of the calls explains the result of a racing clone into the file",
        |t| entering(t, |race| vec![share(&race.neighbour, &race.file)]),
    ),
    case(
        &RACE_ORDER,
        "copy_orders",
        "some order of the calls explains the result of a racing copy_file_range beyond the size",
        |t| {
            // Some file systems share storage when they copy, and then the file cannot be activated.
            t.needs_seal("range that a copy could make too short")?;
            entering(t, |race| {
                let (from, to, len) = (race.neighbour.fd(), race.file.fd(), BLOCK_LEN as usize);
                vec![Call::CopyRange { from, from_offset: 0, to, to_offset: race.file.at(SIZE), len }]
            })
        },
    ),
    alone(
        &SHARE_SNAPSHOT,
        "snapshot_orders",
        "some order of the calls explains the result of a racing snapshot",
        |t| {
            t.reach(&Call::Snapshot)?;
            let seen = entering(t, |_| vec![Call::Snapshot])?;
            // A snapshot that comes first succeeds.
            Ok(Observed(seen.0.into_iter().filter(|one| one.outcome.is_none()).collect()))
        },
    ),
    case(&RACE_ORDER, "name_orders", "racing links, renames and unlinks never make sealing fail", |t| {
        t.needs_seal("indifference to names")?;
        entering(t, |race| {
            let [old, new, link] = ["", "-renamed", "-linked"].map(|end| race.file.name() + end);
            let rename = Call::Rename { from: old, to: new.clone(), exchange: false };
            vec![rename, Call::Link { from: new.clone(), to: link }, Call::Unlink { name: new }]
        })
    }),
    case(
        &RACE_ORDER,
        "unseal_orders",
        "some order of the calls explains the state after racing seals and unseals",
        |t| {
            t.needs_seal("success where the state is entered twice")?;
            orders(t, true, |race| vec![race.enter.clone()], |race| vec![race.leave.clone(), race.look()])
        },
    ),
    case(&RACE_ORDER, "again_orders", "a racing write between unsealing and sealing again is whole or refused", |t| {
        let again = |race: &Race| vec![race.leave.clone(), race.enter.clone(), race.look()];
        orders(t, true, |race| vec![race.append(BLOCK_LEN)], again)
    }),
    case(
        &RACE_ORDER,
        "series_orders",
        "some order of the calls explains the result of two racing series of calls",
        |t| {
            entering(t, |race| {
                let cut = Call::Ftruncate { fd: race.file.fd(), size: race.file.at(SIZE / 2) };
                let append = Call::Write { fd: race.file.append(), data: pattern(71, 100) };
                vec![race.append(2 * BLOCK_LEN), cut, append, race.look()]
            })
        },
    ),
];

/// The rounds in which the scheduler decides which call comes first.
const ROUNDS: usize = 16;

/// The participants of a race.
struct Race<'a> {
    mechanism: Mechanism,
    file: File<'a>,
    /// Another file, of one block.
    neighbour: File<'a>,
    /// The call that brings the file into the state, and the one that takes it out.
    enter: Call,
    leave: Call,
}

/// The calls of one side.
type Series = fn(&Race) -> Vec<Call>;

impl<'a> Race<'a> {
    /// On the model, `by` is sealing for each mechanism, because the model has one state.
    fn prepare(t: &'a Context<'a>, name: &str, by: Mechanism, entered: bool) -> Result<Self, Trouble> {
        let mechanism = t.mechanism();
        let file = t.file(name, SIZE)?;
        let (offset, data) = (file.at(0), pattern(73, BLOCK_LEN));
        let write = |fd| t.setup(&Call::Pwrite { fd, offset, data }).map(|_| ());
        let neighbour = File::from_ready(t, t.make(&format!("{name}-neighbour"), write)?);
        // A call without a range is like sealing with a range that is long enough.
        let size = if mechanism == Mechanism::Seal { SIZE } else { 1 << 40 };
        let (enter, leave) = (by.enter(file.fd(), size)?, by.leave(file.fd(), size)?);
        if entered {
            t.setup(&enter)?;
        }
        Ok(Self { mechanism, file, neighbour, enter, leave })
    }

    fn append(&self, len: i64) -> Call {
        Call::Pwrite { fd: self.file.fd(), offset: self.file.at(SIZE), data: pattern(70, len) }
    }

    fn fallocate(&self, mode: Mode) -> Call {
        Call::Fallocate { fd: self.file.fd(), mode, offset: self.file.at(BLOCK_LEN), len: BLOCK_LEN }
    }

    /// Makes a mapping, and asks for the state while the mapping exists.
    fn mapping(&self) -> Vec<Call> {
        let fd = self.file.fd();
        vec![Call::Map { fd, len: SIZE as usize, shared: true, write: true }, Call::GetXflags { fd }]
    }

    /// The same with statx(2), which waits for no lock of the file system.
    fn mapping_and_statx(&self) -> Vec<Call> {
        let map = Call::Map { fd: self.file.fd(), len: SIZE as usize, shared: true, write: true };
        vec![map, Call::Statx { name: self.file.name(), mask: false }]
    }

    /// fstat(2), which shows the size.
    fn look(&self) -> Call {
        Call::Stat { fd: self.file.fd() }
    }

    fn end(&self, made: [Vec<(Call, Outcome)>; 2]) -> Result<End, Trouble> {
        let bit = self.mechanism.state_bit().unwrap_or(0);
        let returned = made.map(|calls| calls.iter().map(|(call, outcome)| returned(call, outcome, bit)).collect());
        let size = self.file.stat()?.size;
        let state = if bit == 0 { None } else { Some(self.file.state(self.file.fd())?) };
        let data = self.file.read(0, size as i64 - self.file.at(0))?;
        let neighbour = self.neighbour.read(0, BLOCK_LEN)?;
        Ok(End { returned, size, state, data, neighbour })
    }
}

/// Shares the first block after the lead of the mechanism, because the kernel swaps to the lead.
fn share(source: &File, target: &File) -> Call {
    let (from, from_offset, to, to_offset) = (source.fd(), source.at(0), target.fd(), target.at(0));
    Call::CloneRange { from, from_offset, to, to_offset, len: BLOCK_LEN }
}

/// The results of the calls of both sides, and the files afterwards.
#[derive(PartialEq)]
struct End {
    returned: [Vec<Result<u64, Errno>>; 2],
    size: u64,
    state: Option<bool>,
    data: Vec<u8>,
    neighbour: Vec<u8>,
}

/// The part of a result that is the same on every system.
fn returned(call: &Call, outcome: &Outcome, bit: u32) -> Result<u64, Errno> {
    outcome.as_ref().map_err(|errno| *errno).map(|reply| match (call, reply) {
        (Call::Map { .. }, _) => 0,
        (Call::GetXflags { .. }, Reply::Number(flags)) => *flags as u64 & u64::from(bit),
        (Call::Statx { .. }, Reply::Number(attributes)) => *attributes as u64 & STATX_SEALED,
        (_, Reply::Number(number)) => *number as u64,
        (_, Reply::Data(data)) => data.len() as u64,
        (_, Reply::Stat(stat)) => stat.size,
    })
}

/// Calls race with the call that enters the state and a look at the size after it: in the state the size does not
/// change.
fn entering(t: &Context, one: Series) -> Seen {
    orders(t, false, one, |race| vec![race.enter.clone(), race.look()])
}

/// Two sides race, and the model makes the same calls in every order. The result of the race has to be one of the
/// results of the model.
fn orders(t: &Context, entered: bool, one: Series, other: Series) -> Seen {
    let rounds = match t.mechanism() {
        // The scheduler decides which call comes first.
        Mechanism::Seal => t.rounds(ROUNDS),
        // Deactivation waits for a grace period.
        Mechanism::Swapfile => 10,
        other => {
            let why = format!("{}: a call on a descriptor from before is no conflict", other.name());
            return Err(Trouble::NotOffered(why));
        }
    };
    let ordinary = Race::prepare(t, "ordinary", t.mechanism(), false)?;
    one(&ordinary).iter().try_for_each(|call| t.given(call, "nothing to race with"))?;
    let expected = in_every_order(t.mechanism(), entered, one, other)?;
    let mut seen = Observed::default();
    for number in 0..rounds {
        t.system.round();
        let race = Race::prepare(t, &format!("file-{number}"), t.mechanism(), entered)?;
        let calls = [one(&race), other(&race)];
        let (ones, others) = t.race(&calls[0], &calls[1])?;
        let refused_otherwise = ones.iter().any(|came| came.as_ref().is_err_and(|errno| *errno != Errno::ETXTBSY));
        seen = calls[0].iter().zip(&ones).fold(seen, |seen, (call, came)| seen.and(outcome(t, call, came)));
        let made = |calls: &[Call], came: Vec<Outcome>| calls.iter().cloned().zip(came).collect();
        let end = race.end([made(&calls[0], ones), made(&calls[1], others)])?;
        race.neighbour.close()?;
        let is_one = expected.contains(&end);
        match t.mechanism() {
            // Each deactivation waits for a grace period, and the next round need not wait for it. The record keeps the
            // last round only.
            Mechanism::Swapfile if is_one && !refused_otherwise => race.file.retire(),
            Mechanism::Swapfile => {
                // The file may not be active.
                let _ = t.attempt(&race.leave)?;
                race.file.close()?;
            }
            _ => race.file.close()?,
        }
        // A result is printed only if no order explains it.
        let what = if is_one { String::new() } else { described(&calls, &end) };
        seen = seen.and(t.fact(&what, is_one));
        // One such round is enough, and it is the last one, because a program that repeats the race has to see its
        // result.
        if seen.has_faults() || refused_otherwise {
            break;
        }
    }
    Ok(seen)
}

/// The result of one round, in words.
fn described(calls: &[Vec<Call>; 2], end: &End) -> String {
    let side = |calls: &[Call], returned: &[Result<u64, Errno>]| {
        let came = |came: &Result<u64, Errno>| came.map_or_else(words::failure, |number| number.to_string());
        let made: Vec<String> = calls.iter().zip(returned).map(|(call, it)| format!("{call} = {}", came(it))).collect();
        made.join(", ")
    };
    let [one, other] = [0, 1].map(|at| side(&calls[at], &end.returned[at]));
    format!("{one}, and at the same time {other}: one order explains that, and the {} bytes that are left", end.size)
}

/// The result of each order of the calls. The calls of one side keep their order.
fn in_every_order(mechanism: Mechanism, entered: bool, one: Series, other: Series) -> Result<Vec<End>, Trouble> {
    let lengths = on_model(mechanism, entered, |_, race| Ok([one(race).len(), other(race).len()]))?;
    let count = lengths[0] + lengths[1];
    // A bit for each call, which is set for a call of the first side.
    let orders = (0..1_u32 << count).filter(|order| order.count_ones() as usize == lengths[0]);
    let end = |order: u32| {
        on_model(mechanism, entered, |t, race| {
            let mut sides = [one(race), other(race)].map(Vec::into_iter);
            let mut made = [Vec::new(), Vec::new()];
            for side in (0..count).map(|place| usize::from(order >> place & 1 == 0)) {
                if let Some(call) = sides[side].next() {
                    let outcome = t.attempt(&call)?;
                    made[side].push((call, outcome));
                }
            }
            race.end(made)
        })
    };
    orders.map(end).collect()
}

/// Calls `act` with a race on a model of its own.
fn on_model<T>(
    mechanism: Mechanism,
    entered: bool,
    act: impl FnOnce(&Context, &Race) -> Result<T, Trouble>,
) -> Result<T, Trouble> {
    let model = Fs::new(BLOCKS);
    let t = Context::new(&model, mechanism, Trace::default());
    let race = Race::prepare(&t, "file", Mechanism::Seal, entered)?;
    act(&t, &race)
}

fn outcome(t: &Context, call: &Call, outcome: &Outcome) -> Observed {
    t.one(format!("{call} in a race"), Some(outcome.as_ref().err().copied()), Vec::new())
}
