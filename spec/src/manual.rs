//! The manual pages of this machine, for what SEE ALSO names.

use std::path::PathBuf;

/// Where manual pages are, unless MANPATH says otherwise.
const DIRECTORY: &str = "/usr/share/man";

/// A page of each Debian package (manpages, manpages-dev) without which a page that is missing proves nothing.
const WITNESSES: [(&str, &str); 2] = [("man-pages", "7"), ("open", "2")];

/// How pages are compressed.
const SUFFIXES: [&str; 5] = ["", ".gz", ".xz", ".bz2", ".zst"];

/// The manual pages of Linux as they are installed.
#[derive(Debug, Clone)]
pub struct Manual {
    directories: Vec<PathBuf>,
}

impl Manual {
    /// The manual, if the pages of system calls and conventions are installed.
    ///
    /// # Errors
    /// Why it cannot be relied on.
    pub fn installed() -> Result<Manual, String> {
        let path = std::env::var("MANPATH").unwrap_or_default();
        // As in manpath(1), an empty element stands for the usual place.
        let directories = path.split(':').map(|it| PathBuf::from(if it.is_empty() { DIRECTORY } else { it }));
        let manual = Manual { directories: directories.collect() };
        match WITNESSES.into_iter().find(|(name, section)| !manual.has(name, section)) {
            None => Ok(manual),
            Some((name, section)) => {
                Err(format!("{name}({section}) is not installed (Debian: apt-get install manpages manpages-dev)"))
            }
        }
    }

    /// Whether there is such a page; that of section `2const` is in man2 or in man2const.
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
