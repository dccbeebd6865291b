//! What a loss of power leaves, compared with what was acknowledged before it.
//!
//! The clauses judge: what the call that seals had promised when it returned has to be so in each way in which the disk
//! may have lost what was not flushed.

use super::disk::Loss;
use super::power_guest::{FILES, GROWING, Plans, plans};
use super::protocol::{Data, Event, Found, Look, Run, Step};
use super::{Document, untested};
use crate::context::{BLOCK_LEN, SIZE};
use crate::expectations::Expectations;
use crate::host::FsKind;
use crate::matrix::trouble_of;
use crate::mechanism::Mechanism;
use crate::report::human::wrap;
use crate::results::{CaseResult, ClauseResult, Results};
use crate::run::not_met;
use crate::verdict::{Observation, Observed, Trouble, judge};
use iomap_clauses::*;
use iomap_results::{LogLine, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

/// What the lab knows of a file at the moment of the cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Story {
    /// The steps that had begun. One that begins after the power is gone, which nothing shows, is here too.
    begun: Vec<Step>,
    /// How many of them had returned, for certain.
    pub(super) returned: usize,
    /// Why the last one that began could not be done.
    refused: Option<Trouble>,
}

impl Story {
    fn has(&self, step: Step) -> bool {
        self.begun[..self.returned].contains(&step)
    }

    fn began(&self, step: Step) -> bool {
        self.begun.contains(&step)
    }

    /// Begun, and not known to have returned or failed. What began after it, if it had returned in a guest without a disk,
    /// changes nothing of the file.
    fn during(&self, step: Step) -> bool {
        let is_last = |(first, rest): (&Step, &[Step])| *first == step && rest.iter().all(|later| *later == Step::Sync);
        self.refused.is_none() && self.begun[self.returned..].split_first().is_some_and(is_last)
    }

    /// Its state was changing.
    fn is_changing(&self) -> bool {
        self.during(Step::Enter) || self.during(Step::Leave)
    }

    fn if_it_had_been_done(&self) -> Self {
        Self { returned: self.begun.len(), ..self.clone() }
    }

    /// The steps that had returned from this one on.
    fn since(&self, step: Step) -> &[Step] {
        let done = &self.begun[..self.returned];
        done.iter().position(|other| *other == step).map_or(&[], |at| &done[at..])
    }
}

/// What is known of each file. What was heard after the power had gone may have happened in memory only: nothing returned
/// then, but what began may have begun before.
pub(super) fn stories(events: Vec<(Instant, Event)>, gone: Instant) -> Vec<Story> {
    let mut stories = vec![Story::default(); FILES + 1];
    for (at, event) in events {
        let before = at < gone;
        match event {
            Event::Begun(file, step) => stories[file].begun.push(step),
            Event::Returned(file, _) if before => stories[file].returned += 1,
            Event::Refused(file, _, trouble) if before => stories[file].refused = Some(trouble),
            _ => (),
        }
    }
    // What one file is refused another one would have been, too: nothing was changing.
    let call = |story: &Story| {
        let steps = story.begun.iter().filter(|step| **step != Step::Sync).copied();
        steps.collect::<Vec<_>>()
    };
    let refusals: Vec<_> = stories.iter().filter_map(|it| Some((call(it), it.refused.clone()?))).collect();
    for story in &mut stories {
        if story.during(Step::Enter) {
            let refusal = refusals.iter().find(|(refused, _)| *refused == call(story));
            story.refused = refusal.map(|(_, trouble)| trouble.clone());
        }
    }
    stories
}

/// Whether a file's state was changing when the power was cut, for people.
pub(super) fn within(stories: &[Story]) -> String {
    let changing = stories.iter().enumerate().find(|(_, story)| story.is_changing());
    let step = |story: &Story| if story.during(Step::Enter) { "came into the state" } else { "left the state" };
    changing.map_or_else(String::new, |(file, story)| format!(", while file {file} {}", step(story)))
}

/// What a clause says of files with some story.
struct Check {
    clause: &'static Clause,
    name: &'static str,
    about: &'static str,
    /// Whether it speaks of such a file.
    applies: fn(&Story) -> bool,
    /// Whether it says something of those in the state, which not every mechanism shows.
    of_state: bool,
    /// Whether a file that is there is as it has to be.
    is_so: fn(&Found) -> Result<bool, Trouble>,
}

