//! Measures what becomes of manual pages that other people wrote.
//!
//! ```sh
//! cargo run --release -p iomap-spec --example corpus -- DIRECTORY...
//! cargo run --release -p iomap-spec --example corpus -- --commonmark spec.txt
//! ```
//!
//! Compiles every `*.md` below the directories, or each example of the CommonMark specification as a page of its own,
//! and counts for each:
//!
//! - what `mandoc -Tlint -Wwarning` and `groff -man -t -ww -z`, for a typesetter and for a terminal, say about the page;
//! - the words and the addresses of the web that are in the Markdown and not on the page as mandoc and groff show it on a
//!   terminal so wide that no word is broken.
//!
//! The words are taken from pulldown-cmark's events by a plain loop here, not from the model that the pages are made of.
//! A word is a run of letters and digits; any other visible character is a word of its own. There has to be at least one
//! of it on the page for each in the source. Signs that formatters print in another shape (hyphens, quotation marks) count
//! as one. A relative link is not counted, nor are tags of HTML that are markup.
//!
//! Prints a line for each page that fails and a table of totals. Exits with 1 if anything is lost or said.

use iomap_spec::{Backend, man::Man};
use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{env, fs, thread};

/// Tags that are markup, not text.
const TAGS: &str = " a abbr b big blockquote br caption center cite code dd del details dfn div dl dt em figcaption figure \
    font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark nobr ol p pre q s samp section small span strike strong sub summary \
    sup table tbody td tfoot th thead tr tt u ul wbr ";

#[derive(Default)]
struct Totals {
    pages: usize,
    bytes: usize,
    mandoc: usize,
    groff: usize,
    words: usize,
    lost_words: usize,
    links: usize,
    lost_links: usize,
    /// Lines of roff above 80 bytes.
    long_lines: usize,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let work = tempfile::tempdir().expect("temporary directories can be made");
    let mut files = vec![];
    match &arguments[..] {
        [mode, file] if mode == "--commonmark" => {
            let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
            for (number, example) in examples(&text).into_iter().enumerate() {
                let path = work.path().join(format!("example-{}.7.md", number + 1));
                fs::write(&path, example).expect("temporary files can be written");
                files.push(path);
            }
        }
        [_, ..] => arguments.iter().for_each(|directory| markdown(Path::new(directory), &mut files)),
        [] => {
            eprintln!("usage: corpus DIRECTORY... | --commonmark FILE");
            return ExitCode::from(2);
        }
    }
    let (next, totals) = (AtomicUsize::new(0), Mutex::new(Totals::default()));
    thread::scope(|scope| {
        for worker in 0..thread::available_parallelism().map_or(1, usize::from) {
            let roff = work.path().join(format!("page-{worker}"));
            let (files, next, totals) = (&files, &next, &totals);
            scope.spawn(move || {
                while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
                    measure(file, &roff, totals);
                }
            });
        }
    });
    let totals = totals.into_inner().expect("no worker panicked");
    println!("pages             {:9}", totals.pages);
    println!("bytes             {:9}", totals.bytes);
    println!("mandoc messages   {:9}", totals.mandoc);
    println!("groff messages    {:9}", totals.groff);
    println!("words             {:9}", totals.words);
    println!("words lost        {:9}", totals.lost_words);
    println!("links             {:9}", totals.links);
    println!("links lost        {:9}", totals.lost_links);
    println!("lines > 80 bytes  {:9}", totals.long_lines);
    let bad = totals.mandoc + totals.groff + totals.lost_words + totals.lost_links;
    ExitCode::from(u8::from(bad > 0 || totals.pages == 0))
}

/// All `*.md` of a directory and those below it, sorted.
fn markdown(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        return files.push(path.to_owned());
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut entries: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    entries.sort();
    for entry in entries {
        if entry.is_dir() {
            markdown(&entry, files);
        } else if entry.extension().is_some_and(|extension| extension == "md") {
            files.push(entry);
        }
    }
}

