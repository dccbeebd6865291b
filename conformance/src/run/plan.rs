//! The runs of a plan: cases in situations.

use crate::case::definition::Case;
use crate::mechanism::Mechanism;
use crate::results::Results;
use crate::run::watchdog::locked;
use crate::situation::array::covering;
use crate::situation::axes::{AXES, Situation};
use crate::situation::fit::{Facts, Fit, clash};
use clap::ValueEnum;
use iomap_command::count;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex};

/// One run of a case.
#[derive(Clone, Copy)]
pub struct Run {
    /// The case.
    pub case: &'static Case,
    /// Its situation.
    pub situation: Situation,
}

impl Run {
    /// The name of the case with its situation: `truncate::shrink[names=three]`.
    pub fn name(&self) -> String {
        self.case.full_name() + &self.situation.suffix()
    }
}

/// The situations of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Situations {
    /// Each case in the plain situation
    Plain,
    /// Each case in the plain situation and in one other
    Some,
    /// Each case with every pair of values
    Pairs,
    /// Each case with every three values
    Triples,
}

/// The runs, and what they leave out.
pub struct Plan {
    /// The runs, in the order of the page.
    pub runs: Vec<Run>,
    /// The reasons to leave out values, with the number of cases and values.
    left_out: BTreeMap<&'static str, usize>,
    situations: Situations,
    seed: Option<u64>,
}

/// The place where the runs of a plan go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// Whether a kernel has the file systems, which several cases use.
    pub kernel: bool,
    /// Whether the data of a file of one byte lie inside its metadata.
    pub inline: bool,
}

impl Place {
    pub(crate) fn facts<'a>(&self, case: &Case, name: &'a str) -> Facts<'a> {
        Facts { case: name, lane: case.lane, mechanism: self.mechanism, kernel: self.kernel, inline: self.inline }
    }
}

impl Plan {
    /// The plain situation of each case.
    pub fn plain(cases: &[&'static Case]) -> Self {
        Self::within(cases, Situation::PLAIN)
    }

    /// The same situation for each case.
    pub(crate) fn within(cases: &[&'static Case], situation: Situation) -> Self {
        Self::of(cases.iter().map(|case| Run { case, situation }).collect())
    }

    /// These runs.
    pub(crate) fn of(runs: Vec<Run>) -> Self {
        Self { runs, left_out: BTreeMap::new(), situations: Situations::Plain, seed: None }
    }

    /// The cases in these situations.
    pub fn new(cases: &[&'static Case], place: Place, situations: Situations) -> Self {
        let mut plan = Self { runs: Vec::new(), left_out: BTreeMap::new(), situations, seed: None };
        let (strength, most) = match situations {
            Situations::Plain => return Self::plain(cases),
            Situations::Some => (2, FIRST_ROWS + 1),
            Situations::Pairs => (2, usize::MAX),
            Situations::Triples => (3, usize::MAX),
        };
        for case in cases.iter().copied() {
            let name = case.full_name();
            let fit = Fit::of(&place.facts(case, &name));
            let mut values = Vec::new();
            for (axis, row) in AXES.iter().enumerate() {
                let mut bearable = Vec::new();
                for value in 0..row.values.len() {
                    match fit.left_out(axis, value) {
                        Some(why) => *plan.left_out.entry(why).or_default() += 1,
                        None => bearable.push(value),
                    }
                }
                values.push(bearable);
            }
            let rows = rows(values, strength, most);
            let run = |situation| Run { case, situation };
            plan.runs.push(run(Situation::PLAIN));
            let others = || rows.iter().copied().filter(|situation| !situation.is_plain());
            match situations {
                // The name decides, so that neither a filter nor a new case changes the situation of a case.
                Situations::Some => {
                    let number = name.bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31) + usize::from(byte));
                    plan.runs.extend(others().nth(number % rows.len().saturating_sub(1).clamp(1, FIRST_ROWS)).map(run));
                }
                _ => plan.runs.extend(others().map(run)),
            }
        }
        plan
    }

    /// These results with the values that the plan leaves out.
    pub(crate) fn told(&self, mut results: Results) -> Results {
        for (why, count) in &self.left_out {
            *results.left_out.entry((*why).to_owned()).or_default() += count;
        }
        results
    }

    /// Whether the plan is one for which somebody asked.
    pub(crate) fn is_wide(&self) -> bool {
        matches!(self.situations, Situations::Pairs | Situations::Triples)
    }

    /// The plain runs, and so many others, which a seed chooses.
    pub(crate) fn rotated(mut self, budget: usize, seed: u64) -> Self {
        let (plain, mut others): (Vec<Run>, Vec<Run>) = self.runs.into_iter().partition(|run| run.situation.is_plain());
        fastrand::Rng::with_seed(seed).shuffle(&mut others);
        others.truncate(budget);
        self.seed = Some(seed);
        self.runs = [plain, others].concat();
        self
    }
}

/// The number of rows of an array from which a case gets its one situation. The first rows cover the most.
const FIRST_ROWS: usize = 24;

/// The situations in which every combination of these values occurs, the plain one first. Many cases have the same
/// values, and the audit makes a plan for each violation.
fn rows(values: Vec<Vec<usize>>, strength: usize, most: usize) -> Arc<[Situation]> {
    type Arrays = HashMap<(Vec<Vec<usize>>, usize, usize), Arc<[Situation]>>;
    static ARRAYS: LazyLock<Mutex<Arrays>> = LazyLock::new(Mutex::default);
    let key = (values, strength, most);
    if let Some(rows) = locked(&ARRAYS).get(&key) {
        return rows.clone();
    }
    let rows: Arc<[Situation]> = covering_rows(&key.0, strength, most).into();
    locked(&ARRAYS).insert(key, rows.clone());
    rows
}

fn covering_rows(values: &[Vec<usize>], strength: usize, most: usize) -> Vec<Situation> {
    let sizes: Vec<usize> = values.iter().map(Vec::len).collect();
    let excludes = |one: (usize, usize), other: (usize, usize)| {
        one.1 > 0 && other.1 > 0 && clash((one.0, values[one.0][one.1]), (other.0, values[other.0][other.1]))
    };
    let situation = |row: &Vec<usize>| {
        Situation::of(&row.iter().zip(values).map(|(place, values)| values[*place]).collect::<Vec<_>>())
    };
    covering(&sizes, strength, most, &excludes).iter().map(situation).collect()
}

/// The size of the plan in one line, and how to make the same plan again.
impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cases: HashSet<String> = self.runs.iter().map(|run| run.case.full_name()).collect();
        let situations = self.situations.to_possible_value();
        let name = situations.as_ref().map_or("", |value| value.get_name());
        write!(f, "situations: {name}, {} of {}", count(self.runs.len(), "run"), count(cases.len(), "case"))?;
        self.seed.map_or(Ok(()), |seed| write!(f, ", --seed {seed}"))
    }
}

