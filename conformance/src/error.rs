//! The error of the targets and the lab. The errors of the calls of a case are not of this type.

use crate::programs::Failure;
use crate::verdict::Trouble;
use std::error;
use std::fmt::{self, Display};
use std::path::Path;

/// The result of a step.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The reason why something could not be done. It is shown as one line for people.
#[derive(Debug)]
pub struct Error {
    /// The file, program or step that failed; the whole reason if there is no source.
    subject: String,
    source: Option<Box<dyn error::Error + Send + Sync>>,
}

impl Error {
    /// An error about a file, a program or a step.
    pub(crate) fn about(subject: impl Display, source: impl error::Error + Send + Sync + 'static) -> Self {
        Self { subject: subject.to_string(), source: Some(Box::new(source)) }
    }
}

/// Makes an error about a file, for `map_err`.
pub(crate) fn at<E: error::Error + Send + Sync + 'static>(path: &Path) -> impl Fn(E) -> Error {
    |source| Error::about(path.display(), source)
}

impl Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match &self.source {
            Some(source) => write!(f, "{}: {source}", self.subject),
            None => f.write_str(&self.subject),
        }
    }
}

impl error::Error for Error {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.source.as_ref().map(|source| &**source as _)
    }
}

impl From<String> for Error {
    fn from(reason: String) -> Self {
        Self { subject: reason, source: None }
    }
}

impl From<&str> for Error {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.to_string().into()
    }
}

impl From<Trouble> for Error {
    fn from(trouble: Trouble) -> Self {
        trouble.reason().into()
    }
}
