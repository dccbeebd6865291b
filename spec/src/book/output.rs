//! The directory of the book: made beside the old one, checked, and put into its place.

use super::contents::Book;
use super::trouble::Trouble;
use super::{indexes, links, page};
use crate::backend::Backend;
use crate::model::Spec;
use iomap_results::Results;
use mdbook_driver::MDBook;
use mdbook_driver::book::{BookItem, Chapter};
use mdbook_driver::config::Config;
use mdbook_driver::errors::Error;
use serde_json::json;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// Says of a directory that it was made here and may be replaced.
const MARKER: &str = ".iomap-spec-book";

/// What was made.
#[derive(Debug)]
pub struct Built {
    /// How many chapters.
    pub chapters: usize,
    /// Links that lead nowhere, as `file: target: reason`.
    pub broken: Vec<String>,
}

/// Builds the book of the pages, the results and the chapters below `chapters` (a directory with `book.toml`) into the
/// directory `out`, which is missing, empty, or a book that this function made.
///
/// # Errors
/// Why there is none; `out` is then as it was. A book with broken links is a book.
pub fn build(spec: &Spec, results: &[Results], chapters: &Path, out: &Path) -> Result<Built, Trouble> {
    claim(out)?;
    let book = Book::new(spec, results);
    let work = tempfile::tempdir().map_err(|error| Trouble::io(&std::env::temp_dir(), &error))?;
    let assets = work.path().join("assets");
    write_assets(&assets).map_err(|error| Trouble::io(&assets, &error))?;
    let mut md = load(chapters, &assets)?;
    add_chapters(&book, &mut md);

    // Beside its place, so that it can be moved there in one step.
    let parent = out.parent().filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| Trouble::io(parent, &error))?;
    let stage = tempfile::Builder::new().prefix(".book-").tempdir_in(parent).map_err(|it| Trouble::io(parent, &it))?;
    let stage = absolute(stage.path())?.join("book");
    md.config.build.build_dir.clone_from(&stage);
    md.build().map_err(|error| Trouble::of_mdbook(chapters, &error))?;
    fs::write(stage.join(MARKER), "").map_err(|error| Trouble::io(&stage, &error))?;
    let broken = links::broken(&stage).map_err(|(path, error)| Trouble::io(&path, &error))?;
    replace(out, &stage)?;
    Ok(Built { chapters: md.book.chapters().count(), broken })
}

fn absolute(path: &Path) -> Result<PathBuf, Trouble> {
    path.canonicalize().map_err(|error| Trouble::io(path, &error))
}

/// Refuses a directory with files of somebody else's in it.
fn claim(out: &Path) -> Result<(), Trouble> {
    let refuse = |what: &str| {
        let mend = "name with --out one that is empty, missing, or a book that was made before";
        Err(Trouble::Environment(format!("{}: {what}, and a book replaces all that is there: {mend}", out.display())))
    };
    match fs::read_dir(out) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == ErrorKind::NotADirectory => refuse("this is no directory"),
        Err(error) => Err(Trouble::io(out, &error)),
        Ok(mut entries) => match entries.next() {
            Some(_) if !out.join(MARKER).is_file() => refuse("there are other files in this directory"),
            _ => Ok(()),
        },
    }
}

/// Puts the new book where the old one is.
fn replace(out: &Path, stage: &Path) -> Result<(), Trouble> {
    // Looked at once more: the build took its time.
    claim(out)?;
    match fs::remove_dir_all(out) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(Trouble::io(out, &error)),
        _ => {}
    }
    fs::rename(stage, out).map_err(|error| Trouble::io(out, &error))
}

const STYLE: &str = "book.css";
const SCRIPT: &str = "clauses.js";

fn write_assets(assets: &Path) -> io::Result<()> {
    fs::create_dir_all(assets.join("theme"))?;
    fs::write(assets.join(STYLE), include_str!("book.css"))?;
    fs::write(assets.join(SCRIPT), include_str!("clauses.js"))?;
    fs::write(assets.join("theme/header.hbs"), "<a class=\"skip-link\" href=\"#mdbook-content\">Skip to the text</a>\n")
}

/// The written chapters, and the settings without which the rest does not work.
fn load(chapters: &Path, assets: &Path) -> Result<MDBook, Trouble> {
    let file = chapters.join("book.toml");
    let trouble = |error: Error| Trouble::of_mdbook(&file, &error);
    let given = Config::from_disk(&file).map_err(trouble)?;
    // Of what is given, what is about the book: not the programs that mdBook would run before and after.
    let mut config = Config::default();
    if let Some(html) = given.get::<toml::Value>("output.html").map_err(trouble)? {
        config.set("output.html", html).map_err(trouble)?;
    }
    if given.html_config().is_none_or(|html| html.site_url.is_none()) {
        // A page that is shown for any address has to know where the book is.
        config.set("output.html.input-404", "").map_err(trouble)?;
    }
    config.book = given.book;
    // Nothing is written where the chapters are.
    config.book.src = absolute(&chapters.join(&config.book.src))?;
    config.build.create_missing = false;
    config.build.use_default_preprocessors = false;
    for (key, value) in settings() {
        config.set(format!("output.html.{key}"), value).map_err(trouble)?;
    }
    MDBook::load_with_config(assets, config).map_err(|error| Trouble::of_mdbook(&chapters.join("src"), &error))
}

fn settings() -> [(&'static str, serde_json::Value); 8] {
    let unsearched: serde_json::Map<_, _> =
        indexes::files().map(|file| (file.to_owned(), json!({ "enable": false }))).collect();
    [
        ("theme", json!("theme")),
        ("additional-css", json!([STYLE])),
        ("additional-js", json!([SCRIPT])),
        // What is shown is what is hashed.
        ("smart-punctuation", json!(false)),
        ("definition-lists", json!(true)),
        ("playground.runnable", json!(false)),
        // Each clause is found where it stands, not in the lists.
        ("search.heading-split-level", json!(3)),
        ("search.chapter", unsearched.into()),
    ]
}

/// The pages and indexes stand after the chapters that are numbered, before those that close the book.
fn add_chapters(book: &Book<'_>, md: &mut MDBook) {
    let chapter = |name: &str, text: String, file: &str| {
        let mut chapter = Chapter::new(name, text, file, vec![]);
        chapter.source_path = None;
        BookItem::Chapter(chapter)
    };
    md.book.for_each_chapter_mut(|written| written.content = page::linked(book, &written.content));
    let pages = book.spec.pages.iter().map(|page| chapter(&page.reference(), book.page(page), &book.file_name(page)));
    let indexes = indexes::all(book).map(|it| chapter(it.name, it.text, it.file));
    let added: Vec<BookItem> = std::iter::once(BookItem::PartTitle("The pages".into()))
        .chain(pages)
        .chain([BookItem::PartTitle("Indexes and results".into())])
        .chain(indexes)
        .collect();
    let items = &mut md.book.items;
    let numbered = |item: &BookItem| matches!(item, BookItem::Chapter(chapter) if chapter.number.is_some());
    let at = items.iter().rposition(numbered).map_or(items.len(), |last| last + 1);
    items.splice(at..at, added);
}
