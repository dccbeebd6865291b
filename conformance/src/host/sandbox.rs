//! The suite's own mount namespace, and the guardian in it.
//!
//! An ordinary user also gets a user namespace. FUSE can be mounted there, and real file systems cannot.

use super::guardian::Guardian;
use crate::error::{Error, Result, at};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use std::path::{Path, PathBuf};

/// The namespace, until it is dropped.
pub(crate) struct Sandbox {
    stage: PathBuf,
    /// Dropping it deactivates the active swap files.
    _guardian: Guardian,
    ordinary: bool,
}

/// Directories that every Linux has, and that are not needed inside the namespace.
const STAGES: [&str; 3] = ["/mnt", "/media", "/srv"];

impl Sandbox {
    /// Moves this thread, and the threads and processes that it starts later, into a namespace of its own. No other
    /// thread may exist at this moment.
    pub(crate) fn enter() -> Result<Self> {
        let none = None::<&str>;
        let ordinary = !geteuid().is_root();
        if ordinary {
            become_root_of_our_own()?;
        } else {
            unshare(CloneFlags::CLONE_NEWNS).map_err(|errno| Error::about("no mount namespace of our own", errno))?;
        }
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
            .map_err(|errno| Error::about("the mount namespace cannot be made private", errno))?;
        let stage = stage().ok_or_else(|| format!("none of {} is a directory to mount on", STAGES.join(", ")))?;
        mount(Some("iomap-conformance"), &stage, Some("tmpfs"), MsFlags::empty(), Some("mode=0755,size=1m"))
            .map_err(|errno| Error::about(format!("tmpfs on {}", stage.display()), errno))?;
        let guardian = Guardian::of_mounts(&stage)?;
        Ok(Self { stage, _guardian: guardian, ordinary })
    }

    /// Whether an ordinary user entered the namespace. This user is root only inside.
    pub(crate) fn is_ordinary(&self) -> bool {
        self.ordinary
    }

    /// An empty directory to mount on.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.stage.join(name);
        std::fs::create_dir_all(&directory).map_err(at(&directory))?;
        Ok(directory)
    }
}

/// Moves into a user namespace where this user is root, and into a mount namespace.
fn become_root_of_our_own() -> Result<()> {
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::about("this takes root, or a kernel that lets users make namespaces", errno))?;
    let identities =
        [("setgroups", "deny".into()), ("uid_map", format!("0 {user} 1")), ("gid_map", format!("0 {group} 1"))];
    identities.into_iter().try_for_each(|(file, line)| {
        let path = Path::new("/proc/self").join(file);
        std::fs::write(&path, line).map_err(at(&path))
    })
}

/// A directory to mount on that hides nothing the user works with.
fn stage() -> Option<PathBuf> {
    let in_use = [std::env::current_dir().unwrap_or_default(), std::env::temp_dir()];
    let free = |stage: &&Path| stage.is_dir() && in_use.iter().all(|path| !path.starts_with(stage));
    let is_empty = |stage: &Path| std::fs::read_dir(stage).is_ok_and(|mut entries| entries.next().is_none());
    let mut stages: Vec<&Path> = STAGES.iter().map(Path::new).filter(free).collect();
    stages.sort_by_key(|stage| !is_empty(stage));
    stages.first().map(|stage| stage.to_path_buf())
}
