use crate::case::definition::{Case, case};
use crate::case::prepare::pattern;
use crate::mechanism::{BLOCK_LEN, SIZE};
use crate::verdict::{Observed, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, Mode};
use std::time::{Duration, Instant};

/// Far more than a call needs, far less than an agent can hold a file.
pub(super) const AT_ONCE: Duration = Duration::from_secs(1);

pub(super) static CASES: &[Case] = &[
    case(&REFUSE_PROMPT, "while_mapped", "a refusal does not wait for a process that has the file mapped", |t| {
        let file = t.sealed()?;
        // If the file cannot be mapped, there is one thing less to wait for.
        let _ = file.map(true, true)?;
        let begin = Instant::now();
        let call = Call::Ftruncate { fd: file.fd(), size: file.at(BLOCK_LEN) };
        if t.attempt(&call)? != Err(Errno::ETXTBSY) {
            return Err(Trouble::NotOffered("truncation does not fail with ETXTBSY".into()));
        }
        Ok(t.fact("it was refused at once", begin.elapsed() < AT_ONCE))
    }),
    case(
        &REFUSE_NOTHING,
        "several_in_a_row",
        "refused calls of every kind, one after the other, change nothing",
        |t| {
            let file = t.sealed()?;
            let other = t.churn()?;
            let crossing = Call::Write { fd: file.fd(), data: pattern(9, SIZE + file.at(BLOCK_LEN)) };
            let seen = file.truncate(BLOCK_LEN)?;
            let seen = seen.and(file.refused(&crossing)?);
            let seen = seen.and(file.fallocate(Mode::PUNCH_HOLE | Mode::KEEP_SIZE, 0, BLOCK_LEN)?);
            let seen = seen.and(file.fallocate(Mode::KEEP_SIZE, SIZE, BLOCK_LEN)?);
            // The clause is about calls that fail with ETXTBSY. Other clauses say which calls do.
            let refusals: Vec<_> = seen.0.into_iter().filter(|one| one.outcome == Some(Some(Errno::ETXTBSY))).collect();
            if refusals.is_empty() {
                return Err(Trouble::NotOffered("no call fails with ETXTBSY".into()));
            }
            Ok(Observed(refusals).and(t.churn_intact(&other)?))
        },
    ),
];
