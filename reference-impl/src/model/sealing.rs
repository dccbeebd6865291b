//! Sealing and unsealing: the sealed state itself.

use crate::call::system_call::Fd;
use crate::model::state::State;
use crate::units::Ino;
use crate::violation::Quirk;
use nix::errno::Errno;

/// The sealer of a file that stays sealed although it was unsealed; used by a violation only.
pub(crate) const NOBODY: Fd = -1;

impl State {
    /// Carries out FALLOC_FL_SEAL_BLOCK_MAP.
    pub(crate) fn seal(&mut self, fd: Fd, ino: Ino, len: i64) -> Result<(), Errno> {
        // The largest file of ext4 with blocks of 4 KiB, `s_maxbytes` of its superblock.
        if len > 16 << 40 && self.has(Quirk::SealLimited) {
            return Err(Errno::EFBIG);
        }
        // The state is visible only after size and data would survive a crash.
        if !self.has(Quirk::SealVisibleEarly) && !self.has(Quirk::SealCommitsNoData) {
            self.volume.commit()?;
        }
        let now = self.now();
        let (keep_ctime, touch_mtime) = (self.has(Quirk::SealSkipsCtime), self.has(Quirk::SealTouchesMtime));
        let (idle, grow) = (self.has(Quirk::SealDoesNothing), self.has(Quirk::SealGrows));
        self.change_of_state(ino);
        let file = self.inode_mut(ino);
        file.sealed = !idle;
        file.sealed_by = Some(fd);
        file.ctime = if keep_ctime { file.ctime } else { now };
        file.mtime = if touch_mtime { now } else { file.mtime };
        if grow {
            self.resize(ino, len.unsigned_abs())?;
        }
        // If the seal cannot be made durable, the file stays unsealed.
        self.commit_state(ino).inspect_err(|_| self.inode_mut(ino).sealed = false)
    }

    /// Carries out FALLOC_FL_UNSEAL_BLOCK_MAP.
    pub(crate) fn unseal(&mut self, ino: Ino) -> Result<(), Errno> {
        if self.inode(ino).descriptors > 4 && self.has(Quirk::UnsealNeedsOnlyOpener) {
            return Err(Errno::EBUSY);
        }
        if self.volume.free() == 0 && self.has(Quirk::UnsealNeedsSpace) {
            return Err(Errno::ENOSPC);
        }
        let now = self.now();
        let (keep_ctime, touch_mtime) = (self.has(Quirk::UnsealSkipsCtime), self.has(Quirk::UnsealTouchesMtime));
        let cosmetic = self.has(Quirk::UnsealIsCosmetic);
        self.change_of_state(ino);
        let file = self.inode_mut(ino);
        file.sealed = cosmetic;
        file.sealed_by = cosmetic.then_some(NOBODY);
        file.ctime = if keep_ctime { file.ctime } else { now };
        file.mtime = if touch_mtime { now } else { file.mtime };
        self.commit_state(ino).inspect_err(|_| self.inode_mut(ino).sealed = true)
    }

    /// Commits the change of a file's state. Violations skip the steps that they are named for.
    pub(crate) fn commit_state(&mut self, ino: Ino) -> Result<(), Errno> {
        let sealed = self.inode(ino).sealed;
        let skipped = if sealed { Quirk::SealNotCommitted } else { Quirk::UnsealNotCommitted };
        if self.stalled || self.has(skipped) {
            return Ok(());
        }
        if self.volume.losing_power && self.has(Quirk::TornSeal) {
            let size = self.inode(ino).size;
            self.inode_mut(ino).size = size / 2;
            let result = self.volume.write_out(true);
            self.inode_mut(ino).size = size;
            return result;
        }
        if sealed && self.has(Quirk::SealCommitsNoData) {
            return self.volume.write_out(false);
        }
        self.volume.commit()
    }
}
