//! What changed between two results, clause by clause.

use crate::expectations::version;
use crate::report::human::wrap;
use crate::results::{ClauseResult, Kernel, Results, Spec, releases};
use crate::verdict::Verdict;
use crate::words::count;
use serde::Serialize;
use std::fmt::Write as _;

/// Two sides: what can be compared, and what only one of them has.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The version of this document.
    pub schema: u32,
    /// What both sides have.
    pub pairs: Vec<Pair>,
    /// What has no counterpart.
    pub unpaired: Vec<Unpaired>,
}

/// Two results and their differences.
#[derive(Debug, Serialize)]
pub struct Pair {
    /// What the first is about.
    pub a: Head,
    /// What the second is about.
    pub b: Head,
    /// The clauses whose verdicts differ, or that only one has.
    pub changes: Vec<Change>,
    /// How many clauses have the same verdict.
    pub same: usize,
}

/// What results are about.
#[derive(Debug, Serialize)]
pub struct Head {
    spec: Spec,
    target: String,
    mechanism: String,
    fs: String,
    kernel: Kernel,
}

/// One clause that is not as it was.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The clause.
    pub id: String,
    /// Its verdict on the first side; nothing if that has no such clause.
    pub from: Option<Verdict>,
    /// Its verdict on the second.
    pub to: Option<Verdict>,
    /// What the second side observed, or why it observed nothing.
    pub detail: Option<String>,
}

/// Results that only one side has.
#[derive(Debug, Serialize)]
pub struct Unpaired {
    /// `a` or `b`.
    pub side: &'static str,
    /// What they are about.
    pub head: Head,
}

/// Compares. One document on each side is compared whatever it is about; in lists, file system, mechanism and target say
/// what belongs together. A kernel is compared with those of its series, or, if the sides have no series in common, with
/// each of the others.
pub fn compare(a: &[Results], b: &[Results]) -> Comparison {
    let single = a.len() == 1 && b.len() == 1;
    let series = |it: &Results| version(&it.kernel.release);
    let common = a.iter().any(|one| b.iter().any(|other| series(one) == series(other)));
    // A kernel is a kernel, in a guest or not.
    let target = |it: &Results| if it.target == "lab" { "host".to_owned() } else { it.target.clone() };
    let key = |it: &Results| (it.fs.clone(), it.mechanism.clone(), target(it), common.then(|| series(it)));
    let belong = |one: &Results, other: &Results| single || key(one) == key(other);
    let pairs = a.iter().flat_map(|one| b.iter().filter(|other| belong(one, other)).map(|other| Pair::of(one, other)));
    let alone = |side, list: &[Results], others: &[Results]| -> Vec<Unpaired> {
        list.iter()
            .filter(|it| !others.iter().any(|other| belong(it, other)))
            .map(|it| Unpaired { side, head: Head::of(it) })
            .collect()
    };
    Comparison {
        schema: 1,
        pairs: pairs.collect(),
        unpaired: alone("a", a, b).into_iter().chain(alone("b", b, a)).collect(),
    }
}

/// Compares the first kernel of some results with each other one. The error is one line for people.
pub fn kernels(all: &[Results]) -> Result<Comparison, String> {
    let of = |release: &str| -> Vec<Results> {
        all.iter().filter(|results| results.kernel.release == release).cloned().collect()
    };
    let [first, others @ ..] = &releases(all)[..] else { return Err("no results".into()) };
    if others.is_empty() {
        return Err(format!("results of one kernel only, {first}: give those of another one to compare with"));
    }
    let mut whole = Comparison { schema: 1, pairs: Vec::new(), unpaired: Vec::new() };
    for other in others {
        let Comparison { pairs, unpaired, .. } = compare(&of(first), &of(other));
        whole.pairs.extend(pairs);
        whole.unpaired.extend(unpaired);
    }
    Ok(whole)
}

