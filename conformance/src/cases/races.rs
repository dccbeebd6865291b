use crate::case::context::Context;
use crate::case::definition::{Case, alone, case};
use crate::case::file::File;
use crate::case::prepare::pattern;
use crate::mechanism::{BLOCK_LEN, Mechanism, SIZE};
use crate::verdict::{Observed, Seen, Trouble};
use crate::words;
use iomap_clauses::*;
use iomap_reference::{Call, Mode, Outcome, Reply, Route, STATX_SEALED};
use sha2::{Digest, Sha256};
use std::fmt;

/// The races whose results are those of some order of the calls: the function that makes the case, its clause, its name,
/// its expectation, the reason why only seal has the race, whether the file is in the state before, and the two sides.
macro_rules! races {
    ($($make:ident($clause:ident, $name:literal, $about:literal, $only:expr, $entered:literal, $one:expr, $other:expr);)+) => {
        pub(super) static CASES: &[Case] = &[$($make(&$clause, $name, $about, |t| {
            let only: Option<&str> = $only;
            only.map_or(Ok(()), |why| t.needs_seal(why))?;
            orders(t, $name, $entered, $one, $other)
        }),)+];

        #[cfg(test)]
        static SIDES: &[(&str, bool, Series, Series)] = &[$(($name, $entered, $one, $other),)+];
    };
}

races! {
    case(RACE_SEALS, "seals", "two racing seals both succeed",
        Some("range: of two calls that enter the state one may fail"), false,
        |race| vec![race.enter.clone()], enter_and_look);
    // A file that grew has a hole: sealing would be refused after that.
    case(RACE_TRUNCATE, "truncate", "a racing truncation comes before the seal or is refused",
        Some("refusal of growth: the calls race for nothing"), false,
        |race| vec![race.truncate(2 * SIZE)], enter_and_look);
    case(RACE_TRUNCATE, "cut_orders", "a racing truncation to a smaller size comes before the seal or is refused",
        None, false, |race| vec![race.truncate(SIZE / 2)], enter_and_look);
    case(RACE_TRUNCATE, "cut_by_name_orders",
        "a racing truncation by name comes before the seal or is refused", None, false,
        |race| vec![Call::Truncate { name: race.file.name(), size: race.file.at(BLOCK_LEN) }], enter_and_look);
    case(RACE_WRITE, "write", "a racing write beyond the size comes before the seal or is refused", None, false,
        |race| vec![race.append(BLOCK_LEN)], enter_and_look);
    case(RACE_WRITE, "append_orders", "a racing write with O_APPEND comes before the seal or is refused", None, false,
        |race| vec![Call::Write { fd: race.file.append(), data: pattern(72, 100) }], enter_and_look);
    // Such a write of XFS goes on without a lock, and the size changes when it ends.
    case(RACE_WRITE, "direct_orders",
        "a racing asynchronous direct write beyond the size comes before the seal or is refused",
        Some("range that a write could make too short"), false, |race| {
            let (fd, offset) = (race.file.direct(), race.file.at(SIZE));
            vec![Call::Pwrite { fd, offset, data: pattern(74, 16 * BLOCK_LEN) }.via(Route::Aio)]
        }, enter_and_look);
    case(RACE_ALLOCATION, "punch_orders", "a racing punch comes before the seal or is refused",
        Some("race that a hole is sure to lose, on btrfs, each time that somebody looks"), false,
        |race| vec![race.fallocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE)], enter_and_look);
    case(RACE_ALLOCATION, "zero_orders", "a racing zeroing of a range comes before the seal or is refused",
        Some("objection to what was allocated and never written"), false,
        |race| vec![race.fallocate(Mode::ZERO_RANGE)], enter_and_look);
    case(RACE_ALLOCATION, "collapse_orders", "a racing collapse of a range comes before the seal or is refused",
        None, false, |race| vec![race.fallocate(Mode::COLLAPSE_RANGE)], enter_and_look);
    case(RACE_ALLOCATION, "insert_orders", "a racing insertion of a range comes before the seal or is refused",
        None, false, |race| vec![race.fallocate(Mode::INSERT_RANGE)], enter_and_look);
    case(RACE_MAPPING, "before_seal", "a racing mapping makes sealing fail, or maps the sealed file",
        Some("objection to mappings"), false, mapping, enter_and_look);
    case(RACE_MAPPING, "statx_before_seal",
        "sealing fails if statx(2) shows the file unsealed after a racing mapping",
        Some("state that statx(2) shows"), false, mapping_and_statx, enter_and_look);
    case(RACE_MAPPING, "statx_before_unseal",
        "unsealing fails if statx(2) shows the file sealed after a racing mapping",
        Some("state that statx(2) shows"), true, mapping_and_statx, |race| vec![race.leave.clone()]);
    case(RACE_MAPPING, "before_unseal", "a racing mapping makes unsealing fail, or maps the unsealed file",
        Some("objection to mappings"), true, mapping, |race| vec![race.leave.clone()]);
    case(RACE_ORDER, "source_orders", "some order of the calls explains the result of a racing clone from the file",
        None, false, |race| vec![share(&race.file, &race.neighbour)], enter_and_look);
    case(RACE_ORDER, "target_orders", "some order of the calls explains the result of a racing clone into the file",
        None, false, |race| vec![share(&race.neighbour, &race.file)], enter_and_look);
    // Some file systems share storage when they copy, and then the file cannot be activated.
    case(RACE_ORDER, "copy_orders",
        "some order of the calls explains the result of a racing copy_file_range beyond the size",
        Some("range that a copy could make too short"), false, copy, enter_and_look);
    case(RACE_ORDER, "name_orders", "racing links, renames and unlinks never make sealing fail",
        Some("indifference to names"), false, names, enter_and_look);
    case(RACE_ORDER, "unseal_orders", "some order of the calls explains the state after racing seals and unseals",
        Some("success where the state is entered twice"), true,
        |race| vec![race.enter.clone()], |race| vec![race.leave.clone(), race.look()]);
    case(RACE_ORDER, "again_orders", "a racing write between unsealing and sealing again is whole or refused",
        None, true, |race| vec![race.append(BLOCK_LEN)],
        |race| vec![race.leave.clone(), race.enter.clone(), race.look()]);
    case(RACE_ORDER, "series_orders", "some order of the calls explains the result of two racing series of calls",
        None, false, series, enter_and_look);
    alone(SHARE_SNAPSHOT, "snapshot_orders", "some order of the calls explains the result of a racing snapshot",
        None, false, |_| vec![Call::Snapshot], enter_and_look);
}

