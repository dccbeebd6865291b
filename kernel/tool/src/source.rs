//! A kernel source on disk.

use crate::series::Series;
use iomap_command::Error;
use std::fs;
use std::path::Path;

/// The version that a source gives in its Makefile, such as 6.12.117.
pub(crate) fn version(source: &Path) -> Result<String, Error> {
    let makefile = source.join("Makefile");
    let text = fs::read_to_string(&makefile).map_err(|error| Error::file(&makefile, error))?;
    let value = |key: &str| {
        let line = text.lines().take(10).find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('='));
        line.map(|value| value.trim().to_owned()).filter(|value| value.parse::<u32>().is_ok())
    };
    match (value("VERSION"), value("PATCHLEVEL"), value("SUBLEVEL")) {
        (Some(version), Some(level), Some(sublevel)) => Ok(format!("{version}.{level}.{sublevel}")),
        _ => {
            Err(Error::environment(format!("{}: no source of a kernel: its Makefile has no version", source.display())))
        }
    }
}

/// The series of kernels that the patches are for.
pub(crate) const WANTED: &str = "6.12";

/// Refuses a source of another series, and one that has files of ours already.
pub(crate) fn suitable(source: &Path, series: &Series, any_version: bool) -> Result<String, Error> {
    let version = version(source)?;
    if !any_version && !version.starts_with(&format!("{WANTED}.")) {
        let source = source.display();
        return Err(Error::environment(format!("{source}: Linux {version}, and the series is for {WANTED}")));
    }
    if let Some(file) = series.files.keys().find(|file| source.join(file).exists()) {
        let source = source.display();
        return Err(Error::environment(format!("{source}: not pristine, a series was applied there: it has {file}")));
    }
    Ok(version)
}

/// The file at the top of a source in which `fetch` leaves the version of the package.
pub(crate) const PACKAGE: &str = ".package";

/// The version of the package that a source is from.
pub(crate) fn package(source: &Path) -> Option<String> {
    fs::read_to_string(source.join(PACKAGE)).ok().map(|version| version.trim().to_owned())
}
