//! The options that choose situations.

use crate::case::definition::Case;
use crate::cli::libtest::Libtest;
use crate::run::plan::{Place, Plan, Run, Situations, unfit};
use crate::situation::axes::Situation;
use clap::Args;
use iomap_command::Error;

#[derive(Args)]
#[command(next_help_heading = "Situations")]
pub(crate) struct SituationArgs {
    /// The situations in which each case runs
    ///
    /// On the reference the default is some, on kernels plain.
    #[arg(long, value_enum, conflicts_with_all = ["thorough", "situation"])]
    situations: Option<Situations>,
    /// Means --situations triples
    #[arg(long, conflicts_with = "situation")]
    thorough: bool,
    /// Only this situation, such as names=three,placement=scattered
    ///
    /// `CASE[SITUATION]`, as reports have it, is a filter for one such run.
    #[arg(long, value_name = "AXIS=VALUE,...", verbatim_doc_comment)]
    situation: Option<Situation>,
    /// The number of runs beside the plain ones, chosen from all pairs
    #[arg(long, value_name = "RUNS", conflicts_with = "situation")]
    budget: Option<usize>,
    /// The seed that chooses the runs of a budget [default: a new one]
    #[arg(long, value_name = "SEED", requires = "budget")]
    seed: Option<u64>,
}

impl SituationArgs {
    /// The runs at a place; the error is one of the user.
    pub(crate) fn plan(&self, libtest: &Libtest, place: Place) -> Result<Plan, Error> {
        // With --exact, the name of a case is that of its plain run, as the list has it.
        let exact = libtest.exact && !self.is_given();
        let is_run = |filter: &&String| filter.contains("::") && (exact || filter.ends_with(']'));
        let (named, filters): (Vec<&String>, Vec<&String>) = libtest.filters.iter().partition(is_run);
        let mut given = Vec::new();
        for filter in named {
            let (case, situation) = filter.trim_end_matches(']').split_once('[').unwrap_or((filter, ""));
            let situation = situation.parse().map_err(|error| Error::usage(format!("{filter}: {error}")))?;
            given.extend(Plan::within(&libtest.cases_of(&[case.to_owned()])?, situation).runs);
        }
        if !given.is_empty() && filters.is_empty() {
            return fitting(given, place);
        }
        let cases = libtest.cases_of(&filters.into_iter().cloned().collect::<Vec<_>>())?;
        let mut plan = match self.situation {
            Some(situation) => fitting(Plan::within(&cases, situation).runs, place)?,
            None => self.chosen(&cases, place),
        };
        plan.runs.splice(0..0, given);
        Ok(plan)
    }

    /// Whether an option chooses situations.
    fn is_given(&self) -> bool {
        self.situations.is_some() || self.thorough || self.situation.is_some() || self.budget.is_some()
    }

    fn chosen(&self, cases: &[&'static Case], place: Place) -> Plan {
        let default = if place.kernel { Situations::Plain } else { Situations::Some };
        let situations = match (self.situations, self.thorough) {
            (Some(situations), _) => situations,
            (None, true) => Situations::Triples,
            (None, false) if self.budget.is_some() => Situations::Pairs,
            (None, false) => default,
        };
        let plan = Plan::new(cases, place, situations);
        match self.budget {
            Some(budget) => plan.rotated(budget, self.seed.unwrap_or_else(|| fastrand::u64(..1 << 32))),
            None => plan,
        }
    }
}

/// A plan of those runs whose case can bear the situation: at least one.
fn fitting(runs: Vec<Run>, place: Place) -> Result<Plan, Error> {
    let (fit, others): (Vec<Run>, Vec<Run>) = runs.into_iter().partition(|run| unfit(place, run).is_none());
    match others.first().and_then(|run| unfit(place, run)) {
        Some(why) if fit.is_empty() => {
            Err(Error::usage(format!("no case that was chosen runs in this situation: {why}")))
        }
        _ => Ok(Plan::of(fit)),
    }
}
