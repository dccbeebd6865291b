//! A copy of the checkout, for tests that change it.

use std::fs;
use std::path::Path;

/// The directories and files that a command can look at.
const PARTS: [&str; 9] = [
    "CONTRIBUTING.md",
    "README.md",
    "book",
    "conformance/expectations",
    "conformance/src",
    "conformance/tests",
    "man",
    "reference-impl",
    "spec/entry-points.toml",
];

/// The copy; `None` if this is a package, which has no checkout around it.
pub(crate) fn copy() -> Option<tempfile::TempDir> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    if !top.join("man").is_dir() {
        eprintln!("not tested, ../man is missing");
        return None;
    }
    let directory = tempfile::tempdir().expect("the test can be set up");
    for file in iomap_testing::files::below(&top).expect("the files can be listed") {
        if PARTS.iter().any(|part| file.starts_with(part)) {
            let copy = directory.path().join(&file);
            let made = copy.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::copy(top.join(&file), copy));
            made.expect("the test can be set up");
        }
    }
    Some(directory)
}
