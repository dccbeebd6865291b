//! Reports of results, for people and for programs.

pub mod compare;
pub mod format;
pub mod human;
pub mod junit;
pub mod kcidb;
pub mod ktap;
pub mod matrix;
pub mod schema;
pub mod terminal;
