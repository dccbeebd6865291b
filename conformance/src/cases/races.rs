use super::{Case, case};
use crate::context::{BLOCK_LEN, Context, File, SIZE, pattern};
use crate::verdict::{Observation, Observed, Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, Outcome};

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
];

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