static CHECKS: [Check; 5] = [
    Check {
        clause: &DURABLE_SEAL,
        name: "durability::cut_sealed",
        about: "a file that came into the state is in it after the power was cut",
        applies: |story| story.has(Step::Enter) && !story.began(Step::Leave),
        of_state: true,
        is_so: |found| found.sealed.clone(),
    },
    Check {
        clause: &DURABLE_DATA,
        name: "durability::cut_data",
        about: "size and data of a file that came into the state are there after the power was cut",
        applies: |story| story.since(Step::Write).contains(&Step::Enter) && !story.began(Step::Agent),
        of_state: false,
        is_so: |found| Ok(whole(found)),
    },
    Check {
        clause: &DURABLE_EITHER,
        name: "durability::cut_either",
        about: "a file whose state changed when the power was cut is in it or not, and has its data",
        applies: |story| story.has(Step::Sync) && story.is_changing(),
        of_state: false,
        // Another size is one too many whatever the state is, which not every mechanism shows.
        is_so: |found| Ok(whole(found) && (found.sealed.clone()? || found.unsealed.clone()?)),
    },
    Check {
        clause: &DURABLE_UNSEAL,
        name: "durability::cut_unsealed",
        about: "a file that left a durable state is not in it after the power was cut",
        applies: |story| story.since(Step::Enter).contains(&Step::Sync) && story.has(Step::Leave),
        of_state: false,
        is_so: |found| found.unsealed.clone(),
    },
    Check {
        clause: &DURABLE_AGENT,
        name: "durability::cut_agent",
        about: "what an agent wrote and flushed is in the file after the power was cut",
        applies: |story| story.has(Step::Agent),
        of_state: false,
        is_so: |found| Ok(found.data == Data::Agents),
    },
];

impl Check {
    /// Whether a file with this story is as it has to be. Nothing if the clause does not speak of it.
    fn ask(&self, mechanism: Mechanism, story: &Story, look: Option<&Look>) -> Option<Result<bool, Trouble>> {
        if let Some(trouble) = &story.refused
            && (self.applies)(&story.if_it_had_been_done())
        {
            return Some(Err(trouble.clone()));
        }
        let shown = !self.of_state || mechanism.refusal().is_some();
        let not_shown = || Trouble::NotOffered(format!("{}: a file in the state can be cut", mechanism.name()));
        (self.applies)(story).then(|| match look {
            _ if !shown => Err(not_shown()),
            None => Ok(false),
            Some(Err(trouble)) => Err(trouble.clone()),
            Some(Ok(found)) => (self.is_so)(found),
        })
    }
}

/// Its size and its data are what was written.
fn whole(found: &Found) -> bool {
    found.size == SIZE && found.data == Data::Written
}

/// What was found out by one check.
#[derive(Default)]
struct Tally {
    files: usize,
    faults: usize,
    /// Where it was not so for the first time.
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
            // What is in doubt counts more than what is not offered.
            Err(trouble @ Trouble::Setup(_)) => self.trouble = Some(trouble),
            Err(trouble) => drop(self.trouble.get_or_insert(trouble)),
        }
    }
}

/// Files that are not as a clause says.
pub(super) type Faults = BTreeMap<&'static str, Vec<usize>>;

/// What was found out by the cuts of a run.
pub(super) struct Findings {
    mechanism: Mechanism,
    pub(super) plans: Plans,
    pub(super) seed: u64,
    pub(super) cuts: u32,
    /// How many of them fell within a change of state.
    within: u32,
    tallies: [Tally; CHECKS.len()],
    /// Of the files that nobody made durable, how many there were after cuts that lost what was not flushed, and how many
    /// of these had their data.
    controls: (usize, usize),
    pub(super) alarms: Vec<LogLine>,
}

