//! What host and guest tell each other: a manifest in the initramfs, and lines of JSON through a port.

use super::scenario::Step;
use crate::results::Results;
use serde::{Deserialize, Serialize};

/// Where the manifest is in the guest.
pub(super) const MANIFEST: &str = "/manifest.json";

/// The name of the virtio port that the results go through.
pub(super) const PORT: &str = "iomap.results";

/// What a guest does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// Modules to load, in this order: paths in the guest.
    pub(super) modules: Vec<String>,
    /// Commands to carry out before the runs.
    pub(super) commands: Vec<String>,
    /// What to run, one after another.
    pub(super) runs: Vec<Run>,
    /// Only cases whose name contains this.
    pub(super) filter: Option<String>,
    /// A script for bash whose steps are to be reported instead.
    pub(super) script: Option<String>,
    /// A shell to start instead: a path in the guest.
    pub(super) shell: Option<String>,
}

/// One file system with one mechanism, by their names on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) fs: String,
    pub(super) mechanism: String,
}

/// A line from the guest.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Message {
    /// It has what it needs and begins.
    Ready,
    /// A case has ended: its name.
    Case(String),
    /// A run has ended.
    Results(Box<Results>),
    /// A run could not take place or did not end: its number, and why.
    Failed(usize, String),
    /// A step of the script has ended.
    Step(Step),
    /// All runs have ended.
    Done,
}
