//! The verdicts about losses of power. They compare each file after a cut with the actions before the cut.
//!
//! The clauses judge: the promise of a call that had returned must hold in every state in which the disk may be.

use crate::filesystem::FsKind;
use crate::lab::document::untested;
use crate::lab::plans::{GROWING, Plans, plans};
use crate::lab::power::disk::CrashState;
use crate::lab::power::story::Story;
use crate::lab::protocol::{Action, Data, Examined, FileState, Run};
use crate::mechanism::Mechanism;
use crate::mechanism::{BLOCK_LEN, SIZE};
use crate::results::{CaseResult, ClauseResult, Results};
use crate::run::expectations::Expectations;
use crate::run::trials::not_met;
use crate::verdict::{Observation, Observed, Trouble, judge};
use iomap_clauses::*;
use iomap_results::{Kernel, LogLine, Verdict};
use std::collections::BTreeMap;
use std::time::Duration;

/// The requirement of a clause for files with certain stories.
struct Check {
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    /// Whether the clause applies to a file with this story.
    applies: fn(&Story) -> bool,
    /// Whether the requirement is about the sealed state, which not every mechanism shows.
    of_state: bool,
    /// Whether an existing file meets the requirement.
    is_so: fn(&FileState) -> Result<bool, Trouble>,
}

static CHECKS: [Check; 5] = [
    Check {
        clause: &DURABLE_SEAL,
        name: "durability::cut_sealed",
        about: "a file that came into the state is in it after the power was cut",
        applies: |story| story.has(Action::Enter) && !story.began(Action::Leave),
        of_state: true,
        is_so: |found| found.sealed.clone(),
    },
    Check {
        clause: &DURABLE_DATA,
        name: "durability::cut_data",
        about: "size and data of a file that came into the state are there after the power was cut",
        applies: |story| story.since(Action::Write).contains(&Action::Enter) && !story.began(Action::Agent),
        of_state: false,
        is_so: |found| Ok(whole(found)),
    },
    Check {
        clause: &DURABLE_EITHER,
        name: "durability::cut_either",
        about: "a file whose state changed when the power was cut is in it or not, and has its data",
        applies: |story| story.has(Action::Sync) && story.is_changing(),
        of_state: false,
        // Check size and data first: they must be right in both states, and not every mechanism shows the state.
        is_so: |found| Ok(whole(found) && (found.sealed.clone()? || found.unsealed.clone()?)),
    },
    Check {
        clause: &DURABLE_UNSEAL,
        name: "durability::cut_unsealed",
        about: "a file that left a durable state is not in it after the power was cut",
        applies: |story| story.since(Action::Enter).contains(&Action::Sync) && story.has(Action::Leave),
        of_state: false,
        is_so: |found| found.unsealed.clone(),
    },
    Check {
        clause: &DURABLE_AGENT,
        name: "durability::cut_agent",
        about: "what an agent wrote and flushed is in the file after the power was cut",
        applies: |story| story.has(Action::Agent),
        of_state: false,
        is_so: |found| Ok(found.data == Data::Agents),
    },
];

impl Check {
    /// Whether a file with this story meets the requirement; `None` if the clause does not apply to it.
    fn ask(&self, mechanism: Mechanism, story: &Story, examined: Option<&Examined>) -> Option<Result<bool, Trouble>> {
        if let Some(trouble) = &story.refused
            && (self.applies)(&story.if_it_had_been_done())
        {
            return Some(Err(trouble.clone()));
        }
        let shown = !self.of_state || mechanism.refusal().is_some();
        let not_shown = || Trouble::NotOffered(format!("{}: a file in the state can be cut", mechanism.name()));
        (self.applies)(story).then(|| match examined {
            _ if !shown => Err(not_shown()),
            None => Ok(false),
            Some(Err(trouble)) => Err(trouble.clone()),
            Some(Ok(found)) => (self.is_so)(found),
        })
    }
}

/// Whether the file has the written size and data.
fn whole(found: &FileState) -> bool {
    found.size == SIZE && found.data == Data::Written
}

