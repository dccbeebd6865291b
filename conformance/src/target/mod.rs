//! The targets: the places where the calls of a case go.

pub(crate) mod device_dax;
pub mod directory;
pub(crate) mod found;
pub mod fuse;
pub mod host;
pub mod reference;
