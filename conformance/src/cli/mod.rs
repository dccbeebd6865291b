//! The command `iomap-conformance`, a file for each subcommand.

mod audit;
pub(crate) mod command;
mod compare;
mod format;
mod input;
mod lab;
mod libtest;
mod list;
mod matrix;
mod merge;
mod run;
mod schema;
mod situations;
mod subject;
