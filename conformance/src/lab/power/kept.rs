//! Storage after a cut, kept for people: images, and a command that boots a guest with a shell and works without the
//! lab.

use crate::error::{Result, at};
use crate::lab::cache::Cache;
use crate::lab::job::Job;
use crate::lab::machine::nvdimm;
use crate::lab::machine::qemu::Attendance;
use crate::lab::options::Options;
use crate::lab::power::disk::{CrashState, copy_to};
use crate::lab::protocol::Run;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The directory that `--keep` names, for one run.
pub(crate) struct Shelf<'a> {
    job: &'a Job,
    options: &'a Options,
    directory: PathBuf,
    /// The beginning of the names of its images.
    name: String,
    /// The initramfs in the cache; entries of the cache are deleted some day.
    initramfs: PathBuf,
}

impl<'a> Shelf<'a> {
    /// The directory, or `None` without `--keep`.
    pub(crate) fn new(job: &'a Job, run: &Run, options: &'a Options, cache: &Cache) -> Result<Option<Self>> {
        let Some(directory) = &options.keep else { return Ok(None) };
        let directory = std::path::absolute(directory).map_err(at(directory))?;
        // The shell gets no run, because a run would make a file system on the kept storage.
        let initramfs = job.shell(options, None, cache)?;
        let name = format!("{}-{}-{}", job.kernel.release(), run.fs.name(), run.mechanism.name());
        Ok(Some(Self { job, options, directory, name, initramfs }))
    }

    /// Keeps the storage after a cut. Returns its place, and the command of a guest that uses it without changing it.
    pub(crate) fn keep(&self, seed: u64, state: CrashState, left: &File, reason: &str) -> Result<String> {
        let place = |name: String| self.directory.join(name);
        let image = place(format!("{}-{seed}-{}.img", self.name, state.name()));
        let initramfs = place(format!("{}.initramfs", self.name));
        File::create(&image).and_then(|to| copy_to(left, &to)).map_err(at(&image))?;
        std::fs::copy(&self.initramfs, &initramfs).map_err(at(&initramfs))?;
        let mut machine = self.job.machine(self.options, &initramfs, Path::new("")).attended(Attendance::Terminal);
        // Double each comma, because QEMU takes a comma for the end of the name.
        let path = image.display().to_string().replace(',', ",,");
        let device = match state {
            CrashState::AllStored => {
                machine.disks = nvdimm::arguments(self.options.memory, &[path], nvdimm::Backing::Private);
                "-o dax=always /dev/pmem0"
            }
            CrashState::OnlyFlushed | CrashState::SomeKept(_) | CrashState::AllWritten => {
                machine.disks = vec!["-drive".into(), format!("file={path},if=virtio,format=raw,snapshot=on")];
                "/dev/vda"
            }
        };
        Ok(format!("kept {}: {reason}\n{}\n`mount {device} /mnt` there", image.display(), machine.line()))
    }
}

/// Makes the directory that `--keep` names, if it is missing.
pub(crate) fn prepare(options: &Options) -> Result<()> {
    options.keep.as_ref().map_or(Ok(()), |directory| std::fs::create_dir_all(directory).map_err(at(directory)))
}
