//! Text as part of HTML or Markdown.

use std::fmt::Write;

/// Escapes text for HTML, also for an attribute value in quotation marks. The result is one line, because an empty line
/// would end HTML in Markdown.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c if c.is_control() => {
                // Writing to a string cannot fail.
                let _ = write!(escaped, "&#{};", c as u32);
            }
            c => escaped.push(c),
        }
    }
    escaped
}

/// Escapes names and ids for running Markdown, where an underscore would be markup.
pub(super) fn in_markdown(name: &str) -> String {
    name.replace('_', "\\_")
}

/// Ids of this length or more may be broken after a dot. Shorter ids stay whole, which suits the reader and the word
/// index of the book's search.
const LONG_ID: usize = 20;

/// The id in HTML, with the places where a line may be broken.
pub(super) fn breakable(id: &str) -> String {
    if id.len() < LONG_ID { escape(id) } else { escape(id).replace('.', ".<wbr>") }
}

/// A table that scrolls inside its own box, with the keyboard too.
pub(super) fn scrolling(label: &str, table: &str) -> String {
    format!(
        "<div class=\"table-wrapper made\" role=\"region\" tabindex=\"0\" aria-label=\"{}\">{table}</div>",
        escape(label)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stays_in_its_element() {
        assert_eq!(
            escape("a\n\n<b class=\"x\" id='y'>&"),
            "a&#10;&#10;&lt;b class=&quot;x&quot; id=&#39;y&#39;&gt;&amp;"
        );
        assert_eq!(breakable("seal.keeps"), "seal.keeps");
        assert_eq!(breakable("share.exchange_other"), "share.<wbr>exchange_other");
    }
}
