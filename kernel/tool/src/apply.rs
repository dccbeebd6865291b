//! `apply`: writes the patched files into a tree.

use crate::series::Series;
use crate::source::suitable;
use crate::tree::Tree;
use clap::Args;
use iomap_command::{Error, Exit, count, tell_line};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Apply the patches up to this number only
    #[arg(long, value_name = "NN")]
    upto: Option<u32>,
    /// Apply this mutant on top
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    /// Accept a source of another series of kernels
    #[arg(long)]
    any_version: bool,
    /// The source as it was unpacked; nothing is written there
    pristine: PathBuf,
    /// A copy of it. Only files that differ are written
    tree: PathBuf,
}

pub(crate) fn run(series: &Series, arguments: &Arguments) -> Result<Exit, Error> {
    suitable(&arguments.pristine, series, arguments.any_version)?;
    let mutant = arguments.mutant.as_deref().map(|name| series.mutant(name)).transpose()?;
    let patches = series.upto(arguments.upto)?;
    let tree = Tree::after(series, Some(&arguments.pristine), patches, mutant)?;
    let written = write(&tree, &arguments.pristine, &arguments.tree)?;
    let all = tree.files().count();
    tell_line(format_args!("{}, {written} written", count(all, "file")));
    Ok(Exit::Fine)
}

/// The list of the files that the last call has changed, at the top of a tree.
pub(crate) const RECORD: &str = ".iomap-kernel";

/// Makes the tree a copy of the source with these files. Only files that differ are written, so that make(1) builds
/// little. Returns the number of files that were written or removed.
pub(crate) fn write(tree: &Tree, pristine: &Path, target: &Path) -> Result<usize, Error> {
    if pristine.canonicalize().is_ok_and(|path| target.canonicalize().is_ok_and(|other| path == other)) {
        return Err(Error::usage(format!("{}: the pristine source is not patched in place", pristine.display())));
    }
    if !target.join("Makefile").exists() {
        return Err(Error::environment(format!("{}: no copy of the source: there is no Makefile", target.display())));
    }
    let record = target.join(RECORD);
    let before = fs::read_to_string(&record).unwrap_or_default();
    let mut wanted: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for name in before.lines() {
        // A file that the last call has changed, and this one does not: as it was.
        let path = pristine.join(name);
        let text = path.exists().then(|| fs::read_to_string(&path)).transpose();
        wanted.insert(name, text.map_err(|error| Error::file(&path, error))?);
    }
    wanted.extend(tree.files().map(|(name, text)| (name, Some(text.to_owned()))));
    // The record comes first, and has both: a call that is interrupted leaves nothing that the next one does not know.
    let names: BTreeSet<&str> = wanted.keys().copied().collect();
    put(&record, &lines(names))?;
    let mut written = 0;
    for (name, text) in &wanted {
        let path = target.join(name);
        if fs::read_to_string(&path).ok() == *text {
            continue;
        }
        match text {
            Some(text) => put(&path, text)?,
            None => fs::remove_file(&path).map_err(|error| Error::file(&path, error))?,
        }
        written += 1;
    }
    put(&record, &lines(tree.files().map(|(name, _)| name).collect()))?;
    Ok(written)
}

fn lines(names: BTreeSet<&str>) -> String {
    names.into_iter().map(|name| format!("{name}\n")).collect()
}

/// Writes a file in one step. The file may be a link to one in the pristine source, which stays as it is.
pub(crate) fn put(path: &Path, text: &str) -> Result<(), Error> {
    let failed = |error| Error::file(path, error);
    let mut partial = path.as_os_str().to_owned();
    partial.push(format!(".{}", std::process::id()));
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory).map_err(failed)?;
    }
    fs::write(&partial, text).and_then(|()| fs::rename(&partial, path)).map_err(|error| {
        let _ = fs::remove_file(&partial);
        failed(error)
    })
}
