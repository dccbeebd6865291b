//! Results side by side: clauses down, file systems and mechanisms across.

use crate::results::{Results, releases};
use crate::verdict::Verdict;
use std::fmt::Write as _;

/// How many columns fit beside the clauses on a terminal of 80 columns.
const COLUMNS: usize = 9;

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
    for columns in columns.chunks(COLUMNS) {
        let width = if columns.len() > 6 { 6 } else { 8 };
        let mut mechanisms = String::new();
        for (start, len) in groups(columns) {
            let _ = write!(mechanisms, "{:<1$}", columns[start].mechanism, len * width);
        }
        let _ = writeln!(out, "{:26}{}", "", mechanisms.trim_end());
        // The place or mode of a file system is below it.
        let names = columns.iter().map(|c| c.fs.split_once('-').unwrap_or((&c.fs, "")));
        let line = |part: &dyn Fn((&str, &str)) -> String| -> String { names.clone().map(part).collect() };
        let _ = writeln!(out, "{:26}{}", "clause", line(&|(fs, _)| format!("{fs:<width$}")).trim_end());
        let modes = line(&|(_, mode)| format!("{mode:<width$}"));
        if !modes.trim().is_empty() {
            let _ = writeln!(out, "{:26}{}", "", modes.trim_end());
        }
        for (row, clause) in columns[0].clauses.iter().enumerate() {
            let marks: String = columns.iter().map(|c| format!("{:<width$}", c.clauses[row].verdict.mark())).collect();
            let _ = writeln!(out, "{:26}{}", clause.id, marks.trim_end());
        }
        let sums: String = columns.iter().map(|c| format!("{:<width$}", sum(c))).collect();
        let _ = writeln!(out, "{:26}{}\n", "holds, of those tested", sums.trim_end());
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
