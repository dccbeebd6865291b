//! Files on a mounted reference: calls that the kernel does not pass to the daemon reach it by ioctl(2).

use iomap_reference::{Mode, ioctl};
use nix::errno::Errno;
use nix::sys::stat::{fstat, major, minor};
use std::os::fd::BorrowedFd;

/// A file on a mounted reference.
pub(crate) struct Mounted<'fd> {
    file: BorrowedFd<'fd>,
    pub(crate) xflags: u32,
}

impl<'fd> Mounted<'fd> {
    /// Finds out whether the file is on a mounted reference, by an ioctl that only the reference answers.
    pub(crate) fn find(file: BorrowedFd<'fd>) -> Option<Self> {
        ioctl::xflags(file).ok().map(|xflags| Self { file, xflags })
    }

    /// fallocate(2) with a mode that seals or unseals.
    pub(crate) fn change(&self, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
        // Stores through mappings are still in the kernel's cache, and may fill a hole, so write them back first.
        nix::unistd::fsync(self.file)?;
        if self.is_mapped() {
            ioctl::fallocate_mapped(self.file, mode, offset, len)
        } else {
            ioctl::fallocate(self.file, mode, offset, len)
        }
    }

    pub(crate) fn set_xflags(&self, xflags: u32) -> Result<(), Errno> {
        ioctl::set_xflags(self.file, xflags)
    }

    /// Whether this process has the file mapped; false if there is no /proc.
    fn is_mapped(&self) -> bool {
        let Ok(stat) = fstat(self.file) else { return false };
        let device = format!("{:02x}:{:02x}", major(stat.st_dev), minor(stat.st_dev));
        let inode = stat.st_ino.to_string();
        // Names need not be UTF-8. They are at the end of a line, so the replacement does not matter.
        let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
        String::from_utf8_lossy(&maps).lines().any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(3);
            fields.next() == Some(&device) && fields.next() == Some(&inode)
        })
    }
}
