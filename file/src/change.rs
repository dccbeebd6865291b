//! `iomap-file seal` and `iomap-file unseal`.

use crate::holders::holders;
use crate::report::{Report, unknown};
use crate::state::{Changed, change, open};
use iomap_command::Exit;
use iomap_reference::Mode;
use nix::errno::Errno;
use std::io;
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub(crate) struct Files {
    /// The files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Seals or unseals each file, even if others fail.
pub(crate) fn run(args: &Files, mode: Mode) -> Exit {
    let mut report = Report::default();
    for path in &args.files {
        // The search reads every process, so it waits until there is a file to change.
        let changed = open(path, true).and_then(|file| change(&file, mode, || !holders(path).is_empty()));
        match changed {
            Ok(Changed::Done) => (),
            Ok(Changed::Unknown) => report.add(path, unknown("so nothing was tried")),
            Err(error) => report.add(path, explained(path, mode == Mode::SEAL, &error)),
        }
    }
    report.end()
}

/// An error with its usual reason.
fn explained(path: &Path, sealing: bool, error: &io::Error) -> String {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw) else { return error.to_string() };
    let why = match errno {
        Errno::EPERM => "it takes CAP_LINUX_IMMUTABLE, and a file that is neither immutable nor append-only",
        Errno::EINVAL if sealing => {
            "only a file with all its blocks written and its own can be sealed: not if it is empty, kept with the \
             metadata because it is small, or shares storage with another file or a snapshot"
        }
        Errno::EBUSY => return busy(path),
        Errno::EOPNOTSUPP => "files of this kind cannot be sealed on this file system",
        Errno::ETXTBSY => "it is executed, or the kernel swaps to it",
        Errno::EROFS => "the mount is read-only",
        _ => return errno.desc().to_owned(),
    };
    format!("{}: {why}", errno.desc())
}

/// EBUSY, with the holders that can be seen, or a way to find the others.
fn busy(path: &Path) -> String {
    let seen: Vec<String> = holders(path).iter().map(|holder| format!("\n  {holder}")).collect();
    let hint = match seen.is_empty() {
        true => {
            ", by a process of another user, or registered for a device: as root try `fuser -v FILE` and `rdma resource \
             show mr`; HOLDERS in iomap-file(1) says more"
        }
        false => "",
    };
    format!("{}: it is in use{hint}{}", Errno::EBUSY.desc(), seen.concat())
}
