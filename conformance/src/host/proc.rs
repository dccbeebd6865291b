//! The mounts and the swap areas of the machine, as /proc has them.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// The table of active swap areas. It exists if the kernel has swap.
pub(crate) const SWAPS: &str = "/proc/swaps";

/// A mount of this namespace.
pub(crate) struct Mount {
    /// The place where it is mounted.
    pub(crate) at: PathBuf,
    /// The file system, as mount(8) calls it.
    pub(crate) fs: String,
    pub(crate) source: PathBuf,
    /// Whether the kernel has made the file system read-only after an error: a user would have made the mount read-only
    /// too.
    pub(crate) gave_up: bool,
}

impl Mount {
    /// The device that the kernel log names when it speaks of this mount.
    pub(crate) fn device(&self) -> Option<String> {
        self.source.file_name().map(|name| name.to_string_lossy().into_owned())
    }
}

/// The mounts of this namespace.
pub(crate) fn mounts() -> Vec<Mount> {
    let table = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    table.lines().filter_map(mount).collect()
}

fn mount(line: &str) -> Option<Mount> {
    let (place, rest) = line.split_once(" - ")?;
    let [mut place, mut rest] = [place, rest].map(|part| part.split(' '));
    let (at, mount) = (unescape(place.nth(4)?), place.next()?);
    let (fs, source, all) = (rest.next()?.to_owned(), unescape(rest.next()?), rest.next()?);
    let has = |options: &str, option| options.split(',').any(|it| it == option);
    // ext4 since 6.15 has a word of its own.
    let gave_up = !has(mount, "ro") && (has(all, "ro") || has(all, "emergency_ro"));
    Some(Mount { at, fs, source, gave_up })
}

/// The mount of a path that has no symbolic links.
pub(crate) fn mount_of(path: &Path) -> Option<Mount> {
    let mounts = mounts().into_iter().filter(|mount| path.starts_with(&mount.at));
    // Of several mounts on one directory, the last one is on top.
    mounts.max_by_key(|mount| mount.at.as_os_str().len())
}

/// The sentence on a file system that the kernel made read-only after an error, or `None`.
pub(crate) fn given_up(path: &Path) -> Option<String> {
    let mount = mount_of(path).filter(|mount| mount.gave_up)?;
    Some(format!("the kernel has made the {} of this case read-only after an error (dmesg(1) has the error)", mount.fs))
}

/// The active swap areas of the machine, of all processes.
///
/// The kernel counts the areas from the first one again in each read(2) (`swap_start`): if an area is deactivated
/// between two of them, the next area is left out. So the table is read at once, and a table that is too long for that
/// is read until it is the same twice.
pub(crate) fn swaps() -> Vec<PathBuf> {
    const TIMES: usize = 100;
    let read = || table(SWAPS).unwrap_or_default();
    let mut last = read();
    for _ in 0..TIMES {
        if last.at_once {
            break;
        }
        let next = read();
        let same = next.bytes == last.bytes;
        last = next;
        if same {
            break;
        }
    }
    areas(&String::from_utf8_lossy(&last.bytes))
}

/// The contents of a file of the kernel.
#[derive(Default)]
struct Table {
    bytes: Vec<u8>,
    /// Whether one read(2) returned all of it.
    at_once: bool,
}

fn table(path: &str) -> io::Result<Table> {
    // The kernel gives at most a page of records at a time.
    const PAGES: usize = 16 * 4096;
    let (mut file, mut bytes, mut reads) = (File::open(path)?, vec![0; PAGES], 0);
    let mut len = 0;
    loop {
        match file.read(&mut bytes[len..])? {
            0 => break,
            more => (len, reads) = (len + more, reads + 1),
        }
        bytes.resize(len + PAGES, 0);
    }
    bytes.truncate(len);
    Ok(Table { bytes, at_once: reads <= 1 })
}

fn areas(table: &str) -> Vec<PathBuf> {
    table.lines().skip(1).filter_map(|line| line.split_whitespace().next()).map(unescape).collect()
}

/// The active swap files below a directory.
pub fn active_below(directory: &Path) -> Vec<PathBuf> {
    swaps().into_iter().filter(|path| path.starts_with(directory)).collect()
}

/// Both tables write blanks and backslashes as three octal digits.
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
    fn a_table_of_swap_areas() {
        let table = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n\
            /dev/vda2                               partition\t1000\t\t0\t\t-2\n\
            /mnt/a\\040b\\134c                       file\t\t4\t\t0\t\t-3\n";
        assert_eq!(areas(table), [Path::new("/dev/vda2"), Path::new(r"/mnt/a b\c")]);
        assert_eq!(unescape(r"/mnt/x\9"), Path::new(r"/mnt/x\9"));
    }

    #[test]
    fn a_file_system_that_the_kernel_made_read_only() {
        let gave_up = |options: &str, all: &str| {
            mount(&format!("36 35 7:0 / /mnt {options} - ext4 /dev/loop0 {all}")).unwrap().gave_up
        };
        assert!(gave_up("rw,noatime", "ro,errors=remount-ro"));
        assert!(gave_up("rw,noatime", "rw,emergency_ro"));
        assert!(!gave_up("ro,noatime", "ro"), "the user made the mount read-only too");
        assert!(!gave_up("rw", "rw,errors=remount-ro"));
    }

    #[test]
    fn a_line_of_mounts() {
        let line = r"36 35 98:0 /mnt1 /mnt/a\040b rw,noatime master:1 - ext3 /dev/root rw,errors=continue";
        let mount = mount(line).unwrap();
        assert_eq!((&*mount.at, &*mount.fs, &*mount.source), (Path::new("/mnt/a b"), "ext3", Path::new("/dev/root")));
        assert_eq!(mount.device().as_deref(), Some("root"));
        assert!(!mount.gave_up);
    }
}
