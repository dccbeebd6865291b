//! The kernel log while cases run: the lines that mean trouble.

use nix::errno::Errno;
use nix::fcntl::OFlag;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::{Arc, Mutex, PoisonError};

/// The devices whose faults count, such as `loop0`. Some of them are made while cases run.
pub type Devices = Arc<Mutex<Vec<String>>>;

/// The kernel log from now on.
pub struct KernelLog {
    file: File,
    devices: Devices,
}

/// The beginnings of lines that a correct kernel never writes, whatever the cases do.
const BEGINNINGS: &[&str] = &["BUG:", "WARNING:", "Oops:", "INFO: task ", "INFO: rcu"];

/// Words that occur only in such lines.
const ALARMS: &[&str] = &[
    "kernel BUG at",
    "KASAN:",
    "UBSAN:",
    "general protection fault",
    "unable to handle",
    "soft lockup",
    "blocked for more than",
    "detected stalls",
    "circular locking dependency",
    "inconsistent lock state",
    "suspicious RCU usage",
    "Kernel panic",
];

/// Words of file systems about damage; they count for our devices only.
const DAMAGE: &[&str] = &["orruption", "Internal error", "EXT4-fs error", "BTRFS critical", "BTRFS error"];

/// Lines that btrfs marks as errors although there is no damage: the error count after the storage agent of a case has
/// written past the checksums, and the reasons why BTRFS_IOC_DEV_REPLACE failed, or mount(2) with an option of other
/// file systems, which the callers get, too.
const NO_DAMAGE: &[&str] =
    &["errs: wr 0, rd 0, flush 0, corrupt", "btrfs_scrub_dev(", "unrecognized mount option", "open_ctree failed: -22"];

impl KernelLog {
    /// Opens the log at its end.
    pub fn open(devices: Devices) -> std::io::Result<Self> {
        let mut file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self { file, devices })
    }

    /// The alarming lines since the last time.
    pub(crate) fn alarms(&mut self) -> Vec<String> {
        let (mut lines, mut record) = (Vec::new(), vec![0; 8192]);
        loop {
            match self.file.read(&mut record).map_err(|error| error.raw_os_error().map(Errno::from_raw)) {
                Ok(0) => return lines,
                Ok(len) => lines.extend(alarm(
                    &String::from_utf8_lossy(&record[..len]),
                    &self.devices.lock().unwrap_or_else(PoisonError::into_inner),
                )),
                // The kernel has overwritten records before they were read.
                Err(Some(Errno::EPIPE)) => (),
                Err(_) => return lines,
            }
        }
    }
}

/// Whether a correct kernel never writes this line; the line has no time.
pub(crate) fn is_alarming(text: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning)) || ALARMS.iter().any(|alarm| text.contains(alarm))
}

/// The text of a record `priority,number,time,flags;text`, if it is alarming.
fn alarm(record: &str, devices: &[String]) -> Option<String> {
    let text = record.split_once(';')?.1.lines().next()?;
    let of_ours = |device: &String| text.contains(&format!("({device})")) || text.contains(&format!("device {device}"));
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    let damage = || has(DAMAGE) && !has(NO_DAMAGE);
    let alarming = is_alarming(text) || damage() && devices.iter().any(of_ours);
    alarming.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarming_lines_of_the_kernel_log() {
        let devices = ["loop3".to_owned()];
        let of = |text: &str| alarm(&format!("4,1234,5678,-;{text}\n SUBSYSTEM=block\n"), &devices);
        for text in [
            "WARNING: CPU: 1 PID: 77 at fs/xfs/xfs_inode.c:1850 xfs_inactive+0x10/0x20",
            "BUG: kernel NULL pointer dereference, address: 0000000000000008",
            "INFO: task fsync:812 blocked for more than 122 seconds.",
            "XFS (loop3): Metadata corruption detected at xfs_dinode_verify",
            "EXT4-fs error (device loop3): ext4_lookup:1827: inode #2: comm ls",
            "BTRFS error (device loop3): open_ctree failed: -5",
        ] {
            assert_eq!(of(text).as_deref(), Some(text));
        }
        for text in [
            "XFS (loop4): Metadata corruption detected",
            "XFS (loop3): Ending clean mount",
            "BTRFS error (device loop3): bdev /dev/loop3 errs: wr 0, rd 0, flush 0, corrupt 1, gen 0",
            "BTRFS error (device loop3): btrfs_scrub_dev(/dev/loop3, 1, /dev/loop2) failed -28",
            "BTRFS error (device loop3): unrecognized mount option 'data=journal'",
            "BTRFS error (device loop3): open_ctree failed: -22",
        ] {
            assert_eq!(of(text), None);
        }
    }
}
