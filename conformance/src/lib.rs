//! The conformance suite of the specification of immutable iomap files.
//!
//! A [case](case::definition::Case) checks one clause. It runs on a [target](system::Target) with a
//! [mechanism](mechanism::Mechanism), and returns its observations; [`verdict::judge`] compares these with the clause's
//! envelope, and [`case::picture::Picture`] with the changes that a call may make. Only the harness gives verdicts.

mod case;
mod cases;
mod cli;
mod error;
mod filesystem;
mod host;
mod kernel;
mod kernel_log;
mod lab;
mod lack;
mod mechanism;
mod programs;
mod reach;
mod report;
mod reproduce;
mod results;
mod run;
mod situation;
mod system;
mod target;
mod verdict;
mod words;

pub use case::definition::Case;
pub use cases::list::all as cases;
pub use cli::command::main;
pub use error::Error;
pub use filesystem::FsKind;
pub use host::guardian;
pub use host::proc::active_below;
pub use kernel::release;
pub use kernel_log::{Devices, KernelLog};
pub use lack::Lacking;
pub use mechanism::Mechanism;
pub use programs::TIMEOUT;
pub use report::format::{self, Format};
pub use report::kcidb::Submitter;
pub use results::{CaseResult, ClauseResult, Results};
pub use run::audit::{audit, audit_conditions, sample};
pub use run::expectations::Expectations;
pub use run::plan::{Place, Plan, Run, Situations};
pub use run::trials::{Event, Progress, Subject, run, test_arguments, trials};
pub use run::watchdog::Guard;
pub use situation::axes::Situation;
pub use system::{Action, Lane, Outcomes, Ready, Step, StorageAgent, System, Target};
pub use target::directory::{Directory, Fresh};
pub use target::host::missing as missing_programs;
pub use target::reference::Reference;
pub use verdict::Trouble;
