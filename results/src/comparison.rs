//! The differences between two sides, clause by clause.

use crate::results::{ClauseResult, Kernel, Results, Spec, releases};
use crate::verdict::Verdict;
use iomap_vocabulary::Exit;
use serde::Serialize;

/// Two sides: the results that can be compared, and those that only one side has.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "comparison", title = "Comparison of two results of iomap-conformance"))]
pub struct Comparison {
    /// The version of this document.
    #[cfg_attr(test, schemars(extend("const" = 1)))]
    pub schema: u32,
    /// The results that both sides have.
    pub pairs: Vec<Pair>,
    /// The results without a counterpart.
    pub unpaired: Vec<Unpaired>,
}

/// Two results and their differences.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "pair"))]
pub struct Pair {
    /// The subject of the first.
    pub a: Head,
    /// The subject of the second.
    pub b: Head,
    /// The clauses whose verdicts differ, or that only one side has.
    pub changes: Vec<Change>,
    /// How many clauses have the same verdict.
    pub same: usize,
}

/// The subject of results.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "head"))]
pub struct Head {
    /// The specification whose cases ran.
    pub spec: Spec,
    /// Where the calls went.
    #[cfg_attr(test, schemars(extend("enum" = crate::results::TARGETS)))]
    pub target: String,
    /// How files got into the state.
    #[cfg_attr(test, schemars(extend("enum" = crate::results::MECHANISMS)))]
    pub mechanism: String,
    /// The file system; `model` for the reference.
    pub fs: String,
    /// The kernel that answered, or on which the reference ran.
    pub kernel: Kernel,
}

/// One clause that is not as it was.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "change"))]
pub struct Change {
    /// The clause.
    #[cfg_attr(test, schemars(regex(pattern = crate::results::CLAUSE_ID)))]
    pub id: String,
    /// The verdict on side A; null if it has no such clause.
    pub from: Option<Verdict>,
    /// The verdict on side B; null if it has no such clause.
    pub to: Option<Verdict>,
    /// The observation of side B, or the reason why there was none.
    pub detail: Option<String>,
}

/// Results that only one side has.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "unpaired"))]
pub struct Unpaired {
    /// The side that has them.
    #[cfg_attr(test, schemars(extend("enum" = ["a", "b"])))]
    pub side: &'static str,
    /// Their subject.
    pub head: Head,
}

/// Compares two sides. If each side has one document, these two are compared, whatever their subjects are. In lists,
/// documents with the same file system, mechanism and target are compared. A kernel is compared with kernels of its
/// series, or, if the sides have no series in common, with every other kernel.
pub fn compare<S>(a: &[Results<S>], b: &[Results<S>]) -> Comparison {
    let single = a.len() == 1 && b.len() == 1;
    Comparison::of(&a.iter().collect::<Vec<_>>(), &b.iter().collect::<Vec<_>>(), single)
}

/// Compares the first kernel of some results with each other kernel; `None` if the results are of fewer than two
/// kernels.
pub fn compare_kernels<S>(all: &[Results<S>]) -> Option<Comparison> {
    let of = |release: &str| -> Vec<&Results<S>> { all.iter().filter(|it| it.kernel.release == release).collect() };
    let kernels = releases(all);
    let [first, others @ ..] = &kernels[..] else { return None };
    let mut whole = Comparison { schema: 1, pairs: Vec::new(), unpaired: Vec::new() };
    for other in others {
        let (a, b) = (of(first), of(other));
        let Comparison { pairs, unpaired, .. } = Comparison::of(&a, &b, a.len() == 1 && b.len() == 1);
        whole.pairs.extend(pairs);
        whole.unpaired.extend(unpaired);
    }
    (!others.is_empty()).then_some(whole)
}

impl Comparison {
    fn of<S>(a: &[&Results<S>], b: &[&Results<S>], single: bool) -> Self {
        let series = |it: &Results<S>| it.kernel.series();
        let common = a.iter().any(|one| b.iter().any(|other| series(one) == series(other)));
        // A kernel in a guest of the lab is compared with the same kernel on a host.
        let target = |it: &Results<S>| if it.target == "lab" { "host".to_owned() } else { it.target.clone() };
        let key = |it: &Results<S>| (it.fs.clone(), it.mechanism.clone(), target(it), common.then(|| series(it)));
        let belong = |one: &Results<S>, other: &Results<S>| single || key(one) == key(other);
        let pairs =
            a.iter().flat_map(|one| b.iter().filter(|other| belong(one, other)).map(|other| Pair::of(one, other)));
        let alone = |side, list: &[&Results<S>], others: &[&Results<S>]| -> Vec<Unpaired> {
            list.iter()
                .filter(|it| !others.iter().any(|other| belong(it, other)))
                .map(|it| Unpaired { side, head: Head::of(it) })
                .collect()
        };
        Self {
            schema: 1,
            pairs: pairs.collect(),
            unpaired: alone("a", a, b).into_iter().chain(alone("b", b, a)).collect(),
        }
    }

    /// `Found` if a clause that held is violated.
    pub fn exit(&self) -> Exit {
        let is_worse = self.pairs.iter().flat_map(|pair| &pair.changes).any(Change::is_worse);
        if is_worse { Exit::Found } else { Exit::Fine }
    }
}

impl Head {
    fn of<S>(results: &Results<S>) -> Self {
        Self {
            spec: results.spec.clone(),
            target: results.target.clone(),
            mechanism: results.mechanism.clone(),
            fs: results.fs.clone(),
            kernel: results.kernel.clone(),
        }
    }

    /// The file system and the mechanism: `xfs/swapfile`.
    pub fn label(&self) -> String {
        format!("{}/{}", self.fs, self.mechanism)
    }
}

impl Change {
    /// Whether the clause held before and is violated now.
    pub fn is_worse(&self) -> bool {
        (self.from, self.to) == (Some(Verdict::Holds), Some(Verdict::Violated))
    }
}

impl Pair {
    fn of<S>(a: &Results<S>, b: &Results<S>) -> Self {
        let verdict = |results: &Results<S>, id: &str| results.clause(id).map(|it| it.verdict);
        let mut changes = Vec::new();
        for clause in &b.clauses {
            let from = verdict(a, &clause.id);
            if from != Some(clause.verdict) {
                let detail = ClauseResult::detail(clause);
                changes.push(Change { id: clause.id.clone(), from, to: Some(clause.verdict), detail });
            }
        }
        let same = b.clauses.len() - changes.len();
        let gone = a.clauses.iter().filter(|clause| b.clause(&clause.id).is_none());
        changes.extend(gone.map(|it| Change { id: it.id.clone(), from: Some(it.verdict), to: None, detail: None }));
        Self { a: Head::of(a), b: Head::of(b), changes, same }
    }
}
