//! Losses of power: a guest works on files until its power is cut, and the next guest examines the storage.

pub(crate) mod cuts;
pub(crate) mod disk;
pub(crate) mod each;
pub(crate) mod findings;
pub(crate) mod human;
pub(crate) mod kept;
pub(crate) mod moment;
pub(crate) mod nbd;
pub(crate) mod story;
