//! The targets: the places where the calls of a case go.

pub(crate) mod device_dax;
pub(crate) mod directory;
pub(crate) mod found;
pub(crate) mod fuse;
pub(crate) mod host;
pub(crate) mod reference;
