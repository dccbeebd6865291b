//! Pages from files, from directories, or from wherever their bytes are.

use crate::diagnostic::{Diagnostic, IO, Source};
use crate::model::{Page, Spec};
use crate::{parse, resolve};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Files as they were read, or as git has them: names for messages, and contents.
pub type Sources = Vec<(PathBuf, Vec<u8>)>;

/// All `*.md` of a directory, sorted by name.
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
/// Everything that is wrong with any of the pages, in their order.
pub fn load(dir: &Path) -> Result<Spec, Vec<Diagnostic>> {
    load_files(&files(dir)?)
}

/// Reads the named pages, which must refer to no clause of any other, and the `moved.toml` beside them.
///
/// # Errors
/// Everything that is wrong with any of the pages, in their order.
pub fn load_files(paths: &[PathBuf]) -> Result<Spec, Vec<Diagnostic>> {
    load_with(paths, vec![])
}

/// As [`load_files`], together with pages that were read before.
///
/// # Errors
/// The errors of [`load_files`].
pub fn load_with(paths: &[PathBuf], given: Sources) -> Result<Spec, Vec<Diagnostic>> {
    let mut findings = vec![];
    let mut sources = read(paths, &mut findings);
    sources.extend(given);
    assemble(sources, findings, false, &parse::page)
}

/// Takes pages that were read before, and perhaps the files beside them: then no other file is read from a disk, not by
/// [`crate::lint`] either. A page that stands `alone` may refer to clauses of others.
///
/// # Errors
/// Everything that is wrong with any of the pages, in their order.
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
/// Everything that is wrong with any of the pages, in their order.
pub fn load_path(path: &Path) -> Result<Spec, Vec<Diagnostic>> {
    if path.is_dir() {
        return load(path);
    }
    let mut findings = vec![];
    let sources = read(&[path.to_owned()], &mut findings);
    assemble(sources, findings, true, &parse::page)
}

/// Reads manual pages in Markdown. Those with `version:` in their front matter are of the specification and are read as
/// by [`load_files`]; any other is understood whatever it holds. `date` is the date of pages that do not say theirs,
/// `YYYY-MM-DD`.
///
/// # Errors
/// Everything that is wrong with a page of the specification; of the others, what cannot be read or is not UTF-8.
pub fn compile(paths: &[PathBuf], date: &str) -> Result<Spec, Vec<Diagnostic>> {
    let mut findings = vec![];
    let sources = read(paths, &mut findings);
    assemble(sources, findings, false, &|name, bytes, findings| parse::any(name, bytes, date, findings))
}

/// The same for one page that is no file.
///
/// # Errors
/// As [`compile`].
pub fn compile_bytes(name: &Path, bytes: Vec<u8>, date: &str) -> Result<Spec, Vec<Diagnostic>> {
    let sources = vec![(name.to_owned(), bytes)];
    assemble(sources, vec![], false, &|name, bytes, findings| parse::any(name, bytes, date, findings))
}

/// The files, and the `moved.toml` beside them.
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

/// Reads one page, if there is enough of it to go on with.
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
