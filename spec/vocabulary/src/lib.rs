//! The words of clause markers, the series of kernels, and the numbers of the interface.
//!
//! The compiler of the pages, the constants made from them, and the results of the suite share these words, so that
//! each word has one meaning everywhere.
//!
//! ```
//! use iomap_vocabulary::{Level, Observe, Series, family};
//!
//! assert_eq!(Series::of_release("6.12.3-amd64"), Some(Series(6, 12)));
//! assert_eq!(Level::Must.to_string(), "must");
//! assert_eq!(Observe::ALL.map(Observe::as_str), ["call", "data", "storage", "crash", "time"]);
//! assert_eq!(family("truncate.shrink"), "truncate");
//! ```
//!
//! The crate reads no pages and knows no clauses: see `iomap-spec` and `iomap-clauses`.

#![forbid(unsafe_code)]

mod numbers;

pub use numbers::{
    FALLOC_FL_SEAL_BLOCK_MAP, FALLOC_FL_UNSEAL_BLOCK_MAP, FS_XFLAG_IOMAP_IMMUTABLE, NUMBERS, Number,
    STATX_ATTR_IOMAP_IMMUTABLE,
};

use serde::{Serialize, Serializer};
use std::fmt;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $count:literal { $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// All variants, in order.
            pub const ALL: [$name; $count] = [$($name::$variant),*];

            /// The word in a marker.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $word,)* }
            }

            /// The variant of this word.
            pub fn of(word: &str) -> Option<Self> {
                Self::ALL.into_iter().find(|it| it.as_str() == word)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// How strictly a clause binds an implementation.
    Level: 3 {
        /// Required: an implementation that breaks it does not conform.
        Must = "must",
        /// Expected: an implementation that breaks it states the reason.
        Should = "should",
        /// Permitted: it cannot be broken.
        May = "may",
    }
}

words! {
    /// Where to observe whether a clause holds.
    Observe: 5 {
        /// In the result of a call.
        Call = "call",
        /// In the data, size, times, names or attributes of a file.
        Data = "data",
        /// On the storage, as an agent with direct access sees it.
        Storage = "storage",
        /// After a crash.
        Crash = "crash",
        /// In the duration of a call.
        Time = "time",
    }
}

/// The exit codes of the commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Exit {
    /// The command is done. Everything is fine, or as expected.
    Fine = 0,
    /// The command is done. It found something that is not fine: a violated clause, a finding, an inconsistency.
    Found = 1,
    /// The command line asks for something that it cannot have.
    Usage = 2,
    /// The machine, a file or a guest did not let the command do its work.
    Environment = 3,
    /// The command itself is at fault.
    Internal = 4,
}

impl Exit {
    /// The number that a shell sees.
    pub const fn code(self) -> u8 {
        self as u8
    }
}

/// A series of Linux, such as 6.12: the first two numbers of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series(pub u32, pub u32);

impl Series {
    /// The series of a release as `uname -r` prints it.
    pub fn of_release(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self(numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// The series, if the text has exactly these two numbers.
    pub fn exact(text: &str) -> Option<Self> {
        Self::of_release(text).filter(|series| series.to_string() == text)
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// The part of a clause's id before its first dot.
pub fn family(id: &str) -> &str {
    id.split_once('.').map_or(id, |(family, _)| family)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_the_first_two_numbers() {
        for release in ["6.18.44-fc", "6.18", "6.18-rc1", "6.18.0-18-amd64"] {
            assert_eq!(Series::of_release(release), Some(Series(6, 18)), "{release}");
        }
        for release in ["", "six", "6", "6.x"] {
            assert_eq!(Series::of_release(release), None, "{release}");
        }
        assert_eq!(Series::exact("6.18"), Some(Series(6, 18)));
        assert_eq!(Series::exact("6.18.1").or(Series::exact("6.08")), None);
    }
}
