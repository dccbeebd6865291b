//! The runs of a plan: cases in situations.

use crate::case::definition::Case;
use crate::case::situated::Unfit;
use crate::cases;
use crate::mechanism::Mechanism;
use crate::results::{CaseResult, Results};
use crate::run::watchdog::locked;
use crate::situation::array::{covering, remaining};
use crate::situation::axes::{AXES, Axis, Situation};
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

/// The end of a run.
pub(crate) enum Ended {
    /// The case ran.
    Ran(Box<CaseResult>),
    /// The situation does not fit the case here, for this reason.
    Unfit(Unfit),
}

/// The situations of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Situations {
    /// Each case in the plain situation
    Plain,
    /// Each case in the plain situation and in one other
    Some,
    /// Each case with every value, and every two values with some case
    Pairs,
    /// Each case with every two values, and every three values with some case
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
    /// The greatest size of a file whose data lie inside its metadata, in bytes; 0 if the data are never there.
    pub inline: u64,
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

    /// The cases in these situations. The other cases do not change the runs of a case.
    pub fn new(cases: &[&'static Case], place: Place, situations: Situations) -> Self {
        let mut planned: Vec<Planned> = match situations {
            Situations::Plain => return Self::plain(cases),
            Situations::Some => cases.iter().map(|case| Planned::with_one(case, place)).collect(),
            Situations::Pairs => cases::list::all().map(|case| Planned::with_every(1, case, place)).collect(),
            Situations::Triples => cases::list::all().map(|case| Planned::with_every(2, case, place)).collect(),
        };
        // The case counts as an axis, and the array of each case has the combinations of which the case is a part.
        match situations {
            Situations::Pairs => add_remaining(2, &mut planned),
            Situations::Triples => add_remaining(3, &mut planned),
            Situations::Plain | Situations::Some => (),
        }
        let of = |case: &&'static Case| planned.iter().find(|it| std::ptr::eq(it.case, *case));
        Self::joined(situations, cases.iter().filter_map(of))
    }

    /// Each of these cases with every two values.
    pub(crate) fn every_two(cases: &[&'static Case], place: Place) -> Self {
        let planned: Vec<Planned> = cases.iter().map(|case| Planned::with_every(2, case, place)).collect();
        Self::joined(Situations::Triples, planned.iter())
    }

    fn joined<'a>(situations: Situations, planned: impl Iterator<Item = &'a Planned>) -> Self {
        let mut plan = Self { situations, ..Self::of(Vec::new()) };
        for Planned { case, left_out, others, .. } in planned {
            let all = [Situation::PLAIN].into_iter().chain(others.iter().copied());
            plan.runs.extend(all.map(|situation| Run { case, situation }));
            for why in left_out {
                *plan.left_out.entry(why).or_default() += 1;
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

/// The situations of one case.
struct Planned {
    case: &'static Case,
    /// The values that the case can bear, for each axis.
    values: Vec<Vec<usize>>,
    /// The reasons why it cannot bear the others, one for each.
    left_out: Vec<&'static str>,
    /// The situations beside the plain one.
    others: Vec<Situation>,
}

/// The number of rows of an array from which a case gets its one situation. The first rows cover the most.
const FIRST_ROWS: usize = 24;

impl Planned {
    fn new(case: &'static Case, place: Place) -> Self {
        let name = case.full_name();
        let fit = Fit::of(&place.facts(case, &name));
        let mut left_out = Vec::new();
        let mut bears = |axis, value| fit.left_out(axis, value).map(|why| left_out.push(why)).is_none();
        let of = |(axis, row): (usize, &Axis)| (0..row.values.len()).filter(|value| bears(axis, *value)).collect();
        let values = AXES.iter().enumerate().map(of).collect();
        Self { case, values, left_out, others: Vec::new() }
    }

    /// The case in one situation. The name decides, so that a new case changes the situation of no other one.
    fn with_one(case: &'static Case, place: Place) -> Self {
        let mut planned = Self::new(case, place);
        let rows = rows(&planned.values, (2, FIRST_ROWS + 1), 0);
        let number = number(case) % rows.len().saturating_sub(1).clamp(1, FIRST_ROWS);
        planned.others.extend(rows.iter().filter(|situation| !situation.is_plain()).nth(number));
        planned
    }

    /// The case with every combination of so many values.
    fn with_every(strength: usize, case: &'static Case, place: Place) -> Self {
        let mut planned = Self::new(case, place);
        // Many cases bear the same values. Their short arrays begin with different rows, so that they are different.
        let turn = if strength == 1 { number(case) } else { 0 };
        let rows = rows(&planned.values, (strength, usize::MAX), turn);
        planned.others.extend(rows.iter().filter(|situation| !situation.is_plain()));
        planned
    }

    fn bears(&self, (axis, value): (usize, usize)) -> bool {
        self.values[axis].contains(&value)
    }
}

/// A number that only the name of the case decides.
fn number(case: &Case) -> usize {
    case.full_name().bytes().fold(0, |sum: usize, byte| sum.wrapping_mul(31) + usize::from(byte))
}

/// Adds the combinations of so many values that are in no row of any case, each to the case with the fewest rows that can
/// bear it.
fn add_remaining(strength: usize, planned: &mut [Planned]) {
    let sizes: Vec<usize> = AXES.iter().map(|axis| axis.values.len()).collect();
    let rows = planned.iter().flat_map(|it| &it.others).map(|it| (0..AXES.len()).map(|axis| it.get(axis)).collect());
    for combination in remaining(&sizes, strength, &clash, rows) {
        let bearing = planned.iter_mut().filter(|it| combination.iter().all(|value| it.bears(*value)));
        if let Some(planned) = bearing.min_by_key(|it| it.others.len()) {
            let with = |situation: Situation, (axis, value): &(usize, usize)| situation.with(*axis, *value);
            planned.others.push(combination.iter().fold(Situation::PLAIN, with));
        }
    }
}

/// The situations in which every combination of so many of these values occurs, or the first so many of them. Many cases
/// have the same values, and the audit makes a plan for each violation.
fn rows(values: &[Vec<usize>], (strength, most): (usize, usize), turn: usize) -> Arc<[Situation]> {
    type Arrays = HashMap<(Vec<Vec<usize>>, usize, usize, usize), Arc<[Situation]>>;
    static ARRAYS: LazyLock<Mutex<Arrays>> = LazyLock::new(Mutex::default);
    let key = (values.to_vec(), strength, most, turn);
    if let Some(rows) = locked(&ARRAYS).get(&key) {
        return rows.clone();
    }
    let sizes: Vec<usize> = values.iter().map(Vec::len).collect();
    let excludes = |one: (usize, usize), other: (usize, usize)| {
        clash((one.0, values[one.0][one.1]), (other.0, values[other.0][other.1]))
    };
    let situation = |row: &Vec<usize>| {
        Situation::of(&row.iter().zip(values).map(|(place, values)| values[*place]).collect::<Vec<_>>())
    };
    let rows: Arc<[Situation]> = covering(&sizes, strength, (most, turn), &excludes).iter().map(situation).collect();
    locked(&ARRAYS).insert(key, rows.clone());
    rows
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
    use crate::run::trials::run_case;
    use crate::situation::axes::value_name;
    use crate::situation::fit::UNMET;
    use crate::target::reference::Reference;
    use iomap_results::Verdict;

    const REFERENCE: Place = Place { mechanism: Mechanism::Seal, kernel: false, inline: 0 };

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
    /// Every combination that the sentences about the two wide plans speak of is in a run, as far as a case can bear it.
    #[test]
    fn wide_plans_have_all_combinations() {
        let all: Vec<&Case> = cases::list::all().collect();
        let values =
            |situation: &Situation| (0..AXES.len()).map(|axis| (axis, situation.get(axis))).collect::<Vec<_>>();
        for (situations, strength) in [(Situations::Pairs, 2), (Situations::Triples, 3)] {
            let plan = Plan::new(&all, REFERENCE, situations);
            let runs: HashSet<String> = plan.runs.iter().map(Run::name).collect();
            assert_eq!(runs.len(), plan.runs.len(), "a run is there twice");
            let mut with_case: HashMap<String, HashSet<Vec<(usize, usize)>>> = HashMap::new();
            let mut alone = HashSet::new();
            for run in &plan.runs {
                assert_eq!(unfit(REFERENCE, run), None, "{}", run.name());
                let values = values(&run.situation);
                with_case.entry(run.case.full_name()).or_default().extend(combinations(&values, strength - 1));
                alone.extend(combinations(&values, strength));
            }
            let excluded = |one: &[(usize, usize)]| combinations(one, 2).iter().any(|two| clash(two[0], two[1]));
            let of = |values: &[Vec<usize>], number: usize| {
                let axes = combinations(&(0..AXES.len()).map(|axis| (axis, 0)).collect::<Vec<_>>(), number);
                let all = axes.into_iter().flat_map(|axes| products(values, &axes)).filter(|one| !excluded(one));
                all.collect::<Vec<_>>()
            };
            let planned: Vec<Planned> = all.iter().map(|case| Planned::new(case, REFERENCE)).collect();
            for Planned { case, values, .. } in &planned {
                let has = &with_case[&case.full_name()];
                assert!(of(values, strength - 1).iter().all(|one| has.contains(one)), "{}", case.full_name());
            }
            let every: Vec<Vec<usize>> = AXES.iter().map(|axis| (0..axis.values.len()).collect()).collect();
            for one in of(&every, strength).iter().filter(|one| !alone.contains(*one)) {
                let bears = |planned: &Planned| one.iter().all(|value| planned.bears(*value));
                assert!(!planned.iter().any(bears), "{one:?}");
            }
            let few: Vec<&Case> = all.iter().copied().step_by(100).rev().collect();
            let narrow = Plan::new(&few, REFERENCE, situations);
            assert!(narrow.runs.iter().all(|run| runs.contains(&run.name())));
            assert_eq!(narrow.runs[0].name(), few[0].full_name());
        }
    }

    /// All choices of so many of these, in their order.
    fn combinations(of: &[(usize, usize)], number: usize) -> Vec<Vec<(usize, usize)>> {
        if number == 0 {
            return vec![Vec::new()];
        }
        let with = |at: usize| {
            let rest = combinations(&of[at + 1..], number - 1);
            rest.into_iter().map(move |rest| [&[of[at]], rest.as_slice()].concat())
        };
        (0..of.len()).flat_map(with).collect()
    }

    /// Every choice of a value on each of these axes.
    fn products(values: &[Vec<usize>], axes: &[(usize, usize)]) -> Vec<Vec<(usize, usize)>> {
        axes.iter().fold(vec![Vec::new()], |all, (axis, _)| {
            let longer = |one: Vec<(usize, usize)>| {
                values[*axis].iter().map(move |value| [one.as_slice(), &[(*axis, *value)]].concat())
            };
            all.into_iter().flat_map(longer).collect()
        })
    }

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
                                .entry(why.why().to_owned())
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
