//! The processes that hold a file, as far as /proc shows them.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A holder of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A process that has the file mapped.
    Process {
        /// Its number.
        pid: u32,
        /// Its name.
        name: String,
    },
    /// The kernel, which swaps to the file.
    Swap,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Process { pid, name } => write!(f, "mapped by process {pid} ({name})"),
            Holder::Swap => f.write_str("the kernel swaps to it: swapoff(8) ends that"),
        }
    }
}

/// The holders of a file. Mappings of processes of other users are visible to root only, and registrations for devices
/// are not visible here.
pub(crate) fn holders(path: &Path) -> Vec<Holder> {
    let Ok(path) = path.canonicalize() else { return Vec::new() };
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let processes = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let mut found: Vec<Holder> = processes.filter(|pid| has_mapped(*pid, &path)).map(process).collect();
    found.extend(swaps().contains(&path).then_some(Holder::Swap));
    found
}

fn process(pid: u32) -> Holder {
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    Holder::Process { pid, name: name.trim_end().to_owned() }
}

/// Whether a line of /proc/PID/maps is about this file: `START-END PERMISSIONS OFFSET DEVICE INODE   PATH`. The device
/// of a file on btrfs or overlayfs is another one there, so the name decides in that case.
fn has_mapped(pid: u32, path: &Path) -> bool {
    let Ok(data) = path.metadata() else { return false };
    let maps = fs::read(format!("/proc/{pid}/maps")).unwrap_or_default();
    let device = format!("{:02x}:{:02x}", libc::major(data.dev()), libc::minor(data.dev()));
    String::from_utf8_lossy(&maps).lines().any(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().take(5).collect();
        let [.., found, inode] = fields[..] else { return false };
        let name = || line.find('/').map(|at| unescaped(&line[at..]));
        inode == data.ino().to_string() && (found == device || name().is_some_and(|name| name == path))
    })
}

/// The active swap areas: the first column of /proc/swaps, below a heading.
fn swaps() -> Vec<PathBuf> {
    let swaps = fs::read_to_string("/proc/swaps").unwrap_or_default();
    swaps.lines().skip(1).filter_map(|line| line.split_ascii_whitespace().next()).map(unescaped).collect()
}

/// A path as /proc writes it, where a newline or a blank is a number of three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let (mut out, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once('\\') {
        out += before;
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                out.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    PathBuf::from(out + rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_proc() {
        assert_eq!(unescaped(r"/a\040b\012c\d"), Path::new("/a b\nc\\d"));
    }
}
