//! Results side by side: clauses down, file systems and mechanisms across.

use crate::results::{Results, releases};
use crate::verdict::Verdict;
use std::fmt::Write as _;

/// What is left beside the clauses on a terminal of 80 columns.
const ROOM: usize = 54;

/// How wide a column is where there is room, and where there is not.
const WIDTHS: [usize; 2] = [8, 6];

/// A table for each kernel, for a terminal of 80 columns, in parts where it has too many. A target that lacks the mechanism
/// gets a line, not a column.
pub fn human(all: &[Results]) -> String {
    by_kernel(all, table)
}

/// The same for a page.
pub fn markdown(all: &[Results]) -> String {
    by_kernel(all, page)
}

fn by_kernel(all: &[Results], table: fn(&[&Results]) -> String) -> String {
    let of = |release: &str| -> Vec<&Results> { all.iter().filter(|it| it.kernel.release == release).collect() };
    let tables: Vec<String> = releases(all).into_iter().map(|release| table(&of(release))).collect();
    tables.join("\n")
}

fn table(all: &[&Results]) -> String {
    let (columns, lacking) = split(all);
    let mut out = head(all[0]);
    let mut rest = &columns[..];
    while !rest.is_empty() {
        let (part, widths) = part(rest);
        rest = &rest[part.len()..];
        out += &lines(part, &widths);
    }
    if !columns.is_empty() {
        let legend: Vec<String> =
            Verdict::MARKS.iter().filter(|(v, _)| *v != Verdict::Untested).map(|(v, m)| format!("{m} {v}")).collect();
        let _ = writeln!(out, "{}  blank: untested", legend.join("  "));
    }
    for line in lacking {
        let _ = writeln!(out, "{line}");
    }
    out
}

/// As many columns as there is room for, and how wide each of them is.
fn part<'a, 'b>(columns: &'b [&'a Results]) -> (&'b [&'a Results], Vec<usize>) {
    let fits = |count: &usize, width: usize| {
        Some(widths(&columns[..*count], width)).filter(|w| w.iter().sum::<usize>() <= ROOM)
    };
    let count = (1..=columns.len()).rev().find(|count| fits(count, WIDTHS[1]).is_some()).unwrap_or(1);
    let widths = WIDTHS.iter().find_map(|width| fits(&count, *width)).unwrap_or_else(|| widths(&columns[..count], 0));
    (&columns[..count], widths)
}

/// The columns of a mechanism are together at least as wide as its name.
fn widths(columns: &[&Results], width: usize) -> Vec<usize> {
    let group = |(start, len): (usize, usize)| {
        let name = (columns[start].mechanism.len() + 2).div_ceil(len);
        std::iter::repeat_n(width.max(name), len)
    };
    groups(columns).into_iter().flat_map(group).collect()
}

fn lines(columns: &[&Results], widths: &[usize]) -> String {
    let line = |head: &str, cell: &dyn Fn(&Results) -> String| {
        let cells = columns.iter().zip(widths).map(|(column, width)| format!("{:<width$}", cell(column)));
        format!("{head:26}{}", cells.collect::<String>()).trim_end().to_owned() + "\n"
    };
    let mut mechanisms = String::new();
    for (start, len) in groups(columns) {
        let width = widths[start..start + len].iter().sum();
        let _ = write!(mechanisms, "{:<width$}", columns[start].mechanism);
    }
    let mut out = format!("{:26}{}\n", "", mechanisms.trim_end());
    // The place or mode of a file system is below it.
    let parts = |column: &Results| column.fs.split_once('-').map(|(fs, mode)| (fs.to_owned(), mode.to_owned()));
    out += &line("clause", &|column| parts(column).map_or(column.fs.clone(), |(fs, _)| fs));
    if columns.iter().any(|column| parts(column).is_some()) {
        out += &line("", &|column| parts(column).unwrap_or_default().1);
    }
    for (row, clause) in columns[0].clauses.iter().enumerate() {
        out += &line(&clause.id, &|column| column.clauses[row].verdict.mark().into());
    }
    out + &line("holds, of those tested", &sum) + "\n"
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

/// What can be compared: the same clauses in every document.
pub fn comparable(all: &[Results]) -> Result<(), String> {
    let Some(first) = all.first() else { return Err("no results".into()) };
    match all.iter().find(|results| results.spec != first.spec) {
        Some(other) => Err(format!(
            "results of different specifications: {} {} and {} {}",
            first.spec.version, first.spec.digest, other.spec.version, other.spec.digest
        )),
        None => Ok(()),
    }
}

fn head(first: &Results) -> String {
    format!("specification {} ({}), Linux {}\n\n", first.spec.version, first.spec.digest, first.kernel.release)
}

fn split<'a>(all: &[&'a Results]) -> (Vec<&'a Results>, Vec<String>) {
    let mut columns: Vec<&Results> = all.iter().copied().filter(|r| r.not_offered.is_none()).collect();
    // A mechanism has its columns side by side, where its first one is.
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

/// Runs of columns with the same mechanism: first column and length.
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
