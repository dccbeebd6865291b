//! The words of a page in Markdown, and the words that are missing in its output.
#![allow(dead_code, reason = "each user has its own part of this")]

use pulldown_cmark::{Event, LinkType, Options, Parser, Tag, TagEnd};
use std::collections::HashMap;

/// Tags that are markup, not text.
const TAGS: &str = " a abbr acronym article aside b bdi bdo big blockquote br caption center cite code col colgroup dd \
    del details dfn div dl dt em figcaption figure font h1 h2 h3 h4 h5 h6 hr i img ins kbd li mark nobr ol p pre q s samp section small span strike strong sub summary \
    sup table tbody td tfoot th thead tr tt u ul var wbr ";

/// The words that `shown` has less often than required, one entry for each missing occurrence.
pub(crate) fn lost_words(words: &HashMap<String, usize>, shown: &str) -> Vec<String> {
    let there = count(shown);
    let missing = |(word, wanted): (&String, &usize)| {
        let missing = wanted.saturating_sub(there.get(word).copied().unwrap_or(0));
        std::iter::repeat_n(word.clone(), missing)
    };
    words.iter().flat_map(missing).collect()
}

/// The addresses that are not in `shown`.
pub(crate) fn lost_links(links: &[String], shown: &str) -> Vec<String> {
    let shown: String = shown.chars().map(shape).filter(|c| !c.is_whitespace()).collect();
    links.iter().filter(|link| !shown.contains(*link)).cloned().collect()
}

