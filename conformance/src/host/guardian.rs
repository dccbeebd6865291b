//! The process that puts away what outlives the suite.
//!
//! An active swap file outlives the process that activated it and keeps the file system and the loop device busy, and a
//! frozen file system cannot be unmounted. The guardian waits for the end of the suite, which closes the other end of its
//! standard input however it ends, and then deactivates and thaws what is below the suite's own directory. It is in the
//! suite's mount namespace: with it, the namespace ends. A directory on the user's file system it removes.

use super::directory::remove_when_free;
use super::sys::{self, operations};
use iomap_reference::{FLAG_APPEND, FLAG_IMMUTABLE};
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The hidden subcommand.
pub const COMMAND: &str = "guard";

/// Its option.
const REMOVE: &str = "--remove";

/// How often a swap file that cannot be deactivated is tried again.
const ROUNDS: usize = 50;

/// The guardian, seen from the suite. It does its work when this is dropped, or the suite is gone.
pub(super) struct Guardian(Child);

impl Guardian {
    /// Of what is mounted below `stage`.
    pub(super) fn of_mounts(stage: &Path) -> Result<Self, String> {
        Self::start(stage, &[])
    }

    /// Of a directory that has to be gone in the end.
    pub(super) fn of_directory(path: &Path) -> Result<Self, String> {
        Self::start(path, &[REMOVE])
    }

    fn start(stage: &Path, options: &[&str]) -> Result<Self, String> {
        // The group keeps a Ctrl-C at the terminal from reaching it.
        let child = Command::new("/proc/self/exe")
            .arg(COMMAND)
            .arg(stage)
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(|e| format!("the guardian cannot be started: {e}"))?;
        Ok(Self(child))
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        // Closing its standard input tells the guardian that we are done.
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Waits for the end of the suite, then deactivates every swap file below `stage`, or removes the directory.
pub fn run(stage: &Path, remove: bool) {
    // Only the end of the stream matters; an error is an end as well.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
    if remove {
        return remove_when_free(stage);
    }
    // A frozen file system holds whoever writes to it, and would never be unmounted.
    for (at, ..) in mounts().iter().filter(|(at, ..)| at.starts_with(stage)) {
        let _ = std::fs::File::open(at).map(|root| operations::thaw(root.as_fd()));
    }
    deactivate_all(stage);
}

/// Deactivates every swap file below a directory, and again if that did not work.
pub(super) fn deactivate_all(stage: &Path) {
    for _ in 0..ROUNDS {
        if active_below(stage).is_empty() {
            return;
        }
        deactivate_below(stage);
    }
}

/// Deactivates the swap files below a directory, as far as that goes.
pub(super) fn deactivate_below(directory: &Path) {
    active_below(directory).iter().for_each(|path| deactivate(path));
}

/// swapoff(2) opens the file for writing, which the attributes forbid.
fn deactivate(path: &Path) {
    if let Ok(file) = std::fs::File::open(path) {
        let _ = sys::change_flags(&file, 0, FLAG_IMMUTABLE | FLAG_APPEND);
    }
    let _ = sys::swapoff(path);
}

/// The active swap files below a directory.
pub fn active_below(stage: &Path) -> Vec<PathBuf> {
    let table = std::fs::read_to_string("/proc/swaps").unwrap_or_default();
    let names = table.lines().skip(1).filter_map(|line| line.split_whitespace().next());
    names.map(unescape).filter(|path| path.starts_with(stage)).collect()
}

/// The file system that a path is on, as mount(8) calls it, and its source. The path has no symbolic links.
pub(super) fn mount_of(path: &Path) -> Option<(String, PathBuf)> {
    let mounts = mounts().into_iter().filter(|(at, ..)| path.starts_with(at));
    // Of mounts on one directory the last is on top.
    mounts.max_by_key(|(at, ..)| at.as_os_str().len()).map(|(_, fs, source)| (fs, source))
}

/// The mounts of this namespace: where, which file system, and its source.
fn mounts() -> Vec<(PathBuf, String, PathBuf)> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount = |line: &str| {
        let (mount, fs) = line.split_once(" - ")?;
        let mut fs = fs.split(' ');
        Some((unescape(mount.split(' ').nth(4)?), fs.next()?.to_owned(), unescape(fs.next()?)))
    };
    table.lines().filter_map(mount).collect()
}

/// The device that the kernel log names when it speaks of the file system that a path is on.
pub(super) fn device_of(path: &Path) -> Option<String> {
    mount_of(path)?.1.file_name().map(|name| name.to_string_lossy().into_owned())
}

/// Blanks and backslashes are three octal digits in /proc/swaps and /proc/self/mountinfo.
fn unescape(name: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, tail @ ..] = rest {
        let octal = tail.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        match octal.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) if *first == b'\\' => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    std::ffi::OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_of_proc_swaps() {
        assert_eq!(unescape(r"/mnt/a\040b\134c"), Path::new(r"/mnt/a b\c"));
        assert_eq!(unescape(r"/mnt/x\9"), Path::new(r"/mnt/x\9"));
    }
}
