//! Compares the words beside a citation with those of its clause. Mail programs fill, flow and indent text in their own
//! ways, so only the words and the ends of paragraphs count.

use iomap_spec::Clause;
use std::ops::Range;

/// Signs for left-out words within a quotation.
const ELISIONS: [&str; 3] = ["[...]", "[…]", "…"];
/// Signs for left-out words that are separate words.
const SNIPS: [&str; 4] = ["...", "(...)", "[snip]", "<snip>"];

/// Characters with several spellings, and characters that only mark a word.
const SAME: [(char, &str); 12] = [
    ('“', "\""),
    ('”', "\""),
    ('‘', "'"),
    ('’', "'"),
    ('–', "-"),
    ('\u{2011}', "-"),
    ('\u{ad}', ""),
    ('\u{200b}', ""),
    ('*', ""),
    ('`', ""),
    ('_', ""),
    ('\\', ""),
];

/// The result of a comparison of the words beside a citation with its clause.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Quotation {
    /// The words are the clause's words.
    Right,
    /// The words are meant to be the clause's words, but differ.
    Wrong(Range<usize>),
    /// The words are another text.
    None,
}

/// A word, or a place where words are left out.
struct Token {
    /// `None` where words are left out.
    word: Option<String>,
    range: Range<usize>,
    /// Whether an empty line is before it.
    begins: bool,
}

/// The words of a part of a text.
fn tokens(text: &str, part: Range<usize>) -> Vec<Token> {
    let mut tokens: Vec<Token> = vec![];
    let mut end = part.start;
    for raw in text[part].split_whitespace() {
        // The word is a part of `text`, so the difference of the addresses is its offset.
        let start = raw.as_ptr() as usize - text.as_ptr() as usize;
        let mut begins = text[end..start].matches('\n').count() > 1;
        end = start + raw.len();
        let marked = ELISIONS.iter().fold(raw.to_owned(), |word, elision| word.replace(elision, "\0"));
        let marked = if SNIPS.contains(&raw) { "\0".to_owned() } else { marked };
        for (number, piece) in marked.split('\0').enumerate() {
            let mut push = |word| tokens.push(Token { word, range: start..end, begins: std::mem::take(&mut begins) });
            if number > 0 {
                push(None);
            }
            let word: String = piece.chars().filter(|c| !"[]".contains(*c)).map(same).collect();
            // The comma after a sign for left-out words belongs to the sign.
            let is_rest = marked.contains('\0') && word.chars().all(|c| c.is_ascii_punctuation());
            if !word.is_empty() && !is_rest {
                push(Some(word));
            }
        }
    }
    tokens
}

fn same(c: char) -> String {
    SAME.iter().find(|(other, _)| *other == c).map_or_else(|| c.to_string(), |(_, same)| (*same).to_owned())
}

fn words(clause: &Clause) -> Vec<String> {
    tokens(&clause.text, 0..clause.text.len()).into_iter().filter_map(|token| token.word).collect()
}

/// The number of tokens that repeat the clause, from its first word to its last, except words that are openly left out.
fn follow(tokens: &[Token], said: &[String]) -> Option<usize> {
    let (mut at, mut from, mut is_open) = (0, 0, false);
    loop {
        let rest = &tokens[at..];
        if said.len() == from || (is_open && rest.first().is_none_or(|token| token.begins)) {
            return Some(at);
        }
        let length = rest.iter().take_while(|token| token.word.is_some()).count();
        let part = || rest[..length].iter().filter_map(|token| token.word.as_deref());
        // The rest of the clause must match, or the part of it that is quoted in one piece.
        let found = |start: usize| part().zip(&said[start..]).all(|(word, said)| word == said);
        let fits = |start: usize| found(start) && (said.len() - start <= length || length < rest.len());
        let start =
            if is_open { (from..said.len()).find(|start| fits(*start)) } else { Some(from).filter(|it| fits(*it)) };
        let taken = length.min(said.len() - start?);
        (at, from) = (at + taken, start? + taken);
        if from < said.len() {
            (at, is_open) = (at + 1, true);
        }
    }
}