/// The Markdown of each example: from a fence with `example` to the line `.`.
fn examples(text: &str) -> Vec<String> {
    let fence = format!("{} example", "`".repeat(32));
    let mut examples = vec![];
    let mut current: Option<String> = None;
    for line in text.lines() {
        match current.as_mut() {
            None if line == fence => current = Some(String::new()),
            Some(example) if line != "." => *example += &(line.replace('→', "\t") + "\n"),
            Some(_) => examples.extend(current.take()),
            None => {}
        }
    }
    examples
}

fn measure(file: &Path, work: &Path, totals: &Mutex<Totals>) {
    let source = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let pages = iomap_spec::compile(&[file.to_owned()], "1970-01-01")
        .unwrap_or_else(|findings| panic!("{}", findings[0]))
        .pages;
    let roff = Man.page(&pages[0]);
    fs::write(work, &roff).expect("temporary files can be written");
    let mandoc = output("mandoc", &["-Tlint", "-Wwarning"], work);
    let groff = output("groff", &["-man", "-t", "-ww", "-z"], work)
        + &output("groff", &["-man", "-t", "-ww", "-z", "-Tutf8"], work);
    let (words, links) = wanted(&source);
    let mut lost = vec![];
    let mut lost_links = vec![];
    let shown = [
        output("mandoc", &["-Tutf8", "-Owidth=1000"], work),
        output("groff", &["-man", "-t", "-Tutf8", "-P-cbou", "-rHY=0", "-rLL=9000n", "-rLT=9000n"], work),
    ];
    for shown in shown {
        let shown = without_overstrike(&shown);
        let there = count(&shown);
        for (word, wanted) in &words {
            let missing = wanted.saturating_sub(there.get(word).copied().unwrap_or(0));
            lost.extend(std::iter::repeat_n(word.clone(), missing));
        }
        let shown: String = shown.chars().map(shape).filter(|c| !c.is_whitespace()).collect();
        lost_links.extend(links.iter().filter(|link| !shown.contains(*link)).cloned());
    }
    let complaints = mandoc.lines().count() + groff.lines().count();
    if complaints + lost.len() + lost_links.len() > 0 {
        lost.truncate(12);
        let said: Vec<&str> = mandoc.lines().chain(groff.lines()).take(4).collect();
        println!("{}: said {complaints} {said:?}, words lost {lost:?}, links lost {lost_links:?}", file.display());
    }
    let mut totals = totals.lock().expect("no worker panicked");
    totals.pages += 1;
    totals.bytes += source.len();
    totals.mandoc += mandoc.lines().count();
    totals.groff += groff.lines().count();
    totals.words += words.values().sum::<usize>();
    totals.lost_words += lost.len();
    totals.links += links.len();
    totals.lost_links += lost_links.len();
    totals.long_lines += roff.lines().filter(|line| line.len() > 80).count();
}

/// What the command prints on both streams.
fn output(program: &str, arguments: &[&str], file: &Path) -> String {
    let output = Command::new(program).args(arguments).arg(file).env("LC_ALL", "C.UTF-8").output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

/// How often each word is in the source, and the addresses of its links.
fn wanted(source: &str) -> (HashMap<String, usize>, Vec<String>) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS;
    let (mut text, mut links) = (String::new(), vec![]);
    let mut html = String::new();
    for event in Parser::new_ext(without_front_matter(source), options) {
        match event {
            Event::Text(part) => text += &part,
            Event::Code(part) => text += &part,
            Event::Html(part) => html += &part,
            Event::InlineHtml(part) => text += &without_tags(&part),
            Event::FootnoteReference(label) => text += &label,
            Event::SoftBreak | Event::HardBreak | Event::Rule => text.push(' '),
            Event::Start(Tag::Link { link_type: LinkType::Autolink | LinkType::Email, dest_url, .. }) => {
                text.push('<');
                if dest_url.starts_with("http") {
                    links.push(dest_url.chars().map(shape).collect());
                }
            }
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) if dest_url.starts_with("http") => {
                links.push(dest_url.split_whitespace().collect::<Vec<_>>().join("%20").chars().map(shape).collect());
            }
            Event::Start(Tag::Emphasis | Tag::Strong | Tag::Strikethrough | Tag::Link { .. } | Tag::Image { .. }) => {}
            // Where it leads stands between it and what follows.
            Event::End(TagEnd::Link | TagEnd::Image) => text.push(' '),
            Event::End(TagEnd::Emphasis | TagEnd::Strong | TagEnd::Strikethrough) => {}
            Event::Start(_) | Event::End(_) => {
                text += &without_tags(&std::mem::take(&mut html));
                text.push('\n');
            }
            _ => {}
        }
    }
    (count(&text), links)
}

