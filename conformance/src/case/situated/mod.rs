//! The preparation of a file as its situation has it.
//!
//! A case asks for a file, in the state or outside of it. The steps here bring the file into the situation. A step that
//! a target does not offer makes the situation unfit for the case; this says nothing about a clause.

mod company;
mod file;
mod fitness;
mod metadata;
mod past;
mod placement;

pub(super) use file::AHEAD;
pub(crate) use fitness::Unfit;
