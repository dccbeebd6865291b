//! `iomap-spec lsp`: clauses in an editor, by the language server protocol.

mod expected;
mod rename;
mod text;

use crate::pages::{self, Pages};
use crate::places::{Checkout, Kind};
use crate::{check, citations, index};
use iomap_command::{Error, Exit};
use iomap_spec::confirmed::words;
use iomap_spec::{Clause, Diagnostic, Source, Spec};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::{
    DiagnosticSeverity, DidChangeTextDocumentParams, DidCloseTextDocumentParams, DidOpenTextDocumentParams, Hover,
    HoverContents, Location, MarkupContent, MarkupKind, NumberOrString, PublishDiagnosticsParams, ReferenceParams,
    RenameParams, TextDocumentPositionParams, Uri,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The maximum number of expected verdicts in a hover.
const VERDICTS: usize = 12;

/// Serves one editor until it says to end.
pub(crate) fn run(pages: &Pages) -> Result<Exit, Error> {
    let broken = |error: &dyn std::fmt::Display| Error::environment(format!("the editor's connection: {error}"));
    let (connection, threads) = Connection::stdio();
    let (id, _) = connection.initialize_start().map_err(|error| broken(&error))?;
    let answer = json!({
        "capabilities": {
            // The whole text is sent with each change: pages are small.
            "textDocumentSync": { "openClose": true, "change": 1, "save": true },
            "hoverProvider": true,
            "definitionProvider": true,
            "referencesProvider": true,
            "renameProvider": { "prepareProvider": true },
        },
        "serverInfo": { "name": "iomap-spec", "version": env!("CARGO_PKG_VERSION") },
    });
    connection.initialize_finish(id, answer).map_err(|error| broken(&error))?;
    let mut server =
        Server { pages, spec: None, read: None, open: BTreeMap::new(), shown: BTreeSet::new(), outbox: vec![] };
    server.reload();
    loop {
        for message in server.outbox.drain(..) {
            connection.sender.send(message).map_err(|error| broken(&error))?;
        }
        let Ok(message) = connection.receiver.recv() else { break };
        match message {
            Message::Request(request) => {
                if connection.handle_shutdown(&request).map_err(|error| broken(&error))? {
                    break;
                }
                let response = server.answer(request);
                server.outbox.push(Message::Response(response));
            }
            Message::Notification(notification) => server.take(notification),
            Message::Response(_) => {}
        }
    }
    drop(connection);
    threads.join().map_err(|error| broken(&error))?;
    Ok(Exit::Fine)
}

struct Server<'a> {
    pages: &'a Pages,
    /// The pages as they were when they could last be read.
    spec: Option<Spec>,
    /// The last change of the checkout when the pages were read.
    read: Option<SystemTime>,
    /// The texts of the editor, by file.
    open: BTreeMap<PathBuf, String>,
    /// The pages with findings that the editor shows.
    shown: BTreeSet<PathBuf>,
    outbox: Vec<Message>,
}

/// The reason why a request has no answer, for the editor to show.
type Refusal = String;