impl Comparison {
    /// 1 if a clause that held is violated, else 0.
    pub fn exit_code(&self) -> u8 {
        u8::from(self.pairs.iter().flat_map(|pair| &pair.changes).any(Change::is_worse))
    }
}

impl Head {
    fn of(results: &Results) -> Self {
        let Results { spec, target, mechanism, fs, kernel, .. } = results.clone();
        Self { spec, target, mechanism, fs, kernel }
    }

    fn label(&self) -> String {
        format!("{}/{}", self.fs, self.mechanism)
    }

    fn line(&self) -> String {
        let Self { spec, target, kernel, .. } = self;
        format!(
            "{}, target {target}, Linux {}, specification {} ({})",
            self.label(),
            kernel.release,
            spec.version,
            spec.digest
        )
    }
}

impl Change {
    fn is_worse(&self) -> bool {
        (self.from, self.to) == (Some(Verdict::Holds), Some(Verdict::Violated))
    }
}

impl Pair {
    fn of(a: &Results, b: &Results) -> Self {
        let find = |list: &[ClauseResult], id: &str| list.iter().find(|it| it.id == id).map(|it| it.verdict);
        let mut changes = Vec::new();
        for clause in &b.clauses {
            let from = find(&a.clauses, &clause.id);
            if from != Some(clause.verdict) {
                let detail = detail(clause);
                changes.push(Change { id: clause.id.clone(), from, to: Some(clause.verdict), detail });
            }
        }
        let same = b.clauses.len() - changes.len();
        let gone = a.clauses.iter().filter(|clause| find(&b.clauses, &clause.id).is_none());
        changes.extend(gone.map(|it| Change { id: it.id.clone(), from: Some(it.verdict), to: None, detail: None }));
        Self { a: Head::of(a), b: Head::of(b), changes, same }
    }
}

/// What was observed, or why nothing was: of the first case that gave the clause its verdict.
pub(crate) fn detail(clause: &ClauseResult) -> Option<String> {
    let mut deciding = clause.cases.iter().filter(|case| case.verdict == clause.verdict);
    deciding.find_map(|case| case.detail.clone()).or_else(|| clause.reason.clone())
}

/// A title, and what stands below it.
type Kind = (&'static str, fn(&Change) -> bool);

/// The kinds of changes, in the order in which they are printed.
const KINDS: [Kind; 5] = [
    ("held, is violated now", Change::is_worse),
    ("holds now", |it| it.from.is_some() && it.to == Some(Verdict::Holds)),
    ("changed otherwise", |it| it.from.is_some() && it.to.is_some()),
    ("only in B", |it| it.from.is_none()),
    ("only in A", |it| it.to.is_none()),
];

/// The changes of each kind that has any. Each change is of the first kind that fits.
fn by_kind(changes: &[Change]) -> Vec<(&'static str, Vec<&Change>)> {
    let kind = |change: &Change| KINDS.iter().position(|(_, fits)| fits(change));
    let of = |at: usize| changes.iter().filter(|change| kind(change) == Some(at)).collect::<Vec<_>>();
    let all = KINDS.iter().enumerate().map(|(at, (title, _))| (*title, of(at)));
    all.filter(|(_, list)| !list.is_empty()).collect()
}

fn verdict(verdict: Option<Verdict>) -> String {
    verdict.map_or("no such clause".into(), |it| it.to_string())
}

/// For a terminal of 80 columns.
pub fn human(comparison: &Comparison) -> String {
    let mut out = String::new();
    for Pair { a, b, changes, same } in &comparison.pairs {
        let _ = writeln!(out, "{}\n{}\n", hanging("A: ", &a.line()), hanging("B: ", &b.line()));
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

/// For a page.
pub fn markdown(comparison: &Comparison) -> String {
    let mut out = String::new();
    for Pair { a, b, changes, same } in &comparison.pairs {
        let _ = writeln!(out, "- A: {}\n- B: {}\n", a.line(), b.line());
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
