//! The job of one guest, with its machine and its initramfs.

use crate::error::Result;
use crate::filesystem::FsKind;
use crate::lab::cache::Cache;
use crate::lab::machine::hardware::{self, Hardware};
use crate::lab::machine::initramfs;
use crate::lab::machine::kernel::BootKernel;
use crate::lab::machine::qemu::{self, Accelerator, Machine};
use crate::lab::options::Options;
use crate::lab::protocol::{Manifest, Run, Work};
use crate::programs;
use std::path::{Path, PathBuf};

/// The job of one guest: the runs on one kernel with one file system.
pub(crate) struct Job {
    pub(crate) kernel: BootKernel,
    pub(crate) accelerator: Accelerator,
    pub(crate) fs: FsKind,
    pub(crate) runs: Vec<Run>,
    /// The place of its first run in the document.
    pub(crate) place: usize,
}

/// The programs for a person in a guest, if they are installed on this machine.
const TOOLS: [&str; 32] = [
    "bash", "cat", "chattr", "cp", "dd", "df", "dmesg", "filefrag", "grep", "head", "hexdump", "ln", "losetup", "ls",
    "lsattr", "mkdir", "mkswap", "mount", "ps", "rm", "setsid", "sleep", "stat", "strace", "swapoff", "swapon", "sync",
    "tail", "touch", "truncate", "umount", "xfs_io",
];

impl Job {
    /// The name of the guest, for people.
    pub(crate) fn label(&self) -> String {
        format!("{} {}", self.kernel.release(), self.fs.name())
    }

    /// The hardware of the guest.
    pub(crate) fn hardware(&self, options: &Options) -> Vec<&'static Hardware> {
        let adapter = options.wants_adapter().then_some(&hardware::RDMA);
        hardware::of(self.fs, options.power_cuts.is_some()).into_iter().chain(adapter).collect()
    }

    /// The initramfs for this work.
    pub(crate) fn initramfs(&self, options: &Options, work: Work, cache: &Cache) -> Result<PathBuf> {
        self.with_programs(options, work, Vec::new(), cache)
    }

    /// The initramfs for a person at a shell, with a fresh file system for the first run.
    pub(crate) fn shell(&self, options: &Options, run: Option<Run>, cache: &Cache) -> Result<PathBuf> {
        let work = Work::Shell { program: "/bin/bash".into(), run };
        self.with_programs(options, work, TOOLS.iter().filter_map(|name| programs::find(name)).collect(), cache)
    }

    fn with_programs(
        &self,
        options: &Options,
        work: Work,
        mut programs: Vec<PathBuf>,
        cache: &Cache,
    ) -> Result<PathBuf> {
        let hardware = self.hardware(options);
        let modules = hardware::modules(&hardware, &self.kernel, self.fs)?;
        programs.extend(hardware::programs(&hardware, self.fs));
        let manifest = Manifest { modules: Vec::new(), commands: hardware::commands(&hardware), work };
        initramfs::get(cache, &modules, &programs, None, manifest)
    }

    /// The machine for work without a person and without disks.
    pub(crate) fn machine<'a>(&'a self, options: &Options, initramfs: &'a Path, console: &'a Path) -> Machine<'a> {
        let hardware = self.hardware(options);
        Machine::new(&self.kernel, self.accelerator, options.memory, initramfs, console, hardware)
    }
}

/// The jobs that the options describe, one for each kernel with each file system.
pub(crate) fn jobs(options: &Options, cache: &Cache) -> Result<Vec<Job>> {
    let (mut jobs, mut place) = (Vec::new(), 0);
    for kernel in BootKernel::find_all(&options.kernels, cache)? {
        let accelerator = qemu::choose(options.accelerator, &kernel, cache)?;
        for fs in options.file_systems() {
            let runs = options.runs(fs);
            if runs.is_empty() {
                continue;
            }
            let next = place + runs.len();
            jobs.push(Job { kernel: kernel.clone(), accelerator, fs, runs, place });
            place = next;
        }
    }
    if jobs.is_empty() {
        return Err("none of the file systems has this mechanism".into());
    }
    Ok(jobs)
}
