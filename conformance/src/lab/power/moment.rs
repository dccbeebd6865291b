//! The moment of a power cut, and the states of the disk after it. Both follow from a seed, so that a cut can be
//! repeated.

use crate::filesystem::FsKind;
use crate::lab::plans::{FILES, GROWING, Plans};
use crate::lab::power::disk::CrashState;
use crate::lab::protocol::{Action, PowerEvent};
use std::time::{Duration, Instant};

/// The moment of a cut. For persistent memory only the time counts, because a store is not a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Moment {
    /// After `lines` lines of the guest, and then during the write or flush after `requests` others, but not later than
    /// after this time.
    Anywhere { lines: usize, requests: u32, at_latest: Duration },
    /// During this action on this file, after this share of the time or requests of the same action on other files.
    Within { file: usize, action: Action, share: f64 },
}

/// A cut, by its seed.
pub(crate) struct Chance {
    pub(crate) seed: u64,
    pub(crate) moment: Moment,
    pub(crate) states: Vec<CrashState>,
}

impl Chance {
    pub(crate) fn of(seed: u64, fs: FsKind, plans: Plans) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let moment = match random.choice(changes(plans)) {
            Some((file, action)) if random.bool() => Moment::Within { file, action, share: random.f64() },
            _ => Moment::Anywhere {
                lines: random.usize(0..lines(fs, plans)),
                requests: random.u32(0..6),
                at_latest: Duration::from_micros(random.u64(0..30_000)),
            },
        };
        let states = match fs.is_dax() {
            true => vec![CrashState::AllStored],
            false => vec![CrashState::OnlyFlushed, CrashState::SomeKept(random.u64(..)), CrashState::AllWritten],
        };
        Self { seed, moment, states }
    }
}

/// The number of lines that a guest prints about its work.
fn lines(fs: FsKind, plans: Plans) -> usize {
    let actions: usize = (0..FILES).map(|file| plans[file % plans.len()].len()).sum();
    2 * actions * if fs.is_dax() { 2 } else { 1 }
}

/// The changes of state of files that are already on storage. The first files are left out, because the duration of
/// their actions is not known yet.
fn changes(plans: Plans) -> Vec<(usize, Action)> {
    let of_file = |file: usize| {
        let synced = plans[file % plans.len()].iter().skip_while(|action| **action != Action::Sync);
        synced.filter(|action| matches!(action, Action::Enter | Action::Leave)).map(move |action| (file, *action))
    };
    (plans.len()..FILES).flat_map(of_file).collect()
}

/// The requests and the durations of a guest's actions.
#[derive(Default)]
pub(crate) struct Pace {
    begun: Option<(Instant, u32)>,
    /// The measurements, by the kind of file and the action.
    taken: Vec<((usize, Action), (u32, Duration))>,
}

impl Pace {
    pub(crate) fn note(&mut self, plans: Plans, at: Instant, requests: u32, event: &PowerEvent) {
        match event {
            PowerEvent::Begun(..) => self.begun = Some((at, requests)),
            PowerEvent::Returned(file, action) => {
                let taken = self.begun.take().map(|(begun, before)| (requests - before, at - begun));
                self.taken.extend(taken.map(|taken| ((file % plans.len(), *action), taken)));
            }
            _ => (),
        }
    }

    /// The median for an action: on a busy machine the lab receives some lines late, after requests of the next action.
    fn of(&self, plans: Plans, file: usize, action: Action) -> Option<(u32, Duration)> {
        let same = self.taken.iter().filter(|(of, _)| *of == (file % plans.len(), action));
        let mut same: Vec<(u32, Duration)> = same.map(|(_, taken)| *taken).collect();
        same.sort();
        same.get(same.len() / 2).copied()
    }
}

/// The longest duration of a request on a busy machine.
const REQUEST: Duration = Duration::from_millis(30);

impl Moment {
    /// Whether the moment is the next thing to wait for, after these events.
    pub(crate) fn is_near(&self, events: &[(Instant, PowerEvent)]) -> bool {
        match (self, events) {
            (_, [.., (_, PowerEvent::Worked)]) => true,
            // The first line reports the beginning of the work.
            (Self::Anywhere { lines, .. }, _) => events.len() > *lines,
            (Self::Within { file, action, .. }, [.., (_, last)]) => *last == PowerEvent::Begun(*file, *action),
            (Self::Within { .. }, []) => false,
        }
    }

    /// Whether the moment may come later, so that there are data to lose.
    pub(crate) fn wants_controls(&self) -> bool {
        matches!(self, Self::Anywhere { .. })
    }

    /// The number of requests before the moment, and its time limit.
    pub(crate) fn limits(&self, plans: Plans, pace: &Pace) -> (u32, Duration) {
        match *self {
            Self::Anywhere { requests, at_latest, .. } => (requests, at_latest),
            Self::Within { file, action, share } => match pace.of(plans, file, action) {
                Some((0, time)) => (u32::MAX, time.mul_f64(share)),
                Some((requests, _)) => ((f64::from(requests) * share) as u32, REQUEST),
                None => (0, REQUEST),
            },
        }
    }
}

