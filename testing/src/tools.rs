//! The programs of Debian that tests need.

use std::fmt::Display;
use std::path::PathBuf;

/// The variable that makes a test fail that would be left out otherwise. The script `test` sets it to 1.
const REQUIRED: &str = "IOMAP_TESTS_REQUIRE_TOOLS";

/// The packages of programs, if the package has another name than the program.
const PACKAGES: [(&str, &str); 12] = [
    ("apt-cache", "apt"),
    ("c++", "g++"),
    ("cc", "gcc"),
    ("depmod", "kmod"),
    ("dpkg-deb", "dpkg"),
    ("man", "man-db"),
    ("mandb", "man-db"),
    ("mkfs.ext4", "e2fsprogs"),
    ("nvim", "neovim"),
    ("qemu-system-x86_64", "qemu-system-x86"),
    ("script", "bsdutils"),
    ("whatis", "man-db"),
];

/// Whether a test that lacks something fails.
pub fn are_required() -> bool {
    std::env::var_os(REQUIRED).is_some_and(|value| value == "1")
}

/// Prints the reason why a test is left out.
///
/// # Panics
/// Nothing may be left out: see [`are_required`].
pub fn not_tested(reason: impl Display) {
    assert!(!are_required(), "required: {reason}");
    eprintln!("not tested: {reason}");
}

/// Whether a program is installed. If it is not, the test has to end; the printed reason names the package.
///
/// # Panics
/// The program is not installed, and nothing may be left out.
pub fn has(program: &str) -> bool {
    let found = find(program).is_some();
    if !found {
        let package = PACKAGES.iter().find(|(name, _)| *name == program).map_or(program, |(_, package)| package);
        not_tested(format_args!("{program} is not installed: apt-get install {package}"));
    }
    found
}

/// The path of a program.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    directories.map(|directory| directory.join(program)).find(|candidate| candidate.is_file())
}
