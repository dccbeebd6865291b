//! `iomap-reference seal` and `iomap-reference unseal`, for files on a mounted reference.
//!
//! They make the bare call and print the answer of the reference. `iomap-file` is for people: it asks first whether the
//! state is known, and names holders. It imports this crate, so that only the calls themselves, `ioctl`, are shared.

use iomap_command::{Error, Exit, tell_line};
use iomap_reference::{Mode, ioctl};
use nix::errno::Errno;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Files {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Seals or unseals each file, even if others fail.
pub(crate) fn run(args: &Files, mode: Mode) -> Exit {
    let failed: Vec<_> = args.files.iter().filter_map(|file| change(file, mode).err()).collect();
    complain(failed)
}

/// Prints the errors of files, and returns the exit code for them.
pub(crate) fn complain(failed: Vec<Error>) -> Exit {
    failed.iter().for_each(|error| tell_line(format_args!("iomap-reference: {error}")));
    if failed.is_empty() { Exit::Fine } else { Exit::Found }
}

/// Seals or unseals a file as a whole.
fn change(path: &Path, mode: Mode) -> Result<(), Error> {
    let file = open(path, true)?;
    // Stores through mappings are still in the kernel's cache, and may fill a hole, so write them back first.
    file.sync_all().map_err(|error| Error::file(path, error))?;
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

pub(crate) fn open(path: &Path, write: bool) -> Result<File, Error> {
    OpenOptions::new().read(true).write(write).open(path).map_err(|error| Error::file(path, error))
}

/// The failure of a call on a file, with the usual reason if there is one.
pub(crate) fn explain(path: &Path, errno: Errno, why: &str) -> Error {
    match errno {
        Errno::ENOTTY => Error::file(path, "not on a mounted reference"),
        _ if why.is_empty() => Error::file(path, errno.desc()),
        _ => Error::file(path, format!("{}: {why}", errno.desc())),
    }
}