/// The counts of one check.
#[derive(Default)]
struct Tally {
    files: usize,
    faults: usize,
    /// The place of the first fault.
    first: Option<String>,
    trouble: Option<Trouble>,
}

impl Tally {
    fn count(&mut self, is_so: Result<bool, Trouble>, place: impl FnOnce() -> String) {
        match is_so {
            Ok(is_so) => {
                self.files += 1;
                self.faults += usize::from(!is_so);
                if !is_so {
                    self.first.get_or_insert_with(place);
                }
            }
            // A failed preparation counts more than a missing feature.
            Err(trouble @ Trouble::Setup(_)) => self.trouble = Some(trouble),
            Err(trouble) => drop(self.trouble.get_or_insert(trouble)),
        }
    }
}

/// The numbers of the files that violate a clause, by the id of the clause.
pub(crate) type Faults = BTreeMap<&'static str, Vec<usize>>;

/// The findings of all cuts of a run.
pub(crate) struct Findings {
    mechanism: Mechanism,
    pub(crate) plans: Plans,
    pub(crate) seed: u64,
    pub(crate) cuts: u32,
    /// The number of cuts during a change of state.
    within: u32,
    tallies: [Tally; CHECKS.len()],
    /// Files that were never made durable, after cuts that lost all unflushed data: their number, and the number of
    /// those that kept their data nevertheless.
    controls: (usize, usize),
    pub(crate) alarms: Vec<LogLine>,
}

impl Findings {
    pub(crate) fn new(fs: FsKind, mechanism: Mechanism, seed: u64) -> Self {
        Self {
            mechanism,
            plans: plans(fs, mechanism),
            seed,
            cuts: 0,
            within: 0,
            tallies: Default::default(),
            controls: (0, 0),
            alarms: Vec::new(),
        }
    }

    /// Compares the files after a cut with their stories. Returns the faults. `repeat` are the options that repeat the
    /// cut.
    pub(crate) fn add(
        &mut self,
        repeat: &str,
        state: CrashState,
        stories: &[Story],
        files: &[(usize, Examined)],
    ) -> Faults {
        let mut faults = Faults::new();
        for (number, story) in stories.iter().enumerate() {
            let examined = files.iter().find(|(file, _)| *file == number).map(|(_, examined)| examined);
            if number == GROWING {
                // Count growth only without a disk whose cache loses data.
                let grown = BLOCK_LEN * story.returned as i64;
                self.controls.0 += usize::from(grown > 0);
                self.controls.1 += usize::from(grown > 0 && matches!(examined, Some(Ok(found)) if found.size >= grown));
                continue;
            }
            if self.plans[number % self.plans.len()] == [Action::Write]
                && story.has(Action::Write)
                && matches!(state, CrashState::OnlyFlushed | CrashState::AllStored)
            {
                self.controls.0 += 1;
                self.controls.1 += usize::from(matches!(examined, Some(Ok(found)) if whole(found)));
            }
            for (check, tally) in CHECKS.iter().zip(&mut self.tallies) {
                if let Some(is_so) = check.ask(self.mechanism, story, examined) {
                    let place = || format!("file {number}, {}, by {repeat}", describe(state, examined));
                    if is_so == Ok(false) {
                        faults.entry(check.clause.id).or_default().push(number);
                    }
                    tally.count(is_so, place);
                }
            }
        }
        faults
    }

    /// Ends a cut, after all states of its disk were compared.
    pub(crate) fn end_cut(&mut self, stories: &[Story]) {
        self.cuts += 1;
        self.within += u32::from(stories.iter().any(Story::is_changing));
    }

