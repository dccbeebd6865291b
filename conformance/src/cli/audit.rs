//! `iomap-conformance audit`: breaks clauses in the reference, and says whether cases notice.

use crate::cli::format::ListFormat;
use crate::report::format;
use crate::run::audit;
use crate::run::select::Selection;
use clap::Args;
use iomap_command::{Error, Exit, Output, count};
use iomap_reference::{conditional, conditions, left_out_pairs, violations};
use iomap_results::{Audit, AuditedViolation};
use std::path::PathBuf;

#[derive(Args)]
pub(crate) struct AuditArgs {
    /// Only these violations: those of a family or a clause, one, a pattern with
    /// *, or a part of such a name
    #[arg(value_name = "FILTER", verbatim_doc_comment)]
    filters: Vec<String>,
    /// Break each clause under conditions: only if the file has three names, only
    /// if it was sealed before, and so on
    #[arg(long, verbatim_doc_comment)]
    conditions: bool,
    /// If no case of its clause notices a violation, run the cases of the other
    /// clauses too
    #[arg(long, verbatim_doc_comment, requires = "conditions")]
    elsewhere: bool,
    /// Only this number of the violations, chosen by --seed
    #[arg(long, value_name = "NUMBER")]
    sample: Option<usize>,
    /// The seed of the sample
    #[arg(long, value_name = "SEED", default_value_t = 1, requires = "sample")]
    seed: u64,
    /// How the list is written
    #[arg(long, value_enum, default_value = "human")]
    format: ListFormat,
    /// Write the list to a file
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(crate) fn run(args: &AuditArgs) -> Result<Exit, Error> {
    let all = if args.conditions { conditional() } else { violations() };
    let selection = Selection { filters: args.filters.clone(), ..Selection::default() };
    let chosen = selection.some_of(&all.iter().collect::<Vec<_>>());
    let chosen = chosen.map_err(|e| Error::usage(format!("{e}; audit without a filter lists all violations")))?;
    let chosen = match args.sample {
        Some(number) => audit::sample(&chosen, number, args.seed),
        None => chosen,
    };
    let mut output = Output::open(args.output.as_deref())?;
    let audited = match args.conditions {
        true => audit::audit_conditions(&chosen, args.elsewhere),
        false => audit::audit(&chosen),
    };
    let survived = audited.iter().filter(|one| one.verdict != "killed").count();
    output.write(&match args.format {
        ListFormat::Json => format::json(&Audit { schema: 1, violations: audited }),
        // The whole product is too long to read: of it, what is not killed, and sums.
        ListFormat::Human if args.conditions => {
            let all = !args.filters.is_empty();
            let shown = audited.iter().filter(|one| all || one.verdict != "killed").map(|one| line(one, (10, 48)));
            let missing = if all { String::new() } else { left_out() };
            shown.chain([sums(&audited), missing]).collect()
        }
        ListFormat::Human => audited.iter().map(|one| line(one, (9, 34))).chain([total(&audited)]).collect(),
    })?;
    Ok(if survived > 0 { Exit::Found } else { Exit::Fine })
}

/// A line with this width for the verdict, and for the name.
fn line(one: &AuditedViolation, (verdict, name): (usize, usize)) -> String {
    let line = format!("{:<verdict$}{:<name$}{}", one.verdict, one.id, one.by.join(" "));
    format!("{}\n", line.trim_end())
}

fn total(audited: &[AuditedViolation]) -> String {
    let survived = audited.iter().filter(|one| one.verdict == "survived").count();
    format!("{}: {} killed, {survived} survived\n", count(audited.len(), "violation"), audited.len() - survived)
}

/// The pairs that make no sense.
fn left_out() -> String {
    let reasons = left_out_pairs();
    let all: usize = reasons.iter().map(|(_, pairs)| pairs).sum();
    let lines = reasons.iter().map(|(why, pairs)| format!("{pairs:>6}  {why}\n"));
    [format!("{all} pairs of a fault and a condition are left out:\n")].into_iter().chain(lines).collect()
}

/// The sums of each condition, and of all.
fn sums(audited: &[AuditedViolation]) -> String {
    let row = |name: &str, about: &str, of: &dyn Fn(&AuditedViolation) -> bool| {
        let number = |verdict| audited.iter().filter(|one| of(one) && one.verdict == verdict).count();
        let [killed, elsewhere, survived, unmet] = ["killed", "elsewhere", "survived", "unmet"].map(number);
        let line = format!("{name:<22}{killed:>7}{elsewhere:>10}{survived:>9}{unmet:>6}  {about}");
        (killed + elsewhere + survived + unmet > 0).then(|| format!("{}\n", line.trim_end()))
    };
    let head = format!("{:<22}{:>7}{:>10}{:>9}{:>6}\n", "condition", "killed", "elsewhere", "survived", "unmet");
    let each = conditions().filter_map(|(name, sentence)| {
        let end = format!("@{name}");
        row(name, sentence, &move |one| one.id.ends_with(&end))
    });
    let all = row("all", "", &|_| true);
    let killed = audited.iter().filter(|one| one.verdict == "killed").count();
    let rate = 100.0 * killed as f64 / audited.len().max(1) as f64;
    let last = format!("{}: {killed} killed under the right clause, {rate:.1} %\n", count(audited.len(), "violation"));
    [head].into_iter().chain(each).chain(all).chain([last]).collect()
}
