//! The errors of an image: it cannot be read, has another format, or its metadata contradict themselves.

use serde::Serialize;
use std::error::Error;
use std::fmt;
use std::io;

/// One inconsistency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The place: a block of the image, or an inode with its first name.
    pub place: String,
    /// A description.
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl From<&ImageError> for Finding {
    fn from(error: &ImageError) -> Self {
        match error {
            ImageError::Io { what, error } => Self { place: what.clone(), what: error.to_string() },
            ImageError::Wrong { block, what, expected, found } => {
                Self { place: format!("block {block}"), what: format!("{what}: expected {expected}, found {found}") }
            }
            ImageError::Inconsistent(finding) => finding.clone(),
        }
    }
}

/// An error of an image, and its place.
#[derive(Debug)]
pub enum ImageError {
    /// The disk failed.
    Io {
        /// The step that failed.
        what: String,
        /// The error of the disk.
        error: io::Error,
    },
    /// The image has another format, or is damaged.
    Wrong {
        /// The block of the image.
        block: u64,
        /// The part of the image.
        what: &'static str,
        /// The expected contents.
        expected: String,
        /// The contents that were found.
        found: String,
    },
    /// All checksums are right, but the metadata contradict themselves.
    Inconsistent(Finding),
}

impl ImageError {
    pub(crate) fn io(what: impl Into<String>, error: io::Error) -> Self {
        Self::Io { what: what.into(), error }
    }

    pub(crate) fn wrong(block: u64, what: &'static str, expected: impl fmt::Display, found: impl fmt::Display) -> Self {
        Self::Wrong { block, what, expected: expected.to_string(), found: found.to_string() }
    }
}

impl fmt::Display for ImageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, error } => write!(f, "{what}: {error}"),
            Self::Wrong { block, what, expected, found } => {
                write!(f, "block {block}: {what}: expected {expected}, found {found}")
            }
            Self::Inconsistent(finding) => write!(f, "{finding}"),
        }
    }
}

impl Error for ImageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Wrong { .. } | Self::Inconsistent(_) => None,
        }
    }
}
