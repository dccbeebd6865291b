//! The activation of swap files, one at a time if the kernel wants that.

use crate::filesystem::FsKind;
use iomap_reference::Call;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ACTIVATION: Mutex<()> = Mutex::new(());

/// The turn of an activation. A kernel that is activating another file answers EBUSY, and no case may see an EBUSY that
/// its neighbours or the suite itself caused.
pub(crate) type Turn = MutexGuard<'static, ()>;

/// Waits for the turn of a call, if it activates a file and the kernel wants one activation at a time.
pub(crate) fn activation(kind: FsKind, call: &Call) -> Option<Turn> {
    match call.bare() {
        Call::Watched { call, .. } => activation(kind, call),
        Call::Swapon { .. } if kind.facts().activates_in_turn => Some(turn()),
        _ => None,
    }
}

/// Waits for the turn of an activation on any file system.
pub(crate) fn turn() -> Turn {
    ACTIVATION.lock().unwrap_or_else(PoisonError::into_inner)
}
