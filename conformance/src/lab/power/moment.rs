//! When the power of a guest is cut, and what its disk loses then: by a seed, so that it can be done again.

use crate::host::FsKind;
use crate::lab::guest::power::{FILES, GROWING, Plans};
use crate::lab::power::disk::Loss;
use crate::lab::protocol::{Event, Step};
use std::time::{Duration, Instant};

/// When the power goes. Of persistent memory only the time matters: nobody hears of a store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    /// After so many lines of the guest, then during a write or flush after so many others, or when the time is over.
    Anywhere { lines: usize, requests: u32, at_latest: Duration },
    /// In this step of this file, after so much of what the same step of another file took.
    Within { file: usize, step: Step, share: f64 },
}

/// What a cut is like, by its seed.
pub(crate) struct Chance {
    pub(crate) seed: u64,
    pub(crate) moment: Moment,
    pub(crate) losses: Vec<Loss>,
}

impl Chance {
    pub(crate) fn of(seed: u64, fs: FsKind, plans: Plans) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let moment = match random.choice(changes(plans)) {
            Some((file, step)) if random.bool() => Moment::Within { file, step, share: random.f64() },
            _ => Moment::Anywhere {
                lines: random.usize(0..lines(fs, plans)),
                requests: random.u32(0..6),
                at_latest: Duration::from_micros(random.u64(0..30_000)),
            },
        };
        let losses = match fs.is_dax() {
            true => vec![Loss::Memory],
            false => vec![Loss::All, Loss::Some(random.u64(..)), Loss::Nothing],
        };
        Self { seed, moment, losses }
    }
}

/// How many lines a guest says of its work.
fn lines(fs: FsKind, plans: Plans) -> usize {
    let steps: usize = (0..FILES).map(|file| plans[file % plans.len()].len()).sum();
    2 * steps * if fs.is_dax() { 2 } else { 1 }
}

/// The changes of state of files that are on storage already. Of the first files nobody knows yet how long they take.
fn changes(plans: Plans) -> Vec<(usize, Step)> {
    let of_file = |file: usize| {
        let synced = plans[file % plans.len()].iter().skip_while(|step| **step != Step::Sync);
        synced.filter(|step| matches!(step, Step::Enter | Step::Leave)).map(move |step| (file, *step))
    };
    (plans.len()..FILES).flat_map(of_file).collect()
}

/// What the steps of a guest took: how many requests, and how long.
#[derive(Default)]
pub(crate) struct Pace {
    begun: Option<(Instant, u32)>,
    /// By the kind of file and the step.
    taken: Vec<((usize, Step), (u32, Duration))>,
}

impl Pace {
    pub(crate) fn note(&mut self, plans: Plans, at: Instant, requests: u32, event: &Event) {
        match event {
            Event::Begun(..) => self.begun = Some((at, requests)),
            Event::Returned(file, step) => {
                let taken = self.begun.take().map(|(begun, before)| (requests - before, at - begun));
                self.taken.extend(taken.map(|taken| ((file % plans.len(), *step), taken)));
            }
            _ => (),
        }
    }

    /// What it takes mostly: on a busy machine the lab hears some lines late, after requests of the next step.
    fn of(&self, plans: Plans, file: usize, step: Step) -> Option<(u32, Duration)> {
        let same = self.taken.iter().filter(|(of, _)| *of == (file % plans.len(), step));
        let mut same: Vec<(u32, Duration)> = same.map(|(_, taken)| *taken).collect();
        same.sort();
        same.get(same.len() / 2).copied()
    }
}

/// How long a request may take, at most, on a machine that is busy.
const REQUEST: Duration = Duration::from_millis(30);

impl Moment {
    /// Whether it is about to come, after these events.
    pub(crate) fn is_near(&self, events: &[(Instant, Event)]) -> bool {
        match (self, events) {
            (_, [.., (_, Event::Worked)]) => true,
            // The first line is that the work begins.
            (Self::Anywhere { lines, .. }, _) => events.len() > *lines,
            (Self::Within { file, step, .. }, [.., (_, last)]) => *last == Event::Begun(*file, *step),
            (Self::Within { .. }, []) => false,
        }
    }

    /// Whether it may come later for the sake of what it is to lose.
    pub(crate) fn wants_controls(&self) -> bool {
        matches!(self, Self::Anywhere { .. })
    }

    /// After how many requests it comes, and when, whatever is requested.
    pub(crate) fn limits(&self, plans: Plans, pace: &Pace) -> (u32, Duration) {
        match *self {
            Self::Anywhere { requests, at_latest, .. } => (requests, at_latest),
            Self::Within { file, step, share } => match pace.of(plans, file, step) {
                Some((0, time)) => (u32::MAX, time.mul_f64(share)),
                Some((requests, _)) => ((f64::from(requests) * share) as u32, REQUEST),
                None => (0, REQUEST),
            },
        }
    }
}

