//! The paths that a page for developers names.

use crate::floors::Finding;

/// The extensions of names that are paths without a slash.
const EXTENSIONS: [&str; 6] = [".c", ".md", ".rs", ".sh", ".toml", ".txt"];

/// A finding for each path in backquotes that is not the end of the path of a file or directory. `*` and NAME stand for
/// any characters but a slash. Names that begin with a slash, a dash or a dot are not checked, and neither are those
/// below `target/`.
pub fn missing(file: &str, page: &str, paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (number, line) in page.lines().enumerate() {
        for name in line.split('`').skip(1).step_by(2).filter(|name| is_path(name)) {
            if !paths.iter().any(|path| ends_with(path, name)) {
                let message = format!("there is no file or directory `{name}`");
                findings.push(Finding { file: file.into(), line: number + 1, message });
            }
        }
    }
    findings
}

fn is_path(name: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-./*".contains(c);
    name.chars().all(is_word)
        && !name.starts_with(['/', '-', '.'])
        && !name.starts_with("target/")
        && (name.contains('/') || EXTENSIONS.iter().any(|extension| name.ends_with(extension)))
}

/// Whether a path, or a directory above it, ends with the parts of a name.
fn ends_with(path: &str, name: &str) -> bool {
    let wanted: Vec<&str> = name.trim_end_matches('/').split('/').collect();
    let parts: Vec<&str> = path.split('/').collect();
    // A name with a slash at its end is a directory, so it is never the whole path of a file.
    let whole = parts.len() - usize::from(name.ends_with('/'));
    parts[..whole]
        .windows(wanted.len())
        .any(|window| window.iter().zip(&wanted).all(|(part, name)| is_like(part, name)))
}

fn is_like(part: &str, name: &str) -> bool {
    let pattern = name.replace("NAME", "*");
    match pattern.split_once('*') {
        None => part == pattern,
        Some((begin, end)) => part.len() >= begin.len() + end.len() && part.starts_with(begin) && part.ends_with(end),
    }
}
