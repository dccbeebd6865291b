//! The place where a case made its calls, and the patterns in its data.

use crate::case::prepare::pattern;
use crate::results::Results;

/// The place where the case made the calls that a program repeats.
#[derive(Clone, Debug, Default)]
pub(crate) struct Origin {
    /// The file system, by its name in results.
    pub fs: String,
    /// The release of the kernel.
    pub kernel: String,
}

impl Origin {
    /// The origin of the cases of a run.
    pub(crate) fn of(results: &Results) -> Self {
        Self { fs: results.fs.clone(), kernel: results.kernel.release.clone() }
    }
}

/// The seed of the data, if they are a pattern.
pub(super) fn seed(data: &[u8]) -> Option<u8> {
    // The first byte is 31 times the seed, and 223 is the inverse of 31 modulo 256.
    let seed = data.first()?.wrapping_mul(223);
    (data == pattern(seed, data.len() as i64)).then_some(seed)
}
