//! Running cases, and the expectations that a run is measured against.

pub mod audit;
pub mod expectations;
pub mod select;
pub mod trials;
pub mod update;
pub mod watchdog;