impl Findings {
    pub(super) fn new(fs: FsKind, mechanism: Mechanism, seed: u64) -> Self {
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

    /// Compares what is left after a cut with what was acknowledged before it. Returns what is not as it has to be: each
    /// clause, with the numbers of the files.
    pub(super) fn add(&mut self, seed: u64, loss: Loss, stories: &[Story], looks: &[(usize, Look)]) -> Faults {
        let mut faults = Faults::new();
        for (number, story) in stories.iter().enumerate() {
            let look = looks.iter().find(|(file, _)| *file == number).map(|(_, look)| look);
            if number == GROWING {
                // Only where there is no disk whose cache loses data.
                let grown = BLOCK_LEN * story.returned as i64;
                self.controls.0 += usize::from(grown > 0);
                self.controls.1 += usize::from(grown > 0 && matches!(look, Some(Ok(found)) if found.size >= grown));
                continue;
            }
            if self.plans[number % self.plans.len()] == [Step::Write]
                && story.has(Step::Write)
                && matches!(loss, Loss::All | Loss::Memory)
            {
                self.controls.0 += 1;
                self.controls.1 += usize::from(matches!(look, Some(Ok(found)) if whole(found)));
            }
            for (check, tally) in CHECKS.iter().zip(&mut self.tallies) {
                if let Some(is_so) = check.ask(self.mechanism, story, look) {
                    let place = || format!("file {number}, {}, by --power-cuts 1 --seed {seed}", describe(loss, look));
                    if is_so == Ok(false) {
                        faults.entry(check.clause.id).or_default().push(number);
                    }
                    tally.count(is_so, place);
                }
            }
        }
        faults
    }

    /// All versions of a cut have been looked at.
    pub(super) fn end_cut(&mut self, stories: &[Story]) {
        self.cuts += 1;
        self.within += u32::from(stories.iter().any(Story::is_changing));
    }

    /// The results, and what spoils those that are no violation.
    pub(super) fn results(mut self, run: &Run, release: &str, trouble: Option<String>, time: Duration) -> Results {
        let expectations = Expectations::of(&[&run.mechanism], &run.fs, release);
        let mut results = untested(run, release);
        let (files, kept) = self.controls;
        let lost_nothing = (files > 0 && files == kept).then(|| format!("the disk lost none of {files} files"));
        let trouble = trouble.or_else(|| expectations.as_ref().err().cloned()).or(lost_nothing);
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

/// What becomes of a clause. Moments that were not met prove nothing: that a violation is expected and was not seen, or
/// could not be, is no surprise.
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

/// What was looked at in each run, and what was found.
pub(super) fn human(document: &Document) -> String {
    let mut out = String::new();
    for run in &document.runs {
        let _ = writeln!(out, "Linux {}, {}", run.kernel.release, run.label());
        for clause in run.clauses.iter().filter(|clause| !clause.cases.is_empty()) {
            let expected = match (clause.verdict, clause.is_surprise()) {
                (Verdict::Violated, false) => ", as expected",
                (_, true) => ", which was not expected",
                _ => "",
            };
            let _ = writeln!(out, "  {:16}{}{expected}", clause.id, clause.verdict);
            // What went wrong is said once, below.
            let known = clause.verdict != Verdict::Error;
            let details = clause.cases.iter().filter_map(|case| case.detail.as_deref()).chain(clause.reason.as_deref());
            details.filter(|_| known).for_each(|detail| out += &(wrap(detail, 4) + "\n"));
        }
        out += &trouble_of(run);
        out += "\n";
    }
    out
}

/// What was found, in a few words.
fn describe(loss: Loss, look: Option<&Look>) -> String {
    let kept = match loss {
        Loss::All => "nothing kept that was not flushed",
        Loss::Some(_) => "some kept that was not flushed",
        Loss::Nothing => "all kept that was written",
        Loss::Memory => "all kept that was stored",
    };
    let found = match look {
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

    fn events(list: &[(u64, Event)]) -> Vec<Story> {
        let begin = Instant::now();
        let at = |(at, event): &(u64, Event)| (begin + Duration::from_secs(*at), event.clone());
        stories(list.iter().map(at).collect(), begin + Duration::from_secs(10))
    }

    /// What comes after the power has gone may have happened in memory only.
    #[test]
    fn what_is_known_at_the_moment_of_the_cut() {
        let step = |step| [(1, Event::Begun(1, step)), (2, Event::Returned(1, step))];
        let known = events(&[step(Step::Write), step(Step::Enter)].concat());
        assert!(known[1].has(Step::Enter) && !known[1].during(Step::Enter));
        let late = [(3, Event::Begun(1, Step::Enter)), (11, Event::Returned(1, Step::Enter))];
        let known = events(&[step(Step::Write), late.clone()].concat());
        assert!(!known[1].has(Step::Enter) && known[1].during(Step::Enter));
        let later = [&step(Step::Write)[..], &late, &[(12, Event::Begun(1, Step::Leave))]].concat();
        let known = events(&later);
        assert!(known[1].began(Step::Leave) && !known[1].during(Step::Enter) && !known[1].during(Step::Leave));
        let synced = [&step(Step::Write)[..], &late, &[(12, Event::Begun(1, Step::Sync))]].concat();
        assert!(events(&synced)[1].during(Step::Enter), "to sync it is no change");
    }

    /// A call under way that was refused to the files before changes nothing.
    #[test]
    fn what_would_have_been_refused() {
        let begun =
            |file, steps: &[Step]| steps.iter().map(move |step| (1, Event::Begun(file, *step))).collect::<Vec<_>>();
        let returned = |file, step| (1, Event::Returned(file, step));
        let why = Trouble::NotOffered("no swap files".into());
        let refused = [begun(1, &[Step::Write, Step::Enter]), vec![returned(1, Step::Write)]].concat();
        let refused = [refused, vec![(2, Event::Refused(1, Step::Enter, why.clone()))]].concat();
        let next = begun(2, &[Step::Write, Step::Sync, Step::Enter]);
        let next = [next, vec![returned(2, Step::Write), returned(2, Step::Sync)]].concat();
        assert!(events(&next)[2].is_changing());
        let known = events(&[refused.clone(), next].concat());
        assert!(!known[2].is_changing() && known[2].refused == Some(why));
        // Another order of steps is another matter.
        assert!(events(&[refused, begun(2, &[Step::Enter])].concat())[2].is_changing());
    }

    /// A file with this story, found like this after a cut that lost what was not flushed: verdict and detail by clause.
    fn verdicts(
        mechanism: Mechanism,
        number: usize,
        story: &Story,
        look: Option<Look>,
    ) -> Vec<(&'static str, Verdict)> {
        let mut findings = Findings::new(FsKind::Xfs, mechanism, 1);
        let mut stories = vec![Story::default(); FILES];
        stories[number] = story.clone();
        let looks: Vec<(usize, Look)> = look.into_iter().map(|look| (number, look)).collect();
        findings.add(1, Loss::All, &stories, &looks);
        findings.cuts = 1;
        let run = Run { fs: "xfs".into(), mechanism: mechanism.name().into() };
        let results = findings.results(&run, "6.12", None, Duration::ZERO);
        let tested = results.clauses.iter().filter(|clause| clause.verdict != Verdict::Untested);
        tested.filter_map(|row| Some((crate::results::clause(row)?.id, row.verdict))).collect()
    }

    fn story(begun: &[Step], returned: usize) -> Story {
        Story { begun: begun.into(), returned, refused: None }
    }

    const fn found(data: Data, sealed: bool, unsealed: bool) -> Look {
        Ok(Found { size: SIZE, data, sealed: Ok(sealed), unsealed: Ok(unsealed) })
    }

    const SEALED: Look = found(Data::Written, true, false);
    const UNSEALED: Look = found(Data::Written, false, true);

    #[test]
    fn what_has_to_be_there() {
        use Step::{Agent, Enter, Leave, Sync, Write};
        use Verdict::{Holds, Violated};
        let of = |number, story: &Story, look| verdicts(Mechanism::ImmutableAttr, number, story, look);
        let entered = story(&[Write, Enter], 2);
        assert_eq!(of(1, &entered, Some(SEALED)), [("durable.seal", Holds), ("durable.data", Holds)]);
        assert_eq!(of(1, &entered, Some(UNSEALED)), [("durable.seal", Violated), ("durable.data", Holds)]);
        assert_eq!(of(1, &entered, None), [("durable.seal", Violated), ("durable.data", Violated)]);
        assert_eq!(of(1, &story(&[Write, Enter], 1), None), [], "nobody promised anything");
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
            let found = Found { size, data: Data::Written, sealed: hidden(), unsealed: Ok(true) };
            verdicts(Mechanism::F2fsPin, 3, &unpinning, Some(Ok(found)))
        };
        assert_eq!(pin(SIZE), [("durable.either", not_offered)]);
        assert_eq!(pin(2 << 20), [("durable.either", Violated)], "whatever the state is");
        let left = story(&[Write, Sync, Enter, Sync, Leave], 5);
        assert_eq!(of(3, &left, Some(UNSEALED)), [("durable.data", Holds), ("durable.unseal", Holds)]);
        assert_eq!(of(3, &left, Some(SEALED)), [("durable.data", Holds), ("durable.unseal", Violated)]);
    }

    #[test]
    fn what_could_not_be_done() {
        let why = Trouble::NotOffered("f2fs pins a file only while it is empty".into());
        let refused = Story { refused: Some(why), ..story(&[Step::Write, Step::Enter], 1) };
        assert!(!refused.is_changing());
        let expected = [("durable.seal", Verdict::NotOffered), ("durable.data", Verdict::NotOffered)];
        assert_eq!(verdicts(Mechanism::F2fsPin, 1, &refused, None), expected);
    }

    /// A preparation that failed is no violation, and a disk that loses nothing shows nothing.
    #[test]
    fn what_shows_nothing() {
        let doubt = Err(Trouble::Setup("open: EIO".into()));
        let entered = story(&[Step::Write, Step::Enter], 2);
        let errors = [("durable.seal", Verdict::Error), ("durable.data", Verdict::Error)];
        assert_eq!(verdicts(Mechanism::ImmutableAttr, 1, &entered, Some(doubt)), errors);
        let mut findings = Findings::new(FsKind::Xfs, Mechanism::ImmutableAttr, 1);
        let stories = [story(&[Step::Write], 1), entered];
        let kept = [(0, SEALED), (1, SEALED)];
        findings.add(1, Loss::Nothing, &stories, &kept);
        assert_eq!(findings.controls, (0, 0), "it was not meant to lose anything");
        findings.add(1, Loss::All, &stories, &kept);
        assert_eq!(findings.controls, (1, 1));
        let run = Run { fs: "xfs".into(), mechanism: "immutable-attr".into() };
        let results = findings.results(&run, "6.12", None, Duration::ZERO);
        let row = results.clauses.iter().find(|row| row.id == "durable.seal").unwrap();
        assert_eq!((row.verdict, row.reason.as_deref()), (Verdict::Error, Some("the disk lost none of 1 files")));
    }

    /// What the kernel only had in its own memory of a file that grows.
    #[test]
    fn what_grew() {
        let lost = |blocks: i64| {
            let mut findings = Findings::new(FsKind::Ext4Dax, Mechanism::ImmutableAttr, 1);
            let mut stories = vec![Story::default(); FILES];
            stories.push(story(&[Step::Extend; 4], 3));
            let found = Found { size: blocks * BLOCK_LEN, ..UNSEALED.unwrap() };
            assert_eq!(findings.add(1, Loss::Memory, &stories, &[(GROWING, Ok(found))]), Faults::new());
            findings.controls
        };
        assert_eq!([lost(2), lost(3), lost(4)], [(1, 0), (1, 1), (1, 1)]);
    }

    /// What is not as it has to be is named, and a cut counts once, whatever it may have lost.
    #[test]
    fn what_is_named() {
        let mut findings = Findings::new(FsKind::Xfs, Mechanism::ImmutableAttr, 1);
        let stories = [story(&[Step::Write], 1), story(&[Step::Write, Step::Enter], 2)];
        assert_eq!(findings.add(1, Loss::All, &stories, &[(1, UNSEALED)]), Faults::from([("durable.seal", vec![1])]));
        assert_eq!(findings.add(1, Loss::Nothing, &stories, &[(1, SEALED)]), Faults::new());
        findings.end_cut(&stories);
        let changing = story(&[Step::Write, Step::Sync, Step::Enter], 2);
        assert_eq!(within(&[stories[0].clone(), changing.clone()]), ", while file 1 came into the state");
        findings.end_cut(&[changing]);
        assert_eq!((within(&stories).as_str(), findings.cuts, findings.within), ("", 2, 1));
    }
}
