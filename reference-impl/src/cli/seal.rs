//! The commands `seal`, `unseal` and `status`, for files on a mounted reference.

use iomap_reference::{Mode, XFLAG_SEALED, ioctl};
use nix::errno::Errno;
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

/// One file, and why a call on it failed.
pub(crate) struct Trouble(pub(crate) String);

fn trouble(path: &Path, errno: Errno, why: &str) -> Trouble {
    let path = path.display();
    Trouble(match errno {
        Errno::ENOTTY => format!("{path}: not on a mounted reference"),
        _ if why.is_empty() => format!("{path}: {}", errno.desc()),
        _ => format!("{path}: {}: {why}", errno.desc()),
    })
}

fn open(path: &Path, write: bool) -> Result<File, Trouble> {
    let file = OpenOptions::new().read(true).write(write).open(path);
    file.map_err(|error| Trouble(format!("{}: {error}", path.display())))
}

/// Seals or unseals a file as a whole.
pub(crate) fn change(path: &Path, mode: Mode) -> Result<(), Trouble> {
    let file = open(path, true)?;
    // What was stored through mappings is still in the kernel, and may fill a hole.
    file.sync_all().map_err(|error| Trouble(format!("{}: {error}", path.display())))?;
    // Any length that is not too short will do, whatever the size is by then.
    ioctl::fallocate(&file, mode, 0, i64::MAX).map_err(|errno| {
        let sealing = mode == Mode::SEAL;
        trouble(
            path,
            errno,
            match errno {
                Errno::EPERM => "it takes CAP_LINUX_IMMUTABLE, or a mount with --owner-seals",
                Errno::EINVAL if sealing => "only a file with all its blocks written and its own can be sealed",
                Errno::EBUSY if sealing => "it is mapped",
                Errno::EBUSY => "somebody relies on it: a mapping, a registration or swap",
                Errno::EOPNOTSUPP => "files of this kind are never in place",
                _ => "",
            },
        )
    })
}

/// Whether files are sealed: lines, or a JSON document.
pub(crate) fn status(paths: &[PathBuf]) -> Vec<Result<(PathBuf, bool), Trouble>> {
    let one = |path: &PathBuf| {
        let file = open(path, false)?;
        let xflags = ioctl::xflags(&file).map_err(|errno| trouble(path, errno, ""))?;
        Ok((path.clone(), xflags & XFLAG_SEALED != 0))
    };
    paths.iter().map(one).collect()
}

/// `sealed  FILE`.
pub(crate) fn line((path, sealed): &(PathBuf, bool)) -> String {
    format!("{:<10}{}\n", if *sealed { "sealed" } else { "unsealed" }, path.display())
}

/// `{file, sealed}`.
pub(crate) fn row((path, sealed): &(PathBuf, bool)) -> Value {
    json!({"file": path.to_string_lossy(), "sealed": sealed})
}
