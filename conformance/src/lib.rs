//! The conformance suite of the specification of immutable iomap files.
//!
//! A [`Case`] checks one clause. It makes calls in a [`System`] of a [`Target`] with a [`Mechanism`], and returns its
//! observations. The harness alone gives verdicts, from the observations and the envelope of the clause. [`run`] makes
//! [`Results`] of them, and [`format::write`] a report.
//!
//! ```
//! use iomap_conformance::{Case, Event, Expectations, Guard, Mechanism, Reference};
//! use iomap_conformance::{Progress, Subject, TIMEOUT, Target, cases, run};
//! use std::sync::Arc;
//!
//! let target: Arc<dyn Target> = Arc::new(Reference::new(None));
//! let subject = Subject { target: "reference", mechanism: Mechanism::Seal, fs: "model" };
//! let chosen: Vec<&Case> = cases().filter(|case| case.clause.id == "truncate.shrink").collect();
//! let guard = Arc::new(Guard::new(TIMEOUT, None));
//! let progress: Progress = Arc::new(|_: Event| ());
//! let results = run(&target, &subject, (&chosen, 2), &Expectations::all_hold(), &guard, &progress);
//! assert_eq!(results.sum().to_string(), "conforms");
//! ```
//!
//! The command `iomap-conformance` is [`main`]. The other exports are for tests, which run the suite in their own
//! processes.
//!
//! The suite does not test whether a file system keeps data, or how fast it is. It says nothing about a call that no
//! clause is about, and nothing about other moments than those of its cases. It reads no pages: `iomap-clauses` has the
//! clauses from the build.

mod case;
mod cases;
mod cli;
mod filesystem;
mod host;
mod kernel;
mod kernel_log;
mod lab;
mod lack;
mod mechanism;
mod programs;
mod report;
mod reproduce;
mod results;
mod run;
mod system;
mod target;
mod verdict;
mod words;

pub use case::definition::Case;
pub use cases::list::all as cases;
pub use cli::command::main;
pub use filesystem::FsKind;
pub use host::guardian;
pub use kernel::release;
pub use kernel_log::{Devices, KernelLog};
pub use lack::Lacking;
pub use mechanism::Mechanism;
pub use programs::TIMEOUT;
pub use report::format::{self, Format};
pub use report::kcidb::Submitter;
pub use results::{CaseResult, ClauseResult, Results};
pub use run::audit::audit;
pub use run::expectations::Expectations;
pub use run::trials::{Event, Progress, Subject, run, test_arguments, trials};
pub use run::watchdog::Guard;
pub use system::{Action, Lane, Outcomes, Ready, Step, StorageAgent, System, Target};
pub use target::directory::{Directory, Fresh};
pub use target::host::missing as missing_programs;
pub use target::reference::Reference;
pub use verdict::Trouble;
