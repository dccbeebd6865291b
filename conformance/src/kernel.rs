//! The release and the parameters of a kernel.

/// The release of the running kernel, as `uname -r` prints it.
pub fn release() -> String {
    nix::sys::utsname::uname().map_or_else(|_| "unknown".into(), |name| name.release().to_string_lossy().into_owned())
}

/// The path of this program in a guest of the lab, where it is the first process.
pub(crate) const INIT: &str = "/iomap-conformance";

/// Whether this is a guest of the lab, where every device was made for the suite.
pub(crate) fn is_guest() -> bool {
    let line = std::fs::read_to_string("/proc/cmdline").unwrap_or_default();
    line.split_ascii_whitespace().any(|parameter| parameter.strip_prefix("rdinit=") == Some(INIT))
}

/// The first two numbers of a version.
pub(crate) fn version(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}