/// Whether the kernel has something in its own memory only: a file has grown since the last step that commits began.
pub(crate) fn is_uncommitted(events: &[(Instant, Event)]) -> bool {
    let known = events.iter().rev().find_map(|(_, event)| match event {
        Event::Returned(GROWING, _) | Event::Worked => Some(true),
        Event::Begun(_, Step::Sync | Step::Agent) => Some(false),
        _ => None,
    });
    known.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::guest::power::plans;
    use crate::mechanism::Mechanism;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn half_of_the_cuts_are_within_a_change() {
        for (mechanism, step) in [(Mechanism::Swapfile, Step::Enter), (Mechanism::F2fsPin, Step::Leave)] {
            let plans = plans(FsKind::F2fs, mechanism);
            let moments: Vec<Moment> = (0..1000).map(|seed| Chance::of(seed, FsKind::F2fs, plans).moment).collect();
            let within = moments.iter().filter(|moment| matches!(moment, Moment::Within { .. })).count();
            assert!((450..550).contains(&within), "{within}");
            for moment in moments {
                let Moment::Within { file, step, share } = moment else { continue };
                let before = plans[file % plans.len()].iter().take_while(|other| **other != step);
                assert!(before.clone().any(|other| *other == Step::Sync), "{file} {step:?}");
                assert!((plans.len()..FILES).contains(&file) && (0.0..1.0).contains(&share));
            }
            assert!(changes(plans).iter().any(|(_, other)| *other == step));
        }
        let plans = plans(FsKind::Xfs, Mechanism::Swapfile);
        let moment = |seed| Chance::of(seed, FsKind::Xfs, plans).moment;
        assert_eq!(moment(7), moment(7));
    }

    /// A cut within a step is measured by the same step of another file of the same kind.
    #[test]
    fn where_in_a_step() {
        let plans = plans(FsKind::Xfs, Mechanism::Swapfile);
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let mut note = |at, requests, event| pace.note(plans, begin + at * MS, requests, &event);
        note(0, 0, Event::Begun(2, Step::Enter));
        note(8, 4, Event::Returned(2, Step::Enter));
        // The first of three was heard late, with nothing between.
        for (begin, requests) in [(0, 0), (20, 4)] {
            note(begin, 0, Event::Begun(6, Step::Enter));
            note(begin + 1, requests, Event::Returned(6, Step::Enter));
        }
        note(9, 4, Event::Begun(3, Step::Leave));
        note(11, 4, Event::Returned(3, Step::Leave));
        let limits = |file, step, share| Moment::Within { file, step, share }.limits(plans, &pace);
        assert_eq!(limits(6, Step::Enter, 0.0), (0, REQUEST));
        assert_eq!(limits(6, Step::Enter, 0.99), (3, REQUEST), "during the last of its requests");
        assert_eq!(limits(7, Step::Leave, 0.5), (u32::MAX, MS), "there are no requests");
        assert_eq!(limits(7, Step::Enter, 0.5), (0, REQUEST), "nobody knows");
    }

    #[test]
    fn when_it_is_near() {
        let events: Vec<(Instant, Event)> =
            [Event::Working, Event::Begun(0, Step::Write), Event::Returned(0, Step::Write), Event::Worked]
                .map(|event| (Instant::now(), event))
                .into();
        let near = |moment: Moment| (0..=events.len()).find(|count| moment.is_near(&events[..*count]));
        let anywhere = |lines| Moment::Anywhere { lines, requests: 0, at_latest: MS };
        assert_eq!((near(anywhere(0)), near(anywhere(2)), near(anywhere(9))), (Some(1), Some(3), Some(4)));
        let within = |file| Moment::Within { file, step: Step::Write, share: 0.5 };
        assert_eq!((near(within(0)), near(within(4))), (Some(2), Some(4)), "at the end it comes anyway");
    }

    #[test]
    fn what_is_not_committed() {
        let grown = [Event::Begun(GROWING, Step::Extend), Event::Returned(GROWING, Step::Extend)];
        let events: Vec<(Instant, Event)> = [Event::Working, Event::Begun(0, Step::Write)]
            .into_iter()
            .chain(grown.clone())
            .chain([Event::Begun(0, Step::Sync), Event::Returned(0, Step::Sync)])
            .chain(grown)
            .map(|event| (Instant::now(), event))
            .collect();
        let known: Vec<bool> = (0..=events.len()).map(|count| is_uncommitted(&events[..count])).collect();
        assert_eq!(known, [false, false, false, false, true, false, false, false, true]);
    }
}
