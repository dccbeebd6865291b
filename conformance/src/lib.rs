//! The conformance suite of the specification of immutable iomap files.
//!
//! A [case](case::definition::Case) checks one clause. It runs on a [target](system::Target) with a
//! [mechanism](mechanism::Mechanism), and returns what it observed; [`verdict::judge`] compares that with the clause's
//! envelope, and [`case::picture::Picture`] with what a call may change. Only the harness gives verdicts.

pub mod case;
pub mod cases;
pub mod error;
pub mod filesystem;
pub mod host;
pub mod kernel;
pub mod kernel_log;
pub mod lab;
pub mod lack;
pub mod mechanism;
pub mod programs;
pub(crate) mod reach;
pub mod report;
pub mod reproduce;
pub mod results;
pub mod run;
pub mod system;
pub mod target;
pub mod verdict;
pub mod words;
