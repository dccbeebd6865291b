//! `cite`: clauses for mail, and whether those in a mail are right.

use crate::citations::{self, Checked};
use crate::{Exit, Outcome, Report, clauses, environment, load, mail, print, report};
use clap::Args;
use iomap_spec::{Diagnostic, Source, Spec, text};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::{fs, io};

#[derive(Args)]
pub(crate) struct Arguments {
    /// One line for each, to stand in a sentence
    #[arg(long, group = "form")]
    one_line: bool,
    /// A line `Link: URL # ID` for each, to stand at the end of a commit message; needs --url
    #[arg(long, group = "form", requires = "url")]
    trailer: bool,
    /// A quotation with the citation below it, for a forge
    #[arg(long, group = "form")]
    markdown: bool,
    /// Where the book is published, so that citations lead there
    #[arg(long, value_name = "URL", env = "IOMAP_SPEC_URL", value_parser = base, global = false)]
    url: Option<String>,
    /// Instead of citing, say which citations in this mail, patch or text (- for standard input) are unknown, stale or
    /// misquoted
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    check: Option<PathBuf>,
    /// How --check reports
    #[arg(long, default_value = "human", requires = "check")]
    format: Report,
    /// Clauses
    #[arg(required_unless_present = "check", conflicts_with = "check", value_name = "ID")]
    ids: Vec<String>,
}

/// An address that a clause's file name and anchor can be added to, and that ends where white space does.
fn base(url: &str) -> Result<String, String> {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://")).unwrap_or_default();
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>?#()".contains(&byte));
    if rest.is_empty() || !plain {
        return Err("give the address of the book's directory: https://…, without ? and #".to_owned());
    }
    Ok(url.to_owned())
}

pub(crate) fn run(pages: &Path, arguments: &Arguments) -> Outcome {
    let spec = load(pages)?;
    if let Some(file) = &arguments.check {
        return check(&spec, file, arguments.format);
    }
    let url = arguments.url.as_deref();
    let one = |cited: String| cited + "\n";
    match (arguments, url) {
        (Arguments { one_line: true, .. }, _) => {
            clauses(&spec, &arguments.ids, "", |clause| one(text::cite_on_one_line(&spec, clause)))
        }
        (Arguments { trailer: true, .. }, Some(url)) => {
            clauses(&spec, &arguments.ids, "", |clause| one(text::cite_as_trailer(clause, url)))
        }
        (Arguments { markdown: true, .. }, _) => {
            clauses(&spec, &arguments.ids, "\n", |clause| text::cite_in_markdown(&spec, clause, url))
        }
        _ => clauses(&spec, &arguments.ids, "\n", |clause| text::cite(&spec, clause, url)),
    }
}

fn check(spec: &Spec, file: &Path, format: Report) -> Outcome {
    let bytes = if file == Path::new("-") {
        let mut bytes = vec![];
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(file)
    };
    let bytes = bytes.map_err(|error| environment(file, &error))?;
    let checked: Vec<Checked> = texts(file, &bytes).into_iter().map(|text| citations::check(spec, text)).collect();
    let citations = checked.iter().map(|it| it.citations).sum();
    let (sources, findings): (Vec<Source>, Vec<Vec<Diagnostic>>) =
        checked.into_iter().map(|it| (it.source, it.findings)).unzip();
    let findings = findings.concat();
    print(&match format {
        Report::Json => report::json(&findings),
        Report::Github => report::github(&findings),
        Report::Human => {
            let summary = match (citations, findings.len()) {
                (0, _) => "no citations\n".to_owned(),
                (all, 0) => format!("{}: no findings\n", crate::count(all, "citation")),
                (all, wrong) => format!("{}, {}\n", crate::count(all, "citation"), crate::count(wrong, "finding")),
            };
            report::human_in(&findings, report::Stream::Output, &sources) + &summary
        }
    })?;
    Ok(if findings.is_empty() { Exit::Fine } else { Exit::Findings })
}

/// In what form a mail's text stands in the file: these two are not what a reader sees.
const ENCODINGS: [&str; 2] = ["content-transfer-encoding: quoted-printable", "content-transfer-encoding: base64"];

/// The file as it is, so that findings have its lines; of a mail that is encoded, its texts.
fn texts(file: &Path, bytes: &[u8]) -> Vec<Source> {
    let raw = String::from_utf8_lossy(bytes);
    let lower = raw.to_ascii_lowercase();
    let parts = match ENCODINGS.iter().any(|encoding| lower.contains(encoding)) {
        true => mail::parts(bytes),
        false => vec![],
    };
    if parts.is_empty() {
        return vec![Source { file: file.to_owned(), text: raw.into_owned() }];
    }
    let named = parts.into_iter().enumerate().map(|(number, part)| {
        let name = format!("{}, part {} decoded", file.display(), number + 1);
        Source { file: name.into(), text: part.text }
    });
    named.collect()
}
