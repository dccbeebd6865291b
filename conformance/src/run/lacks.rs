//! Runs at a target that does not offer every value of a situation.
//!
//! A plan knows the cases, but not the target: one file system has no clones, another one no projects. A run that meets
//! such a value goes on without it, because the other values of its situation are worth a run.

use crate::case::situated::Unfit;
use crate::run::plan::{Ended, Run};
use crate::run::watchdog::locked;
use crate::situation::axes::{Situation, value_name};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// The number of runs that must lack a value, while none has it, before the other runs leave it out without a try.
const RUNS: usize = 8;

/// A value of an axis.
type Value = (usize, usize);

/// The values that a target was found to lack.
#[derive(Default)]
pub(crate) struct Lacks {
    /// The reason, and the number of runs that have met it.
    found: Mutex<BTreeMap<Value, (String, usize)>>,
    /// The values that some runs have had.
    had: Mutex<BTreeSet<Value>>,
    left_out: Mutex<BTreeMap<String, usize>>,
}

impl Lacks {
    /// Carries out a run without the values that the target lacks, and without a value that does not go with the others.
    /// Nothing is carried out in the plain situation instead, as the plan has that run too.
    pub(crate) fn run(&self, run: &Run, carry_out: &dyn Fn(&Run) -> Ended) -> Ended {
        let mut run = *run;
        loop {
            let known = values(&run.situation).into_iter().find_map(|value| Some((value, self.known(value)?)));
            let ((axis, _), why) = match known {
                Some(known) => known,
                None => {
                    let ended = carry_out(&run);
                    let lacking = match &ended {
                        Ended::Ran(_) => {
                            locked(&self.had).extend(values(&run.situation));
                            return ended;
                        }
                        Ended::Unfit(Unfit::Case(_)) => return ended,
                        Ended::Unfit(Unfit::Offer(_)) => self.lacking(&run, carry_out),
                        Ended::Unfit(Unfit::Values(_)) => None,
                    };
                    match lacking {
                        Some(lacking) => lacking,
                        None => return self.without_one(&run, carry_out).unwrap_or(ended),
                    }
                }
            };
            run.situation = run.situation.with(axis, 0);
            if run.situation.is_plain() {
                return Ended::Unfit(Unfit::Offer(why));
            }
            self.leave_out(why);
        }
    }

    /// The reason why the target does not offer a value, if several runs have met it. A target may offer a value to one
    /// case and not to another: a kernel may register a sealed file and no other one.
    fn known(&self, value: Value) -> Option<String> {
        if locked(&self.had).contains(&value) {
            return None;
        }
        let found = locked(&self.found);
        found.get(&value).filter(|(_, runs)| *runs >= RUNS).map(|(why, _)| why.clone())
    }

    /// The first value of a run that the target does not offer to its case alone either, with the reason.
    fn lacking(&self, run: &Run, carry_out: &dyn Fn(&Run) -> Ended) -> Option<(Value, String)> {
        values(&run.situation).into_iter().find_map(|value| {
            let alone = Run { case: run.case, situation: Situation::PLAIN.with(value.0, value.1) };
            let Ended::Unfit(Unfit::Offer(why)) = carry_out(&alone) else { return None };
            let mut found = locked(&self.found);
            let (why, runs) = found.entry(value).or_insert((format!("{}: {why}", value_name(value.0, value.1)), 0));
            *runs += 1;
            Some((value, why.clone()))
        })
    }

    /// The run without the first value without which it says something.
    fn without_one(&self, run: &Run, carry_out: &dyn Fn(&Run) -> Ended) -> Option<Ended> {
        values(&run.situation).into_iter().find_map(|(axis, value)| {
            let without = Run { case: run.case, situation: run.situation.with(axis, 0) };
            let ended = Some(without).filter(|run| !run.situation.is_plain()).map(|run| carry_out(&run));
            let ran = ended.filter(|ended| matches!(ended, Ended::Ran(_)))?;
            locked(&self.had).extend(values(&without.situation));
            self.leave_out(format!("{}: not beside the other values of the run", value_name(axis, value)));
            Some(ran)
        })
    }

