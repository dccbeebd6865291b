//! What the lab keeps from one run to the next: kernels, initramfs images, console logs.

use std::fs::File;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
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
        if let Ok(found) = File::open(&path) {
            // What is in use is not the oldest: others delete that.
            let _ = found.set_modified(SystemTime::now());
            return Ok(path);
        }
        let partial = directory.join(format!(".{key}.{}", maker()));
        let made = make(&partial)
            .and_then(|()| std::fs::rename(&partial, &path).map_err(|e| format!("{}: {e}", path.display())));
        if made.is_err() {
            let _ = std::fs::remove_dir_all(&partial).or_else(|_| std::fs::remove_file(&partial));
        }
        // Somebody else may have made the same thing meanwhile.
        if path.exists() { Ok(path) } else { made.map(|()| path) }
    }

    /// What a program answered to the same question, or what `ask` answers now. `state` is what the answer depends on.
    pub(super) fn answer(
        &self,
        question: &str,
        state: &str,
        ask: impl FnOnce() -> Result<String, String>,
    ) -> Result<String, String> {
        let mut hasher = DefaultHasher::new();
        question.hash(&mut hasher);
        let path = self.directory("answers")?.join(format!("{:016x}", hasher.finish()));
        let head = format!("{question}\n{state}\n");
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        if let Some(answer) = known.strip_prefix(&head) {
            return Ok(answer.to_owned());
        }
        let answer = ask()?;
        let partial = path.with_extension(maker());
        let written = std::fs::write(&partial, head + &answer).and_then(|()| std::fs::rename(&partial, &path));
        written.map_err(|e| format!("{}: {e}", path.display()))?;
        Ok(answer)
    }

    /// What identifies the contents of a file. It is read once, as long as it stays the same file of the same size and
    /// time.
    pub(super) fn digest(&self, path: &Path) -> Result<String, String> {
        let path = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
        let data = path.metadata().map_err(|e| format!("{}: {e}", path.display()))?;
        let state = format!("{} {} {}.{:09}", data.ino(), data.len(), data.ctime(), data.ctime_nsec());
        self.answer(&format!("sha256sum {}", path.display()), &state, || sha256sum(&path))
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

/// What no other process or thread calls its unfinished files.
fn maker() -> String {
    format!("{}-{:?}", std::process::id(), std::thread::current().id())
}

/// What sha256sum(1) prints for a file.
fn sha256sum(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|e| format!("{}: {e}", path.display()))?;
    let output = output(Command::new("sha256sum").stdin(Stdio::from(file)))?;
    Ok(String::from_utf8_lossy(&output).chars().take_while(char::is_ascii_hexdigit).collect())
}

/// What identifies these bytes.
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
