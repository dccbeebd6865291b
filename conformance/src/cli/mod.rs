//! The command `iomap-conformance`, a file for each subcommand.

pub(crate) mod command;
