//! Mounting: a session that serves a file system through FUSE.

use crate::entry::fs::Fs;
use crate::fuse::daemon::Daemon;
use fuser::{Config, Filesystem, MountOption, Session, SessionACL};
use std::io;
use std::path::Path;

/// The options of a mount.
#[derive(Clone, Debug, Default)]
pub struct MountOptions {
    /// The source that `mount` shows.
    pub source: String,
    /// Whether every user may use the mount, as far as the mode bits permit; otherwise only the user who mounted it.
    pub allow_other: bool,
    /// Whether the mount is read-only.
    pub read_only: bool,
    /// Whether the user who mounted it may seal and unseal without CAP_LINUX_IMMUTABLE.
    pub owner_seals: bool,
}

impl Fs {
    /// Mounts the file system on a directory. The caller has to serve it until it is unmounted.
    ///
    /// A process that shares the caller's table of descriptors must not use the mount. If such processes are killed,
    /// one that waits for an answer keeps /dev/fuse open, and waits for ever.
    ///
    /// Fails if there is no /dev/fuse, or if neither mount(2) nor fusermount3(1) may mount on the directory.
    pub fn session(&self, dir: &Path, options: &MountOptions) -> io::Result<Session<impl Filesystem + use<>>> {
        let mut config = Config::default();
        config.mount_options = vec![
            MountOption::FSName(options.source.clone()),
            MountOption::Subtype("iomap".into()),
            MountOption::DefaultPermissions,
            MountOption::NoDev,
            MountOption::NoSuid,
        ];
        if options.read_only {
            config.mount_options.push(MountOption::RO);
        }
        config.acl = if options.allow_other { SessionACL::All } else { SessionACL::Owner };
        let owner = options.owner_seals.then(|| nix::unistd::geteuid().as_raw());
        Session::new(Daemon { fs: self.clone(), owner }, dir, &config).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if dir.exists() => io::Error::new(error.kind(), "no /dev/fuse, or no fusermount3"),
            _ => error,
        })
    }
}
