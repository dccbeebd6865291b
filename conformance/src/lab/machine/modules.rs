//! The modules that a run needs, in the order of loading.

use crate::error::{Error, Result, at};
use crate::lab::machine::kernel::{BootKernel, admin};
use crate::programs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of these modules and of all modules that they depend on, by modprobe(8). A module that is built into the
/// kernel needs no file. Without a directory of modules, every module has to be built in; if one is not, the guest
/// fails.
pub(crate) fn resolve(kernel: &BootKernel, names: &[&str]) -> Result<Vec<PathBuf>> {
    let Some(root) = &kernel.modules else { return Ok(Vec::new()) };
    let mut files = Vec::new();
    for name in names {
        let mut modprobe = Command::new(admin("modprobe"));
        // modprobe must not read the configuration of this machine, because the kernel is another one.
        modprobe.args(["-C", "/dev/null", "-S", kernel.release(), "-d"]).arg(root).args(["--show-depends", name]);
        let output = programs::output(&mut modprobe).map_err(|failure| match failure.to_string() {
            why if why.contains("not found") => {
                Error::from(format!("kernel {} has no module {name}, and it is not built in", kernel.release()))
            }
            why => why.into(),
        })?;
        let lines = String::from_utf8_lossy(&output).into_owned();
        for file in lines.lines().filter_map(|line| line.strip_prefix("insmod ")).map(|path| PathBuf::from(path.trim()))
        {
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    Ok(files)
}

/// Programs that decompress modules, by the suffix of the file name.
const COMPRESSED: [(&str, &str); 3] = [("xz", "xz"), ("zst", "zstd"), ("gz", "gzip")];

/// The decompressed contents of a module: this machine is faster at that than a guest.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let end = path.extension().unwrap_or_default();
    match COMPRESSED.iter().find(|(extension, _)| end == *extension) {
        Some((_, program)) => Ok(programs::output(Command::new(program).arg("-dc").arg(path))?),
        None => std::fs::read(path).map_err(at(path)),
    }
}

/// The file name of a module, without the suffix of compression.
pub(crate) fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.split_once(".ko").map_or(name.to_string(), |(name, _)| format!("{name}.ko"))
}
