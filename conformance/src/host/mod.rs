//! This kernel: file systems that the suite makes on loop devices, in its own mount namespace.
//!
//! Nothing stays behind, however the process ends. The image has no name, the loop device detaches itself, and the
//! mounts live in a namespace that ends with its processes. Only an active swap file outlives its process; the guardian
//! deactivates it.

mod above;
pub(crate) mod activation;
pub(crate) mod admin;
pub(crate) mod agent;
pub(crate) mod areas;
pub(crate) mod calls;
pub(crate) mod device;
pub mod guardian;
pub(crate) mod held;
pub(crate) mod image;
pub(crate) mod offer;
pub(crate) mod pool;
pub(crate) mod probe;
pub(crate) mod proc;
pub(crate) mod routes;
pub(crate) mod sandbox;
pub(crate) mod sealing;
pub(crate) mod segments;
pub(crate) mod stock;
pub(crate) mod sys;
pub(crate) mod system;
