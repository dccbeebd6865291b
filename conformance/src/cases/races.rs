use super::{Case, case};
use crate::context::{BLOCK_LEN, Context, File, SIZE, pattern};
use crate::mechanism::Mechanism;
use crate::target::BLOCKS;
use crate::trace::Trace;
use crate::verdict::{Observation, Observed, Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, Fs, Outcome};

/// How often two calls are let loose on each other: which comes first is up to the scheduler.
const ROUNDS: usize = 16;

pub(super) static CASES: &[Case] = &[
    case(&RACE_SEALS, "seals", "two racing seals both succeed", |t| {
        rounds(t, |file| {
            let seal = file.enter_call()?;
            let (one, other) = t.race(&seal, &seal)?;
            let both = outcome("one seal", &one).and(outcome("the other seal", &other));
            Ok(both.and(t.fact("the file is sealed", shrink_is_refused(t, file)?)))
        })
    }),
    case(&RACE_TRUNCATE, "truncate", "a racing truncation comes before the seal or is refused", |t| {
        rounds(t, |file| {
            let grow = Call::Ftruncate { fd: file.fd(), size: file.at(2 * SIZE) };
            let (grown, sealed) = t.race(&grow, &file.enter_call()?)?;
            // A grown file has a hole: sealed after that it would have been refused.
            explained(t, file, &grown, &sealed, 2 * SIZE)
        })
    }),
    case(&RACE_WRITE, "write", "a racing write beyond the size comes before the seal or is refused", |t| {
        rounds(t, |file| {
            let data = pattern(70, BLOCK_LEN);
            let write = Call::Pwrite { fd: file.fd(), offset: file.at(SIZE), data };
            let (written, sealed) = t.race(&write, &file.enter_call()?)?;
            // The length given to the seal is then too short.
            explained(t, file, &written, &sealed, SIZE + BLOCK_LEN)
        })
    }),
    case(
        &RACE_TRUNCATE,
        "cut_orders",
        "one order of the two, as the model has it, explains what a truncation leaves",
        |t| {
            explainable(
                t,
                &[
                    |file| Call::Ftruncate { fd: file.fd(), size: file.at(SIZE / 2) },
                    |file| Call::Truncate { name: file.name(), size: file.at(BLOCK_LEN) },
                ],
            )
        },
    ),
    case(&RACE_WRITE, "append_orders", "and what a write leaves", |t| {
        explainable(
            t,
            &[
                |file| Call::Pwrite { fd: file.fd(), offset: file.at(SIZE), data: pattern(71, 100) },
                |file| Call::Write { fd: file.append(), data: pattern(72, BLOCK_LEN) },
            ],
        )
    }),
];

/// What two calls and the file came to.
#[derive(PartialEq)]
struct End {
    change: Outcome,
    enter: Outcome,
    size: u64,
    data: Vec<u8>,
}

impl End {
    fn of(file: &File, change: Outcome, enter: Outcome) -> Result<Self, Trouble> {
        let size = file.stat()?.size;
        Ok(Self { change, enter, size, data: file.read(0, size as i64 - file.at(0))? })
    }
}

/// Each call races with the one that enters the state, and the model has both one after the other. What the kernel
/// swaps to lies before the offsets of the cases: a race that is lost harms only the file.
fn explainable(t: &Context, changes: &[fn(&File) -> Call]) -> Seen {
    if t.mechanism() == Mechanism::ImmutableAttr {
        let why = "immutable-attr: a call on a descriptor from before is no conflict";
        return Err(Trouble::NotOffered(why.into()));
    }
    changes.iter().try_fold(Observed::default(), |seen, change| {
        let [before, after] = [in_order(t.mechanism(), *change, true)?, in_order(t.mechanism(), *change, false)?];
        (0..ROUNDS).try_fold(seen, |seen, number| {
            let name = format!("{}-{number}", seen.0.len());
            let file = t.file(&name, SIZE)?;
            let (changed, entered) = t.race(&change(&file), &file.enter_call()?)?;
            let seen = seen.and(outcome("the racing call", &changed));
            let is_active = entered.is_ok();
            let end = End::of(&file, changed, entered)?;
            if is_active {
                t.setup(&file.leave_call()?)?;
            }
            file.close()?;
            let words = |outcome: &Outcome| outcome.as_ref().err().map_or("ok".into(), |errno| format!("{errno:?}"));
            let came_to = format!("{} and {}, {} bytes", words(&end.change), words(&end.enter), end.size);
            let what = format!("{came_to} is what one order of the two leaves");
            let explained = t.fact(&what, end == before || end == after);
            Ok(seen.and(explained))
        })
    })
}

/// The change first, or the state, on a model of its own.
fn in_order(mechanism: Mechanism, change: fn(&File) -> Call, change_first: bool) -> Result<End, Trouble> {
    let model = Fs::new(BLOCKS);
    let t = Context::new(&model, mechanism, Trace::default());
    let file = t.file("file", SIZE)?;
    // The specification has one state. Where entering takes no range, that is sealing with one that is long enough.
    let enter = match mechanism {
        Mechanism::Seal => file.enter_call()?,
        _ => Mechanism::Seal.enter(file.fd(), 1 << 40),
    };
    let change = change(&file);
    let (changed, entered) = if change_first {
        (t.attempt(&change)?, t.attempt(&enter)?)
    } else {
        let entered = t.attempt(&enter)?;
        (t.attempt(&change)?, entered)
    };
    End::of(&file, changed, entered)
}

fn rounds(t: &Context, mut round: impl FnMut(&File) -> Seen) -> Seen {
    t.needs_seal("range that a racing call could change")?;
    (0..ROUNDS).try_fold(Observed::default(), |seen, number| {
        let file = t.file(&format!("file-{number}"), SIZE)?;
        let seen = seen.and(round(&file)?);
        file.close()?;
        t.setup(&Call::Unlink { name: format!("file-{number}") })?;
        Ok(seen)
    })
}

/// Either the change took effect and the seal was refused, or the other way round.
fn explained(t: &Context, file: &File, change: &Outcome, seal: &Outcome, changed: i64) -> Seen {
    let size = file.stat()?.size as i64;
    let before = change.is_ok() && seal.is_err() && size == file.at(changed);
    let after = change.is_err() && seal.is_ok() && size == file.at(SIZE);
    Ok(outcome("the racing call", change).and(t.fact("one order of the two explains what there is", before || after)))
}

fn shrink_is_refused(t: &Context, file: &File) -> Result<bool, Trouble> {
    Ok(t.attempt(&Call::Ftruncate { fd: file.fd(), size: file.at(BLOCK_LEN) })?.is_err())
}

fn outcome(what: &str, outcome: &Outcome) -> Observed {
    let outcome = Some(outcome.as_ref().err().copied());
    Observed(vec![Observation { what: what.into(), outcome, faults: Vec::new() }])
}
