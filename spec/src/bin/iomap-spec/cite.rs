//! `cite`: prints clauses for mail, and checks the citations in a mail.

use crate::citations::{self, Checked};
use crate::format::Report;
use crate::input::{self, Input};
use crate::mail::{self, Flow};
use crate::output::print;
use crate::pages::Pages;
use crate::show::clauses;
use crate::{report, unwrap};
use clap::Args;
use iomap_command::{Error, Exit, Settings, count};
use iomap_spec::{Diagnostic, Source, Spec, text};
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(crate) struct Arguments {
    /// One line for each, to stand in a sentence
    #[arg(long, group = "form")]
    one_line: bool,
    /// A line `Link: URL # ID` for each, to stand at the end of a commit message; needs --url
    #[arg(long, group = "form")]
    trailer: bool,
    /// A quotation with the citation below it, for a forge
    #[arg(long, group = "form")]
    markdown: bool,
    /// Where the book is published, so that citations lead there [default: url in iomap/config.toml]
    #[arg(long, value_name = "URL", env = "IOMAP_SPEC_URL", value_parser = base, global = false)]
    url: Option<String>,
    /// Instead of citing, say which citations in this mail, patch or text (- for standard input) are unknown, stale,
    /// misquoted or broken
    #[arg(long, value_name = "FILE", conflicts_with = "form")]
    check: Option<PathBuf>,
    /// How --check reports
    #[arg(long, default_value = "human", requires = "check")]
    format: Report,
    /// Clauses
    #[arg(required_unless_present = "check", conflicts_with = "check", value_name = "ID")]
    ids: Vec<String>,
}

/// Accepts a URL to which a clause's file name and anchor can be added, without white space.
pub(crate) fn base(url: &str) -> Result<String, &'static str> {
    let rest = url.strip_prefix("https://").or(url.strip_prefix("http://")).unwrap_or_default();
    let plain = rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"<>?#()".contains(&byte));
    if rest.is_empty() || !plain {
        return Err("give the address of the book's directory: https://…, without ? and #");
    }
    Ok(url.to_owned())
}

pub(crate) fn run(pages: &Pages, arguments: &Arguments) -> Result<Exit, Error> {
    let spec = pages.load()?;
    if let Some(file) = &arguments.check {
        return check(&spec, file, arguments.format);
    }
    let configured = if arguments.url.is_some() { None } else { Settings::read()?.url(base)? };
    let url = arguments.url.as_deref().or(configured.as_deref());
    let one = |cited: String| cited + "\n";
    match (arguments, url) {
        (Arguments { one_line: true, .. }, _) => {
            clauses(&spec, &arguments.ids, "", |clause| one(text::cite_on_one_line(&spec, clause)))
        }
        (Arguments { trailer: true, .. }, Some(url)) => {
            clauses(&spec, &arguments.ids, "", |clause| one(text::cite_as_trailer(clause, url)))
        }
        (Arguments { trailer: true, .. }, None) => Err(Error::usage(
            "--trailer needs the address of the book: --url URL, IOMAP_SPEC_URL, or url in config.toml",
        )),
        (Arguments { markdown: true, .. }, _) => {
            clauses(&spec, &arguments.ids, "\n", |clause| text::cite_in_markdown(&spec, clause, url))
        }
        _ => clauses(&spec, &arguments.ids, "\n", |clause| text::cite(&spec, clause, url)),
    }
}

fn check(spec: &Spec, file: &Path, format: Report) -> Result<Exit, Error> {
    let Input { name, bytes } = input::read(file)?;
    let (texts, remarks) = texts(&name, &bytes);
    let remarks: Vec<String> =
        remarks.into_iter().map(|remark| format!("iomap-spec: {}: {remark}", name.display())).collect();
    let checked: Vec<Checked> = texts.into_iter().map(|text| citations::check(spec, text)).collect();
    let citations = checked.iter().map(|it| it.citations).sum();
    let (sources, findings): (Vec<Source>, Vec<Vec<Diagnostic>>) =
        checked.into_iter().map(|it| (it.source, it.findings)).unzip();
    let findings = findings.concat();
    print(&match format {
        Report::Json => report::json(&findings),
        Report::Github => report::github(&findings),
        Report::Human => {
            let summary = match (citations, findings.len()) {
                (0, 0) if remarks.is_empty() => "no citations\n".to_owned(),
                (0, 0) => String::new(),
                (0, wrong) => format!("no citations, {}\n", count(wrong, "finding")),
                (all, 0) => format!("{}: no findings\n", count(all, "citation")),
                (all, wrong) => {
                    format!("{}, {}\n", count(all, "citation"), count(wrong, "finding"))
                }
            };
            report::human_in(&findings, report::Stream::Output, &sources) + &summary
        }
    })?;
    // The parts that could not be read may contain citations.
    match (remarks.is_empty(), findings.is_empty()) {
        (false, _) => Err(Error::report(Exit::Found, remarks.join("\n"))),
        (true, false) => Ok(Exit::Found),
        (true, true) => Ok(Exit::Fine),
    }
}

/// The file unchanged, so that findings have its line numbers; for a mail whose text is encoded or flowed, the decoded
/// texts. The second list names the parts that could not be read.
fn texts(file: &Path, bytes: &[u8]) -> (Vec<Source>, Vec<String>) {
    let unwrapped = unwrap::unwrap(bytes);
    let mut remarks: Vec<String> = unwrapped.remark.into_iter().collect();
    if remarks.is_empty() && unwrap::is_binary(&unwrapped.bytes) {
        remarks.push("these are binary data: name a text".to_owned());
        return (vec![], remarks);
    }
    let parts = mail::parts(&unwrapped.bytes);
    if parts.iter().all(|part| part.verbatim && part.flow == Flow::Fixed) {
        let text = String::from_utf8_lossy(&unwrapped.bytes);
        return (vec![Source { file: file.to_owned(), text: unwrap::plain(&text).into_owned() }], remarks);
    }
    let mut sources = vec![];
    for (number, part) in parts.into_iter().enumerate() {
        remarks.extend(part.remark);
        let text = match part.flow {
            Flow::Fixed => part.text,
            Flow::Flowed { del_sp } => mail::unflowed(&part.text, del_sp),
        };
        let file = format!("{}, part {} decoded", file.display(), number + 1).into();
        sources.push(Source { file, text });
    }
    (sources, remarks)
}
