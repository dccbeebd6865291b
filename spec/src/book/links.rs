//! Checks that every link in a directory of HTML leads to a file and an anchor. Links to other hosts are not checked.

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Emitter, ForwardingEmitter, Span, Tokenizer};
use percent_encoding::percent_decode_str;
use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The anchors and the links of a document.
#[derive(Default)]
struct Links {
    ids: HashSet<String>,
    targets: HashSet<String>,
    /// Whether relative links of this document start at the top of the book, not at the document.
    from_top: bool,
}

/// All files, by path below the top. Documents have their links.
type Files = HashMap<String, Option<Links>>;

/// The file with all chapters in one. mdBook derives its links from those of the chapters, so checking it would find
/// nothing new.
const PRINT: &str = "print.html";

/// The attributes that hold a link.
const LEADING: [&[u8]; 5] = [b"href", b"src", b"data", b"poster", b"action"];

/// The meaning of the next attribute value.
enum Attribute {
    Id,
    Leading,
    Other,
}

/// An HTML reader that ignores syntax errors: looking for them would take a third of the time.
struct Lenient<E>(E);

impl<E: Emitter<Token = Infallible>> ForwardingEmitter for Lenient<E> {
    type Token = Infallible;

    fn inner(&mut self) -> &mut impl Emitter<Token = Infallible> {
        &mut self.0
    }

    fn should_emit_errors(&mut self) -> bool {
        false
    }
}

fn links(html: &str) -> Links {
    let mut links = Links::default();
    let (mut in_base, mut attribute) = (false, Attribute::Other);
    let mut emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| -> Option<Infallible> {
        match event {
            CallbackEvent::OpenStartTag { name } => in_base = name == b"base",
            CallbackEvent::AttributeName { name: b"href" } if in_base => links.from_top = true,
            CallbackEvent::AttributeName { name: b"id" } => attribute = Attribute::Id,
            CallbackEvent::AttributeName { name } if !in_base && LEADING.contains(&name) => {
                attribute = Attribute::Leading
            }
            CallbackEvent::AttributeName { .. } => attribute = Attribute::Other,
            CallbackEvent::AttributeValue { value } => {
                let set = match attribute {
                    Attribute::Id => &mut links.ids,
                    Attribute::Leading => &mut links.targets,
                    Attribute::Other => return None,
                };
                let value = String::from_utf8_lossy(value);
                if !set.contains(&*value) {
                    set.insert(value.into_owned());
                }
                attribute = Attribute::Other;
            }
            _ => {}
        }
        None
    });
    // Text in a script that looks like a tag is not a tag.
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(html, Lenient(emitter)).for_each(drop);
    links
}

/// The broken links in the files `*.html` below `top`, as `file: target: reason`, sorted.
///
/// # Errors
/// The file or directory that cannot be read, and the reason.
pub(super) fn broken(top: &Path) -> Result<Vec<String>, (PathBuf, io::Error)> {
    let mut files = Files::new();
    read(top, "", &mut files)?;
    let mut broken = vec![];
    for (file, document) in &files {
        let Some(document) = document else { continue };
        for target in &document.targets {
            if let Err(reason) = resolve(&files, file, document.from_top, target) {
                broken.push(format!("{file}: {target}: {reason}"));
            }
        }
    }
    broken.sort();
    Ok(broken)
}

/// Adds all files below `directory`, which is empty or ends in `/`. Documents are added with their links.
fn read(top: &Path, directory: &str, files: &mut Files) -> Result<(), (PathBuf, io::Error)> {
    let place = top.join(directory);
    for entry in fs::read_dir(&place).map_err(|error| (place.clone(), error))? {
        let entry = entry.map_err(|error| (place.clone(), error))?;
        let path = entry.path();
        let name = format!("{directory}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            read(top, &(name + "/"), files)?;
        } else if name.ends_with(".html") && name != PRINT {
            let text = fs::read(&path).map_err(|error| (path, error))?;
            files.insert(name, Some(links(&String::from_utf8_lossy(&text))));
        } else {
            files.insert(name, None);
        }
    }
    Ok(())
}

fn resolve(files: &Files, from: &str, from_top: bool, target: &str) -> Result<(), &'static str> {
    let (target, fragment) = target.split_once('#').unwrap_or((target, ""));
    let path = target.split('?').next().unwrap_or_default();
    match path.split_once(':') {
        Some((scheme, _)) if scheme.eq_ignore_ascii_case("javascript") => return Err("a link is no program"),
        Some((scheme, _)) if !scheme.contains('/') => return Ok(()),
        _ if path.starts_with("//") => return Ok(()),
        _ => {}
    }
    let found = if path.is_empty() {
        files.get(from)
    } else {
        let directory =
            if from_top || path.starts_with('/') { "" } else { from.rsplit_once('/').map_or("", |it| it.0) };
        let path = percent_decode_str(path).decode_utf8_lossy();
        files.get(&below(directory, &path).ok_or("it leads out of the book")?)
    };
    match found {
        None => Err("there is no such file"),
        Some(Some(links)) if !fragment.is_empty() && !has(links, fragment) => Err("there is no such id"),
        Some(_) => Ok(()),
    }
}

fn has(links: &Links, fragment: &str) -> bool {
    links.ids.contains(fragment) || links.ids.contains(&*percent_decode_str(fragment).decode_utf8_lossy())
}

/// The path relative to the directory, without `.` and `..`; `None` if it leads out of the top.
fn below(directory: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    if path.ends_with('/') {
        parts.push("index.html");
    }
    Some(parts.join("/"))
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
    fn sound_links_are_passed() {
        let fine = "<a href='../other.html'></a><a href='../other.html?9f2c41d8#a.b'></a><img src=../picture.svg>\
            <a href='https://example.org/#x'></a><a href='//example.org'></a><a href='mailto:a@b.c'></a>\
            <a href='#'></a><a href='/other.html'></a><a href='../other.html#%C3%BC'></a><i id=here></i><a href=#here></a>\
            <script>'<a href=nowhere.html>'</script>";
        assert_eq!(broken_in(fine), [""; 0]);
    }

    #[test]
    fn broken_links_have_their_reason() {
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
