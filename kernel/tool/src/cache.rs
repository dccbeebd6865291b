//! The directory with sources and kernels: `$XDG_CACHE_HOME/iomap/kernel`.
//!
//! An entry is made beside its place and moved there in one step. An unfinished one is removed when its maker ends,
//! however that happens, and at the latest when the next command takes the lock.

use iomap_command::{Error, count, tell_line};
use nix::fcntl::{Flock, FlockArg};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// The directory. It may be deleted at any time between commands.
pub(crate) struct Cache(PathBuf);

/// The turn of one command to change the cache.
pub(crate) struct Turn(Flock<File>);

const MIB: u64 = 1 << 20;

impl Cache {
    /// The cache of this user.
    pub(crate) fn open() -> Result<Self, Error> {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        let base =
            base.ok_or_else(|| Error::environment("no place for a cache: neither XDG_CACHE_HOME nor HOME is set"))?;
        let cache = Self(base.join("iomap/kernel"));
        fs::create_dir_all(&cache.0).map_err(|error| Error::file(&cache.0, error))?;
        Ok(cache)
    }

    /// A path of the cache.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Waits for the other commands that change the cache, and removes what was left unfinished.
    pub(crate) fn turn(&self) -> Result<Turn, Error> {
        let path = self.path("lock");
        let file = File::options().create(true).append(true).open(&path).map_err(|error| Error::file(&path, error))?;
        let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).or_else(|(file, _)| {
            tell_line(format_args!("waiting for another command that uses {}", self.0.display()));
            Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| Error::file(&path, errno))
        })?;
        for kind in fs::read_dir(&self.0).into_iter().flatten().flatten() {
            for entry in fs::read_dir(kind.path()).into_iter().flatten().flatten() {
                if entry.file_name().to_string_lossy().ends_with(PARTIAL) {
                    // A guardian may be faster.
                    let path = entry.path();
                    let removed = fs::remove_dir_all(&path);
                    removed.or_else(|error| if path.exists() { Err(Error::file(&path, error)) } else { Ok(()) })?;
                }
            }
        }
        Ok(Turn(lock))
    }

    /// Says how much room something needs, and refuses if there is less.
    pub(crate) fn room(&self, purpose: &str, need: u64) -> Result<(), Error> {
        let failed = |error| Error::file(&self.0, error);
        let fs = nix::sys::statvfs::statvfs(&self.0).map_err(failed)?;
        let free = fs.blocks_available() * fs.fragment_size() / MIB;
        let place = self.0.display();
        if free < need {
            let message = format!("{place}: {purpose} needs about {need} MiB, and {free} MiB are free");
            return Err(Error::environment(message));
        }
        tell_line(format_args!("{purpose}: about {need} MiB in {place}, where {free} MiB are free"));
        Ok(())
    }

    /// The entry with this name, which `make` makes if it is missing.
    pub(crate) fn entry(
        &self,
        _turn: &Turn,
        name: &str,
        make: impl FnOnce(&Path) -> Result<(), Error>,
    ) -> Result<PathBuf, Error> {
        let place = self.path(name);
        if place.exists() {
            return Ok(place);
        }
        let mut partial = place.clone().into_os_string();
        partial.push(PARTIAL);
        let partial = PathBuf::from(partial);
        fs::create_dir_all(&partial).map_err(|error| Error::file(&partial, error))?;
        let mut guardian = guardian(&partial)?;
        let made =
            make(&partial).and_then(|()| fs::rename(&partial, &place).map_err(|error| Error::file(&place, error)));
        // The guardian removes the unfinished entry, if there still is one.
        drop(guardian.stdin.take());
        let _ = guardian.wait();
        made.map(|()| place)
    }

    /// The newest entries of a kind stay, and the one that is in use.
    pub(crate) fn prune(&self, _turn: &Turn, kind: &str, keep: usize, used: &Path) {
        let entries = fs::read_dir(self.path(kind)).into_iter().flatten().flatten().map(|entry| entry.path());
        let mut entries: Vec<PathBuf> = entries.filter(|path| path != used).collect();
        let age = |path: &PathBuf| path.metadata().and_then(|data| data.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        entries.sort_by_key(age);
        let old: Vec<&PathBuf> = entries.iter().rev().skip(keep).collect();
        let removed = old.iter().filter(|path| fs::remove_dir_all(path).is_ok()).count();
        if removed > 0 {
            tell_line(format_args!("{} removed from {}", count(removed, "old entry"), self.path(kind).display()));
        }
    }
}

impl Turn {
    /// An input for programs that change the cache: while one of them lives, the turn does not end, even if the command
    /// that started it was killed.
    pub(crate) fn held(&self) -> Result<Stdio, Error> {
        self.0.try_clone().map(Stdio::from).map_err(|error| Error::environment("the lock of the cache").because(error))
    }
}

const PARTIAL: &str = ".partial";

/// A process that removes a directory when this process ends, in whatever way.
fn guardian(partial: &Path) -> Result<std::process::Child, Error> {
    // The programs that fill the directory end at about the same time, so the first attempt may be too early.
    let script = "trap '' HUP INT TERM; read line; rm -rf \"$1\" || rm -rf \"$1\" || rm -rf \"$1\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "guardian"]).arg(partial);
    let child = shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    child.map_err(|error| Error::environment("sh").because(error))
}