    /// The results. With a `trouble`, each verdict that is not a violation becomes an error.
    pub(crate) fn results(mut self, run: &Run, kernel: &Kernel, trouble: Option<String>, time: Duration) -> Results {
        let expectations = Expectations::of(&[run.mechanism.name()], run.fs.name(), &kernel.release);
        let mut results = untested(run, kernel);
        let (files, kept) = self.controls;
        let lost_nothing = (files > 0 && files == kept).then(|| format!("the disk lost none of {files} files"));
        let trouble = trouble.or_else(|| expectations.as_ref().err().map(ToString::to_string)).or(lost_nothing);
        for (check, tally) in CHECKS.iter().zip(std::mem::take(&mut self.tallies)) {
            let Some(case) = self.case(check, tally, trouble.as_deref(), time) else { continue };
            let expected = expectations.as_ref().map_or((Verdict::Holds, None), |all| all.expected(check.clause.id));
            let row = results.clauses.iter_mut().find(|clause| clause.id == check.clause.id);
            row.into_iter().for_each(|row| judged(row, &case, expected));
        }
        results.kernel_log = self.alarms;
        results.count_again();
        results
    }

    fn case(&self, check: &Check, tally: Tally, trouble: Option<&str>, time: Duration) -> Option<CaseResult> {
        let Tally { files, faults, first, trouble: own } = tally;
        let (cuts, within, seed) = (self.cuts, self.within, self.seed);
        let cuts = format!("{cuts} cuts, {within} of them while a state changed (--seed {seed})");
        let what = format!("{}: looked at {files} times after {cuts}", check.about);
        let faults = first.map(|first| format!("not so {faults} times, first {first}"));
        let observed = || {
            Observed(vec![Observation {
                what: what.clone(),
                outcome: None,
                faults: faults.clone().into_iter().collect(),
                lacks: 0,
                ordinary: false,
            }])
        };
        let seen = match (faults.is_some(), trouble, own) {
            (true, ..) => Ok(observed()),
            (false, Some(why), _) => Err(Trouble::Setup(why.into())),
            (false, None, Some(setup @ Trouble::Setup(_))) => Err(setup),
            (false, None, _) if files > 0 => Ok(observed()),
            (false, None, own) => Err(own?),
        };
        let (verdict, detail) = judge(check.clause, &seen, &[]);
        let (lost, controls) = (self.controls.0 - self.controls.1, self.controls.0);
        let detail =
            detail.or_else(|| Some(format!("{what}; lost were {lost} of {controls} that nobody made durable")));
        let duration_ms = time.as_secs_f64() * 1000.0;
        let (name, trace) = (check.name.to_owned(), Vec::new());
        Some(CaseResult { name, verdict, duration_ms, detail, trace, steps: Vec::new() })
    }
}

/// Fills the row of a clause. If a violation is expected but no cut met its moment, that is no surprise.
fn judged(row: &mut ClauseResult, case: &CaseResult, (expected, reason): (Verdict, Option<&str>)) {
    let missed = expected == Verdict::Violated && matches!(case.verdict, Verdict::Holds | Verdict::NotOffered);
    row.verdict = case.verdict;
    row.expected = (!missed).then_some(expected);
    row.reason = match missed {
        true => Some(not_met(reason)),
        false if case.verdict == Verdict::Error => case.detail.clone(),
        false => reason.map(str::to_owned),
    };
    row.cases = vec![case.clone()];
}

