//! Outcomes in words, in the manner of strace(1).

use iomap_reference::{Outcome, Reply};
use nix::errno::Errno;

/// The name of an error: `ETXTBSY`.
pub(crate) fn name(errno: Errno) -> String {
    // nix displays an errno as a sentence; its variant has the name.
    format!("{errno:?}")
}

/// The result of a call that failed: `-1 ETXTBSY`.
pub(crate) fn failure(errno: Errno) -> String {
    format!("-1 {}", name(errno))
}

/// The result of a call that succeeded: `4096`.
pub(crate) fn reply(reply: &Reply) -> String {
    match reply {
        Reply::Number(number) => number.to_string(),
        Reply::Data(data) => data.len().to_string(),
        Reply::Stat(stat) => format!("0 (st_size {}, st_nlink {})", stat.size, stat.links),
    }
}

/// The result of a call: `0` or `-1 ETXTBSY`.
pub(crate) fn outcome(outcome: &Outcome) -> String {
    outcome.as_ref().map_or_else(|errno| failure(*errno), reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_printed_as_strace_prints_them() {
        assert_eq!(outcome(&Err(Errno::ETXTBSY)), "-1 ETXTBSY");
        assert_eq!(outcome(&Ok(Reply::Number(3))), "3");
        assert_eq!(outcome(&Ok(Reply::Data(vec![7; 12]))), "12");
    }
}
