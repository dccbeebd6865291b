//! The model: the effects of calls on files and on the space that they use.

pub(crate) mod allocation;
pub(crate) mod attributes;
pub(crate) mod data;
pub(crate) mod descriptors;
pub(crate) mod durability;
pub(crate) mod guard;
pub(crate) mod holds;
pub(crate) mod lifetime;
pub(crate) mod memory;
pub(crate) mod metadata;
pub(crate) mod misbehaviour;
pub(crate) mod mover;
pub(crate) mod permissions;
pub(crate) mod quota;
pub(crate) mod sealing;
pub(crate) mod sharing;
pub(crate) mod size;
pub(crate) mod state;
