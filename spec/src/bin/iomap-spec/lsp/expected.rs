//! The expected verdicts of a clause on kernels, as the suite has them in its table of expectations.

use serde::Deserialize;
use std::path::Path;

/// The table of the suite, below the top of a checkout.
const EXPECTATIONS: &str = "conformance/expectations";

#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    expect: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    clauses: Vec<String>,
    fs: Option<Vec<String>>,
    kernel: Option<String>,
    verdict: String,
    reason: String,
}

/// A line for each row that names the clause, by mechanism: `swapfile, xfs, ..6.13: violated, because …`. After a row
/// for every file system and kernel, no other counts. Rows that name the clause itself come first.
pub(super) fn verdicts(top: &Path, id: &str) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(top.join(EXPECTATIONS)) else { return vec![] };
    let mut files: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let mut lines = vec![];
    for file in files {
        // The suite refuses a table that cannot be read; an editor shows what it can.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let Ok(document) = toml::from_str::<Document>(&text) else { continue };
        let breadth = |pattern: &String| match pattern.as_str() {
            "*" => Some(2),
            named if named == id => Some(0),
            family => (family.strip_suffix(".*") == Some(iomap_vocabulary::family(id))).then_some(1),
        };
        for row in document.expect {
            let Some(breadth) = row.clauses.iter().filter_map(breadth).min() else { continue };
            let is_last = row.fs.is_none() && row.kernel.is_none();
            let mechanism = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let place: Vec<String> =
                [mechanism].into_iter().chain(row.fs.map(|fs| fs.join(" "))).chain(row.kernel).collect();
            lines.push((breadth, format!("{}: {}, because {}", place.join(", "), row.verdict, row.reason)));
            if is_last {
                break;
            }
        }
    }
    lines.sort_by_key(|(breadth, _)| *breadth);
    lines.into_iter().map(|(_, line)| line).collect()
}
