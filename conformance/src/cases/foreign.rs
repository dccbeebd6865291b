//! A file system above the one that seals.

use crate::case::context::Context;
use crate::case::definition::{Case, case};
use crate::case::file::File;
use crate::mechanism::SIZE;
use crate::verdict::{Seen, Trouble};
use iomap_clauses::*;
use iomap_reference::{Call, Route, STATX_SEALED, XFLAG_SEALED};

pub(super) static CASES: &[Case] = &[
    case(&FOREIGN_LAYERS, "overlay", "sealing through an overlay is refused", |t| {
        needs_a_layer(t)?;
        let file = t.file("file", SIZE)?;
        let above = file.enter_call()?.via(Route::Overlay);
        let fresh = file.refused(&above)?;
        t.setup(&file.enter_call()?)?;
        Ok(fresh.and(file.refused(&above)?))
    }),
    case(&FOREIGN_REPORT, "overlay_xflag", "an overlay does not show the xflag of the sealed file below", |t| {
        is_clear_above(t, XFLAG_SEALED.into(), |file| Call::GetXflags { fd: file.fd() })
    }),
    case(
        &FOREIGN_REPORT,
        "overlay_attribute",
        "an overlay does not show the attribute of the sealed file below",
        |t| is_clear_above(t, STATX_SEALED, |file| Call::Statx { name: file.name(), mask: false }),
    ),
    case(&FOREIGN_REPORT, "overlay_mask", "an overlay does not offer the attribute of sealed files", |t| {
        is_clear_above(t, STATX_SEALED, |file| Call::Statx { name: file.name(), mask: true })
    }),
];

fn needs_a_layer(t: &Context) -> Result<(), Trouble> {
    t.needs_seal("call that a layer above would have to refuse")?;
    t.reach(&Call::FreeSpace.via(Route::Overlay))
}

/// The query of a sealed file through the layer above it does not have the bit.
fn is_clear_above(t: &Context, bit: u64, query: fn(&File) -> Call) -> Seen {
    needs_a_layer(t)?;
    let file = t.sealed_as("file")?;
    let above = query(&file).via(Route::Overlay);
    t.given(&above, "no such query above")?;
    let seen = t.observe(&above)?;
    let shown = t.setup_number(&above)?.cast_unsigned() & bit != 0;
    Ok(seen.and(t.fact("the bit is clear above the file", !shown)))
}
