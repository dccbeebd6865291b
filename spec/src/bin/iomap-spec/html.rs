//! Converts a mail in HTML to the text that its reader sees.

use html5gum::{Token, Tokenizer};

/// Elements whose content is not shown.
const HIDDEN: [&[u8]; 5] = [b"head", b"script", b"style", b"template", b"title"];
/// Elements that begin and end a line.
const LINES: [&[u8]; 17] = [
    b"address", b"article", b"center", b"dd", b"div", b"dl", b"dt", b"footer", b"header", b"hr", b"li", b"ol",
    b"section", b"table", b"tbody", b"tr", b"ul",
];
/// Elements that have an empty line before and after them.
const PARAGRAPHS: [&[u8]; 9] = [b"blockquote", b"h1", b"h2", b"h3", b"h4", b"h5", b"h6", b"p", b"pre"];

/// The mark at the beginning of each line of a quotation.
const QUOTE: &str = "> ";

/// The text, with `> ` before each quoted line.
pub(crate) fn text(html: &str) -> String {
    let mut page = Page::default();
    let (mut hidden, mut preformatted) = (0_usize, 0_usize);
    for token in Tokenizer::new(html) {
        let Ok(token) = token;
        match token {
            Token::String(text) if hidden == 0 => {
                page.text(&String::from_utf8_lossy(&text), preformatted > 0);
            }
            Token::StartTag(tag) => {
                let name: &[u8] = &tag.name;
                match name {
                    name if HIDDEN.contains(&name) && !tag.self_closing => hidden += 1,
                    // Only `head` may lack its end tag: it ends at the start of the body.
                    b"body" => hidden = 0,
                    b"br" => page.line(),
                    b"td" | b"th" => page.text(" ", false),
                    _ => page.boundary(name),
                }
                preformatted += usize::from(name == b"pre");
                page.depth += usize::from(name == b"blockquote");
            }
            Token::EndTag(tag) => {
                let name: &[u8] = &tag.name;
                hidden = hidden.saturating_sub(usize::from(HIDDEN.contains(&name)));
                page.boundary(name);
                preformatted = preformatted.saturating_sub(usize::from(name == b"pre"));
                page.depth = page.depth.saturating_sub(usize::from(name == b"blockquote"));
            }
            _ => {}
        }
    }
    page.end();
    page.out
}

/// The finished lines, and the line under construction.
#[derive(Default)]
struct Page {
    out: String,
    line: String,
    /// The number of quotations that contain this place.
    depth: usize,
    /// White space that counts only if words follow on the line.
    gap: bool,
}

impl Page {
    fn text(&mut self, text: &str, preformatted: bool) {
        for c in text.chars() {
            match c {
                '\n' if preformatted => self.line(),
                '\r' => {}
                ' ' | '\t' | '\n' | '\u{c}' if !preformatted => self.gap = !self.line.is_empty(),
                c => {
                    if std::mem::take(&mut self.gap) {
                        self.line.push(' ');
                    }
                    self.line.push(if c == '\u{a0}' { ' ' } else { c });
                }
            }
        }
    }

    /// Ends the line, even if it is empty.
    fn line(&mut self) {
        self.gap = false;
        let line = QUOTE.repeat(self.depth) + &std::mem::take(&mut self.line);
        self.out += line.trim_end_matches(if self.depth > 0 { " " } else { "" });
        self.out.push('\n');
    }

    /// Ends the line unless it is empty.
    fn end(&mut self) {
        if !self.line.is_empty() {
            self.line();
        }
    }

    fn boundary(&mut self, name: &[u8]) {
        if LINES.contains(&name) || PARAGRAPHS.contains(&name) {
            self.end();
        }
        if PARAGRAPHS.contains(&name) && !self.out.is_empty() && !self.out.ends_with("\n\n") {
            self.line();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn html_is_read_as_a_browser_shows_it() {
        let cases = [
            ("a  b\n<b>c</b>d &lt;e&gt;", "a b cd <e>\n"),
            ("<div>one</div><div><br></div><div>&nbsp; two</div>", "one\n\n  two\n"),
            ("<p>one</p><p>two<br>three</p>", "one\n\ntwo\nthree\n\n"),
            ("<head><title>t</title></head><style>s</style><script>x</script>body", "body\n"),
            ("<head><style>s</style><body>body", "body\n"),
            ("<head><meta charset=utf-8><body>body", "body\n"),
            ("<pre>@@ -1 +1 @@\n-\ta\n+  b\n</pre>", "@@ -1 +1 @@\n-\ta\n+  b\n\n"),
            (
                "me:<blockquote><div>one</div><blockquote>two</blockquote></blockquote>three",
                "me:\n\n> one\n>\n> > two\n> >\n>\nthree\n",
            ),
            ("<table><tr><td>a<td>b</tr><tr><td>c</table>", "a b\nc\n"),
        ];
        for (html, expected) in cases {
            assert_eq!(text(html), expected, "{html}");
        }
    }
}
