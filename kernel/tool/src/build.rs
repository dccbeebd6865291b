//! `build`: a kernel from the series, by its contents.
//!
//! Trees in which make(1) works are kept in `trees`, so that a change builds little. A kernel that is done is copied to
//! `built`, whose entries never change.

use crate::apply;
use crate::cache::{Cache, Turn};
use crate::config::{Config, lost};
use crate::digest;
use crate::fetch;
use crate::finding::Findings;
use crate::make::{make, quiet};
use crate::series::Series;
use crate::source::{package, suitable};
use crate::tools;
use crate::tree::Tree;
use clap::Args;
use iomap_command::{Error, Exit, tell_line};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

#[derive(Args)]
pub(crate) struct Arguments {
    /// The kind of the kernel
    #[arg(long, value_enum, default_value = "plain")]
    config: Config,
    /// Apply the patches up to this number only; 0 is the kernel without the series
    #[arg(long, value_name = "NN", conflicts_with = "mutant")]
    upto: Option<u32>,
    /// Apply this mutant on top
    #[arg(long, value_name = "NAME")]
    mutant: Option<String>,
    #[command(flatten)]
    from: From,
}

/// The place of the source, and the way to build.
#[derive(Args)]
pub(crate) struct From {
    /// A pristine source [default: the version of anchors.lock, or the newest that `fetch` has unpacked]
    #[arg(long, value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
    /// The number of compilers at the same time [default: the number of processors]
    #[arg(long, short, value_name = "N")]
    jobs: Option<usize>,
}

/// The link to the newest kernel, in the directory of the series.
pub(crate) const LINK: &str = "build";

/// MiB for a build from the beginning: the tree is made of links.
const ROOM: u64 = 900;

pub(crate) fn run(series: &Series, cache: &Cache, version: Option<&str>, arguments: &Arguments) -> Result<Exit, Error> {
    let turn = cache.turn()?;
    let builder = Builder::new(series, cache, &turn, version, &arguments.from)?;
    let mutant = arguments.mutant.as_deref().map(|name| series.mutant(name)).transpose()?;
    let patches = series.upto(arguments.upto)?;
    let tree = Tree::after(series, Some(&builder.source), patches, mutant)?;
    let kernel = builder.kernel(&tree, arguments.config)?;
    if mutant.is_none() && arguments.upto.is_none() {
        link(&kernel, &series.directory.join(LINK))?;
    }
    fetch::println_path(&kernel)
}

/// Replaces a link in one step.
fn link(to: &Path, at: &Path) -> Result<(), Error> {
    let partial = at.with_extension("new");
    let _ = fs::remove_file(&partial);
    symlink(to, &partial).and_then(|()| fs::rename(&partial, at)).map_err(|error| Error::file(at, error))
}

