//! `series`: the patches as mail.

use crate::git::Repository;
use crate::series::Series;
use crate::source::suitable;
use crate::tree::Tree;
use clap::Args;
use iomap_command::{Error, Exit, Output, count, tell_line};
use iomap_spec::{Clause, Spec, text};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

#[derive(Args)]
pub(crate) struct Arguments {
    /// Begin with the cover letter, cover.md with a summary of the changes
    #[arg(long)]
    cover: bool,
    /// Instead of printing it, apply the series with git am, check it with scripts/checkpatch.pl of the source, and
    /// list the people of scripts/get_maintainer.pl
    #[arg(long = "try", conflicts_with = "cover")]
    tried: bool,
    /// The author, for From: and Signed-off-by:
    #[arg(long, value_name = "NAME <ADDRESS>", default_value = "Immutable Maps <iomap-immutable@example.org>")]
    from: String,
    /// The directory of the published book, to cite clauses by links
    #[arg(long, value_name = "URL", env = "IOMAP_SPEC_URL", value_parser = address)]
    url: Option<String>,
    /// Accept a source of another series of kernels
    #[arg(long)]
    any_version: bool,
    /// The pristine source [default: the one that `fetch` has unpacked]
    pub(crate) source: Option<PathBuf>,
}

/// Accepts an address to which the file name and the anchor of a clause can be added.
fn address(url: &str) -> Result<String, &'static str> {
    let is_address = url.starts_with("http") && url.contains("://") && !url.contains(|c: char| c.is_whitespace());
    is_address.then(|| url.to_owned()).ok_or("give the address of the book's directory: https://…")
}

pub(crate) fn run(series: &Series, spec: &Spec, source: &Path, arguments: &Arguments) -> Result<Exit, Error> {
    suitable(source, series, arguments.any_version)?;
    let place = tempfile::tempdir().map_err(|error| Error::file(&std::env::temp_dir(), error))?;
    let repository = Repository::new(&place.path().join("series"), &arguments.from)?;
    commit(&repository, series, source, |script| {
        let cited = script.iter().filter_map(|id| spec.clauses().find(|clause| clause.id == *id));
        cited.map(|clause| trailer(spec, clause, arguments.url.as_deref())).collect::<String>()
            + &format!("Signed-off-by: {}\n", arguments.from)
    })?;
    if arguments.tried {
        return attempt(&repository, place.path(), source, &arguments.from);
    }
    let mut command = vec!["format-patch", "--stdout", "--no-signature", "base..series"];
    if arguments.cover {
        let path = series.directory.join("cover.md");
        let cover = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
        let cover = cover.strip_prefix("# ").ok_or_else(|| {
            Error::report(Exit::Found, format!("{}:1:1: the first line is `# SUBJECT`", path.display()))
        })?;
        repository.run(["config", "branch.series.description", cover.trim()])?;
        command.extend(["--cover-letter", "--cover-from-description=subject"]);
    }
    Output::standard().write(&repository.run(command)?)?;
    Ok(Exit::Fine)
}

/// The line of a message that cites a clause.
fn trailer(spec: &Spec, clause: &Clause, url: Option<&str>) -> String {
    match url {
        Some(url) => format!("{}\n", text::cite_as_trailer(clause, url)),
        None => format!("Spec: {}\n", text::cite_on_one_line(spec, clause)),
    }
}

/// A commit `base` with the pristine files, and on it a commit for each patch.
fn commit(
    repository: &Repository,
    series: &Series,
    source: &Path,
    trailers: impl Fn(&[&str]) -> String,
) -> Result<(), Error> {
    let all = Tree::after(series, Some(source), &series.patches, None)?;
    for (name, _) in all.files().filter(|(name, _)| !series.files.contains_key(*name)) {
        let path = source.join(name);
        let pristine = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
        repository.write(name, &pristine)?;
    }
    repository.commit("base")?;
    repository.run(["branch", "base"])?;
    let mut tree = Tree::new(series, Some(source));
    for patch in &series.patches {
        // The whole series has applied above.
        tree.apply(patch);
        for (name, text) in tree.files() {
            repository.write(name, text)?;
        }
        let clauses: Vec<&str> = patch.clauses.iter().map(|id| id.value.as_str()).collect();
        let message = if patch.message.is_empty() { String::new() } else { format!("{}\n\n", patch.message) };
        repository.commit(&format!("{}\n\n{message}{}", patch.title.value.trim(), trailers(&clauses)))?;
    }
    Ok(())
}

/// Applies the mails to the pristine files, and asks the kernel's own critic.
fn attempt(repository: &Repository, place: &Path, source: &Path, from: &str) -> Result<Exit, Error> {
    let mails = place.join("mails");
    let option = format!("--output-directory={}", mails.display());
    let names = repository.run(["format-patch", "--no-signature", &option, "base..series"])?;
    let mailbox = place.join("mailbox");
    let text = repository.run(["format-patch", "--no-signature", "--stdout", "base..series"])?;
    fs::write(&mailbox, text).map_err(|error| Error::file(&mailbox, error))?;
    let other = Repository::new(&place.join("other"), from)?;
    let first = place.join("series").display().to_string();
    other.run(["pull", "--quiet", &first, "base"])?;
    other.run_on(["am", "--quiet"], &mailbox)?;
    let tree = |it: &Repository| it.run(["rev-parse", "HEAD^{tree}"]);
    if tree(repository)? != tree(&other)? {
        return Err(Error::report(Exit::Found, "git am: the tree is another one than that of the scripts"));
    }
    let names: Vec<&str> = names.lines().collect();
    tell_line(format_args!("git am: {} applied", count(names.len(), "mail")));
    let mails_for = |script: &str, options: &[&str]| ask(source, script, options, &names, &mails);
    let people = mails_for("get_maintainer.pl", &["--no-git", "--no-git-fallback", "--no-rolestats"])?;
    let text = mails_for("checkpatch.pl", &["--no-tree", "--terse", "--no-summary", "--show-types"])?;
    let (Some(people), Some(text)) = (people, text) else { return Ok(Exit::Fine) };
    Output::standard().write(&format!("{people}\n{text}"))?;
    let errors = text.lines().filter(|line| line.contains(": ERROR:")).count();
    let warnings = text.lines().filter(|line| line.contains(": WARNING:")).count();
    tell_line(format_args!("checkpatch: {}, {}", count(errors, "error"), count(warnings, "warning")));
    Ok(if errors == 0 { Exit::Fine } else { Exit::Found })
}

/// The findings of a script of the kernel about mails, without the directory of the mails; `None` if the source lacks the
/// script.
fn ask(source: &Path, script: &str, options: &[&str], names: &[&str], mails: &Path) -> Result<Option<String>, Error> {
    let path = source.join("scripts").join(script);
    if !path.exists() {
        tell_line(format_args!("not asked: {} is missing", path.display()));
        return Ok(None);
    }
    let mut perl = Command::new("perl");
    perl.arg(Path::new("scripts").join(script)).args(options).args(names).stdin(Stdio::null()).current_dir(source);
    let output = perl.output().map_err(|error| Error::environment("perl: apt-get install perl").because(error))?;
    Ok(Some(String::from_utf8_lossy(&output.stdout).replace(&format!("{}/", mails.display()), "")))
}
