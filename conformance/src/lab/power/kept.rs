//! What losses of power left, for people to look at: images, and a guest with a shell that needs nothing of the lab.

use crate::lab::cache::Cache;
use crate::lab::machine::nvdimm;
use crate::lab::machine::qemu::Attendance;
use crate::lab::power::disk::{Loss, copy_to};
use crate::lab::protocol::Run;
use crate::lab::run::{Job, Options, machine, shell};
use std::fs::File;
use std::path::{Path, PathBuf};

/// The directory that `--keep` names, for one run.
pub(crate) struct Shelf<'a> {
    job: &'a Job,
    options: &'a Options,
    directory: PathBuf,
    /// What the names of its images begin with.
    name: String,
    /// In the cache, where it does not stay for ever.
    initramfs: PathBuf,
}

impl<'a> Shelf<'a> {
    /// Nothing, if nothing is to be kept.
    pub(crate) fn new(job: &'a Job, run: &Run, options: &'a Options, cache: &Cache) -> Result<Option<Self>, String> {
        let Some(directory) = &options.keep else { return Ok(None) };
        let directory = std::path::absolute(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        // No run: it would make a file system on what is kept.
        let initramfs = shell(job, options, Vec::new(), cache)?;
        let name = format!("{}-{}-{}", job.kernel.release, run.fs, run.mechanism);
        Ok(Some(Self { job, options, directory, name, initramfs }))
    }

    /// Keeps what a cut left, and says where it is and how to get a guest that has it. The guest leaves the image as it is.
    pub(crate) fn keep(&self, seed: u64, loss: Loss, left: &File, why: &str) -> Result<String, String> {
        let place = |name: String| self.directory.join(name);
        let image = place(format!("{}-{seed}-{}.img", self.name, loss.name()));
        let initramfs = place(format!("{}.initramfs", self.name));
        let failed = |path: &Path, e: std::io::Error| format!("{}: {e}", path.display());
        File::create(&image).and_then(|to| copy_to(left, &to)).map_err(|e| failed(&image, e))?;
        std::fs::copy(&self.initramfs, &initramfs).map_err(|e| failed(&initramfs, e))?;
        let mut machine = machine(self.job, self.options, &initramfs, Path::new(""), Attendance::Terminal);
        // A comma would end the name.
        let path = image.display().to_string().replace(',', ",,");
        machine.disks = match loss {
            Loss::Memory => nvdimm::arguments(self.options.memory, &[path], nvdimm::Stores::Forgotten),
            _ => vec!["-drive".into(), format!("file={path},if=virtio,format=raw,snapshot=on")],
        };
        let device = if loss == Loss::Memory { "-o dax=always /dev/pmem0" } else { "/dev/vda" };
        Ok(format!("kept {}: {why}\n{}\n`mount {device} /mnt` there", image.display(), machine.line()))
    }
}

/// Makes the directory, if it is not there.
pub(crate) fn prepare(options: &Options) -> Result<(), String> {
    let made = options.keep.as_ref().map_or(Ok(()), std::fs::create_dir_all);
    made.map_err(|e| format!("{}: {e}", options.keep.clone().unwrap_or_default().display()))
}
