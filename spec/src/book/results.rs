//! Results in the book.

use super::trouble::Trouble;
use iomap_results::{Results, Verdict};
use std::path::Path;

/// Reads one document of `iomap-conformance --format json`, a list of documents, or the output of the lab; `name` is
/// the source of the text.
///
/// # Errors
/// The text is not JSON, or not results.
pub fn read_results(name: &Path, text: &[u8]) -> Result<Vec<Results>, Trouble> {
    let refuse = |reason: &dyn std::fmt::Display| {
        let mend = "give a file that `iomap-conformance --format json --output FILE` wrote";
        Err(Trouble::Findings(vec![format!("{}: {reason}: {mend}", name.display())]))
    };
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => return refuse(&format!("not a results document: {error}")),
    };
    match Results::parse_all(text) {
        Ok(all) if all.is_empty() => refuse(&"a list without any results"),
        Ok(all) => Ok(all),
        Err(error) => refuse(&error),
    }
}

/// The word of a verdict in HTML, with the class that gives it a color.
pub(super) fn html(verdict: Verdict) -> String {
    format!("<span class=\"verdict {verdict}\">{verdict}</span>", verdict = verdict.as_str())
}

/// The number of each verdict, in words: `holds 2, violated 1`.
pub(super) fn totals(verdicts: impl IntoIterator<Item = Verdict>) -> String {
    let verdicts: Vec<Verdict> = verdicts.into_iter().collect();
    let counts = Verdict::ALL.map(|verdict| (verdict, verdicts.iter().filter(|it| **it == verdict).count()));
    let shown = counts.iter().filter(|(_, count)| *count > 0);
    shown.map(|(verdict, count)| format!("{} {count}", html(*verdict))).collect::<Vec<_>>().join(", ")
}

/// The subject of results: `host, swapfile, xfs, 6.18.0`.
pub(super) fn label(results: &Results) -> String {
    format!("{}, {}, {}, {}", results.target, results.mechanism, results.fs, results.kernel.release)
}
