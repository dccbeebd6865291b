//! Builds the pages and the chapters of the book into the command, so that it needs no checkout.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The directory with links to directories beside this crate. `cargo package` follows them.
const PLACE: &str = "built-in";
/// The directories, and the feature that needs them.
const DIRECTORIES: [(&str, &str); 2] = [("man", "CLI"), ("book", "BOOK")];
/// The extensions of the files to build in; other files, such as licences, are left out.
const EXTENSIONS: [&str; 5] = ["md", "toml", "txt", "svg", "css"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let has = |feature: &str| std::env::var_os(format!("CARGO_FEATURE_{feature}")).is_some();
    // The library alone, which other build scripts use, has no built-in pages.
    if !has("CLI") {
        return;
    }
    let mut table = String::new();
    for (name, _) in DIRECTORIES.into_iter().filter(|(_, feature)| has(feature)) {
        let found = Path::new(PLACE).join(name).canonicalize().and_then(|directory| {
            // Cargo looks at every file below the directory.
            println!("cargo::rerun-if-changed={}", directory.display());
            files(&directory).map(|files| (directory, files))
        });
        match found {
            Ok((directory, files)) => files.iter().for_each(|file| row(&mut table, name, &directory, file)),
            Err(error) => println!("cargo::error=spec/{PLACE}/{name}, which the command has built in: {error}"),
        }
    }
    // The version of the specification is that of its pages, which all have the same.
    let page = Path::new(PLACE).join("man/iomap_immutable.7.md");
    let page = std::fs::read_to_string(page).unwrap_or_default();
    match page.lines().find_map(|line| line.strip_prefix("version:")) {
        Some(version) => println!("cargo::rustc-env=IOMAP_SPECIFICATION={}", version.trim()),
        None => println!("cargo::error=spec/{PLACE}/man/iomap_immutable.7.md has no version"),
    }
    // Cargo sets OUT_DIR for every build script.
    let out = Path::new(&std::env::var("OUT_DIR").expect("OUT_DIR")).join("built_in.rs");
    std::fs::write(out, format!("&[\n{table}]\n")).expect("the output directory can be written");
}

/// Every file below the directory that the command can use, sorted.
fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = vec![];
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if path.extension().is_some_and(|it| EXTENSIONS.iter().any(|known| it == *known)) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Writes the row `("man/moved.toml", include_bytes!("…"))`.
fn row(table: &mut String, name: &str, directory: &Path, file: &Path) {
    let within = Path::new(name).join(file.strip_prefix(directory).unwrap_or(file)).display().to_string();
    // Writing to a string cannot fail.
    let _ = writeln!(table, "    ({within:?}, include_bytes!({:?})),", file.display().to_string());
}
