//! A file system on a loop device over a file without a name.

use super::sys;
use super::{FsKind, Sandbox};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::stat::Mode;
use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

/// A mounted file system.
pub(super) struct Image {
    root: PathBuf,
    backing: Arc<File>,
    /// Open while the file system is made: the device detaches itself when nobody uses it.
    mounted: bool,
}

impl Image {
    pub(super) fn new(sandbox: &Sandbox, kind: FsKind, name: &str) -> Result<Self, String> {
        let root = sandbox.directory(&format!("{}-{name}", kind.name()))?;
        let backing = nameless().map_err(|e| format!("no image in {}: {e}", std::env::temp_dir().display()))?;
        let size = kind.facts().size;
        backing.set_len(size).map_err(|e| format!("no image of {size} bytes: {e}"))?;
        let (device, path) = attach(&backing)?;
        make(kind, &path)?;
        mount(Some(&path), &root, Some(kind.name()), MsFlags::empty(), None::<&str>).map_err(|errno| match errno {
            Errno::ENODEV => format!("this kernel has no {}", kind.name()),
            _ => format!("mounting {}: {errno}", kind.name()),
        })?;
        drop(device);
        Ok(Self { root, backing: Arc::new(backing), mounted: true })
    }

    /// Where it is mounted.
    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The file underneath.
    pub(super) fn backing(&self) -> Arc<File> {
        self.backing.clone()
    }

    /// The same file system for somebody who does not unmount it.
    pub(super) fn duplicate(&self) -> Self {
        Self { root: self.root.clone(), backing: self.backing.clone(), mounted: false }
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if self.mounted {
            // If something is still active there it stays: the guardian finds it by its path, and the mount ends with
            // the namespace.
            let _ = umount2(&self.root, MntFlags::empty());
        }
    }
}

/// A file that never had a name, in the directory for temporary files, or in memory where that cannot be.
fn nameless() -> Result<File, Errno> {
    let flags = OFlag::O_TMPFILE | OFlag::O_RDWR | OFlag::O_CLOEXEC;
    match nix::fcntl::open(&std::env::temp_dir(), flags, Mode::S_IRUSR | Mode::S_IWUSR) {
        Err(Errno::EOPNOTSUPP | Errno::EISDIR) => memfd_create("iomap-conformance", MFdFlags::MFD_CLOEXEC),
        other => other,
    }
    .map(File::from)
}

/// Attaches a file to a free loop device that detaches itself after its last use.
fn attach(backing: &File) -> Result<(File, PathBuf), String> {
    let control = File::open("/dev/loop-control").map_err(|e| format!("/dev/loop-control: {e}"))?;
    loop {
        let number = sys::loop_free(&control).map_err(|e| format!("no free loop device: {e}"))?;
        let path = PathBuf::from(format!("/dev/loop{number}"));
        let device = OpenOptions::new().read(true).write(true).open(&path);
        let device = device.map_err(|e| format!("{}: {e}", path.display()))?;
        match sys::loop_attach(&device, backing) {
            Ok(()) => return Ok((device, path)),
            // Somebody else was faster.
            Err(Errno::EBUSY) => (),
            Err(errno) => return Err(format!("{}: {errno}", path.display())),
        }
    }
}

fn make(kind: FsKind, device: &Path) -> Result<(), String> {
    let [name, arguments @ ..] = kind.facts().mkfs else { return Err("no mkfs".into()) };
    let program = program(name).ok_or_else(|| format!("{name} is not installed"))?;
    let output = Command::new(program).args(arguments).arg(device).output().map_err(|e| format!("{name}: {e}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}

/// Where a program of the system administrator is.
pub(crate) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(name)).find(|candidate| candidate.is_file())
}
