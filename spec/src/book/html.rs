//! What goes into HTML, or into Markdown, as text.

use std::fmt::Write;

/// As text, or as the value of an attribute in quotation marks, on one line: an empty line would end the HTML that
/// stands in Markdown.
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

/// Names and ids in running Markdown: an underscore would be markup.
pub(super) fn in_markdown(name: &str) -> String {
    name.replace('_', "\\_")
}

/// From this length on, an id may be broken after a dot. Shorter ones stay whole, for the index of words that search
/// uses as well as for the eye.
const LONG_ID: usize = 20;

/// An id with the places where it may be broken.
pub(super) fn breakable(id: &str) -> String {
    if id.len() < LONG_ID { escape(id) } else { escape(id).replace('.', ".<wbr>") }
}

/// A table that scrolls inside itself, with the keyboard too.
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
    fn nothing_leaves_its_place() {
        assert_eq!(
            escape("a\n\n<b class=\"x\" id='y'>&"),
            "a&#10;&#10;&lt;b class=&quot;x&quot; id=&#39;y&#39;&gt;&amp;"
        );
        assert_eq!(breakable("seal.keeps"), "seal.keeps");
        assert_eq!(breakable("share.exchange_other"), "share.<wbr>exchange_other");
    }
}
