//! Runs of cases, and the expectations to which their verdicts are compared.

pub(crate) mod audit;
pub(crate) mod expectations;
pub(crate) mod lacks;
pub(crate) mod plan;
pub(crate) mod select;
pub(crate) mod trials;
pub(crate) mod update;
pub(crate) mod watchdog;
