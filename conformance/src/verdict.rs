//! Verdicts, and the judgement of observations.

use crate::lack::Lacking;
use crate::words;
use iomap_clauses::{Clause, Errno};
use iomap_results::Verdict;
use serde::{Deserialize, Serialize};

/// The reason why a case could not make its observation. It is never a violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trouble {
    /// A preparation failed: `error`.
    Setup(String),
    /// A call of the preparation failed in a way that violates the clause with this id, and no other clause, for which
    /// the case says nothing.
    Refused(String, String),
    /// `not offered`, with the reason.
    NotOffered(String),
    /// `not reachable`, with the reason.
    NotReachable(String),
}

impl Trouble {
    /// The reason, in words.
    pub fn reason(&self) -> &str {
        match self {
            Self::Setup(why) | Self::Refused(_, why) | Self::NotOffered(why) | Self::NotReachable(why) => why,
        }
    }
}

/// One thing that a case observed.
#[derive(Clone, Debug)]
pub(crate) struct Observation {
    /// The call as in C, or a fact about the file.
    pub what: String,
    /// The outcome of the call, if this is about a call: `Some(None)` is success.
    pub outcome: Option<Option<Errno>>,
    /// Descriptions of unexpected effects.
    pub faults: Vec<String>,
    /// The number of calls of the case that had failed before because of a lack.
    pub lacks: usize,
    /// The same call on a file that is not sealed failed with the same error at that moment.
    pub ordinary: bool,
}

impl Observation {
    /// Whether the error is one that a file meets sealed or not (rule.ordinary), and the clause does not exclude it.
    fn is_excused(&self, clause: &Clause) -> bool {
        let Some(Some(errno)) = self.outcome else { return false };
        self.ordinary && self.faults.is_empty() && !clause.allows(self.outcome.flatten()) && clause.excuses(errno)
    }
}

/// The observations of a case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observed(pub Vec<Observation>);

impl Observed {
    /// These observations and those of another step.
    pub(crate) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Whether any observation has an unexpected effect.
    pub(crate) fn has_faults(&self) -> bool {
        self.0.iter().any(|one| !one.faults.is_empty())
    }
}

/// The result of a case.
pub(crate) type Seen = Result<Observed, Trouble>;

/// Judges the observations of a case by the envelope of its clause. The second part gives the reason, if there is one.
///
/// Observations before the first call that failed because of a lack stand. Later observations say nothing about the
/// clause, because they can follow from the failure.
pub(crate) fn judge(clause: &Clause, seen: &Seen, lacks: &[Lacking]) -> (Verdict, Option<String>) {
    // An errno that the clause allows is the answer that the case looked for, whatever its cause is.
    let first = lacks.iter().position(|lack| !clause.allows(Some(lack.errno)));
    let lack = first.map(|first| lacks[first].to_string());
    let observed = match (seen, lack) {
        (Ok(observed), lack) => {
            let stands = |one: &&Observation| first.is_none_or(|first| one.lacks <= first);
            let complaints: Vec<String> =
                observed.0.iter().filter(stands).filter_map(|one| complaint(clause, one)).collect();
            if !complaints.is_empty() {
                return (Verdict::Violated, Some(once(&complaints)));
            }
            if lack.is_some() {
                return (Verdict::Error, lack);
            }
            observed
        }
        (Err(trouble), Some(lack)) => return (Verdict::Error, Some(format!("{lack}\n{}", trouble.reason()))),
        (Err(Trouble::Setup(why)), None) => return (Verdict::Error, Some(why.clone())),
        (Err(Trouble::Refused(id, why)), None) if id == clause.id => return (Verdict::Violated, Some(why.clone())),
        (Err(Trouble::Refused(_, why)), None) => return (Verdict::Untested, Some(why.clone())),
        (Err(Trouble::NotOffered(why)), None) => return (Verdict::NotOffered, Some(why.clone())),
        (Err(Trouble::NotReachable(why)), None) => return (Verdict::NotReachable, Some(why.clone())),
    };
    match (observed.0.first(), observed.0.iter().find(|one| !one.is_excused(clause))) {
        (None, _) => (Verdict::Error, Some("the case observed nothing".into())),
        (Some(_), Some(_)) => (Verdict::Holds, None),
        (Some(one), None) => {
            let why = one.outcome.flatten().map_or_else(String::new, words::failure);
            (Verdict::NotOffered, Some(format!("{} = {why}, for a file that is not sealed, too", one.what)))
        }
    }
}

