//! The situations in which a case runs.

pub(crate) mod array;
pub(crate) mod axes;
pub(crate) mod fit;