/// The source, and the parts of the key that all kernels share.
pub(crate) struct Builder<'a> {
    series: &'a Series,
    cache: &'a Cache,
    turn: &'a Turn,
    pub(crate) source: PathBuf,
    /// The identity of the source.
    identity: String,
    compiler: String,
    /// The number of compilers at the same time.
    pub(crate) jobs: usize,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(
        series: &'a Series,
        cache: &'a Cache,
        turn: &'a Turn,
        version: Option<&str>,
        from: &From,
    ) -> Result<Self, Error> {
        tools::need(&["gcc", "make", "ld", "as", "flex", "bison", "bc", "perl", "cp", "libelf"])?;
        let source = match &from.source {
            Some(source) => source.canonicalize().map_err(|error| Error::file(source, error))?,
            None => fetch::present(cache, turn, version)?,
        };
        suitable(&source, series, false)?;
        let identity = package(&source).unwrap_or_else(|| source.display().to_string());
        let version = Command::new("gcc").args(["-dumpfullversion", "-dumpmachine"]).stdin(Stdio::null()).output();
        let version = version.map_err(|error| Error::environment("gcc").because(error))?;
        let compiler = String::from_utf8_lossy(&version.stdout).trim().to_owned();
        let jobs = from.jobs.or_else(|| std::thread::available_parallelism().ok().map(usize::from)).unwrap_or(1);
        Ok(Self { series, cache, turn, source, identity, compiler, jobs })
    }

    /// The key of the kernel of a tree: everything that decides about its contents.
    pub(crate) fn key(&self, tree: &Tree, config: Config) -> Result<String, Error> {
        let mut parts = vec![self.identity.clone(), self.compiler.clone(), config.name().to_owned()];
        for path in config.fragments(&self.series.directory) {
            parts.push(fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?);
        }
        parts.extend(tree.files().flat_map(|(name, text)| [name.to_owned(), text.to_owned()]));
        Ok(digest::short(parts.iter().map(String::as_bytes)))
    }

    /// The kernel of a tree, from the cache or built.
    pub(crate) fn kernel(&self, tree: &Tree, config: Config) -> Result<PathBuf, Error> {
        self.made(tree, config, "built", 8)
    }

    /// The kernel of a mutant, which is not needed for long.
    pub(crate) fn mutant(&self, tree: &Tree) -> Result<PathBuf, Error> {
        self.made(tree, Config::Plain, "mutants", 1)
    }

    /// The entry of this kind; of others so many stay.
    fn made(&self, tree: &Tree, config: Config, kind: &str, keep: usize) -> Result<PathBuf, Error> {
        let name = format!("{kind}/{}", self.key(tree, config)?);
        let place = self.cache.path(&name);
        if place.exists() {
            // The oldest entries are removed.
            let _ = fs::File::open(&place).and_then(|entry| entry.set_modified(SystemTime::now()));
            return Ok(place);
        }
        let (top, build) = self.prepared(tree, config)?;
        make(&top, &build, self.jobs, config.steps(), self.turn)?;
        let place = self.cache.entry(self.turn, &name, |partial| result(&build, partial))?;
        self.cache.prune(self.turn, kind, keep, &place);
        Ok(place)
    }

    /// The directory of the source with the files of this tree, and beside it the one of a configured build.
    pub(crate) fn prepared(&self, tree: &Tree, config: Config) -> Result<(PathBuf, PathBuf), Error> {
        let work = self.work(config)?;
        let (top, build) = (work.join("tree"), work.join(config.name()));
        let written = apply::write(tree, &self.source, &top)?;
        tell_line(format_args!("{written} files of the tree are new"));
        self.configure(&top, &build, config)?;
        Ok((top, build))
    }

    /// The directory in which this source is built: `tree` is the source, and beside it is a build of each kind.
    fn work(&self, config: Config) -> Result<PathBuf, Error> {
        let mut id = digest::of_parts([self.identity.as_bytes()]);
        id.truncate(8);
        let name = format!("trees/{id}");
        let place = self.cache.path(&name);
        if !place.join(config.name()).join("vmlinux").exists() {
            self.cache.room(&format!("a build of {}", self.identity), ROOM)?;
        }
        let place = self.cache.entry(self.turn, &name, |partial| copy(&self.source, &partial.join("tree")))?;
        self.cache.prune(self.turn, "trees", 0, &place);
        Ok(place)
    }

    /// Makes the configuration, if its parts have changed.
    fn configure(&self, top: &Path, build: &Path, config: Config) -> Result<(), Error> {
        let fragments = config.fragments(&self.series.directory);
        let mut parts = Vec::new();
        for path in &fragments {
            parts.push(fs::read(path).map_err(|error| Error::file(path, error))?);
        }
        // The patches may add options.
        let changed = fs::read_to_string(top.join(apply::RECORD)).unwrap_or_default();
        for name in changed.lines().filter(|name| name.contains("Kconfig")) {
            parts.push(fs::read(top.join(name)).unwrap_or_default());
        }
        let digest = digest::of_parts(parts.iter().map(Vec::as_slice));
        let record = build.join(".iomap-configured");
        if fs::read_to_string(&record).is_ok_and(|known| known == digest) {
            return Ok(());
        }
        fs::create_dir_all(build).map_err(|error| Error::file(build, error))?;
        quiet(top, build, &["tinyconfig"], self.turn)?;
        let mut merge = Command::new("scripts/kconfig/merge_config.sh");
        merge.current_dir(top).args(["-m", "-O"]).arg(build).arg(build.join(".config"));
        for path in &fragments {
            merge.arg(std::path::absolute(path).map_err(|error| Error::file(path, error))?);
        }
        let output = merge.stdin(self.turn.held()?).output();
        let output = output.map_err(|error| Error::environment("merge_config.sh").because(error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
            return Err(Error::environment(format!("merge_config.sh: {said}")));
        }
        quiet(top, build, &["olddefconfig"], self.turn)?;
        let path = build.join(".config");
        let configuration = fs::read_to_string(&path).map_err(|error| Error::file(&path, error))?;
        Findings::or(lost(&fragments, &configuration)?, ())?;
        fs::write(&record, digest).map_err(|error| Error::file(&record, error))
    }
}

/// Copies a source by links, or by contents to another file system.
fn copy(source: &Path, place: &Path) -> Result<(), Error> {
    for option in ["--link", "--reflink=auto"] {
        let mut cp = Command::new("cp");
        cp.args(["--archive", option]).arg(source).arg(place).stdin(Stdio::null()).stderr(Stdio::null());
        let done = cp.status().map_err(|error| Error::environment("cp").because(error))?;
        if done.success() {
            return Ok(());
        }
        let _ = fs::remove_dir_all(place);
    }
    Err(Error::environment(format!("{}: the source cannot be copied from {}", place.display(), source.display())))
}

/// The files of a build that the lab looks at.
const RESULT: &[&str] = &[
    ".config",
    "System.map",
    "arch/x86/boot/bzImage",
    "modules.builtin",
    "modules.builtin.modinfo",
    "modules.order",
    "vmlinux",
];

/// Copies the result of a build.
fn result(build: &Path, place: &Path) -> Result<(), Error> {
    for name in RESULT {
        let (from, to) = (build.join(name), place.join(name));
        if !from.exists() && *name != "arch/x86/boot/bzImage" {
            continue;
        }
        to.parent().map_or(Ok(()), fs::create_dir_all).map_err(|error| Error::file(&to, error))?;
        fs::copy(&from, &to).map_err(|error| Error::file(&from, error))?;
    }
    Ok(())
}
