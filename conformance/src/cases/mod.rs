//! The cases, by family.

mod agent;
mod allocation;
mod copies;
mod devices;
pub(crate) mod durability;
mod foreign;
mod holds;
pub(crate) mod list;
mod meanwhile;
mod metadata;
mod mover;
mod names;
mod prompt;
mod query;
mod races;
mod read;
mod reasons;
mod refuse;
mod routes;
mod seal;
mod share;
mod swap;
mod truncate;
mod unseal;
mod write;
