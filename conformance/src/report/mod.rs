//! Reports of results, for people and for programs.

pub(crate) mod compare;
pub mod format;
pub(crate) mod human;
pub(crate) mod junit;
pub(crate) mod kcidb;
pub(crate) mod ktap;
pub(crate) mod matrix;
pub(crate) mod schema;
pub(crate) mod terminal;
