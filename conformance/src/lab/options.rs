//! The options of `lab`, and the runs that they describe.

use crate::case::definition::Case;
use crate::cases;
use crate::error;
use crate::filesystem::FsKind;
use crate::lab::cache::Cache;
use crate::lab::machine::hardware::{self, Survivor};
use crate::lab::machine::qemu::Accelerator;
use crate::lab::protocol::Run;
use crate::lab::scripts::Scenario;
use crate::mechanism::Mechanism;
use crate::run::select::Selection;
use iomap_command::Settings;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

/// The kernels to boot, and the work of their guests.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A package or version of Debian (6.12), a bzImage, a build tree, or a directory in which packages with kernels were
    /// unpacked [default: kernels in iomap/config.toml]
    #[arg(long = "kernel", value_name = "KERNEL", num_args = 1..)]
    pub(crate) kernels: Vec<String>,
    /// The file systems to make [default: all]
    #[arg(long, value_enum, num_args = 1..)]
    pub(crate) fs: Vec<FsKind>,
    /// How a file gets into the state [default: all that mainline has]
    #[arg(long, value_enum, num_args = 1..)]
    pub(crate) mechanism: Vec<Mechanism>,
    /// Only these cases, as `run` takes them, or these events of a scenario
    #[arg(long, value_name = "FILTER")]
    pub case: Option<String>,
    /// The memory of a guest, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 2048, value_parser = clap::value_parser!(u32).range(128..))]
    pub(crate) memory: u32,
    /// The number of guests at the same time [default: as many as there is room for]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) guests: Option<u32>,
    /// The longest silence of a guest in seconds, while it boots or between cases
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub(crate) patience: u64,
    /// The engine that executes the instructions of the guests
    #[arg(long, value_enum, default_value = "auto")]
    pub(crate) accelerator: Accelerator,
    /// Cut the power of the guests N times, or `each`: during each write and flush of a change of state; and test only
    /// the clauses about that
    #[arg(long, value_name = "N", conflicts_with_all = ["case", "interactive", "gdb"], group = "chance")]
    pub(crate) power_cuts: Option<Cuts>,
    /// This number of runs beside the plain ones in each guest, chosen from all pairs of situations
    #[arg(long, value_name = "RUNS", conflicts_with_all = ["interactive", "gdb", "scenario"], group = "chance")]
    pub(crate) budget: Option<usize>,
    /// The seed for the cuts and the lost data, or for the runs of a budget [default: a new one each time]
    #[arg(long, value_name = "NUMBER", requires = "chance")]
    pub(crate) seed: Option<u64>,
    /// Keep the storage after a cut that violates a clause in this directory, and print a command that boots a guest
    /// with it
    #[arg(long, value_name = "DIR", requires = "power_cuts")]
    pub(crate) keep: Option<PathBuf>,
    /// Do one of N parts of the work, for example 2/8; `merge` puts the parts together
    #[arg(long, value_name = "K/N", conflicts_with_all = ["interactive", "gdb", "scenario"])]
    pub(crate) shard: Option<Part>,
    /// Start a shell in one guest, with the suite and its programs
    #[arg(long, conflicts_with = "gdb")]
    pub(crate) interactive: bool,
    /// Play a server and its client, or other work, in guests instead of running the suite, and print the outcome of
    /// each step
    #[arg(long, value_enum, conflicts_with_all = ["fs", "mechanism", "power_cuts", "interactive", "gdb"])]
    pub scenario: Option<Scenario>,
    /// Let one guest wait for a debugger before its first instruction
    #[arg(long)]
    pub(crate) gdb: bool,
    /// The directory for what is made or downloaded, if it is not the usual one.
    #[arg(skip)]
    cache: Option<PathBuf>,
}

/// The moments at which the power is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cuts {
    /// This number of moments, which a seed chooses, each in a guest of its own.
    Chosen(u32),
    /// Each request that changes the disk of one guest while a file comes into the state or leaves it.
    Each,
}

impl Cuts {
    /// Whether the storage of a file system survives them: a store to persistent memory is no request.
    pub(crate) fn spare(self, fs: FsKind) -> bool {
        matches!((hardware::survivor(fs), self), (Some(Survivor::Disk), _) | (Some(Survivor::Memory), Self::Chosen(_)))
    }
}

