//! This program inside a guest.

pub mod init;
pub(crate) mod power;
