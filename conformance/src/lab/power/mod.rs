//! Losses of power: a guest works on files until its power is cut, and the next guest examines what is left.

pub(crate) mod cuts;
pub(crate) mod disk;
pub(crate) mod findings;
pub(crate) mod kept;
pub(crate) mod moment;
pub(crate) mod nbd;
