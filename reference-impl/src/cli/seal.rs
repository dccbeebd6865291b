//! `iomap-reference seal` and `iomap-reference unseal`, for files on a mounted reference.

use crate::cli::failure::{Failure, complain};
use iomap_reference::{Mode, ioctl};
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub(crate) struct Files {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Seals or unseals each file, even if others fail.
pub(crate) fn run(args: &Files, mode: Mode) -> ExitCode {
    let failed: Vec<_> = args.files.iter().filter_map(|file| change(file, mode).err()).collect();
    complain(&failed)
}

/// Seals or unseals a file as a whole.
fn change(path: &Path, mode: Mode) -> Result<(), Failure> {
    let file = open(path, true)?;
    // Stores through mappings are still in the kernel's cache, and may fill a hole, so write them back first.
    file.sync_all().map_err(|error| Failure::of(path, error))?;
    // Any sufficient length will do. The largest one stays sufficient even if the size changes before the call.
    ioctl::fallocate(&file, mode, 0, i64::MAX).map_err(|errno| explain(path, errno, hint(mode == Mode::SEAL, errno)))
}

/// A hint at the usual reason for an error.
fn hint(sealing: bool, errno: Errno) -> &'static str {
    match errno {
        Errno::EPERM => "it takes CAP_LINUX_IMMUTABLE, or a mount with --owner-seals",
        Errno::EINVAL if sealing => "only a file with all its blocks written and its own can be sealed",
        Errno::EBUSY if sealing => "it is mapped",
        Errno::EBUSY => "somebody relies on it: a mapping, a registration or swap",
        Errno::EOPNOTSUPP => "files of this kind are never in place",
        _ => "",
    }
}

pub(crate) fn open(path: &Path, write: bool) -> Result<File, Failure> {
    OpenOptions::new().read(true).write(write).open(path).map_err(|error| Failure::of(path, error))
}

/// The failure of a call on a file, with the usual reason if there is one.
pub(crate) fn explain(path: &Path, errno: Errno, why: &str) -> Failure {
    match errno {
        Errno::ENOTTY => Failure::of(path, "not on a mounted reference"),
        _ if why.is_empty() => Failure::of(path, errno.desc()),
        _ => Failure::of(path, format!("{}: {why}", errno.desc())),
    }
}
