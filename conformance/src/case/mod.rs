//! The definition and the context of a case.

pub(crate) mod context;
pub(crate) mod definition;
pub(crate) mod file;
pub(crate) mod picture;
pub(crate) mod prepare;
pub(crate) mod situated;
pub(crate) mod trace;
mod twin;
