//! The activation of swap files, one after the other where the kernel wants it so.

use crate::filesystem::FsKind;
use iomap_reference::Call;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ACTIVATION: Mutex<()> = Mutex::new(());

/// The turn of an activation: the EBUSY of a kernel that activates another file must not reach a case from its
/// neighbours.
pub(crate) fn activation(kind: FsKind, call: &Call) -> Option<MutexGuard<'static, ()>> {
    if let Call::Via { call, .. } = call {
        return activation(kind, call);
    }
    let one_by_one = kind.facts().activates_in_turn && matches!(call, Call::Swapon { .. });
    one_by_one.then(|| ACTIVATION.lock().unwrap_or_else(PoisonError::into_inner))
}
