//! Programs that are not installed on this machine, from Debian packages that are unpacked in the cache. The packages
//! are not installed, so no server starts, and root is not needed.

use crate::error::{Error, Result, at};
use crate::lab::cache::{self, Cache};
use crate::programs;
use iomap_command::tell_line;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program, and the package that has it.
pub(crate) type Tool = (&'static str, &'static str);

/// Unpacks the packages of those `tools` that are not installed, with their libraries. Returns their directory, or
/// `None` if all are installed.
pub(crate) fn get(cache: &Cache, tools: &[Tool]) -> Result<Option<PathBuf>> {
    let (names, packages): (Vec<_>, Vec<_>) =
        tools.iter().copied().filter(|(name, _)| programs::find(name).is_none()).unzip();
    if names.is_empty() {
        return Ok(None);
    }
    let packages: Vec<_> = packages.into_iter().collect::<BTreeSet<_>>().into_iter().collect();
    let found = root(cache, &packages).and_then(|root| {
        let absent = names.iter().find(|name| program(Some(&root), name).is_none());
        absent.map_or(Ok(root), |name| Err(Error::from(format!("no {name} in the packages"))))
    });
    found.map(Some).map_err(|error| {
        let (names, packages) = (names.join(", "), packages.join(" "));
        // The first error of apt is the reason.
        let why = error.to_string();
        let why = why.lines().find_map(|line| line.split_once("E: ")).map_or(why.as_str(), |(_, error)| error);
        format!("the scenario needs {names}: apt-get install {packages} (and fetching them failed: {why})").into()
    })
}

/// The path of a program: installed on this machine, or else unpacked.
pub(crate) fn program(root: Option<&Path>, name: &str) -> Option<PathBuf> {
    programs::find(name).or_else(|| {
        let places =
            ["usr/bin", "usr/sbin", "bin", "sbin"].iter().map(|place| root.map(|root| root.join(place).join(name)));
        places.flatten().find(|path| path.is_file())
    })
}

/// The places of libraries in a directory of unpacked packages.
pub(crate) fn libraries(root: &Path) -> String {
    let places =
        ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/samba", "lib/x86_64-linux-gnu", "usr/lib", "lib"];
    places.map(|place| root.join(place).display().to_string()).join(":")
}

/// Unpacks the packages, and those of their dependencies that are not installed.
fn root(cache: &Cache, packages: &[&str]) -> Result<PathBuf> {
    // The answer depends on the lists of apt and on the installed packages.
    let changed = |path| std::fs::metadata(path).and_then(|data| data.modified());
    let state = format!("{:?} {:?}", changed("/var/lib/apt/lists"), changed("/var/lib/dpkg/status"));
    let mut simulate = Command::new("apt-get");
    simulate.args(["-qq", "--simulate", "--no-install-recommends", "install"]).args(packages);
    let list = cache.answer(&format!("apt-get install {}", packages.join(" ")), &state, || {
        Ok(installed(&String::from_utf8_lossy(&programs::output(&mut simulate)?)).join("\n"))
    })?;
    cache.get("programs", &cache::digest_of(list.as_bytes()), UNPACKED, |root| unpack(&list, root))
}

/// The packages that apt would install: `name=version` of each line such as `Inst rpcbind (1.2.6-6+b1 Debian:12.15
/// [amd64])`. An installed version can be before the parenthesis.
fn installed(simulation: &str) -> Vec<String> {
    let lines = simulation.lines().filter_map(|line| line.strip_prefix("Inst ")?.split_once('('));
    lines
        .filter_map(|(before, after)| Some(format!("{}={}", before.split(' ').next()?, after.split(' ').next()?)))
        .collect()
}

/// The approximate size of the programs of a scenario, in bytes.
const UNPACKED: u64 = 200 << 20;

/// Downloads packages with apt.
pub(crate) fn download(packages: &[&str], directory: &Path) -> Result<()> {
    let mut apt = Command::new("apt-get");
    programs::output(apt.args(["-qq", "download"]).args(packages).current_dir(directory))?;
    Ok(())
}

fn unpack(list: &str, root: &Path) -> Result<()> {
    std::fs::create_dir_all(root).map_err(at(root))?;
    tell_line(format_args!("downloading {}", list.replace('\n', " ")));
    download(&list.lines().collect::<Vec<_>>(), root)?;
    let entries = std::fs::read_dir(root).map_err(at(root))?;
    let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.iter().try_for_each(|file| {
        programs::output(Command::new("dpkg-deb").arg("-x").args([file, root]))?;
        std::fs::remove_file(file).map_err(at(file))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_read_from_a_plan_of_apt() {
        let simulation = "Inst libwrap0 (7.6.q-32 Debian:12.15/oldstable [amd64])\n\
            Inst libc6 [2.36-9] (2.36-9+deb12u10 Debian:12.15/oldstable [amd64]) []\n\
            Remv samba [4.17]\n\
            Conf libwrap0 (7.6.q-32 Debian:12.15/oldstable [amd64])\n";
        assert_eq!(installed(simulation), ["libwrap0=7.6.q-32", "libc6=2.36-9+deb12u10"]);
    }
}
