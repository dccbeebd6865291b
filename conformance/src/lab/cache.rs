//! What the lab keeps from one run to the next: kernels, initramfs images, console logs.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// A directory that may be deleted at any time between runs.
pub(super) struct Cache(PathBuf);

impl Cache {
    /// `$XDG_CACHE_HOME/iomap-conformance`, or below `~/.cache`.
    pub(super) fn open() -> Result<Self, String> {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".cache")));
        let base = base.ok_or("no place for a cache: neither XDG_CACHE_HOME nor HOME is set")?;
        Ok(Self(base.join("iomap-conformance")))
    }

    /// A directory of the cache.
    pub(super) fn directory(&self, name: &str) -> Result<PathBuf, String> {
        let directory = self.0.join(name);
        std::fs::create_dir_all(&directory).map_err(|e| format!("{}: {e}", directory.display()))?;
        Ok(directory)
    }

    /// The file or directory `kind/key`. If it is not there, `make` makes it under another name first, so that nobody
    /// ever sees half of it.
    pub(super) fn get(
        &self,
        kind: &str,
        key: &str,
        make: impl FnOnce(&Path) -> Result<(), String>,
    ) -> Result<PathBuf, String> {
        let directory = self.directory(kind)?;
        let path = directory.join(key);
        if path.exists() {
            return Ok(path);
        }
        let partial = directory.join(format!(".{key}.{}", std::process::id()));
        let made = make(&partial)
            .and_then(|()| std::fs::rename(&partial, &path).map_err(|e| format!("{}: {e}", path.display())));
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&partial).or_else(|_| std::fs::remove_file(&partial));
        }
        // Somebody else may have made the same thing meanwhile.
        if path.exists() { Ok(path) } else { made.map(|()| path) }
    }

    /// Deletes all but the newest files of a kind.
    pub(super) fn prune(&self, kind: &str, keep: usize) -> Result<(), String> {
        let entries = std::fs::read_dir(self.directory(kind)?).map_err(|e| format!("{kind}: {e}"))?;
        let age = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
        let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        files.sort_by_key(age);
        files.iter().rev().skip(keep).for_each(|path| drop(std::fs::remove_file(path)));
        Ok(())
    }
}

/// What identifies the contents of a file, as sha256sum(1) prints it.
pub(super) fn digest(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let output = output(Command::new("sha256sum").stdin(Stdio::from(file)))?;
    Ok(String::from_utf8_lossy(&output).chars().take_while(char::is_ascii_hexdigit).collect())
}

/// The same of bytes.
pub(super) fn digest_of(bytes: &[u8]) -> Result<String, String> {
    let output = filter(&mut Command::new("sha256sum"), bytes)?;
    Ok(String::from_utf8_lossy(&output).chars().take_while(char::is_ascii_hexdigit).collect())
}

/// What a program makes of these bytes.
pub(super) fn filter(command: &mut Command, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|e| format!("{name}: {e}"))?;
    let stdin = child.stdin.take();
    std::thread::scope(|scope| {
        // It writes while it still reads.
        scope.spawn(|| stdin.map(|mut stdin| stdin.write_all(bytes)));
        let output = child.wait_with_output().map_err(|e| format!("{name}: {e}"))?;
        if output.status.success() { Ok(output.stdout) } else { Err(format!("{name}: {}", output.status)) }
    })
}

/// What a program prints. The error has what it prints on standard error.
pub(super) fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|e| match e.kind() {
        std::io::ErrorKind::NotFound => format!("{name} is not installed"),
        _ => format!("{name}: {e}"),
    })?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(format!("{name} failed: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
