//! Names: paths, directories, opening, and extended attributes.

pub(crate) mod entries;
pub(crate) mod open;
pub(crate) mod paths;
pub(crate) mod xattrs;
