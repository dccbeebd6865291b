//! A scratch repository of git(1), with a commit for each patch.

use iomap_command::Error;
use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A repository that no configuration of the user changes.
pub(crate) struct Repository {
    place: PathBuf,
    name: String,
    address: String,
}

impl Repository {
    /// An empty repository whose commits have this author, `NAME <ADDRESS>`.
    pub(crate) fn new(place: &Path, from: &str) -> Result<Self, Error> {
        let (name, rest) = from.split_once('<').unwrap_or(("", ""));
        let (name, address) = (name.trim().to_owned(), rest.trim_end_matches('>').trim().to_owned());
        if name.is_empty() || !address.contains('@') {
            return Err(Error::usage(format!("{from}: an author is `NAME <ADDRESS>`")));
        }
        let repository = Self { place: place.to_owned(), name, address };
        std::fs::create_dir_all(place).map_err(|error| Error::file(place, error))?;
        repository.run(["init", "--quiet", "--initial-branch", "series"])?;
        // With it the heading of a hunk is the function, and not a label.
        let attributes = place.join(".git/info/attributes");
        std::fs::write(&attributes, "*.c diff=cpp\n*.h diff=cpp\n").map_err(|error| Error::file(&attributes, error))?;
        Ok(repository)
    }

    /// Writes a file into the work tree.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.place.join(name);
        let failed = |error| Error::file(&path, error);
        path.parent().map_or(Ok(()), std::fs::create_dir_all).map_err(failed)?;
        std::fs::write(&path, text).map_err(failed)
    }

    /// Commits the work tree.
    pub(crate) fn commit(&self, message: &str) -> Result<(), Error> {
        self.write(".git/message", message)?;
        self.run(["add", "--all"])?;
        self.run(["commit", "--quiet", "--allow-empty", "--cleanup=verbatim", "--file", ".git/message"]).map(drop)
    }

    /// The output of a command of git.
    pub(crate) fn run<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>) -> Result<String, Error> {
        self.run_with(arguments, Stdio::null())
    }

    /// The same with a file as its input.
    pub(crate) fn run_on<S: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = S>,
        input: &Path,
    ) -> Result<String, Error> {
        let file = File::open(input).map_err(|error| Error::file(input, error))?;
        self.run_with(arguments, file.into())
    }

    fn run_with<S: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = S>, input: Stdio) -> Result<String, Error> {
        let mut git = Command::new("git");
        git.current_dir(&self.place).args(arguments).stdin(input);
        for (key, _) in std::env::vars_os() {
            if key.to_string_lossy().starts_with("GIT_") {
                git.env_remove(key);
            }
        }
        git.env("LC_ALL", "C").env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        for role in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{role}_NAME"), &self.name).env(format!("GIT_{role}_EMAIL"), &self.address);
            // The date of the mail is that of its sending. This one makes the output the same each time.
            git.env(format!("GIT_{role}_DATE"), "2026-01-01T00:00:00+0000");
        }
        let output = git.output().map_err(|error| Error::environment("git: apt-get install git").because(error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            return Err(Error::environment(format!("git: {said}")));
        }
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
