//! What host and guest tell each other: a manifest in the initramfs, and lines of JSON through a port.

use crate::lab::scenario;
use crate::results::Results;
use crate::verdict::Trouble;
use serde::{Deserialize, Serialize};

/// Where the manifest is in the guest.
pub(crate) const MANIFEST: &str = "/manifest.json";

/// The name of the virtio port that the results go through.
pub(crate) const PORT: &str = "iomap.results";

/// What a guest does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Modules to load, in this order: paths in the guest.
    pub(crate) modules: Vec<String>,
    /// Commands to carry out before the runs.
    pub(crate) commands: Vec<String>,
    /// What to run, one after another.
    pub(crate) runs: Vec<Run>,
    /// Only cases whose name contains this.
    pub(crate) filter: Option<String>,
    /// A script for bash whose steps are to be reported instead.
    pub(crate) script: Option<String>,
    /// A shell to start instead: a path in the guest.
    pub(crate) shell: Option<String>,
    /// No cases, but the work during which the power goes, and a look at what is left.
    pub(crate) power: bool,
}

/// One file system with one mechanism, by their names on the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Run {
    pub(crate) fs: String,
    pub(crate) mechanism: String,
}

/// A line from the guest.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Message {
    /// It has what it needs and begins.
    Ready,
    /// A case begins: its name.
    Begins(String),
    /// A case has ended: its name.
    Ended(String),
    /// A run has ended.
    Results(Box<Results>),
    /// A run could not take place or did not end: its number, and why.
    Failed(usize, String),
    /// What there is to say before and after a loss of power.
    Power(Event),
    /// A step of the script has ended.
    Step(scenario::Step),
    /// All runs have ended.
    Done,
}

/// What a guest says that loses its power, or looks at what was left of the one before. Files have numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Event {
    /// What there is on the disk of this number.
    Left(usize, Left),
    /// The work begins. Everything before it is on storage.
    Working,
    /// A step begins.
    Begun(usize, Step),
    /// It has returned.
    Returned(usize, Step),
    /// It could not be done, so the file is left alone.
    Refused(usize, Step, Trouble),
    /// There is nothing left to do.
    Worked,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Step {
    /// ftruncate(2) to its size: all of it is a hole.
    Extend,
    /// pwrite(2) of all its data. With DAX: ftruncate(2), and stores through a plain shared mapping.
    Write,
    /// fsync(2).
    Sync,
    /// The call that brings it into the state.
    Enter,
    /// An agent writes other data to its storage, and has the disk flush. With DAX: stores through a mapping with
    /// MAP_SYNC, which the processor flushes.
    Agent,
    /// The call that takes it out of the state.
    Leave,
}

/// The files that are on a disk after a loss of power, or why it cannot be mounted.
pub(crate) type Left = Result<Vec<(usize, Look)>, String>;

/// A file that is there, or why nobody knows what it is like.
pub(crate) type Look = Result<Found, Trouble>;

/// What a file is like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Found {
    /// In bytes, as the cases count.
    pub(crate) size: i64,
    pub(crate) data: Data,
    /// It behaves as a file in the state.
    pub(crate) sealed: Result<bool, Trouble>,
    /// It behaves as one out of it.
    pub(crate) unsealed: Result<bool, Trouble>,
}

/// What a file has where it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Data {
    /// What was written.
    Written,
    /// What an agent wrote to its storage.
    Agents,
    /// Something else.
    Other,
}
