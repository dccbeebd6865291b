//! Files that the lab keeps from one run to the next: kernels, initramfs images, console logs.
//!
//! An entry is a directory that is moved to its place in one step, with a record of its contents. An entry that does
//! not agree with its record, because of a full disk, a loss of power or an edit by hand, is made again.

use crate::error::{Error, Result, at};
use iomap_command::tell_line;
use nix::fcntl::{Flock, FlockArg};
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

/// A directory that may be deleted at any time between runs.
pub(crate) struct Cache(PathBuf);

impl Cache {
    /// `$XDG_CACHE_HOME/iomap-conformance`, or below `~/.cache`.
    pub(crate) fn open() -> Result<Self> {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
        // The name service, which knows homes too, does not work in a static program.
        let base = base.or_else(|| std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache")));
        let base = base.ok_or("no place for a cache: neither XDG_CACHE_HOME nor HOME is set")?;
        Ok(Self::at(base.join("iomap-conformance")))
    }

    /// A cache in this directory.
    pub(crate) fn at(place: PathBuf) -> Self {
        let cache = Self(place);
        cache.sweep();
        cache
    }

    /// A directory of the cache.
    pub(crate) fn directory(&self, name: &str) -> Result<PathBuf> {
        let directory = self.0.join(name);
        std::fs::create_dir_all(&directory).map_err(at(&directory))?;
        Ok(directory)
    }

    /// The file or directory with this key. If it is missing or damaged, `make` makes it next to its place, so that
    /// other processes never see an incomplete entry. `room` is the approximate size in bytes, for the message about a
    /// full disk.
    pub(crate) fn get(
        &self,
        kind: &str,
        key: &str,
        room: u64,
        make: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<PathBuf> {
        let place = self.directory(kind)?.join(key);
        if self.is_whole(&place) {
            // Update the time, because other labs delete the oldest entries.
            let _ = File::open(place.join(WHOLE)).and_then(|record| record.set_modified(SystemTime::now()));
            return Ok(place.join(CONTENTS));
        }
        if place.symlink_metadata().is_ok() {
            tell_line(format_args!("{}: damaged, it is made again", place.display()));
        }
        let made = |partial: &Path| {
            make(&partial.join(CONTENTS))?;
            let contents = partial.join(CONTENTS);
            let record = state(&contents).map_err(at(&contents))?;
            std::fs::write(partial.join(WHOLE), record).map_err(at(&place))
        };
        put(&place, made, || self.is_whole(&place)).map_err(|error| match free(&place) {
            Some(free) if free < room => {
                let (free, room) = (free.div_ceil(MIB), room.div_ceil(MIB));
                let why = error.to_string();
                let why = why.lines().next().unwrap_or_default();
                format!("{}: {free} MiB are free, and about {room} MiB are needed: {why}", place.display()).into()
            }
            Some(_) | None => error,
        })?;
        Ok(place.join(CONTENTS))
    }

    /// Whether there is an entry that is unchanged since it was made.
    fn is_whole(&self, place: &Path) -> bool {
        let Ok(record) = std::fs::read_to_string(place.join(WHOLE)) else { return false };
        let contents = place.join(CONTENTS);
        if contents.is_dir() {
            return tree(&contents).is_ok_and(|state| state == record);
        }
        // The length is quick to check. The contents are read only once, as long as the file does not change.
        let same_len = contents.metadata().is_ok_and(|file| record.starts_with(&format!("{} ", file.len())));
        same_len && self.digest(&contents).is_ok_and(|digest| record.ends_with(&format!(" {digest}")))
    }

    /// The remembered answer to the same question in the same state, or else that of `ask`.
    pub(crate) fn answer(&self, question: &str, state: &str, ask: impl FnOnce() -> Result<String>) -> Result<String> {
        let path = self.directory("answers")?.join(digest_of(question.as_bytes()));
        let head = format!("{question}\n{state}\n");
        let known = std::fs::read_to_string(&path).unwrap_or_default();
        let whole = known.strip_prefix(&head).and_then(|rest| rest.strip_suffix(END));
        if let Some(answer) = whole {
            return Ok(answer.to_owned());
        }
        let answer = ask()?;
        let partial = unfinished(&path);
        let written =
            std::fs::write(&partial, format!("{head}{answer}{END}")).and_then(|()| std::fs::rename(&partial, &path));
        if let Err(error) = written {
            remove(&partial);
            return Err(at(&path)(error));
        }
        Ok(answer)
    }

    /// The digest of a file's contents. The file is read only once, as long as its identity, size and time do not
    /// change.
    pub(crate) fn digest(&self, path: &Path) -> Result<String> {
        let path = path.canonicalize().map_err(at(path))?;
        let data = path.metadata().map_err(at(&path))?;
        let state = format!("{} {} {}.{:09}", data.ino(), data.len(), data.ctime(), data.ctime_nsec());
        self.answer(&format!("SHA-256 of {}", path.display()), &state, || file_digest(&path).map_err(at(&path)))
    }

    /// Deletes all but the newest entries of a kind.
    pub(crate) fn prune(&self, kind: &str, keep: usize) -> Result<()> {
        let entries = std::fs::read_dir(self.directory(kind)?).map_err(|e| Error::about(kind, e))?;
        let of = |path: &Path| path.metadata().and_then(|data| data.modified());
        let age = |path: &PathBuf| of(&path.join(WHOLE)).or_else(|_| of(path)).unwrap_or(SystemTime::UNIX_EPOCH);
        let entries = entries.flatten().map(|entry| entry.path()).filter(|path| maker_of(path).is_none());
        let mut entries: Vec<PathBuf> = entries.collect();
        // The age is read once for each entry: another lab may use one meanwhile.
        entries.sort_by_cached_key(age);
        entries.iter().rev().skip(keep).for_each(|path| remove(path));
        Ok(())
    }

    /// Deletes the unfinished files of labs that were killed, of every kind.
    fn sweep(&self) {
        let kinds = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        let entries = kinds.filter_map(|kind| std::fs::read_dir(kind.path()).ok()).flatten().flatten();
        for path in entries.map(|entry| entry.path()) {
            let Some(maker) = maker_of(&path) else { continue };
            // A process that is not visible here may run in another container; then it holds a lock on its directory.
            if !Path::new("/proc").join(maker.to_string()).exists() && locked(&path).is_some() {
                remove(&path);
            }
        }
    }
}

/// Makes a directory next to its place, and moves it there in one step. An old directory is removed, unless `keep`
/// returns that it is equally good.
pub(crate) fn put(place: &Path, make: impl FnOnce(&Path) -> Result<()>, keep: impl FnOnce() -> bool) -> Result<()> {
    let failed = at(place);
    let (partial, _lock) = loop {
        let partial = unfinished(place);
        std::fs::create_dir_all(&partial).map_err(&failed)?;
        // Another lab may take the directory for abandoned and remove it before the lock is taken; then try again.
        if let Some(lock) = locked(&partial) {
            break (partial, lock);
        }
    };
    let old = unfinished(place);
    let made = make(&partial).and_then(|()| {
        // The place may be occupied by a damaged entry, or by an entry that another lab has just made and uses.
        if std::fs::rename(&partial, place).is_ok() || keep() {
            return Ok(());
        }
        let _ = std::fs::rename(place, &old);
        std::fs::rename(&partial, place).map_err(&failed)
    });
    remove(&old);
    remove(&partial);
    made
}

/// The end of each answer, which shows that the answer is complete.
const END: &str = "\n.\n";

/// The files in an entry: the contents, and the record of the contents.
const CONTENTS: &str = "contents";
const WHOLE: &str = "whole";

const MIB: u64 = 1 << 20;

/// A unique name for an unfinished entry, hidden beside its place: `.NAME.PROCESS-NUMBER`.
fn unfinished(place: &Path) -> PathBuf {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    place.with_file_name(format!(".{name}.{}-{number}", std::process::id()))
}

/// The process that makes an unfinished entry.
fn maker_of(path: &Path) -> Option<u32> {
    let name = path.file_name()?.to_str()?.strip_prefix('.')?;
    name.rsplit_once('.')?.1.split_once('-')?.0.parse().ok()
}

/// Locks an unfinished entry, unless another process has the lock.
fn locked(path: &Path) -> Option<Flock<File>> {
    let file = File::open(path).ok()?;
    let inode = file.metadata().ok()?.ino();
    let lock = Flock::lock(file, FlockArg::LockExclusiveNonblock).ok()?;
    (std::fs::metadata(path).ok()?.ino() == inode).then_some(lock)
}

/// Removes a file or a directory, if it is there.
fn remove(path: &Path) {
    let _ = std::fs::remove_dir_all(path).or_else(|_| std::fs::remove_file(path));
}

/// The number of free bytes at the place of an entry.
fn free(place: &Path) -> Option<u64> {
    let fs = nix::sys::statvfs::statvfs(place.parent()?).ok()?;
    Some(fs.blocks_available() * fs.fragment_size())
}

/// The record of contents: for a file its length and checksum, for a directory its files.
fn state(path: &Path) -> io::Result<String> {
    let data = path.metadata()?;
    if data.is_dir() {
        return tree(path);
    }
    Ok(format!("{} {}", data.len(), file_digest(path)?))
}

/// The names below a directory, with the length and the time of each file, because reading all files would take long.
fn tree(root: &Path) -> io::Result<String> {
    let (mut lines, mut directories) = (Vec::new(), vec![root.to_path_buf()]);
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, data) = (entry.path(), entry.metadata()?);
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            if data.is_dir() {
                directories.push(path);
            } else {
                lines.push(format!("{name} {} {}\n", data.len(), data.mtime()));
            }
        }
    }
    lines.sort();
    Ok(lines.concat())
}

