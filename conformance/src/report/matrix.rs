//! A table of several results: a row for each clause, a column for each file system and mechanism.

use crate::kernel;
use crate::report::terminal::{HEADING, Screen, style, styled};
use crate::results::{ClauseResult, Results, clause};
use iomap_command::{Exit, count, plain, wrap};
use iomap_results::{Sum, Verdict, releases};
use std::fmt::Write as _;

/// The width of the column with the clauses.
const CLAUSE: usize = 26;

/// The width of a result's column on a wide screen, and on a narrow one.
const WIDTHS: [usize; 2] = [8, 6];

/// The narrowest useful column for the sentences of the clauses.
const SENTENCE: usize = 30;

/// A table for each kernel, split into parts if its columns do not fit on the screen. A target that lacks the mechanism
/// gets a line, not a column.
pub(crate) fn human(all: &[Results], screen: Screen) -> String {
    by_kernel(all, |all| table(all, screen))
}

/// The same in Markdown.
pub(crate) fn markdown(all: &[Results]) -> String {
    by_kernel(all, page)
}

/// The unexpected results and the errors, each with its reason, and their numbers: the meaning of the exit code in
/// words. Empty if all results are as expected.
pub(crate) fn trouble(all: &[Results]) -> String {
    let sum = Sum::of(all);
    if sum.exit() == Exit::Fine {
        return String::new();
    }
    all.iter().map(trouble_of).chain([format!("{sum}\n")]).collect()
}

/// The unexpected results and the errors of one run, without the sum.
pub(crate) fn trouble_of(results: &Results) -> String {
    let label = format!("{} {}", results.kernel.release, results.label());
    let mut out = String::new();
    let mut say = |line: String, reason: &str| {
        let _ = writeln!(out, "{label}: {line}");
        let mut lines = reason.lines();
        lines.next().into_iter().for_each(|first| out += &(wrap(first, 4) + "\n"));
        let more = lines.count();
        if more > 0 {
            let _ = writeln!(out, "    and {}", count(more, "more line"));
        }
    };
    for clause in results.clauses.iter().filter(|clause| clause.is_surprise()) {
        let expected = clause.expected.unwrap_or(Verdict::Untested);
        let line = format!("{}: {}, but expected: {expected}", clause.id, clause.verdict);
        say(line, &clause.detail().unwrap_or_default());
    }
    for errors in results.errors() {
        let names = match errors.first {
            Some(_) => errors.names.join(" "),
            None => count(errors.names.len(), "clause"),
        };
        say(format!("error: {names}"), errors.reason);
    }
    for line in &results.kernel_log {
        say("the kernel complained:".into(), &line.text);
    }
    out
}

fn by_kernel(all: &[Results], table: impl Fn(&[&Results]) -> String) -> String {
    let of = |release: &str| -> Vec<&Results> { all.iter().filter(|it| it.kernel.release == release).collect() };
    let tables: Vec<String> = releases(all).into_iter().map(|release| table(&of(release))).collect();
    tables.join("\n")
}

fn table(all: &[&Results], screen: Screen) -> String {
    let (columns, lacking) = split(all);
    let mut out = head(all[0]);
    if !columns.is_empty() {
        let marked = Verdict::ALL.into_iter().filter(|verdict| *verdict != Verdict::Untested);
        let legend: Vec<String> = marked.map(|verdict| format!("{} {verdict}", mark(verdict))).collect();
        let _ = writeln!(out, "{}  blank: untested\n", legend.join("  "));
    }
    let mut rest = &columns[..];
    while !rest.is_empty() {
        let (part, widths) = part(rest, screen.width.saturating_sub(CLAUSE));
        rest = &rest[part.len()..];
        out += &lines(part, &widths, screen);
    }
    for line in lacking {
        let _ = writeln!(out, "{line}");
    }
    out
}

fn mark(verdict: Verdict) -> String {
    styled(style(verdict), &verdict.mark().to_string())
}

