//! The file system that a guest starts with: this program, the programs that it runs, modules, and a manifest.

use crate::error::{Error, Result, at};
use crate::kernel::INIT;
use crate::lab::cache::{self, Cache};
use crate::lab::machine::{modules, packages};
use crate::lab::protocol::{MANIFEST, Manifest};
use crate::programs::{self, Failure};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories to mount on.
const DIRECTORIES: [&str; 6] = ["/proc", "/sys", "/dev", "/run", "/tmp", "/mnt"];

/// Files in the guest: their absolute paths in the guest, and the files with their contents.
type Files = BTreeMap<String, PathBuf>;

/// Makes an initramfs, or finds one with the same contents in the cache. Libraries come from `root` if it has them. The
/// paths of the modules are added to the manifest.
pub(crate) fn get(
    cache: &Cache,
    modules: &[PathBuf],
    programs: &[PathBuf],
    root: Option<&Path>,
    mut manifest: Manifest,
) -> Result<PathBuf> {
    let mut files = Files::new();
    let own = std::env::current_exe().map_err(|e| Error::about("this program", e))?;
    add_program(&mut files, INIT, &own, root)?;
    for program in programs {
        let name = program.file_name().unwrap_or_default().to_string_lossy();
        add_program(&mut files, &format!("/bin/{name}"), program, root)?;
    }
    for path in modules {
        let place = format!("/modules/{}", modules::file_name(path));
        files.insert(place.clone(), path.clone());
        manifest.modules.push(place);
    }
    let manifest = serde_json::to_string(&manifest).map_err(|e| e.to_string())?;
    let key = key(cache, &files, &manifest)?;
    let made = cache.get("initramfs", &key, LARGEST, |path| {
        let archive = archive(&files, &manifest, path)?;
        std::fs::write(path, archive).map_err(at(path))
    })?;
    cache.prune("initramfs", 32)?;
    Ok(made)
}

/// The approximate size of an initramfs, in bytes.
const LARGEST: u64 = 80 << 20;

/// The key of the contents.
fn key(cache: &Cache, files: &Files, manifest: &str) -> Result<String> {
    let mut list = format!("{manifest}\n");
    for (name, path) in files {
        let _ = writeln!(list, "{name} {}", cache.digest(path)?);
    }
    Ok(cache::digest_of(list.as_bytes()))
}

/// The program without its debugging information, if objcopy(1) is installed. In a build for tests that information is
/// nine tenths of the program, and the guest would have to read it.
fn stripped(program: &Path, scratch: &Path) -> Result<Vec<u8>> {
    let done = programs::output(Command::new("objcopy").arg("--strip-debug").args([program, scratch]));
    read(if done.is_ok() { scratch } else { program })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(at(path))
}

/// Adds a program, and its shared libraries at the places where the dynamic linker searches.
fn add_program(files: &mut Files, name: &str, path: &Path, root: Option<&Path>) -> Result<()> {
    files.insert(name.into(), path.into());
    let mut ldd = Command::new("ldd");
    ldd.arg(path).envs(root.map(|root| ("LD_LIBRARY_PATH", packages::libraries(root))));
    let output = match programs::output(&mut ldd) {
        Ok(output) => output,
        // ldd(1) fails for a static program.
        Err(Failure::Ended { status, .. }) if status.code() == Some(1) => return Ok(()),
        Err(failure) => return Err(failure.into()),
    };
    for line in String::from_utf8_lossy(&output).lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if line.ends_with("not found") {
            return Err(format!("{} needs a library that is not there: {}", path.display(), line.trim()).into());
        }
        // Forms: libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f…), or only a path for the dynamic linker.
        let library = words.iter().find(|word| word.starts_with('/')).map(Path::new);
        files.extend(library.map(|library| {
            let inside = root.and_then(|root| library.strip_prefix(root).ok());
            let place = inside.map_or(library.to_path_buf(), |inside| Path::new("/").join(inside));
            (place.to_string_lossy().into_owned(), library.to_path_buf())
        }));
    }
    Ok(())
}

/// A cpio archive in the newc format of Documentation/driver-api/early-userspace/buffer-format.rst.
fn archive(files: &Files, manifest: &str, scratch: &Path) -> Result<Vec<u8>> {
    let mut out = Vec::new();
    let mut directories: BTreeSet<&Path> = DIRECTORIES.iter().map(Path::new).collect();
    directories.extend(files.keys().flat_map(|name| Path::new(name).ancestors().skip(1)));
    // The order puts each directory after its parent.
    for directory in directories.into_iter().filter(|path| path.parent().is_some()) {
        add(&mut out, &directory.to_string_lossy(), 0o040_755, &[]);
    }
    for (name, path) in files {
        let contents = match name.as_str() {
            INIT => stripped(path, scratch)?,
            name if name.starts_with("/modules/") => modules::read(path)?,
            _ => read(path)?,
        };
        add(&mut out, name, 0o100_755, &contents);
    }
    add(&mut out, MANIFEST, 0o100_644, manifest.as_bytes());
    add(&mut out, "/TRAILER!!!", 0, &[]);
    Ok(out)
}

fn add(out: &mut Vec<u8>, name: &str, mode: usize, contents: &[u8]) {
    let name = name.trim_start_matches('/');
    let (number, length, name_length) = (out.len() / 4, contents.len(), name.len() + 1);
    let fields = [number, mode, 0, 0, 1, 0, length, 0, 0, 0, 0, name_length, 0];
    out.extend_from_slice(b"070701");
    fields.iter().for_each(|field| out.extend_from_slice(format!("{field:08x}").as_bytes()));
    out.extend_from_slice(name.as_bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend_from_slice(contents);
    out.resize(out.len().next_multiple_of(4), 0);
}
