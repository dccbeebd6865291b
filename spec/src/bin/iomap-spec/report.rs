//! Findings for people, in the style of rustc, and for programs.

use crate::terminal;
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use iomap_command::{Error, Exit};
use iomap_spec::{Diagnostic, IO, Source};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// The stream of the report; it decides about colors.
pub(crate) enum Stream {
    Output,
    Error,
}

/// The exit code of a command that found this.
pub(crate) fn exit_of(findings: &[Diagnostic]) -> Exit {
    match findings {
        [] => Exit::Fine,
        all if all.iter().any(|finding| finding.code == IO) => Exit::Environment,
        _ => Exit::Found,
    }
}

/// The error of a command that cannot go on after these findings.
pub(crate) fn error(findings: Vec<Diagnostic>) -> Error {
    Error::report(exit_of(&findings), human(&findings, Stream::Error))
}

/// Each finding with its source line, followed by an empty line.
pub(crate) fn human(findings: &[Diagnostic], stream: Stream) -> String {
    human_in(findings, stream, &[])
}

/// Like [`human`]; `read` has the texts of files that were read already, or that are not on a disk.
pub(crate) fn human_in(findings: &[Diagnostic], stream: Stream, read: &[Source]) -> String {
    let colours = match stream {
        Stream::Output => terminal::colours(&std::io::stdout()),
        Stream::Error => terminal::colours(&std::io::stderr()),
    };
    let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
    let read = read.iter().map(|source| (source.file.as_path(), source.text.clone()));
    let mut sources: BTreeMap<&Path, String> = read.collect();
    let mut report = String::new();
    for finding in findings {
        let source = sources.entry(&finding.file).or_insert_with(|| {
            // If the file cannot be read or is not UTF-8, that is the finding itself.
            fs::read(&finding.file).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
        });
        report += &renderer.render(&[group(finding, source)]);
        report += "\n\n";
    }
    report
}

fn group<'a>(finding: &'a Diagnostic, source: &'a str) -> Group<'a> {
    let path = finding.file.to_string_lossy();
    let title = Level::ERROR.primary_title(&*finding.message).id(finding.code);
    let help = Level::HELP.message(&*finding.mend);
    if finding.line == 0 {
        return title.element(Origin::path(path)).element(help);
    }
    let annotation = AnnotationKind::Primary.span(span(finding, source));
    title.element(Snippet::source(source).path(path).annotation(annotation)).element(help)
}

/// The span of the finding in the source.
fn span(finding: &Diagnostic, source: &str) -> Range<usize> {
    let line_start: usize = source.split_inclusive('\n').take(finding.line - 1).map(str::len).sum();
    let line = source[line_start..].lines().next().unwrap_or_default();
    let byte = |column: usize| line.char_indices().nth(column).map_or(line.len(), |(at, _)| at);
    let (from, to) = (finding.column - 1, finding.column - 1 + finding.length);
    line_start + byte(from)..line_start + byte(to)
}

#[derive(Serialize)]
struct Report<'a> {
    schema: u32,
    findings: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    file: String,
    line: usize,
    column: usize,
    length: usize,
    code: &'a str,
    message: &'a str,
    mend: &'a str,
}

/// Annotations on the changed files of a pull request, in the form of GitHub's workflow commands.
pub(crate) fn github(findings: &[Diagnostic]) -> String {
    let escape = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let property = |text: &str| escape(text).replace(':', "%3A").replace(',', "%2C");
    let lines = findings.iter().map(|Diagnostic { file, line, column, length, code, message, mend }| {
        let (file, end) = (property(&file.to_string_lossy()), column + length - 1);
        let place = match line {
            0 => format!("file={file}"),
            _ => format!("file={file},line={line},col={column},endColumn={end}"),
        };
        format!("::error {place},title={}::{}\n", property(code), escape(&format!("{message}\n{mend}")))
    });
    lines.collect()
}

pub(crate) fn json(findings: &[Diagnostic]) -> String {
    let findings = findings.iter().map(|finding| Finding {
        file: finding.file.display().to_string(),
        line: finding.line,
        column: finding.column,
        length: finding.length,
        code: finding.code,
        message: &finding.message,
        mend: &finding.mend,
    });
    crate::index::document(&Report { schema: 1, findings: findings.collect() })
}