/// The number of occurrences of each word in the source, and the addresses of its links.
pub(crate) fn wanted(source: &str) -> (HashMap<String, usize>, Vec<String>) {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_DEFINITION_LIST
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_SUBSCRIPT
        | Options::ENABLE_GFM
        | Options::ENABLE_TASKLISTS;
    let (mut text, mut links) = (String::new(), vec![]);
    let mut html = String::new();
    let source = without_signs(without_front_matter(source));
    // The start of the first line of an item, until that line ends.
    let mut item = None;
    for event in Parser::new_ext(&source, options) {
        match &event {
            Event::Start(Tag::Item) => item = Some(text.len()),
            Event::SoftBreak | Event::End(TagEnd::Paragraph | TagEnd::Item)
                if item.take().is_some() && text.ends_with(':') =>
            {
                text.pop();
            }
            _ => {}
        }
        match event {
            Event::Text(part) => text += &part,
            Event::Start(Tag::Subscript) | Event::End(TagEnd::Subscript) => text.push('~'),
            Event::Code(part) => text += &part,
            Event::Html(part) => html += &part,
            Event::InlineHtml(part) => text += &without_tags(&part),
            Event::FootnoteReference(label) => text += &format!(" {label} "),
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
            // The address of a link is between its text and the text after it.
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

/// The page without its head: lines of `%`, YAML, or a heading `# name 1 "date" "source"`. Pages show these at their
/// head and foot, with the date in another form.
fn without_front_matter(source: &str) -> &str {
    for fence in ["%%%\n", "+++\n"] {
        if let Some(rest) = source.strip_prefix(fence) {
            return rest.split_once(&format!("\n{fence}")).map_or(source, |(_, rest)| rest);
        }
    }
    if let Some((heading, rest)) = source.split_once('\n')
        && (heading.starts_with("# ") || rest.starts_with("=="))
        && heading.matches('"').count() >= 2
    {
        return rest.trim_start_matches('=');
    }
    if source.starts_with('%') {
        let lines = source.split_inclusive('\n').take(3).take_while(|line| line.starts_with('%'));
        return &source[lines.map(str::len).sum()..];
    }
    let Some(rest) = source.strip_prefix("---\n") else { return source };
    let end = ["\n---\n", "\n...\n"].iter().filter_map(|end| rest.find(end)).min();
    match end {
        Some(end) if rest[..end].lines().next().is_some_and(|line| line.contains(':')) => {
            &rest[end + "\n---\n".len()..]
        }
        _ => source,
    }
}

/// The Markdown without invisible signs of other dialects, and with a backslash before each bar that would make a
/// surplus cell in a table.
fn without_signs(source: &str) -> String {
    let mut text = String::with_capacity(source.len());
    let mut columns: Option<usize> = None;
    let lines: Vec<&str> = source.lines().collect();
    let is_bar = |at: Option<&&str>| {
        at.is_some_and(|line| (line.starts_with("| ") || *line == "|") && !line.trim_end()[1..].ends_with('|'))
    };
    for (number, line) in lines.iter().enumerate() {
        let is_line_block = is_bar(Some(line))
            && (is_bar(lines.get(number + 1)) || number > 0 && is_bar(lines.get(number - 1)))
            && columns.is_none();
        let line = line.trim_end();
        let is_rule = line.contains('|') && line.contains("--") && line.chars().all(|c| "|-: ".contains(c));
        columns = match (columns, is_rule) {
            (_, true) => Some(line.trim_matches('|').matches('|').count() + 1),
            (columns, false) => columns.filter(|_| line.contains('|')),
        };
        let heading = line.rsplit_once(" {#").or(line.rsplit_once(" {.")).filter(|(_, rest)| rest.ends_with('}'));
        match heading {
            _ if line.starts_with(":::") => {
                text.push('\n');
                let label = line.trim_matches([':', ' ']);
                let (class, title) = label.split_once('}').unwrap_or((label, ""));
                text += match class.strip_prefix(['{']) {
                    Some(class) => class.trim_start_matches('.').split(' ').next().unwrap_or_default(),
                    None => class,
                };
                text += title;
                text.push('\n');
            }
            _ if is_line_block => text += &line[1..],
            Some((heading, _)) => text += heading,
            None => text += line,
        }
        // Surplus bars are text.
        if let Some(columns) = columns.filter(|_| !is_rule) {
            let end = line.trim_end_matches('|').len();
            let bars = line.match_indices('|').map(|(at, _)| at).filter(|at| (1..end).contains(at));
            let mut bars: Vec<usize> = bars.filter(|at| !line[..*at].ends_with('\\')).collect();
            let excess = (bars.len() + 1).saturating_sub(columns);
            // Bars in code are text first, and then the last bars of the row.
            bars.sort_by_key(|at| (line[..*at].matches('`').count() % 2 == 0, line.len() - at));
            bars.truncate(excess);
            bars.sort_unstable();
            let start = text.len() - line.len();
            for at in bars.iter().rev() {
                text.insert(start + at, '\\');
            }
        }
        text.push('\n');
    }
    text
}

/// HTML without markup tags and comments, with entities replaced by their characters.
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
                // Superscript and subscript text belongs to its word.
                if !matches!(&*name, "sub" | "sup") {
                    text.push(' ');
                }
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

/// The text that a browser would show for mandoc's HTML.
pub(crate) fn of_html(html: &str) -> String {
    let mut text = String::new();
    for piece in html.split('<') {
        let (tag, shown) = piece.split_once('>').unwrap_or(("", piece));
        let name = tag.trim_start_matches('/').split_whitespace().next().unwrap_or_default();
        if !matches!(name, "a" | "b" | "i" | "span") {
            text.push('\n');
        }
        text += shown;
    }
    let mut decoded = String::new();
    for (number, part) in text.split("&#x").enumerate() {
        match part.split_once(';').filter(|_| number > 0) {
            Some((hex, rest)) => {
                decoded.extend(u32::from_str_radix(hex, 16).ok().and_then(char::from_u32));
                decoded += rest;
            }
            None => decoded += part,
        }
    }
    for (entity, character) in [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&amp;", "&")] {
        decoded = decoded.replace(entity, character);
    }
    decoded
}

/// Words and the number of their occurrences.
fn count(text: &str) -> HashMap<String, usize> {
    let mut words = HashMap::new();
    let mut add = |word: String| *words.entry(word).or_default() += 1;
    for token in text.split_whitespace() {
        let token: String = token.chars().map(shape).filter(|c| !is_hidden(*c)).collect();
        // A dash on its own is counted as one dash, however it is written.
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

/// One character for all characters with the same meaning.
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

/// Whether the character is invisible, or stands for an invisible one.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{2060}'..='\u{206f}' | '\u{e0000}'..='\u{e0fff}')
        || matches!(c, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}' | '\u{fffd}')
}

/// Removes overstrikes: `x BACKSPACE x` is a bold x.
pub(crate) fn without_overstrike(text: &str) -> String {
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
