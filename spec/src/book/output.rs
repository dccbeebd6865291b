//! The directory of the book: built beside the old book, checked, then moved into its place.

use super::contents::{Book, Measured};
use super::trouble::Trouble;
use super::{indexes, links, page};
use crate::backend::Backend;
use crate::model::Spec;
use mdbook_driver::MDBook;
use mdbook_driver::book::{BookItem, Chapter};
use mdbook_driver::config::Config;
use mdbook_driver::errors::Error;
use serde_json::json;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// This file marks a directory that this program made and may replace.
const MARKER: &str = ".iomap-spec-book";

/// The result of a build.
#[derive(Debug)]
pub struct Built {
    /// The number of chapters.
    pub chapters: usize,
    /// Broken links, as `file: target: reason`.
    pub broken: Vec<String>,
}

/// Builds the book of the pages, what was measured, and the chapters below `chapters` (a directory with `book.toml`) into the
/// directory `out`, which is missing, empty, or a book that this function made.
///
/// # Errors
/// The reason why no book was built; `out` is then unchanged. A book with broken links is not an error.
pub fn build(spec: &Spec, measured: Measured<'_>, chapters: &Path, out: &Path) -> Result<Built, Trouble> {
    claim(out)?;
    let book = Book::new(spec, measured);
    let work = tempfile::tempdir().map_err(|error| Trouble::io(&std::env::temp_dir(), &error))?;
    let assets = work.path().join("assets");
    write_assets(&assets).map_err(|error| Trouble::io(&assets, &error))?;
    let mut md = load(chapters, &assets)?;
    add_chapters(&book, &mut md);

    // The new directory is beside the old one, so that one rename moves it.
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

/// Refuses a directory that has files which this program did not make.
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

/// Replaces the old book by the new one.
fn replace(out: &Path, stage: &Path) -> Result<(), Trouble> {
    // Check again: the directory may have changed during the build.
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

/// Loads the written chapters and the settings that the book needs.
fn load(chapters: &Path, assets: &Path) -> Result<MDBook, Trouble> {
    let file = chapters.join("book.toml");
    let trouble = |error: Error| Trouble::of_mdbook(&file, &error);
    let given = Config::from_disk(&file).map_err(trouble)?;
    // Take only the settings of the book, not the programs that mdBook would run before and after.
    let mut config = Config::default();
    if let Some(html) = given.get::<toml::Value>("output.html").map_err(trouble)? {
        config.set("output.html", html).map_err(trouble)?;
    }
    if given.html_config().is_none_or(|html| html.site_url.is_none()) {
        // Without a site URL, leave out the 404 page: it is shown for any address, so it would need to know the URL of
        // the book.
        config.set("output.html.input-404", "").map_err(trouble)?;
    }
    config.book = given.book;
    // mdBook must not write into the directory of the chapters.
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
        // The shown text must be the hashed text, so no characters are replaced.
        ("smart-punctuation", json!(false)),
        ("definition-lists", json!(true)),
        ("playground.runnable", json!(false)),
        // Search finds a clause at its place in a page, not in the lists of clauses.
        ("search.heading-split-level", json!(3)),
        ("search.chapter", unsearched.into()),
    ]
}

/// Adds the pages and indexes after the numbered chapters, before the chapters that close the book.
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