/// The first columns that fit into `room`, and their widths.
fn part<'a, 'b>(columns: &'b [&'a Results], room: usize) -> (&'b [&'a Results], Vec<usize>) {
    let fits = |count: &usize, width: usize| {
        Some(widths(&columns[..*count], width)).filter(|w| w.iter().sum::<usize>() <= room)
    };
    let count = (1..=columns.len()).rev().find(|count| fits(count, WIDTHS[1]).is_some()).unwrap_or(1);
    let widths = WIDTHS.iter().find_map(|width| fits(&count, *width)).unwrap_or_else(|| widths(&columns[..count], 0));
    (&columns[..count], widths)
}

/// The widths of columns. The columns of a mechanism are together at least as wide as its name.
fn widths(columns: &[&Results], width: usize) -> Vec<usize> {
    let group = |(start, len): (usize, usize)| {
        let name = (columns[start].mechanism.len() + 2).div_ceil(len);
        std::iter::repeat_n(width.max(name), len)
    };
    groups(columns).into_iter().flat_map(group).collect()
}

/// One table: empty lines separate families, and the headings are repeated at the top of each screen.
fn lines(columns: &[&Results], widths: &[usize], screen: Screen) -> String {
    let headings = headings(columns, widths);
    let room = screen.height.map_or(usize::MAX, |height| height - 1);
    let (mut out, mut used) = (headings.concat(), headings.len());
    let mut rest: &[ClauseResult] = &columns[0].clauses;
    while let Some(first) = rest.first() {
        let (family, others) =
            rest.split_at(rest.iter().take_while(|clause| clause.family() == first.family()).count());
        let at = columns[0].clauses.len() - rest.len();
        rest = others;
        let begins = used == headings.len();
        let mut again = !begins && used + 1 + family.len() > room;
        if !begins && !again {
            out.push('\n');
            used += 1;
        }
        for (row, clause) in family.iter().enumerate() {
            if again || used >= room {
                out += &format!("\n{}", headings.concat());
                (used, again) = (headings.len() + 1, false);
            }
            out += &line(
                columns,
                widths,
                &clause.id,
                |column| mark(column.clauses[at + row].verdict),
                sentence(clause, widths, screen),
            );
            used += 1;
        }
    }
    out + "\n" + &line(columns, widths, "holds, of those tested", sum, None) + "\n"
}

/// The headings: the mechanisms, the file systems, and their places or modes.
fn headings(columns: &[&Results], widths: &[usize]) -> Vec<String> {
    let mut mechanisms = String::new();
    for (start, len) in groups(columns) {
        let width = widths[start..start + len].iter().sum();
        let _ = write!(mechanisms, "{:<width$}", columns[start].mechanism);
    }
    let parts = |column: &Results| column.fs.split_once('-').map(|(fs, mode)| (fs.to_owned(), mode.to_owned()));
    let bold = |text: &str| styled(HEADING, text);
    let fs = |column: &Results| bold(&parts(column).map_or(column.fs.clone(), |(fs, _)| fs));
    let mut headings = vec![format!("{:CLAUSE$}{}\n", "", bold(mechanisms.trim_end()))];
    headings.push(line(columns, widths, &bold("clause"), fs, None));
    if columns.iter().any(|column| parts(column).is_some()) {
        headings.push(line(columns, widths, "", |column| bold(&parts(column).unwrap_or_default().1), None));
    }
    headings
}

/// A line of the table: a head, a cell for each column, and a sentence.
fn line(
    columns: &[&Results],
    widths: &[usize],
    head: &str,
    cell: impl Fn(&Results) -> String,
    sentence: Option<String>,
) -> String {
    let cells = columns.iter().zip(widths).map(|(column, width)| padded(&cell(column), *width));
    let cells: String = [padded(head, CLAUSE)].into_iter().chain(cells).chain(sentence).collect();
    cells.trim_end().to_owned() + "\n"
}

