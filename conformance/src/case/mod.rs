//! What a case works with.

pub mod context;
pub mod definition;
pub mod file;
pub mod picture;
pub(crate) mod prepare;
pub mod trace;