/// Whether a paragraph is more likely a quotation of the clause than a reply to it.
fn is_like(tokens: &[Token], said: &[String]) -> bool {
    /// Two sentences rarely begin with this number of equal words by chance.
    const START: usize = 3;
    let words: Vec<&str> = tokens.iter().filter_map(|token| token.word.as_deref()).collect();
    let start = words.iter().zip(said).take_while(|(word, said)| **word == said.as_str()).count();
    let common = words.iter().filter(|word| said.iter().any(|said| said == *word)).count();
    start >= START.min(said.len()) || common * 2 > words.len().max(said.len())
}

/// Judges the text after the citation, from `cited.end` to `limit`, the start of the next citation.
pub(crate) fn below(text: &str, cited: &Range<usize>, limit: usize, clause: &Clause) -> Quotation {
    let said = words(clause);
    let tokens = tokens(text, cited.end..limit);
    let Some(first) = tokens.first().filter(|first| !text[first.range.clone()].starts_with("<http")) else {
        return Quotation::None;
    };
    let line_start = |at: usize| text[..at].rfind('\n').map_or(0, |at| at + 1);
    let head = line_start(cited.start);
    let outer = cited.start - head;
    let is_indented = |at: usize| {
        let start = line_start(at);
        let line = &text[start..];
        line.len() - line.trim_start_matches([' ', '\t']).len() > outer
    };
    let is_set_in = line_start(first.range.start) > head
        && text[head..cited.start].trim().is_empty()
        && is_indented(first.range.start);
    if let Some(count) = follow(&tokens, &said) {
        // The words end here if the paragraph ends, or the indented lines end.
        let last = tokens[count - 1].range.end;
        let is_end = tokens.get(count).is_none_or(|next| {
            let is_next_line = text[last..next.range.start].contains('\n');
            let is_block = is_set_in && is_indented(last) && !is_indented(next.range.start);
            next.begins || text[next.range.clone()].starts_with("<http") || (is_next_line && is_block)
        });
        if is_end {
            return Quotation::Right;
        }
    }
    let end = tokens.iter().skip(1).position(|token| token.begins).map_or(tokens.len(), |at| at + 1);
    let paragraph = &tokens[..end];
    match is_set_in || is_like(paragraph, &said) {
        true => Quotation::Wrong(first.range.start..paragraph[end - 1].range.end),
        false => Quotation::None,
    }
}

/// Judges the text before a citation that follows a dash.
pub(crate) fn above(text: &str, cited: &Range<usize>, clause: &Clause) -> Quotation {
    const DASHES: [&str; 3] = ["—", "–", "--"];
    let said = words(clause);
    let before = text[..cited.start].trim_end_matches(['[', ' ', '\t', '\n', '*']);
    let Some(before) = DASHES.iter().find_map(|dash| before.strip_suffix(dash)) else { return Quotation::None };
    let is_alone = before.trim_end_matches([' ', '\t']).ends_with("\n\n");
    let quoted = before.trim_end();
    // The number of pieces of a paragraph, if some of its lines have lost their quote marks.
    const PIECES: usize = 4;
    let breaks = quoted.rmatch_indices("\n\n").map(|(at, _)| at + 2).chain([0]);
    let starts: Vec<usize> = breaks.take(PIECES).collect();
    let tokens = tokens(text, starts[0]..quoted.len());
    let Some(first) = tokens.first() else { return Quotation::None };
    let is_right = |tokens: &[Token]| follow(tokens, &said) == Some(tokens.len());
    let is_whole = |start: &usize| is_right(&self::tokens(text, *start..quoted.len()));
    let begins_line = |at: usize| text[tokens[at - 1].range.end..tokens[at].range.start].contains('\n');
    let ends_paragraph = || (1..tokens.len()).any(|at| begins_line(at) && is_right(&tokens[at..]));
    match () {
        () if starts.iter().any(is_whole) || (!is_alone && ends_paragraph()) => Quotation::Right,
        () if is_alone || is_like(&tokens, &said) => Quotation::Wrong(first.range.start..quoted.len()),
        () => Quotation::None,
    }
}