    fn leave_out(&self, why: String) {
        *locked(&self.left_out).entry(why).or_default() += 1;
    }

    /// The values that runs left out, each with its reason and the number of these runs.
    pub(crate) fn left_out(self) -> BTreeMap<String, usize> {
        self.left_out.into_inner().unwrap_or_default()
    }
}

/// The values of a situation that are not those of the plain one.
fn values(situation: &Situation) -> Vec<Value> {
    situation.axes().map(|axis| (axis, situation.get(axis))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cases;
    use crate::results::CaseResult;
    use iomap_results::Verdict;

    fn ran(run: &Run) -> Ended {
        let (name, verdict) = (run.name(), Verdict::Holds);
        let (detail, trace, steps) = Default::default();
        Ended::Ran(Box::new(CaseResult { name, verdict, duration_ms: 0.0, detail, trace, steps }))
    }

    /// A target without clones, on which a file that was sealed again has no three names.
    fn target(run: &Run) -> Ended {
        let has = |value: &str| run.situation.suffix().trim_matches(['[', ']']).split(',').any(|it| it == value);
        match run.case.full_name().as_str() {
            "mover::collect" => Ended::Unfit(Unfit::Case("the case is not-offered".into())),
            _ if has("company=clones") => Ended::Unfit(Unfit::Offer("no sharing".into())),
            "read::mapping" if has("past=swap") => Ended::Unfit(Unfit::Offer("no swap".into())),
            _ if has("names=three") && has("history=again") => Ended::Unfit(Unfit::Values("no effect".into())),
            _ => ran(run),
        }
    }

    /// The names of the runs that are carried out for one run, and the name or the reason at its end.
    fn tried(lacks: &Lacks, case: &str, situation: &str) -> (usize, String) {
        let case = cases::list::all().find(|it| it.full_name() == case).unwrap();
        let tries = Mutex::new(0);
        let counted = |run: &Run| {
            *locked(&tries) += 1;
            target(run)
        };
        let ended = lacks.run(&Run { case, situation: situation.parse().unwrap() }, &counted);
        let said = match ended {
            Ended::Ran(result) => result.name,
            Ended::Unfit(why) => why.why().to_owned(),
        };
        (*locked(&tries), said)
    }

    #[test]
    fn values_that_a_target_lacks() {
        let lacks = Lacks::default();
        let tried = |case, situation| tried(&lacks, case, situation);
        assert_eq!(tried("truncate::grow", ""), (1, "truncate::grow".into()));
        assert_eq!(tried("truncate::grow", "names=three"), (1, "truncate::grow[names=three]".into()));
        // The case is tried with each value until the one that is missing.
        let both = "names=three,company=clones";
        assert_eq!(tried("truncate::grow", both), (4, "truncate::grow[names=three]".into()));
        for _ in 0..RUNS - 2 {
            assert_eq!(tried("name::link", both), (4, "name::link[names=three]".into()));
        }
        assert_eq!(tried("name::link", "company=clones"), (2, "company=clones: no sharing".into()));
        // The target lacks it.
        assert_eq!(tried("name::unlink", both), (1, "name::unlink[names=three]".into()));
        assert_eq!(tried("name::unlink", "company=clones"), (0, "company=clones: no sharing".into()));
        let three = "history=again,names=three,access=direct";
        assert_eq!(tried("name::unlink", three), (2, "name::unlink[names=three,access=direct]".into()));
        assert_eq!(tried("mover::collect", three), (1, "the case is not-offered".into()));
        // Another case has the value.
        assert_eq!(tried("name::unlink", "past=swap"), (1, "name::unlink[past=swap]".into()));
        for _ in 0..=RUNS {
            assert_eq!(tried("read::mapping", "past=swap"), (2, "past=swap: no swap".into()));
        }
        let left_out = lacks.left_out();
        let lines: Vec<String> = left_out.iter().map(|(why, runs)| format!("{runs} {why}")).collect();
        assert_eq!(lines, ["8 company=clones: no sharing", "1 history=again: not beside the other values of the run"]);
    }
}