impl Server<'_> {
    fn answer(&mut self, request: Request) -> Response {
        let Request { id, method, params } = request;
        // An editor tells only of files that it has shown to the server, and a rename writes others too.
        if Checkout::changed(self.pages) != self.read {
            self.reload();
        }
        let answered = match method.as_str() {
            "textDocument/hover" => parsed(params).and_then(|asked| some(self.hover(&asked))),
            "textDocument/definition" => parsed(params).and_then(|asked| some(self.definition(&asked))),
            "textDocument/references" => parsed(params).and_then(|asked| self.references(&asked)),
            "textDocument/prepareRename" => parsed(params).and_then(|asked| some(self.renamable(&asked))),
            "textDocument/rename" => parsed(params).and_then(|asked| self.rename(&asked)),
            _ => {
                let message = format!("iomap-spec does not know {method}");
                return Response::new_err(id, ErrorCode::MethodNotFound as i32, message);
            }
        };
        match answered {
            Ok(value) => Response::new_ok(id, value),
            Err(message) => Response::new_err(id, ErrorCode::RequestFailed as i32, message),
        }
    }

    fn take(&mut self, Notification { method, params }: Notification) {
        let (uri, text) = match method.as_str() {
            "textDocument/didOpen" => match parsed::<DidOpenTextDocumentParams>(params) {
                Ok(opened) => (opened.text_document.uri, Some(opened.text_document.text)),
                Err(_) => return,
            },
            "textDocument/didChange" => match parsed::<DidChangeTextDocumentParams>(params) {
                Ok(changed) => {
                    (changed.text_document.uri, changed.content_changes.into_iter().last().map(|it| it.text))
                }
                Err(_) => return,
            },
            "textDocument/didClose" => {
                if let Ok(closed) = parsed::<DidCloseTextDocumentParams>(params)
                    && let Some(file) = text::path(&closed.text_document.uri)
                {
                    self.open.remove(&file);
                }
                return;
            }
            "textDocument/didSave" => return self.reload(),
            _ => return,
        };
        let (Some(file), Some(text)) = (text::path(&uri), text) else { return };
        self.open.insert(file.clone(), text);
        self.show_citations(&file, &uri);
    }

    /// Reads the pages again, and sends the findings of `check`.
    fn reload(&mut self) {
        self.read = Checkout::changed(self.pages);
        let loaded = match self.pages {
            Pages::BuiltIn => pages::built_in(),
            Pages::Directory(directory) => iomap_spec::load(directory),
        };
        let findings = match loaded {
            Ok(spec) => {
                let findings = if matches!(self.pages, Pages::BuiltIn) { vec![] } else { check::linted(&spec) };
                self.spec = Some(spec);
                findings
            }
            Err(findings) => findings,
        };
        let mut by_file: BTreeMap<PathBuf, Vec<Diagnostic>> =
            std::mem::take(&mut self.shown).into_iter().map(|file| (file, vec![])).collect();
        for finding in findings {
            by_file.entry(absolute(&finding.file)).or_default().push(finding);
        }
        for (file, findings) in by_file {
            let Some(uri) = text::uri(&file) else { continue };
            self.publish(uri, &file, &findings);
            if !findings.is_empty() {
                self.shown.insert(file);
            }
        }
    }

    /// Sends the findings of `cite --check` about a text that is neither a page nor a program: a draft of a mail.
    fn show_citations(&mut self, file: &Path, uri: &Uri) {
        let is_page = matches!(self.pages, Pages::Directory(directory) if file.starts_with(absolute(directory)));
        let is_program = file.extension().is_some_and(|it| it == "rs" || it == "toml");
        let (Some(spec), Some(text)) = (&self.spec, self.open.get(file)) else { return };
        if !is_page && !is_program {
            let source = Source { file: file.to_owned(), text: text.clone() };
            let findings = citations::check(spec, source).findings;
            self.publish(uri.clone(), file, &findings);
        }
    }

    fn publish(&mut self, uri: Uri, file: &Path, findings: &[Diagnostic]) {
        let text = self.text(file).unwrap_or_default();
        let diagnostics = findings.iter().map(|finding| {
            let line = text.lines().nth(finding.line.saturating_sub(1)).unwrap_or_default();
            let units = |chars: usize| line.chars().take(chars).map(char::len_utf16).sum::<usize>() as u32;
            let line = finding.line.saturating_sub(1) as u32;
            let position = |column: usize| lsp_types::Position { line, character: units(column) };
            lsp_types::Diagnostic {
                range: lsp_types::Range {
                    start: position(finding.column - 1),
                    end: position(finding.column - 1 + finding.length),
                },
                severity: Some(DiagnosticSeverity::ERROR),
                code: Some(NumberOrString::String(finding.code.to_owned())),
                source: Some("iomap-spec".to_owned()),
                message: format!("{}\n{}", finding.message, finding.mend),
                ..lsp_types::Diagnostic::default()
            }
        });
        let params = PublishDiagnosticsParams { uri, diagnostics: diagnostics.collect(), version: None };
        self.outbox.push(Message::Notification(Notification::new("textDocument/publishDiagnostics".into(), params)));
    }

    /// The text of a file, as the editor has it or else as it is on the disk.
    fn text(&self, file: &Path) -> Option<String> {
        self.open.get(file).cloned().or_else(|| std::fs::read_to_string(file).ok())
    }

    /// The word under the cursor, and its position in the text.
    fn word(&self, asked: &TextDocumentPositionParams) -> Option<(String, Range<usize>, String)> {
        let text = self.text(&text::path(&asked.text_document.uri)?)?;
        let at = text::offset(&text, asked.position);
        let (word, span) = words(&text).find(|(_, span)| span.start <= at && at <= span.end)?;
        Some((word.to_owned(), span, text.clone()))
    }

    /// The clause whose id, constant or former id this is.
    fn named(&self, word: &str) -> Option<&Clause> {
        let spec = self.spec.as_ref()?;
        let now = spec.successor(word);
        spec.clauses().find(|clause| clause.id == now || clause.constant() == word)
    }

    fn hover(&self, asked: &TextDocumentPositionParams) -> Option<Hover> {
        let (word, span, text) = self.word(asked)?;
        let spec = self.spec.as_ref()?;
        let range = Some(text::range(&text, span));
        let said = |value| Some(Hover { contents: HoverContents::Markup(markdown(value)), range });
        let Some(clause) = self.named(&word) else {
            let is_old = spec.moved.iter().any(|moved| moved.old == word);
            return if is_old { said(format!("{word}: {}", index::hint(spec, &word))) } else { None };
        };
        let mut value = format!(
            "**{}** ({}), {}, {} [{}]\n\n{}\n",
            clause.id,
            clause.envelope(),
            clause.page,
            clause.section,
            clause.hash,
            clause.text
        );
        value += &clause.why.as_ref().map_or(String::new(), |why| format!("\n*why*: {why}\n"));
        if let Pages::Directory(directory) = self.pages {
            let verdicts = expected::verdicts(&top(directory), &clause.id);
            let more = verdicts.len().saturating_sub(VERDICTS);
            if !verdicts.is_empty() {
                value += "\nExpected on kernels, where not *holds*:\n\n";
                verdicts.iter().take(VERDICTS).for_each(|line| value += &format!("- {line}\n"));
            }
            if more > 0 {
                value += &format!("- and {more} more\n");
            }
        }
        said(value)
    }

    fn definition(&self, asked: &TextDocumentPositionParams) -> Option<Location> {
        let clause = self.named(&self.word(asked)?.0)?;
        let file = absolute(&clause.file);
        let text = self.text(&file)?;
        // The text of an editor can have other lines than the file.
        let marker = format!("r[{}", clause.id);
        let at = text.find(&marker)? + "r[".len();
        Some(Location { uri: text::uri(&file)?, range: text::range(&text, at..at + clause.id.len()) })
    }

    /// The checkout with the texts that the editor has.
    fn checkout(&self) -> Result<Checkout, Refusal> {
        let mut checkout = Checkout::of(self.pages).map_err(|error| error.to_string())?;
        self.open.iter().for_each(|(file, text)| checkout.overlay(file, text));
        Ok(checkout)
    }

    fn references(&self, asked: &ReferenceParams) -> Result<Value, Refusal> {
        let Some((word, ..)) = self.word(&asked.text_document_position) else { return Ok(Value::Null) };
        let Some(clause) = self.named(&word) else { return Ok(Value::Null) };
        let checkout = self.checkout()?;
        let places = checkout.places(&[clause]).remove(clause.id.as_str()).unwrap_or_default();
        let is_wanted = |kind| match kind {
            Kind::Clause => asked.context.include_declaration,
            Kind::Coverage | Kind::Record => false,
            _ => true,
        };
        let location = |place: &crate::places::Place| {
            let range = text::range(checkout.text(&place.file)?, place.span.clone());
            Some(Location { uri: text::uri(&checkout.top.join(&place.file))?, range })
        };
        let places = places.iter().filter(|place| is_wanted(place.kind));
        value(places.filter_map(location).collect::<Vec<_>>())
    }

    /// The present id under the cursor, which an editor offers to change.
    fn renamable(&self, asked: &TextDocumentPositionParams) -> Option<Value> {
        let (word, span, text) = self.word(asked)?;
        let clause = self.named(&word)?;
        Some(json!({ "range": text::range(&text, span), "placeholder": clause.id }))
    }

    fn rename(&self, asked: &RenameParams) -> Result<Value, Refusal> {
        let (word, ..) = self.word(&asked.text_document_position).ok_or("there is no word here")?;
        let clause = self.named(&word).ok_or_else(|| format!("{word} names no clause"))?;
        let spec = self.spec.as_ref().ok_or("the pages cannot be read")?;
        if let Some(refusal) = rename::refusal(spec, &asked.new_name) {
            return Err(refusal);
        }
        let checkout = self.checkout()?;
        let directory = absolute(self.pages.directory().map_err(|error| error.to_string())?);
        let moved = directory.join("moved.toml");
        let record = self.text(&moved).ok_or_else(|| format!("{} cannot be read", moved.display()))?;
        let edits = rename::edits(&checkout, spec, clause, &asked.new_name, (&moved, &record));
        value(edits.ok_or("a file has a name that is not UTF-8")?)
    }
}

/// The top of the checkout with this directory of pages.
fn top(pages: &Path) -> PathBuf {
    absolute(pages).parent().map_or_else(PathBuf::new, Path::to_owned)
}

/// The file as editors name it.
fn absolute(file: &Path) -> PathBuf {
    file.canonicalize().or_else(|_| std::path::absolute(file)).unwrap_or_else(|_| file.to_owned())
}

fn markdown(value: String) -> MarkupContent {
    MarkupContent { kind: MarkupKind::Markdown, value }
}

fn parsed<T: DeserializeOwned>(params: Value) -> Result<T, Refusal> {
    serde_json::from_value(params).map_err(|error| error.to_string())
}

fn value(answer: impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(answer).map_err(|error| error.to_string())
}

fn some(answer: Option<impl Serialize>) -> Result<Value, Refusal> {
    value(answer)
}
