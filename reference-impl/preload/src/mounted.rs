//! Files on a mounted reference: what the kernel keeps from the daemon goes there by ioctl(2).

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
    /// Nothing else answers to this number, and of others nothing but this question is asked.
    pub(crate) fn find(file: BorrowedFd<'fd>) -> Option<Self> {
        ioctl::xflags(file).ok().map(|xflags| Self { file, xflags })
    }

    /// fallocate(2) with a mode that seals or unseals.
    pub(crate) fn change(&self, mode: Mode, offset: i64, len: i64) -> Result<(), Errno> {
        // Stores through mappings are still in the kernel, and may fill a hole.
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

    /// Whether this process has the file mapped: no, if there is no /proc.
    fn is_mapped(&self) -> bool {
        let Ok(stat) = fstat(self.file) else { return false };
        let device = format!("{:02x}:{:02x}", major(stat.st_dev), minor(stat.st_dev));
        let inode = stat.st_ino.to_string();
        // Names need not be UTF-8, but they come last.
        let maps = std::fs::read("/proc/self/maps").unwrap_or_default();
        String::from_utf8_lossy(&maps).lines().any(|line| {
            let mut fields = line.split_ascii_whitespace().skip(3);
            fields.next() == Some(&device) && fields.next() == Some(&inode)
        })
    }
}
