//! A directory that the user names. The kernel is this one, and the file system is not the suite's own.
//!
//! The suite works only in a fresh directory in it. A lock marks the fresh directory as used, because a lock ends with
//! its process. A guardian removes the directory in the end, however the suite ends. If no guardian could do that, the
//! next suite removes the directory.

use crate::error::{Error, Result};
use crate::filesystem::FsKind;
use crate::host::activation::activation;
use crate::host::admin;
use crate::host::areas::{Areas, FEWEST, Places};
use crate::host::calls::Calls;
use crate::host::guardian::{self, Guardian};
use crate::host::offer::lacks;
use crate::host::probe::{self, DESCRIPTORS, Machine};
use crate::host::proc;
use crate::host::sealing::Sealing;
use crate::host::stock::deactivate;
use crate::host::sys::vfs;
use crate::kernel_log::Devices;
use crate::lack::{self, Lacking, Needs};
use crate::mechanism::Mechanism;
use crate::reach::{Kind, OTHERS, Site};
use crate::system::{Lane, Outcomes, Ready, StorageAgent, System, Target};
use crate::verdict::Trouble;
use iomap_clauses::Clause;
use iomap_reference::{Call, Caller, FLAG_APPEND, FLAG_IMMUTABLE, Fd, Outcome};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// The beginning of the names of fresh directories.
pub(crate) const PREFIX: &str = "iomap-conformance.";

/// A fresh directory in a directory of the user, until it is dropped.
pub struct Fresh {
    path: PathBuf,
    lock: Option<Flock<File>>,
    guardian: Option<Guardian>,
}

impl Fresh {
    /// Makes a fresh directory, and removes those of dead suites.
    pub fn new(parent: &Path) -> Result<Self> {
        let failed = |what: &str| format!("{}: {what}", parent.display());
        let parent = parent.canonicalize().map_err(|error| Error::about(failed("no directory to work in"), error))?;
        remove_abandoned(&parent);
        loop {
            let path = nix::unistd::mkdtemp(&parent.join(format!("{PREFIX}XXXXXX")))
                .map_err(|errno| Error::about(failed("a directory cannot be made in it"), errno))?;
            // Until the directory is locked, another suite may take it for abandoned and remove it.
            if let Some(lock) = locked(&path) {
                let guardian = Guardian::of_directory(&path)?;
                return Ok(Self { path, lock: Some(lock), guardian: Some(guardian) });
            }
        }
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // The guardian waits for the lock, then removes everything.
        drop(self.lock.take());
        drop(self.guardian.take());
    }
}

/// The lock of a directory; `None` if another process has the lock or the directory is gone.
fn locked(path: &Path) -> Option<Flock<File>> {
    let file = File::open(path).ok()?;
    let inode = file.metadata().ok()?.ino();
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
    (std::fs::metadata(path).ok()?.ino() == inode).then_some(lock)
}

/// Removes the directories of this user whose suites are dead.
fn remove_abandoned(parent: &Path) {
    let user = nix::unistd::geteuid().as_raw();
    let Ok(entries) = std::fs::read_dir(parent) else { return };
    for entry in entries.flatten().filter(|entry| entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes())) {
        let ours = entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == user);
        if ours && let Some(_lock) = locked(&entry.path()) {
            let _ = guardian::remove(&entry.path());
        }
    }
}

/// The file system in which the directory is, with one mechanism.
pub struct Directory {
    path: PathBuf,
    fs: String,
    kind: Option<FsKind>,
    ordinary: bool,
    cases: AtomicUsize,
    sealing: Arc<Sealing>,
    machine: Machine,
    areas: Arc<Areas>,
    /// The reason why no case can run.
    not_offered: Option<String>,
}

impl Directory {
    /// The target in a fresh directory.
    pub fn new(fresh: &Fresh, mechanism: Mechanism) -> Result<Self> {
        let ordinary = !nix::unistd::geteuid().is_root();
        let takes_root = match mechanism {
            Mechanism::Seal | Mechanism::F2fsPin | Mechanism::DeviceDax => None,
            Mechanism::Swapfile => Some("swapon(2)"),
            Mechanism::ImmutableAttr => Some("FS_IOC_SETFLAGS with FS_IMMUTABLE_FL"),
        };
        if let Some(call) = takes_root.filter(|_| ordinary) {
            return Err(format!("mechanism {} needs root: {call}", mechanism.name()).into());
        }
        let rights = match mechanism {
            _ if ordinary => &[][..],
            Mechanism::Swapfile => lack::ADMINISTRATION,
            Mechanism::ImmutableAttr | Mechanism::F2fsPin => lack::ATTRIBUTES,
            Mechanism::Seal | Mechanism::DeviceDax => &[],
        };
        probe::raise_limits();
        let machine = Machine::with_directory(&fresh.path);
        let swaps = mechanism == Mechanism::Swapfile;
        let before = Needs { descriptors: DESCRIPTORS, rights, ..Needs::default() };
        let in_turn = Needs { swap_areas: if swaps { FEWEST as u64 } else { 0 }, ..Needs::default() };
        let ask = |needs| lack::missing(&machine, needs).map_or(Ok(()), |lack| Err(Error::from(lack)));
        ask(&before)?;
        let areas = if swaps { Areas::new()? } else { Areas::unlimited() };
        ask(&in_turn)?;
        let fs = proc::mount_of(&fresh.path).ok_or("the file system of the directory is unknown")?.fs;
        let kind = FsKind::ALL.into_iter().find(|kind| kind.name() == fs);
        // Any file system can be a layer below a user's file system. The facts of the suite's own layers say nothing
        // about it.
        let (kind, fs) = match kind {
            Some(kind) if kind.facts().over.is_some() => (None, format!("{fs} of others")),
            kind => (kind, fs),
        };
        let sealing = Arc::default();
        let (path, cases, areas) = (fresh.path.clone(), AtomicUsize::new(0), Arc::new(areas));
        let mut target = Self { path, fs, kind, ordinary, cases, sealing, machine, areas, not_offered: None };
        let place = target.place()?;
        let not_offered = lacks(&place, mechanism)?;
        drop(place);
        target.not_offered = not_offered;
        Ok(target)
    }

