//! The work of a guest that loses its power: its files, its disks, and the actions on each file.

use crate::filesystem::FsKind;
use crate::lab::protocol::Action;
use crate::mechanism::Mechanism;

/// The name of the disk for the work.
pub(crate) const WORK: &str = "work";

/// The name of a disk to examine: the power cut before left several states of the disk.
pub(crate) fn left(number: usize) -> String {
    format!("left-{number}")
}

/// The number of files. Half of them stay active as swap files, of which Linux has 23 (MAX_SWAPFILES).
pub(crate) const FILES: usize = 24;

/// The number of one more file, for storage without a cache that loses data: the file grows after each action. Until
/// the kernel commits, it knows the new size in its own memory only.
pub(crate) const GROWING: usize = FILES;

/// The actions on a file, for one file and the next in turn.
pub(crate) type Plans = &'static [&'static [Action]];

/// The usual plans. The first is a control: nothing makes the file durable.
const PLANS: [&[Action]; 4] = [
    &[Action::Write],
    &[Action::Write, Action::Enter],
    &[Action::Write, Action::Sync, Action::Enter, Action::Agent],
    &[Action::Write, Action::Sync, Action::Enter, Action::Sync, Action::Leave],
];

/// The plans where a file comes into the state while it is empty; an older f2fs lets the file have data.
const PLANS_OF_PINS: [&[Action]; 4] = [
    &[Action::Write],
    &[Action::Write, Action::Enter],
    &[Action::Enter, Action::Write, Action::Sync, Action::Agent],
    &[Action::Enter, Action::Write, Action::Sync, Action::Leave],
];

/// The plans where a processor stores into files. The kernel finds storage for a hole during a store.
const PLANS_OF_HOLES: [&[Action]; 5] =
    [PLANS[0], PLANS[1], PLANS[2], PLANS[3], &[Action::Extend, Action::Enter, Action::Agent]];

/// The plans of a run.
pub(crate) fn plans(fs: FsKind, mechanism: Mechanism) -> Plans {
    match mechanism {
        Mechanism::F2fsPin => &PLANS_OF_PINS,
        // No other mechanism lets a file with holes into the state.
        Mechanism::ImmutableAttr if fs.is_dax() => &PLANS_OF_HOLES,
        Mechanism::ImmutableAttr | Mechanism::Swapfile | Mechanism::Seal | Mechanism::DeviceDax => &PLANS,
    }
}
