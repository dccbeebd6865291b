//! The input of the command: files, or standard input in place of a file.

use iomap_command::{Error, Exit, is_standard};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// The name of standard input in messages.
const STANDARD_NAME: &str = "standard input";

/// The bytes of a file, and its name for messages.
pub(crate) struct Input {
    pub(crate) name: PathBuf,
    pub(crate) bytes: Vec<u8>,
}

pub(crate) fn read(file: &Path) -> Result<Input, Error> {
    if is_standard(file) {
        return standard();
    }
    let bytes = std::fs::read(file).map_err(|error| Error::file(file, error))?;
    Ok(Input { name: file.to_owned(), bytes })
}

/// All bytes of standard input, which can be read only once.
pub(crate) fn standard() -> Result<Input, Error> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::Relaxed) {
        let message = format!("- is {STANDARD_NAME}, and only one of the files can be that");
        return Err(Error::new(Exit::Usage, message));
    }
    let name = PathBuf::from(STANDARD_NAME);
    let mut bytes = vec![];
    io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Error::file(&name, error))?;
    Ok(Input { name, bytes })
}

/// The text of a file of this project, which is UTF-8.
pub(crate) fn text(file: &Path) -> Result<(PathBuf, String), Error> {
    let Input { name, bytes } = read(file)?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let message = format!("{}: this is not UTF-8 after {at} bytes", name.display());
        Error::new(Exit::Found, message)
    })?;
    Ok((name, text))
}
