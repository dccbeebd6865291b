//! The table of the mutants of a series: a small fault, the clause that is violated with it, and the case that shows that.

use super::contents::Book;
use super::html::{escape, scrolling};
use super::indexes::link;
use super::trouble::Trouble;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use std::{fs, io};

/// The outcomes of the mutants, by name; `None` for a mutant without an outcome.
#[derive(Debug, Default)]
pub(super) struct Mutants(BTreeMap<String, (String, Option<Row>)>);

/// The document of `iomap-kernel mutants --record`.
#[derive(Deserialize)]
struct Record {
    mutants: BTreeMap<String, Row>,
}

/// The outcome of a mutant.
#[derive(Debug, Deserialize)]
struct Row {
    verdict: String,
    clause: Option<String>,
    case: Option<String>,
    fs: Option<String>,
    equivalent: Option<String>,
}

/// The script of a mutant.
#[derive(Deserialize)]
struct Script {
    title: String,
}

/// The scripts and their outcomes, in the directory of a series.
const SCRIPTS: &str = "mutants";
const RECORD: &str = "mutants.json";

/// The verdict of a mutant that was noticed by one of its clauses.
const KILLED: &str = "killed";

impl Mutants {
    /// Reads the scripts and the outcomes. A series may have neither.
    pub(super) fn read(directory: &Path) -> Result<Self, Trouble> {
        let refuse = |path: &Path, error: String| Trouble::Findings(vec![format!("{}: {error}", path.display())]);
        let path = directory.join(RECORD);
        let mut rows = match fs::read_to_string(&path) {
            Ok(text) => {
                let record: Record = serde_json::from_str(&text).map_err(|error| refuse(&path, error.to_string()))?;
                record.mutants
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(Trouble::io(&path, &error)),
        };
        let mut mutants = BTreeMap::new();
        for entry in fs::read_dir(directory.join(SCRIPTS)).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()?.strip_suffix(".toml")) else { continue };
            let text = fs::read_to_string(&path).map_err(|error| Trouble::io(&path, &error))?;
            let script: Script = toml::from_str(&text).map_err(|error| refuse(&path, error.to_string()))?;
            mutants.insert(name.to_owned(), (script.title, rows.remove(name)));
        }
        Ok(Self(mutants))
    }

    /// The section with the table.
    pub(super) fn section(&self, book: &Book<'_>) -> String {
        let head = "## Mutants\n\n";
        let known = self.0.values().filter_map(|(_, row)| row.as_ref());
        let killed = known.clone().filter(|row| row.verdict == KILLED).count();
        let equivalent = known.clone().filter(|row| row.equivalent.is_some()).count();
        let (all, none) = (self.0.len(), self.0.len() - known.clone().count());
        if all == none {
            return format!("{head}`make kernel-mutants` has not run any.\n");
        }
        let head_row = "<tr><th>mutant</th><th>the fault</th><th>clause</th><th>case</th><th>on</th></tr>";
        let rows: String = self.0.iter().map(|(name, (title, row))| line(book, name, title, row.as_ref())).collect();
        format!(
            "{head}The series has {all} mutants: each is a small fault that the suite has to notice. {killed} violate a \
             clause that was named before, {equivalent} cannot be noticed by any program, and {none} have no outcome yet.\
             \n\n{}\n",
            scrolling(
                "Mutants",
                &format!("<table class=\"series\"><thead>{head_row}</thead><tbody>{rows}</tbody></table>")
            )
        )
    }
}

/// A row of the table. A mutant without a clause has its reason there instead.
fn line(book: &Book<'_>, name: &str, title: &str, row: Option<&Row>) -> String {
    let cell = |text: Option<&String>| text.map_or_else(String::new, |text| escape(text));
    let found = match row {
        None => "<td colspan=\"3\">no outcome yet</td>".into(),
        Some(Row { clause: Some(clause), case, fs, verdict, .. }) => {
            let other = if verdict == KILLED { "" } else { " (another one than expected)" };
            let case = case.as_ref().map_or_else(String::new, |case| format!("<code>{}</code>", escape(case)));
            format!("<td>{}{other}</td><td>{case}</td><td>{}</td>", link(book, clause), cell(fs.as_ref()))
        }
        Some(Row { equivalent: Some(why), .. }) => format!("<td colspan=\"3\">equivalent: {}</td>", escape(why)),
        Some(Row { verdict, .. }) => format!("<td colspan=\"3\">{}</td>", escape(verdict)),
    };
    format!("<tr><th scope=\"row\">{}</th><td>{}</td>{found}</tr>", escape(name), escape(title))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Measured;
    use crate::model::Spec;

    const RECORDED: &str = r#"{"about": "", "mutants": {
        "one": {"verdict": "killed", "clause": "a.b", "case": "a::c<", "fs": "xfs"},
        "other": {"verdict": "noticed", "clause": "a.b", "case": "a::c", "fs": "xfs"},
        "same": {"verdict": "equivalent", "equivalent": "it is a & b"},
        "gone": {"verdict": "killed"}, "strong": {"verdict": "lives"}}}"#;

    #[test]
    fn each_mutant_has_a_row() {
        let directory = tempfile::tempdir().unwrap();
        let spec = Spec { version: String::new(), pages: vec![], moved: vec![], beside: None };
        let book = Book::new(&spec, Measured::default());
        let section = || Mutants::read(directory.path()).map(|mutants| mutants.section(&book));
        assert!(section().unwrap().contains("has not run any"));
        fs::create_dir(directory.path().join(SCRIPTS)).unwrap();
        for name in ["one", "other", "same", "strong", "unknown"] {
            fs::write(directory.path().join(SCRIPTS).join(format!("{name}.toml")), format!("title = \"It {name}\""))
                .unwrap();
        }
        assert!(section().unwrap().contains("has not run any"));
        fs::write(directory.path().join(RECORD), RECORDED).unwrap();
        let text = section().unwrap();
        assert!(text.contains("The series has 5 mutants"), "{text}");
        assert!(text.contains("1 violate a clause"), "{text}");
        assert!(text.contains("1 cannot be noticed by any program, and 1 have no outcome yet"), "{text}");
        for row in [
            "one</th><td>It one</td><td>a.b</td><td><code>a::c&lt;</code></td><td>xfs</td>",
            "It other</td><td>a.b (another one than expected)</td>",
            "It same</td><td colspan=\"3\">equivalent: it is a &amp; b</td>",
            "It strong</td><td colspan=\"3\">lives</td>",
            "It unknown</td><td colspan=\"3\">no outcome yet</td>",
        ] {
            assert!(text.contains(row), "{row} in {text}");
        }
        assert!(!text.contains("gone"), "{text}");
        fs::write(directory.path().join(RECORD), "{").unwrap();
        assert!(section().unwrap_err().to_string().contains("mutants.json: "));
    }
}
