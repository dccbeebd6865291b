//! The progress of guests, for people: a line for each milestone. A terminal has one more line below, with the progress
//! of each guest.

use iomap_command::{WIDTH, passing, tell_line};
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// News from a guest.
#[derive(Clone, Copy, Debug)]
pub(crate) enum News<'a> {
    /// The guest is started, by this command.
    Starts(&'a str),
    /// A milestone: a run has only a few.
    Milestone(&'a str),
    /// A case has ended: the number of cases that have ended so far, and its name.
    Case(usize, &'a str),
}

/// A function that is told the news of a guest.
pub(crate) type Listener<'a> = dyn Fn(News) + Sync + 'a;

/// The progress of all guests, on standard error.
#[derive(Default)]
pub(crate) struct Board {
    /// The progress of each guest, by its label.
    guests: Mutex<BTreeMap<String, String>>,
}

impl Board {
    fn guests(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Prints the news of a guest that was started at `begin`.
    pub(crate) fn tell(&self, label: &str, begin: Instant, news: News) {
        let mut guests = self.guests();
        let (line, place) = match news {
            News::Starts(command) => (Some(command), "boots".to_owned()),
            News::Milestone(text) => (Some(text), text.to_owned()),
            News::Case(number, name) => (None, format!("{number} {name}")),
        };
        passing("");
        if let Some(line) = line {
            tell_line(format_args!("{label}: {line} ({:.1} s)", begin.elapsed().as_secs_f64()));
        }
        guests.insert(label.into(), place);
        passing(&status(&guests));
    }

    /// Removes a guest that has ended.
    pub(crate) fn forget(&self, label: &str) {
        let mut guests = self.guests();
        guests.remove(label);
        passing("");
        passing(&status(&guests));
    }
}

/// The progress of all guests in one line, because a line that wraps could not be erased. Each guest gets the same
/// width.
fn status(guests: &BTreeMap<String, String>) -> String {
    let room = (WIDTH - 1) / guests.len().max(1);
    let part = |(label, place): (&String, &String)| {
        let text: String = format!("{label}: {place}").chars().take(room.saturating_sub(2)).collect();
        format!("{text:<room$}")
    };
    guests.iter().map(part).collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_two_guests() {
        let guests = [("6.1 xfs", "12 truncate::shrink"), ("6.12 ext4", "booted and waiting for what comes next")];
        let guests = guests.map(|(label, place)| (label.to_owned(), place.to_owned())).into();
        let line = status(&guests);
        assert_eq!(line, "6.1 xfs: 12 truncate::shrink           6.12 ext4: booted and waiting for wha");
        assert!(line.len() < WIDTH);
    }
}
