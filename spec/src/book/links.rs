//! Whether every link of the book leads somewhere.

use super::output::Trouble;
use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, Tokenizer};
use percent_encoding::percent_decode_str;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What a document offers as a target, and where it leads.
#[derive(Default)]
struct Links {
    ids: BTreeSet<String>,
    targets: BTreeSet<String>,
    /// Whether its links begin at the top of the book, wherever it is.
    from_top: bool,
}

/// The attributes that lead somewhere.
const LEADING: [&[u8]; 5] = [b"href", b"src", b"data", b"poster", b"action"];

fn links(html: &str) -> Links {
    let mut links = Links::default();
    let (mut element, mut attribute) = (vec![], vec![]);
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        match event {
            CallbackEvent::OpenStartTag { name } => element = name.to_vec(),
            CallbackEvent::AttributeName { name } => attribute = name.to_vec(),
            CallbackEvent::AttributeValue { value } => match attribute.as_slice() {
                b"href" if element == b"base" => links.from_top = true,
                b"id" => {
                    links.ids.insert(String::from_utf8_lossy(value).into_owned());
                }
                name if LEADING.contains(&name) => {
                    links.targets.insert(String::from_utf8_lossy(value).into_owned());
                }
                _ => {}
            },
            _ => {}
        }
        None
    });
    // What looks like a tag inside a script is none.
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, emitter).for_each(drop);
    links
}

/// The links that lead nowhere, as `file: target: reason`, sorted.
///
/// # Errors
/// A file that cannot be read.
pub(super) fn broken(top: &Path) -> Result<Vec<String>, Trouble> {
    let mut files = BTreeMap::new();
    read(top, Path::new(""), &mut files)?;
    let mut broken = vec![];
    for (file, document) in &files {
        for target in document.iter().flat_map(|links| &links.targets) {
            let from_top = document.as_ref().is_some_and(|links| links.from_top);
            if let Err(reason) = resolve(&files, file, from_top, target) {
                broken.push(format!("{}: {target}: {reason}", file.display()));
            }
        }
    }
    Ok(broken)
}

/// All files below `directory`; of documents with what was found in them.
fn read(top: &Path, directory: &Path, files: &mut BTreeMap<PathBuf, Option<Links>>) -> Result<(), Trouble> {
    let place = top.join(directory);
    for entry in fs::read_dir(&place).map_err(|error| Trouble::io(&place, &error))? {
        let entry = entry.map_err(|error| Trouble::io(&place, &error))?;
        let (path, name) = (entry.path(), directory.join(entry.file_name()));
        if path.is_dir() {
            read(top, &name, files)?;
        } else if name.extension().is_some_and(|it| it == "html") {
            let text = fs::read(&path).map_err(|error| Trouble::io(&path, &error))?;
            files.insert(name, Some(links(&String::from_utf8_lossy(&text))));
        } else {
            files.insert(name, None);
        }
    }
    Ok(())
}

fn resolve(
    files: &BTreeMap<PathBuf, Option<Links>>,
    from: &Path,
    from_top: bool,
    target: &str,
) -> Result<(), &'static str> {
    let (target, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = target.split('?').next().unwrap_or_default();
    match path.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("javascript") => return Err("a link is no program"),
        Some((scheme, _)) if !scheme.contains('/') => return Ok(()),
        _ if path.starts_with("//") => return Ok(()),
        _ => {}
    }
    let file = match path {
        "" => from.to_owned(),
        path => {
            let directory = if from_top { Path::new("") } else { from.parent().unwrap_or(Path::new("")) };
            let path = percent_decode_str(path).decode_utf8_lossy();
            let file = below(&directory.join(path.trim_start_matches('/'))).ok_or("it leads out of the book")?;
            if path.ends_with('/') { file.join("index.html") } else { file }
        }
    };
    match files.get(&file) {
        None => Err("there is no such file"),
        Some(Some(links)) if !fragment.is_empty() && !has(links, fragment) => Err("there is no such id"),
        Some(_) => Ok(()),
    }
}

fn has(links: &Links, fragment: &str) -> bool {
    links.ids.contains(fragment) || links.ids.contains(&*percent_decode_str(fragment).decode_utf8_lossy())
}

/// The path without `.` and `..`, if it stays below where it begins.
fn below(path: &Path) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            Component::ParentDir if clean.pop() => {}
            _ => return None,
        }
    }
    Some(clean)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHER: &str = "<p id='a.b'>x</p><p id=\"ü\">y</p>";

    fn broken_in(html: &str) -> Vec<String> {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("other.html"), OTHER).unwrap();
        fs::write(directory.path().join("sub/page.html"), html).unwrap();
        fs::write(directory.path().join("picture.svg"), "").unwrap();
        broken(directory.path()).unwrap()
    }

    #[test]
    fn what_leads_somewhere() {
        let fine = "<a href='../other.html'></a><a href='../other.html?9f2c41d8#a.b'></a><img src=../picture.svg>\
            <a href='https://example.org/#x'></a><a href='//example.org'></a><a href='mailto:a@b.c'></a>\
            <a href='#'></a><a href='../other.html#%C3%BC'></a><i id=here></i><a href=#here></a>\
            <script>'<a href=nowhere.html>'</script>";
        assert_eq!(broken_in(fine), [""; 0]);
    }

    #[test]
    fn what_leads_nowhere() {
        let cases = [
            ("other.html", "there is no such file"),
            ("../other.html#b", "there is no such id"),
            ("#gone", "there is no such id"),
            ("../../etc/passwd", "it leads out of the book"),
            ("javascript:alert(1)", "a link is no program"),
            ("../sub/", "there is no such file"),
        ];
        for (target, reason) in cases {
            let found = broken_in(&format!("<a href=\"{target}\">x</a>"));
            assert_eq!(found, [format!("sub/page.html: {target}: {reason}")]);
        }
    }

    #[test]
    fn a_base_moves_the_start() {
        assert_eq!(broken_in("<base href='/'><a href='other.html#a.b'></a>"), [""; 0]);
    }
}
