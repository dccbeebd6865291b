//! Checks of the workspace as a whole, and helpers that the tests of several crates share.
//!
//! [`floors`] holds the code to the floor plan of ARCHITECTURE.md: imports only go down. [`help`] compares the page of
//! a command with its `--help`, [`output`] says how a command behaves whose output is gone, [`tools`] what a test does
//! without a program of Debian, and [`transcript()`] records a run for a snapshot.
//!
//! ```
//! let plan = iomap_testing::floors::Plan::parse("| room | floor | use |\n|---|---|---|\n| `a/src/` | 1 | all of it |\n");
//! assert!(plan.is_ok());
//! ```
//!
//! It is for tests only, and no command depends on it. The floor plan is read from the tokens of Rust, not from its
//! types: a name that a macro puts together is not seen.

pub mod floors;
pub mod help;
pub mod output;
pub mod tools;
mod transcript;

pub use transcript::transcript;
