//! The command `iomap-reference`, a file for each subcommand.

pub(crate) mod format;
pub(crate) mod fsck;
pub(crate) mod list;
pub(crate) mod mkfs;
pub(crate) mod mount;
pub(crate) mod seal;
pub(crate) mod status;