/// A line for each complaint, and the number of times that it was made.
fn once(complaints: &[String]) -> String {
    let mut counted: Vec<(&str, usize)> = Vec::new();
    for complaint in complaints {
        match counted.iter_mut().find(|(known, _)| known == complaint) {
            Some((_, times)) => *times += 1,
            None => counted.push((complaint, 1)),
        }
    }
    let line = |(complaint, times): &(&str, usize)| match times {
        1 => (*complaint).to_owned(),
        _ => format!("{complaint} ({times} times)"),
    };
    counted.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The fault in the style of strace: `ftruncate(3, 0) = -1 EPERM, expected ETXTBSY`.
fn complaint(clause: &Clause, one: &Observation) -> Option<String> {
    if one.is_excused(clause) {
        return None;
    }
    let faults = one.faults.join("; ");
    let Some(outcome) = one.outcome else {
        return (!faults.is_empty()).then(|| format!("{}: {faults}", one.what));
    };
    let got = outcome.map_or("ok".to_owned(), words::failure);
    match (clause.allows(outcome), faults.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("{} = {got}, but {faults}", one.what)),
        (false, true) => Some(format!("{} = {got}, expected {}", one.what, clause.envelope())),
        (false, false) => Some(format!("{} = {got}, expected {}; {faults}", one.what, clause.envelope())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use iomap_clauses::{SEAL_SEALED, TRUNCATE_SHRINK};

    fn seen(outcome: Option<Errno>, faults: &[&str]) -> Seen {
        let faults = faults.iter().map(|f| (*f).to_owned()).collect();
        Ok(Observed(vec![Observation {
            what: "ftruncate(3, 0)".into(),
            outcome: Some(outcome),
            faults,
            lacks: 0,
            ordinary: false,
        }]))
    }

    #[test]
    fn envelope_and_effects_both_count() {
        let verdict = |seen: &Seen| judge(&TRUNCATE_SHRINK, seen, &[]).0;
        assert_eq!(verdict(&seen(Some(Errno::ETXTBSY), &[])), Verdict::Holds);
        assert_eq!(verdict(&seen(Some(Errno::EPERM), &[])), Verdict::Violated);
        assert_eq!(verdict(&seen(None, &[])), Verdict::Violated);
        assert_eq!(verdict(&seen(Some(Errno::ETXTBSY), &["size was 1, is 0"])), Verdict::Violated);
    }

    #[test]
    fn a_complaint_is_made_once() {
        let Ok(Observed(one)) = seen(Some(Errno::EPERM), &[]) else { panic!("it was seen") };
        let Ok(Observed(other)) = seen(None, &[]) else { panic!("it was seen") };
        let all = Ok(Observed([one.clone(), one, other].concat()));
        let said = judge(&TRUNCATE_SHRINK, &all, &[]).1.unwrap();
        assert_eq!(
            said,
            "ftruncate(3, 0) = -1 EPERM, expected ETXTBSY (2 times)\nftruncate(3, 0) = ok, expected ETXTBSY"
        );
    }

    #[test]
    fn trouble_is_never_a_violation_and_silence_is_no_pass() {
        let verdict = |seen: &Seen| judge(&TRUNCATE_SHRINK, seen, &[]).0;
        assert_eq!(verdict(&Err(Trouble::Setup("no space".into()))), Verdict::Error);
        assert_eq!(verdict(&Ok(Observed::default())), Verdict::Error);
    }

    #[test]
    fn a_refusal_to_prepare_violates_one_clause() {
        let why = "fallocate(3, FALLOC_FL_SEAL_BLOCK_MAP, 0, 4096) = -1 EINVAL".into();
        let refused = Err(Trouble::Refused(SEAL_SEALED.id.into(), why));
        assert_eq!(judge(&TRUNCATE_SHRINK, &refused, &[]).0, Verdict::Untested);
        assert_eq!(judge(&SEAL_SEALED, &refused, &[]).0, Verdict::Violated);
    }

    fn lacking(errno: Errno) -> Lacking {
        Lacking { call: "open(\"file\", O_RDWR)".into(), errno, what: "lacking file descriptors".into() }
    }

    /// An observation made after `lacks` calls had failed because of a lack.
    fn after(lacks: usize, outcome: Option<Errno>) -> Observed {
        Observed(vec![Observation {
            what: "ftruncate(3, 0)".into(),
            outcome: Some(outcome),
            faults: vec![],
            lacks,
            ordinary: false,
        }])
    }

    #[test]
    fn after_a_lack_the_clause_has_no_verdict() {
        let judged = |seen: Seen| judge(&TRUNCATE_SHRINK, &seen, &[lacking(Errno::EMFILE)]);
        for outcome in [Some(Errno::EMFILE), None, Some(Errno::ETXTBSY)] {
            let (verdict, why) = judged(Ok(after(1, outcome)));
            assert_eq!(verdict, Verdict::Error, "{outcome:?}");
            assert_eq!(why.as_deref(), Some("lacking file descriptors: open(\"file\", O_RDWR) = EMFILE"));
        }
        assert_eq!(judged(Err(Trouble::NotOffered("no sharing".into()))).0, Verdict::Error);
    }

    #[test]
    fn a_verdict_before_a_lack_stands() {
        let judged = |seen: Observed| judge(&TRUNCATE_SHRINK, &Ok(seen), &[lacking(Errno::EMFILE)]).0;
        assert_eq!(judged(after(0, None).and(after(1, Some(Errno::EMFILE)))), Verdict::Violated);
        assert_eq!(judged(after(0, Some(Errno::ETXTBSY)).and(after(1, None))), Verdict::Error);
    }

    #[test]
    fn an_errno_that_the_clause_wants_is_no_lack() {
        let judged = |errno| judge(&TRUNCATE_SHRINK, &Ok(after(1, Some(errno))), &[lacking(errno)]).0;
        assert_eq!(judged(Errno::ETXTBSY), Verdict::Holds);
    }
}
