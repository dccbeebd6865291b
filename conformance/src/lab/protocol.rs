//! The messages between host and guest: a manifest in the initramfs, and lines of JSON through a port.

use crate::error::Error;
use crate::filesystem::FsKind;
use crate::mechanism::Mechanism;
use crate::results::Results;
use crate::verdict::Trouble;
use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// The hidden subcommand of this program in a guest.
pub(crate) const GUEST_COMMAND: &str = "guest";

/// The path of the manifest in the guest.
pub(crate) const MANIFEST: &str = "/manifest.json";

/// The name of the virtio port for the messages of the guest.
pub(crate) const PORT: &str = "iomap.results";

/// The preparations of a guest, and its work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Manifest {
    /// Modules to load, in this order: paths in the guest.
    pub(crate) modules: Vec<String>,
    /// Commands to carry out before the work.
    pub(crate) commands: Vec<String>,
    pub(crate) work: Work,
}

/// The work of a guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Work {
    /// The suite runs cases, one run after another.
    Suite {
        runs: Vec<Run>,
        /// Only cases whose name contains this text.
        filter: Option<String>,
        /// The number of runs in situations beside the plain ones, and the seed that chooses them.
        situations: Option<(usize, u64)>,
    },
    /// The guest examines the storage of an earlier guest, and works on files until its own power is cut.
    Power(Run),
    /// bash carries out a script, and its steps are reported.
    Script {
        text: String,
        /// Only events whose name contains this text.
        filter: Option<String>,
    },
    /// One turn with disks that go from a kernel that seals to one that does not know the state, and back.
    Unaware(Turn),
    /// The guest counts the instructions of calls.
    Cost,
    /// The suite runs beside work on the same file system.
    Stress {
        /// The file system of the guest.
        run: Run,
        /// Only cases whose name contains this text.
        filter: Option<String>,
    },
    /// A person works at the console.
    Shell {
        /// The shell: a path in the guest.
        program: String,
        /// The file system that is made and mounted for the person, if there is one.
        run: Option<Run>,
    },
}

/// A file system with a mechanism. In JSON both have their names on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "(String, String)", try_from = "(String, String)")]
pub(crate) struct Run {
    pub(crate) fs: FsKind,
    pub(crate) mechanism: Mechanism,
}

impl From<Run> for (String, String) {
    fn from(Run { fs, mechanism }: Run) -> Self {
        (fs.name().into(), mechanism.name().into())
    }
}

impl TryFrom<(String, String)> for Run {
    type Error = Error;

    fn try_from((fs, mechanism): (String, String)) -> Result<Self, Error> {
        Ok(Self { fs: FsKind::from_str(&fs, false)?, mechanism: Mechanism::from_str(&mechanism, false)? })
    }
}

/// The turn of a guest with the disks of the scenario `unaware`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Turn {
    /// Seals a file on each disk.
    Seal,
    /// Looks at each disk with a kernel and programs that do not know the state.
    Look,
    /// Looks at each file with the kernel that sealed it.
    Return,
}

/// A line from the guest.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Message {
    /// The guest is prepared and begins its work.
    Ready,
    /// A case begins: its name.
    Begins(String),
    /// A case has ended: its name.
    Ended(String),
    /// A run has ended.
    Results(Box<Results>),
    /// A run could not start or did not end: its number, and the reason.
    Failed(usize, String),
    /// A guest that loses its power has made progress.
    Power(PowerEvent),
    /// A step of the script has ended.
    Step(ScriptStep),
    /// All of the work has ended.
    Done,
}

/// The progress of a guest that loses its power, or that examines the storage of an earlier guest. Files have numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum PowerEvent {
    /// The files on the disk with this number.
    Left(usize, Remains),
    /// The work begins. All earlier changes are on storage.
    Working,
    /// An action on a file begins.
    Begun(usize, Action),
    /// An action on a file has returned.
    Returned(usize, Action),
    /// An action on a file failed, so the guest leaves the file alone.
    Refused(usize, Action, Trouble),
    /// The work has ended.
    Worked,
}

/// An action on a file before a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Action {
    /// ftruncate(2) to the size of the file, which becomes one hole.
    Extend,
    /// pwrite(2) of all data. With DAX: ftruncate(2), and stores through a plain shared mapping.
    Write,
    /// fsync(2).
    Sync,
    /// The call that brings the file into the state.
    Enter,
    /// An agent writes other data to the storage of the file, and flushes the disk. With DAX: stores through a mapping
    /// with MAP_SYNC, which the processor flushes.
    Agent,
    /// The call that takes the file out of the state.
    Leave,
}

/// The storage after a power cut, as the next guest found it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Remains {
    /// The existing files.
    Files(Vec<(usize, Examined)>),
    /// The file system cannot be mounted: the reason.
    Unmountable(String),
}

/// The state of one file after a power cut, or the reason why it could not be examined.
pub(crate) type Examined = Result<FileState, Trouble>;

/// The state of a file after a power cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FileState {
    /// The size in bytes, without the mechanism's header.
    pub(crate) size: i64,
    pub(crate) data: Data,
    /// Whether the file behaves like a file in the state.
    pub(crate) sealed: Result<bool, Trouble>,
    /// Whether the file behaves like a file out of the state.
    pub(crate) unsealed: Result<bool, Trouble>,
}

/// The data of a file, in the written range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Data {
    /// The data of the write.
    Written,
    /// The data that an agent wrote to the storage.
    Agents,
    /// Other data.
    Other,
}

/// One step of a script.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ScriptStep {
    /// The action or the question. The name is indented if the step belongs to the step before it.
    pub(crate) step: String,
    /// `ok`, an error, or the answer.
    pub(crate) outcome: String,
    /// The traffic on the network that the step caused.
    pub(crate) traffic: String,
    /// The outcomes that are right; `None` if any outcome is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expected: Option<Vec<String>>,
}

impl ScriptStep {
    /// Whether the outcome is one of the right ones.
    pub(crate) fn is_right(&self) -> bool {
        self.expected.as_ref().is_none_or(|right| right.contains(&self.outcome))
    }
}