/// A race whose result is the same in each order.
pub(super) static STORMS: &[Case] =
    &[case(&RACE_MAPPING, "protect", "unsealing fails throughout a storm of mprotect on a mapping", |t| {
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
    })];

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

    fn truncate(&self, size: i64) -> Call {
        Call::Ftruncate { fd: self.file.fd(), size: self.file.at(size) }
    }

    fn append(&self, len: i64) -> Call {
        Call::Pwrite { fd: self.file.fd(), offset: self.file.at(SIZE), data: pattern(70, len) }
    }

    fn fallocate(&self, mode: Mode) -> Call {
        Call::Fallocate { fd: self.file.fd(), mode, offset: self.file.at(BLOCK_LEN), len: BLOCK_LEN }
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

/// Makes a mapping, and asks for the state while the mapping exists.
fn mapping(race: &Race) -> Vec<Call> {
    let fd = race.file.fd();
    vec![Call::Map { fd, len: SIZE as usize, shared: true, write: true }, Call::GetXflags { fd }]
}

/// The same with statx(2), which waits for no lock of the file system.
fn mapping_and_statx(race: &Race) -> Vec<Call> {
    let map = Call::Map { fd: race.file.fd(), len: SIZE as usize, shared: true, write: true };
    vec![map, Call::Statx { name: race.file.name(), mask: false }]
}

/// Copies to the end of the file.
fn copy(race: &Race) -> Vec<Call> {
    let (from, to, len) = (race.neighbour.fd(), race.file.fd(), BLOCK_LEN as usize);
    vec![Call::CopyRange { from, from_offset: 0, to, to_offset: race.file.at(SIZE), len }]
}

/// Renames the file, gives it another name, and removes the first one.
fn names(race: &Race) -> Vec<Call> {
    let [old, new, link] = ["", "-renamed", "-linked"].map(|end| race.file.name() + end);
    let rename = Call::Rename { from: old, to: new.clone(), exchange: false };
    vec![rename, Call::Link { from: new.clone(), to: link }, Call::Unlink { name: new }]
}

fn series(race: &Race) -> Vec<Call> {
    let append = Call::Write { fd: race.file.append(), data: pattern(71, 100) };
    vec![race.append(2 * BLOCK_LEN), race.truncate(SIZE / 2), append, race.look()]
}

/// Calls race with the call that enters the state and a look at the size after it: in the state the size does not
/// change.
fn enter_and_look(race: &Race) -> Vec<Call> {
    vec![race.enter.clone(), race.look()]
}

/// Shares the first block after the lead of the mechanism, because the kernel swaps to the lead.
fn share(source: &File, target: &File) -> Call {
    let (from, from_offset, to, to_offset) = (source.fd(), source.at(0), target.fd(), target.at(0));
    Call::CloneRange { from, from_offset, to, to_offset, len: BLOCK_LEN }
}

/// The results of all orders of the calls of each race with each mechanism, which is the line before them. The races are
/// judged by this list and not by the model, because a fault of the model would be on both sides then.
static RESULTS: &str = include_str!("races.txt");

/// The results of a race.
fn results(name: &str, mechanism: Mechanism) -> Vec<&'static str> {
    let head = head(name, mechanism);
    let lines = RESULTS.lines().skip_while(|line| *line != head).skip(1);
    lines.map_while(|line| line.strip_prefix("  ")).collect()
}