/// The page without lines of `%`, of YAML, or a heading `# name 1 "date" "source"` at its top: they are set at the head
/// and the foot of the page, the date in another form.
fn without_front_matter(source: &str) -> &str {
    if let Some((heading, rest)) = source.split_once('\n')
        && heading.starts_with("# ")
        && heading.matches('"').count() >= 2
    {
        return rest;
    }
    if source.starts_with('%') {
        let lines = source.split_inclusive('\n').take(3).take_while(|line| line.starts_with('%'));
        return &source[lines.map(str::len).sum()..];
    }
    let Some(rest) = source.strip_prefix("---\n") else { return source };
    match rest.find("\n---\n") {
        Some(end) if rest[..end].lines().next().is_some_and(|line| line.contains(':')) => {
            &rest[end + "\n---\n".len()..]
        }
        _ => source,
    }
}

/// HTML without the tags that are markup and without comments; entities as what they stand for.
fn without_tags(html: &str) -> String {
    let mut text = String::new();
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        text += &rest[..start];
        rest = &rest[start..];
        let name: String = rest[1..].trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
        let end =
            if rest.starts_with("<!--") { rest.find("-->").map(|at| at + 3) } else { rest.find('>').map(|at| at + 1) };
        let is_markup = rest.starts_with("<!--") || TAGS.contains(&format!(" {} ", name.to_lowercase()));
        match end.filter(|_| is_markup) {
            Some(end) => {
                text.push(' ');
                rest = &rest[end..];
            }
            None => {
                text.push('<');
                rest = &rest[1..];
            }
        }
    }
    text += rest;
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&nbsp;", " "), ("&amp;", "&")] {
        text = text.replace(entity, character);
    }
    text
}

/// Words and how often each is there.
fn count(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    let mut add = |word: String| *words.entry(word).or_default() += 1;
    for token in text.split_whitespace() {
        let token: String = token.chars().map(shape).filter(|c| !is_hidden(*c)).collect();
        // A dash on its own is one however it is written.
        if !token.is_empty() && token.chars().all(|c| c == '-') {
            add("-".to_owned());
            continue;
        }
        let mut word = String::new();
        for c in token.chars() {
            if c.is_alphanumeric() {
                word.push(c);
                continue;
            }
            if !word.is_empty() {
                add(std::mem::take(&mut word));
            }
            add(c.to_string());
        }
        if !word.is_empty() {
            add(word);
        }
    }
    words
}

/// One character for all that stand for the same.
fn shape(c: char) -> char {
    match c {
        '‐' | '−' | '–' | '—' => '-',
        '‘' | '’' | '´' => '\'',
        'ˆ' => '^',
        '˜' | '∼' => '~',
        '⟨' => '<',
        '⟩' => '>',
        '\u{a0}' => ' ',
        c => c,
    }
}

/// What a reader does not see or what stands for it.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}' | '\u{fffd}')
}

/// `x BACKSPACE x` is a bold x.
fn without_overstrike(text: &str) -> String {
    let mut plain = String::new();
    for c in text.chars() {
        if c == '\u{8}' {
            plain.pop();
        } else {
            plain.push(c);
        }
    }
    plain
}
