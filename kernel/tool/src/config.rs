//! The configuration of a kernel, from fragments.

use crate::finding::{Finding, Place};
use clap::ValueEnum;
use iomap_command::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// The kinds of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Config {
    /// The kernel for the suite
    Plain,
    /// The same with lockdep and the checks of file systems
    Debug,
}

impl Config {
    /// The name of the kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Debug => "debug",
        }
    }

    /// The fragments: a later one wins.
    pub(crate) fn fragments(self, directory: &Path) -> Vec<PathBuf> {
        let names: &[&str] = match self {
            Self::Plain => &["plain"],
            Self::Debug => &["plain", "debug"],
        };
        names.iter().map(|name| directory.join("config").join(format!("{name}.config"))).collect()
    }

    /// An estimate of the lines that make(1) prints for a build from the beginning.
    pub(crate) fn steps(self) -> usize {
        match self {
            Self::Plain => 2100,
            Self::Debug => 2300,
        }
    }
}

/// The options of the last fragment that names each, which the configuration does not have.
pub(crate) fn lost(fragments: &[PathBuf], configuration: &str) -> Result<Vec<Finding>, Error> {
    let mut wanted: Vec<(String, String, Place)> = Vec::new();
    for path in fragments {
        let text = fs::read_to_string(path).map_err(|error| Error::file(path, error))?;
        let mut at = 0;
        for line in text.lines() {
            let place = Place::of(path, &text, &(at..at));
            at += line.len() + 1;
            let Some((name, value)) = option(line) else { continue };
            wanted.retain(|(other, _, _)| *other != name);
            wanted.push((name, value, place));
        }
    }
    let found: Vec<(String, String)> = configuration.lines().filter_map(option).collect();
    let value_of = |name: &str| found.iter().find(|(other, _)| other == name).map_or("n", |(_, value)| value);
    let lost = wanted.into_iter().filter(|(name, value, _)| value_of(name) != value);
    Ok(lost
        .map(|(name, _, place)| Finding { place, message: format!("{name} is not so: {}", value_of(&name)) })
        .collect())
}

/// The name and value of an option. An option that is not set is `n`.
fn option(line: &str) -> Option<(String, String)> {
    if let Some(name) = line.strip_prefix("# ").and_then(|rest| rest.strip_suffix(" is not set")) {
        return Some((name.to_owned(), "n".into()));
    }
    let (name, value) = line.split_once('=')?;
    name.starts_with("CONFIG_").then(|| (name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_that_are_lost_have_their_lines() {
        let directory = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = directory.path().join(name);
            fs::write(&path, text).expect("a fragment");
            path
        };
        let one = write("one", "# a comment\nCONFIG_A=y\nCONFIG_B=y\nCONFIG_C=n\nCONFIG_NAME=\"-x\"\n");
        let two = write("two", "CONFIG_NAME=\"-y\"\n# CONFIG_D is not set\n");
        let lost =
            lost(&[one, two], "CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_D=y\nCONFIG_NAME=\"-y\"\n").expect("read");
        let said: Vec<String> =
            lost.iter().map(|finding| finding.to_string().rsplit_once('/').expect("a path").1.into()).collect();
        assert_eq!(said, ["one:3:1: CONFIG_B is not so: n", "two:2:1: CONFIG_D is not so: y"]);
    }
}
