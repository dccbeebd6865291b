//! Checks of the workspace as a whole, for tests only.
//!
//! [`floors`] holds the code to the floor plan of ARCHITECTURE.md: imports only go down.
//! [`map`] finds the paths in it that do not exist.
//!
//! ```
//! let plan = iomap_testing::floors::Plan::parse("| room | floor | use |\n|---|---|---|\n| `a/src/` | 1 | all of it |\n");
//! assert!(plan.is_ok());
//! ```
//!
//! It reads Rust by its tokens and not by its types: a name that a macro puts together is not seen.

pub mod files;
pub mod floors;
pub mod map;
