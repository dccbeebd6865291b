//! The documents that the conformance suite writes and reads, as types.
//!
//! [`Results`] is the document of one run: a [`Verdict`] for each clause and for each case. [`Results::parse_all`] gets
//! documents from JSON, [`compare`] returns the differences between two sides, and [`Sum`] computes an exit code.
//! [`Schema`] has the JSON Schema of each document; the tests derive it from the types.
//!
//! ```
//! let text = r#"{
//!     "schema": 2, "spec": {"version": "0.1", "digest": "0123abcd"},
//!     "target": "host", "mechanism": "swapfile", "fs": "xfs", "kernel": {"release": "6.18.0"},
//!     "clauses": [{"id": "truncate.shrink", "verdict": "violated", "expected": "holds", "reason": null, "cases": []}],
//!     "totals": {"violated": 1}
//! }"#;
//! let all: Vec<iomap_results::Results> = iomap_results::Results::parse_all(text)?;
//! assert_eq!(all[0].label(), "xfs/swapfile");
//! assert_eq!(iomap_results::Sum::of(&all).to_string(), "1 clause is not as expected");
//! # Ok::<(), iomap_results::ReadError>(())
//! ```
//!
//! The crate makes no verdicts and prints no reports. It has no clause texts: a result names its clause, and
//! `iomap-clauses` has the text.

#![forbid(unsafe_code)]

mod comparison;
mod documents;
mod read;
mod results;
mod schema;
mod shards;
mod sum;
mod verdict;

pub use comparison::{Change, Comparison, Head, Pair, Unpaired, compare, compare_kernels};
pub use documents::{Audit, AuditedViolation, Lab, ListedCase, Shard};
pub use read::ReadError;
pub use results::{
    CaseOutcome, CaseResult, ClauseResult, Incomparable, Kernel, LogLine, MECHANISMS, Results, SCHEMA, Spec, TARGETS,
    comparable, releases,
};
pub use schema::Schema;
pub use shards::{MergeError, merge};
pub use sum::{Errors, Sum};
pub use verdict::Verdict;