fn head(name: &str, mechanism: Mechanism) -> String {
    format!("{name}, {}", mechanism.name())
}

/// The results of the calls of both sides, and the files afterwards.
struct End {
    returned: [Vec<Result<u64, Errno>>; 2],
    size: u64,
    state: Option<bool>,
    data: Vec<u8>,
    neighbour: Vec<u8>,
}

/// The results of both sides, the size, the state, and sums of the contents.
impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (side, end) in self.returned.iter().zip([" | ", ": "]) {
            let came = |came: &Result<u64, Errno>| came.map_or_else(words::failure, |number| number.to_string());
            write!(f, "{}{end}", side.iter().map(came).collect::<Vec<_>>().join(" "))?;
        }
        let state = self.state.map_or("", |sealed| if sealed { ", in the state" } else { ", not in the state" });
        let sum = |data: &[u8]| Sha256::digest(data)[..4].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        write!(f, "{} bytes{state}, contents {}, neighbour {}", self.size, sum(&self.data), sum(&self.neighbour))
    }
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

/// Two sides race. The result of the race has to be one of [`RESULTS`].
fn orders(t: &Context, name: &str, entered: bool, one: Series, other: Series) -> Seen {
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
    let expected = results(name, t.mechanism());
    let mut seen = Observed::default();
    for number in 0..rounds {
        t.system.round();
        let race = Race::prepare(t, &format!("file-{number}"), t.mechanism(), entered)?;
        let calls = [one(&race), other(&race)];
        let (ones, others) = t.race(&calls[0], &calls[1])?;
        let refused_otherwise = ones.iter().any(|came| came.as_ref().is_err_and(|errno| *errno != Errno::ETXTBSY));
        // A snapshot that comes first succeeds.
        let judged = calls[0].iter().zip(&ones).filter(|(call, _)| **call != Call::Snapshot);
        seen = judged.fold(seen, |seen, (call, came)| seen.and(outcome(t, call, came)));
        let made = |calls: &[Call], came: Vec<Outcome>| calls.iter().cloned().zip(came).collect();
        let end = race.end([made(&calls[0], ones), made(&calls[1], others)])?;
        race.neighbour.close()?;
        let is_one = expected.contains(&end.to_string().as_str());
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

fn outcome(t: &Context, call: &Call, outcome: &Outcome) -> Observed {
    t.one(format!("{call} in a race"), Some(outcome.as_ref().err().copied()), Vec::new())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::case::trace::Trace;
    use crate::target::reference::BLOCKS;
    use iomap_reference::Fs;
    use std::collections::BTreeSet;

    /// The model makes the calls of each race in every order.
    #[test]
    fn the_results_are_those_of_the_model() {
        let mut found = String::new();
        for (name, entered, one, other) in SIDES {
            for mechanism in [Mechanism::Seal, Mechanism::Swapfile] {
                let ends = in_every_order(mechanism, *entered, *one, *other);
                found += &format!("{}\n", head(name, mechanism));
                ends.iter().for_each(|end| found += &format!("  {end}\n"));
            }
        }
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/cases/races.txt"), &found).unwrap();
        } else {
            assert!(found == RESULTS, "INSTA_UPDATE=always writes src/cases/races.txt anew:\n{found}");
        }
    }

    /// The result of each order of the calls. The calls of one side keep their order.
    fn in_every_order(mechanism: Mechanism, entered: bool, one: Series, other: Series) -> BTreeSet<String> {
        let lengths = on_model(mechanism, entered, |_, race| [one(race).len(), other(race).len()]);
        let count = lengths[0] + lengths[1];
        // A bit for each call, which is set for a call of the first side.
        let orders = (0..1_u32 << count).filter(|order| order.count_ones() as usize == lengths[0]);
        let end = |order: u32| {
            on_model(mechanism, entered, |t, race| {
                let mut sides = [one(race), other(race)].map(Vec::into_iter);
                let mut made = [Vec::new(), Vec::new()];
                for side in (0..count).map(|place| usize::from(order >> place & 1 == 0)) {
                    if let Some(call) = sides[side].next() {
                        let outcome = t.attempt(&call).unwrap();
                        made[side].push((call, outcome));
                    }
                }
                race.end(made).unwrap().to_string()
            })
        };
        orders.map(end).collect()
    }

    /// Calls `act` with a race on a model of its own.
    fn on_model<T>(mechanism: Mechanism, entered: bool, act: impl FnOnce(&Context, &Race) -> T) -> T {
        let model = Fs::new(BLOCKS);
        let t = Context::new(&model, mechanism, Trace::default());
        let race = Race::prepare(&t, "file", Mechanism::Seal, entered).unwrap();
        act(&t, &race)
    }
}
