//! The files of the workspace.

use std::io;
use std::path::{Path, PathBuf};

/// The paths of all files below a directory, relative to it. Hidden directories are left out, and so is `target` at the
/// top.
pub fn below(top: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut open = vec![PathBuf::new()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(top.join(&directory))? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = directory.join(&name);
            let is_built = directory.as_os_str().is_empty() && name == "target";
            if !entry.file_type()?.is_dir() {
                files.push(path);
            } else if !name.starts_with('.') && !is_built {
                open.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}
