//! The end of a command: exit codes, errors, and the place of its output.

use crate::report::terminal::{self, Screen};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why the program ends early, with its exit code.
pub(crate) struct Stop(pub(crate) u8, pub(crate) String);

pub(crate) const USAGE: u8 = 2;

pub(crate) const ENVIRONMENT: u8 = 3;

pub(crate) const INTERNAL: u8 = 4;

/// Where results go.
pub(crate) enum Output {
    Stdout,
    File(PathBuf, File),
}

impl Output {
    pub(crate) fn open(path: Option<&PathBuf>) -> Result<Self, Stop> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        let file = File::create(path).map_err(|e| Stop(ENVIRONMENT, format!("{}: {e}", path.display())))?;
        Ok(Self::File(path.clone(), file))
    }

    pub(crate) fn screen(&self) -> Screen {
        match self {
            Self::Stdout => Screen::of_stdout(),
            Self::File(..) => Screen::default(),
        }
    }

    pub(crate) fn write(&mut self, text: &str) -> Result<(), Stop> {
        match self {
            Self::Stdout => match anstream::stdout().write_all(text.as_bytes()) {
                // The reader has seen enough.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other.map_err(|e| Stop(ENVIRONMENT, format!("standard output: {e}"))),
            },
            Self::File(path, file) => {
                let text = terminal::plain(text);
                file.write_all(text.as_bytes()).map_err(|e| unwritten(path, &e, &text))
            }
        }
    }
}

/// The reason why results are not in their file. A run may have taken long, so the results are printed instead.
pub(crate) fn unwritten(path: &Path, error: &io::Error, text: &str) -> Stop {
    let why = format!("{}: {error}", path.display());
    match Output::Stdout.write(text) {
        Ok(()) => Stop(ENVIRONMENT, format!("{why}: the results are on standard output instead")),
        Err(Stop(code, other)) => Stop(code, format!("{why}, {other}")),
    }
}

/// Writes a file anew. If there is no room for that, what was there stays.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A terminal or a pipe has nothing to keep.
    if path.exists() && !path.is_file() {
        return std::fs::write(path, text);
    }
    let partial = PathBuf::from([path.as_os_str(), OsStr::new(".partial")].into_iter().collect::<OsString>());
    let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&partial);
    }
    written
}
