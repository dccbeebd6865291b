//! The place of a definition in a C source: a function, a macro, a structure, or an initialised object.
//!
//! It relies on the style of the kernel, where a definition begins and ends in the first column.

use std::ops::Range;

/// The ranges of bytes of each definition of this name: from the line with the name to its last line.
pub(crate) fn definitions(source: &str, name: &str) -> Vec<Range<usize>> {
    let code = blanked(source);
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let start = at;
        at += line.len();
        if found.last().is_some_and(|last| start < last.end) || line.starts_with([' ', '\t', '\n', '}']) {
            continue;
        }
        let Some(end_of_name) = word(line, name) else { continue };
        let end = match line.strip_prefix('#') {
            Some(directive) => is_define(directive, name).then(|| end_of_macro(&code, start)),
            None => opens(&code[start + end_of_name..]).then(|| end_of_block(&code, start)).flatten(),
        };
        found.extend(end.map(|end| start..end));
    }
    found
}

/// The source with the contents of comments, strings and characters as blanks, and with the same offsets.
fn blanked(source: &str) -> String {
    let mut bytes = source.as_bytes().to_vec();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let len = match rest {
            [b'/', b'*', ..] => {
                rest.windows(2).skip(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 4)
            }
            [b'/', b'/', ..] => rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len()),
            [quote @ (b'"' | b'\''), ..] => quoted(rest, *quote),
            _ => {
                at += 1;
                continue;
            }
        };
        for byte in &mut bytes[at..at + len] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at += len;
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// The length of a literal. It ends with its line at the latest, as an apostrophe in assembler has no partner.
fn quoted(rest: &[u8], quote: u8) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != b'\n' {
        match rest[at] {
            b'\\' => at += 1,
            byte if byte == quote => return at + 1,
            _ => (),
        }
        at += 1;
    }
    at.min(rest.len())
}

/// The end of the first occurrence of the name as a whole word.
fn word(line: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let whole = |at: &usize| !line[..*at].ends_with(is_part) && !line[at + name.len()..].starts_with(is_part);
    line.match_indices(name).map(|(at, _)| at).find(whole).map(|at| at + name.len())
}

fn is_define(directive: &str, name: &str) -> bool {
    let rest = directive.trim_start().strip_prefix("define").unwrap_or_default().trim_start();
    rest.strip_prefix(name).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
}

/// Whether a block opens before the declaration ends: a body or an initialiser. Behind the name of a type comes another
/// name; behind a name that is defined only attributes do.
fn opens(rest: &str) -> bool {
    let next = rest.trim_start();
    if !next.starts_with(['(', '[', '=', '{']) && !next.starts_with("__") {
        return false;
    }
    let mut depth = 0;
    for c in rest.chars() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            '{' if depth == 0 => return true,
            ';' | '}' | '#' if depth == 0 => return false,
            _ if depth < 0 => return false,
            _ => (),
        }
    }
    false
}

/// The end of the last line of a macro.
fn end_of_macro(code: &str, start: usize) -> usize {
    let mut at = start;
    for line in code[start..].split_inclusive('\n') {
        at += line.len();
        if !line.trim_end().ends_with('\\') {
            break;
        }
    }
    at
}

/// The end of the first line below that has a closing brace in its first column. A block may also be closed on its own
/// line.
fn end_of_block(code: &str, start: usize) -> Option<usize> {
    let mut at = start;
    let mut is_open = false;
    for line in code[start..].split_inclusive('\n') {
        at += line.len();
        let on_one_line = !is_open && line.contains('{') && line.matches('{').count() == line.matches('}').count();
        if on_one_line || (is_open && line.starts_with('}')) {
            return Some(at);
        }
        is_open |= line.contains('{');
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/* shrink(file) { is not here } */
#define LIMIT 7
#define MASK (ONE | \\
\tTWO)
static int shrink(struct file *file);
int shrink_all(void);

int
shrink(
\tstruct file\t*file,\t/* a brace: { */
\tint\t\t(*how)(int))
\t__must_hold(lock)
{
\tif (LIMIT) {
\t\treturn '}';
\t}
}
EXPORT_SYMBOL(shrink);

const struct operations table = {
\t.shrink = shrink,
};
struct thing {
\tint a;
};
enum flags { A, B };
int grow(struct thing *thing)
{
\treturn shrink(0);
}
";

    fn lines(name: &str) -> Vec<(usize, usize)> {
        let line = |at: usize| SOURCE[..at].lines().count();
        definitions(SOURCE, name).into_iter().map(|range| (line(range.start) + 1, line(range.end))).collect()
    }

    #[test]
    fn definitions_have_their_ranges() {
        assert_eq!(lines("shrink"), [(9, 17)]);
        assert_eq!(lines("MASK"), [(3, 4)]);
        assert_eq!(lines("LIMIT"), [(2, 2)]);
        assert_eq!(lines("table"), [(20, 22)]);
        assert_eq!(lines("thing"), [(23, 25)]);
        assert_eq!(lines("flags"), [(26, 26)]);
        assert_eq!(lines("grow"), [(27, 30)]);
        for name in ["shrink_all", "operations", "file", "lock", "shrin", "ONE", "operations2"] {
            assert_eq!(lines(name), [], "{name}");
        }
    }
}
