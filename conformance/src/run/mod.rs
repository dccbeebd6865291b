//! Running cases, and the expectations that a run is measured against.

pub(crate) mod audit;
pub(crate) mod expectations;
pub(crate) mod select;
pub(crate) mod trials;
pub(crate) mod update;
pub(crate) mod watchdog;
