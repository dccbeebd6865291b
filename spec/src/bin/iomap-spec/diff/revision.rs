//! Reads pages from a git revision.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The files of a directory, or a single file.
pub(super) struct Files {
    pub(super) sources: Vec<(PathBuf, Vec<u8>)>,
    pub(super) alone: bool,
}

/// Reads `REV`, the directory of the pages at that revision, or `REV:PATH`. Without a directory of pages, git searches
/// the repository of the working directory.
pub(super) fn read(pages: Option<&Path>, name: &str) -> Result<Files, String> {
    let git = Git { pages: pages.unwrap_or(Path::new(".")) };
    let object = match (name.contains(':'), pages) {
        (true, _) => name.to_owned(),
        (false, None) => {
            return Err(format!(
                "{name} is no file or directory, and as a revision it is to name the directory of its pages: \
                 {name}:man"
            ));
        }
        (false, Some(_)) => {
            let prefix = git.text(&["rev-parse", "--show-prefix"]).map_err(|error| {
                format!("{name} is no file or directory, and revisions cannot be looked up: {error}")
            })?;
            format!("{name}:{}", prefix.trim_end_matches(['\n', '/']))
        }
    };
    // Because of the colon, git cannot take this argument for an option.
    let id = git.text(&["rev-parse", "--verify", "--quiet", &object]).map_err(|error| {
        let tail = if error.is_empty() { String::new() } else { format!(" ({error})") };
        format!("{name} is no file, no directory and no revision that has pages: git knows no `{object}`{tail}")
    })?;
    let id = id.trim_end();
    let label = |path: &str| PathBuf::from(format!("{}/{path}", object.trim_end_matches('/')));
    match git.text(&["cat-file", "-t", id])?.trim_end() {
        "blob" => {
            Ok(Files { sources: vec![(PathBuf::from(&object), git.run(&["cat-file", "blob", id])?)], alone: true })
        }
        "tree" => {
            let mut sources = vec![];
            for entry in git.text(&["ls-tree", "-z", "--full-tree", id])?.split_terminator('\0') {
                // The form of an entry: "100644 blob OBJECT\tNAME"
                let Some((facts, path)) = entry.split_once('\t') else { continue };
                let mut facts = facts.split(' ').skip(1);
                if let (Some("blob"), Some(blob)) = (facts.next(), facts.next())
                    && (path.ends_with(".md") || path == "moved.toml")
                {
                    sources.push((label(path), git.run(&["cat-file", "blob", blob])?));
                }
            }
            match sources.iter().any(|(path, _)| path.extension().is_some_and(|extension| extension == "md")) {
                true => Ok(Files { sources, alone: false }),
                false => Err(format!("{object} has no pages (*.md): name their directory, as in REV:man")),
            }
        }
        other => Err(format!("{object} is a {other}: name a directory of pages or a page")),
    }
}

struct Git<'a> {
    pages: &'a Path,
}

impl Git<'_> {
    /// The output of git, or its error message.
    fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, String> {
        // Run git in the directory of the pages, which may be in another repository than the working directory.
        let output = Command::new("git").arg("-C").arg(self.pages).args(arguments).env("LC_ALL", "C").output();
        let output = output.map_err(|error| match error.kind() {
            ErrorKind::NotFound => "git is not installed, and only it can read revisions".to_owned(),
            _ => format!("git cannot be run: {error}"),
        })?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned()),
        }
    }

    fn text(&self, arguments: &[&str]) -> Result<String, String> {
        self.run(arguments).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }
}
