//! What a case works with.

pub mod context;
pub mod definition;
pub mod picture;
pub mod trace;
