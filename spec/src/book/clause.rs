//! A clause in HTML: the lines before and after its text. Each is one line, because HTML in Markdown ends at an empty
//! line.

use super::contents::Book;
use super::html::{escape, scrolling};
use super::results::html;
use crate::model::Clause;
use crate::text;
use std::collections::BTreeSet;

/// Opens the clause: its name as a heading, level and outcomes, and a link to itself.
///
/// The book's search indexes text below headings down to the third level; screen readers announce the real heading
/// level.
pub(super) fn head(book: &Book<'_>, clause: &Clause, level: u8) -> String {
    let Clause { id, hash, .. } = clause;
    let former_hash = clause.former_hash();
    let former: String = book
        .spec
        .moved
        .iter()
        .filter(|moved| book.successor(moved) == Some(id))
        .map(|moved| format!("<span id=\"{}\"></span>", escape(&moved.old)))
        .collect();
    // The words of the id, so that a search for one of them finds the clause.
    let words = id.replace(['.', '_'], " ");
    format!(
        "<section class=\"clause\" data-id=\"{id}\" data-hash=\"{hash}\" \
         data-former-hash=\"{former_hash}\">{former}<div class=\"clause-head\">\
         <h3 id=\"{id}\" aria-level=\"{level}\">{id}</h3> <span class=\"clause-envelope\">{}</span> \
         <a class=\"clause-permalink\" href=\"#{id}\" aria-label=\"Permalink to {id}\">¶</a>\
         <span class=\"clause-words\" hidden> {words}</span></div>\n",
        escape(&clause.envelope())
    )
}

/// All facts about the clause that its text does not state, and the end tag of the clause.
pub(super) fn details(book: &Book<'_>, clause: &Clause) -> String {
    let Clause { id, hash, .. } = clause;
    let citation = escape(&text::cite(book.spec, clause, None));
    let pinned = book.clauses.get(id.as_str()).map(|file| format!("{file}?{hash}#{id}")).unwrap_or_default();
    let observed: Vec<&str> = clause.observe.iter().map(|it| it.as_str()).collect();
    let mut facts = String::new();
    let mut fact = |name: &str, html: &str| facts += &format!("<dt>{name}</dt><dd>{html}</dd>");
    fact("wording", &format!("<a href=\"{pinned}\"><code>{hash}</code></a>, since version {}", escape(&clause.since)));
    if let Some(why) = &clause.why {
        fact("why", &escape(why));
    }
    fact("observed", &observed.join(", "));
    fact("tests", &tests(book, clause));
    format!(
        "<details class=\"clause-details\"><summary aria-label=\"Details of {id}\">details</summary>\
         <div class=\"clause-box\"><pre class=\"clause-citation\" tabindex=\"0\" aria-label=\"Citation of {id}\">\
         {citation}</pre><button type=\"button\" class=\"clause-copy\">Copy citation</button>\
         <span class=\"clause-copied\" role=\"status\"></span><dl>{facts}</dl>{}</div></details></section>",
        verdicts(book, clause)
    )
}

/// The runs of cases, or the reason why there are none.
fn tests(book: &Book<'_>, clause: &Clause) -> String {
    listed(clause, &names(book, clause))
}

/// The cases that ran, without their situations, or the reason why there are none.
pub(super) fn cases(book: &Book<'_>, clause: &Clause) -> String {
    listed(clause, &names(book, clause).into_iter().map(|name| name.split('[').next().unwrap_or(name)).collect())
}

/// The names of the cases in the results, with their situations.
fn names<'a>(book: &Book<'a>, clause: &Clause) -> BTreeSet<&'a str> {
    let ran = book.results.iter().filter_map(|results| results.clause(&clause.id)).flat_map(|result| &result.cases);
    ran.map(|case| case.name.as_str()).collect()
}

fn listed(clause: &Clause, names: &BTreeSet<&str>) -> String {
    match (&clause.uncased, names.is_empty()) {
        (Some(reason), _) => format!("none: {}", escape(reason)),
        (None, true) => "none in the results".into(),
        (None, false) => {
            names.iter().map(|name| format!("<code>{}</code>", escape(name))).collect::<Vec<_>>().join(" ")
        }
    }
}

fn verdicts(book: &Book<'_>, clause: &Clause) -> String {
    if book.results.is_empty() {
        return "<p>This book was built without <a href=\"results.html\">results</a>.</p>".into();
    }
    let rows: String = book
        .results
        .iter()
        .map(|results| {
            let result = results.clause(&clause.id);
            let verdict = result.map_or("not in the results".into(), |result| html(result.verdict));
            let reason =
                result.and_then(|it| it.reason.as_deref()).or(results.not_offered.as_deref()).unwrap_or_default();
            let other = if results.spec.digest == book.digest {
                ""
            } else {
                " <strong class=\"other-wording\">measured against another state of the specification</strong>"
            };
            let cells = [&results.fs, &results.mechanism, &results.target, &results.kernel.release, reason];
            let cells: String = cells.iter().map(|cell| format!("<td>{}</td>", escape(cell))).collect();
            format!("<tr><td>{verdict}{other}</td>{cells}</tr>")
        })
        .collect();
    let table = format!(
        "<table><thead><tr><th>verdict</th><th>file system</th><th>mechanism</th><th>target</th><th>kernel</th>\
         <th class=\"reason\">reason</th></tr></thead><tbody>{rows}</tbody></table>"
    );
    scrolling(&format!("Verdicts on {}", clause.id), &table)
}
