//! Runs of cases, and the expectations to which their verdicts are compared.

pub mod audit;
pub mod expectations;
pub mod select;
pub mod trials;
pub mod update;
pub mod watchdog;