impl FromStr for Cuts {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(0) | Err(_) if text != "each" => Err("say a number from 1 on, or each"),
            Ok(count) => Ok(Self::Chosen(count)),
            Err(_) => Ok(Self::Each),
        }
    }
}

/// One of several parts of the work: its number, from 1, and the number of parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub(crate) number: usize,
    pub(crate) of: usize,
}

impl FromStr for Part {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers = text.split_once('/').and_then(|(number, of)| Some((number.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((number, of)) if (1..=of).contains(&number) => Ok(Self { number, of }),
            _ => Err("say K/N with K from 1 to N, for example 2/8"),
        }
    }
}

impl Options {
    /// Takes what the command line leaves out from the configuration file of the user, and drops what it says twice:
    /// the results of a run are known by its kernel, file system and mechanism.
    pub(crate) fn complete(&mut self, settings: &Settings) {
        if self.kernels.is_empty() {
            self.kernels = settings.kernels().to_vec();
        }
        self.guests = self.guests.or(settings.jobs());
        if self.budget.is_some() {
            self.seed.get_or_insert_with(|| fastrand::u64(..1 << 32));
        }
        self.cache = settings.cache();
        once_each(&mut self.kernels);
        once_each(&mut self.fs);
        once_each(&mut self.mechanism);
    }

    /// The cache of the lab.
    pub(crate) fn open_cache(&self) -> error::Result<Cache> {
        self.cache.as_ref().map_or_else(Cache::open, |place| Ok(Cache::at(place.clone())))
    }

    /// The number of runs in situations, and the seed that chooses them.
    pub(crate) fn chosen_situations(&self) -> Option<(usize, u64)> {
        self.budget.zip(self.seed)
    }

    /// Whether a person works in the guest.
    pub(crate) fn is_interactive(&self) -> bool {
        self.interactive
    }

    /// The maximum time without a message of the guest.
    pub(crate) fn patience(&self) -> Duration {
        Duration::from_secs(self.patience)
    }

    /// The file systems to make.
    pub(crate) fn file_systems(&self) -> Vec<FsKind> {
        let can_be_run = |fs: &FsKind| self.power_cuts.is_none_or(|cuts| cuts.spare(*fs));
        match self.fs.is_empty() {
            true => FsKind::ALL.into_iter().filter(can_be_run).collect(),
            false => self.fs.clone(),
        }
    }

    /// Whether a selected case uses the RDMA adapter, which takes a second or two to set up.
    pub(crate) fn wants_adapter(&self) -> bool {
        let all: Vec<&Case> = cases::list::all().collect();
        let chosen = Selection::of(self.case.as_deref()).among(&all);
        self.power_cuts.is_none() && chosen.iter().any(|case| case.full_name().contains("rdma"))
    }

    /// The runs on a file system: each mechanism that mainline has for it.
    pub(crate) fn runs(&self, fs: FsKind) -> Vec<Run> {
        let all = [Mechanism::Swapfile, Mechanism::ImmutableAttr, Mechanism::F2fsPin, Mechanism::DeviceDax];
        let mechanisms = if self.mechanism.is_empty() { &all[..] } else { &self.mechanism };
        let fitting = mechanisms.iter().filter(|mechanism| mechanism.fits(fs));
        fitting.map(|mechanism| Run { fs, mechanism: *mechanism }).collect()
    }
}

/// Leaves the first of equal items.
fn once_each<T: PartialEq>(items: &mut Vec<T>) {
    let mut kept = Vec::with_capacity(items.len());
    for item in items.drain(..) {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    *items = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_are_a_number_or_each() {
        assert_eq!("20".parse(), Ok(Cuts::Chosen(20)));
        assert_eq!("each".parse(), Ok(Cuts::Each));
        for text in ["0", "-1", "every", ""] {
            assert!(text.parse::<Cuts>().is_err(), "{text}");
        }
        let spared = |fs| [Cuts::Chosen(1), Cuts::Each].map(|cuts| cuts.spare(fs));
        let all = [FsKind::Ext4, FsKind::Ext4Dax, FsKind::Overlay].map(spared);
        assert_eq!(all, [[true, true], [true, false], [false, false]]);
    }

    #[test]
    fn nothing_is_done_twice() {
        let mut items = vec!["6.12", "6.1", "6.12", "6.1"];
        once_each(&mut items);
        assert_eq!(items, ["6.12", "6.1"]);
    }
}
