//! A comparison of results, for people.

use iomap_command::{count, wrap};
use iomap_results::{Change, Comparison, Head, Pair, Unpaired, Verdict};
use std::fmt::Write as _;

/// The subject of results in one line.
fn line(head: &Head) -> String {
    let Head { spec, target, kernel, .. } = head;
    format!(
        "{}, target {target}, Linux {}, specification {} ({})",
        head.label(),
        kernel.release,
        spec.version,
        spec.digest
    )
}

/// A title, and the test for the changes below it.
type Kind = (&'static str, fn(&Change) -> bool);

/// The kinds of changes, in the order in which they are printed.
const KINDS: [Kind; 5] = [
    ("held, is violated now", Change::is_worse),
    ("holds now", |it| it.from.is_some() && it.to == Some(Verdict::Holds)),
    ("changed otherwise", |it| it.from.is_some() && it.to.is_some()),
    ("only in B", |it| it.from.is_none()),
    ("only in A", |it| it.to.is_none()),
];

/// The kinds that have changes, with these. A change belongs to the first kind that fits.
fn by_kind(changes: &[Change]) -> Vec<(&'static str, Vec<&Change>)> {
    let kind = |change: &Change| KINDS.iter().position(|(_, fits)| fits(change));
    let of = |at: usize| changes.iter().filter(|change| kind(change) == Some(at)).collect::<Vec<_>>();
    let all = KINDS.iter().enumerate().map(|(at, (title, _))| (*title, of(at)));
    all.filter(|(_, list)| !list.is_empty()).collect()
}

fn verdict(verdict: Option<Verdict>) -> String {
    verdict.map_or("no such clause".into(), |it| it.to_string())
}

/// The comparison for a terminal of 80 columns.
pub(crate) fn human(comparison: &Comparison) -> String {
    let mut out = String::new();
    for Pair { a, b, changes, same } in &comparison.pairs {
        let _ = writeln!(out, "{}\n{}\n", hanging("A: ", &line(a)), hanging("B: ", &line(b)));
        for (title, list) in by_kind(changes) {
            let _ = writeln!(out, "{title}");
            for change in list {
                let _ = writeln!(out, "  {:<24}{} -> {}", change.id, verdict(change.from), verdict(change.to));
                for line in change.detail.iter().flat_map(|detail| detail.lines()) {
                    let _ = writeln!(out, "{}", wrap(line, 6));
                }
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{}, {same} the same\n", count(changes.len(), "change"));
    }
    for Unpaired { side, head } in &comparison.unpaired {
        let _ = writeln!(out, "only in {}: {}", side.to_uppercase(), head.label());
    }
    out.trim_end().to_owned() + "\n"
}

/// The comparison in Markdown.
pub(crate) fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    for Pair { a, b, changes, same } in &comparison.pairs {
        let _ = writeln!(out, "- A: {}\n- B: {}\n", line(a), line(b));
        if !changes.is_empty() {
            let _ = writeln!(out, "| clause | A | B | detail of B |\n|---|---|---|---|");
            for change in by_kind(changes).into_iter().flat_map(|(_, list)| list) {
                let detail = change.detail.as_deref().unwrap_or_default();
                let detail = detail.replace('|', "\\|").replace('<', "&lt;").replace('\n', "<br>");
                let _ =
                    writeln!(out, "| `{}` | {} | {} | {detail} |", change.id, verdict(change.from), verdict(change.to));
            }
            out.push('\n');
        }
        let _ = writeln!(out, "{}, {same} the same\n", count(changes.len(), "change"));
    }
    for Unpaired { side, head } in &comparison.unpaired {
        let _ = writeln!(out, "only in {}: {}\n", side.to_uppercase(), head.label());
    }
    out.trim_end().to_owned() + "\n"
}

fn hanging(label: &str, text: &str) -> String {
    format!("{label}{}", wrap(text, label.len()).trim_start())
}