    /// The file system, as mount(8) calls it.
    pub fn fs(&self) -> &str {
        &self.fs
    }

    fn place(&self) -> std::result::Result<DirectorySystem<'_>, Trouble> {
        let number = self.cases.fetch_add(1, Ordering::Relaxed);
        let directory = self.path.join(format!("case-{number}"));
        std::fs::create_dir(&directory).map_err(|error| Trouble::Setup(format!("mkdir: {error}")))?;
        let site = Site {
            name: self.fs.as_str().into(),
            ordinary: self.ordinary,
            sealing: self.sealing.clone(),
            ..Site::new(Kind::Directory, self.kind, directory.clone())
        };
        let calls = Calls::new(site, self.path.clone());
        Ok(DirectorySystem { calls, directory, target: self, places: Places::default() })
    }
}

impl Target for Directory {
    fn system(&self, _: &Clause, lane: Lane) -> std::result::Result<Box<dyn System + '_>, Trouble> {
        if lane != Lane::Shared {
            return Err(Trouble::NotReachable(OTHERS.into()));
        }
        Ok(Box::new(self.place()?))
    }

    fn lacks(&self, _: Mechanism) -> Option<String> {
        self.not_offered.clone()
    }

    fn lacking(&self) -> Option<String> {
        lack::now(&self.machine)
    }

    fn spoilt(&self, _: Lane) -> Option<String> {
        proc::given_up(&self.path)
    }

    fn devices(&self) -> Option<Devices> {
        let names: Vec<String> = proc::mount_of(&self.path).and_then(|mount| mount.device()).into_iter().collect();
        Some(Arc::new(names.into()))
    }
}

struct DirectorySystem<'a> {
    calls: Calls,
    directory: PathBuf,
    target: &'a Directory,
    places: Places,
}

impl System for DirectorySystem<'_> {
    fn shows_access_times(&self) -> bool {
        // The file system can be any, with a server behind it.
        false
    }

    fn call(&self, caller: Caller, call: &Call) -> Outcome {
        let Some(kind) = self.target.kind else { return self.calls.call(caller, call) };
        let _turn = activation(kind, call);
        let (root, directory) = (&*self.target.path, &*self.directory);
        let place = admin::Place { held: &self.calls, root, directory, image: None };
        admin::perform(kind, &place, call).unwrap_or_else(|| self.calls.call(caller, call))
    }

    fn reach(&self, call: &Call) -> std::result::Result<(), Trouble> {
        self.calls.site().ask(call)?;
        self.places.make(&self.target.areas, call)
    }

    fn lacking(&self, caller: Caller, call: &Call, errno: Errno) -> Option<Lacking> {
        self.target.machine.behind(caller, call, errno)
    }

    fn call_beside_registrations(&self, call: &Call, within: Duration) -> Outcome {
        self.calls.unless_waiting(within, || self.call(Caller::Privileged, call))
    }

    fn race(&self, one: &[Call], other: &[Call]) -> std::result::Result<Outcomes, Trouble> {
        let _turn = self.target.kind.and_then(|kind| one.iter().chain(other).find_map(|call| activation(kind, call)));
        self.calls.race(one, other)
    }

    fn agent(&self, _: Fd) -> std::result::Result<Box<dyn StorageAgent>, Trouble> {
        let why = "nobody but the file system gets at the storage of a directory that others use";
        Err(Trouble::NotReachable(why.into()))
    }

    fn retire(&self, mechanism: Mechanism, file: Ready) {
        let descriptors = self.calls.release(&file);
        // The place is given back after the file is deactivated.
        let _place = self.places.remove(file.fd);
        match (mechanism, descriptors.first()) {
            (Mechanism::Swapfile, _) => deactivate(&descriptors),
            (_, Some(file)) => drop(vfs::change_flags(file, 0, FLAG_IMMUTABLE | FLAG_APPEND)),
            (_, None) => (),
        }
    }
}

impl Drop for DirectorySystem<'_> {
    fn drop(&mut self) {
        self.calls.clear();
        // Remove the files of the case now: the user's file system may have no room for those of all cases.
        let _ = guardian::remove(&self.directory);
    }
}
