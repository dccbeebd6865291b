//! Reads pages from files, directories or memory.

use crate::diagnostic::{Diagnostic, IO, Source};
use crate::model::{Page, Spec};
use crate::{parse, resolve};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files as read from a disk or from git: their names for messages, and their contents.
pub type Sources = Vec<(PathBuf, Vec<u8>)>;

/// All `*.md` files of a directory, sorted by name.
///
/// # Errors
/// One finding, if the directory cannot be read or holds no pages.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>, Vec<Diagnostic>> {
    let finding = |message: String| vec![Diagnostic::whole(dir, IO, message, "name the directory of the pages")];
    let unreadable = |error: std::io::Error| finding(format!("cannot be read: {error}"));
    let mut files = vec![];
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "md") {
            files.push(path);
        }
    }
    files.sort();
    if files.is_empty() { Err(finding("no pages (*.md) here".into())) } else { Ok(files) }
}

/// Reads all pages of a directory, and its `moved.toml` if there is one.
///
/// # Errors
/// All faults of the pages, in order.
pub fn load(dir: &Path) -> Result<Spec, Vec<Diagnostic>> {
    load_files(&files(dir)?)
}

/// Reads the named pages and the `moved.toml` beside them. The pages must not refer to clauses of other pages.
///
/// # Errors
/// All faults of the pages, in order.
pub fn load_files(paths: &[PathBuf]) -> Result<Spec, Vec<Diagnostic>> {
    load_with(paths, vec![])
}

/// Like [`load_files`], together with pages that the caller has read.
///
/// # Errors
/// The errors of [`load_files`].
pub fn load_with(paths: &[PathBuf], given: Sources) -> Result<Spec, Vec<Diagnostic>> {
    let mut findings = vec![];
    let mut sources = read(paths, &mut findings);
    sources.extend(given);
    assemble(sources, findings, false, &parse::page)
}

/// Takes pages, and perhaps the files beside them, that the caller has read. Then neither this function nor
/// [`crate::lint`] reads other files. A page that stands `alone` may refer to clauses of other pages.
///
/// # Errors
/// All faults of the pages, in order.
pub fn load_sources(sources: Sources, alone: bool) -> Result<Spec, Vec<Diagnostic>> {
    let is_page = |(path, _): &(PathBuf, Vec<u8>)| {
        path.extension().is_some_and(|it| it == "md") || path.file_name().is_some_and(|it| it == resolve::MOVED)
    };
    let (pages, others): (Sources, Sources) = sources.into_iter().partition(|source| alone || is_page(source));
    let text = |(file, bytes): (PathBuf, Vec<u8>)| Source { file, text: String::from_utf8_lossy(&bytes).into_owned() };
    let spec = assemble(pages, vec![], alone, &parse::page)?;
    Ok(Spec { beside: Some(others.into_iter().map(text).collect()), ..spec })
}

/// Reads a directory of pages, or one page that stands alone.
///
/// # Errors
/// All faults of the pages, in order.
pub fn load_path(path: &Path) -> Result<Spec, Vec<Diagnostic>> {
    if path.is_dir() {
        return load(path);
    }
    let mut findings = vec![];
    let sources = read(&[path.to_owned()], &mut findings);
    assemble(sources, findings, true, &parse::page)
}

/// Reads manual pages in Markdown. Pages with `version:` in their front matter belong to the specification and are read
/// as by [`load_files`]; every other page is accepted, whatever it contains. Pages without a date get `date`, in the
/// form `YYYY-MM-DD`.
///
/// # Errors
/// All faults of pages of the specification; other pages that cannot be read or are not UTF-8.
pub fn compile(paths: &[PathBuf], date: &str) -> Result<Spec, Vec<Diagnostic>> {
    let mut findings = vec![];
    let sources = read(paths, &mut findings);
    assemble(sources, findings, false, &|name, bytes, findings| parse::any(name, bytes, date, findings))
}

/// Like [`compile`], for one page in memory.
///
/// # Errors
/// As [`compile`].
pub fn compile_bytes(name: &Path, bytes: Vec<u8>, date: &str) -> Result<Spec, Vec<Diagnostic>> {
    let sources = vec![(name.to_owned(), bytes)];
    assemble(sources, vec![], false, &|name, bytes, findings| parse::any(name, bytes, date, findings))
}

/// Reads the files, and the `moved.toml` beside them.
fn read(paths: &[PathBuf], findings: &mut Vec<Diagnostic>) -> Sources {
    let moved: BTreeSet<PathBuf> = paths.iter().map(|path| path.with_file_name(resolve::MOVED)).collect();
    let mut sources = vec![];
    for path in paths.iter().cloned().chain(moved.into_iter().filter(|path| path.exists())) {
        match fs::read(&path) {
            Ok(bytes) => sources.push((path, bytes)),
            Err(error) => {
                let message = format!("cannot be read: {error}");
                findings.push(Diagnostic::whole(&path, IO, message, "name a page that exists, and can be read"));
            }
        }
    }
    sources
}

/// Parses one page; `None` if it is too faulty to go on.
type Reader<'a> = &'a dyn Fn(&Path, Vec<u8>, &mut Vec<Diagnostic>) -> Option<Page>;

fn assemble(
    sources: Sources,
    mut findings: Vec<Diagnostic>,
    alone: bool,
    reader: Reader<'_>,
) -> Result<Spec, Vec<Diagnostic>> {
    let (mut paths, mut pages, mut moved) = (vec![], vec![], vec![]);
    for (path, bytes) in sources {
        if path.file_name().is_some_and(|name| name == resolve::MOVED) {
            moved.extend(resolve::moved(&path, &bytes, &mut findings));
        } else {
            pages.extend(reader(&path, bytes, &mut findings));
            paths.push(path);
        }
    }
    let of_spec: Vec<&Page> = pages.iter().filter(|page| page.ordinary.is_none()).collect();
    resolve::check(&of_spec, &moved, alone, &mut findings);
    if findings.is_empty() {
        let version = of_spec.first().map(|page| page.version.clone()).unwrap_or_default();
        return Ok(Spec { version, pages, moved, beside: None });
    }
    let order = |finding: &Diagnostic| paths.iter().position(|path| *path == finding.file);
    findings.sort_by_key(|finding| (order(finding), finding.line, finding.column));
    Err(findings)
}
