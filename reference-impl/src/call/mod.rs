//! System calls as data: the vocabulary that the model, the kernel and the reports share.

pub(crate) mod caller;
pub(crate) mod flags;
pub(crate) mod mode;
pub(crate) mod reply;
pub(crate) mod route;
pub(crate) mod system_call;