/// Whether there are changes in the kernel's memory only: a file has grown since the beginning of the last action that
/// commits.
pub(crate) fn is_uncommitted(events: &[(Instant, PowerEvent)]) -> bool {
    let known = events.iter().rev().find_map(|(_, event)| match event {
        PowerEvent::Returned(GROWING, _) | PowerEvent::Worked => Some(true),
        PowerEvent::Begun(_, Action::Sync | Action::Agent) => Some(false),
        _ => None,
    });
    known.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::plans::plans;
    use crate::mechanism::Mechanism;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn half_of_the_cuts_are_within_a_change() {
        for (mechanism, action) in [(Mechanism::Swapfile, Action::Enter), (Mechanism::F2fsPin, Action::Leave)] {
            let plans = plans(FsKind::F2fs, mechanism);
            let moments: Vec<Moment> = (0..1000).map(|seed| Chance::of(seed, FsKind::F2fs, plans).moment).collect();
            let within = moments.iter().filter(|moment| matches!(moment, Moment::Within { .. })).count();
            assert!((450..550).contains(&within), "{within}");
            for moment in moments {
                let Moment::Within { file, action, share } = moment else { continue };
                let before = plans[file % plans.len()].iter().take_while(|other| **other != action);
                assert!(before.clone().any(|other| *other == Action::Sync), "{file} {action:?}");
                assert!((plans.len()..FILES).contains(&file) && (0.0..1.0).contains(&share));
            }
            assert!(changes(plans).iter().any(|(_, other)| *other == action));
        }
        let plans = plans(FsKind::Xfs, Mechanism::Swapfile);
        let moment = |seed| Chance::of(seed, FsKind::Xfs, plans).moment;
        assert_eq!(moment(7), moment(7));
    }

    /// The moment within an action is measured by the same action on another file of the same kind.
    #[test]
    fn where_in_an_action() {
        let plans = plans(FsKind::Xfs, Mechanism::Swapfile);
        let (mut pace, begin) = (Pace::default(), Instant::now());
        let mut note = |at, requests, event| pace.note(plans, begin + at * MS, requests, &event);
        note(0, 0, PowerEvent::Begun(2, Action::Enter));
        note(8, 4, PowerEvent::Returned(2, Action::Enter));
        // The first of three was received late, without requests in between.
        for (begin, requests) in [(0, 0), (20, 4)] {
            note(begin, 0, PowerEvent::Begun(6, Action::Enter));
            note(begin + 1, requests, PowerEvent::Returned(6, Action::Enter));
        }
        note(9, 4, PowerEvent::Begun(3, Action::Leave));
        note(11, 4, PowerEvent::Returned(3, Action::Leave));
        let limits = |file, action, share| Moment::Within { file, action, share }.limits(plans, &pace);
        assert_eq!(limits(6, Action::Enter, 0.0), (0, REQUEST));
        assert_eq!(limits(6, Action::Enter, 0.99), (3, REQUEST), "during the last of its requests");
        assert_eq!(limits(7, Action::Leave, 0.5), (u32::MAX, MS), "there are no requests");
        assert_eq!(limits(7, Action::Enter, 0.5), (0, REQUEST), "no other file shows it");
    }

    #[test]
    fn a_moment_is_near_the_event() {
        let events: Vec<(Instant, PowerEvent)> = [
            PowerEvent::Working,
            PowerEvent::Begun(0, Action::Write),
            PowerEvent::Returned(0, Action::Write),
            PowerEvent::Worked,
        ]
        .map(|event| (Instant::now(), event))
        .into();
        let near = |moment: Moment| (0..=events.len()).find(|count| moment.is_near(&events[..*count]));
        let anywhere = |lines| Moment::Anywhere { lines, requests: 0, at_latest: MS };
        assert_eq!((near(anywhere(0)), near(anywhere(2)), near(anywhere(9))), (Some(1), Some(3), Some(4)));
        let within = |file| Moment::Within { file, action: Action::Write, share: 0.5 };
        assert_eq!((near(within(0)), near(within(4))), (Some(2), Some(4)), "at the end it comes anyway");
    }

    #[test]
    fn growth_is_uncommitted_until_a_sync() {
        let grown = [PowerEvent::Begun(GROWING, Action::Extend), PowerEvent::Returned(GROWING, Action::Extend)];
        let events: Vec<(Instant, PowerEvent)> = [PowerEvent::Working, PowerEvent::Begun(0, Action::Write)]
            .into_iter()
            .chain(grown.clone())
            .chain([PowerEvent::Begun(0, Action::Sync), PowerEvent::Returned(0, Action::Sync)])
            .chain(grown)
            .map(|event| (Instant::now(), event))
            .collect();
        let known: Vec<bool> = (0..=events.len()).map(|count| is_uncommitted(&events[..count])).collect();
        assert_eq!(known, [false, false, false, false, true, false, false, false, true]);
    }
}
