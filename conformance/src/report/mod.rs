//! Results, for people and for machines.

pub mod compare;
pub mod format;
pub mod human;
pub mod junit;
pub mod kcidb;
pub mod ktap;
pub mod matrix;
pub mod schema;
pub mod terminal;
