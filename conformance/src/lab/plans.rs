//! The work of a guest that loses its power: its files, its disks, and the actions on each file.

use crate::filesystem::FsKind;
use crate::lab::protocol::Action;
use crate::mechanism::Mechanism;

/// The name of the disk for the work.
pub(crate) const WORK: &str = "work";

/// The name of a disk to examine: one of the states that the last power cut may have left.
pub(crate) fn left(number: usize) -> String {
    format!("left-{number}")
}

/// The number of files. Half of them stay active as swap files, of which Linux allows 23 (MAX_SWAPFILES).
pub(crate) const FILES: usize = 24;

/// The number of an additional file, for storage without a cache that loses data. It grows after every action: until
/// the kernel commits, the new size is only in the kernel's memory.
pub(crate) const GROWING: usize = FILES;

/// The actions on each file. Files use the plans in turn.
pub(crate) type Plans = &'static [&'static [Action]];

/// The usual plans. The first is a control: no action makes the file durable.
const PLANS: [&[Action]; 4] = [
    &[Action::Write],
    &[Action::Write, Action::Enter],
    &[Action::Write, Action::Sync, Action::Enter, Action::Agent],
    &[Action::Write, Action::Sync, Action::Enter, Action::Sync, Action::Leave],
];

/// The plans for files that must be empty when they enter the state. An older f2fs allows data in the file.
const PLANS_OF_PINS: [&[Action]; 4] = [
    &[Action::Write],
    &[Action::Write, Action::Enter],
    &[Action::Enter, Action::Write, Action::Sync, Action::Agent],
    &[Action::Enter, Action::Write, Action::Sync, Action::Leave],
];

/// The plans for files with stores by a processor. The kernel allocates storage for a hole during a store.
const PLANS_OF_HOLES: [&[Action]; 5] =
    [PLANS[0], PLANS[1], PLANS[2], PLANS[3], &[Action::Extend, Action::Enter, Action::Agent]];

/// The plans of a run.
pub(crate) fn plans(fs: FsKind, mechanism: Mechanism) -> Plans {
    match mechanism {
        Mechanism::F2fsPin => &PLANS_OF_PINS,
        // No other mechanism allows a file with holes in the state.
        Mechanism::ImmutableAttr if fs.is_dax() => &PLANS_OF_HOLES,
        Mechanism::ImmutableAttr | Mechanism::Swapfile | Mechanism::Seal | Mechanism::DeviceDax => &PLANS,
    }
}