/// The state of a file after a cut, in a few words.
fn describe(state: CrashState, examined: Option<&Examined>) -> String {
    let kept = match state {
        CrashState::OnlyFlushed => "nothing kept that was not flushed",
        CrashState::SomeKept(_) => "some kept that was not flushed",
        CrashState::AllWritten => "all kept that was written",
        CrashState::AllStored => "all kept that was stored",
    };
    let found = match examined {
        None => "not there".into(),
        Some(Err(_)) => "in doubt".into(),
        Some(Ok(found)) => {
            let data = match found.data {
                Data::Written => "its data",
                Data::Agents => "the data of the agent",
                Data::Other => "other data",
            };
            format!("{} bytes, {data}", found.size)
        }
    };
    format!("{found}, {kept}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plans::FILES;
    use crate::lab::power::story::within;

    /// The verdicts on a file with this story that was found like this after a cut that lost all unflushed data.
    fn verdicts(
        mechanism: Mechanism,
        number: usize,
        story: &Story,
        examined: Option<Examined>,
    ) -> Vec<(&'static str, Verdict)> {
        let mut findings = Findings::new(FsKind::Xfs, mechanism, 1);
        let mut stories = vec![Story::default(); FILES];
        stories[number] = story.clone();
        let files: Vec<(usize, Examined)> = examined.into_iter().map(|examined| (number, examined)).collect();
        findings.add(CUT, CrashState::OnlyFlushed, &stories, &files);
        findings.cuts = 1;
        let run = Run { fs: FsKind::Xfs, mechanism };
        let results = findings.results(&run, &Kernel::of_release("6.12"), None, Duration::ZERO);
        let tested = results.clauses.iter().filter(|clause| clause.verdict != Verdict::Untested);
        tested.filter_map(|row| Some((crate::results::clause(row)?.id, row.verdict))).collect()
    }

    fn story(begun: &[Action], returned: usize) -> Story {
        Story { begun: begun.into(), returned, refused: None }
    }

    const CUT: &str = "--power-cuts 1 --seed 1";

    const fn found(data: Data, sealed: bool, unsealed: bool) -> Examined {
        Ok(FileState { size: SIZE, data, sealed: Ok(sealed), unsealed: Ok(unsealed) })
    }

    const SEALED: Examined = found(Data::Written, true, false);
    const UNSEALED: Examined = found(Data::Written, false, true);

    #[test]
    fn each_clause_demands_its_files() {
        use Action::{Agent, Enter, Leave, Sync, Write};
        use Verdict::{Holds, Violated};
        let of = |number, story: &Story, look| verdicts(Mechanism::ImmutableAttr, number, story, look);
        let entered = story(&[Write, Enter], 2);
        assert_eq!(of(1, &entered, Some(SEALED)), [("durable.seal", Holds), ("durable.data", Holds)]);
        assert_eq!(of(1, &entered, Some(UNSEALED)), [("durable.seal", Violated), ("durable.data", Holds)]);
        assert_eq!(of(1, &entered, None), [("durable.seal", Violated), ("durable.data", Violated)]);
        assert_eq!(of(1, &story(&[Write, Enter], 1), None), [], "nothing was promised");
        let entering = story(&[Write, Sync, Enter], 2);
        assert_eq!(of(2, &entering, Some(SEALED)), [("durable.either", Holds)]);
        assert_eq!(of(2, &entering, Some(UNSEALED)), [("durable.either", Holds)]);
        let torn = found(Data::Written, false, false);
        assert_eq!(of(2, &entering, Some(torn)), [("durable.either", Violated)]);
        let agents = found(Data::Agents, true, false);
        let reached = story(&[Write, Sync, Enter, Agent], 4);
        assert_eq!(of(2, &reached, Some(agents)), [("durable.seal", Holds), ("durable.agent", Holds)]);
        assert_eq!(of(2, &reached, Some(SEALED)), [("durable.seal", Holds), ("durable.agent", Violated)]);
        let pinned = verdicts(Mechanism::F2fsPin, 2, &reached, None);
        let not_offered = Verdict::NotOffered;
        assert_eq!(pinned, [("durable.seal", not_offered), ("durable.agent", Violated)], "no call shows the state");
        let unpinning = story(&[Enter, Write, Sync, Leave], 3);
        let pin = |size| {
            let hidden = || Err(Trouble::NotOffered("a file in the state can be cut".into()));
            let found = FileState { size, data: Data::Written, sealed: hidden(), unsealed: Ok(true) };
            verdicts(Mechanism::F2fsPin, 3, &unpinning, Some(Ok(found)))
        };
        assert_eq!(pin(SIZE), [("durable.either", not_offered)]);
        assert_eq!(pin(2 << 20), [("durable.either", Violated)], "whatever the state is");
        let left = story(&[Write, Sync, Enter, Sync, Leave], 5);
        assert_eq!(of(3, &left, Some(UNSEALED)), [("durable.data", Holds), ("durable.unseal", Holds)]);
        assert_eq!(of(3, &left, Some(SEALED)), [("durable.data", Holds), ("durable.unseal", Violated)]);
    }

    #[test]
    fn a_refused_action_is_not_offered() {
        let why = Trouble::NotOffered("f2fs pins a file only while it is empty".into());
        let refused = Story { refused: Some(why), ..story(&[Action::Write, Action::Enter], 1) };
        assert!(!refused.is_changing());
        let expected = [("durable.seal", Verdict::NotOffered), ("durable.data", Verdict::NotOffered)];
        assert_eq!(verdicts(Mechanism::F2fsPin, 1, &refused, None), expected);
    }

    /// A failed preparation is not a violation, and a disk that loses nothing shows nothing.
    #[test]
    fn a_doubt_is_no_violation() {
        let doubt = Err(Trouble::Setup("open: EIO".into()));
        let entered = story(&[Action::Write, Action::Enter], 2);
        let errors = [("durable.seal", Verdict::Error), ("durable.data", Verdict::Error)];
        assert_eq!(verdicts(Mechanism::ImmutableAttr, 1, &entered, Some(doubt)), errors);
        let mut findings = Findings::new(FsKind::Xfs, Mechanism::ImmutableAttr, 1);
        let stories = [story(&[Action::Write], 1), entered];
        let kept = [(0, SEALED), (1, SEALED)];
        findings.add(CUT, CrashState::AllWritten, &stories, &kept);
        assert_eq!(findings.controls, (0, 0), "it was not meant to lose anything");
        findings.add(CUT, CrashState::OnlyFlushed, &stories, &kept);
        assert_eq!(findings.controls, (1, 1));
        let run = Run { fs: FsKind::Xfs, mechanism: Mechanism::ImmutableAttr };
        let results = findings.results(&run, &Kernel::of_release("6.12"), None, Duration::ZERO);
        let row = results.clauses.iter().find(|row| row.id == "durable.seal").unwrap();
        assert_eq!((row.verdict, row.reason.as_deref()), (Verdict::Error, Some("the disk lost none of 1 files")));
    }

    /// A file that grows has the size that the kernel has committed.
    #[test]
    fn a_file_that_grew() {
        let lost = |blocks: i64| {
            let mut findings = Findings::new(FsKind::Ext4Dax, Mechanism::ImmutableAttr, 1);
            let mut stories = vec![Story::default(); FILES];
            stories.push(story(&[Action::Extend; 4], 3));
            let found = FileState { size: blocks * BLOCK_LEN, ..UNSEALED.unwrap() };
            assert_eq!(findings.add(CUT, CrashState::AllStored, &stories, &[(GROWING, Ok(found))]), Faults::new());
            findings.controls
        };
        assert_eq!([lost(2), lost(3), lost(4)], [(1, 0), (1, 1), (1, 1)]);
    }

    /// Each fault is named, and a cut counts once, whatever the number of states of its disk.
    #[test]
    fn faults_are_named() {
        let mut findings = Findings::new(FsKind::Xfs, Mechanism::ImmutableAttr, 1);
        let stories = [story(&[Action::Write], 1), story(&[Action::Write, Action::Enter], 2)];
        assert_eq!(
            findings.add(CUT, CrashState::OnlyFlushed, &stories, &[(1, UNSEALED)]),
            Faults::from([("durable.seal", vec![1])])
        );
        assert_eq!(findings.add(CUT, CrashState::AllWritten, &stories, &[(1, SEALED)]), Faults::new());
        findings.end_cut(&stories);
        let changing = story(&[Action::Write, Action::Sync, Action::Enter], 2);
        assert_eq!(within(&[stories[0].clone(), changing.clone()]), ", while file 1 came into the state");
        findings.end_cut(&[changing]);
        assert_eq!((within(&stories).as_str(), findings.cuts, findings.within), ("", 2, 1));
    }
}
