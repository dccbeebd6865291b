//! The place of the pages: a directory, or this program.

use crate::report;
use iomap_command::{Error, Exit};
use iomap_spec::Spec;
use std::path::{Path, PathBuf};

/// Every file of `man/` that the command reads, and with the feature `book` every file of `book/`: names and contents.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/built_in.rs"));

/// The directory that messages put before the names of built-in files.
const BUILT_IN: &str = "built-in";

/// The variable that names the directory of the pages.
const VARIABLE: &str = "IOMAP_SPEC_PAGES";

/// A checkout of the specification is recognized by this file, in the directory `man` at its top.
const FIRST_PAGE: &str = "iomap_immutable.7.md";

/// The pages that a command works with.
pub(crate) enum Pages {
    /// The pages in this directory.
    Directory(PathBuf),
    /// The pages that are built into this program.
    BuiltIn,
}

impl Pages {
    /// The named directory; or else the directory of the checkout around the working directory; or else the built-in
    /// pages.
    pub(crate) fn choose(named: Option<PathBuf>) -> Pages {
        // An empty variable counts as not set.
        let variable = || std::env::var_os(VARIABLE).filter(|value| !value.is_empty()).map(PathBuf::from);
        named.or_else(variable).or_else(of_checkout).map_or(Pages::BuiltIn, Pages::Directory)
    }

    pub(crate) fn load(&self) -> Result<Spec, Error> {
        match self {
            Pages::Directory(directory) => {
                self.directory()?;
                iomap_spec::load(directory).map_err(report::error)
            }
            Pages::BuiltIn => built_in().map_err(report::error),
        }
    }

    /// The directory, for commands that work on the pages themselves.
    pub(crate) fn directory(&self) -> Result<&Path, Error> {
        match self {
            Pages::Directory(directory) if directory.is_dir() => Ok(directory),
            Pages::Directory(directory) => {
                let what = if directory.exists() { "is no directory" } else { "does not exist" };
                let message = format!(
                    "{} {what}: name the directory of the pages with --pages or {VARIABLE}",
                    directory.display()
                );
                Err(Error::new(Exit::Environment, message))
            }
            Pages::BuiltIn => {
                let message = "this is no checkout of the specification, and built-in pages cannot be \
                               changed: name the directory of the pages with --pages DIR";
                Err(Error::new(Exit::Environment, message))
            }
        }
    }
}

/// The built-in pages, with the files beside them.
pub(crate) fn built_in() -> Result<Spec, Vec<iomap_spec::Diagnostic>> {
    let file = |(name, bytes): (&str, &[u8])| (Path::new(BUILT_IN).join(name), bytes.to_vec());
    iomap_spec::load_sources(files_of("man").map(file).collect(), false)
}

fn files_of(directory: &'static str) -> impl Iterator<Item = (&'static str, &'static [u8])> {
    FILES.iter().copied().filter(move |(name, _)| Path::new(name).starts_with(directory))
}

/// Writes the built-in files of this directory below `place`.
#[cfg(feature = "book")]
pub(crate) fn unpack(directory: &'static str, place: &Path) -> std::io::Result<()> {
    for (name, bytes) in files_of(directory) {
        let file = place.join(name);
        file.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        std::fs::write(file, bytes)?;
    }
    Ok(())
}

/// The directory `man` at or above the working directory that has the specification's first page. The search ends at
/// the top of a git repository: a directory above it belongs to another project.
fn of_checkout() -> Option<PathBuf> {
    let here = std::env::current_dir().ok()?;
    let mut up = PathBuf::new();
    for directory in here.ancestors() {
        if directory.join("man").join(FIRST_PAGE).is_file() {
            return Some(up.join("man"));
        }
        if directory.join(".git").exists() {
            return None;
        }
        up.push("..");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The list is not kept by hand: every page is built in, unchanged.
    #[test]
    fn all_pages_are_built_in() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let names: BTreeSet<&str> = FILES.iter().map(|(name, _)| *name).collect();
        for entry in std::fs::read_dir(top.join("man")).unwrap() {
            let name = format!("man/{}", entry.unwrap().file_name().to_string_lossy());
            assert!(names.contains(&*name) || name == "man/LICENSE", "{name}");
        }
        for (name, bytes) in FILES {
            assert_eq!(std::fs::read(top.join(name)).unwrap(), *bytes, "{name}");
        }
        let (ours, theirs) = (built_in().unwrap(), iomap_spec::load(&top.join("man")).unwrap());
        assert_eq!((ours.digest(), ours.moved.len()), (theirs.digest(), theirs.moved.len()));
    }
}
