//! Limits of space: on the storage, and of each user.

use crate::call::caller::{Capabilities, Credentials};
use crate::model::state::State;
use crate::units::{BLOCK, Ino};
use nix::errno::Errno;

/// The limits for the files of one user. They apply to every caller; `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Blocks of data, counted for each file: a shared block counts for each of its files.
    pub blocks: Option<u64>,
    /// Inodes of every type.
    pub inodes: Option<u64>,
}

impl State {
    /// quotactl(2) with Q_SETQUOTA: 0 removes the limit.
    pub(crate) fn limit(&mut self, who: &Credentials, uid: u32, bytes: u64) -> Result<(), Errno> {
        if !who.has(Capabilities::SYS_ADMIN) {
            return Err(Errno::EPERM);
        }
        match bytes {
            0 => _ = self.quotas.remove(&uid),
            _ => _ = self.quotas.insert(uid, Quota { blocks: Some(bytes / BLOCK as u64), inodes: None }),
        }
        Ok(())
    }

    /// Makes sure that `takes` blocks can be allocated, and that the file may grow by `grows` blocks: ENOSPC, EDQUOT.
    pub(crate) fn room_for(&mut self, ino: Ino, takes: usize, grows: usize) -> Result<(), Errno> {
        if takes > self.volume.free() {
            return Err(Errno::ENOSPC);
        }
        self.within_quota(self.inode(ino).uid, grows as u64, 0)?;
        self.volume.make_room(takes)
    }

    /// Whether a user may have one more file: EDQUOT.
    pub(crate) fn room_for_inode(&self, uid: u32) -> Result<(), Errno> {
        self.within_quota(uid, 0, 1)
    }

    /// Whether a user may become the owner of a file: EDQUOT.
    pub(crate) fn room_to_own(&self, ino: Ino, uid: u32) -> Result<(), Errno> {
        let file = self.inode(ino);
        if file.uid == uid { Ok(()) } else { self.within_quota(uid, file.map.len(), 1) }
    }

    /// Whether the owner of a file may not have another block.
    pub(crate) fn at_limit(&self, uid: u32) -> bool {
        self.within_quota(uid, 1, 0).is_err()
    }

    fn within_quota(&self, uid: u32, blocks: u64, inodes: u64) -> Result<(), Errno> {
        let Some(quota) = self.quotas.get(&uid) else { return Ok(()) };
        let mut used = (0, 0);
        for file in self.volume.inodes.values().filter(|file| file.uid == uid) {
            used = (used.0 + file.map.len(), used.1 + 1);
        }
        let fits =
            |limit: Option<u64>, used: u64, more: u64| more == 0 || limit.is_none_or(|limit| used + more <= limit);
        let fits = fits(quota.blocks, used.0, blocks) && fits(quota.inodes, used.1, inodes);
        if fits { Ok(()) } else { Err(Errno::EDQUOT) }
    }
}
