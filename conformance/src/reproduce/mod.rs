//! Programs that repeat the calls of a case: in C, and as lines of xfs_io(8) where xfs_io can make the calls.
//!
//! Both print each call with its result. They exit with 0 if all results are those that the case observed, with 1 if
//! not, and with 77 if a required condition is missing.

mod c;
mod needs;
pub(crate) mod origin;
pub(crate) mod reproducer;
mod routes;
mod xfs_io;
