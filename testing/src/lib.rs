//! Checks of the workspace as a whole, and helpers that the tests of several crates share.
//!
//! [`floors`] holds the code to the floor plan of ARCHITECTURE.md: imports only go down.
//! [`map`] finds the paths in it that do not exist.
//!
//! ```
//! let plan = iomap_testing::floors::Plan::parse("| room | floor | use |\n|---|---|---|\n| `a/src/` | 1 | all of it |\n");
//! assert!(plan.is_ok());
//! ```
//!
//! The check reads tokens of Rust, not types: it does not see a name that a macro puts together.

pub mod files;
pub mod floors;
pub mod help;
pub mod map;
pub mod output;
pub mod tools;
mod transcript;

pub use transcript::transcript;
