//! `fetch`: the source package of Debian, unpacked.

use crate::cache::{Cache, Turn};
use crate::digest;
use crate::source::{PACKAGE, WANTED};
use crate::tools;
use clap::Args;
use iomap_command::{Error, Exit, bar, passing, tell_line};
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

#[derive(Args)]
pub(crate) struct Arguments {
    /// A package that was kept, instead of the one that apt offers
    #[arg(long, value_name = "DEB")]
    package: Option<PathBuf>,
}

/// MiB for the package and for what is unpacked of it.
const ROOM: u64 = 1300;

/// The parts of the source that a kernel for x86 does not need; tar(1) reads them as patterns. Every Kconfig stays.
const UNWANTED: &[&str] = &[
    "*/Documentation/*.[jprst]*",
    "*/Documentation/*.yaml",
    "*/Documentation/*.svg",
    "*/drivers/gpu/*.[ch]",
    "*/drivers/media/*.[ch]",
    "*/drivers/staging/*.[ch]",
    "*/drivers/iio/*.[ch]",
    "*/drivers/net/ethernet/*.[ch]",
    "*/drivers/net/wireless/*.[ch]",
    "*/drivers/scsi/*/*.[ch]",
    "*/sound/*/*.[ch]",
    "*/tools/perf",
    "*/tools/testing",
];

/// The other architectures. A pattern for all but x86 would match below tools/objtool/arch/x86 too.
const ARCHITECTURES: &[&str] = &[
    "alpha",
    "arc",
    "arm",
    "arm64",
    "csky",
    "hexagon",
    "loongarch",
    "m68k",
    "microblaze",
    "mips",
    "nios2",
    "openrisc",
    "parisc",
    "powerpc",
    "riscv",
    "s390",
    "sh",
    "sparc",
    "um",
    "xtensa",
];

pub(crate) fn run(cache: &Cache, arguments: &Arguments) -> Result<Exit, Error> {
    let turn = cache.turn()?;
    let place = match &arguments.package {
        Some(package) => kept(cache, &turn, package)?,
        None => offered(cache, &turn)?,
    };
    println_path(&place)
}

/// Prints a path as the result of a command.
pub(crate) fn println_path(path: &Path) -> Result<Exit, Error> {
    iomap_command::Output::standard().write(&format!("{}\n", path.display()))?;
    Ok(Exit::Fine)
}

/// The source that is there; the one of this version if it is one of them. Without any, apt's.
pub(crate) fn present(cache: &Cache, turn: &Turn, version: Option<&str>) -> Result<PathBuf, Error> {
    match known(cache, version) {
        Some(source) => Ok(source),
        None => offered(cache, turn),
    }
}

/// The given source, or one that was fetched.
pub(crate) fn given(source: Option<&PathBuf>, version: Option<&str>) -> Result<PathBuf, Error> {
    let missing = || Error::environment("there is no source: iomap-kernel fetch");
    match source {
        Some(source) => Ok(source.clone()),
        None => known(&Cache::open()?, version).ok_or_else(missing),
    }
}

/// The newest source that was fetched, or the one of this version.
pub(crate) fn known(cache: &Cache, version: Option<&str>) -> Option<PathBuf> {
    let entries = fs::read_dir(cache.path(KIND)).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut sources: Vec<PathBuf> = entries.filter(|path| path.join(PACKAGE).exists()).collect();
    sources.sort_by_key(|path| path.metadata().and_then(|data| data.modified()).ok());
    let of_version = version.map(|version| cache.path(KIND).join(version)).filter(|path| sources.contains(path));
    of_version.or(sources.pop())
}

const KIND: &str = "source";

/// The package that apt offers.
fn offered(cache: &Cache, turn: &Turn) -> Result<PathBuf, Error> {
    tools::need(&["apt-get", "apt-cache", "dpkg-deb", "tar", "xz"])?;
    let name = format!("linux-source-{WANTED}");
    let show = Command::new("apt-cache").args(["show", "--no-all-versions", &name]).stdin(Stdio::null()).output();
    let show = show.map_err(|error| Error::environment("apt-cache").because(error))?;
    let show = String::from_utf8_lossy(&show.stdout).into_owned();
    let field = |key: &str| show.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::trim);
    let (Some(version), Some(digest)) = (field("Version"), field("SHA256")) else {
        return Err(Error::environment(format!("apt offers no {name}: apt-get update, or --package DEB")));
    };
    let name_of_entry = format!("{KIND}/{version}");
    if cache.path(&name_of_entry).exists() {
        return Ok(cache.path(&name_of_entry));
    }
    cache.room(&format!("{name} {version}"), ROOM)?;
    cache.entry(turn, &name_of_entry, |partial| {
        let download = partial.join(".download");
        fs::create_dir(&download).map_err(|error| Error::file(&download, error))?;
        let mut apt = Command::new("apt-get");
        apt.args(["download", &format!("{name}={version}")]).current_dir(&download).stdin(turn.held()?);
        // Its output is its progress, which belongs on standard error.
        apt.stdout(io::stderr());
        let done = apt.status().map_err(|error| Error::environment("apt-get").because(error))?;
        let package = fs::read_dir(&download).into_iter().flatten().flatten().map(|entry| entry.path()).next();
        let Some(package) = package.filter(|_| done.success()) else {
            return Err(Error::environment(format!("apt-get cannot download {name} {version}")));
        };
        let found = digest::of_file(&package).map_err(|error| Error::file(&package, error))?;
        if found != digest {
            return Err(Error::environment(format!("{name} {version}: SHA-256 {found} instead of {digest}")));
        }
        unpack(&package, partial, turn)?;
        fs::remove_dir_all(&download).map_err(|error| Error::file(&download, error))?;
        record(partial, version)
    })
}