/// The SHA-256 of the contents of a file.
fn file_digest(path: &Path) -> io::Result<String> {
    let (mut file, mut sha, mut buffer) = (File::open(path)?, Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&sha.finalize())),
            len => sha.update(&buffer[..len]),
        }
    }
}

/// The SHA-256 of these bytes.
pub(crate) fn digest_of(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(digest: &[u8]) -> String {
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::Duration;

    fn cache() -> (tempfile::TempDir, Cache) {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache(directory.path().to_path_buf());
        (directory, cache)
    }

    /// Makes an entry with one file, and counts the calls of `make`.
    fn get(cache: &Cache, kind: &str, made: &mut usize) -> PathBuf {
        let make = |path: &Path| {
            *made += 1;
            let file = if kind == "kernels" { path.join("lib/module") } else { path.to_path_buf() };
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, "contents of it").map_err(at(path))
        };
        cache.get(kind, "key", 0, make).unwrap()
    }

    /// An entry with any kind of damage is made again, once.
    #[test]
    fn damage_is_noticed() {
        let (_directory, cache) = cache();
        let truncate = |path: &Path| File::options().write(true).open(path).unwrap().set_len(3).unwrap();
        let file = |path: &Path| if path.is_dir() { path.join("lib/module") } else { path.to_path_buf() };
        type Damage = fn(&Path);
        let damages: [Damage; 5] = [
            |path| File::options().write(true).open(path).unwrap().set_len(3).unwrap(),
            |path| std::fs::write(path, "").unwrap(),
            |path| std::fs::remove_file(path).unwrap(),
            |path| {
                std::fs::write(path, "another text..").unwrap();
                File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            },
            |path| {
                let entry = path.ancestors().find(|path| path.join(WHOLE).exists()).unwrap();
                std::fs::remove_file(entry.join(WHOLE)).unwrap();
            },
        ];
        for kind in ["kernels", "vmlinux"] {
            let mut made = 0;
            let path = get(&cache, kind, &mut made);
            assert_eq!((get(&cache, kind, &mut made), made), (path.clone(), 1));
            for (number, damage) in damages.iter().enumerate() {
                damage(&file(&path));
                get(&cache, kind, &mut made);
                get(&cache, kind, &mut made);
                assert_eq!(made, number + 2, "{kind}, damage {number}");
            }
            truncate(&path.parent().unwrap().join(WHOLE));
            get(&cache, kind, &mut made);
            assert_eq!(made, damages.len() + 2, "a record of {kind} that is damaged");
            assert_eq!(std::fs::read(file(&path)).unwrap(), b"contents of it");
        }
        // An entry from a version without records.
        let place = cache.directory("initramfs").unwrap().join("key");
        std::fs::write(&place, "half of it").unwrap();
        let mut made = 0;
        assert_eq!(std::fs::read(get(&cache, "initramfs", &mut made)).unwrap(), b"contents of it");
        assert_eq!(std::fs::read_dir(cache.directory("initramfs").unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_entry_leaves_no_file() {
        let (_directory, cache) = cache();
        let why = cache.get("kernels", "key", 0, |path| {
            std::fs::create_dir_all(path).unwrap();
            Err("it failed".into())
        });
        assert_eq!(why.unwrap_err().to_string(), "it failed");
        assert_eq!(std::fs::read_dir(cache.directory("kernels").unwrap()).unwrap().count(), 0);
        let why =
            cache.get("kernels", "key", u64::MAX, |_| Err("it failed\nin many\nlines".into())).unwrap_err().to_string();
        let place = cache.directory("kernels").unwrap().join("key").display().to_string();
        assert!(why.starts_with(&format!("{place}: ")) && why.lines().count() == 1, "{why}");
        assert!(why.ends_with(" MiB are needed: it failed"), "{why}");
    }

    #[test]
    fn answers_are_whole() {
        let (_directory, cache) = cache();
        let ask = |answer: &str| cache.answer("question", "state", || Ok(answer.into())).unwrap();
        assert_eq!(ask("one"), "one");
        assert_eq!(ask("two"), "one");
        let path = std::fs::read_dir(cache.directory("answers").unwrap()).unwrap().next().unwrap().unwrap().path();
        let len = path.metadata().unwrap().len();
        File::options().write(true).open(&path).unwrap().set_len(len - 4).unwrap();
        assert_eq!(ask("two"), "two");
    }

    /// Unfinished entries are removed after their maker has ended, and not before; entries that other processes lock
    /// stay.
    #[test]
    fn unfinished_entries_go_with_their_makers() {
        let (_directory, cache) = cache();
        let kernels = cache.directory("kernels").unwrap();
        let mut gone = Command::new("true").spawn().unwrap();
        gone.wait().unwrap();
        let names = [
            format!(".key.{}-ThreadId(1)", gone.id()),
            format!(".other.key.{}-7", gone.id()),
            format!(".key.{}-ThreadId(1)", std::process::id()),
            format!("key.{}-1", gone.id()),
            ".hidden".into(),
            format!(".locked.{}-1", gone.id()),
        ];
        for name in &names {
            std::fs::create_dir_all(kernels.join(name).join("lib")).unwrap();
        }
        let _lock = locked(&kernels.join(&names[5])).unwrap();
        cache.sweep();
        let there: Vec<bool> = names.iter().map(|name| kernels.join(name).exists()).collect();
        assert_eq!(there, [false, false, true, true, true, true]);
    }

    #[test]
    fn the_oldest_entries_are_deleted() {
        let (_directory, cache) = cache();
        for (age, key) in ["new", "middle", "old"].into_iter().enumerate() {
            let made = cache.get("initramfs", key, 0, |path| std::fs::write(path, key).map_err(at(path)));
            let time = SystemTime::now() - Duration::from_secs(100 * age as u64);
            File::open(made.unwrap().with_file_name(WHOLE)).unwrap().set_modified(time).unwrap();
        }
        // This use makes the entry the newest.
        cache.get("initramfs", "old", 0, |_| Err("it is there".into())).unwrap();
        cache.prune("initramfs", 2).unwrap();
        let mut left: Vec<_> = std::fs::read_dir(cache.directory("initramfs").unwrap()).unwrap().flatten().collect();
        left.sort_by_key(std::fs::DirEntry::file_name);
        assert_eq!(left.iter().map(std::fs::DirEntry::file_name).collect::<Vec<_>>(), ["new", "old"]);
    }
}