/// Text padded with blanks to a width; styles do not count.
fn padded(text: &str, width: usize) -> String {
    let blanks = width.saturating_sub(plain(text).chars().count());
    format!("{text}{}", " ".repeat(blanks))
}

/// The beginning of the clause's text, if there is room beside the columns.
fn sentence(clause: &ClauseResult, widths: &[usize], screen: Screen) -> Option<String> {
    let room = screen.width.checked_sub(CLAUSE + widths.iter().sum::<usize>()).filter(|room| *room >= SENTENCE)?;
    let text = self::clause(clause)?.text;
    let mut begin = String::new();
    for word in text.split_whitespace() {
        if begin.chars().count() + word.chars().count() + 2 > room {
            return Some(begin + "\u{2026}");
        }
        begin += if begin.is_empty() { "" } else { " " };
        begin += word;
    }
    Some(begin)
}

fn page(all: &[&Results]) -> String {
    let (columns, lacking) = split(all);
    let mut out = format!("{}\n", head(all[0]).trim_end());
    if !columns.is_empty() {
        let labels: Vec<String> = columns.iter().map(|c| c.label()).collect();
        let _ = writeln!(out, "\n| clause | {} |", labels.join(" | "));
        let _ = writeln!(out, "|---|{}", "---|".repeat(columns.len()));
        for (row, clause) in columns[0].clauses.iter().enumerate() {
            let verdicts: Vec<String> = columns.iter().map(|c| c.clauses[row].verdict.to_string()).collect();
            let _ = writeln!(out, "| `{}` | {} |", clause.id, verdicts.join(" | "));
        }
        let sums: Vec<String> = columns.iter().map(|c| sum(c)).collect();
        let _ = writeln!(out, "| holds, of those tested | {} |", sums.join(" | "));
    }
    for line in lacking {
        let _ = writeln!(out, "\n{line}");
    }
    out
}

fn head(first: &Results) -> String {
    let Results { spec, kernel, started, .. } = first;
    let build = kernel::build_in_words(kernel, started.as_deref()).map_or(String::new(), |build| build + "\n");
    format!("specification {} ({}), Linux {}\n{build}\n", spec.version, spec.digest, kernel.release)
}

fn split<'a>(all: &[&'a Results]) -> (Vec<&'a Results>, Vec<String>) {
    let mut columns: Vec<&Results> = all.iter().copied().filter(|r| r.not_offered.is_none()).collect();
    // Put the columns of a mechanism together, at the place of the first one.
    columns.sort_by_key(|column| all.iter().position(|first| first.mechanism == column.mechanism));
    let mut lacking: Vec<(&str, &str, Vec<&str>)> = Vec::new();
    for results in all {
        let Some(reason) = &results.not_offered else { continue };
        match lacking.iter_mut().find(|(mechanism, why, _)| *mechanism == results.mechanism && why == reason) {
            Some((_, _, list)) => list.push(&results.fs),
            None => lacking.push((&results.mechanism, reason, vec![&results.fs])),
        }
    }
    let line = |(mechanism, reason, list): &(&str, &str, Vec<&str>)| {
        format!("{mechanism} ({}): not offered: {reason}", list.join(", "))
    };
    (columns, lacking.iter().map(line).collect())
}

/// Groups of columns with the same mechanism: the first column, and the number of columns.
fn groups(columns: &[&Results]) -> Vec<(usize, usize)> {
    let mut groups: Vec<(usize, usize)> = Vec::new();
    for (index, column) in columns.iter().enumerate() {
        match groups.last_mut() {
            Some((start, len)) if columns[*start].mechanism == column.mechanism => *len += 1,
            _ => groups.push((index, 1)),
        }
    }
    groups
}

fn sum(results: &Results) -> String {
    let holds = results.count(Verdict::Holds);
    format!("{holds}/{}", holds + results.count(Verdict::Violated))
}