/// The reason why a case cannot run in a situation at a place, if there is one.
pub(crate) fn unfit(place: Place, run: &Run) -> Option<&'static str> {
    let name = run.case.full_name();
    Fit::of(&place.facts(run.case, &name)).unfit(&run.situation)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::run::trials::{Ended, run_case};
    use crate::situation::axes::value_name;
    use crate::situation::fit::UNMET;
    use crate::target::reference::Reference;
    use iomap_results::Verdict;

    const REFERENCE: Place = Place { mechanism: Mechanism::Seal, kernel: false, inline: false };

    /// A line for each value, or for all values of an axis, with the cases; `*` stands for all cases of a family.
    fn lines(values: &BTreeMap<String, Vec<String>>) -> String {
        let mut all: Vec<(String, String)> = Vec::new();
        for axis in AXES {
            let of = |value: &str| values.get(&format!("{}={value}", axis.name)).map(|cases| shortened(cases));
            let lists: Vec<_> = axis.values[1..].iter().map(|value| (value.name, of(value.name))).collect();
            match &lists[0].1 {
                Some(first) if lists.iter().all(|(_, list)| list.as_ref() == Some(first)) => {
                    all.push((format!("{}=*", axis.name), first.clone()));
                }
                _ => all.extend(
                    lists.into_iter().filter_map(|(name, list)| Some((format!("{}={name}", axis.name), list?))),
                ),
            }
        }
        all.into_iter().map(|(value, cases)| format!("  {value}: {cases}\n")).collect()
    }

    fn shortened(cases: &[String]) -> String {
        let family = |name: &str| name.split("::").next().unwrap_or_default().to_owned();
        let whole = |of: &str| {
            cases::list::all().map(Case::full_name).filter(|name| family(name) == of).all(|name| cases.contains(&name))
        };
        let mut short: Vec<String> =
            cases.iter().map(|name| if whole(&family(name)) { family(name) + "::*" } else { name.clone() }).collect();
        short.dedup();
        short.join(" ")
    }

    /// Each case runs on the reference with each single value that the table of rows leaves to it. The values that it
    /// does not meet are those of the file, and with each other value its clause holds.
    #[test]
    fn the_cases_meet_the_other_values() {
        let target = Reference::new(None);
        let mut unmet: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
        let mut bad = Vec::new();
        for case in cases::list::all() {
            let name = case.full_name();
            let fit = Fit::of(&REFERENCE.facts(case, &name));
            for (axis, row) in AXES.iter().enumerate() {
                for value in (1..row.values.len()).filter(|value| fit.ruled_out(axis, *value).is_none()) {
                    let run = Run { case, situation: Situation::PLAIN.with(axis, value) };
                    match run_case(&target, Mechanism::Seal, &run) {
                        Ended::Ran(result) if result.verdict == Verdict::Holds => (),
                        Ended::Ran(it) => {
                            bad.push(format!("{} {}: {}", it.name, it.verdict, it.detail.unwrap_or_default()))
                        }
                        Ended::Unfit(why) => {
                            unmet
                                .entry(why)
                                .or_default()
                                .entry(value_name(axis, value))
                                .or_default()
                                .push(name.clone());
                        }
                    }
                }
            }
        }
        let found: String = unmet.iter().map(|(why, values)| format!("{why}\n{}", lines(values))).collect();
        if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
            std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/situation/unmet.txt"), &found).unwrap();
        } else {
            assert!(found == UNMET, "INSTA_UPDATE=always writes src/situation/unmet.txt anew:\n{found}");
        }
        assert!(bad.is_empty(), "{}", bad.join("\n"));
    }
}
