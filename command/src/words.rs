//! Words and lines for people.

/// The width of a line for people, in columns.
pub const WIDTH: usize = 80;

/// A number and its things, in the singular or the plural: `1 case`, `2 cases`.
pub fn count(number: usize, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// Lines of at most [`WIDTH`] columns, all of them indented. A longer word stays whole.
pub fn wrap(text: &str, indent: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        if lines[last].len() + 1 + word.len() > WIDTH && lines[last].len() > indent {
            lines.push(" ".repeat(indent));
        }
        let last = lines.len() - 1;
        if lines[last].len() > indent {
            lines[last].push(' ');
        }
        lines[last].push_str(word);
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plurals() {
        assert_eq!([0, 1, 2].map(|number| count(number, "case")), ["0 cases", "1 case", "2 cases"]);
    }

    #[test]
    fn lines_are_set_in_and_short() {
        assert_eq!(wrap("one  two", 4), "    one two");
        let long = "x".repeat(100);
        assert_eq!(wrap(&format!("a {long} b"), 2), format!("  a\n  {long}\n  b"));
        assert!(
            wrap(&"word ".repeat(40), 10).lines().all(|line| line.len() <= WIDTH && line.starts_with("          w"))
        );
    }
}
