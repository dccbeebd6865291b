//! The manual pages of this machine, to check SEE ALSO.

use std::fmt;
use std::path::PathBuf;

/// The directory of manual pages, unless MANPATH is set.
const DIRECTORY: &str = "/usr/share/man";

/// One page of each Debian package (manpages, manpages-dev) that must be installed before a missing page proves
/// anything.
const WITNESSES: [(&str, &str); 2] = [("man-pages", "7"), ("open", "2")];

/// The file name suffixes of compressed pages.
const SUFFIXES: [&str; 5] = ["", ".gz", ".xz", ".bz2", ".zst"];

/// The installed manual pages of Linux.
#[derive(Debug, Clone)]
pub struct Manual {
    directories: Vec<PathBuf>,
}

/// A page without which a missing page of the installed manual proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Incomplete {
    /// The name of the page.
    pub name: &'static str,
    /// Its section.
    pub section: &'static str,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, section } = self;
        write!(f, "{name}({section}) is not installed (Debian: apt-get install manpages manpages-dev)")
    }
}

impl std::error::Error for Incomplete {}

impl Manual {
    /// The manual, if the pages of system calls and conventions are installed.
    ///
    /// # Errors
    /// The first page that is not installed, although a manual of use has it.
    pub fn installed() -> Result<Manual, Incomplete> {
        let path = std::env::var("MANPATH").unwrap_or_default();
        // As in manpath(1), an empty element stands for the default directories.
        let directories = path.split(':').map(|it| PathBuf::from(if it.is_empty() { DIRECTORY } else { it }));
        let manual = Manual { directories: directories.collect() };
        match WITNESSES.into_iter().find(|(name, section)| !manual.has(name, section)) {
            None => Ok(manual),
            Some((name, section)) => Err(Incomplete { name, section }),
        }
    }

    /// Whether the manual has this page; a page of section `2const` is in man2 or in man2const.
    pub(crate) fn has(&self, name: &str, section: &str) -> bool {
        let chapter = section.get(..1).unwrap_or(section);
        let places = self.directories.iter().flat_map(|directory| {
            [chapter, section].map(|it| directory.join(format!("man{it}")).join(format!("{name}.{section}")))
        });
        places.into_iter().any(|page| {
            SUFFIXES.iter().any(|suffix| {
                let mut file = page.clone().into_os_string();
                file.push(suffix);
                PathBuf::from(file).exists()
            })
        })
    }
}
