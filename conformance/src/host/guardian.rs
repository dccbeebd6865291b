//! The process that deactivates swap files after the suite is gone.
//!
//! An active swap file outlives the process that activated it and keeps the file system and the loop device busy. The
//! guardian waits for the end of the suite, which closes the other end of its standard input however it ends, and then
//! deactivates what is active below the suite's own directory. It is in the suite's mount namespace: with it, the
//! namespace ends.

use super::sys;
use iomap_reference::{FLAG_APPEND, FLAG_IMMUTABLE};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The hidden subcommand.
pub const COMMAND: &str = "guard";

/// How often a swap file that cannot be deactivated is tried again.
const ROUNDS: usize = 50;

/// Waits for the end of the suite, then deactivates every swap file below `stage`.
pub fn run(stage: &Path) {
    // Only the end of the stream matters; an error is an end as well.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
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

/// /proc/swaps writes blanks and backslashes as three octal digits.
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
