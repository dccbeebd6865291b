//! The definition and the context of a case.

pub mod context;
pub mod definition;
pub mod file;
pub mod picture;
pub(crate) mod prepare;
pub mod trace;
