//! The programs that the commands need.

use iomap_command::Error;
use std::process::{Command, Stdio};

/// The packages of programs, if the package has another name than the program.
const PACKAGES: [(&str, &str); 8] = [
    ("apt-cache", "apt"),
    ("apt-get", "apt"),
    ("as", "binutils"),
    ("cp", "coreutils"),
    ("dpkg-deb", "dpkg"),
    ("ld", "binutils"),
    ("libelf", "libelf-dev"),
    ("xz", "xz-utils"),
];

/// Refuses if one of these programs is missing, and names its package. `libelf` is the header of the library.
pub(crate) fn need(programs: &[&str]) -> Result<(), Error> {
    let missing: Vec<&str> = programs.iter().filter(|program| !has(program)).copied().collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut packages: Vec<&str> = Vec::new();
    for package in missing.iter().map(|program| package(program)) {
        if !packages.contains(&package) {
            packages.push(package);
        }
    }
    Err(Error::environment(format!("missing: {}: apt-get install {}", missing.join(", "), packages.join(" "))))
}

/// The package that has a program.
fn package(program: &str) -> &str {
    PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package)
}

fn has(program: &str) -> bool {
    if program == "libelf" {
        let mut gcc = Command::new("gcc");
        gcc.args(["-include", "gelf.h", "-E", "-x", "c", "/dev/null"]);
        return gcc
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|it| it.success());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).is_file())
}
