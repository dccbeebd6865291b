//! The activation of swap files, one at a time if the kernel wants that.

use crate::filesystem::FsKind;
use iomap_reference::Call;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ACTIVATION: Mutex<()> = Mutex::new(());

/// The turn of an activation. A kernel that is activating another file answers EBUSY, and no case may see an EBUSY that
/// its neighbours caused.
pub(crate) fn activation(kind: FsKind, call: &Call) -> Option<MutexGuard<'static, ()>> {
    if let Call::Via { call, .. } = call {
        return activation(kind, call);
    }
    let one_by_one = kind.facts().activates_in_turn && matches!(call, Call::Swapon { .. });
    one_by_one.then(|| ACTIVATION.lock().unwrap_or_else(PoisonError::into_inner))
}
