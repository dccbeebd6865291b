//! The actions on each file before a cut, reconstructed from the messages.

use crate::lab::plans::FILES;
use crate::lab::protocol::{Action, PowerEvent};
use crate::verdict::Trouble;
use std::time::Instant;

/// The actions on one file, as far as the lab knows them at the moment of the cut.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Story {
    /// The actions that had begun. They may include an action that began after the cut, which cannot be distinguished.
    pub(super) begun: Vec<Action>,
    /// The number of these actions that had certainly returned.
    pub(crate) returned: usize,
    /// The reason why the last of them could not be done.
    pub(super) refused: Option<Trouble>,
}

impl Story {
    /// Whether an action had returned.
    pub(super) fn has(&self, action: Action) -> bool {
        self.begun[..self.returned].contains(&action)
    }

    /// Whether an action had begun.
    pub(super) fn began(&self, action: Action) -> bool {
        self.begun.contains(&action)
    }

    /// Whether the cut may have come during an action: it is the last action begun that changes the file, and no result
    /// was received.
    fn during(&self, action: Action) -> bool {
        let is_last =
            |(first, rest): (&Action, &[Action])| *first == action && rest.iter().all(|later| *later == Action::Sync);
        self.refused.is_none() && self.begun[self.returned..].split_first().is_some_and(is_last)
    }

    /// Whether the file may have been entering or leaving the state at the cut.
    pub(super) fn is_changing(&self) -> bool {
        self.during(Action::Enter) || self.during(Action::Leave)
    }

    /// The same story, as if its last action had returned.
    pub(super) fn if_it_had_been_done(&self) -> Self {
        Self { returned: self.begun.len(), ..self.clone() }
    }

    /// The actions that had returned, from this one on.
    pub(super) fn since(&self, action: Action) -> &[Action] {
        let done = &self.begun[..self.returned];
        done.iter().position(|other| *other == action).map_or(&[], |at| &done[at..])
    }
}

/// The story of each file. An event that was received after the cut may have happened in memory only. So an action
/// counts as returned only if its return was received before the cut; but it may have begun before the cut in any case.
pub(crate) fn stories(events: &[(Instant, PowerEvent)], gone: Instant) -> Vec<Story> {
    let mut stories = vec![Story::default(); FILES + 1];
    for (at, event) in events {
        let before = *at < gone;
        match event {
            PowerEvent::Begun(file, action) => stories[*file].begun.push(*action),
            PowerEvent::Returned(file, _) if before => stories[*file].returned += 1,
            PowerEvent::Refused(file, _, trouble) if before => stories[*file].refused = Some(trouble.clone()),
            _ => (),
        }
    }
    // A call that was refused for one file would have been refused for every file, so its cut is not within a change.
    let call = |story: &Story| {
        let actions = story.begun.iter().filter(|action| **action != Action::Sync).copied();
        actions.collect::<Vec<_>>()
    };
    let refusals: Vec<_> = stories.iter().filter_map(|it| Some((call(it), it.refused.clone()?))).collect();
    for story in &mut stories {
        if story.during(Action::Enter) {
            let refusal = refusals.iter().find(|(refused, _)| *refused == call(story));
            story.refused = refusal.map(|(_, trouble)| trouble.clone());
        }
    }
    stories
}

/// The change of state during the cut, if there was one, for people.
pub(crate) fn within(stories: &[Story]) -> String {
    let changing = stories.iter().enumerate().find(|(_, story)| story.is_changing());
    let action = |story: &Story| if story.during(Action::Enter) { "came into the state" } else { "left the state" };
    changing.map_or_else(String::new, |(file, story)| format!(", while file {file} {}", action(story)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn events(list: &[(u64, PowerEvent)]) -> Vec<Story> {
        let begin = Instant::now();
        let at = |(at, event): &(u64, PowerEvent)| (begin + Duration::from_secs(*at), event.clone());
        stories(&list.iter().map(at).collect::<Vec<_>>(), begin + Duration::from_secs(10))
    }

    /// An event after the cut may have happened in memory only.
    #[test]
    fn a_return_after_the_cut_does_not_count() {
        let action = |action| [(1, PowerEvent::Begun(1, action)), (2, PowerEvent::Returned(1, action))];
        let known = events(&[action(Action::Write), action(Action::Enter)].concat());
        assert!(known[1].has(Action::Enter) && !known[1].during(Action::Enter));
        let late = [(3, PowerEvent::Begun(1, Action::Enter)), (11, PowerEvent::Returned(1, Action::Enter))];
        let known = events(&[action(Action::Write), late.clone()].concat());
        assert!(!known[1].has(Action::Enter) && known[1].during(Action::Enter));
        let later = [&action(Action::Write)[..], &late, &[(12, PowerEvent::Begun(1, Action::Leave))]].concat();
        let known = events(&later);
        assert!(known[1].began(Action::Leave) && !known[1].during(Action::Enter) && !known[1].during(Action::Leave));
        let synced = [&action(Action::Write)[..], &late, &[(12, PowerEvent::Begun(1, Action::Sync))]].concat();
        assert!(events(&synced)[1].during(Action::Enter), "to sync it is no change");
    }

    /// An action during the cut that was refused for earlier files changes nothing.
    #[test]
    fn a_refused_call_is_no_change() {
        let begun = |file, actions: &[Action]| {
            actions.iter().map(move |action| (1, PowerEvent::Begun(file, *action))).collect::<Vec<_>>()
        };
        let returned = |file, action| (1, PowerEvent::Returned(file, action));
        let why = Trouble::NotOffered("no swap files".into());
        let refused = [begun(1, &[Action::Write, Action::Enter]), vec![returned(1, Action::Write)]].concat();
        let refused = [refused, vec![(2, PowerEvent::Refused(1, Action::Enter, why.clone()))]].concat();
        let next = begun(2, &[Action::Write, Action::Sync, Action::Enter]);
        let next = [next, vec![returned(2, Action::Write), returned(2, Action::Sync)]].concat();
        assert!(events(&next)[2].is_changing());
        let known = events(&[refused.clone(), next].concat());
        assert!(!known[2].is_changing() && known[2].refused == Some(why));
        // After other actions, an earlier refusal says nothing about this call.
        assert!(events(&[refused, begun(2, &[Action::Enter])].concat())[2].is_changing());
    }
}
