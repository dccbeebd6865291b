//! `iomap-spec check`.

use crate::format::Report;
use crate::input;
use crate::output::print;
use crate::pages::{self, Pages};
use crate::report;
use crate::report::exit_of;
use iomap_command::{Error, Exit, count, is_standard, tell_line};
use iomap_spec::{Diagnostic, Manual, Source, Spec, text};
use std::fs;
use std::path::PathBuf;

/// Checks the files and directories; without any, all pages.
pub(crate) fn run(pages: &Pages, mut paths: Vec<PathBuf>, format: Report) -> Result<Exit, Error> {
    if let (Pages::Directory(directory), true) = (pages, paths.is_empty()) {
        pages.directory()?;
        paths.push(directory.clone());
    }
    let mut findings = vec![];
    let mut sources = vec![];
    let loaded = match paths.is_empty() {
        true => pages::built_in(),
        false => checked(&paths, &mut findings, &mut sources)?,
    };
    let mut summary = String::new();
    match loaded {
        Ok(spec) => {
            findings.extend(linted(&spec));
            let clauses = count(spec.clauses().count(), "clause");
            let built_in = if paths.is_empty() { ", built in" } else { "" };
            summary = format!("{}, {clauses}{built_in}: no findings\n", count(spec.pages.len(), "page"));
            sources.extend(spec.pages.into_iter().map(|page| page.source));
        }
        Err(more) => findings.extend(more),
    }
    if !findings.is_empty() {
        summary = count(findings.len(), "finding") + "\n";
    }
    print(&match format {
        Report::Human => report::human_in(&findings, report::Stream::Output, &sources) + &summary,
        Report::Json => report::json(&findings),
        Report::Github => report::github(&findings),
    })?;
    Ok(exit_of(&findings))
}

/// The findings of pages that can be read.
pub(crate) fn linted(spec: &Spec) -> Vec<Diagnostic> {
    let manual = Manual::installed().inspect_err(|reason| {
        tell_line(format_args!("iomap-spec: not checked whether pages in SEE ALSO exist: {reason}"));
    });
    iomap_spec::lint(spec, manual.ok().as_ref())
}

/// Reads the pages to check. Faults of a directory are added to the findings, and the text of standard input to the
/// sources.
fn checked(
    paths: &[PathBuf],
    findings: &mut Vec<Diagnostic>,
    sources: &mut Vec<Source>,
) -> Result<Result<Spec, Vec<Diagnostic>>, Error> {
    let (mut files, mut given) = (vec![], vec![]);
    for path in paths {
        if is_standard(path) {
            let input::Input { name, bytes } = input::standard()?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            sources.push(Source { file: name.clone(), text });
            given.push((name, bytes));
            continue;
        }
        // Report files that cannot be opened before any finding in other files.
        fs::metadata(path).map_err(|error| Error::file(path, error))?;
        match if path.is_dir() { iomap_spec::files(path) } else { Ok(vec![path.clone()]) } {
            Ok(pages) => files.extend(pages),
            Err(finding) => findings.extend(finding),
        }
    }
    Ok(iomap_spec::load_with(&files, given))
}

/// Explains a code of findings.
pub(crate) fn explain(code: &str) -> Result<Exit, Error> {
    if let Some(text) = iomap_spec::explain::explain(code) {
        return print(&format!("{code}\n\n{}", text::paragraphs(text)));
    }
    let codes: Vec<&str> = iomap_spec::explain::CODES.iter().map(|(code, _)| *code).collect();
    let message = format!("no finding has the code `{code}`: the codes are {}", codes.join(", "));
    Err(Error::new(Exit::Usage, message))
}
