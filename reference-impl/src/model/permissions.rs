//! Permissions of a caller, by the mount, the flags and the mode bits of a file.

use crate::call::caller::{Capabilities, Credentials, EXECUTE, READ, WRITE};
use crate::model::state::State;
use crate::storage::inode::{Inode, Kind};
use crate::units::Ino;
use crate::violation::Quirk;
use nix::errno::Errno;

impl Credentials {
    /// Whether the caller is the owner, or may act as the owner.
    pub(crate) fn owns(&self, file: &Inode) -> bool {
        self.uid == file.uid || self.has(Capabilities::FOWNER)
    }

    /// Whether the mode bits or a capability permit an access.
    pub(crate) fn may(&self, file: &Inode, wanted: u32) -> bool {
        let class = match () {
            () if self.uid == file.uid => file.mode >> 6,
            () if self.in_group(file.gid) => file.mode >> 3,
            () => file.mode,
        };
        let directory = file.kind == Kind::Directory;
        let searches = if directory { wanted & WRITE == 0 } else { wanted == READ };
        let overrides = directory || wanted & EXECUTE == 0 || file.mode & 0o111 != 0;
        wanted & !class == 0
            || (searches && self.has(Capabilities::DAC_READ_SEARCH))
            || (overrides && self.has(Capabilities::DAC_OVERRIDE))
    }
}

impl State {
    /// Whether the mount, the flags of the file and its mode bits permit an access: EROFS, EPERM, EACCES.
    pub(crate) fn permits(&self, who: &Credentials, ino: Ino, wanted: u32) -> Result<(), Errno> {
        let file = self.inode(ino);
        if wanted & WRITE != 0 {
            if matches!(file.kind, Kind::Regular | Kind::Directory | Kind::Symlink) {
                self.changeable()?;
            }
            if file.is_immutable() {
                return Err(Errno::EPERM);
            }
        }
        if who.may(file, wanted) { Ok(()) } else { Err(Errno::EACCES) }
    }

    /// Fails with EROFS on a read-only mount.
    pub(crate) fn changeable(&self) -> Result<(), Errno> {
        if self.volume.read_only && !self.has(Quirk::ReadonlyMountSeals) { Err(Errno::EROFS) } else { Ok(()) }
    }
}
