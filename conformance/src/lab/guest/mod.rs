//! This program in a guest: as the first process, and as the process of each run.

pub(crate) mod cost;
pub(crate) mod init;
pub(crate) mod nvdimm;
pub(crate) mod port;
pub(crate) mod power;
pub(crate) mod script;
pub(crate) mod shell;
pub(crate) mod stress;
pub(crate) mod suite;
pub(crate) mod unaware;
