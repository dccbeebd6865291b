//! A cut during each request of a change of state: one guest changes the state of files on a disk that keeps its
//! requests, and the disks that had lost their power during one of them are made from that.

use crate::error::{Error, Result};
use crate::lab::board::News;
use crate::lab::plans::WORK;
use crate::lab::power::cuts::{Guests, Task, Wreck, no_disk};
use crate::lab::power::disk::{CrashState, Disk, Request};
use crate::lab::power::findings::Findings;
use crate::lab::power::story::{Story, stories, within};
use crate::lab::protocol::{Action, PowerEvent};
use crate::target::found;
use std::fs::File;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

/// The number of cuts that a guest examines: three disks each, and a machine has few places for disks.
const AT_ONCE: usize = 5;

/// The events after a cut that may have come before it: the guest goes on when a message has left, and not when the
/// lab has it.
const LATE: usize = 2;

/// A cut that could have been: the number of requests before it, and what had been done then.
struct Moment {
    requests: usize,
    stories: Vec<Story>,
}

impl Guests<'_> {
    /// Lets one guest work on a disk to its end, and others examine the disk as it would be after each cut during the
    /// first change of each kind.
    pub(super) fn explore_each(&self, findings: &mut Findings) -> Result<()> {
        let blank = found::image(self.job.fs)?;
        let disk = Arc::new(Disk::recording(&blank).map_err(no_disk)?);
        let visit = self.boot(vec![(WORK.into(), disk.clone())], &[], Some(Task::Whole), &[], findings)?;
        let requests = disk.recorded();
        let moments = moments(&requests, &visit.events, 0..findings.plans.len());
        if moments.is_empty() {
            return Err(Error::from("no file changed its state before the last request"));
        }
        let total = moments.len();
        for (first, some) in (0..).step_by(AT_ONCE).zip(moments.chunks(AT_ONCE)) {
            let mut wrecks = Vec::new();
            for moment in some {
                let seed = moment.requests as u64;
                let text = format!("cut {} of {total}, at request {seed}{}", first + wrecks.len() + 1, moment.within());
                (self.listener)(News::Milestone(&text));
                wrecks.push(moment.wreck(&blank, &requests, 3 * wrecks.len())?);
            }
            let disks = wrecks.iter().flat_map(|wreck| wreck.disks.clone()).collect();
            self.boot(disks, &[], None, &wrecks, findings)?;
        }
        Ok(())
    }
}

impl Moment {
    fn within(&self) -> String {
        within(&self.stories)
    }

    /// The disk after this cut, in each of three states. Its disks have numbers from `first` on.
    fn wreck(&self, blank: &File, requests: &[Request], first: usize) -> Result<Wreck> {
        let disk = Disk::cut_after(blank, requests, self.requests).map_err(no_disk)?;
        let seed = self.requests as u64;
        let repeat = format!("--power-cuts each, at request {seed}");
        let states = vec![CrashState::OnlyFlushed, CrashState::SomeKept(seed), CrashState::AllWritten];
        Wreck::of_disks((seed, repeat), states, self.stories.clone(), Arc::new(disk), first)
    }
}

/// Each request during which a file of these changed its state, and the first one after each change.
fn moments(requests: &[Request], events: &[(Instant, PowerEvent)], files: Range<usize>) -> Vec<Moment> {
    let mut known = 0;
    let moments = requests.iter().enumerate().filter_map(|(number, request)| {
        let heard = events.partition_point(|(at, _)| *at < request.at);
        let stories = stories(&events[..events.len().min(heard + LATE)], request.at);
        let (before, of_files) = (known, &stories[files.clone()]);
        known = of_files.iter().map(changes).sum();
        (known > before || of_files.iter().any(Story::is_changing)).then_some(Moment { requests: number, stories })
    });
    moments.collect()
}

/// The number of changes of state that have returned.
fn changes(story: &Story) -> usize {
    [Action::Enter, Action::Leave].into_iter().filter(|action| story.has(*action)).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::device::nameless;
    use std::time::Duration;

    /// The requests of a seal, and the next one, by which the call has returned.
    #[test]
    fn requests_of_a_change() {
        let image = nameless().unwrap();
        image.set_len(4096).unwrap();
        let disk = Disk::recording(&image).unwrap();
        for _ in 0..6 {
            disk.flush().unwrap().unwrap();
        }
        let requests = disk.recorded();
        let before = |request: usize| requests[request].at;
        let events = [
            (before(0) - Duration::from_secs(1), PowerEvent::Begun(1, Action::Sync)),
            (before(1), PowerEvent::Returned(1, Action::Sync)),
            (before(1), PowerEvent::Begun(1, Action::Enter)),
            (before(3), PowerEvent::Returned(1, Action::Enter)),
            (before(5) + Duration::from_secs(1), PowerEvent::Worked),
        ];
        // A return that came at the time of a request may have come after it.
        let found = moments(&requests, &events, 0..4);
        let numbers: Vec<(usize, bool)> =
            found.iter().map(|moment| (moment.requests, moment.stories[1].is_changing())).collect();
        assert_eq!(numbers, [(2, true), (3, true), (4, false)]);
        assert!(moments(&requests, &events, 2..4).is_empty());
        // A change without a request of its own may have begun before each of these, and has returned before the last.
        let alone = [
            (before(3) - Duration::from_nanos(2), PowerEvent::Begun(1, Action::Enter)),
            (before(3) - Duration::from_nanos(1), PowerEvent::Returned(1, Action::Enter)),
        ];
        let found: Vec<usize> = moments(&requests, &alone, 0..4).iter().map(|moment| moment.requests).collect();
        assert_eq!(found, [0, 1, 2, 3]);
    }
}
