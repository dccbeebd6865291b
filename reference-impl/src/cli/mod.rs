//! The command `iomap-reference`, a file for each subcommand.

pub(crate) mod mkfs;
pub(crate) mod mount;
pub(crate) mod seal;
