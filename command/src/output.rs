//! The place of a command's output.

use crate::error::Error;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The name that means standard output, or standard input, where a file is expected.
const STANDARD: &str = "-";

/// Whether a name means standard output or standard input.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new(STANDARD)
}

/// The file of an option `--output`. `None` and `-` mean standard output.
pub fn file(path: Option<&Path>) -> Option<&Path> {
    path.filter(|path| !is_standard(path))
}

/// A file or standard output.
#[derive(Debug)]
pub struct Output(Option<(PathBuf, File)>);

impl Output {
    /// Standard output.
    pub fn standard() -> Self {
        Self(None)
    }

    /// Makes the file of an option `--output`: see [`file`].
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = file(path) else { return Ok(Self::standard()) };
        let file = File::create(path).map_err(|error| Error::file(path, error))?;
        Ok(Self(Some((path.to_owned(), file))))
    }

    /// Whether this is standard output.
    pub fn is_standard(&self) -> bool {
        self.0.is_none()
    }

    /// Writes a text as it is.
    ///
    /// # Errors
    /// The text cannot be written, for example because there is no room. A text that does not fit into its file is
    /// printed instead, because the run that made it may have taken long.
    pub fn write(&mut self, text: &str) -> Result<(), Error> {
        self.write_bytes(text.as_bytes())
    }

    /// Writes bytes as they are, such as names of files, which need not be text.
    ///
    /// # Errors
    /// As for [`Output::write`].
    pub fn write_bytes(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.0 {
            Some((path, file)) => file.write_all(bytes).map_err(|error| instead(path, error, bytes)),
            None => printed(print(&mut io::stdout().lock(), bytes)),
        }
    }

    /// Writes a text with styles. They stay only on a terminal that has them.
    ///
    /// # Errors
    /// As for [`Output::write`].
    pub fn write_styled(&mut self, text: &str) -> Result<(), Error> {
        match self.0 {
            Some(_) => self.write(&plain(text)),
            None => printed(print(&mut anstream::stdout().lock(), text.as_bytes())),
        }
    }
}

/// A text without its styles.
pub fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

fn print(stream: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).and_then(|()| stream.flush())
}

/// The error of printing on standard output, if it counts as an error.
pub(crate) fn printed(printed: io::Result<()>) -> Result<(), Error> {
    match printed {
        // The reader, such as head(1), has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(|error| Error::file(Path::new("standard output"), error)),
    }
}

/// Prints the text that could not be written to its file, and returns the error.
fn instead(path: &Path, error: io::Error, text: &[u8]) -> Error {
    let why = format!("{}: {error}", path.display());
    match Output::standard().write_bytes(text) {
        Ok(()) => Error::environment(format!("{why}: the text is on standard output instead")),
        Err(other) => Error::environment(format!("{why}, {other}")),
    }
}

/// Writes a file anew. If there is no room, the old contents stay.
///
/// # Errors
/// The file cannot be written. If `last` is set, the text is printed then, because no later call writes it.
pub fn replace(path: &Path, text: &str, last: bool) -> Result<(), Error> {
    let written = if path.exists() && !path.is_file() {
        // A terminal or a pipe has no contents to keep.
        std::fs::write(path, text)
    } else {
        let partial = [path.as_os_str(), OsStr::new(".partial")].into_iter().collect::<OsString>();
        let written = std::fs::write(&partial, text).and_then(|()| std::fs::rename(&partial, path));
        if written.is_err() {
            // Report the first error, not this one.
            let _ = std::fs::remove_file(&partial);
        }
        written
    };
    written.map_err(|error| if last { instead(path, error, text.as_bytes()) } else { Error::file(path, error) })
}

/// Prints a line on standard error. If standard error is closed or full, the line is lost.
pub fn tell_line(line: impl Display) {
    tell(format_args!("{line}\n"));
}

/// Prints a text on standard error as it is.
pub fn tell(text: impl Display) {
    // This failure could only be reported on standard error itself.
    let _ = io::stderr().write_all(text.to_string().as_bytes());
}