/// A package in a file.
fn kept(cache: &Cache, turn: &Turn, package: &Path) -> Result<PathBuf, Error> {
    tools::need(&["dpkg-deb", "tar", "xz"])?;
    let mut show = Command::new("dpkg-deb");
    show.args(["--show", "--showformat=${Package} ${Version}"]).arg(package).stdin(Stdio::null());
    let output = show.output().map_err(|error| Error::environment("dpkg-deb").because(error))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let version = said.split_once(' ').filter(|(name, _)| *name == format!("linux-source-{WANTED}"));
    let Some((_, version)) = version else {
        return Err(Error::environment(format!("{}: no package linux-source-{WANTED}", package.display())));
    };
    let name = format!("{KIND}/{version}");
    if !cache.path(&name).exists() {
        cache.room(&said, ROOM)?;
    }
    cache.entry(turn, &name, |partial| {
        unpack(package, partial, turn)?;
        record(partial, version)
    })
}

fn record(source: &Path, version: &str) -> Result<(), Error> {
    let path = source.join(PACKAGE);
    fs::write(&path, format!("{version}\n")).map_err(|error| Error::file(&path, error))
}

/// Unpacks the source in a package as far as it is needed.
fn unpack(package: &Path, place: &Path, turn: &Turn) -> Result<(), Error> {
    let mut outer = Command::new("dpkg-deb");
    outer.arg("--fsys-tarfile").arg(package).stdin(turn.held()?);
    let mut outer = start(outer)?;
    let mut middle = Command::new("tar");
    middle.args(["--extract", "--to-stdout", "--file=-", &format!("./usr/src/linux-source-{WANTED}.tar.xz")]);
    middle.stdin(outer.stdout.take().map_or(Stdio::null(), Stdio::from)).stderr(Stdio::null());
    let mut middle = start(middle)?;
    let mut inner = Command::new("tar");
    inner.args(["--extract", "--xz", "--file=-", "--strip-components=1"]).arg("--directory").arg(place);
    inner.args(UNWANTED.iter().map(|pattern| format!("--exclude={pattern}")));
    let sources = |architecture: &&str| ["[chS]", "dts*"].map(|end| format!("--exclude=*/arch/{architecture}/*.{end}"));
    inner.args(ARCHITECTURES.iter().flat_map(sources)).stdin(Stdio::piped());
    inner.stdout(Stdio::null());
    let mut inner = inner.spawn().map_err(|error| Error::environment("tar").because(error))?;
    // The rest of the package is small.
    let total = package.metadata().map_or(0, |data| data.len());
    let copied = copy(middle.stdout.take(), inner.stdin.take(), total);
    passing("");
    let mut ends = Vec::new();
    for child in [&mut outer, &mut middle, &mut inner] {
        ends.push(child.wait().is_ok_and(|status| status.success()));
    }
    if copied.is_err() || ends != [true; 3] {
        let why = copied.err().map_or(String::new(), |error| format!(": {error}"));
        return Err(Error::environment(format!("{}: the source cannot be unpacked{why}", package.display())));
    }
    tell_line(format_args!("{} is unpacked", package.file_name().unwrap_or_default().display()));
    Ok(())
}

fn start(mut command: Command) -> Result<Child, Error> {
    let name = command.get_program().to_string_lossy().into_owned();
    command.stdout(Stdio::piped()).spawn().map_err(|error| Error::environment(name).because(error))
}

/// Copies all bytes, and shows how many of them there are yet to come.
fn copy(from: Option<impl Read>, to: Option<impl Write>, total: u64) -> io::Result<()> {
    let (Some(mut from), Some(mut to)) = (from, to) else { return Ok(()) };
    let (mut buffer, mut done) = (vec![0; 1 << 18], 0_u64);
    loop {
        let len = from.read(&mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        to.write_all(&buffer[..len])?;
        done += len as u64;
        let mib = |bytes: u64| usize::try_from(bytes >> 20).unwrap_or(usize::MAX);
        passing(&bar("unpacking", mib(done), mib(total), "MiB"));
    }
}
